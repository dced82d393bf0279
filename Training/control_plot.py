"""A picture of contradicting sentences: the same image and noise, the contours of several samples for each."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from MultiRaterSegLib.checkpoint import Checkpoint

from .control import draw
from .data.slices import Slices
from .slice_predictions import native_grid, to_native

MARGIN_PX = 12
COLOURS = ("tab:cyan", "gold")


@torch.inference_mode()
def plot_control(
    path: Path, checkpoint: Checkpoint, slices: Slices, rows: Sequence[int], sentences: Sequence[str], samples: int = 8
) -> None:
    """Writes a PNG. For each of `rows` a line a sentence: all contours on one image, beside the readers' outlines, then the
    samples one by one; zoomed to where anything is outlined."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    lines = len(rows) * len(sentences)
    figure, axes = plt.subplots(
        lines, 2 + samples, figsize=(1.3 * (2 + samples), 1.4 * lines), squeeze=False, layout="constrained"
    )
    panels = iter(axes)
    for row in rows:
        readers = slices.masks([row])[0].astype(float)
        drawn = draw(checkpoint, slices, int(row), sentences, samples)
        drawn = {said: to_native(p, checkpoint.frame, native_grid(slices, row)) for said, p in drawn.items()}
        window = _around(np.concatenate([readers, *drawn.values()]) > 0.5)
        for said, colour in zip(sentences, COLOURS):
            line = next(panels)
            for panel in line:
                panel.imshow(slices.planes([row])[0, 0][window], cmap="gray", interpolation="bilinear")
                panel.set(xticks=[], yticks=[])
            _outline(line[0], readers[:, *window], "tab:red")
            _outline(line[1], drawn[said][:, *window], colour)
            for panel, sample in zip(line[2:], drawn[said]):
                _outline(panel, sample[None, *window], colour)
            line[0].set_ylabel(said, fontsize=8)
    for panel, title in zip(axes[0], ("readers", "all samples", *(f"sample {n + 1}" for n in range(samples)))):
        panel.set_title(title, fontsize=8)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _around(masks: np.ndarray) -> tuple[slice, slice]:
    """The square window of masks [n, H, W] with a margin; all of it where nothing is marked."""
    places = np.argwhere(masks.any(0))
    if not len(places):
        return slice(None), slice(None)
    low, high = places.min(0), places.max(0) + 1
    half = int((high - low).max()) // 2 + MARGIN_PX
    middle = (low + high) // 2
    return tuple(slice(max(0, m - half), m + half) for m in middle)


def _outline(panel, masks: Iterable[np.ndarray], colour: str) -> None:
    for mask in masks:
        if (mask > 0.5).any():
            panel.contour(mask, [0.5], colors=[colour], linewidths=0.9)
