"""The bridge answers as PythonQt does, refuses what PythonQt refuses, and drives a panel as a person does."""

import time
from pathlib import Path

import pytest
import slicer

pytest.importorskip("PySide6")

TOY = Path(__file__).parent / "toy" / "Toy.py"


@pytest.fixture
def toy(bridge):
    return bridge.load(TOY)


@pytest.fixture
def qt(bridge):
    import qt

    return qt


@pytest.fixture
def ctk(bridge):
    import ctk

    return ctk


def add_volume(name="CT"):
    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)


def test_properties_are_attributes(qt):
    button = qt.QPushButton("Compute")
    button.enabled, button.name = False, "computeButton"
    assert (button.text, button.enabled, button.objectName) == ("Compute", False, "computeButton")
    with pytest.raises(TypeError, match="not callable"):
        button.text()


def test_a_list_of_strings_comes_back_as_a_tuple(bridge):
    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLModelNode"]
    assert selector.nodeTypes == ("vtkMRMLModelNode",)


def test_class_name_is_the_c_plus_plus_one(qt, ctk):
    assert (qt.QLabel().className(), ctk.ctkComboBox().className()) == ("QLabel", "ctkComboBox")


@pytest.mark.parametrize("signature", ["clicekd()", "clicked(int)", "clicked"])
def test_an_unknown_signal_is_refused(qt, signature):
    button = qt.QPushButton()
    with pytest.raises(AttributeError, match="no signal"):
        button.connect(signature, print)


def test_signals_deliver_what_their_signature_says(qt):
    button, heard = qt.QPushButton(), []
    button.connect("clicked(bool)", lambda on: heard.append(on))
    button.connect("clicked()", lambda *nothing: heard.append(nothing))
    button.click()
    assert heard == [False, ()]


def test_disconnected_is_silent(qt):
    button, heard = qt.QPushButton(), []

    def hear():
        heard.append("clicked")

    button.connect("clicked()", hear)
    button.disconnect("clicked()", hear)
    button.click()
    assert heard == []


def test_overloads_are_told_apart(bridge):
    selector, heard = slicer.qMRMLNodeComboBox(), []
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.setMRMLScene(slicer.mrmlScene)
    selector.connect("currentNodeChanged(vtkMRMLNode*)", heard.append)
    selector.connect("currentNodeChanged(bool)", heard.append)
    node = add_volume()
    selector.setCurrentNode(node)
    slicer.mrmlScene.RemoveNode(node)
    assert heard == [node, True, None, False]


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("ctkCollapsibleButton", "setCollapsed"),
        ("ctkSliderWidget", "setRange"),
        ("ctkSliderWidget", "setMinimum"),
        ("qMRMLNodeComboBox", "setNoneEnabled"),
        ("qMRMLNodeComboBox", "setNodeTypes"),
        ("ctkPathLineEdit", "setLabel"),
    ],
)
def test_plain_c_plus_plus_methods_are_out_of_reach(bridge, ctk, kind, method):
    """These exist in the headers, but are neither slots nor invokable."""
    widget = getattr(ctk if kind.startswith("ctk") else slicer, kind)()
    with pytest.raises(AttributeError):
        getattr(widget, method)


def test_stand_ins_offer_nothing_that_slicer_does_not(bridge):
    from bridge import api, application, ctk_widgets, mrml_widgets

    kinds = {**ctk_widgets.CTK_WIDGETS, **mrml_widgets.MRML_WIDGETS}
    kinds |= {name: kind for name, kind in vars(application).items() if name in api.classes()}
    invented = {}
    for name, kind in kinds.items():
        qt_base = next(base for base in kind.__mro__ if base.__module__.startswith("PySide6"))
        ours = {n for base in kind.__mro__ if "bridge" in base.__module__ for n in vars(base) if not n.startswith("_")}
        machinery = {"signal_overloads", "signal_signatures", "own_attributes", "staticMetaObject"}
        extra = ours - api.members(name) - machinery - set(dir(qt_base))
        extra -= {"applicationName", "topLevelWidgets", "processEvents", "setOverrideCursor"}  # QApplication's
        extra -= {"restoreOverrideCursor", "clipboard", "keyboardModifiers", "translate", "representation"}
        if extra:
            invented[name] = sorted(extra)
    assert not invented


def test_a_widget_without_stand_in_is_refused(bridge, ctk):
    with pytest.raises(NotImplementedError, match="ctkRangeWidget"):
        ctk.ctkRangeWidget()
    with pytest.raises(NotImplementedError, match="qMRMLTreeView"):
        slicer.qMRMLTreeView()


def test_a_ui_file_with_an_unknown_widget_is_refused(bridge, tmp_path):
    ui = tmp_path / "x.ui"
    ui.write_text(TOY.with_name("Resources").joinpath("UI/Toy.ui").read_text().replace("ctkSliderWidget", "ctkKnob"))
    with pytest.raises(NotImplementedError, match="ctkKnob"):
        slicer.util.loadUI(str(ui))


def test_a_misspelt_property_is_found_afterwards(bridge, qt):
    panel = qt.QWidget()
    button = qt.QPushButton(panel)
    button.name, button.enabeld = "go", True
    assert bridge.stray_attributes(panel) == {("QPushButton", "go", "enabeld")}


def test_the_ui_file_gives_values_and_scene(toy):
    ui = toy.widget.ui
    assert (ui.slider.value, ui.slider.maximum, ui.computeButton.enabled) == (50, 100, False)
    assert ui.volumeSelector.mrmlScene() is slicer.mrmlScene
    assert ui.steerSection.collapsed
    assert not ui.slider.isVisible()


def test_the_module_is_known_to_slicer(toy):
    assert slicer.util.getModuleWidget("Toy") is toy.widget
    assert slicer.util.getModuleLogic("Toy") is toy.widget.logic
    assert slicer.util.getModule("Toy").title == "Toy"
    assert slicer.modules.toy.description.started == [True]
    assert toy.widget.heard == ["enter"]


def test_entering_another_module_leaves_this_one(bridge, toy):
    slicer.util.selectModule("SegmentEditor")
    assert toy.widget.heard == ["enter", "exit"]
    assert slicer.util.selectedModule() == "SegmentEditor"


def test_a_click_and_a_timer_deliver(bridge, toy):
    ui = toy.widget.ui
    ui.volumeSelector.setCurrentNode(add_volume())
    bridge.click(ui.computeButton)
    assert ui.statusLabel.text == "Computing"
    bridge.wait_until(lambda: ui.statusLabel.text == "Done")


def test_what_cannot_be_seen_or_used_cannot_be_clicked(bridge, toy):
    with pytest.raises(AssertionError, match="computeButton is greyed out"):
        bridge.click(toy.widget.ui.computeButton)
    with pytest.raises(AssertionError, match="promptLineEdit cannot be seen"):
        bridge.type_text(toy.widget.ui.promptLineEdit, "tighter")


def test_typing_and_dragging_after_opening_a_section(bridge, toy):
    ui = toy.widget.ui
    bridge.click(ui.steerSection)
    assert not ui.steerSection.collapsed
    bridge.type_text(ui.promptLineEdit, "tighter\n")
    bridge.drag(ui.slider, 80, steps=3)
    assert toy.widget.heard[1:] == ["tighter", ("slider", 60), ("slider", 70), ("slider", 80)]


def test_dialogs_are_answered_by_their_buttons(bridge, toy):
    for button, answer in (("Yes", True), ("No", False)):
        bridge.will_answer(button)
        bridge.click(toy.widget.ui.askButton)
        assert toy.widget.heard[-1] is answer
    assert bridge.dialogs.texts == ["Go on?", "Go on?"]


def test_an_unexpected_dialog_fails_the_test(host):
    from bridge import Bridge

    bridge = Bridge(host)
    toy = bridge.load(TOY)
    bridge.click(toy.widget.ui.askButton)
    with pytest.raises(AssertionError, match=r"Nobody expected this dialog: Go on\?"):
        bridge.close()


def test_an_exception_in_a_slot_fails_the_test(host):
    from bridge import Bridge

    bridge = Bridge(host)
    toy = bridge.load(TOY)
    toy.widget.ui.askButton.connect("clicked()", lambda: 1 / 0)
    bridge.will_answer("No")
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        bridge.click(toy.widget.ui.askButton)
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        bridge.close()


def test_placing_a_point_ends_place_mode(bridge, toy):
    point_list = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Lesion")
    place, heard = toy.widget.ui.placeWidget, []
    place.connect("activeMarkupsPlaceModeChanged(bool)", heard.append)
    place.setCurrentNode(point_list)
    place.setPlaceModeEnabled(True)
    bridge.place_point((1, 2, 3))
    assert [point_list.GetNthControlPointPosition(0)[i] for i in range(3)] == [1, 2, 3]
    assert (heard, place.placeModeEnabled) == ([True, False], False)


def test_closing_the_scene_is_told_and_empties_the_selector(bridge, toy):
    ui = toy.widget.ui
    ui.volumeSelector.setCurrentNode(add_volume())
    bridge.close_scene()
    assert toy.widget.heard == ["enter", "closing", "closed"]
    assert ui.volumeSelector.currentNode() is None
    assert not ui.computeButton.enabled


def test_a_saved_scene_comes_back(bridge):
    add_volume("Scan")
    bridge.save_and_reload()
    assert slicer.util.getNode("Scan").IsA("vtkMRMLScalarVolumeNode")


def test_slice_views_follow_slicer_util(bridge):
    node = add_volume()
    slicer.util.setSliceViewerLayers(background=node, foregroundOpacity=0.25)
    for name in slicer.app.layoutManager().sliceViewNames():
        composite = slicer.app.layoutManager().sliceWidget(name).mrmlSliceCompositeNode()
        assert (composite.GetBackgroundVolumeID(), composite.GetForegroundOpacity()) == (node.GetID(), 0.25)


def test_the_watchdog_sees_what_blocks_the_loop(bridge):
    with bridge.watchdog(limit=0.1) as heartbeat:
        bridge.do(lambda: time.sleep(0.3))
    assert heartbeat.longest_block >= 0.28
    assert "test_the_watchdog_sees_what_blocks_the_loop" in heartbeat.blocked_in


def test_the_watchdog_does_not_count_the_tests_own_time(bridge):
    with bridge.watchdog() as heartbeat:
        bridge.pump(0.05)
        time.sleep(0.3)
        bridge.pump(0.05)
    assert heartbeat.longest_block < 0.25
    assert heartbeat.beats > 2


def test_a_screenshot_has_the_size_of_the_panel_and_text_in_it(bridge, toy, tmp_path):
    from PySide6.QtGui import QImage

    image = QImage(str(bridge.screenshot(toy.panel, tmp_path / "panel.png")))
    assert (image.width(), image.height()) == (400, 900)
    label = toy.widget.ui.volumeLabel
    corner = label.mapTo(toy.panel, label.rect.topLeft())
    dark = [
        (x, y)
        for x in range(corner.x(), corner.x() + label.width)
        for y in range(corner.y(), corner.y() + label.height)
        if image.pixelColor(x, y).lightness() < 100
    ]
    assert len(dark) > 30


def test_size_hints_are_properties_too(qt):
    label, table = qt.QLabel("words"), qt.QTableWidget(1, 1)
    assert label.sizeHint.width() > 10
    assert table.horizontalHeader().sizeHint.height() > 10


def test_what_qt_warns_of_fails_the_test(host):
    from bridge import Bridge

    bridge = Bridge(host)
    from PySide6.QtWidgets import QVBoxLayout, QWidget

    widget = QWidget()
    QVBoxLayout(widget)
    QVBoxLayout(widget)  # Qt keeps the first and complains
    with pytest.raises(AssertionError, match="Qt says: QLayout: Attempting to add QLayout"):
        bridge.close()
