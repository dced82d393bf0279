"""Verbs, particles and negations: what stands over the things that follow, or over those that came before."""

from .marks import VERBS, Mark
from .phrases import names_things
from .reading import Reading
from .vocabulary import Token

FIRM = {"include", "exclude", "follow"}
WISHES = {"want", "prefer", "need", "like", "love", "desire", "insist on"}
"""'I want the needles dropped': a wish leaves the say to a later word."""
TOLERATED = {"fine", "ok", "okay", "acceptable", "alright", "tolerable", "allowed"}
WEIGHING = {"rather", "sooner", "better", "prefer"}
"""'I would rather miss some than ...': a loss that is put up with."""
TAILORING = {"let", "take", "get"}
ENCLOSING = {"inside", "within", "outside", "inside of", "outside of", "beyond"}


def govern(reading: Reading, index: int, token: Token) -> None:
    """A verb or preposition of inclusion, exclusion or movement."""
    draws_in = token.read_as == "draw in" and names_things(reading.tokens[index + 1 :])
    tag = "include" if draws_in else token.tag
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
    tolerated = any(word in TOLERATED for token in reading.tokens[index:] for word in token.text.split())
    weighed = reading.joint == "than" or any(WEIGHING & set(token.text.split()) for token in reading.tokens[:index])
    if reading.negation == 1 and (tolerated or weighed or reading.tokens[index].text == "lose"):
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
        return reading.governor in ("leave", "hold") and reading.last_is_loose()
    if token.text == "on":  # 'leave the spikes on'
        found = reading.governor in ("leave", "hold") and index + 1 == len(reading.tokens)
    elif token.text in ENCLOSING:
        found = bool(reading.things)
    else:
        found = token.tag in ("particle_in", "particle_out") or token.read_as == "go out"
    return found and reading.last_is_loose() and not names_things(reading.tokens[index + 1 :])


def loses_lesion(reading: Reading) -> bool:
    """'rather lose a bit of tumour', 'do not cut the lesion', 'you missed some of it': part of what is outlined."""
    if reading.governor not in ("include", "exclude", "missing"):
        return False
    tags = {token.tag for token in reading.tokens}
    if "target" not in tags:
        vague = reading.degree is not None and "" not in tags
        return vague or "part" in tags  # 'shave a bit off', 'take some tissue off'
    partly = reading.degree is not None or reading.joint == "than" or reading.negation == -1
    return partly or reading.governor == "missing"


def refers_back(reading: Reading) -> bool:
    """'take it off', 'put them back': a pronoun is the object of a verb that decides what is in."""
    governed = reading.governor in ("include", "exclude", "follow", "missing", "fill")
    if not governed or reading.marks or reading.governor_index < 0:
        return False
    verb = reading.tokens[reading.governor_index]
    if verb.read_as in ("draw", "mark", "render", "depict", "measure", "want", "prefer", "favour", "favor"):
        return reading.negation == -1
    relative = reading.tokens[0].text == "which"  # 'a halo, which I would not include'
    return relative or any(token.text in ("it", "them", "those") for token in reading.tokens[reading.governor_index :])
