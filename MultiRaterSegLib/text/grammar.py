"""From tagged tokens to evidence about slots: who governs what, and what negation turns round.

A sentence is cut into segments at commas, 'and', 'but', 'except', 'rather than'. Within a segment the reader goes from
left to right and keeps what governs the next thing: the last verb of inclusion (+) or exclusion (-), and the product of
the negations so far. A thing (halo, spicule, core ...) becomes a mark with that sign; a quality (tight, smooth ...)
becomes a mark with its own sign, turned by negation alone. A segment without a verb inherits the one before it.
"""

from dataclasses import dataclass, field

from .vocabulary import Token

THINGS = {"halo", "spicule", "doubt", "surroundings", "core", "sure", "margin"}
QUALITIES = {"tight": -1, "generous": 1, "small": -1, "large": 1, "inner": -1, "outer": 1, "smooth": -1, "rough": 1}
VERBS = {"include": 1, "with": 1, "follow": 1, "hold": 1, "leave": 1, "exclude": -1, "grow": 1, "shrink": -1}
SOFT = {"with", "hold", "leave"}
HEADS = {"target", "outline", "edge", "margin"}
LIGHT = {
    "",
    "filler",
    "determiner",
    "mild",
    "strong",
    "too",
    "more",
    "less",
    "second",
    "third",
    "only",
    "average",
    "whole",
}
JOINTS = {"stop": 4, "but": 3, "than": 3, "except": 3, "and": 2, "comma": 1}
AMOUNT_WORDS = {"minimal", "minimum", "maximal", "maximum", "reduced", "limited", "ample", "modest"}
NAMES_OF_TENDENCIES = ("ation", "ing", "ness", "ity", "recall", "precision", "restraint", "estimate")


@dataclass(frozen=True)
class Segment:
    joint: str
    joint_text: str
    tokens: tuple[Token, ...]


@dataclass
class Mark:
    """Something a segment says: a thing, a quality or a movement of the outline, with what turned its sign."""

    tag: str
    index: int
    value: float = 1.0
    negation: int = 1
    governor: str | None = None
    governor_sign: int = 1
    mode: str = ""
    head: str = ""
    degree: float | None = None
    cautioned: bool = False
    weak: bool = False
    inherited: bool = False

    @property
    def loose(self) -> bool:
        """Whether a participle or particle that follows may still govern it: 'keep the halo out'."""
        return self.governor is None or self.governor in SOFT or self.inherited

    @property
    def sign(self) -> float:
        return self.value * self.negation * self.governor_sign


@dataclass
class Carried:
    """What a segment hands to the next one."""

    governor: str | None = None
    sign: int = 1
    negation: int = 1
    quality_negation: int = 1
    extent: float = 1.0
    tags: frozenset[str] = frozenset()
    orphans: list[Mark] = field(default_factory=list)


def split(tokens: list[Token]) -> list[Segment]:
    """Segments with the strongest joint before each; 'everything but' reads 'everything except'."""
    segments: list[Segment] = []
    joint, joint_text, current = "stop", "", []
    chosen = any(token.read_as in ("prefer", "favour", "favor", "choose", "opt for", "opt") for token in tokens)

    def close():
        nonlocal current
        if (
            current
            and all(token.tag in ("only", "filler") for token in current)
            and segments
            and any(token.tag == "only" for token in current)
        ):
            last = segments.pop()
            segments.append(Segment(last.joint, last.joint_text, (*last.tokens, *current)))
        elif current:
            segments.append(Segment(joint, joint_text, tuple(current)))
        current = []

    for token in tokens:
        tag = _joint_of(token, current, chosen)
        if tag:
            fresh = bool(current)
            close()
            if fresh or JOINTS[tag] > JOINTS[joint]:
                joint, joint_text = tag, token.text
        if not tag or token.tag == "not":
            current.append(token)
    close()
    return segments


def _joint_of(token: Token, before: list[Token], chosen: bool) -> str:
    if token.text == "nor":
        return "and"
    if token.text == "over" and chosen:
        return "than"
    if token.text == "but" and before and (before[-1].tag == "whole" or before[-1].text in ("nothing", "none")):
        return "except"
    return token.tag if token.tag in JOINTS else ""


class SegmentReader:
    """Reads one segment from left to right; `marks` and `carried` are the result."""

    def __init__(self, segment: Segment, carried: Carried):
        self.tokens, self.joint, self.joint_text = segment.tokens, segment.joint, segment.joint_text
        self.before = carried
        self.marks: list[Mark] = []
        self.governor: str | None = None
        self.governor_index = -1
        self.sign, self.negation, self.only_negation = 1, 1, 1
        self.fresh_negation = self.after_to = self.only = self.ambiguous = False
        self.mode = ""
        self.amount: int | None = None
        self.degree: float | None = None
        self.too = False
        self.whole: Mark | None = None
        self.move: Mark | None = None

    def read(self) -> "SegmentReader":
        for index, token in enumerate(self.tokens):
            if self.whole and index == self.whole.index + 1 and (token.tag in VERBS or token.tag in QUALITIES):
                self.whole = None
            self._read_token(index, token)
        self._finish()
        return self

    def _read_token(self, index: int, token: Token) -> None:
        tag = token.tag
        if self._is_particle(index, token):
            self._post(1 if tag in ("particle_in", "within") else -1)
        elif tag in VERBS:
            self._govern(index, token)
        elif tag in THINGS:
            self._mention(index, token)
        elif tag in QUALITIES or tag == "average":
            self._qualify(index, token)
        elif tag == "not":
            self.negation, self.fresh_negation = -self.negation, True
        elif tag in ("beyond", "within"):
            self.mode = tag
            self.move = self._drop(self.move)
        elif tag == "whole":
            self.whole = Mark("whole", index, 1.0, self.negation, self.governor, self.sign)
        elif tag in ("more", "less"):
            self.amount = 1 if tag == "more" else -1
        elif tag == "mild":
            self.degree = 1 / 3
        elif tag == "strong":
            self.degree = 1.0
        elif tag in ("second", "third"):
            self.degree = 1 / 3 if tag == "second" else -1 / 3
        elif tag == "too":
            self.too = True
        elif tag == "only":
            self.only, self.only_negation = True, self.negation
        if tag not in ("filler", "determiner", "not"):
            self.after_to = tag == "to"

    # --- verbs -------------------------------------------------------------------------------------------------

    def _is_particle(self, index: int, token: Token) -> bool:
        """'in' and 'out' after a thing that no firm verb governs: 'keep the halo out', 'spicules in'."""
        if token.tag not in ("particle_in", "particle_out") and token.text not in (
            "inside",
            "within",
            "outside",
            "alone",
        ):
            return False
        things = [mark for mark in (*self.before.orphans, *self.marks) if mark.tag in THINGS]
        free = things and things[-1].loose
        if token.text == "alone" and self.governor != "leave":
            return False
        return bool(free) and not self._objects_after(index)

    def _objects_after(self, index: int) -> bool:
        return any(token.tag in THINGS or token.tag in ("smooth", "rough") for token in self.tokens[index + 1 :])

    def _govern(self, index: int, token: Token) -> None:
        tag = token.tag
        things = [mark for mark in self.marks if mark.tag in THINGS]
        if things and not self._objects_after(index) and things[-1].loose and tag in ("include", "exclude", "follow"):
            self._post(VERBS[tag])
            return
        self._close_whole()
        linked = self.after_to or token.text.endswith("ing")
        if self.governor == "exclude" and linked and self.governed_nothing():
            self.negation = -self.negation
        elif self.after_to and self.marks and not self.fresh_negation:
            self.negation = 1
        if linked and self.move and tag in ("include", "exclude", "follow"):
            self.move = self._drop(self.move)
        self.governor, self.sign, self.governor_index = tag, VERBS[tag], index
        self.fresh_negation = False
        if tag in ("grow", "shrink"):
            self.move = Mark("move", index, float(VERBS[tag]), self.negation, degree=self._take_degree())
            self.marks.append(self.move)

    def governed_nothing(self) -> bool:
        return not any(mark.index > self.governor_index for mark in self.marks)

    def _post(self, sign: int) -> None:
        """A participle or particle after its things: 'the halo should be left out'."""
        for mark in (*self.marks, *self.before.orphans):
            if mark.tag in THINGS and mark.loose:
                mark.governor, mark.governor_sign, mark.negation = "post", sign, self.negation
        self.governor, self.sign, self.fresh_negation = "post", sign, False
        self.before.orphans.clear()

    # --- things and qualities ------------------------------------------------------------------------------------

    def _mention(self, index: int, token: Token) -> None:
        following = self._tag_after(index)
        if token.tag in ("core", "sure") and following == "target" and not self.mode:
            if token.tag == "core":
                return
        mark = Mark(token.tag, index, float(self.amount or 1), self.negation, self.governor, self.sign, self.mode)
        if self.joint == "than":
            mark.value = -mark.value
        self._inherit(mark)
        mark.weak = following == "target" and mark.governor is None and mark.negation == 1
        if token.tag == "margin" and any(m.head == "margin" for m in self.marks):
            return
        if token.tag == "spicule" and mark.governor is None and any(m.tag == "smooth" for m in self.marks):
            return
        if self.amount and mark.governor is None:
            mark.governor = "amount"
        self._emit(mark)
        self.amount, self.mode, self.whole = None, "", None
        if self.governor in ("grow", "shrink"):
            self.move = self._drop(self.move)

    def _inherit(self, mark: Mark) -> None:
        """What governs a thing in a segment without a verb of its own."""
        if mark.governor is not None:
            return
        own_negation = mark.negation == -1
        mark.inherited = self.joint != "except"
        if self.joint == "except":
            sign = self.before.sign * self.before.negation if self.before.governor else self.before.extent
            mark.governor, mark.governor_sign = "except", -1 if sign > 0 else 1
        elif self.joint in ("and", "comma"):
            mark.governor, mark.governor_sign = self.before.governor, self.before.sign
            if not own_negation:
                mark.negation = self.before.negation
        elif self.before.governor and self.joint == "than":
            mark.governor, mark.governor_sign = self.before.governor, self.before.sign * self.before.negation
        elif self.before.governor and self.joint == "but" and own_negation:
            mark.governor, mark.governor_sign = self.before.governor, self.before.sign

    def _qualify(self, index: int, token: Token) -> None:
        tag, head = token.tag, self._head(index)
        if head in ("halo", "spicule", "core", "doubt", "surroundings", "sure") and tag not in ("smooth", "rough"):
            if token.read_as in AMOUNT_WORDS:
                self.amount = QUALITIES[tag]
            return
        if head == "margin":
            self.marks = [mark for mark in self.marks if mark.tag != "margin"]
        mark = Mark(tag, index, float(QUALITIES.get(tag, 0)), self.negation, head=head)
        if self.joint == "than":
            mark.value = -mark.value
            mark.weak = tag == "average"
        if self.amount == -1:
            mark.value, self.amount = -mark.value, None
        if tag in ("rough", "inner", "outer"):
            mark.governor, mark.governor_sign = self.governor, self.sign
            if tag == "rough" and self.governor is None:
                self._inherit(mark)
        if self.negation == 1 and self.before.quality_negation == -1 and self._shares_negation(mark):
            mark.negation = -1
        if self.move and token.read_as.endswith(NAMES_OF_TENDENCIES):
            mark.value *= self.move.value
            self.move = self._drop(self.move)
        elif self.move and tag == "rough":
            self.move = self._drop(self.move)
        self.whole = None if tag == "rough" else self.whole
        self.amount = None
        self._emit(mark)

    def _shares_negation(self, mark: Mark) -> bool:
        """'not tight or small', 'do not smooth and round': the second quality stands under the first one's 'not'."""
        return self.governor is None and (
            self.joint_text == "or" or (self.joint == "and" and mark.tag in self.before.tags)
        )

    def _head(self, index: int) -> str:
        """The tag of the noun that a quality describes: ahead in its phrase, else behind it ('margins should be tight')."""
        found = ""
        for token in self.tokens[index + 1 :]:
            if token.tag in HEADS or token.tag in THINGS:
                found = token.tag
            elif found or (token.tag not in QUALITIES and token.tag not in LIGHT):
                break
        if found:
            return found
        behind = [token.tag for token in self.tokens[:index] if token.tag in HEADS or token.tag in THINGS]
        if not behind or (behind[-1] in THINGS and behind[-1] != "margin"):
            return ""
        copula = any(token.text in ("is", "are", "be") for token in self.tokens[:index])
        return "" if behind[-1] == "target" and not copula else behind[-1]

    def _tag_after(self, index: int) -> str:
        return self.tokens[index + 1].tag if index + 1 < len(self.tokens) else ""

    # --- bookkeeping ---------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """What was still open at the end of the segment."""
        self._close_whole()
        if self.governor in ("include", "exclude") and not self.marks and self.before.orphans:
            self._post(self.sign)
        if self.mode:
            self._emit(Mark("limit", len(self.tokens), 1.0 if self.mode == "beyond" else -1.0, self.negation))
        if self.amount and not self.marks:
            sign = -1 if self.governor == "exclude" else 1
            self._emit(Mark("amount", len(self.tokens), self.amount * sign * self._than(), self.negation))
        if self.only:
            self._restrict()
        if self.fresh_negation:
            for mark in self.marks:
                if mark.tag in THINGS and mark.governor is None:
                    mark.negation = -1
        if self.degree is not None and self.marks and self.marks[-1].degree is None:
            self.marks[-1].degree = self.degree
        self.ambiguous = any(m.governor == "leave" and m.tag in THINGS - {"margin"} for m in self.marks)

    def _close_whole(self) -> None:
        if self.whole and self._next_head(self.whole.index) != "edge":
            sign = -1 if self.whole.governor == "exclude" else 1
            self._emit(Mark("whole", self.whole.index, sign * self._than(), self.whole.negation))
        self.whole = None

    def _restrict(self) -> None:
        for mark in self.marks:
            mark.mode = "only" if mark.tag in ("core", "sure") and not mark.mode else mark.mode
        heads = {token.tag for token in self.tokens}
        if "target" in heads and not any(mark.tag in THINGS for mark in self.marks):
            self.marks.append(Mark("only", len(self.tokens), -1.0, self.only_negation, weak=True))

    def carried(self) -> Carried:
        """What the next segment may inherit."""
        things = [mark for mark in self.marks if mark.tag in THINGS]
        extents = [m.sign for m in self.marks if m.tag in ("tight", "generous", "whole", "small", "large", "move")]
        inherits = self.governor is None and self.negation == 1 and self.joint in ("and", "comma") and things
        base = self.before if inherits else Carried(self.governor, self.sign, self.negation)
        only_things = things and len(things) == len(self.marks)
        open_things = [mark for mark in things if mark.governor is None and mark.negation == 1]
        joined = self.before.orphans if self.joint in ("and", "comma") else []
        return Carried(
            governor=base.governor,
            sign=base.sign,
            negation=base.negation if things or base.governor else 1,
            quality_negation=self.negation,
            extent=extents[-1] if extents else self.before.extent,
            tags=frozenset(mark.tag for mark in self.marks),
            orphans=[*joined, *open_things] if only_things and len(open_things) == len(things) else [],
        )

    def _than(self) -> int:
        return -1 if self.joint == "than" else 1

    def _next_head(self, index: int) -> str:
        return next((token.tag for token in self.tokens[index + 1 :] if token.tag in HEADS), "")

    def _take_degree(self) -> float | None:
        degree, self.degree = self.degree, None
        return degree

    def _emit(self, mark: Mark) -> None:
        mark.degree = self._take_degree()
        if self.too:
            mark.cautioned, self.too = True, False
        self.fresh_negation = False
        self.marks.append(mark)

    def _drop(self, mark: Mark | None) -> None:
        if mark in self.marks:
            self.marks.remove(mark)
            self.degree = mark.degree if self.degree is None else self.degree
        return None
