"""Things that can be in or out of the outline, and 'everything'."""

from .inheritance import inherit
from .marks import DEGREES, HEADS, VERBS, Mark
from .phrases import calls, describes_lesion
from .reading import Reading
from .vocabulary import Token

ABSENCE = {"without", "zero", "none", "free of"}
"""Negations that need no verb of the segment before: 'halo outside, border without spikes'."""
ENDS = {"ends", "stops", "finishes", "fades", "disappears", "vanishes"}
BEGINS = {"begins", "starts", "commences", "sets in", "takes over", "kicks in"}
PLACES = {"of", "at", "along", "on", "in", "near", "around", "surrounding", "beside", "round", "next to", "about"}


def mention(reading: Reading, index: int, token: Token) -> None:
    """A thing becomes a mark, with what governs it."""
    if _belongs_to_neighbour(reading, index, token):
        return
    things = reading.things
    if token.tag == "surroundings" and things and calls(reading.tokens[things[-1].index + 1 : index]):
        things[-1].governor = None  # 'treat the halo as background'
        reading.govern_backwards(-1)
        return
    value = (reading.amount or 1) * reading.contrast()
    mark = Mark(token.tag, index, value, reading.negation, reading.governor, reading.sign, reading.mode)
    if reading.negator not in ABSENCE and not (reading.only and reading.before.negation == -1):
        inherit(mark, reading.joint, reading.before)
    if token.tag == "spicule" and _is_smoothed(reading, index, mark):
        return
    if token.tag == "spicule" and mark.governor == "fill":
        mark.governor_sign = -1  # filled notches are gone
    if token.tag == "doubt" and mark.governor is None and (reading.whole or reading.segment.word == "also"):
        mark.governor = "with"  # 'everything that might be lesion', 'also the doubtful parts'
    if mark.governor is None and (reading.amount or reading.degree):
        mark.governor = "amount"
    _soften(reading, mark)
    if reading.governor in ("grow", "shrink"):
        reading.drop_move()
    reading.emit(mark)
    reading.amount, reading.mode, reading.whole = None, "", None


def _belongs_to_neighbour(reading: Reading, index: int, token: Token) -> bool:
    before, after = reading.tag(index - 1), reading.tag(index + 1)
    if token.tag == "core":  # 'the solid nodule' describes it
        measured = any(other.tag == "generous" and other.text.endswith("from") for other in reading.tokens[:index])
        return (after == "target" and not reading.mode) or measured or _is_place(reading, index)
    if token.tag == "margin":  # 'hazy margin' is the halo; 'tight margin' has been read
        described = before in ("halo", "core") or any(mark.head == "margin" for mark in reading.marks)
        return described or _is_place(reading, index)
    if token.tag == "layer":  # 'hazy layer', 'a layer of haze'
        return before in ("halo", "core") or (
            index + 1 < len(reading.tokens) and reading.tokens[index + 1].text == "of"
        )
    if token.tag == "sure" and reading.things and reading.things[-1].tag == "spicule":
        reading.things[-1].governor = "with"  # 'leave the corners sharp'
        return True
    if token.tag == "sure":
        return after == "spicule"  # 'sharp corners'
    return token.tag == "halo" and after == "spicule"  # 'faint strands'


def _is_place(reading: Reading, index: int) -> bool:
    """'the shadow around the core', 'strands at the margin': where another thing is."""
    before = [token for token in reading.tokens[:index] if token.tag not in ("determiner", "", "core")]
    if not before or not reading.things or reading.things[-1].tag not in ("halo", "spicule"):
        return False
    return before[-1].tag not in VERBS and before[-1].text.split()[-1] in PLACES


def _is_smoothed(reading: Reading, index: int, mark: Mark) -> bool:
    """'smooth the spikes', 'rounded corners': what is smoothed is not followed."""
    smooth = [other for other in reading.marks if other.tag == "smooth"]
    return bool(smooth) and (mark.governor is None or smooth[-1].index == index - 1)


def _soften(reading: Reading, mark: Mark) -> None:
    """What is only described or supposed yields to what is asked for; 'not all of it' is a part of it."""
    bare = mark.governor is None
    mark.weak = bare and mark.negation == 1 and reading.tag(mark.index + 1) == "target"
    mark.weak = mark.weak or describes_lesion(reading.tokens[: mark.index])
    partly = reading.whole and reading.negator == "not" and reading.governor != "exclude"
    if partly and mark.tag in ("halo", "spicule"):
        mark.value = 0.0
    if reading.conditional and bare:
        mark.mode = "if"
    after = {token.text for token in reading.tokens[mark.index + 1 :]}
    if mark.tag == "halo" and bare and after & BEGINS and (mark.mode or reading.joint == "and"):
        mark.mode = "within"  # 'stop where the core ends and the haze begins'
    if mark.tag == "halo" and mark.mode == "within" and after & ENDS:
        mark.mode = "beyond"  # 'stop where the halo ends'


def is_object(reading: Reading, index: int) -> bool:
    """'avoid lung', 'swallows a lot of lung', 'lung spared', not 'in the lung'."""
    skipped = ("determiner", "whole", *DEGREES)
    before = [token for token in reading.tokens[:index] if token.tag not in skipped and token.text != "of"]
    verb = before and before[-1].tag in ("include", "exclude", "not")
    return bool(verb) or reading.tag(index + 1) == "exclude"


def open_whole(reading: Reading, index: int) -> None:
    """'everything', 'all', 'entire' ask for more of the lesion, unless a thing takes them up ('all spicules')."""
    last = reading.marks[-1] if reading.marks else None
    object_is_next = last and all(token.tag == "determiner" for token in reading.tokens[last.index + 1 : index])
    smoothed = object_is_next and last.tag == "smooth"
    if not smoothed:  # 'round everything off'
        reading.whole = Mark("whole", index, reading.contrast(), reading.negation, *reading.excluding())


def close_whole(reading: Reading) -> None:
    """'the whole lesion' asks for more of it; 'all edges' and 'all readers' do not."""
    if reading.whole:
        ahead = reading.tokens[reading.whole.index :]
        noun = next((token.tag for token in ahead if token.tag in HEADS), "")
        if " " in ahead[0].text:
            noun = "part"  # 'every voxel', 'any of'
        nothing_left = reading.whole.governor == "exclude" and reading.whole.negation == 1  # 'exclude everything'
        if noun not in ("edge", "person") and not nothing_left:
            reading.emit(reading.whole)
    reading.whole = None
