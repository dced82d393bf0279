"""The fourth step on the panel's own widgets: slider, sentence, preview."""

import pytest
from panel_hands import Hands
from scene_cases import EXPERTS


@pytest.fixture
def hands(bridge, monkeypatch):
    return Hands(bridge, monkeypatch).ready()


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


def test_a_sentence_may_be_an_end_of_the_slider(hands):
    hands.outline()
    hands.bridge.type_text(hands.ui.promptComboBox.lineEdit(), "include the halo\n")
    hands.settle()
    hands.answer("include the halo", 7)
    hands.click("keepButton")
    hands.bridge.choose(hands.ui.firstStyleComboBox, "“include the halo”")
    hands.bridge.choose(hands.ui.secondStyleComboBox, "Fairly inclusive")
    hands.settle()
    hands.bridge.drag(hands.ui.steerSlider, 30)
    hands.settle()
    assert hands.logic.tasks[-1].asked[0] == ("include the halo", EXPERTS[2], 0.3)


def test_an_earlier_sentence_is_asked_again_from_the_history(hands):
    hands.outline()
    hands.bridge.type_text(hands.ui.promptComboBox.lineEdit(), "include the halo\n")
    hands.settle()
    hands.answer("include the halo", 7)
    hands.click("discardButton")
    asked = len(hands.logic.tasks)
    hands.click("advancedButton")
    history = hands.ui.historyList
    hands.bridge.do(lambda: history.itemActivated.emit(history.item(0)))
    assert [task.asked[0] for task in hands.logic.tasks[asked:]] == ["include the halo"]
