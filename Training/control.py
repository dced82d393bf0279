"""Contradicting sentences on the same image: does the contour do what the words say, at matched area where shape is meant?"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn import functional as F

from MultiRaterSegLib.checkpoint import Checkpoint
from MultiRaterSegLib.noise import Noise
from MultiRaterSegLib.style_targets import roughness

from .bootstrap import mean_estimate
from .data.slices import Slices
from .slice_predictions import check_channels, draw_lesion, frame_image, native_grid


@dataclass(frozen=True)
class Contradiction:
    """Two sentences and what of the contour they should move. matched_area: both contours are cut to the same area.
    each_sample: measured on every sample by itself (the mean of their log ratios), not on the contour of their mean."""

    less: str
    more: str
    measured: Literal["roughness", "area"]
    matched_area: bool = False
    each_sample: bool = False


SHAPE = ("smooth and round", "marked spiculation")
CONTRADICTIONS = {
    "roughness at matched area": Contradiction(*SHAPE, "roughness", matched_area=True),
    "roughness at matched area, each sample": Contradiction(*SHAPE, "roughness", matched_area=True, each_sample=True),
    "roughness": Contradiction(*SHAPE, "roughness"),
    "area": Contradiction("tight", "generous", "area"),
}

LEAST_UNION_PX = 100
FINER = 4
"""Contours are drawn on a grid this much finer than the frame."""


def large_enough(slices: Slices) -> np.ndarray:
    """Rows on which readers together outlined at least LEAST_UNION_PX native pixels."""
    union = np.bitwise_count(np.bitwise_or.reduce(slices.packed_masks, 1)).sum((1, 2), dtype=int)
    return np.flatnonzero(union >= LEAST_UNION_PX)


@torch.inference_mode()
def measure_control(
    checkpoint: Checkpoint,
    slices: Slices,
    rows: np.ndarray,
    samples: int = 8,
    progress: Callable[[Iterable], Iterable] = iter,
) -> dict[str, dict]:
    """{measured: {"less", "more": sentences, "cases", "right": (share, low, high), "change": median log ratio}}.

    A case is a slice on which both sentences give a contour; the intervals are over patients. Raises DataError for images
    of other channels than the model's.
    """
    check_channels(checkpoint.method, slices)
    moved = {name: [] for name in CONTRADICTIONS}
    sentences = list(dict.fromkeys(said for pair in CONTRADICTIONS.values() for said in (pair.less, pair.more)))
    for row in progress(rows):
        drawn = {said: _finer(maps) for said, maps in draw(checkpoint, slices, int(row), sentences, samples).items()}
        for name, pair in CONTRADICTIONS.items():
            moved[name].append(change(pair, drawn[pair.less], drawn[pair.more]))
    found = {}
    for name, values in moved.items():
        changes = np.array(values)
        right = np.where(np.isfinite(changes), (changes > 0).astype(float), np.nan)
        found[name] = {
            "less": CONTRADICTIONS[name].less,
            "more": CONTRADICTIONS[name].more,
            "cases": int(np.isfinite(changes).sum()),
            "right": tuple(mean_estimate(right, slices.patient[rows])),
            "change": float(np.nanmedian(changes)) if np.isfinite(changes).any() else float("nan"),
        }
    return found


def change(pair: Contradiction, less: Tensor, more: Tensor) -> float:
    """Log ratio of what is measured on the samples [S, H, W] of two sentences; NaN where one of them has no contour."""
    if not pair.each_sample:
        return _change(pair, less.mean(0), more.mean(0))
    changes = np.array([_change(pair, *maps) for maps in zip(less, more)])
    return float(np.nanmean(changes)) if np.isfinite(changes).any() else float("nan")


def _change(pair: Contradiction, less: Tensor, more: Tensor) -> float:
    """Of two maps [H, W]."""
    masks = at_matched_area(less, more) if pair.matched_area else (less > 0.5, more > 0.5)
    if not all(bool(mask.any()) for mask in masks):
        return float("nan")
    first, second = (float(mask.sum() if pair.measured == "area" else roughness(mask)) for mask in masks)
    return math.log(second / first)


def at_matched_area(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Two maps -> contours of the same area: that of the smaller contour at 0.5; the other map is cut higher."""
    area = int(min(first.gt(0.5).sum(), second.gt(0.5).sum()))
    return tuple(_most_likely(probability, area) for probability in (first, second))


def _most_likely(probability: Tensor, area: int) -> Tensor:
    """The likeliest `area` pixels; of equally likely ones those deepest inside."""
    inside = distance_transform_edt((probability > 0.5).cpu().numpy())
    depth = torch.from_numpy(inside / max(inside.max(), 1)).to(probability.device)
    order = probability.double().mul(1e4).round() + depth
    mask = torch.zeros(probability.numel(), dtype=torch.bool, device=probability.device)
    mask[order.flatten().topk(area).indices] = True
    return mask.view_as(probability)


def draw(checkpoint: Checkpoint, slices: Slices, row: int, sentences: Sequence[str], samples: int) -> dict[str, Tensor]:
    """{sentence: probabilities [S, size, size] in the frame}, the same noise for every one."""
    method = checkpoint.method
    image = frame_image(slices.planes([row])[0], native_grid(slices, row), checkpoint.frame)[None]
    encoded = method.encode(image.to(next(method.parameters()).device))
    noise = Noise(0, samples=samples, images=[row])
    return {
        said: draw_lesion(method, encoded, noise, method.prompt_style(encoded, said))[:, 0].cpu() for said in sentences
    }


def _finer(maps: Tensor) -> Tensor:
    """[S, h, w] -> [S, FINER h, FINER w]."""
    return F.interpolate(maps[None], scale_factor=FINER, mode="bilinear", align_corners=False)[0]
