"""Reader styles that a model can be asked for by name. No torch here."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Expert:
    """A reader style the model learned and can be asked for by name.

    ranked_by: "nodule_volume" (one anonymous reader along a lesion), "slice_area" (per slice, the papers' A1..A4), or
    "rater" (a data set's own stable reader).
    """

    name: str
    title: str
    ranked_by: str = "nodule_volume"


def offered(experts: Sequence[Expert]) -> tuple[Expert, ...]:
    """Those that are offered for use: the styles along a lesion where the model has them."""
    kinds = {expert.ranked_by for expert in experts}
    shown = "rater" if "rater" in kinds else "nodule_volume" if "nodule_volume" in kinds else "slice_area"
    return tuple(expert for expert in experts if expert.ranked_by == shown)


def ranked_by_size(experts: Sequence[Expert]) -> tuple[str, ...]:
    """Names of the offered experts that should grow from first to last."""
    return tuple(expert.name for expert in offered(experts) if expert.ranked_by != "rater")
