"""One lesion, everything that was asked about it: the population of readers and each style."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .expert import ranked_by_size
from .geometry import Grid, Volume
from .prediction import Prediction

if TYPE_CHECKING:
    from .predictor import Lesion


class Look(NamedTuple):
    """How an outline is already called and coloured where it is shown: its segment's id, and "#RRGGBB"."""

    id: str
    color: str


@dataclass(frozen=True, eq=False)
class LesionResult:
    """consensus: the population of readers. styles: by name (an expert's, a sentence, "a to b, t"), in the order shown.

    All predictions lie on the same part of the scan. label: what the model outlines ("nodule"). ranked: names of the
    styles that should grow from first to last (readers ranked by size). info: the model's header. volume: the scan, or
    the part of it around the lesion, for pictures and for what it says of itself. experts: all reader styles that the
    model offers, in order; each has a colour of its own. looks: by name, for outlines that are shown already.
    """

    consensus: Prediction
    styles: dict[str, Prediction]
    volume: Volume
    label: str = "lesion"
    ranked: tuple[str, ...] = ()
    info: dict | None = None
    experts: tuple[str, ...] = ()
    looks: dict[str, Look] = field(default_factory=dict)

    @classmethod
    def of(cls, lesion: "Lesion", consensus: Prediction, styles: dict[str, Prediction]) -> "LesionResult":
        """The answers that a lesion gave, with what its model says of itself."""
        method = lesion.predictor.method
        ranked = tuple(name for name in ranked_by_size(method.experts) if name in styles)
        info, experts = lesion.predictor.checkpoint.info, tuple(lesion.predictor.experts)
        return cls(consensus, styles, lesion.volume, method.labels[-1], ranked, info, experts)

    @property
    def grid(self) -> Grid:
        """The part of the scan that was looked at."""
        return self.consensus.grid

    @property
    def scan(self) -> Grid:
        """All voxels of the scan."""
        return self.consensus.reference

    @property
    def outlines(self) -> dict[str, Prediction]:
        """Consensus first, then the styles."""
        return {"consensus": self.consensus, **self.styles}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the person should not take at face value, each sentence once: on the file, on everything, on some styles
        (named, unless the consensus has it too), on outlines of several models, on the order of the styles."""
        found: dict[str, list[str]] = {warning: [] for warning in self.consensus.warnings}
        for style in self.styles.values():
            for warning in style.warnings:
                if warning not in self.consensus.warnings:
                    found.setdefault(warning, []).append(style.title)
        named = (f"{', '.join(titles)}: {warning}" if titles else warning for warning, titles in found.items())
        return (*self.volume.context.get("notes", ()), *named, *self._model_warnings, *self.order_warnings)

    @property
    def _model_warnings(self) -> tuple[str, ...]:
        """Sentences where the outlines are not of one model, or not drawn alike by it: then they differ for more than one
        reason."""
        if by_model := self._told_apart_by("model"):
            return (f"These outlines come from different models, which differ too ({by_model}).",)
        found = (
            ("in different numbers of steps", self._told_apart_by("sampling_steps")),
            ("with different preferences", self._told_apart_by("preference")),
        )
        return tuple(f"These outlines were drawn {how} ({values})." for how, values in found if values)

    def _told_apart_by(self, fact: str) -> str:
        """Titles by what their provenance says; "" where all say the same."""
        made: dict[str, list[str]] = {}
        for outline in self.outlines.values():
            made.setdefault(str(outline.provenance.get(fact, "")), []).append(outline.title)
        return "; ".join(f"{value}: {', '.join(titles)}" for value, titles in made.items()) if len(made) > 1 else ""

    @property
    def order_warnings(self) -> tuple[str, ...]:
        """A sentence for each pair of neighbouring ranked styles whose median volumes come out the wrong way round."""
        medians = [(self.styles[name].title, float(np.median(self.styles[name].volumes_ml))) for name in self.ranked]
        return tuple(
            f"The styles are not in their usual order here: {smaller} ({a:.2f} mL) is larger than "
            f"{larger} ({b:.2f} mL)."
            for (smaller, a), (larger, b) in pairwise(medians)
            if a > b
        )
