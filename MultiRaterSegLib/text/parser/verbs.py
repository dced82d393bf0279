"""Verbs, particles and negations: what stands over the things that follow, or over those that came before."""

from .marks import VERBS, Mark
from .phrases import names_things
from .reading import Reading
from .vocabulary import Token

FIRM = {"include", "exclude", "follow"}
WISHES = {"want", "prefer", "need", "like", "love", "desire", "insist on"}
"""'I want the needles dropped': a wish leaves the say to a later word."""
TAILORING = {"let", "take", "get"}
ENCLOSING = {"inside", "within", "outside", "inside of", "outside of"}


def govern(reading: Reading, index: int, token: Token) -> None:
    """A verb or preposition of inclusion, exclusion or movement."""
    tag = token.tag
    if tag in FIRM and reading.last_is_loose() and not names_things(reading.tokens[index + 1 :]):
        reading.govern_backwards(VERBS[tag], "belong" if token.read_as.startswith("belong") else "after")
        return
    linked = reading.after_to or token.text.endswith("ing")
    if reading.governor == "exclude" and linked and not any(m.index > reading.governor_index for m in reading.marks):
        reading.negation = -reading.negation  # 'forget to include'
    elif reading.after_to and reading.marks and not reading.open_negation:
        reading.negation = 1  # '... to keep the outline tight'
    if linked and tag in FIRM:
        reading.drop_move()  # 'expand to include the halo'
    governor = "with" if token.read_as in WISHES else tag
    reading.governor, reading.sign, reading.governor_index = governor, VERBS[tag], index
    reading.open_negation = False
    if tag in ("grow", "shrink"):
        move(reading, index, tag)
    elif token.read_as in TAILORING and not names_things(reading.tokens[index + 1 :]):
        reading.shifts = True  # 'let the outline out'


def move(reading: Reading, index: int, verb: str) -> None:
    """The outline moves out or in, unless a thing turns up that the verb governs."""
    reading.move = Mark("move", index, float(VERBS[verb]), reading.negation)
    reading.emit(reading.move)


def miss(reading: Reading, index: int) -> None:
    """'you missed the halo', 'do not miss the halo', 'the halo must not be lost': in, negated or not."""
    if reading.negator == "nothing":
        reading.emit(Mark("whole", index))  # 'nothing should be missed'
        return
    if reading.negation == 1 and reading.tokens[index].text == "lose":
        reading.governor, reading.sign, reading.governor_index = "exclude", -1, index  # 'lose the spikes'
        return
    reading.negation, reading.negator = 1, ""
    if reading.last_is_loose() and not names_things(reading.tokens[index + 1 :]):
        reading.govern_backwards(1)
    else:
        reading.governor, reading.sign, reading.governor_index = "missing", 1, index


def negate(reading: Reading, index: int, token: Token) -> None:
    if token.text == "nothing" and reading.governor in ("exclude", "missing"):
        reading.emit(Mark("whole", index))  # 'leave out nothing'
        return
    reading.negation, reading.open_negation, reading.negator = -reading.negation, True, token.text


def is_particle(reading: Reading, index: int, token: Token) -> bool:
    """'in' and 'out' after a thing that no firm verb governs: 'keep the halo out', 'spicules in'."""
    if token.text == "alone":
        return reading.governor == "leave" and reading.last_is_loose()
    if token.text in ENCLOSING:
        found = bool(reading.things)
    else:
        found = token.tag in ("particle_in", "particle_out")
    return found and reading.last_is_loose() and not names_things(reading.tokens[index + 1 :])
