"""A few slices as a picture: what the readers drew, and what each model makes of the same image."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.lines import Line2D

from MultiRaterSegLib.metrics import Pairs, diversity, ged

from .data.slices import Slices
from .evaluation import readers
from .slice_predictions import SlicePrediction, reader_names

QUANTILES = (0.2, 0.5, 0.8)
"""Of the readers' disagreement (mean 1 - IoU of two of them): which slices are shown."""

SHOWN_FROM = 0.05  # a smaller share is left transparent
LEAST_PX = 28
SHARES = "magma"
OUTLINES = ("#56b4e9", "#00c08b", "#f0e442", "#e8601c")  # told apart by the colour-blind, bright over CT and MR
PANEL = 1.75  # inches


@dataclass(frozen=True, eq=False)
class Shown:
    """What one model drew of the example slices. experts: which reader each of its styles stands for."""

    label: str
    predictions: list[SlicePrediction]
    experts: Sequence[int]


def example_rows(slices: Slices, rows: np.ndarray) -> list[int]:
    """The slices at QUANTILES of the readers' disagreement: chosen by the readers, before a model has drawn anything."""
    drawn = (readers(slices, row) for row in rows)
    order = np.argsort([diversity(Pairs.of(labels, labels)) for labels in drawn], kind="stable")
    places = dict.fromkeys(round(q * (len(order) - 1)) for q in QUANTILES)
    return [int(rows[order[place]]) for place in places]


def plot_examples(path: Path, slices: Slices, rows: Sequence[int], models: Sequence[Shown]) -> None:
    """Two lines a slice: the share of readers and of samples who mark a pixel; the outlines of readers and styles."""
    columns, names = 2 + len(models), reader_names(slices)
    size = PANEL * columns + 1.0, (2 * PANEL + 0.45) * len(rows) + 0.6
    figure = plt.figure(figsize=size, layout="constrained")
    grid = figure.add_gridspec(3 * len(rows), columns, height_ratios=[1, 1, 0.06] * len(rows))
    shares = []
    for number, row in enumerate(rows):
        first = 3 * number
        image = figure.add_subplot(grid[first : first + 2, 0])
        upper, lower = ([figure.add_subplot(grid[first + k, c]) for c in range(1, columns)] for k in (0, 1))
        _draw_slice(slices, row, number, models, image, upper, lower)
        if number == 0:
            for axes, title in zip((image, *upper), ("image", "readers", *(model.label for model in models))):
                axes.set_title(title, fontsize=10)
        shares += upper
    bar = figure.colorbar(ScalarMappable(plt.Normalize(0, 1), SHARES), ax=shares, shrink=0.4, aspect=30, pad=0.02)
    bar.set_label("Upper lines: share of readers, of samples", fontsize=9)
    handles = [Line2D([], [], color=OUTLINES[k % len(OUTLINES)], label=name) for k, name in enumerate(names)]
    where = {"loc": "outside lower center", "ncols": len(handles), "frameon": False}
    title = "Lower lines: outlines of readers" + (" by area" if not slices.raters else "") + ", and of styles"
    figure.legend(handles=handles, title=title, fontsize=9, title_fontsize=9, **where)
    figure.savefig(path, dpi=170)
    plt.close(figure)


def _draw_slice(
    slices: Slices,
    row: int,
    number: int,
    models: Sequence[Shown],
    image: Axes,
    upper: Sequence[Axes],
    lower: Sequence[Axes],
) -> None:
    labels = readers(slices, row)
    scene = _Scene(slices.planes([row])[0, 0], _window(labels.any(0)))
    scene.show(image)
    scene.scale(image, float(slices.spacing_mm[row]))
    image.set_xlabel(f"readers' diversity {diversity(Pairs.of(labels, labels)):.2f}", fontsize=8)
    scene.show(upper[0], labels.mean(0))
    scene.show(lower[0], outlines=dict(enumerate(labels)))
    for model, above, below in zip(models, upper[1:], lower[1:]):
        prediction = model.predictions[number]
        scene.show(above, prediction.samples[0].mean(0))
        above.set_xlabel(f"GED {ged(Pairs.of(prediction.samples[0], labels)):.3f}", fontsize=8, labelpad=2)
        styles = dict(zip(model.experts, prediction.experts[0] > 0.5))
        if styles:
            scene.show(below, outlines=styles)
        else:
            below.axis("off")


class _Scene:
    """One image, cut to the window that all panels of a slice show."""

    def __init__(self, image: np.ndarray, window: tuple[slice, slice]):
        self.window = window
        self.image = image[window]
        self.range = np.percentile(image, (0.5, 99.5))

    def show(self, axes: Axes, share: np.ndarray | None = None, outlines: dict[int, np.ndarray] | None = None) -> None:
        """share: [H, W] in 0..1, over the image. outlines: {reader: mask [H, W]}."""
        axes.imshow(self.image, cmap="gray", vmin=self.range[0], vmax=self.range[1])
        if share is not None:
            seen = np.ma.masked_less(share[self.window], SHOWN_FROM)
            axes.imshow(seen, cmap=SHARES, vmin=0, vmax=1, alpha=0.75)
        if outlines:
            for reader, mask in outlines.items():
                if mask[self.window].any():
                    colour = OUTLINES[reader % len(OUTLINES)]
                    axes.contour(mask[self.window], [0.5], colors=[colour], linewidths=1.2)
        axes.set_xticks([])
        axes.set_yticks([])

    def scale(self, axes: Axes, spacing_mm: float) -> None:
        """A bar of 5 or 10 mm in the corner."""
        size = len(self.image)
        length = 10 if 10 / spacing_mm < 0.6 * size else 5
        axes.plot([2, 2 + length / spacing_mm], [size - 3] * 2, color="white", linewidth=2, solid_capstyle="butt")
        axes.annotate(f"{length} mm", (2, size - 4), fontsize=7, color="white", va="bottom")


def _window(drawn: np.ndarray) -> tuple[slice, slice]:
    """A square around all outlines, with as much again around it, inside the image."""
    extents = [np.flatnonzero(drawn.any(axis)) for axis in (1, 0)]
    if not len(extents[0]):
        return slice(None), slice(None)
    limit = min(drawn.shape)
    side = min(limit, max(LEAST_PX, 2 * max(int(np.ptp(found)) + 1 for found in extents)))
    starts = [int(np.clip((f[0] + f[-1] + 1 - side) // 2, 0, n - side)) for f, n in zip(extents, drawn.shape)]
    return slice(starts[0], starts[0] + side), slice(starts[1], starts[1] + side)
