"""A sentence as slots, or a refusal: read strictly first, then forgivingly."""

from collections.abc import Sequence
from itertools import pairwise

from ...errors import UnsupportedRequest
from ..slots import EXTENT_ONLY, SLOT_NAMES, Slots, Understanding
from .evidence import Evidence, collect, settle
from .guess import weigh
from .refusals import (
    Unclear,
    refuse_dashes,
    refuse_foreign,
    refuse_other_objects,
    refuse_outright,
    refuse_strange_words,
)
from .segments import Segment, split
from .told import told
from .vocabulary import Token, stems_of, tokenize

RANK_EXTENT = {"a1": -1.0, "a2": -1 / 3, "a3": 1 / 3, "a4": 1.0}


def understand(prompt: str) -> Understanding:
    """How the sentence is read. Raises UnsupportedRequest, without suggestions."""
    tokens = tokenize(prompt)
    refuse_outright(tokens)
    segments = split([token for token in tokens if token.tag not in ("slice", "rank")])
    refuse_foreign(segments)
    refuse_dashes(segments)
    refuse_other_objects(segments)
    statements = collect(segments)
    try:
        refuse_strange_words(segments)
        slots, guessed = _strictly(tokens, statements), ()
    except Unclear as refusal:
        slots = _forgivingly(tokens, statements, refusal)
        guessed = (f"A guess, since not every word fits: {refusal}",)
    return Understanding(prompt, slots, (*guessed, *_notes(slots, tokens, segments)), _not_understood(tokens))


def _strictly(tokens: Sequence[Token], statements: Sequence[Evidence]) -> Slots:
    between = any(token.tag == "between" for token in tokens)
    return _slots(
        tokens, {name: settle(name, [s for s in statements if s.slot == name], between) for name in SLOT_NAMES}
    )


def _forgivingly(tokens: Sequence[Token], statements: Sequence[Evidence], refusal: Unclear) -> Slots:
    values, torn = weigh(statements)
    if torn or not values:
        raise refusal
    return _slots(tokens, values)


def _slots(tokens: Sequence[Token], values: dict[str, float | None]) -> Slots:
    ranks = {RANK_EXTENT[token.text] for token in tokens if token.tag == "rank"}
    if any(token.tag == "rank" and before.tag == "not" for before, token in pairwise(tokens)):
        raise UnsupportedRequest("'Not' one reader leaves three others: say which.")
    values = {**values, "extent": _with_rank(values.get("extent"), ranks)}
    slots = Slots(**values, per_slice=bool(ranks) or any(token.tag == "slice" for token in tokens))
    if not slots.said:
        raise UnsupportedRequest(
            "It names nothing that a reader style can change: how tight or generous the outline is, the ground-glass"
            " halo, spiculation, margin, size."
        )
    return slots


def _with_rank(extent: float | None, ranks: set[float]) -> float | None:
    """'A2', 'the conservative reader A1': a slice-wise rank is an extent; any other must agree with it."""
    asked = ranks if extent is None else {*ranks, extent}
    if ranks and len(asked) > 1:
        raise UnsupportedRequest("The sentence asks for more than one reader.")
    return next(iter(asked), None)


def _notes(slots: Slots, tokens: list[Token], segments: list[Segment]) -> tuple[str, ...]:
    extent_only = [f"'{name}' can only change the extent of the outline." for name in EXTENT_ONLY if name in slots.said]
    corrected = [f"'{t.text}' was read as '{t.read_as}'." for t in tokens if t.tag and _was_corrected(t)]
    conditions = [f"The condition after '{t.text}' is not checked." for t in tokens if t.tag == "if"]
    complaints = [
        f"'{' '.join(token.text for token in segment.tokens)}' was read as a complaint: it asks for the opposite."
        for segment, manner in zip(segments, told(segments))
        if manner == "fault"
    ]
    return (*extent_only, *corrected, *conditions, *complaints)


def _was_corrected(token: Token) -> bool:
    words, read = token.text.split(), token.read_as.split()
    return bool(read) and any(r not in stems_of(w) for w, r in zip(words, read))


def _not_understood(tokens: list[Token]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(token.text for token in tokens if token.tag == ""))
