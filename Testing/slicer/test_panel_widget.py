"""The panel's own widgets on the bridge, driven as a person would; the worker's answers come from the test."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import slicer
from MultiRaterSegSlicer.install import installer, packages
from panel_fakes import FakeLogic, model
from PySide6.QtCore import Qt
from scene_cases import EXPERTS, Case

from MultiRaterSegLib.resources import resource_path

CONSENSUS = (4, 5, 6, 7, 8)


class Hands:
    """The loaded module with a scan in the scene and a worker that answers when it is told to."""

    def __init__(self, bridge, monkeypatch, **options):
        self.bridge = bridge
        self.case = Case(bridge.host.scene)
        slicer.mrmlScene.RemoveNode(self.case.points)
        self.logic = FakeLogic(self.case, **options)
        monkeypatch.setattr("MultiRaterSegSlicer.logic.MultiRaterSegLogic", lambda: self.logic)
        self.module = bridge.load("MultiRaterSeg")
        self.widget, self.ui = self.module.widget, self.module.widget.ui

    def ready(self):
        self.bridge.do(self.logic.become_ready)
        self.settle()
        return self

    def settle(self):
        """Until the panel has drawn what happened."""
        self.bridge.do(self.widget.panel.tick)

    def click(self, name):
        widget = getattr(self.ui, name)
        self.ui.scrollArea.ensureWidgetVisible(widget)
        self.bridge.click(widget)
        self.settle()

    def place(self, ras=None):
        self.click("placePointButton")
        self.bridge.place_point(self.case.center if ras is None else ras)
        self.settle()

    def answer(self, name, *radii):
        self.bridge.do(lambda: self.logic.tasks[-1].finish(self.case.answer(name, *radii)))
        self.settle()

    def outline(self):
        self.place()
        self.answer("consensus", *CONSENSUS)
        return self

    def cell(self, row, column):
        return self.ui.stylesTable.item(row, column).text()


@pytest.fixture
def hands(bridge, monkeypatch):
    return Hands(bridge, monkeypatch).ready()


def test_the_notice_is_always_in_sight_and_nothing_can_be_computed_yet(hands):
    assert hands.ui.noticeLabel.text == "Research use only. Not a medical device."
    assert hands.ui.noticeLabel.visible
    assert not hands.ui.computeButton.enabled
    assert hands.ui.steerButton.collapsed
    assert hands.ui.reviewButton.collapsed
    assert hands.ui.volumeSelector.currentNode() is hands.case.scan


def test_the_panel_fits_400_pixels(hands):
    hands.outline()
    for name in ("inputButton", "consensusButton", "stylesButton", "steerButton", "reviewButton", "advancedButton"):
        getattr(hands.ui, name).collapsed = False
    hands.settle()
    assert hands.ui.steps.minimumSizeHint.width() <= hands.ui.scrollArea.viewport().width
    assert hands.module.panel.width == 400


def test_a_result_with_all_styles_and_steps_fits_without_scrolling(hands):
    hands.module.panel.resize(400, 900)
    hands.outline()
    for name, radius in zip(EXPERTS, (4, 5, 6, 7)):
        hands.bridge.do(lambda name=name: hands.widget.panel.tick_row(name, True))
        hands.answer(name, radius)
    hands.bridge.pump(0.05)
    assert not hands.ui.steerButton.collapsed
    assert not hands.ui.reviewButton.collapsed
    assert hands.ui.scrollArea.verticalScrollBar().maximum == 0
    assert hands.ui.legendFrame.visible


def test_steps_that_the_person_closed_stay_closed_for_the_next_lesion(hands):
    hands.outline()
    hands.click("steerButton")
    hands.place(hands.case.center + [0, 0, 13])
    assert hands.ui.reviewButton.collapsed
    hands.answer("consensus", *CONSENSUS)
    assert hands.ui.steerButton.collapsed
    assert not hands.ui.reviewButton.collapsed


def test_models_stand_in_the_selector_with_what_they_were_trained_for(bridge, monkeypatch):
    hands = Hands(bridge, monkeypatch, models=(model(), model("plain", follows_prompts=False))).ready()
    box = hands.ui.modelComboBox
    grey = [box.itemData(n, Qt.ItemDataRole.ForegroundRole) is not None for n in range(box.count)]
    assert list(zip([box.itemText(n) for n in range(box.count)], grey)) == [
        ("Prosona_Compact · balls in CT", False),
        ("Plain · balls in CT", True),
    ]
    assert not hands.ui.modelLabel.visible
    bridge.choose(box, "Plain · balls in CT")
    hands.outline()
    assert hands.ui.modelLabel.text == "This model does not follow sentences."
    assert not hands.ui.promptComboBox.enabled
    assert not hands.ui.promptButton.enabled


def test_nothing_is_left_of_a_point_that_was_not_placed(hands):
    hands.click("placePointButton")
    hands.click("placePointButton")
    assert not hands.ui.placePointButton.checked
    assert hands.bridge.host.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode") == 0
    hands.click("placePointButton")
    interaction = hands.bridge.host.scene.GetFirstNodeByClass("vtkMRMLInteractionNode")
    hands.bridge.do(lambda: interaction.SetCurrentInteractionMode(interaction.ViewTransform))
    hands.settle()
    assert not hands.ui.placePointButton.checked


def test_numbers_open_in_a_table_view(hands):
    hands.outline()
    hands.click("tableButton")
    assert slicer.app.layoutManager().layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView
    selection = hands.bridge.host.scene.GetFirstNodeByClass("vtkMRMLSelectionNode")
    assert selection.GetActiveTableID() == hands.widget.panel.session.lesion.numbers_node.GetID()


def test_first_start_offers_the_example_and_the_installation(bridge, monkeypatch):
    hands = Hands(bridge, monkeypatch)
    bridge.do(lambda: hands.logic.lack("torch"))
    hands.settle()
    assert hands.ui.firstStartFrame.visible
    assert hands.ui.showExampleButton.enabled
    assert hands.ui.installButton.enabled
    assert not hands.ui.modelLabel.visible  # what is missing is said once
    assert not hands.ui.messageFrame.visible
    hands.ready()
    assert not hands.ui.firstStartFrame.visible


def test_the_example_is_shown_without_anything_installed(bridge, monkeypatch):
    hands = Hands(bridge, monkeypatch)
    bridge.do(lambda: hands.logic.lack("torch"))
    hands.click("showExampleButton")
    assert hands.cell(0, 0) == "Consensus"
    assert "(" in hands.cell(0, 1)
    assert not hands.ui.reviewButton.collapsed
    assert not hands.ui.steerFrame.enabled  # nothing can be computed
    assert hands.ui.volumeSelector.currentNode().GetName() == "SimulatedCT-RealOutlines"


def test_what_to_install_is_asked_with_sizes_and_a_way_for_offline_machines(bridge, monkeypatch, tmp_path):
    hands = Hands(bridge, monkeypatch)
    bridge.do(lambda: hands.logic.lack("torch"))
    hands.settle()
    monkeypatch.setattr(packages, "missing", list)
    plans = []
    monkeypatch.setattr(installer, "plan", lambda *asked: plans.append(asked) or SimpleNamespace(run=lambda say: None))
    bridge.will_answer("Cancel")
    hands.click("installButton")
    assert plans == []
    for words in ("Install CPU version (about", "MB)", "Install GPU version (about", "GB)", "HTTPS_PROXY"):
        assert words in bridge.dialogs.texts[0]
    for button in ("Install CPU version", "Install GPU version", "From a folder of wheels"):
        bridge.will_answer(button)
        bridge.will_choose_file(tmp_path)
        hands.click("installButton")
    assert plans == [("cpu", None), ("gpu", None), ("cpu", tmp_path)]
    assert hands.logic.restarts == 3


def test_an_installation_that_fails_says_what_to_do_behind_a_proxy(bridge, monkeypatch):
    hands = Hands(bridge, monkeypatch)
    bridge.do(lambda: hands.logic.lack("torch"))
    hands.settle()

    def fail(*_):
        raise installer.InstallError(f"PyTorch could not be installed. {installer.NETWORK_ADVICE}", "pip said no")

    monkeypatch.setattr(installer, "plan", fail)
    bridge.will_answer("Install CPU version", "OK")
    hands.click("installButton")
    assert "HTTPS_PROXY" in bridge.dialogs.texts[-1]
    assert hands.logic.restarts == 0


def test_text_encoders_are_offered_under_advanced(hands, monkeypatch):
    hands.click("advancedButton")
    monkeypatch.setattr(packages, "missing", list)
    hands.bridge.will_answer("Cancel")
    hands.click("encodersButton")
    assert "Install transformers (about" in hands.bridge.dialogs.texts[-1]
    assert "Install open_clip (about" in hands.bridge.dialogs.texts[-1]


def test_a_model_is_added_under_advanced(hands, monkeypatch, tmp_path):
    monkeypatch.setenv("MULTIRATERSEG_MODELS", str(tmp_path / "models"))
    hands.click("advancedButton")
    (tmp_path / "letter.safetensors").write_text("Dear reader")
    hands.bridge.will_choose_file(tmp_path / "letter.safetensors")
    hands.click("addModelButton")
    assert "is not a readable model file" in hands.ui.messageLabel.text
    assert hands.logic.restarts == 0
    shipped = resource_path("Models", "prosona_compact.safetensors")
    shutil.copyfile(shipped, tmp_path / "mine.safetensors")
    hands.bridge.will_choose_file(tmp_path / "mine.safetensors")
    hands.click("addModelButton")
    assert (tmp_path / "models" / "mine.safetensors").read_bytes() == shipped.read_bytes()
    assert (hands.logic.restarts, hands.widget.panel.session.parameters.model) == (1, "mine")


def test_click_compute_result(hands):
    hands.click("placePointButton")
    assert hands.ui.placePointButton.checked
    hands.bridge.place_point(hands.case.center)
    hands.settle()
    assert not hands.ui.placePointButton.checked
    assert hands.ui.computeButton.text == "Cancel"
    assert hands.ui.busyFrame.visible
    hands.bridge.do(lambda: hands.logic.tasks[-1].report(210, 840, 3))
    assert (hands.ui.busyLabel.text, hands.ui.progressBar.value) == ("Consensus of L1: 210 of 840 slices, 3 s left", 25)
    hands.answer("consensus", *CONSENSUS)
    assert not hands.ui.busyFrame.visible
    assert hands.ui.computeButton.text == "Compute"
    assert not hands.ui.steerButton.collapsed
    assert not hands.ui.reviewButton.collapsed
    assert hands.cell(0, 0) == "Consensus"
    assert hands.cell(0, 1).count("(") == 1
    assert hands.ui.lesionComboBox.currentText == "L1"


def test_cancel_is_where_compute_was_and_beside_the_progress(hands):
    hands.place()
    hands.click("cancelButton")
    assert hands.ui.messageLabel.text == "Cancelled. Consensus of L1 was not added."
    hands.click("computeButton")
    assert len(hands.logic.tasks) == 2
    hands.click("computeButton")
    assert hands.logic.tasks[1].finished


def test_a_tick_computes_a_style_and_hides_and_shows_it(hands):
    hands.outline()
    table = hands.ui.stylesTable

    def tick(row):
        box = table.visualItemRect(table.item(row, 0))
        point = box.topLeft()
        point.setX(point.x() + 10)
        point.setY(box.center().y())
        hands.bridge.click(table.viewport(), point)
        hands.settle()

    tick(1)
    assert hands.logic.tasks[-1].asked == ("conservative", 20)
    assert hands.cell(1, 1) == "computing…"
    hands.answer("conservative", 5)
    lesion = hands.widget.panel.session.lesion
    assert lesion.visible("conservative")
    tick(1)
    assert not lesion.visible("conservative")
    tick(1)
    assert lesion.visible("conservative")
    assert len(hands.logic.tasks) == 2


def test_the_unsuitable_scan_gets_its_two_buttons(bridge, monkeypatch):
    warning = "This model was trained on single lung nodules in CT. Results here are not meaningful."
    hands = Hands(bridge, monkeypatch, warning=warning).ready()
    hands.place()
    assert hands.ui.messageLabel.text == warning
    assert (hands.ui.messageSecondButton.text, hands.ui.messageFirstButton.text) == ("Cancel", "Try anyway")
    hands.click("messageFirstButton")
    assert len(hands.logic.tasks) == 1
    assert not hands.ui.messageFrame.visible


def test_the_slider_previews_while_it_moves_and_the_whole_when_it_rests(hands):
    hands.outline()
    hands.ui.scrollArea.ensureWidgetVisible(hands.ui.steerSlider)
    hands.bridge.drag(hands.ui.steerSlider, 80)
    assert hands.logic.previews[0].asked[0][:2] == ("conservative", "inclusive")
    hands.settle()
    assert hands.logic.tasks[-1].asked[0] == ("conservative", "inclusive", 0.8)
    hands.answer("conservative to inclusive, 0.8", 7)
    assert hands.ui.previewLabel.text.startswith("Preview (not kept): ")
    hands.click("keepButton")
    assert hands.ui.stylesTable.rowCount == 6
    assert not hands.ui.keepButton.enabled
    hands.click("undoButton")
    assert hands.ui.stylesTable.rowCount == 5


def test_arrow_keys_steer_too(hands):
    hands.outline()
    hands.bridge.do(lambda: hands.ui.steerSlider.setValue(51))
    hands.bridge.wait_until(lambda: len(hands.logic.tasks) == 2)
    assert hands.logic.tasks[-1].asked[0][2] == 0.51


def test_a_sentence_is_read_while_it_is_typed_and_followed_on_return(hands):
    hands.outline()
    line = hands.ui.promptComboBox.lineEdit()
    hands.ui.scrollArea.ensureWidgetVisible(hands.ui.promptComboBox)
    hands.bridge.type_text(line, "halo crispy")
    hands.bridge.wait_until(lambda: hands.ui.problemLabel.visible)
    assert hands.ui.problemLabel.text == "Not understood: crispy. Try: tighter, include halo."
    assert len(hands.logic.tasks) == 1
    hands.bridge.type_text(line, "include the halo\n")
    hands.settle()
    assert hands.logic.tasks[-1].asked[0] == "include the halo"
    assert hands.ui.understoodLabel.text == "Understood as: halo included."
    assert hands.ui.historyList.item(0).text() == "include the halo"
    assert hands.ui.promptComboBox.currentText == "include the halo"


def test_a_spot_in_the_list_moves_the_slice_views(hands):
    hands.outline()
    view = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    spot = hands.widget.panel.facts.spots[1]
    hands.ui.scrollArea.ensureWidgetVisible(hands.ui.spotsList)
    hands.bridge.click_cell(hands.ui.spotsList, 1)
    assert view.GetSliceToRAS().GetElement(2, 3) == pytest.approx(spot.ras[2], abs=0.01)


def test_map_and_bands_have_their_switches_and_the_map_its_words(hands):
    hands.outline()
    assert not hands.ui.mapLegendFrame.visible
    hands.click("mapCheckBox")
    words = [getattr(hands.ui, f"map{part}Label").text for part in ("Title", "Low", "Middle", "High", "Footer")]
    assert words[0] == "Simulated reader disagreement (%)"
    assert words[1:4] == ["0 all agree", "25 1 in 4 disagrees", "50 evenly split"]
    assert words[4] == "Not probability of disease"
    assert hands.ui.mapLegendFrame.visible
    hands.click("bandsCheckBox")
    assert not hands.widget.panel.session.lesion.visible("bands")


def test_edit_a_copy_opens_segment_editor_on_it_alone(hands):
    hands.outline()
    hands.click("editButton")
    editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
    copy = editor.segmentationNode()
    assert copy.GetName() == "L1 Edited Consensus"
    assert copy.GetSegmentation().GetNumberOfSegments() == 1
    assert editor.sourceVolumeNode() is hands.case.scan


def test_a_decision_is_written_down_with_its_note(hands):
    hands.outline()
    hands.bridge.type_text(hands.ui.noteLineEdit, "spiky")
    hands.click("flagButton")
    assert hands.ui.reviewLabel.text.startswith("Flagged: Consensus · ")
    assert hands.ui.reviewLabel.text.endswith(" · spiky")
    assert hands.ui.noteLineEdit.text == ""


def test_export_asks_where_and_says_it(hands, tmp_path):
    hands.outline()
    hands.bridge.will_choose_file(tmp_path / "out.seg.nrrd")
    hands.click("exportButton")
    assert hands.ui.messageLabel.text == f"Exported: {tmp_path / 'out.seg.nrrd'}"
    hands.bridge.choose(hands.ui.exportComboBox, "DICOM RTSTRUCT")
    hands.click("exportButton")
    assert "SlicerRT" in hands.ui.messageLabel.text


def test_a_crash_is_said_with_a_restart_button(hands):
    hands.outline()
    hands.click("allStylesButton")
    hands.bridge.do(hands.logic.crash)
    hands.settle()
    assert "ended unexpectedly" in hands.ui.messageLabel.text
    hands.click("messageFirstButton")
    assert hands.logic.restarts == 1
    assert hands.cell(0, 0) == "Consensus"


def test_closing_the_scene_while_computing_empties_the_panel(hands):
    hands.place()
    hands.bridge.close_scene()
    hands.settle()
    assert hands.logic.tasks[-1].finished
    assert not hands.ui.busyFrame.visible
    assert hands.ui.lesionComboBox.count == 0
    assert hands.ui.volumeSelector.currentNode() is None
    hands.bridge.do(lambda: hands.logic.tasks[-1].report(1, 2))


def test_a_scene_that_comes_back_from_its_file_continues(hands):
    hands.ui.samplesSpinBox.value = 40
    hands.outline()
    hands.click("mapCheckBox")
    numbers = hands.cell(0, 1)
    hands.bridge.save_and_reload()
    hands.settle()
    assert hands.cell(0, 1) == numbers
    assert hands.ui.samplesSpinBox.value == 40
    assert hands.ui.mapCheckBox.checked
    assert hands.ui.lesionComboBox.currentText == "L1"
    assert hands.ui.volumeSelector.currentNode().GetName() == "CTChest"


def test_blind_review_shows_no_result(hands):
    hands.ui.advancedButton.collapsed = False
    hands.settle()
    hands.click("blindCheckBox")
    hands.outline()
    assert hands.cell(0, 1) == ""
    hands.click("messageFirstButton")
    assert hands.cell(0, 1)


def test_leaving_the_module_ends_placing(hands):
    hands.click("placePointButton")
    hands.bridge.do(hands.widget.exit)
    hands.settle()
    assert not hands.ui.placePointButton.checked


def test_the_tab_key_goes_down_the_panel(hands):
    hands.outline()
    order, widget = [], hands.ui.volumeSelector
    names = {id(value): name for name, value in vars(hands.ui).items()}
    for _ in range(200):
        widget = widget.nextInFocusChain()
        order.append(names.get(id(widget)))
    expected = ["placePointButton", "samplesSpinBox", "computeButton", "stylesTable", "steerSlider", "keepButton"]
    assert [order.index(name) for name in expected] == sorted(order.index(name) for name in expected)


def test_the_logic_is_the_one_that_the_console_gets(hands):
    assert slicer.util.getModuleLogic("MultiRaterSeg") is hands.logic
    assert np.all(hands.module.module.__all__)
