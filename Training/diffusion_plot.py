"""How the figures of evaluate_diffusion.py change with what has a number: steps, preference, guidance, samples."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np

from .bootstrap import mean_estimate
from .diffusion_settings import Setting

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # after the choice of a backend without a screen

PANELS = {
    "ged_dice": "GED (1 − Dice) ↓",
    "ci": "CI ↑",
    "combined_sensitivity": "S_c ↑",
    "dice_max": "D_max ↑",
    "diversity_agreement": "DA ↑",
    "dice_mean": "average Dice ↑",
}
QUANTITIES = ("steps", "preference", "guidance", "samples")
LOGARITHMIC = ("steps", "samples")


class Row(NamedTuple):
    """A model drawn in one way: figures {name: [n]} of the first `samples` samples of each slice."""

    model: str
    setting: Setting
    samples: int
    figures: dict[str, np.ndarray]

    @property
    def drawn(self) -> str:
        return ", ".join(filter(None, (self.model, str(self.setting))))

    @property
    def label(self) -> str:
        return f"{self.drawn}, {self.samples} samples"

    def value(self, quantity: str) -> float | None:
        return self.samples if quantity == "samples" else getattr(self.setting, quantity)

    def without(self, quantity: str) -> str:
        """What the row is besides the quantity."""
        if quantity == "samples":
            return self.drawn
        return self._replace(setting=replace(self.setting, **{quantity: None})).drawn


def curves(rows: Sequence[Row], quantity: str) -> dict[str, list[Row]]:
    """{what is alike: rows by ascending value}: lines of at least two points. Of other quantities than the number of samples,
    the largest number alone."""
    most = max(row.samples for row in rows)
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row.value(quantity) is not None and (quantity == "samples" or row.samples == most):
            found.setdefault(row.without(quantity), []).append(row)
    lines = {name: sorted(line, key=lambda row: row.value(quantity)) for name, line in found.items()}
    return {name: line for name, line in lines.items() if len(line) > 1}


def plot_curves(path: Path, rows: Sequence[Row], patient: np.ndarray, title: str) -> bool:
    """A row of panels for each quantity that takes several values; bands are 95 % intervals over patients. Whether there was
    anything to draw."""
    lines = {quantity: found for quantity in QUANTITIES if (found := curves(rows, quantity))}
    if not lines:
        return False
    figure, grid = plt.subplots(
        len(lines),
        len(PANELS),
        figsize=(2.7 * len(PANELS), 3.1 * len(lines) + 0.5),
        layout="constrained",
        squeeze=False,
    )
    for row, (quantity, found) in zip(grid, lines.items()):
        for axes, (name, heading) in zip(row, PANELS.items()):
            for label, points in found.items():
                _draw(axes, [p.value(quantity) for p in points], [p.figures[name] for p in points], patient, label)
            _ticks(axes, quantity, sorted({p.value(quantity) for points in found.values() for p in points}))
            axes.set_title(heading, fontsize=9.5, loc="left")
        row[0].legend(frameon=False, fontsize=7.5)
    figure.suptitle(f"{title}; bands: 95 % intervals over patients", fontsize=10, color="#777777")
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return True


def _draw(axes, places: list[float], values: list[np.ndarray], patient: np.ndarray, label: str) -> None:
    estimates = [mean_estimate(value, patient) for value in values]
    [line] = axes.plot(places, [e.value for e in estimates], marker="o", markersize=4, linewidth=1.4, label=label)
    low, high = ([getattr(e, end) for e in estimates] for end in ("low", "high"))
    axes.fill_between(places, low, high, color=line.get_color(), alpha=0.12, linewidth=0)


def _ticks(axes, quantity: str, places: list[float]) -> None:
    if quantity in LOGARITHMIC:
        axes.set_xscale("log")
    axes.set_xticks(places, [f"{place:g}" for place in places])
    axes.minorticks_off()
    axes.set_xlabel(quantity, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
