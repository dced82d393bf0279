"""What is known at one place of a segment, from left to right: the state that verbs, nouns and qualities act on."""

from dataclasses import dataclass, field

from .inheritance import Carried
from .marks import THINGS, Mark
from .segments import Segment
from .vocabulary import Token

HABITS = {"who", "always", "usually", "often", "tends", "typically", "err", "rather", "sooner", "better", "prefer"}


@dataclass
class Reading:
    """A segment being read. `marks` is the result.

    governor, sign, negation: what stands over the next thing. negator: the last word of negation; open_negation: it has
    turned nothing round yet. mode: "beyond" or "within" before the next thing. amount: 'more' (+1) or 'less' (-1).
    degree, too: of the next mark. whole: 'everything' that no thing has taken up yet. move: a verb of movement that
    governs no thing yet. shared_head: the noun that the next segment shares with this one's qualities.
    """

    segment: Segment
    before: Carried
    shared_head: str = ""
    marks: list[Mark] = field(default_factory=list)
    governor: str | None = None
    governor_index: int = -1
    sign: int = 1
    negation: int = 1
    negator: str = ""
    open_negation: bool = False
    after_to: bool = False
    conditional: bool = False
    shifts: bool = False
    only: bool = False
    only_negation: int = 1
    mode: str = ""
    amount: int | None = None
    degree: float | None = None
    too: bool = False
    whole: Mark | None = None
    move: Mark | None = None

    @property
    def tokens(self) -> tuple[Token, ...]:
        return self.segment.tokens

    @property
    def joint(self) -> str:
        return self.segment.joint

    @property
    def ambiguous(self) -> bool:
        """'leave the halo' can mean in or out."""
        return any(mark.governor == "leave" and mark.tag in THINGS - {"margin"} for mark in self.marks)

    @property
    def things(self) -> list[Mark]:
        return [mark for mark in self.marks if mark.tag in THINGS]

    @property
    def tells_habit(self) -> bool:
        """'Who always draws too large', 'rather too large': no complaint."""
        return any(HABITS & set(token.text.split()) for token in self.tokens)

    def emit(self, mark: Mark) -> None:
        """Adds a mark with the degree before it."""
        mark.degree, self.degree = self.degree, None
        mark.cautioned, self.too = self.too and not self.tells_habit, False
        self.open_negation = False
        self.marks.append(mark)

    def drop_move(self) -> None:
        """The verb of movement governs a thing: it says nothing about the extent."""
        if self.move is not None:
            self.marks.remove(self.move)
            self.degree = self.move.degree if self.degree is None else self.degree
        self.move = None

    def last_is_loose(self) -> bool:
        """Whether a participle or particle here would find something to govern."""
        things = [mark for mark in (*self.before.waiting, *self.marks) if mark.tag in THINGS or mark.tag == "rough"]
        return bool(things) and things[-1].loose

    def govern_backwards(self, sign: int, governor: str = "after") -> None:
        """A participle or particle after its things: 'the halo and the strands should be left out'."""
        rough = self.marks[-1:] if self.marks and self.marks[-1].tag == "rough" else []
        own = rough or [mark for mark in self.things if mark.loose]
        listed = self.before.waiting if self.joint == "and" or not own else []
        for mark in (*own, *listed):
            if mark.loose:
                mark.governor, mark.governor_sign, mark.negation = governor, sign, self.negation
                mark.inherited = False
        self.governor, self.sign, self.open_negation = "after", sign, False
        self.before.waiting.clear()

    def excluding(self) -> tuple[str | None, int]:
        """The governor for marks that only a verb of exclusion turns round."""
        return (self.governor, -1) if self.governor == "exclude" else (None, 1)

    def contrast(self) -> float:
        """-1 for what is only compared with: 'rather X than Y'."""
        return -1.0 if self.joint == "than" else 1.0

    def tag(self, index: int) -> str:
        return self.tokens[index].tag if 0 <= index < len(self.tokens) else ""
