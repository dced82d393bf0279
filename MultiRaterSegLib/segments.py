"""A result as named, coloured masks: the one list that the files and 3D Slicer show."""

import json
from collections.abc import Iterable, Sequence
from itertools import cycle

from . import consensus
from .io.segmentation import LESION, NODULE, Segment
from .lesion_result import LesionResult
from .prediction import Prediction

CONSENSUS_COLOR = "#FFFFFF"
EXPERT_COLORS = ("#56B4E9", "#009E73", "#E69F00", "#D55E00")
REQUEST_COLORS = ("#B8F04A", "#9F8CFF", "#FFB3B3", "#00E0D0", "#C8A860")
PREVIEW_COLOR = "#FF66FF"
BAND_COLORS = {"nearly_all": "#F0E442", "most": "#CC79A7", "some": "#0072B2"}
"""Okabe and Ito's colours and neighbours that stay apart from them with the common kinds of colour blindness."""

BAND_NAMES = {
    "nearly_all": "Nearly all include (>=90 %)",
    "most": "Most (50-90 %)",
    "some": "Some (10-50 %)",
}
TERMINOLOGY = {"nodule": NODULE}


def segments_of(result: LesionResult) -> list[Segment]:
    """Consensus, each style (the majority of its samples), and three bands by how many readers include a voxel.

    Masks lie on the part of the scan that was looked at (`Segment.grid`); they overlap. Tags say what each one is and
    how it was made.
    """
    colors = colors_of(result)
    outlines = [
        outline_segment(name, prediction, id_of(result, name), colors[name], result.label)
        for name, prediction in result.outlines.items()
    ]
    return [*outlines, *band_segments(result.consensus, result.label)]


def outline_segment(name: str, prediction: Prediction, id_: str, color: str, label: str) -> Segment:
    """The majority of a prediction's samples. name: "consensus" or a style's. color: "#RRGGBB". label: what it is of."""
    kind = "consensus" if name == "consensus" else "style"
    tags = {"MultiRaterSeg.kind": kind, "MultiRaterSeg.name": name, **_provenance_tags(prediction)}
    mask = consensus.majority(prediction.samples)
    return Segment(id_, prediction.title, mask, rgb(color), terminology_of(label), tags, prediction.grid)


def band_segments(population: Prediction, label: str) -> list[Segment]:
    """Voxels that nearly all, most and some of the population's readers include."""
    tags = {"MultiRaterSeg.kind": "band", **_provenance_tags(population)}
    kind, grid = terminology_of(label), population.grid
    return [
        Segment(f"readers_{name}", BAND_NAMES[name], mask, rgb(BAND_COLORS[name]), kind, tags, grid)
        for name, mask in consensus.bands(population.samples).items()
    ]


def id_of(result: LesionResult, name: str) -> str:
    """The id of an outline's segment, the same in all files: "consensus", "expert_inclusive", "prompt_5"."""
    if name in result.looks:
        return result.looks[name].id
    request = result.outlines[name].provenance
    if name == "consensus" or request.get("style") == "expert":
        return "consensus" if name == "consensus" else f"expert_{request['expert']}"
    return f"{request['style']}_{list(result.outlines).index(name)}"


def colors_of(result: LesionResult) -> dict[str, str]:
    """A hex colour for each outline of the result, by name; the same in files, pictures and Slicer."""
    colors = {"consensus": CONSENSUS_COLOR}
    for name, prediction in result.styles.items():
        chosen = result.looks.get(name)
        colors[name] = chosen.color if chosen else color_for(name, prediction, result.experts, colors.values())
    return colors


def expert_colors(experts: Iterable[str]) -> dict[str, str]:
    """Each expert's "#RRGGBB" by its place among those offered; where they are many, colours come again."""
    return dict(zip(experts, cycle((*EXPERT_COLORS, *REQUEST_COLORS))))


def color_for(name: str, prediction: Prediction, experts: Sequence[str], taken: Iterable[str]) -> str:
    """A style's "#RRGGBB": an expert's own one by its place among the experts offered, else the first that is free."""
    own = expert_colors(experts)
    if name in own:
        return own[name]
    is_expert = prediction.provenance.get("style") == "expert"
    offered = (*EXPERT_COLORS, *REQUEST_COLORS) if is_expert else REQUEST_COLORS
    taken = {*taken, *own.values()}
    return next((color for color in offered if color not in taken), offered[len(taken) % len(offered)])


def terminology_of(label: str) -> str:
    """Slicer's TerminologyEntry for what the model outlines."""
    return TERMINOLOGY.get(label, LESION)


def rgb(color: str) -> tuple[float, float, float]:
    """ "#RRGGBB" -> red, green, blue in 0..1."""
    return tuple(int(color[n : n + 2], 16) / 255 for n in (1, 3, 5))


def _provenance_tags(prediction: Prediction) -> dict[str, str]:
    """The record of how it was made, as text; nested parts as JSON."""
    return {
        f"MultiRaterSeg.{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in prediction.provenance.items()
    }
