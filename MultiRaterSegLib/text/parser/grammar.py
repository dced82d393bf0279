"""Reading one segment: who governs what, and what negation turns round.

The reader goes from left to right and keeps what governs the next thing: the last verb of inclusion (+) or exclusion
(-), and the product of the negations so far. A thing (halo, spicule, core ...) becomes a mark with that sign; a quality
(tight, smooth ...) becomes a mark with its own sign, turned by negation alone; a verb of movement (expand, shrink ...)
becomes a mark unless it governs a thing. A segment without a verb inherits that of the one before.
"""

from .inheritance import EXTENTS, Carried, hand_on
from .marks import DEGREES, QUALITIES, THINGS, VERBS, WINDOWS, Mark
from .nouns import close_whole, is_object, mention, open_whole
from .phrases import is_called_lesion, names_things
from .qualities import DEGREE_VALUES, grade, qualify
from .reading import Reading
from .segments import Segment
from .verbs import govern, is_particle, loses_lesion, miss, move, negate
from .vocabulary import Token


def read_segment(segment: Segment, before: Carried, shared_head: str = "") -> tuple[Reading, Carried]:
    """What a segment says (`marks`), and what it hands on to the next one."""
    reading = Reading(segment, before, shared_head)
    for index, token in enumerate(segment.tokens):
        _read_token(reading, index, token)
    _finish(reading)
    own = Carried(reading.governor, reading.sign, reading.negation)
    return reading, hand_on(segment, reading.marks, own, before)


def _read_token(reading: Reading, index: int, token: Token) -> None:
    tag = token.tag
    if (tag in VERBS or tag in QUALITIES) and reading.whole and reading.whole.index == index - 1:
        reading.whole = None  # 'completely smooth', 'fully include': an adverb
    if is_particle(reading, index, token):
        spared = token.text == "alone" and [m.tag for m in reading.things[-1:]] == ["spicule"]  # no smoothing
        reading.govern_backwards(1 if tag in ("particle_in", "within") or token.text == "on" or spared else -1)
    elif reading.shifts and tag in ("particle_in", "particle_out"):
        move(reading, index, "shrink" if tag == "particle_in" else "grow")
    elif token.read_as == "part of" and names_things(reading.tokens[index + 1 :]):
        reading.degree = DEGREE_VALUES["mild"]
    elif tag in VERBS:
        close_whole(reading)
        govern(reading, index, token)
    elif tag in THINGS:
        mention(reading, index, token)
    elif token.text == "lung" and is_object(reading, index):
        mention(reading, index, Token(token.text, "surroundings"))
    elif tag in QUALITIES or tag == "average":
        qualify(reading, index, token)
    elif tag in DEGREES:
        grade(reading, index, tag)
    else:
        _read_small_word(reading, index, token)
    if tag not in ("filler", "determiner", "not"):
        reading.after_to = tag == "to"


def _read_small_word(reading: Reading, index: int, token: Token) -> None:
    tag = token.tag
    if tag in ("not", "not_so"):
        negate(reading, index, token)
        reading.too = tag == "not_so"
    elif tag == "missing":
        miss(reading, index)
    elif tag in WINDOWS:
        reading.emit(Mark("halo", index, WINDOWS[tag] * reading.contrast(), reading.negation, "window", weak=True))
    elif tag in ("beyond", "within"):
        reading.mode, reading.whole = tag, None
        reading.drop_move()
    elif tag == "whole":
        open_whole(reading, index)
    elif tag == "only" and token.text.endswith("more") and reading.tag(index + 1) in THINGS:
        negate(reading, index, token)  # 'no more halo'
    elif tag == "only":
        reading.only, reading.only_negation = True, reading.negation
    elif tag == "shift":
        reading.shifts = True
    elif tag == "excess":
        reading.emit(Mark("excess", index, 1.0, reading.negation))
    elif tag == "if":
        reading.conditional = True
    elif tag == "enough" and reading.marks and reading.marks[-1].tag in QUALITIES:
        reading.marks[-1].negation = 1  # 'not tight enough' asks for tighter


def _finish(reading: Reading) -> None:
    """What is still open at the end of the segment."""
    close_whole(reading)
    end = len(reading.tokens)
    waits = reading.governor in ("include", "exclude") or reading.open_negation
    if reading.governor == "leave" and not reading.marks and any(m.tag == "doubt" for m in reading.before.waiting):
        reading.govern_backwards(-1)  # 'if in doubt, leave it'
    if waits and not reading.marks and reading.before.waiting:
        reading.govern_backwards(reading.sign)  # 'when in doubt, exclude'
    if not reading.marks and loses_lesion(reading):
        governor = "missing" if reading.governor == "missing" else None
        reading.emit(Mark("limit", end, reading.sign * reading.contrast(), reading.negation, governor))
    if reading.move:
        reading.marks = [mark for mark in reading.marks if mark.tag not in ("inner", "outer")]
    for mark in reading.marks:
        others = EXTENTS - {"whole"}
        mark.weak = mark.weak or (mark.tag == "whole" and any(other.tag in others for other in reading.marks))
    if reading.mode:
        sign = 1.0 if reading.mode == "beyond" else -1.0
        reading.emit(Mark("limit", end, sign, reading.negation, *reading.excluding()))
    if reading.too and reading.marks:
        reading.marks[-1].cautioned, reading.amount = not reading.tells_habit, None  # 'the line zigzags too much'
    if reading.amount == -1 and reading.move:
        reading.move.value = -reading.move.value  # 'shrink less'
    elif reading.amount and not reading.marks and all(token.tag for token in reading.tokens):
        value = reading.amount * reading.contrast()
        reading.emit(Mark("amount", end, value, reading.negation, *reading.excluding()))
    if reading.only:
        _restrict(reading)
    if reading.open_negation:
        for mark in reading.things:
            mark.negation = -1 if mark.loose else mark.negation  # 'the halo is not tumour'
    for mark in reading.things:
        if mark.governor is None and is_called_lesion(reading.tokens[mark.index + 1 :]):
            mark.governor = "belong"
    if any(token.tag == "bad" for token in reading.tokens):
        for mark in (mark for mark in reading.marks if not mark.cautioned):
            mark.negation = -mark.negation  # 'a border this frayed is not usable'
    if reading.degree is not None and reading.marks and reading.marks[-1].degree is None:
        reading.marks[-1].degree = reading.degree


def _restrict(reading: Reading) -> None:
    """'only the core', 'only the nodule'."""
    for mark in reading.marks:
        mark.mode = "only" if mark.tag in ("core", "sure") and not mark.mode else mark.mode
    if not reading.things and any(token.tag == "target" for token in reading.tokens):
        reading.marks.append(Mark("only", len(reading.tokens), -1.0, reading.only_negation, weak=True))
