"""A result as named, coloured masks: the one list that the files and 3D Slicer show."""

import json
from itertools import chain, cycle

from . import consensus
from .io.segmentation import LESION, NODULE, Segment
from .lesion_result import LesionResult
from .prediction import Prediction

CONSENSUS_COLOR = "#FFFFFF"
EXPERT_COLORS = ("#56B4E9", "#009E73", "#E69F00", "#D55E00")
REQUEST_COLORS = ("#FF66FF", "#B8F04A", "#9F8CFF", "#FFB3B3", "#00E0D0", "#C8A860")
BAND_COLORS = {"nearly_all": "#F0E442", "most": "#CC79A7", "some": "#0072B2"}
"""Okabe and Ito's colours and neighbours that stay apart from them with the common kinds of colour blindness."""

BAND_NAMES = {"nearly_all": ">=90 % of readers", "most": "50-90 % of readers", "some": "10-50 % of readers"}
TERMINOLOGY = {"nodule": NODULE}


def segments_of(result: LesionResult) -> list[Segment]:
    """Consensus, each style (the majority of its samples), and three bands by how many readers include a voxel.

    Masks lie on the part of the scan that was looked at (`Segment.grid`); they overlap. Tags say what each one is and
    how it was made.
    """
    colors = colors_of(result)
    found = [_segment(result, name, prediction, colors[name]) for name, prediction in result.outlines.items()]
    return [*found, *_bands(result)]


def id_of(result: LesionResult, name: str) -> str:
    """The id of an outline's segment, the same in all files: "consensus", "expert_inclusive", "prompt_5"."""
    request = result.outlines[name].provenance
    if name == "consensus" or request.get("style") == "expert":
        return "consensus" if name == "consensus" else f"expert_{request['expert']}"
    return f"{request['style']}_{list(result.outlines).index(name)}"


def colors_of(result: LesionResult) -> dict[str, str]:
    """A hex colour for each outline of the result, by name; the same in files, pictures and Slicer."""
    readers, requests = chain(EXPERT_COLORS, cycle(REQUEST_COLORS)), cycle(REQUEST_COLORS)
    colors = {"consensus": CONSENSUS_COLOR}
    for name, prediction in result.styles.items():
        colors[name] = next(readers if prediction.provenance.get("style") == "expert" else requests)
    return colors


def rgb(color: str) -> tuple[float, float, float]:
    """ "#RRGGBB" -> red, green, blue in 0..1."""
    return tuple(int(color[n : n + 2], 16) / 255 for n in (1, 3, 5))


def _segment(result: LesionResult, name: str, prediction: Prediction, color: str) -> Segment:
    mask = consensus.majority(prediction.samples)
    kind = "consensus" if name == "consensus" else "style"
    tags = {"MultiRaterSeg.kind": kind, "MultiRaterSeg.name": name, **_provenance_tags(prediction)}
    kind_of_lesion, id_ = _terminology(result), id_of(result, name)
    return Segment(id_, prediction.title, mask, rgb(color), kind_of_lesion, tags, prediction.grid)


def _bands(result: LesionResult) -> list[Segment]:
    tags = {"MultiRaterSeg.kind": "band", **_provenance_tags(result.consensus)}
    kind, grid = _terminology(result), result.grid
    return [
        Segment(f"readers_{name}", BAND_NAMES[name], mask, rgb(BAND_COLORS[name]), kind, tags, grid)
        for name, mask in consensus.bands(result.consensus.samples).items()
    ]


def _terminology(result: LesionResult) -> str:
    return TERMINOLOGY.get(result.label, LESION)


def _provenance_tags(prediction: Prediction) -> dict[str, str]:
    """The record of how it was made, as text; nested parts as JSON."""
    return {
        f"MultiRaterSeg.{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in prediction.provenance.items()
    }
