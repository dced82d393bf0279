"""Adjectives and degrees: how tight, how large, how smooth, and of what."""

from ...errors import UnsupportedRequest
from .inheritance import inherit, shares_negation
from .marks import HEADS, QUALITIES, SHAPES, THINGS, Mark
from .phrases import is_about_thing, is_side_of_thing, noun_of
from .reading import Reading
from .vocabulary import Token

DEGREE_VALUES = {"mild": 1 / 3, "second": 1 / 3, "third": -1 / 3, "strong": 1.0}
"""'slightly' and 'second smallest' of four readers are a third; the third smallest leans the other way."""
AMOUNTS = {"minimal", "minimum", "maximal", "maximum", "little", "scant", "ample", "abundant"}
OBSERVED = {"look", "seem", "appear"}
TENDENCIES = ("ation", "ing", "ness", "ity", "ism", "recall", "restraint", "positives", "negatives")
"""Endings of nouns for a quality, which can themselves be increased or reduced: 'less smoothing'."""


def grade(reading: Reading, index: int, tag: str) -> None:
    """A degree waits for the next mark. A last 'too' means 'also'."""
    if tag == "too":
        reading.too = any(token.tag != "filler" for token in reading.tokens[index + 1 :])
    elif tag in ("more", "less"):
        reading.amount = 1 if tag == "more" else -1
    elif tag != "strong" or reading.degree is None:
        reading.degree = DEGREE_VALUES[tag]


def qualify(reading: Reading, index: int, token: Token) -> None:
    """A quality becomes a mark, unless it only describes a thing that has its own. Raises UnsupportedRequest."""
    noun = "" if token.text.endswith(" from") else noun_of(reading.tokens, index)
    if token.text in ("inclusive", "exclusive") and reading.tag(index - 1) in THINGS and not noun:
        reading.govern_backwards(1 if token.text == "inclusive" else -1)  # 'halo-inclusive'
        return
    if noun == "target" and token.tag in ("small", "large") and token.text.endswith("est"):
        raise UnsupportedRequest(f"'{token.text}' chooses one lesion among others: point at the lesion instead.")
    if token.tag == "rough" and reading.tag(index + 1) == "spicule":
        return  # 'the radiating spikes'
    if token.tag not in SHAPES and _describes_thing(reading, index, token, noun):
        return
    if token.tag == "rough" and any(mark.tag == "smooth" for mark in reading.marks):
        return  # 'straighten the ragged edges'
    mark = _mark(reading, index, token, noun)
    if mark.tag == "smooth":  # 'the bumps should be ironed out'
        reading.marks = [other for other in reading.marks if other.tag != "spicule" or not other.loose]
    if mark.head == "margin":
        reading.marks = [other for other in reading.marks if other.tag != "margin"]
    if reading.move and token.text.endswith(TENDENCIES):
        mark.value *= reading.move.value  # 'reduce the smoothing'
        reading.drop_move()
    if mark.tag == "rough":
        reading.drop_move()
        reading.whole = None
        if reading.things and reading.things[-1].governor == "leave":
            reading.things[-1].governor = "with"  # 'leave the corners pointed'
    reading.amount = None
    reading.emit(mark)


def _mark(reading: Reading, index: int, token: Token, noun: str) -> Mark:
    tag, before = token.tag, reading.tokens[:index]
    named = any(other.tag in HEADS or other.tag in THINGS for other in before)
    head = noun or ("" if named else reading.shared_head or reading.before.subject)
    turned = (reading.joint in ("than", "except")) != (reading.amount == -1)
    if tag in SHAPES and reading.mode == "beyond":
        turned, reading.mode = not turned, ""  # 'not only the general shape'
    mark = Mark(tag, index, float(QUALITIES.get(tag, 0)) * (-1 if turned else 1), reading.negation, head=head)
    observed = reading.conditional or any(other.read_as in OBSERVED for other in before)
    compared = tag == "average" and reading.joint == "than"
    idiom = "safe" in token.text  # 'to be on the safe side' yields to anything plain
    mark.weak = observed or compared or idiom or (tag in SHAPES and head == "target")
    if tag in ("rough", "inner", "outer"):
        mark.governor, mark.governor_sign = reading.governor, reading.sign
    if tag == "rough":
        inherit(mark, reading.joint, reading.before)
    if mark.negation == 1 and reading.governor is None and shares_negation(mark, reading.segment, reading.before):
        mark.negation = -1
    return mark


def _describes_thing(reading: Reading, index: int, token: Token, noun: str) -> bool:
    """'a wide halo' is still the halo, 'minimal halo' is less of it; 'small parts' say nothing of the outline."""
    thing = noun in THINGS - {"margin"}
    amount = thing and token.read_as in AMOUNTS and (token.text, noun) != ("little", "spicule")
    if is_side_of_thing(reading.tokens, index, noun) or is_about_thing(reading.tokens, index) or amount:
        reading.amount = QUALITIES[token.tag]
        return True
    return thing or (noun == "part" and token.tag in ("small", "large"))
