"""The first step on the panel's own widgets: volume, model, point, box, and the warnings before anything is computed."""

import pytest
from panel_fakes import model
from panel_hands import CONSENSUS, Hands
from PySide6.QtCore import Qt


@pytest.fixture
def hands(bridge, monkeypatch):
    return Hands(bridge, monkeypatch).ready()


def test_the_notice_is_always_in_sight_and_nothing_can_be_computed_yet(hands):
    assert hands.ui.noticeLabel.text == "Research use only. Not a medical device."
    assert hands.ui.noticeLabel.visible
    assert not hands.ui.scrollArea.isAncestorOf(hands.ui.noticeLabel)
    assert not hands.ui.computeButton.enabled
    assert hands.ui.steerButton.collapsed
    assert hands.ui.reviewButton.collapsed
    assert hands.ui.volumeSelector.currentNode() is hands.case.scan


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


def test_the_unsuitable_scan_gets_its_two_buttons(bridge, monkeypatch):
    warning = "This model was trained on single lung nodules in CT. Results here are not meaningful."
    hands = Hands(bridge, monkeypatch, warning=warning).ready()
    hands.place()
    assert hands.ui.messageLabel.text == warning
    assert (hands.ui.messageSecondButton.text, hands.ui.messageFirstButton.text) == ("Cancel", "Try anyway")
    hands.click("messageFirstButton")
    assert len(hands.logic.tasks) == 1
    assert not hands.ui.messageFrame.visible


def test_an_error_is_read_and_closed(hands):
    hands.place((500, 500, 500))
    assert hands.ui.messageLabel.text == "This place is outside 'CTChest'."
    assert not hands.ui.messageSecondButton.visible
    hands.click("messageFirstButton")
    assert not hands.ui.messageFrame.visible


def test_the_warning_of_a_style_alone_is_seen_too(bridge, monkeypatch):
    hands = Hands(bridge, monkeypatch, warning="Not meaningful.").ready()
    bridge.do(lambda: hands.widget.panel.set_compute_on_place(False))
    hands.place()
    bridge.do(lambda: hands.widget.panel.tick_row("conservative", True))
    hands.settle()
    hands.click("messageFirstButton")
    result = hands.case.answer("conservative", 5, warnings=("Not meaningful.",))
    bridge.do(lambda: hands.logic.tasks[-1].finish(result))
    hands.settle()
    assert hands.ui.warningsFrame.visible
    assert "Not meaningful." in hands.ui.warningsLabel.text


def test_the_warning_stays_with_the_result(bridge, monkeypatch):
    warning = "This model was trained on single lung nodules in CT. Results here are not meaningful."
    hands = Hands(bridge, monkeypatch, warning=warning).ready()
    hands.place()
    hands.click("messageFirstButton")
    result = hands.case.answer("consensus", *CONSENSUS, warnings=(warning,))
    bridge.do(lambda: hands.logic.tasks[-1].finish(result))
    hands.settle()
    assert hands.ui.warningsFrame.visible
    assert hands.ui.warningsLabel.text == warning


def test_a_second_point_on_a_lesion_is_asked_about(hands):
    hands.outline()
    hands.place(hands.case.center + [2, 0, 0])
    assert hands.ui.messageLabel.text == "This place lies on L1, which is outlined already. Is it another lesion?"
    assert (hands.ui.messageSecondButton.text, hands.ui.messageFirstButton.text) == ("Another lesion", "Same as L1")
    hands.click("messageFirstButton")
    assert [hands.ui.lesionComboBox.itemText(n) for n in range(hands.ui.lesionComboBox.count)] == ["L1"]
    hands.place(hands.case.center + [2, 0, 0])
    hands.click("messageSecondButton")
    assert hands.ui.lesionComboBox.currentText == "L2"
    assert len(hands.logic.tasks) == 2


def test_a_deleted_scan_or_point_leaves_a_panel_that_goes_on(hands):
    hands.outline()
    scene = hands.bridge.host.scene
    hands.bridge.do(lambda: scene.RemoveNode(hands.widget.panel.session.lesion.place_node))
    hands.bridge.choose(hands.ui.lesionComboBox, "L1")
    hands.settle()
    assert hands.ui.lesionComboBox.currentText == "L1"
    hands.bridge.do(lambda: scene.RemoveNode(hands.case.scan))
    hands.settle()
    assert hands.ui.volumeSelector.currentNode() is None
    assert hands.ui.lesionComboBox.count == 0
    assert not hands.ui.computeButton.enabled
    assert hands.ui.steerButton.collapsed


def test_a_box_is_drawn_in_the_views(hands):
    hands.click("placeBoxButton")
    assert hands.ui.placeBoxButton.checked
    box = hands.bridge.host.scene.GetFirstNodeByClass("vtkMRMLMarkupsROINode")
    interaction = hands.bridge.host.scene.GetFirstNodeByClass("vtkMRMLInteractionNode")

    def draw():
        box.SetCenter(*hands.case.center)
        box.SetSize(20, 20, 20)
        interaction.SetCurrentInteractionMode(interaction.ViewTransform)

    hands.bridge.do(draw)
    hands.settle()
    assert not hands.ui.placeBoxButton.checked
    assert hands.ui.lesionComboBox.currentText == "L1 · box"
    assert len(hands.logic.tasks) == 1


def test_a_box_of_the_scene_is_chosen_under_advanced(hands):
    box = hands.bridge.host.scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Box")
    box.SetCenter(*hands.case.center)
    box.SetSize(20, 20, 20)
    hands.bridge.do(lambda: hands.ui.boxSelector.setCurrentNode(box))
    hands.settle()
    assert hands.ui.lesionComboBox.currentText == "L1 · box"
    assert hands.widget.panel.session.lesion.place_node is box


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
