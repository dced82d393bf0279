"""What a sentence can say about an outline, as values: the meaning that every text encoder reports.

A slot is absent (None) or a number in [-1, 1]. Margin and size are understood, but a model that only knows how
generous a reader is can answer them with a wider or narrower outline at most; `Understanding.notes` says so.
"""

from dataclasses import dataclass, fields

EXTENT_ONLY = ("margin", "size")
"""Slots that can only change the extent of the outline."""


@dataclass(frozen=True)
class Slots:
    """Five values in [-1, 1] (None: not said) and one flag.

    extent: -1 tightest .. +1 most generous. halo: -1 leave out .. +1 take in the ground-glass, hazy or faint rim.
    margin: -1 tight .. +1 generous. spiculation: -1 smooth, rounded .. +1 spiky edges followed. size: -1 small .. +1
    large. per_slice: readers are ranked by area slice by slice; False: one reader along the whole lesion.
    """

    extent: float | None = None
    halo: float | None = None
    margin: float | None = None
    spiculation: float | None = None
    size: float | None = None
    per_slice: bool = False

    def __post_init__(self):
        for name in SLOT_NAMES:
            value = getattr(self, name)
            if value is not None and not -1 <= value <= 1:
                raise ValueError(f"Slot '{name}' is {value}; it must be None or in [-1, 1].")

    @property
    def said(self) -> dict[str, float]:
        """The slots that are present, by name."""
        return {name: getattr(self, name) for name in SLOT_NAMES if getattr(self, name) is not None}

    @property
    def outline_extent(self) -> float | None:
        """How far out the outline goes: the mean of extent, margin and size, as far as they are said."""
        values = [value for name, value in self.said.items() if name == "extent" or name in EXTENT_ONLY]
        return sum(values) / len(values) if values else None

    def vector(self) -> list[float]:
        """[13]: five values (0 when absent), five presence flags, per_slice, outline_extent and its presence."""
        values = [getattr(self, name) for name in SLOT_NAMES]
        shown = [0.0 if value is None else float(value) for value in (*values, self.outline_extent)]
        flags = [float(value is not None) for value in (*values, self.outline_extent)]
        return [*shown[:-1], *flags[:-1], float(self.per_slice), shown[-1], flags[-1]]


SLOT_NAMES = tuple(field.name for field in fields(Slots) if field.name != "per_slice")
VECTOR_LAYOUT = (
    *SLOT_NAMES,
    *(f"{name} said" for name in SLOT_NAMES),
    "per_slice",
    "outline_extent",
    "outline_extent said",
)

POLES = {
    "extent": ("extent tight", "extent average", "extent generous"),
    "halo": ("halo -", "halo partly", "halo +"),
    "margin": ("margin tight", "margin average", "margin generous"),
    "spiculation": ("spiculation -", "spiculation partly", "spiculation +"),
    "size": ("size small", "size average", "size large"),
}


@dataclass(frozen=True)
class Understanding:
    """How a sentence was read. notes: plain sentences for the person; not_understood: words without a meaning here;
    described: what it says of the lesion itself, in LIDC's terms, for methods that read descriptions."""

    text: str
    slots: Slots
    notes: tuple[str, ...] = ()
    not_understood: tuple[str, ...] = ()
    described: tuple[str, ...] = ()

    def summary(self) -> str:
        """One line, such as 'halo +, margin tight' or 'extent slightly generous, slice by slice'."""
        parts = [_in_words(name, value) for name, value in self.slots.said.items()]
        described = (statement.rstrip(".") for statement in self.described)
        return ", ".join([*parts, *["slice by slice"] * self.slots.per_slice, *described])


def _in_words(name: str, value: float) -> str:
    low, middle, high = POLES[name]
    if value == 0:
        return middle
    slot, pole = (high if value > 0 else low).split(" ", 1)
    return f"{slot} {'slightly ' if abs(value) < 0.5 else ''}{pole}"
