"""Reading a sentence about an outline, in four steps.

vocabulary: words become tokens with a tag. segments: the sentence is cut where it says something new. grammar (with
verbs, nouns, qualities): each segment becomes marks, things and qualities with a sign. evidence: marks become slots.
"""

from .sentence import understand

__all__ = ["understand"]
