"""From what the segments of a sentence say to one value a slot."""

from dataclasses import dataclass, replace

from ...errors import UnsupportedRequest
from .grammar import read_segment
from .inheritance import Carried
from .marks import THINGS, Mark
from .refusals import Unclear
from .segments import Segment, shared_head
from .told import describes, told
from .verbs import refers_back

SLOT_OF = {
    "halo": "halo",
    "spicule": "spiculation",
    "smooth": "spiculation",
    "rough": "spiculation",
    "margin": "margin",
}
MILD = 1 / 3


@dataclass(frozen=True)
class Evidence:
    """One statement about a slot. degree: None when the sentence names none; negated: it stood under a negation;
    bare: a thing that is only mentioned."""

    slot: str
    value: float
    degree: float | None = None
    weak: bool = False
    negated: bool = False
    moderating: bool = False
    core: bool = False
    bare: bool = False
    described: bool = False


def collect(segments: list[Segment]) -> list[Evidence]:
    """All statements of a sentence. Raises UnsupportedRequest for one that can be read two ways."""
    carried, marks = Carried(), []
    compares = any(segment.joint == "than" for segment in segments)
    spoken: Mark | None = None
    for segment, following, manner in zip(segments, (*segments[1:], None), told(segments)):
        if len(segments) > 1 and any(token.tag == "unchanged" for token in segment.tokens):
            continue  # 'ground glass as before'
        reading, carried = read_segment(segment, carried, shared_head(segment, following))
        if spoken and refers_back(reading):
            marks = [mark for mark in marks if mark.tag != spoken.tag]
            reading.emit(Mark(spoken.tag, 0, 1.0, reading.negation, reading.governor, reading.sign))
        spoken = next((mark for mark in reversed(reading.marks) if mark.tag in ("halo", "spicule")), spoken)
        for mark in reading.marks:
            mark.told, mark.described = manner, describes(segment.tokens)
        if reading.ambiguous:
            raise UnsupportedRequest("'leave' alone can mean in or out: say 'leave out' or 'include'.")
        marks += _with_caution(marks, reading.marks)
    statements = [_as_told(evidence, mark) for mark in marks for evidence in _statements(mark, compares)]
    takes_rim = any(item.slot == "halo" and item.value > 0 for item in statements if not item.weak)
    if any(item.slot == "core" for item in statements) and not takes_rim:
        raise UnsupportedRequest("The solid core belongs to every outline; it cannot be left out.")
    return [item for item in statements if item.slot != "core" and not (takes_rim and item.core and item.weak)]


def _as_told(evidence: Evidence, mark: Mark) -> Evidence:
    """A complaint asks for the opposite; like an observation, it yields to what is asked for."""
    evidence = replace(evidence, described=mark.described)
    if not mark.told:
        return evidence
    turned = mark.told == "fault" and not mark.cautioned and mark.governor != "missing"
    return replace(evidence, value=-evidence.value if turned else evidence.value, weak=True)


def _with_caution(earlier: list[Mark], marks: list[Mark]) -> list[Mark]:
    """'generous, without overdoing it': a negated excess weakens what was said before it."""
    said = list(earlier)
    for mark in marks:
        if mark.tag == "excess" and mark.negation == -1 and said:
            said[-1].degree = MILD
        said.append(mark)
    return [mark for mark in marks if mark.tag != "excess"]


def _statements(mark: Mark, compares: bool) -> list[Evidence]:
    if mark.tag in ("core", "sure"):
        return _about_core(mark)
    governed = mark.governor is not None or mark.negation == -1
    if mark.tag in ("doubt", "surroundings", "margin", "layer") and not governed:
        return []
    if mark.tag == "margin" and mark.governor == "follow":
        return []
    if mark.mode == "if" and mark.governor is None:
        return []
    if mark.tag == "halo" and mark.mode in ("beyond", "within"):
        return [Evidence("halo", 1.0 if mark.mode == "beyond" else -float(mark.negation))]
    value, moderating = mark.sign, False
    if mark.cautioned and mark.negation == -1:
        moderating = True
    elif mark.cautioned and not compares:
        value = -value
    degree = MILD if moderating else mark.degree
    bare = mark.tag in THINGS and not governed
    return [Evidence(_slot(mark), value, degree, mark.weak, mark.negation == -1, moderating, bare=bare)]


def _slot(mark: Mark) -> str:
    if mark.tag in SLOT_OF:
        return SLOT_OF[mark.tag]
    if mark.head == "margin":
        return "margin"
    return "size" if mark.head == "target" and mark.tag in ("small", "large", "average") else "extent"


def _about_core(mark: Mark) -> list[Evidence]:
    """'Only the core' is a tight outline without the halo; 'more than the core' is the opposite."""
    slots = ("extent", "halo") if mark.tag == "core" else ("extent",)
    inside = mark.negation * (1 if mark.governor == "shrink" else mark.governor_sign)
    excluded = -1.0 if mark.governor == "exclude" else 1.0
    if mark.mode == "beyond" or mark.value < 0:
        return [Evidence(slot, mark.negation * excluded, mark.degree) for slot in slots]
    if mark.mode == "within":
        return [Evidence(slot, -mark.negation * excluded, mark.degree) for slot in slots]
    if mark.tag == "sure" and (inside < 0 or (mark.governor is None and mark.mode != "only")):
        return []
    if inside < 0 and mark.governor == "shrink":
        return [Evidence(slot, 1.0) for slot in slots]
    if inside < 0 and mark.governor == "exclude":
        raise UnsupportedRequest("The solid core belongs to every outline; it cannot be left out.")
    if inside < 0:
        return [Evidence("core", -1.0)]
    return [Evidence(slot, -1.0, weak=mark.mode != "only", core=True) for slot in slots]


def settle(slot: str, statements: list[Evidence], between: bool) -> float | None:
    """The one value of a slot. Raises Unclear where the sentence asks for both poles."""
    firm = [item for item in statements if not item.weak] or statements
    if not firm:
        return None
    signs = {(item.value > 0) - (item.value < 0) for item in firm}
    if 0 in signs or (len(signs) > 1 and (between or all(item.negated for item in firm))):
        return 0.0
    if len(signs) > 1:
        firm = _moderated(slot, firm)
    degrees = [item.degree for item in firm if item.degree is not None]
    sign = 1.0 if firm[0].value > 0 else -1.0
    return sign * (sum(degrees) / len(degrees) if degrees else 1.0)


def _moderated(slot: str, firm: list[Evidence]) -> list[Evidence]:
    """'generous, but not too generous' is slightly generous."""
    kept = [item for item in firm if not item.moderating]
    if len(kept) == len(firm) or len({item.value > 0 for item in kept}) != 1:
        raise Unclear(f"The sentence asks for both ends of '{slot}'.")
    return [Evidence(slot, kept[0].value, MILD)]
