"""The offline default: a hand-built parser that reads a sentence as slots. No downloads, no learned weights."""

import hashlib
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from ..errors import UnsupportedRequest
from .evidence import collect, settle
from .marks import HEADS, LIGHT, QUALITIES, THINGS, VERBS
from .segments import Segment, split
from .slots import EXTENT_ONLY, SLOT_NAMES, VECTOR_LAYOUT, Slots, Understanding
from .vocabulary import Token, stems_of, tokenize

SUGGESTIONS = ("'include the ground-glass halo'", "'tight outline, solid core only'", "'generous, but smooth edges'")
RANK_EXTENT = {"a1": -1.0, "a2": -1 / 3, "a3": 1 / 3, "a4": 1.0}


class WordsEncoder:
    """Text encoder that parses: paraphrases get the same embedding, and what it cannot map it refuses."""

    name = "words"
    dim = len(VECTOR_LAYOUT)
    weights_sha256 = hashlib.sha256("\n".join(VECTOR_LAYOUT).encode()).hexdigest()

    def identity(self) -> dict:
        """Name, dimension and a hash of the layout: a wider vocabulary leaves trained weights valid."""
        return {"encoder": self.name, "dim": self.dim, "weights_sha256": self.weights_sha256}

    def embed(self, prompts: Sequence[str]) -> Tensor:
        """[P, 13] float32 of the slots (slots.VECTOR_LAYOUT). Raises UnsupportedRequest."""
        vectors = [self.understand(prompt).slots.vector() for prompt in prompts]
        return torch.tensor(vectors, dtype=torch.float32).reshape(len(vectors), self.dim)

    def understand(self, prompt: str) -> Understanding:
        """How the sentence is read. Raises UnsupportedRequest with three suggestions where it cannot be."""
        try:
            return _understand(prompt)
        except UnsupportedRequest as error:
            raise UnsupportedRequest(
                f"'{prompt}' cannot be followed. {error} Try, for example: {', '.join(SUGGESTIONS)}."
            ) from None


def _understand(prompt: str) -> Understanding:
    tokens = tokenize(prompt)
    _refuse_foreign(tokens)
    segments = split([token for token in tokens if token.tag not in ("slice", "rank")])
    _refuse_strange_objects(segments)
    statements = collect(segments)
    between = any(token.tag == "between" for token in tokens)
    values = {name: settle(name, [s for s in statements if s.slot == name], between) for name in SLOT_NAMES}
    ranks = [token.text for token in tokens if token.tag == "rank"]
    if len(ranks) == 1 and values["extent"] is None:
        values["extent"] = RANK_EXTENT[ranks[0]]
    slots = Slots(**values, per_slice=bool(ranks) or any(token.tag == "slice" for token in tokens))
    if not slots.said:
        raise UnsupportedRequest(
            "It names nothing that a reader style can change: how tight or generous the outline is, the ground-glass"
            " halo, spiculation, margin, size."
        )
    return Understanding(prompt, slots, _notes(slots, tokens), _not_understood(tokens))


def _refuse_foreign(tokens: list[Token]) -> None:
    foreign = [token.text for token in tokens if token.tag == "foreign"]
    if foreign:
        raise UnsupportedRequest(f"A reader style cannot answer '{foreign[0]}'.")
    vague = [token.text for token in tokens if token.tag == "vague"]
    if vague:
        raise UnsupportedRequest(f"'{vague[0]}' does not say what should be in and what should be out.")


def _refuse_strange_objects(segments: list[Segment]) -> None:
    """An unknown word where the sentence names what to include or exclude, or what to do with it."""
    governed = False
    for segment in segments:
        governs = [i for i, t in enumerate(segment.tokens) if (t.tag in VERBS and t.tag != "follow") or t.tag == "not"]
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
    content = [token for token in tokens if token.tag not in ("determiner", "filler", "preposition")]
    for word, other in (*pairwise(content), *pairwise(reversed(content))):
        if word.tag == "" and other.tag in THINGS:
            return word.text
    return ""


def _notes(slots: Slots, tokens: list[Token]) -> tuple[str, ...]:
    extent_only = [f"'{name}' can only change the extent of the outline." for name in EXTENT_ONLY if name in slots.said]
    corrected = [f"'{t.text}' was read as '{t.read_as}'." for t in tokens if t.tag and _was_corrected(t)]
    conditions = [f"The condition after '{t.text}' is not checked." for t in tokens if t.tag == "if"]
    return (*extent_only, *corrected, *conditions)


def _was_corrected(token: Token) -> bool:
    words, read = token.text.split(), token.read_as.split()
    return bool(read) and any(r not in stems_of(w) for w, r in zip(words, read))


def _not_understood(tokens: list[Token]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(token.text for token in tokens if token.tag == ""))
