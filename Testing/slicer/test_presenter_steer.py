"""The fourth step without widgets: a slider between two styles, a sentence, and the preview that may be kept."""

import pytest
from MultiRaterSegSlicer.panel.words import SUGGESTIONS
from test_presenter import CONSENSUS, Desk

from MultiRaterSegLib.text.parser import understand

PREVIEW = "Preview (not kept)"


@pytest.fixture
def desk(host):
    desk = Desk(host.scene)
    desk.outline()
    return desk


def slice_of(desk):
    grid = desk.case.part.crop((0, 0, 3), (30, 28, 3))
    return desk.logic.preview_of(desk.case.ball(5, grid=grid), grid)


def test_the_slice_follows_the_slider_one_request_at_a_time(desk):
    for position in (0.1, 0.2, 0.3):
        desk.panel.steer.slide(position)
    first, last = ("conservative", "inclusive", 0.1), ("conservative", "inclusive", 0.3)
    assert [task.asked[0] for task in desk.logic.previews] == [first]
    desk.logic.previews[0].finish(slice_of(desk))
    assert [task.asked[0] for task in desk.logic.previews] == [first, last]
    assert desk.panel.session.preview.visible
    assert not desk.state.steer.can_keep
    assert desk.state.steer.preview == "This slice in 0.06 s."


def test_the_whole_lesion_follows_when_the_slider_rests_and_can_be_kept(desk):
    desk.panel.steer.slide(0.3)
    desk.panel.steer.rest()
    assert desk.task.asked == (("conservative", "inclusive", 0.3), 20)
    desk.answer("conservative to inclusive, 0.3", 6)
    assert desk.state.steer.preview.startswith(f"{PREVIEW}: ")
    assert desk.state.steer.can_keep
    desk.panel.steer.keep()
    assert desk.lesion.has("conservative to inclusive, 0.3")
    assert not desk.state.steer.can_keep
    assert not desk.panel.session.preview.visible


def test_a_late_slice_does_not_replace_the_whole_lesion(desk):
    desk.panel.steer.slide(0.3)
    desk.panel.steer.rest()
    desk.answer("conservative to inclusive, 0.3", 6)
    desk.logic.previews[0].finish(slice_of(desk))
    assert desk.state.steer.can_keep


def test_moving_on_drops_the_whole_lesion_without_a_word(desk):
    desk.panel.steer.slide(0.3)
    desk.panel.steer.rest()
    old = desk.task
    desk.panel.steer.slide(0.6)
    assert old.finished
    assert desk.state.message is None
    desk.panel.steer.rest()
    assert desk.task.asked[0][2] == 0.6


def test_a_slow_model_follows_on_release_and_says_how_long_it_took(host):
    desk = Desk(host.scene, fast=False)
    desk.outline()
    desk.panel.steer.slide(0.3)
    assert desk.logic.previews == []
    desk.panel.steer.rest()
    assert len(desk.logic.previews) == 1
    desk.logic.previews[0].finish(slice_of(desk))
    assert "0.06 s" in desk.state.steer.preview
    assert "when you let go" in desk.state.steer.preview


def test_a_sentence_is_previewed_remembered_and_may_end_the_slider(desk):
    desk.panel.steer.say("include the halo")
    assert desk.state.steer.understood == "Understood as: halo included."
    assert desk.task.asked[0] == "include the halo"
    assert desk.state.history == ("include the halo",)
    desk.panel.steer.choose("include the halo", "inclusive")
    desk.panel.steer.slide(0.5)
    desk.panel.steer.rest()
    assert desk.task.asked[0] == ("include the halo", "inclusive", 0.5)


def test_what_was_not_understood_is_said_with_a_way_on(desk):
    desk.panel.steer.read("halo crispy")
    assert desk.state.steer.problem == "Not understood: crispy. Try: tighter, include halo."
    assert len(desk.logic.tasks) == 1


def test_a_word_is_not_complained_about_twice(desk):
    desk.panel.steer.read("halo crispy")
    assert desk.state.steer.problem.count("crispy") == 1


@pytest.mark.parametrize("sentence", SUGGESTIONS)
def test_every_suggestion_is_understood_without_a_remark(sentence):
    read = understand(sentence)
    assert (read.notes, read.not_understood) == ((), ())


def test_a_sentence_that_cannot_be_followed_computes_nothing(desk):
    desk.panel.steer.say("good morning")
    assert desk.state.steer.problem == "Not understood. It says nothing about an outline. Try: tighter, include halo."
    assert len(desk.logic.tasks) == 1
    desk.panel.steer.say("  ")
    assert desk.state.steer.problem == "Type what you want, or choose a suggestion."
    assert desk.state.history == ()


def test_discard_takes_the_preview_away(desk):
    desk.panel.steer.slide(0.3)
    desk.panel.steer.rest()
    desk.answer("conservative to inclusive, 0.3", 6)
    desk.panel.steer.discard()
    assert not desk.state.steer.can_discard
    assert desk.lesion.names == ["consensus"]


def test_choosing_another_lesion_takes_the_preview_away(desk):
    desk.panel.steer.slide(0.3)
    desk.panel.steer.rest()
    desk.answer("conservative to inclusive, 0.3", 6)
    preview = desk.panel.session.preview
    desk.click(desk.case.center + [0, 0, 13])
    desk.answer("consensus", *CONSENSUS)
    assert desk.state.lesion == "L2"
    assert not preview.visible


def test_a_kept_sentence_can_be_undone(desk):
    desk.panel.steer.say("include the halo")
    desk.answer("include the halo", 7)
    desk.panel.steer.keep()
    assert desk.lesion.names == ["consensus", "include the halo"]
    desk.panel.undo()
    assert desk.lesion.names == ["consensus"]
