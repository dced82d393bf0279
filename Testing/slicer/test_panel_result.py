"""Consensus and reader styles on the panel's own widgets, driven as a person would; the worker's answers come from the test."""

import numpy as np
import pytest
import slicer
from panel_hands import CONSENSUS, Hands
from scene_cases import EXPERTS


@pytest.fixture
def hands(bridge, monkeypatch):
    return Hands(bridge, monkeypatch).ready()


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


def test_numbers_open_in_a_table_view(hands):
    hands.outline()
    hands.click("tableButton")
    assert slicer.app.layoutManager().layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView
    selection = hands.bridge.host.scene.GetFirstNodeByClass("vtkMRMLSelectionNode")
    assert selection.GetActiveTableID() == hands.widget.panel.session.lesion.numbers_node.GetID()


def test_pressed_again_the_table_goes_and_the_layout_is_what_it_was(hands):
    layouts, one_slice = slicer.app.layoutManager(), slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
    layouts.setLayout(one_slice)
    hands.outline()
    hands.click("tableButton")
    hands.click("tableButton")
    assert layouts.layout == one_slice
    hands.click("tableButton")
    first = hands.widget.panel.session.lesion.numbers_node.GetID()
    hands.place(hands.case.center + [0, 0, 13])
    hands.answer("consensus", *CONSENSUS)
    hands.click("tableButton")  # of another lesion: shown, not closed
    selection = hands.bridge.host.scene.GetFirstNodeByClass("vtkMRMLSelectionNode")
    assert selection.GetActiveTableID() not in ("", first)
    assert layouts.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView
    hands.click("tableButton")
    assert layouts.layout == one_slice


def test_click_compute_result(hands):
    hands.click("placePointButton")
    assert hands.ui.placePointButton.checked
    hands.bridge.place_point(hands.case.center)
    hands.settle()
    assert not hands.ui.placePointButton.checked
    assert not hands.ui.computeButton.enabled
    assert hands.ui.busyFrame.visible
    hands.bridge.do(lambda: hands.logic.tasks[-1].report(210, 840, 3))
    assert hands.ui.busyLabel.text == "Consensus of L1: 210 of 840 slices of all samples, 3 s left"
    assert hands.ui.progressBar.value == 25
    hands.answer("consensus", *CONSENSUS)
    assert not hands.ui.busyFrame.visible
    assert hands.ui.computeButton.enabled
    assert not hands.ui.steerButton.collapsed
    assert not hands.ui.reviewButton.collapsed
    assert hands.cell(0, 0) == "Consensus"
    assert hands.cell(0, 1).count("(") == 1
    assert hands.ui.lesionComboBox.currentText == "L1"


def test_one_cancel_stands_beside_the_progress(hands):
    hands.place()
    buttons = [widget for widget in vars(hands.ui).values() if getattr(widget, "text", "") == "Cancel"]
    assert [button.name for button in buttons if button.visible] == ["cancelButton"]
    hands.click("cancelButton")
    assert hands.ui.messageLabel.text == "Cancelled. Consensus of L1 was not added."
    hands.click("computeButton")
    assert len(hands.logic.tasks) == 2


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


def test_twenty_samples_unless_somebody_wants_ten_to_a_hundred(hands):
    box = hands.ui.samplesSpinBox
    assert (box.value, box.minimum, box.maximum) == (20, 10, 100)
    box.value = 100
    hands.place()
    assert hands.logic.tasks[-1].asked == ("consensus", 100)


def test_sizes_out_of_order_are_said_below_the_table(hands):
    assert hands.ui.stylesLabel.text == (
        "Learned from anonymous readers ranked by size of their outlines; not individual doctors."
    )
    hands.outline()
    assert not hands.ui.orderLabel.visible
    for name, radius in (("conservative", 8), ("inclusive", 5)):
        hands.bridge.do(lambda name=name: hands.widget.panel.tick_row(name, True))
        hands.answer(name, radius)
    assert hands.ui.orderLabel.visible
    assert "not in their usual order" in hands.ui.orderLabel.text


def test_the_map_gives_back_what_was_in_front_and_leaves_the_rest_alone(hands):
    view = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    pet = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "PET")
    hands.case.scan.CreateDefaultDisplayNodes()
    display = hands.case.scan.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(1400, -500)
    slicer.util.setSliceViewerLayers(background=hands.case.scan, foreground=pet, foregroundOpacity=0.3)
    hands.outline()
    hands.click("mapCheckBox")
    assert view.GetForegroundVolumeID() == hands.widget.panel.session.lesion.map_node.GetID()
    hands.click("mapCheckBox")
    assert (view.GetForegroundVolumeID(), view.GetForegroundOpacity()) == (pet.GetID(), 0.3)
    assert view.GetBackgroundVolumeID() == hands.case.scan.GetID()
    assert (display.GetWindow(), display.GetLevel()) == (1400, -500)


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


def test_the_logic_is_the_one_that_the_console_gets(hands):
    assert slicer.util.getModuleLogic("MultiRaterSeg") is hands.logic
    assert np.all(hands.module.module.__all__)
