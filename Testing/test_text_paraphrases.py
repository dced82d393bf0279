"""Sentences by others and in many voices: how many the words parser reads in the right direction, held where it is."""

import tomllib
from pathlib import Path

import pytest

from MultiRaterSegLib.errors import UnsupportedRequest
from MultiRaterSegLib.text import Slots, WordsEncoder

DATA = Path(__file__).parent / "data"
SLOT_OF = {"extent": "outline_extent", "rim": "halo", "roughness": "spiculation"}


def read(text: str) -> Slots | None:
    try:
        return WordsEncoder().understand(text).slots
    except UnsupportedRequest:
        return None


def load(name: str) -> dict:
    return tomllib.loads((DATA / name).read_text(encoding="utf-8"))


def moves_right(pair: dict) -> bool:
    """Both sentences are understood, and 'more' asks for more of the property than 'less'."""
    less, more = read(pair["less"]), read(pair["more"])
    if less is None or more is None:
        return False
    low, high = (getattr(slots, SLOT_OF[pair["property"]]) for slots in (less, more))
    return low is not None and high is not None and low < high


def is_read(text: str, wanted: dict[str, int]) -> bool:
    slots = read(text)
    if slots is None:
        return False
    values = {"extent": slots.outline_extent, "halo": slots.halo, "spiculation": slots.spiculation}
    return all(values[name] is not None and values[name] * sign > 0 for name, sign in wanted.items())


@pytest.mark.parametrize(
    ("name", "batch", "most_wrong"),
    [
        ("prompt_development.toml", None, 2),
        ("prompt_independent.toml", None, 1),
        ("prompt_fresh.toml", None, 3),
        ("prompt_fresh2.toml", "A", 0),
        ("prompt_fresh2.toml", "B", 0),
        ("prompt_fresh2.toml", "C", 28),
    ],
)
def test_the_right_slot_moves_the_right_way_in_opposite_pairs(name, batch, most_wrong):
    """The parser was revised on all of these but batch C, which says what to expect of new sentences."""
    pairs = [pair for pair in load(name)["pair"] if pair.get("batch") == batch]
    wrong = [f"{pair['less']} / {pair['more']}" for pair in pairs if not moves_right(pair)]
    assert len(pairs) >= 50
    assert len(wrong) <= most_wrong, wrong


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Draw it as on a lung window.", {"halo": 1.0}),
        ("Use the mediastinal window reading.", {"halo": -1.0}),
        ("Mediastinal window, but with the halo.", {"halo": 1.0}),
        ("The oesophagus is near, so keep it tight.", {"extent": -1.0}),
        ("Why is the halo in? Undo that.", {"halo": -1.0}),
        ("The haze got in by mistake.", {"halo": -1.0}),
    ],
)
def test_windows_reasons_and_repairs(text, said):
    assert read(text).said == said


@pytest.mark.parametrize("text", ["Show the lung window.", "Set the mediastinal window.", "Window 1500/-600."])
def test_the_window_of_the_display_is_not_changed(text):
    assert read(text) is None


@pytest.mark.parametrize(("name", "most_wrong"), [("prompt_paraphrases.toml", 0), ("prompt_paraphrases_later.toml", 5)])
def test_paraphrases_are_read_in_the_direction_they_ask_for(name, most_wrong):
    groups = [group for group in load(name)["group"] if "slots" in group]
    sentences = [(text, group["slots"]) for group in groups for text in group["sentences"]]
    wrong = [text for text, wanted in sentences if not is_read(text, wanted)]
    assert len(sentences) >= 100
    assert len(wrong) <= most_wrong, wrong


def test_what_no_reader_style_can_answer_is_refused():
    unmappable = list(load("prompt_development.toml")["unmappable"]["sentences"])
    for name in ("prompt_independent.toml", "prompt_fresh2.toml"):
        unmappable += [entry["text"] for entry in load(name)["unmappable"]]
    for name in ("prompt_paraphrases.toml", "prompt_paraphrases_later.toml"):
        unmappable += [text for group in load(name)["group"] if group.get("refused") for text in group["sentences"]]
    assert len(unmappable) >= 175
    assert [text for text in unmappable if read(text) is not None] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("You cut off the halo.", {"halo": 1.0}),
        ("You included the halo. Please take it off.", {"halo": -1.0}),
        ("The outline bleeds into the lung, pull it back.", {"extent": -1.0}),
        ("There is a halo, which I would not include.", {"halo": -1.0}),
        ("Why are there spikes? Round them off.", {"spiculation": -1.0}),
        ("A border this jagged is not acceptable.", {"spiculation": -1.0}),
    ],
)
def test_what_is_told_of_an_earlier_outline_yields_to_what_is_asked(text, said):
    assert read(text).said == said


@pytest.mark.parametrize(
    ("parted", "together"),
    [
        ("Rough the border up.", "Rough up the border."),
        ("Open it up.", "Open up the outline."),
        ("Round them all off.", "Round off the corners."),
        ("Let the outline out.", "Expand the outline."),
    ],
)
def test_a_verb_parted_from_its_particle_means_the_same(parted, together):
    assert read(parted) == read(together)


@pytest.mark.parametrize("quality", ["generous", "tight", "spiky", "smooth"])
def test_not_so_is_slightly_the_other_way(quality):
    (name, plain), (other, negated) = (*read(quality).said.items(), *read(f"not so {quality}").said.items())
    assert name == other
    assert negated == pytest.approx(-plain / 3)


def test_filled_notches_are_gone():
    assert read("fill in the notches") == read("ignore the notches")


def test_a_rhetorical_not_is_no_negation():
    assert read("Couldn't you draw it tighter?") == read("Draw it tighter.")


def test_a_complaint_is_said_to_have_been_turned_round():
    notes = WordsEncoder().understand("You cut off the halo.").notes
    assert notes == ("'you cut off the halo' was read as a complaint: it asks for the opposite.",)
