"""What passes from one segment to the next: 'exclude the halo and the spicules', 'tight except for the halo'."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from .marks import LIGHT, THINGS, Mark
from .phrases import COPULA
from .segments import Segment

EXTENTS = {"tight", "generous", "whole", "small", "large", "move"}


@dataclass
class Carried:
    """What a segment hands on: its governor and negations, the last extent it asked for, and things still waiting for
    a governor ('the halo and the strands are excluded')."""

    governor: str | None = None
    sign: int = 1
    negation: int = 1
    quality_negation: int = 1
    extent: float = 1.0
    tags: frozenset[str] = frozenset()
    subject: str = ""
    waiting: list[Mark] = field(default_factory=list)


def inherit(mark: Mark, joint: str, before: Carried) -> None:
    """Gives a thing that no word of its own segment governs what the segment before had."""
    own_negation = mark.negation == -1
    if mark.governor is not None:
        return
    if joint == "except":
        sign = before.sign * before.negation if before.governor else before.extent
        mark.governor, mark.governor_sign = "except", -1 if sign > 0 else 1
        return
    if joint in ("and", "comma"):
        mark.negation = mark.negation if own_negation else before.negation
    elif joint == "than":
        mark.negation *= before.negation
    elif not (joint == "but" and own_negation):
        return
    mark.governor, mark.governor_sign, mark.inherited = before.governor, before.sign, True


def shares_negation(mark: Mark, segment: Segment, before: Carried) -> bool:
    """'not tight or small', 'do not smooth and round': the second quality stands under the first one's 'not'."""
    if before.quality_negation == 1:
        return False
    return segment.word == "or" or (segment.joint == "and" and mark.tag in before.tags)


def hand_on(segment: Segment, marks: Sequence[Mark], own: Carried, before: Carried) -> Carried:
    """What follows `segment` may inherit; own: the governor, sign and negation it ended with."""
    things = [mark for mark in marks if mark.tag in THINGS]
    lists = segment.joint in ("and", "comma")
    base = before if lists and things and own.governor is None and own.negation == 1 else own
    extents = [mark.sign for mark in marks if mark.tag in EXTENTS]
    return Carried(
        governor=base.governor,
        sign=base.sign,
        negation=base.negation if things or base.governor else 1,
        quality_negation=own.negation,
        extent=extents[-1] if extents else before.extent,
        tags=frozenset(mark.tag for mark in marks),
        subject=_subject(segment, marks),
        waiting=_waiting(marks, before.waiting if lists else []),
    )


def _subject(segment: Segment, marks: Sequence[Mark]) -> str:
    """'margins: tight', 'margins should be tight and even': the margin is still what is spoken of."""
    tags = {token.tag for token in segment.tokens if token.tag not in LIGHT}
    described = any(mark.head == "margin" for mark in marks) and any(token.text in COPULA for token in segment.tokens)
    return "margin" if described or tags == {"margin"} else ""


def _waiting(marks: Sequence[Mark], earlier: list[Mark]) -> list[Mark]:
    open_things = [m for m in marks if m.tag in THINGS and m.governor is None and m.negation == 1]
    return [*earlier, *open_things] if open_things and len(open_things) == len(marks) else []
