"""A sentence as slots, or a refusal: what must not be read as something else is refused before it is read."""

from collections.abc import Sequence
from itertools import pairwise

from ...errors import UnsupportedRequest
from ..slots import EXTENT_ONLY, SLOT_NAMES, Slots, Understanding
from .evidence import collect, settle
from .marks import HEADS, LIGHT, QUALITIES, THINGS, VERBS
from .segments import Segment, split
from .told import asks, told
from .vocabulary import Token, stems_of, tokenize

NEED_OBJECTS = {*VERBS, "not", "not_so", "small", "large", "whole"} - {"follow"}
"""Tags whose words must be followed by something that is known here."""
RANK_EXTENT = {"a1": -1.0, "a2": -1 / 3, "a3": 1 / 3, "a4": 1.0}


def understand(prompt: str) -> Understanding:
    """How the sentence is read. Raises UnsupportedRequest, without suggestions."""
    tokens = tokenize(prompt)
    _refuse_foreign(tokens)
    _refuse_questions(tokens)
    segments = split([token for token in tokens if token.tag not in ("slice", "rank")])
    _refuse_strange_objects(segments)
    _refuse_dashes(segments)
    statements = collect(segments)
    between = any(token.tag == "between" for token in tokens)
    values = {name: settle(name, [s for s in statements if s.slot == name], between) for name in SLOT_NAMES}
    ranks = {RANK_EXTENT[token.text] for token in tokens if token.tag == "rank"}
    if any(token.tag == "rank" and before.tag == "not" for before, token in pairwise(tokens)):
        raise UnsupportedRequest("'Not' one reader leaves three others: say which.")
    values["extent"] = _with_rank(values["extent"], ranks)
    slots = Slots(**values, per_slice=bool(ranks) or any(token.tag == "slice" for token in tokens))
    if not slots.said:
        raise UnsupportedRequest(
            "It names nothing that a reader style can change: how tight or generous the outline is, the ground-glass"
            " halo, spiculation, margin, size."
        )
    return Understanding(prompt, slots, _notes(slots, tokens, segments), _not_understood(tokens))


def _with_rank(extent: float | None, ranks: set[float]) -> float | None:
    """'A2', 'the conservative reader A1': a slice-wise rank is an extent; any other must agree with it."""
    asked = ranks if extent is None else {*ranks, extent}
    if ranks and len(asked) > 1:
        raise UnsupportedRequest("The sentence asks for more than one reader.")
    return next(iter(asked), None)


def _refuse_foreign(tokens: list[Token]) -> None:
    amounts = [token.text for token in tokens if token.tag == "amount"]
    if amounts:
        raise UnsupportedRequest(f"'{amounts[0]}': reader styles differ in manner; no number can be set.")
    if any(token.tag == "language" for token in tokens):
        raise UnsupportedRequest("Only English is understood.")
    foreign = [token.text for token in tokens if token.tag == "foreign"]
    if foreign:
        raise UnsupportedRequest(f"A reader style cannot answer '{foreign[0]}'.")
    vague = [token.text for token in tokens if token.tag == "vague"]
    if vague:
        raise UnsupportedRequest(f"'{vague[0]}' does not say what should be in and what should be out.")


def _refuse_questions(tokens: list[Token]) -> None:
    """A question that no other sentence follows: 'why is the rim missing? Add it' ends with a wish."""
    stops = [index for index, token in enumerate(tokens) if token.tag == "stop"]
    goes_on = bool(stops) and any(token.tag != "stop" for token in tokens[stops[0] :])
    if asks(tokens) and not goes_on:
        raise UnsupportedRequest("It is a question; say what the outline should be like.")


def _refuse_dashes(segments: list[Segment]) -> None:
    """'core - halo' takes away, 'tight - halo included' goes on: with a bare thing behind it, a dash can be either."""
    for segment in segments:
        tags = {token.tag for token in segment.tokens}
        governed = tags & {*VERBS, "not", "particle_in", "particle_out"}
        if segment.word == "–" and segment.tokens[0].tag in THINGS and not governed:
            raise UnsupportedRequest("A dash can mean 'without' or a pause: say 'without' or 'with'.")


def _refuse_strange_objects(segments: list[Segment]) -> None:
    """An unknown word where the sentence names what to include or exclude, or what to do with it."""
    governed = False
    for segment, manner in zip(segments, told(segments)):
        if manner == "question":
            continue
        governs = [i for i, token in enumerate(segment.tokens) if token.tag in NEED_OBJECTS]
        listed = governed and segment.joint in ("and", "comma", "except", "but") and not governs
        if segment.joint == "except" or listed:
            governs.append(-1)
        for start in governs:
            strange = _strange_object(segment.tokens[start + 1 :])
            if strange:
                raise UnsupportedRequest(f"'{strange}' is not known here.")
        strange = "" if listed else _strange_verb(segment.tokens)
        if strange:
            raise UnsupportedRequest(f"What '{strange}' should do to the outline is not known here.")
        governed = bool(governs)


def _strange_object(tokens: Sequence[Token]) -> str:
    known = THINGS | HEADS | set(QUALITIES) | {"whole", "average", "core"}
    strange = ""
    for token in tokens:
        if token.tag in known:
            return ""
        strange = strange or (token.text if token.tag == "" else "")
        if token.tag not in LIGHT:
            break
    return strange


def _strange_verb(tokens: Sequence[Token]) -> str:
    """'obliterate the halo', 'halo obliteration': an unknown word beside a thing that no known word governs."""
    if any(token.tag in VERBS or token.tag == "missing" for token in tokens):
        return ""
    links = ("determiner", "filler", "preposition")
    content = [(token, before) for before, token in pairwise((Token("", "stop"), *tokens)) if token.tag not in links]
    for (word, before), (other, _) in (*pairwise(content), *pairwise(reversed(content))):
        adjective = before.tag == "determiner" or before.text in ("no", "without")
        if word.tag == "" and other.tag in THINGS and not adjective:
            return word.text
    return ""


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
