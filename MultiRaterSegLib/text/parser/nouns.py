"""Things that can be in or out of the outline, and 'everything'."""

from .inheritance import inherit
from .marks import HEADS, Mark
from .phrases import calls, describes_lesion
from .reading import Reading
from .vocabulary import Token

ENDS = {"ends", "stops", "finishes", "fades", "disappears", "vanishes"}


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
    inherit(mark, reading.joint, reading.before)
    if token.tag == "spicule" and mark.governor is None and any(m.tag == "smooth" for m in reading.marks):
        return  # 'smooth the spikes': the object of smoothing
    if mark.governor is None and (reading.amount or reading.degree):
        mark.governor = "amount"
    _soften(reading, mark)
    if reading.governor in ("grow", "shrink"):
        reading.drop_move()
    reading.emit(mark)
    reading.amount, reading.mode, reading.whole = None, "", None


def _belongs_to_neighbour(reading: Reading, index: int, token: Token) -> bool:
    before, after = reading.tag(index - 1), reading.tag(index + 1)
    if token.tag == "core":
        return after == "target" and not reading.mode  # 'the solid nodule' describes it
    if token.tag == "margin":  # 'hazy margin' is the halo; 'tight margin' has been read
        return before in ("halo", "core") or any(mark.head == "margin" for mark in reading.marks)
    return token.tag == "halo" and after == "spicule"  # 'faint strands'


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
    if mark.mode == "within" and any(token.text in ENDS for token in reading.tokens[mark.index + 1 :]):
        mark.mode = "beyond"  # 'stop where the halo ends'


def open_whole(reading: Reading, index: int) -> None:
    """'everything', 'all', 'entire' ask for more of the lesion, unless a thing takes them up ('all spicules')."""
    smoothed = reading.marks and reading.marks[-1].tag == "smooth" and reading.marks[-1].index == index - 1
    if not smoothed:  # 'round everything off'
        reading.whole = Mark("whole", index, reading.contrast(), reading.negation, *reading.excluding())


def close_whole(reading: Reading) -> None:
    """'the whole lesion' asks for more of it; 'all edges' and 'all readers' do not."""
    if reading.whole:
        ahead = reading.tokens[reading.whole.index :]
        noun = next((token.tag for token in ahead if token.tag in HEADS), "")
        nothing_left = reading.whole.governor == "exclude" and reading.whole.negation == 1  # 'exclude everything'
        if noun not in ("edge", "person") and not nothing_left:
            reading.emit(reading.whole)
    reading.whole = None
