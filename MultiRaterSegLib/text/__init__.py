"""Sentences about an outline: what they mean (slots), and encoders that turn them into vectors."""

from .slots import Slots, Understanding
from .words import WordsEncoder

__all__ = ["Slots", "Understanding", "WordsEncoder"]
