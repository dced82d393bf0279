"""One picture of several models: what each scores with its interval, and how that changes with samples and conditions."""

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from .bootstrap import mean_estimate
from .comparison import Entry
from .robustness import CLEAN

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d31", "#7b4fa3", "#999999")
MARKERS = "oDs^vPX*<>"
GREY = "#777777"


def plot_comparison(path: Path, entries: list[Entry], title: str) -> None:
    """Dots with intervals for five figures, GED by samples, and consensus Dice under worse images where there are any."""
    group = entries[0].evaluation.largest
    panels = [
        (f"GED of {group}, lower is better", group, "ged"),
        (f"Dice_soft of {group}", group, "dice_soft"),
        ("Dice of the styles, diagonal", "experts", "dice_diagonal"),
        ("ECE near the lesion, lower is better", group, "ece_near"),
        ("AUROC: entropy finds disagreement", group, "auroc_near"),
    ]
    worse = any(entry.robustness is not None for entry in entries)
    height = 0.34 * len(entries) + 1.0
    figure = plt.figure(figsize=(12.5, 2 * height + 3.6), layout="constrained")
    grid = figure.add_gridspec(3, 6, height_ratios=[height, height, 3.6])
    places = [grid[0, :2], grid[0, 2:4], grid[0, 4:], grid[1, :2], grid[1, 2:4]]
    estimates = [entry.figures for entry in entries]
    for place, (name, row, metric) in zip(places, panels):
        _dots(figure.add_subplot(place), name, [found.get(row, {}).get(metric) for found in estimates], entries)
    _legend(figure.add_subplot(grid[1, 4:]), entries)
    _curves(figure.add_subplot(grid[2, : 3 if worse else 6]), entries)
    if worse:
        _conditions(figure.add_subplot(grid[2, 3:]), entries)
    figure.suptitle(title, fontsize=11, color=GREY)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _style(index: int) -> dict:
    return {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)]}


def _dots(axes: Axes, name: str, found: list, entries: list[Entry]) -> None:
    """A row for each model; models without the figure have an empty row."""
    for index, estimate in enumerate(found):
        if estimate is None or estimate.value != estimate.value:
            continue
        error = np.nan_to_num([[estimate.value - estimate.low], [estimate.high - estimate.value]])
        axes.errorbar(estimate.value, index, xerr=error, capsize=2, markersize=5, linewidth=1.4, **_style(index))
        axes.annotate(
            f"{estimate.value:.3f}",
            (estimate.value, index),
            (0, 5),
            textcoords="offset points",
            fontsize=8,
            ha="center",
        )
    axes.set_yticks(range(len(entries)), [entry.label for entry in entries], fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_ylim(len(entries) - 0.5, -0.7)
    axes.set_title(name, fontsize=9.5, loc="left")
    axes.grid(axis="x", color="#e4e4e4")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _legend(axes: Axes, entries: list[Entry]) -> None:
    axes.axis("off")
    for index, entry in enumerate(entries):
        axes.plot(
            [],
            [],
            linewidth=1.5,
            markersize=6,
            **_style(index),
            label=f"{entry.label}: {entry.parameters / 1e6:.2f} M parameters",
        )
    axes.legend(frameon=False, fontsize=9, loc="center left", title="95 % intervals over patients", title_fontsize=9)


def _curves(axes: Axes, entries: list[Entry]) -> None:
    for index, entry in enumerate(entries):
        curve = entry.evaluation.figures["curve"]
        counts = sorted(int(n) for n in curve)
        values = [float(np.nanmean(curve[str(n)])) for n in counts]
        axes.plot(counts, values, markersize=4, **_style(index))
        axes.set_xticks(counts, [str(n) for n in counts])
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(n) for n in counts])
    axes.xaxis.set_minor_formatter(NullFormatter())
    majority = mean_estimate(entries[0].evaluation.figures["majority mask"]["ged"], entries[0].evaluation.patient).value
    axes.axhline(majority, color=GREY, linestyle="--", linewidth=1)
    axes.annotate(
        f"majority mask, repeated ({majority:.3f})",
        (counts[-1], majority),
        (0, 4),
        textcoords="offset points",
        fontsize=8,
        color=GREY,
        ha="right",
    )
    axes.set(xlabel="Number of samples", ylabel="GED (1 − IoU, all pairs)", ylim=(0, None))
    axes.set_title("GED by number of samples", fontsize=9.5, loc="left")
    axes.spines[["top", "right"]].set_visible(False)


def _conditions(axes: Axes, entries: list[Entry]) -> None:
    """Consensus Dice, a line for each model; kinds of condition are apart."""
    for index, entry in enumerate(entries):
        if entry.robustness is None:
            continue
        names = list(entry.robustness.figures)
        values = [float(np.nanmean(row["dice"])) for row in entry.robustness.figures.values()]
        places = _places(names)
        for kind in dict.fromkeys(name.split()[0] for name in names):
            chosen = [i for i, name in enumerate(names) if name.split()[0] == kind]
            axes.plot([places[i] for i in chosen], [values[i] for i in chosen], markersize=5, **_style(index))
        axes.axhline(values[names.index(CLEAN)], color=COLOURS[index % len(COLOURS)], linestyle=":", linewidth=0.8)
    axes.set_xticks(places, [name.replace(" ", "\n") for name in names], fontsize=8)
    axes.set(ylabel="Dice of the consensus mask")
    axes.set_title("Worse images (dotted: clean)", fontsize=9.5, loc="left")
    axes.grid(axis="y", color="#e4e4e4")
    axes.spines[["top", "right"]].set_visible(False)


def _places(names: list[str]) -> list[float]:
    """Positions one apart, with a gap where the kind of condition changes."""
    places, place = [], 0.0
    for before, name in zip([names[0], *names], names):
        place += 0.6 * (name.split()[0] != before.split()[0])
        places.append(place)
        place += 1
    return places
