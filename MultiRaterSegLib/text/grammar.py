"""Reading one segment: who governs what, and what negation turns round.

The reader goes from left to right and keeps what governs the next thing: the last verb of inclusion (+) or exclusion
(-), and the product of the negations so far. A thing (halo, spicule, core ...) becomes a mark with that sign; a quality
(tight, smooth ...) becomes a mark with its own sign, turned by negation alone; a verb of movement (expand, shrink ...)
becomes a mark unless it governs a thing. A segment without a verb inherits that of the one before.
"""

from .inheritance import Carried, hand_on, inherit, shares_negation
from .marks import DEGREES, HEADS, QUALITIES, SHAPES, THINGS, VERBS, Mark
from .phrases import calls, is_about_thing, is_side_of_thing, names_things, noun_of
from .segments import Segment
from .vocabulary import Token

DEGREE_VALUES = {"mild": 1 / 3, "second": 1 / 3, "third": -1 / 3, "strong": 1.0}
ENCLOSING = {"inside", "within", "outside"}
ENDS = {"ends", "stops", "finishes", "fades", "disappears", "vanishes"}
AMOUNTS = {"minimal", "minimum", "maximal", "maximum", "little", "scant", "ample", "abundant"}
TENDENCIES = ("ation", "ing", "ness", "ity", "ism", "recall", "restraint")
"""Endings of nouns for a quality, which can themselves be increased or reduced: 'less smoothing'."""


class SegmentReader:
    """Reads one segment; `marks`, `ambiguous` and `carried()` are the result."""

    def __init__(self, segment: Segment, before: Carried, shared_head: str = ""):
        self.segment, self.tokens, self.joint = segment, segment.tokens, segment.joint
        self.before, self.shared_head = before, shared_head
        self.marks: list[Mark] = []
        self.governor: str | None = None
        self.governor_index, self.sign, self.negation, self.only_negation = -1, 1, 1, 1
        self.open_negation = self.after_to = self.only = self.too = self.shifts = False
        self.conditional = False
        self.mode = ""
        self.amount: int | None = None
        self.degree: float | None = None
        self.whole: Mark | None = None
        self.move: Mark | None = None

    @property
    def ambiguous(self) -> bool:
        """'leave the halo' can mean in or out."""
        return any(mark.governor == "leave" and mark.tag in THINGS - {"margin"} for mark in self.marks)

    def read(self) -> "SegmentReader":
        for index, token in enumerate(self.tokens):
            self._read_token(index, token)
        self._finish()
        return self

    def _read_token(self, index: int, token: Token) -> None:
        tag = token.tag
        if self.whole and self.whole.index == index - 1 and (tag in VERBS or tag in QUALITIES):
            self.whole = None  # 'completely smooth', 'fully include': an adverb
        if self._is_particle(index, token):
            self._govern_backwards(-1 if tag == "particle_out" or token.text == "outside" else 1)
        elif self.shifts and tag in ("particle_in", "particle_out"):
            self._move(index, "shrink" if tag == "particle_in" else "grow")
        elif token.read_as == "part of" and names_things(self.tokens[index + 1 :]):
            self.degree = DEGREE_VALUES["mild"]
        elif tag in VERBS:
            self._govern(index, token)
        elif tag == "missing":
            self.governor, self.sign, self.governor_index, self.negation = "include", 1, index, 1  # negated or not
        elif tag in THINGS:
            self._mention(index, token)
        elif tag in QUALITIES or tag == "average":
            self._qualify(index, token)
        elif tag in DEGREES:
            self._grade(tag)
        elif tag == "not":
            self.negation, self.open_negation = -self.negation, True
        elif tag in ("beyond", "within"):
            self.mode, self.whole, self.move = tag, None, self._drop(self.move)
        elif tag == "whole":
            self.whole = Mark("whole", index, self._than(), self.negation, *self._excluding())
        elif tag == "only":
            self.only, self.only_negation = True, self.negation
        elif tag == "shift":
            self.shifts = True
        elif tag == "excess":
            self._emit(Mark("excess", index, 1.0, self.negation))
        elif tag == "if":
            self.conditional = True
        elif tag == "enough" and self.marks and self.marks[-1].tag in QUALITIES:
            self.marks[-1].negation = 1  # 'not tight enough' asks for tighter
        if tag not in ("filler", "determiner", "not"):
            self.after_to = tag == "to"

    def _grade(self, tag: str) -> None:
        if tag == "too":
            self.too = True
        elif tag in ("more", "less"):
            self.amount = 1 if tag == "more" else -1
        elif tag != "strong" or self.degree is None:
            self.degree = DEGREE_VALUES[tag]

    # -- verbs ---------------------------------------------------------------------------------------------------------

    def _govern(self, index: int, token: Token) -> None:
        tag = token.tag
        firm = tag in ("include", "exclude", "follow")
        if firm and self._loose_thing() and not names_things(self.tokens[index + 1 :]):
            self._govern_backwards(VERBS[tag])
            return
        self._close_whole()
        linked = self.after_to or token.text.endswith("ing")
        if self.governor == "exclude" and linked and not any(mark.index > self.governor_index for mark in self.marks):
            self.negation = -self.negation  # 'forget to include'
        elif self.after_to and self.marks and not self.open_negation:
            self.negation = 1  # '... to keep the outline tight'
        if linked and firm:
            self.move = self._drop(self.move)  # 'expand to include the halo'
        self.governor, self.sign, self.governor_index = tag, VERBS[tag], index
        self.open_negation = False
        if tag in ("grow", "shrink"):
            self._move(index, tag)

    def _move(self, index: int, verb: str) -> None:
        self.move = Mark("move", index, float(VERBS[verb]), self.negation)
        self._emit(self.move)

    def _is_particle(self, index: int, token: Token) -> bool:
        """'in' and 'out' after a thing that no firm verb governs: 'keep the halo out', 'spicules in'."""
        if token.text == "alone":
            return self.governor == "leave" and self._loose_thing()
        if token.tag not in ("particle_in", "particle_out") and token.text not in ENCLOSING:
            return False
        enclosing = token.text in ENCLOSING and not any(mark.tag in THINGS for mark in self.marks)
        return not enclosing and self._loose_thing() and not names_things(self.tokens[index + 1 :])

    def _govern_backwards(self, sign: int) -> None:
        """A participle or particle after its things: 'the halo and the strands should be left out'."""
        own = [mark for mark in self.marks if mark.tag in THINGS and mark.loose]
        listed = self.before.waiting if self.joint == "and" or not own else []
        for mark in (*own, *listed):
            if mark.loose:
                mark.governor, mark.governor_sign, mark.negation = "after", sign, self.negation
                mark.inherited = False
        self.governor, self.sign, self.open_negation = "after", sign, False
        self.before.waiting.clear()

    def _loose_thing(self) -> bool:
        things = [mark for mark in (*self.before.waiting, *self.marks) if mark.tag in THINGS]
        return bool(things) and things[-1].loose

    # -- things --------------------------------------------------------------------------------------------------------

    def _mention(self, index: int, token: Token) -> None:
        tag, before, after = token.tag, self._tag(index - 1), self._tag(index + 1)
        if tag == "core" and after == "target" and not self.mode:
            return  # 'the solid nodule' describes it
        if tag == "margin" and (before == "halo" or any(mark.head == "margin" for mark in self.marks)):
            return  # 'hazy margin' is the halo; 'tight margin' has been read
        things = [mark for mark in self.marks if mark.tag in THINGS]
        if tag == "surroundings" and things and calls(self.tokens[things[-1].index + 1 : index]):
            things[-1].governor = None  # 'treat the halo as background'
            self._govern_backwards(-1)
            return
        mark = Mark(tag, index, (self.amount or 1) * self._than(), self.negation, self.governor, self.sign, self.mode)
        inherit(mark, self.joint, self.before)
        if tag == "spicule" and mark.governor is None and any(m.tag == "smooth" for m in self.marks):
            return  # 'smooth the spikes': the object of smoothing
        if mark.governor is None and (self.amount or self.degree):
            mark.governor = "amount"
        mark.weak = after == "target" and mark.governor is None and mark.negation == 1
        if self.whole and mark.negation == -1 and tag in ("halo", "spicule"):
            mark.value = 0.0  # 'not all of the halo'
        if self.conditional and mark.governor is None:
            mark.mode = "if"
        if mark.mode == "within" and any(token.text in ENDS for token in self.tokens[index + 1 :]):
            mark.mode = "beyond"  # 'stop where the halo ends'
        if self.governor in ("grow", "shrink"):
            self.move = self._drop(self.move)
        self._emit(mark)
        self.amount, self.mode, self.whole = None, "", None

    # -- qualities -----------------------------------------------------------------------------------------------------

    def _qualify(self, index: int, token: Token) -> None:
        tag, noun = token.tag, noun_of(self.tokens, index)
        if token.text in ("inclusive", "exclusive") and self._tag(index - 1) in THINGS and not noun:
            self._govern_backwards(1 if token.text == "inclusive" else -1)  # 'halo-inclusive'
            return
        if tag not in SHAPES and self._describes_thing(index, token, noun):
            return
        head = noun or ("" if self._names_noun(index) else self.shared_head or self.before.subject)
        if head == "margin":
            self.marks = [mark for mark in self.marks if mark.tag != "margin"]
        turned = (self.joint in ("than", "except")) != (self.amount == -1)
        value = float(QUALITIES.get(tag, 0)) * (-1 if turned else 1)
        mark = Mark(tag, index, value, self.negation, head=head)
        mark.weak = self.conditional or (tag in SHAPES and head == "target") or (value == 0 and self.joint == "than")
        if tag in ("rough", "inner", "outer"):
            mark.governor, mark.governor_sign = self.governor, self.sign
        if tag == "rough":
            inherit(mark, self.joint, self.before)
            self.whole = None
        if mark.negation == 1 and self.governor is None and shares_negation(mark, self.segment, self.before):
            mark.negation = -1
        if self.move and token.text.endswith(TENDENCIES):
            mark.value *= self.move.value  # 'less smoothing'
            self.move = self._drop(self.move)
        elif self.move and tag == "rough":
            self.move = self._drop(self.move)
        self.amount = None
        self._emit(mark)

    def _names_noun(self, index: int) -> bool:
        return any(token.tag in HEADS or token.tag in THINGS for token in self.tokens[:index])

    def _describes_thing(self, index: int, token: Token, noun: str) -> bool:
        """'a wide halo' is still the halo, 'minimal halo' is less of it; 'small parts' say nothing of the outline."""
        if is_side_of_thing(self.tokens, index, noun) or is_about_thing(self.tokens, index):
            self.amount = QUALITIES[token.tag]
            return True
        if noun in THINGS - {"margin"} and token.read_as in AMOUNTS:
            self.amount = QUALITIES[token.tag]
        return noun in THINGS - {"margin"} or (noun == "part" and token.tag in ("small", "large"))

    # -- the end of the segment ----------------------------------------------------------------------------------------

    def _finish(self) -> None:
        self._close_whole()
        waiting = self.governor in ("include", "exclude") or self.open_negation
        if waiting and not self.marks and self.before.waiting:
            self._govern_backwards(self.sign)  # 'when in doubt, exclude'
        if self.mode:
            sign = 1.0 if self.mode == "beyond" else -1.0
            self._emit(Mark("limit", len(self.tokens), sign, self.negation, *self._excluding()))
        if self.amount == -1 and self.move:
            self.move.value = -self.move.value  # 'shrink less'
        elif self.amount and not self.marks and all(token.tag for token in self.tokens):
            self._emit(Mark("amount", len(self.tokens), self.amount * self._than(), self.negation, *self._excluding()))
        if self.only:
            self._restrict()
        if self.open_negation:
            for mark in self.marks:
                if mark.tag in THINGS and mark.loose:
                    mark.negation = -1  # 'the halo is not tumour'
        if self.degree is not None and self.marks and self.marks[-1].degree is None:
            self.marks[-1].degree = self.degree

    def _restrict(self) -> None:
        """'only the core', 'only the nodule'."""
        for mark in self.marks:
            mark.mode = "only" if mark.tag in ("core", "sure") and not mark.mode else mark.mode
        names_target = any(token.tag == "target" for token in self.tokens)
        if names_target and not any(mark.tag in THINGS for mark in self.marks):
            self.marks.append(Mark("only", len(self.tokens), -1.0, self.only_negation, weak=True))

    def carried(self) -> Carried:
        """What the next segment may inherit."""
        return hand_on(self.segment, self.marks, Carried(self.governor, self.sign, self.negation), self.before)

    # -- bookkeeping ---------------------------------------------------------------------------------------------------

    def _close_whole(self) -> None:
        if self.whole and next((t.tag for t in self.tokens[self.whole.index :] if t.tag in HEADS), "") != "edge":
            self._emit(self.whole)
        self.whole = None

    def _emit(self, mark: Mark) -> None:
        mark.degree, self.degree = self.degree, None
        mark.cautioned, self.too = self.too, False
        self.open_negation = False
        self.marks.append(mark)

    def _drop(self, mark: Mark | None) -> None:
        if mark in self.marks:
            self.marks.remove(mark)
            self.degree = mark.degree if self.degree is None else self.degree

    def _excluding(self) -> tuple[str | None, int]:
        """The governor for marks that only a verb of exclusion turns round."""
        return (self.governor, -1) if self.governor == "exclude" else (None, 1)

    def _than(self) -> float:
        return -1.0 if self.joint == "than" else 1.0

    def _tag(self, index: int) -> str:
        return self.tokens[index].tag if 0 <= index < len(self.tokens) else ""
