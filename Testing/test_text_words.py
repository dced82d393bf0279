"""The words parser: composition of verbs, nouns, negation and degree; refusals; what it reports."""

import itertools

import pytest

from MultiRaterSegLib.errors import UnsupportedRequest
from MultiRaterSegLib.text import Slots, WordsEncoder
from MultiRaterSegLib.text.parser.vocabulary import entries, vocabulary

TAKE_IN = "include|keep|cover|capture|take in|add|incorporate|encompass|preserve|retain|do not miss|don't leave out"
LEAVE_OUT = "exclude|leave out|omit|drop|ignore|cut|skip|avoid|trim|remove|disregard|stop short of|do not include|spare"
RIMS = "the halo|the ground glass|ground-glass opacity|GGO|the hazy part|the faint rim|the fuzzy border|any haze"
RIMS += "|the subsolid component|the penumbra|the cloudy periphery|low-density areas|the blurry edge|the fringe"
SPIKES = "the spicules|any spiculation|the spikes|every tendril|the fine strands|the corona radiata|each notch"
SPIKES += "|finger-like projections|the irregular edges|the jagged border|the lobulations|every little spike"
TIGHT = "conservative|tight|minimal|snug|narrow|lean|restrictive|cautious|small|smaller|smallest|tighter|compact"
GENEROUS = "generous|inclusive|liberal|wide|broad|large|larger|largest|expansive|ample|wider|maximal|loose"
OUTLINES = "outline|contour|segmentation|mask|reader|radiologist|delineation"


def read(text: str) -> Slots:
    return WordsEncoder().understand(text).slots


def pairs(first: str, second: str):
    return itertools.product(first.split("|"), second.split("|"))


@pytest.mark.parametrize(("things", "slot"), [(RIMS, "halo"), (SPIKES, "spiculation")], ids=["halo", "spicules"])
@pytest.mark.parametrize(("verbs", "sign"), [(TAKE_IN, 1.0), (LEAVE_OUT, -1.0)], ids=["in", "out"])
def test_every_verb_with_every_thing(verbs, sign, things, slot):
    wrong = [f"{verb} {thing}" for verb, thing in pairs(verbs, things) if read(f"{verb} {thing}").said != {slot: sign}]
    assert wrong == []


@pytest.mark.parametrize("negation", ["do not {}", "don't {}", "never {}", "please do not {}", "you should not {}"])
@pytest.mark.parametrize("verb", ["include", "exclude", "keep", "omit", "capture", "skip", "trim", "add"])
def test_negation_turns_every_verb_round(negation, verb):
    plain, negated = read(f"{verb} the halo"), read(negation.format(verb) + " the halo")
    assert negated.said == {"halo": -plain.halo}


@pytest.mark.parametrize(("qualities", "sign"), [(TIGHT, -1.0), (GENEROUS, 1.0)], ids=["tight", "generous"])
def test_every_quality_with_every_outline(qualities, sign):
    for quality, outline in pairs(qualities, OUTLINES):
        assert read(f"{quality} {outline}") == Slots(extent=sign), f"{quality} {outline}"
        assert read(f"a {outline} that is {quality}") == Slots(extent=sign), f"{outline} that is {quality}"
        assert read(f"not a {quality} {outline}") == Slots(extent=-sign), f"not a {quality} {outline}"
        assert read(f"slightly {quality} {outline}") == Slots(extent=sign / 3), f"slightly {quality} {outline}"


@pytest.mark.parametrize("degree", ["slightly", "a bit", "somewhat", "fairly", "a little", "moderately", "a touch"])
@pytest.mark.parametrize(("quality", "slot", "sign"), [("generous", "extent", 1), ("smoother", "spiculation", -1)])
def test_mild_words_make_a_third(degree, quality, slot, sign):
    assert read(f"{degree} {quality} outline").said == {slot: sign / 3}


@pytest.mark.parametrize(
    "paraphrases",
    [
        "include the halo|with the halo|halo included|do not leave out the halo|keep the halo in|THE HALO, PLEASE",
        "solid core only|only the core|nothing beyond the core|just the dense centre|restrict it to the solid part",
        "tight margins|keep the margins tight|margins should be tight|narrow margin|be strict with the margins",
        "smooth contour|round the outline|no spikes|leave the spicules out|rather smooth than jagged",
        "smallest on each slice|slice by slice, the tightest outline|A1|per slice conservative",
    ],
)
def test_paraphrases_get_the_same_embedding(paraphrases):
    rows = WordsEncoder().embed(paraphrases.split("|"))
    assert (rows == rows[0]).all()


OUTSIDE = "vessel|pleura|chest wall|bronchus|rib|lymph node|liver|fissure|calcification|cavity|prostate"


@pytest.mark.parametrize("thing", OUTSIDE.split("|"))
@pytest.mark.parametrize("frame", ["exclude the {}", "tight outline without the {}", "include the halo, not the {}s"])
def test_things_outside_the_slots_are_refused_whatever_else_is_said(frame, thing):
    with pytest.raises(UnsupportedRequest, match=thing):
        read(frame.format(thing))


@pytest.mark.parametrize("text", ["2 mm wider", "tight, 5mm", "10% larger", "one pixel wider", "twice as large"])
def test_amounts_are_refused(text):
    with pytest.raises(UnsupportedRequest):
        read(text)


@pytest.mark.parametrize("text", ["", "   ", "?!", "hello", "the nodule", "on each slice", "ligne serrée", "肺结节"])
def test_a_sentence_without_a_slot_is_refused(text):
    with pytest.raises(UnsupportedRequest):
        read(text)


@pytest.mark.parametrize("text", ["exclude the frobnitz", "include the halo and the frobnitz", "frobnicate the halo"])
def test_unknown_words_that_carry_the_request_are_refused(text):
    with pytest.raises(UnsupportedRequest, match="frobni"):
        read(text)


MISTAKABLE = "is it spiculated?|how large is it?|segment the largest nodule|conservative versus inclusive|not A1|A1, A3"
MISTAKABLE += "|exclude everything|nodule - halo|the halo: in or out|smooth but jagged|save everything|whole left lung"


@pytest.mark.parametrize("text", MISTAKABLE.split("|"))
def test_what_is_no_request_for_one_outline_is_refused(text):
    with pytest.raises(UnsupportedRequest):
        read(text)


def test_a_condition_is_said_to_go_unchecked():
    notes = WordsEncoder().understand("include the halo if it is dense").notes
    assert notes == ("The condition after 'if' is not checked.",)


def test_refusal_gives_three_suggestions_that_are_themselves_understood():
    with pytest.raises(UnsupportedRequest) as caught:
        read("exclude the vessel")
    quoted = str(caught.value).split("Try, for example: ")[1].rstrip(".").split("', '")
    assert len(quoted) == 3
    assert all(read(suggestion.strip("'")).said for suggestion in quoted)


def test_unknown_filler_is_listed_but_does_not_stop_the_sentence():
    understanding = WordsEncoder().understand("conservative outline, tally-ho")
    assert understanding.slots == Slots(extent=-1.0)
    assert understanding.not_understood == ("tally", "ho")


def test_typing_slips_are_read_and_reported():
    understanding = WordsEncoder().understand("conservtive outline, exlcude the halo")
    assert understanding.slots == Slots(extent=-1.0, halo=-1.0)
    assert understanding.notes == ("'conservtive' was read as 'conservative'.", "'exlcude' was read as 'exclude'.")


@pytest.mark.parametrize("slot", ["margin", "size"])
def test_margin_and_size_are_said_to_change_the_extent_alone(slot):
    text = {"margin": "generous margins", "size": "large nodule"}[slot]
    assert f"'{slot}' can only change the extent of the outline." in WordsEncoder().understand(text).notes


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("include the halo, tight margins", "halo +, margin tight"),
        ("slightly generous on each slice", "extent slightly generous, slice by slice"),
        ("no spikes", "spiculation -"),
        ("average outline", "extent average"),
    ],
)
def test_summary_is_one_line(text, summary):
    assert WordsEncoder().understand(text).summary() == summary


@pytest.mark.parametrize("extent", [-1.5, 2.0])
def test_slots_refuse_values_outside_their_range(extent):
    with pytest.raises(ValueError, match="extent"):
        Slots(extent=extent)


def test_every_word_has_one_meaning():
    listed = [entry for group in vocabulary().values() for entry in group]
    assert len(listed) == len(set(listed))
    assert sum(len(found) for found in entries().values()) == len(listed)
