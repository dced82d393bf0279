"""Sentences about an outline: what they mean (slots), and encoders that turn them into vectors."""

from .encoder import TEXT_ENCODERS, TextEncoder, make_text_encoder
from .prompts import TrainingPrompt, opposites, training_prompts
from .slots import Slots, Understanding
from .words import WordsEncoder

__all__ = [
    "TEXT_ENCODERS",
    "Slots",
    "TextEncoder",
    "TrainingPrompt",
    "Understanding",
    "WordsEncoder",
    "make_text_encoder",
    "opposites",
    "training_prompts",
]
