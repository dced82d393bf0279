"""What every text encoder promises, and how one is made by name."""

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

from ..errors import TextEncoderError
from .slots import Understanding
from .words import WordsEncoder


class TextEncoder(Protocol):
    """Frozen: sentences in, vectors out; the same sentence gives the same vector."""

    name: str
    dim: int
    weights_sha256: str

    def identity(self) -> dict:
        """{"encoder", "dim", "weights_sha256"}: what a checkpoint must remember of the encoder it was trained with."""

    def embed(self, prompts: Sequence[str]) -> Tensor:
        """[P, dim] float32 on the CPU, without gradient."""

    def understand(self, prompt: str) -> Understanding:
        """How the sentence is read. Raises UnsupportedRequest where it names nothing that a style can change."""


TEXT_ENCODERS: dict[str, Callable[[str | None], TextEncoder]] = {
    "words": lambda path: WordsEncoder(),
}


def make_text_encoder(name: str, path: str | None = None) -> TextEncoder:
    """The encoder `name` of TEXT_ENCODERS; path: its model file or folder. Raises TextEncoderError."""
    if name not in TEXT_ENCODERS:
        raise TextEncoderError(f"There is no text encoder '{name}'. There are: {', '.join(TEXT_ENCODERS)}.")
    return TEXT_ENCODERS[name](path)
