"""Steps of a diffusion model and the preference of an aligned one, on the panel: seen where there is a choice, asked for,
kept with the scene."""

import pytest
from MultiRaterSegSlicer.parameters import Parameters
from panel_fakes import model
from panel_hands import CONSENSUS, Hands
from scene_cases import EXPERTS
from test_presenter import Desk

from MultiRaterSegLib.knobs import OWN, Knobs

SLOW = model("slow", knobs=Knobs(20), most_steps=100)
QUICK = model("quick", knobs=Knobs(4), most_steps=8)
ALIGNED = model("aligned", knobs=Knobs(10, 0.5), most_steps=50)
MODELS = (SLOW, QUICK, ALIGNED, model("latent"))


@pytest.fixture
def desk(host):
    return Desk(host.scene, models=MODELS)


@pytest.fixture
def hands(bridge, monkeypatch):
    hands = Hands(bridge, monkeypatch, models=MODELS).ready()
    hands.click("advancedButton")
    return hands


def drawn(desk, name, *radii, steps, **more):
    desk.answer(name, *radii, model=desk.panel.session.model.name, sampling_steps=steps, **more)


def test_a_model_begins_with_its_own_number_and_says_which_that_is(desk):
    assert (desk.state.steps.count, desk.state.steps.most) == (20, 100)
    assert "Fewer are faster" in desk.state.steps.tip
    assert "own number is 20." in desk.state.steps.tip
    desk.panel.turn("steps", 5)
    assert (desk.state.steps.count, desk.state.steps.most) == (5, 100)
    assert "own number is 20." in desk.state.steps.tip


def test_everything_that_is_computed_later_takes_the_chosen_number(desk):
    desk.click()
    drawn(desk, "consensus", *CONSENSUS, steps=20)
    assert desk.logic.knobs_asked == [Knobs(20)]
    desk.panel.turn("steps", 5)
    desk.panel.compute()
    drawn(desk, "consensus", *CONSENSUS, steps=5)
    desk.panel.all_styles()
    for name in EXPERTS:
        drawn(desk, name, 5, steps=5)
    desk.panel.steer.slide(0.3)
    desk.panel.steer.rest()
    drawn(desk, "conservative to inclusive, 0.3", 6, steps=5)
    desk.panel.steer.say("include the halo")
    assert desk.task.asked[0] == "include the halo"
    assert desk.logic.previews
    assert len(desk.logic.tasks) == 2 + len(EXPERTS) + 2
    assert set(desk.logic.knobs_asked[1:]) == {Knobs(5)}


def test_what_waits_in_line_is_drawn_as_it_was_when_it_was_asked_for(desk):
    desk.click()
    drawn(desk, "consensus", *CONSENSUS, steps=20)
    desk.panel.all_styles()
    desk.panel.turn("steps", 5)
    for name in EXPERTS:
        drawn(desk, name, 5, steps=20)
    assert desk.logic.knobs_asked == [Knobs(20)] * (1 + len(EXPERTS))
    assert desk.row("inclusive").title == "Inclusive (largest) · 20 steps"


def test_how_quick_previews_are_is_known_of_each_number_of_steps(desk):
    desk.logic.slow.add(Knobs(20))
    desk.click()
    drawn(desk, "consensus", *CONSENSUS, steps=20)
    desk.panel.steer.slide(0.3)
    assert not desk.logic.previews
    desk.panel.turn("steps", 5)
    desk.panel.steer.slide(0.4)
    assert len(desk.logic.previews) == 1
    desk.panel.turn("steps", 20)
    desk.panel.steer.slide(0.5)
    assert len(desk.logic.previews) == 1


def test_what_was_drawn_in_other_steps_is_said_and_drawn_anew(desk):
    desk.click()
    drawn(desk, "consensus", *CONSENSUS, steps=20)
    desk.panel.all_styles()
    for name in EXPERTS:
        drawn(desk, name, 5, steps=20)
    assert not desk.state.styles_left
    desk.panel.turn("steps", 5)
    assert desk.state.styles_left
    assert desk.row("inclusive").title == "Inclusive (largest) · 20 steps"
    desk.panel.tick_row("inclusive", False)
    desk.panel.tick_row("inclusive", True)
    assert desk.task.asked == ("inclusive", 20)
    drawn(desk, "inclusive", 6, steps=5)
    assert desk.row("inclusive").title == "Inclusive (largest)"
    [warning] = [text for text in desk.state.warnings if "different numbers of steps" in text]
    assert "5: Inclusive (largest)" in warning
    desk.panel.turn("steps", 20)
    assert desk.row("inclusive").title == "Inclusive (largest) · 5 steps"
    desk.panel.all_styles()
    assert desk.task.asked == ("inclusive", 20)
    drawn(desk, "inclusive", 6, steps=20)
    assert not [text for text in desk.state.warnings if "steps" in text]
    assert not desk.state.styles_left


def test_a_preview_goes_with_its_number_of_steps(desk):
    desk.click()
    drawn(desk, "consensus", *CONSENSUS, steps=20)
    desk.panel.steer.slide(0.3)
    desk.panel.steer.rest()
    drawn(desk, "conservative to inclusive, 0.3", 6, steps=20)
    assert desk.state.steer.can_keep
    desk.panel.turn("steps", 5)
    assert not desk.state.steer.can_keep


def test_each_model_keeps_its_number_and_one_without_steps_is_asked_for_none(desk):
    desk.panel.turn("steps", 5)
    desk.panel.choose_model("quick")
    assert (desk.state.steps.count, desk.state.steps.most) == (4, 8)
    desk.panel.turn("steps", 2)
    desk.panel.choose_model("latent")
    assert desk.state.steps is None
    desk.click()
    desk.panel.choose_model("slow")
    assert desk.state.steps.count == 5
    desk.panel.choose_model("quick")
    assert desk.state.steps.count == 2
    desk.answer("consensus", *CONSENSUS, model="latent")
    desk.panel.compute()
    assert (desk.logic.asked_of, desk.logic.knobs_asked) == (["latent", "quick"], [OWN, Knobs(2)])


def test_the_preference_begins_with_the_models_own_and_says_what_its_ends_are(desk):
    assert desk.state.preference is None
    desk.panel.choose_model("aligned")
    assert desk.state.preference.value == 0.5
    for words in ("0: draws as before", "1: as alignment left it", "own value is 0.5."):
        assert words in desk.state.preference.tip
    desk.panel.turn("preference", 1.0)
    desk.panel.turn("steps", 2)
    assert desk.state.preference.value == 1
    assert "own value is 0.5." in desk.state.preference.tip
    desk.panel.choose_model("slow")
    assert desk.state.preference is None
    desk.panel.choose_model("aligned")
    assert (desk.state.preference.value, desk.state.steps.count) == (1, 2)
    desk.click()
    assert desk.logic.knobs_asked == [Knobs(2, 1.0)]


def test_what_was_drawn_with_another_preference_is_said_and_drawn_anew(desk):
    desk.panel.choose_model("aligned")
    desk.click()
    drawn(desk, "consensus", *CONSENSUS, steps=10, preference=0.5)
    desk.panel.all_styles()
    for name in EXPERTS:
        drawn(desk, name, 5, steps=10, preference=0.5)
    assert not desk.state.styles_left
    desk.panel.turn("preference", 0.0)
    assert desk.state.styles_left
    assert desk.row("inclusive").title == "Inclusive (largest) · preference 0.5"
    desk.panel.turn("steps", 5)
    assert desk.row("inclusive").title == "Inclusive (largest) · 10 steps · preference 0.5"
    desk.panel.tick_row("inclusive", False)
    desk.panel.tick_row("inclusive", True)
    drawn(desk, "inclusive", 6, steps=5, preference=0.0)
    assert desk.row("inclusive").title == "Inclusive (largest)"
    [warning] = [text for text in desk.state.warnings if "different preferences" in text]
    assert "0.0: Inclusive (largest)" in warning
    desk.panel.turn("steps", 10)
    desk.panel.turn("preference", 0.5)
    assert desk.row("inclusive").title == "Inclusive (largest) · 5 steps · preference 0"


def test_a_preview_goes_with_its_preference(desk):
    desk.panel.choose_model("aligned")
    desk.click()
    drawn(desk, "consensus", *CONSENSUS, steps=10, preference=0.5)
    desk.panel.steer.slide(0.3)
    desk.panel.steer.rest()
    drawn(desk, "conservative to inclusive, 0.3", 6, steps=10, preference=0.5)
    assert desk.state.steer.can_keep
    desk.panel.turn("preference", 1.0)
    assert not desk.state.steer.can_keep


def test_the_box_is_there_only_for_a_model_that_draws_in_steps(hands):
    ui = hands.ui
    assert ui.stepsSpinBox.visible
    assert ui.stepsSpinBoxCaption.visible
    assert (ui.stepsSpinBox.value, ui.stepsSpinBox.minimum, ui.stepsSpinBox.maximum) == (20, 1, 100)
    assert "own number is 20." in ui.stepsSpinBox.toolTip
    hands.bridge.choose(ui.modelComboBox, "Latent · balls in CT")
    hands.settle()
    assert not ui.stepsSpinBox.visible
    assert not ui.stepsSpinBoxCaption.visible
    hands.bridge.choose(ui.modelComboBox, "Quick · balls in CT")
    hands.settle()
    assert ui.stepsSpinBox.visible
    assert (ui.stepsSpinBox.value, ui.stepsSpinBox.maximum) == (4, 8)
    assert Parameters().steps == {}  # nobody chose anything


def test_the_box_of_the_preference_is_there_only_for_an_aligned_model(hands):
    ui = hands.ui
    assert not ui.preferenceSpinBox.visible
    assert not ui.preferenceSpinBoxCaption.visible
    hands.bridge.choose(ui.modelComboBox, "Aligned · balls in CT")
    hands.settle()
    assert ui.stepsSpinBox.visible
    assert ui.preferenceSpinBox.visible
    assert ui.preferenceSpinBoxCaption.visible
    box = ui.preferenceSpinBox
    assert (box.value, box.minimum, box.maximum, box.singleStep) == (0.5, 0, 1, 0.25)
    assert "own value is 0.5." in box.toolTip
    assert Parameters().preference == {}  # nobody chose anything


def test_a_typed_preference_counts_when_it_is_whole_and_is_kept_with_the_scene(hands):
    hands.bridge.choose(hands.ui.modelComboBox, "Aligned · balls in CT")
    hands.settle()
    hands.bridge.type_text(hands.ui.preferenceSpinBox, "0.3")
    hands.bridge.do(hands.widget.panel.session.changed)  # the panel is drawn anew meanwhile
    hands.settle()
    assert hands.ui.preferenceSpinBox.text == "0.3"
    assert Parameters().preference == {}
    hands.bridge.type_text(hands.ui.preferenceSpinBox, "0.75\n")
    hands.settle()
    assert Parameters().preference == {"aligned": 0.75}
    hands.bridge.save_and_reload()
    hands.settle()
    assert hands.ui.preferenceSpinBox.value == 0.75
    hands.place()
    assert hands.logic.knobs_asked == [Knobs(10, 0.75)]


def test_a_typed_number_counts_when_it_is_whole_and_beyond_the_largest_none_is_taken(hands):
    box = hands.ui.stepsSpinBox
    hands.bridge.type_text(box, "5")
    hands.bridge.do(hands.widget.panel.session.changed)  # the panel is drawn anew meanwhile
    hands.settle()
    assert box.text == "5"
    assert Parameters().steps == {}
    hands.bridge.type_text(box, "57\n")
    assert Parameters().steps == {"slow": 57}
    hands.bridge.type_text(box, "101\n")
    assert Parameters().steps["slow"] <= 100
    hands.bridge.type_text(box, "6\n")
    hands.settle()
    hands.place()
    assert hands.logic.knobs_asked == [Knobs(6)]


def test_the_number_is_kept_with_the_scene(hands):
    hands.bridge.type_text(hands.ui.stepsSpinBox, "7\n")
    hands.settle()
    hands.bridge.save_and_reload()
    hands.settle()
    assert hands.ui.stepsSpinBox.value == 7
    hands.bridge.choose(hands.ui.modelComboBox, "Quick · balls in CT")
    hands.settle()
    assert hands.ui.stepsSpinBox.value == 4
