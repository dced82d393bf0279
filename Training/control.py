"""Contradicting sentences on the same image: does the contour do what the words say, at matched area where shape is meant?"""

from collections.abc import Callable, Iterable
from pathlib import Path

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
from .slice_predictions import draw_lesion, frame_image, native_grid, to_native

CONTRADICTIONS = {
    "roughness at matched area": ("smooth and round", "marked spiculation"),
    "roughness": ("smooth and round", "marked spiculation"),
    "area": ("tight", "generous"),
}
"""{what is measured: (sentence that asks for less, for more)}."""

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

    A case is a slice on which both sentences give a contour; the intervals are over patients.
    """
    moved = {name: [] for name in CONTRADICTIONS}
    for row in progress(rows):
        maps = {sentence: draw(checkpoint, slices, int(row), sentence, samples).mean(0) for sentence in _sentences()}
        for name, pair in CONTRADICTIONS.items():
            less, more = (_finer(maps[sentence]) for sentence in pair)
            moved[name].append(float(change(name, less, more)))
    found = {}
    for name, values in moved.items():
        changes = np.array(values)
        right = np.where(np.isfinite(changes), (changes > 0).astype(float), np.nan)
        found[name] = {
            "less": CONTRADICTIONS[name][0],
            "more": CONTRADICTIONS[name][1],
            "cases": int(np.isfinite(changes).sum()),
            "right": tuple(mean_estimate(right, slices.patient[rows])),
            "change": float(np.nanmedian(changes)) if np.isfinite(changes).any() else float("nan"),
        }
    return found


def change(measured: str, less: Tensor, more: Tensor) -> Tensor:
    """Log ratio of what is measured on two probability maps [H, W]; NaN where one of them has no contour."""
    masks = (at_matched_area if measured == "roughness at matched area" else _cut)(less, more)
    if not all(bool(mask.any()) for mask in masks):
        return torch.tensor(float("nan"))
    values = [mask.sum() if measured == "area" else roughness(mask) for mask in masks]
    return torch.log(values[1] / values[0])


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


def _cut(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    return first > 0.5, second > 0.5


def draw(checkpoint: Checkpoint, slices: Slices, row: int, sentence: str, samples: int) -> Tensor:
    """Probabilities [S, size, size] in the frame, the same noise for every sentence."""
    method = checkpoint.method
    grid = native_grid(slices, row)
    image = frame_image(slices.planes([row])[0], grid, checkpoint.frame)[None]
    encoded = method.encode(image.to(next(method.parameters()).device))
    style = method.prompt_style(encoded, sentence)
    return draw_lesion(method, encoded, Noise(0, samples=samples, images=[row]), style)[:, 0].cpu()


def _sentences() -> list[str]:
    return list(dict.fromkeys(sentence for pair in CONTRADICTIONS.values() for sentence in pair))


def _finer(probability: Tensor) -> Tensor:
    return F.interpolate(probability[None, None], scale_factor=FINER, mode="bilinear", align_corners=False)[0, 0]


@torch.inference_mode()
def plot_control(
    path: Path, checkpoint: Checkpoint, slices: Slices, rows: np.ndarray, pair: tuple[str, str], samples: int = 8
) -> None:
    """For each row the image with its readers' outlines, and `samples` contours for each of two contradicting sentences."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    lines = [(int(row), sentence) for row in rows for sentence in pair]
    figure, axes = plt.subplots(
        len(lines), 1 + samples, figsize=(1.3 * (1 + samples), 1.45 * len(lines)), squeeze=False, layout="constrained"
    )
    for panels, (row, sentence) in zip(axes, lines):
        drawn = draw(checkpoint, slices, row, sentence, samples)
        contours = to_native(drawn, checkpoint.frame, native_grid(slices, row))
        for panel in panels:
            panel.imshow(slices.planes([row])[0, 0], cmap="gray")
            panel.set(xticks=[], yticks=[])
        for mask in slices.masks([row])[0]:
            _outline(panels[0], mask, "tab:orange")
        for panel, probability in zip(panels[1:], contours):
            _outline(panel, probability, "tab:cyan")
        panels[0].set_ylabel(sentence, fontsize=7)
    axes[0, 0].set_title("readers", fontsize=8)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _outline(panel, probability: np.ndarray, colour: str) -> None:
    if (probability > 0.5).any():
        panel.contour(probability, [0.5], colors=[colour], linewidths=0.9)
