"""LIDC-IDRI's own terms for a nodule: nine properties that each reader rated, and sentences that state them."""

import re
from collections.abc import Iterable

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
    """The statements in a text ("Texture: solid" as well), in its order and LIDC's spelling, and what is left without them."""
    found = tuple(_canonical(*filter(None, match.groups())) for match in _STATEMENT.finditer(text))
    return found, " ".join(_STATEMENT.sub(" ", text).strip(" .").split())


def unknown_terms(text: str) -> tuple[str, ...]:
    """Of each property that a text states without one of its terms, a sentence that lists them."""
    named = dict.fromkeys(_BY_WORD[_word(match[1])] for match in _STATED.finditer(split_statements(text)[1]))
    return tuple(f"LIDC's terms for {name} are: {', '.join(LIDC_TERMS[name])}." for name in named)


def _word(text: str) -> str:
    return "".join(text.casefold().split())


def _canonical(name: str, term: str) -> str:
    name = _BY_WORD[_word(name)]
    terms = [known.casefold() for known in LIDC_TERMS[name]]
    return statement(name, 1 + terms.index(" ".join(term.casefold().split())))


def _any(texts: Iterable[str]) -> str:
    return "|".join(re.escape(text).replace(r"\ ", r"\s+") for text in sorted(texts, key=len, reverse=True))


_BY_WORD = {name.casefold(): name for name in LIDC_TERMS}
_STATES = r"(?<!\w)(?:the\s+)?({name})\s*(?:\bis\b|:|=)\s*"
_STATEMENT = re.compile(
    "|".join(
        _STATES.format(name="internal\\s*structure" if name == "InternalStructure" else name)
        + rf"({_any(terms)})(?:\.|,|;|$)\s*"
        for name, terms in LIDC_TERMS.items()
    ),
    re.IGNORECASE,
)
_STATED = re.compile(_STATES.format(name=f"internal\\s*structure|{_any(LIDC_TERMS)}"), re.IGNORECASE)
