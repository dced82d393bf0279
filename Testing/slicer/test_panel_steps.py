"""How many steps a diffusion model draws in, on the panel: seen where there is a choice, asked for, kept with the scene."""

import pytest
from MultiRaterSegSlicer.parameters import Parameters
from panel_fakes import model
from panel_hands import CONSENSUS, Hands
from scene_cases import EXPERTS
from test_presenter import Desk

SLOW = model("slow", steps=20, most_steps=100)
QUICK = model("quick", steps=4, most_steps=8)


@pytest.fixture
def desk(host):
    return Desk(host.scene, models=(SLOW, QUICK, model("latent")))


@pytest.fixture
def hands(bridge, monkeypatch):
    hands = Hands(bridge, monkeypatch, models=(SLOW, QUICK, model("latent"))).ready()
    hands.click("advancedButton")
    return hands


def drawn(desk, name, *radii, steps):
    desk.answer(name, *radii, model=desk.panel.session.model.name, sampling_steps=steps)


def test_a_model_begins_with_its_own_number_and_says_which_that_is(desk):
    assert (desk.state.steps.count, desk.state.steps.most) == (20, 100)
    assert "Fewer are faster" in desk.state.steps.tip
    assert "own number is 20." in desk.state.steps.tip
    desk.panel.set_steps(5)
    assert (desk.state.steps.count, desk.state.steps.most) == (5, 100)
    assert "own number is 20." in desk.state.steps.tip


def test_everything_that_is_computed_later_takes_the_chosen_number(desk):
    desk.click()
    drawn(desk, "consensus", *CONSENSUS, steps=20)
    assert desk.logic.steps_asked == [20]
    desk.panel.set_steps(5)
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
    assert set(desk.logic.steps_asked[1:]) == {5}


def test_what_was_drawn_in_other_steps_is_said_and_drawn_anew(desk):
    desk.click()
    drawn(desk, "consensus", *CONSENSUS, steps=20)
    desk.panel.all_styles()
    for name in EXPERTS:
        drawn(desk, name, 5, steps=20)
    assert not desk.state.styles_left
    desk.panel.set_steps(5)
    assert desk.state.styles_left
    assert desk.row("inclusive").title == "Inclusive (largest) · 20 steps"
    desk.panel.tick_row("inclusive", False)
    desk.panel.tick_row("inclusive", True)
    assert desk.task.asked == ("inclusive", 20)
    drawn(desk, "inclusive", 6, steps=5)
    assert desk.row("inclusive").title == "Inclusive (largest)"
    [warning] = [text for text in desk.state.warnings if "different numbers of steps" in text]
    assert "5: Inclusive (largest)" in warning
    desk.panel.set_steps(20)
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
    desk.panel.set_steps(5)
    assert not desk.state.steer.can_keep


def test_each_model_keeps_its_number_and_one_without_steps_is_asked_for_none(desk):
    desk.panel.set_steps(5)
    desk.panel.choose_model("quick")
    assert (desk.state.steps.count, desk.state.steps.most) == (4, 8)
    desk.panel.set_steps(2)
    desk.panel.choose_model("latent")
    assert desk.state.steps is None
    desk.click()
    desk.panel.choose_model("slow")
    assert desk.state.steps.count == 5
    desk.panel.choose_model("quick")
    assert desk.state.steps.count == 2
    desk.answer("consensus", *CONSENSUS, model="latent")
    desk.panel.compute()
    assert (desk.logic.asked_of, desk.logic.steps_asked) == (["latent", "quick"], [None, 2])


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
    assert hands.logic.steps_asked == [6]


def test_the_number_is_kept_with_the_scene(hands):
    hands.bridge.type_text(hands.ui.stepsSpinBox, "7\n")
    hands.settle()
    hands.bridge.save_and_reload()
    hands.settle()
    assert hands.ui.stepsSpinBox.value == 7
    hands.bridge.choose(hands.ui.modelComboBox, "Quick · balls in CT")
    hands.settle()
    assert hands.ui.stepsSpinBox.value == 4
