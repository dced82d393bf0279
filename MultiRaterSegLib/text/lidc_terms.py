"""LIDC-IDRI's own terms for a nodule: nine properties that each reader rated, and sentences that state them."""

import re

LIDC_TERMS: dict[str, tuple[str, ...]] = {
    "Subtlety": ("Extremely Subtle", "Moderately Subtle", "Fairly Subtle", "Moderately Obvious", "Obvious"),
    "InternalStructure": ("Soft Tissue", "Fluid", "Fat", "Air"),
    "Calcification": ("Popcorn", "Laminated", "Solid", "Non-central", "Central", "Absent"),
    "Sphericity": ("Linear", "Ovoid/Linear", "Ovoid", "Ovoid/Round", "Round"),
    "Margin": ("Poorly Defined", "Near Poorly Defined", "Medium Margin", "Near Sharp", "Sharp"),
    "Lobulation": (
        "No Lobulation",
        "Nearly No Lobulation",
        "Medium Lobulation",
        "Near Marked Lobulation",
        "Marked Lobulation",
    ),
    "Spiculation": (
        "No Spiculation",
        "Nearly No Spiculation",
        "Medium Spiculation",
        "Near Marked Spiculation",
        "Marked Spiculation",
    ),
    "Texture": ("Non-Solid/GGO", "Non-Solid/Mixed", "Part Solid/Mixed", "Solid/Mixed", "Solid"),
    "Malignancy": (
        "Highly Unlikely",
        "Moderately Unlikely",
        "Indeterminate",
        "Moderately Suspicious",
        "Highly Suspicious",
    ),
}
"""What the ratings 1, 2, ... mean, the properties in LIDC's order (Armato et al. 2011; names as the library pylidc has them)."""

CATEGORIES = ("InternalStructure", "Calcification")
"""Properties whose ratings are kinds, not degrees."""


def statement(name: str, rating: int) -> str:
    """Such as "The Spiculation is Marked Spiculation." for Spiculation rated 5."""
    return f"The {name} is {LIDC_TERMS[name][rating - 1]}."


def split_statements(text: str) -> tuple[tuple[str, ...], str]:
    """The statements in a text, in its order and LIDC's spelling, and what is left without them."""
    found = tuple(_CANONICAL[match.casefold()] for match in _STATEMENT.findall(text))
    return found, " ".join(_STATEMENT.sub(" ", text).strip(" .").split())


_ALL = [statement(name, k)[:-1] for name, terms in LIDC_TERMS.items() for k in range(1, len(terms) + 1)]
_CANONICAL = {sentence.casefold(): f"{sentence}." for sentence in _ALL}
_STATEMENT = re.compile(
    rf"(?<!\w)({'|'.join(re.escape(s) for s in sorted(_ALL, key=len, reverse=True))})(?:\.|,|;|$)\s*", re.IGNORECASE
)
