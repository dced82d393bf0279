"""The offline default: a hand-built parser that reads a sentence as slots. No downloads, no learned weights."""

import hashlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..errors import UnsupportedRequest
from .parser import understand
from .slots import VECTOR_LAYOUT, Understanding

SUGGESTIONS = ("'include the ground-glass halo'", "'tight outline, solid core only'", "'generous, but smooth edges'")


def explained(read: Callable[[str], Understanding]) -> Callable[[str], Understanding]:
    """The same reading, whose refusal names the sentence and three that could be asked instead."""

    def reading(prompt: str) -> Understanding:
        try:
            return read(prompt)
        except UnsupportedRequest as error:
            raise UnsupportedRequest(
                f"'{prompt}' cannot be followed. {error} Try, for example: {', '.join(SUGGESTIONS)}."
            ) from None

    return reading


_explained = explained(understand)


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
        return _explained(prompt)
