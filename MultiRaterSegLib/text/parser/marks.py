"""The kinds of words that the grammar knows, and what a segment says with them."""

from dataclasses import dataclass

THINGS = {"halo", "spicule", "doubt", "surroundings", "core", "sure", "margin", "layer"}
"""What can be in or out of the outline."""
QUALITIES = {"tight": -1, "generous": 1, "small": -1, "large": 1, "inner": -1, "outer": 1, "smooth": -1, "rough": 1}
SHAPES = {"smooth", "rough"}
INTAKE = {"include": 1, "with": 1, "follow": 1, "fill": 1, "hold": 1, "leave": 1, "exclude": -1}
VERBS = INTAKE | {"grow": 1, "shrink": -1}
SOFT = {"with", "hold", "leave", "belong", "after"}
"""Governors that a later word may overrule: 'keep the halo out', 'with the halo excluded'."""
WINDOWS = {"lung_window": 1.0, "soft_window": -1.0}
"""What a reading window does to the haze: the lung window shows it, the soft-tissue window hides it."""
HEADS = {"target", "outline", "edge", "part", "person", "margin"}
"""Nouns that a quality can describe."""
DEGREES = {"mild", "strong", "too", "more", "less", "second", "third"}
LIGHT = {"", "filler", "determiner", "only", "average", "whole"} | DEGREES
"""Words that may stand between a word and what it belongs to."""


@dataclass(eq=False)
class Mark:
    """Something a segment says: a thing, a quality or a movement of the outline, with all that turns its sign.

    governor: the verb or preposition over it (None: it is only mentioned). mode: "beyond", "within" or "only" before
    it. head: the tag of the noun a quality describes. cautioned: under 'too'. weak: yields to any firm statement.
    told: "fault" or "seen" where it is said of an outline that exists (told.py).
    described: in a clause of the form '... is ...', which a plain request outweighs where the two disagree.
    """

    tag: str
    index: int
    value: float = 1.0
    negation: int = 1
    governor: str | None = None
    governor_sign: int = 1
    mode: str = ""
    head: str = ""
    degree: float | None = None
    cautioned: bool = False
    weak: bool = False
    inherited: bool = False
    told: str = ""
    described: bool = False

    @property
    def loose(self) -> bool:
        """Whether a participle or particle that follows may still govern it."""
        return self.governor is None or self.governor in SOFT or self.inherited

    @property
    def sign(self) -> float:
        return self.value * self.negation * self.governor_sign
