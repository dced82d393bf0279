"""Texts as a fixed number of vectors that a network can attend to: sentences -> token vectors -> resampled tokens.

A text is a tuple of sentences, of any number; () says nothing. A sentence that asks for something of an outline is a `Wish`,
a plain string describes what is seen: which it is depends on who says it, not on its words. Attention without a key
mask (MONAI's) would see padding, so a few learned queries look the text's tokens up first, padding masked out, and only
their answers go on.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol, TypeAlias

import torch
from torch import Tensor, nn

from ..errors import TextEncoderError, UnsupportedRequest
from .encoder import make_text_encoder
from .lidc_terms import split_statements, unknown_terms
from .parser import understand
from .slots import Slots, Understanding
from .words import WordsEncoder, explained

BUCKETS = 256
"""Words without a fixed meaning are told apart by a hash of this many values."""


@dataclass(frozen=True)
class Wish:
    """What a person, or a training prompt, asks for."""

    sentence: str

    def __str__(self) -> str:
        return self.sentence


Sentence: TypeAlias = str | Wish
Text: TypeAlias = tuple[Sentence, ...]


class SentenceVectors(Protocol):
    """Sentences -> vectors [n_i, dim] each; an nn.Module, trained along as far as it has parameters that are."""

    dim: int

    def identity(self) -> dict:
        """Of what they are made with and do not hold themselves, see TextEncoder."""

    def __call__(self, sentences: Sequence[Sentence]) -> list[Tensor]: ...


def make_sentence_vectors(name: str, path: str | None, dim: int) -> nn.Module:
    """ "words": trained along, one vector a sentence; else a frozen encoder of TEXT_ENCODERS, its tokens projected.

    Raises TextEncoderError for an encoder that gives one vector a sentence only: attention to one token is no choice.
    """
    if name == "words":
        return LearnedSentences(dim)
    encoder = make_text_encoder(name, path)
    if not hasattr(encoder, "tokens"):
        raise TextEncoderError(
            f"The text encoder '{name}' gives one vector a sentence; this method attends to tokens. Use 'words', "
            "'clinical_bert' or 'minilm'."
        )
    return FrozenTokens(encoder, dim)


class LearnedSentences(nn.Module):
    """A sentence is one vector, W f: f counts the words of a description (hashed), and of a wish holds what the words parser
    reads in it. So wishes that the parser understands alike are the same vector, and no word of a wish meets the vector
    of a word that only shares its hash."""

    def __init__(self, dim: int):
        super().__init__()
        self.dim = dim
        self.project = nn.Linear(WordsEncoder.dim + BUCKETS, dim, bias=False)
        nn.init.normal_(self.project.weight, std=0.5)

    def identity(self) -> dict:
        return WordsEncoder().identity()

    def forward(self, sentences: Sequence[Sentence]) -> list[Tensor]:
        """[1, dim] each. Raises UnsupportedRequest for a wish that cannot be read."""
        if not sentences:
            return []
        read = torch.tensor([sentence_features(s) for s in sentences], device=self.project.weight.device)
        return list(self.project(read).split(1))


class FrozenTokens(nn.Module):
    """Every token vector of a frozen encoder, linearly projected as in AmbiguousTextDiff (768 to 128)."""

    def __init__(self, encoder, dim: int):
        super().__init__()
        self.encoder, self.dim = encoder, dim
        self.project = nn.Linear(encoder.dim, dim)

    def identity(self) -> dict:
        return self.encoder.identity()

    def forward(self, sentences: Sequence[Sentence]) -> list[Tensor]:
        """[tokens, dim] each; sentences are encoded one by one, so that each is encoded once in a training."""
        return [self.project(self.encoder.tokens(str(s)).to(self.project.weight)) for s in sentences]


class Resampler(nn.Module):
    """Token sets of any size -> `count` tokens each: learned queries attend to them and to a token that is always there."""

    def __init__(self, dim: int, count: int, heads: int = 4):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(count, dim))
        self.silence = nn.Parameter(torch.randn(1, dim))
        self.normalize = nn.LayerNorm(dim)
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.mix = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, sets: Sequence[Tensor]) -> Tensor:
        """[n_i, dim] each -> [B, count, dim]."""
        full = [torch.cat([self.silence, tokens]) for tokens in sets]
        padded = nn.utils.rnn.pad_sequence(full, batch_first=True)
        lengths = torch.tensor([len(tokens) for tokens in full], device=padded.device)
        padding = torch.arange(padded.shape[1], device=padded.device) >= lengths[:, None]
        queries = self.queries.expand(len(full), -1, -1)
        tokens = self.normalize(padded)
        found = queries + self.attention(queries, tokens, tokens, padding, need_weights=False)[0]
        return found + self.mix(found)


class TextTokens(nn.Module):
    """Texts -> tokens [B, count, dim]; () is the text that says nothing."""

    def __init__(self, encoder: str, path: str | None, dim: int, count: int):
        super().__init__()
        self.sentences = make_sentence_vectors(encoder, path, dim)
        self.resample = Resampler(dim, count)

    def forward(self, texts: Sequence[Text]) -> Tensor:
        return self.resample(self.vectors(texts))

    def vectors(self, texts: Sequence[Text]) -> list[Tensor]:
        """[n_i, dim] each, before resampling; each different sentence is computed once."""
        different = list(dict.fromkeys(sentence for text in texts for sentence in text))
        vector = dict(zip(different, self.sentences(different)))
        nothing = self.resample.queries.new_empty(0, self.resample.queries.shape[1])
        return [torch.cat([nothing, *(vector[sentence] for sentence in text)]) for text in texts]


def sentences_of(prompt: str) -> Text:
    """A person's sentence as a text: LIDC's statements one by one, then whatever else it says."""
    statements, rest = split_statements(prompt)
    return (*statements, Wish(rest)) if rest else statements


def read_text(prompt: str) -> Understanding:
    """How a person's sentence is read: LIDC's statements, and by the words parser what else it says.

    Raises UnsupportedRequest where the rest names nothing that a style can change.
    """
    statements, rest = split_statements(prompt)
    hints = unknown_terms(rest)
    try:
        read = understand(rest) if rest or not statements else Understanding(prompt, Slots())
    except UnsupportedRequest as error:
        raise UnsupportedRequest(" ".join((str(error), *hints))) from None
    return replace(read, text=prompt, notes=(*read.notes, *hints), described=statements)


understand_text = explained(read_text)
"""`read_text`, whose refusal also says what could be asked instead."""


@lru_cache(maxsize=16384)
def sentence_features(sentence: Sentence) -> tuple[float, ...]:
    """[13 + BUCKETS]: what the words parser reads in a wish, or the shares of the words of a description."""
    if isinstance(sentence, Wish):
        return (*WordsEncoder().understand(sentence.sentence).slots.vector(), *[0.0] * BUCKETS)
    counts = [0.0] * BUCKETS
    words = [word.strip(".,;:()") for word in sentence.casefold().split()]
    for word in words:
        counts[zlib.crc32(word.encode()) % BUCKETS] += 1 / len(words) ** 0.5
    return (*[0.0] * WordsEncoder.dim, *counts)
