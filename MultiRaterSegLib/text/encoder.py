"""What every text encoder promises, and how one is made by name."""

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

from ..errors import TextEncoderError
from .slots import Understanding
from .words import WordsEncoder


class TextEncoder(Protocol):
    """Frozen: sentences in, vectors out; the same sentence gives the same vector.

    Every encoder understands with the words parser, which alone can say how a sentence was read and refuse the rest.
    `words` also embeds what it understood; the pretrained ones embed the text itself, any text.
    """

    name: str
    dim: int
    weights_sha256: str

    def identity(self) -> dict:
        """{"encoder", "dim", "weights_sha256"}: what a checkpoint must remember of the encoder it was trained with."""

    def embed(self, prompts: Sequence[str]) -> Tensor:
        """[P, dim] float32 on the CPU, without gradient."""

    def understand(self, prompt: str) -> Understanding:
        """How the sentence is read. Raises UnsupportedRequest where it names nothing that a style can change."""


def _words(path: str | None) -> TextEncoder:
    if path is not None:
        raise TextEncoderError(f"The text encoder 'words' has no weights to load; remove its path ({path}).")
    return WordsEncoder()


def _clip(path: str | None) -> TextEncoder:
    from .clip import load_clip

    return load_clip(path)


def _minilm(path: str | None) -> TextEncoder:
    from .minilm import load_minilm

    return load_minilm(path)


def _clinical_bert(path: str | None) -> TextEncoder:
    from .clinical_bert import load_clinical_bert

    return load_clinical_bert(path)


TEXT_ENCODERS: dict[str, Callable[[str | None], TextEncoder]] = {
    "words": _words,
    "clip": _clip,
    "minilm": _minilm,
    "clinical_bert": _clinical_bert,
}
"""The pretrained ones import their packages when they are made."""


def make_text_encoder(name: str, path: str | None = None) -> TextEncoder:
    """The encoder `name` of TEXT_ENCODERS; path: its model file or folder (None: where it is usually installed).

    Raises TextEncoderError at once where there is no such encoder or model: no download, never random weights.
    """
    if name not in TEXT_ENCODERS:
        raise TextEncoderError(f"There is no text encoder '{name}'. There are: {', '.join(TEXT_ENCODERS)}.")
    return TEXT_ENCODERS[name](path)
