"""The panel's code uses only what PythonQt offers: every qt, ctk and qMRML use is looked up in the list of what exists."""

from pathlib import Path

import pytest

pytest.importorskip("PySide6")

from pythonqt_calls import MODULE, uses_in, uses_in_code, uses_in_ui, widgets_of

WIDGETS = {
    "button": "QPushButton",
    "section": "ctkCollapsibleButton",
    "selector": "qMRMLNodeComboBox",
    "slider": "ctkSliderWidget",
    "table": "QTableWidget",
}


def complaints(code: str) -> list[str]:
    return [use.wrong for use in uses_in_code(f"def f(ui):\n    {code}\n", "panel.py", WIDGETS) if use.wrong]


def test_the_module_uses_nothing_that_pythonqt_does_not_offer():
    assert not [use.wrong for use in uses_in() if use.wrong]


def test_the_check_sees_the_module():
    """So that the test above cannot pass by finding nothing: every widget of the .ui that the code names was seen."""
    seen = {use.what for use in uses_in()}
    sources = "\n".join(path.read_text() for path in MODULE.glob("MultiRaterSegSlicer/panel/*.py"))
    names = {n for ui in MODULE.glob("Resources/UI/*.ui") for n in widgets_of(ui)}
    named = {f"ui.{name}" for name in names if f"ui.{name}." in sources}
    assert len(named) > 20
    assert named <= seen
    assert {"QTimer", "QPushButton.clicked(bool)", "qMRMLNodeComboBox.currentNodeChanged(vtkMRMLNode*)"} <= seen


@pytest.mark.parametrize(
    "code",
    [
        "ui.button.text = ui.button.text + '...'",
        "ui.button.setText('Compute')",
        "ui.button.connect('clicked(bool)', f)",
        "ui.section.collapsed = True; ui.section.text = 'Steer'",
        "ui.section.connect('contentsCollapsed(bool)', f)",
        "node = ui.selector.currentNode(); ui.selector.setCurrentNode(node)",
        "ui.selector.connect('currentNodeChanged(vtkMRMLNode*)', f)",
        "ui.table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)",
        "t = qt.QTimer(); t.setInterval(5); t.connect('timeout()', f)",
        "qt.QTimer.singleShot(10, ui.button.click)",
        "[w.setVisible(False) for w in (ui.button, ui.table)]",
        "slicer.app.layoutManager().sliceWidget('Red').sliceLogic()",
    ],
)
def test_what_works_in_slicer_passes(code):
    assert complaints(code) == []


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("ui.button.text()", "QPushButton.text is a property: write it without ()."),
        ("ui.button.enabeld = True", "QPushButton has no enabeld"),
        ("ui.buton.enabled = True", "The .ui file has no widget named buton."),
        ("ui.button.connect('clicked(int)', f)", "QPushButton has no signal clicked(int)."),
        ("ui.button.connect(name, f)", "Write the signal of QPushButton as a literal string."),
        ("ui.section.setCollapsed(True)", "ctkCollapsibleButton has no setCollapsed"),
        ("ui.slider.setRange(0, 1)", "ctkSliderWidget has no setRange"),
        (
            "ui.selector.connect('currentNodeChanged(int)', f)",
            "qMRMLNodeComboBox has no signal currentNodeChanged(int).",
        ),
        ("ui.selector.currentNode.GetName()", "qMRMLNodeComboBox.currentNode is a method: write currentNode()."),
        ("x = qt.Qt.AlignmentFlag.AlignLeft", "PythonQt has no scoped enums"),
        ("b = qt.QMessageBox(); b.addButton(b.Yes)", "Yes is an enum value: write it on the class"),
        ("w = ctk.ctkKnob()", "ctkKnob is not a class"),
        ("ui.table.horizontalHeader().setStretchSection(0)", "QHeaderView has no setStretchSection"),
        ("t = qt.QTimer(); t.active = True", "QTimer.active is a readonly and cannot be set."),
        ("[w.setVisibel(False) for w in (ui.button, ui.table)]", "has no setVisibel"),
        ("slicer.app.layoutManager().slicWidget('Red')", "qSlicerLayoutManager has no slicWidget"),
    ],
)
def test_what_pythonqt_refuses_is_found(code, complaint):
    assert any(complaint in said for said in complaints(code)), complaints(code)


def test_attributes_set_in_one_method_are_known_in_another():
    code = """
class Panel:
    def __init__(self, table: "qt.QTableWidget"):
        self._table, self._timer = table, qt.QTimer()

    def show(self):
        self._table.setRowCont(3)
        self._timer.begin()
"""
    wrong = [use.wrong for use in uses_in_code(code, "panel.py", {}) if use.wrong]
    assert [w.partition(": ")[2] for w in wrong] == [
        "QTableWidget has no setRowCont that Python can reach.",
        "QTimer has no begin that Python can reach.",
    ]


def test_an_invented_property_in_the_ui_file_is_found(tmp_path):
    ui = tmp_path / "x.ui"
    toy = Path(__file__).parent / "toy/Resources/UI/Toy.ui"
    ui.write_text(toy.read_text().replace('name="noneEnabled"', 'name="noneAllowed"'))
    assert not [use.wrong for use in uses_in_ui(toy) if use.wrong]
    assert [use.wrong for use in uses_in_ui(ui) if use.wrong] == [
        "volumeSelector: qMRMLNodeComboBox has no property noneAllowed."
    ]
