"""One picture of several models: what each scores with its interval, and how that changes with samples and conditions."""

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from .bootstrap import Estimate, mean_estimate
from .comparison import BASELINES, Entry
from .robustness import CLEAN

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d31", "#7b4fa3", "#999999")
MARKERS = "oDs^vPX*<>"
GREY, PALE = "#777777", "#e4e4e4"
UNCHANGED = {"noise": 0.0, "blur": 0.0, "gamma": 1.0}
"""The strength of each kind that leaves an image as it is."""


def plot_comparison(path: Path, entries: list[Entry], title: str) -> None:
    """Dots with intervals for six figures, GED by samples, reliability, and Dice under worse images where there are any."""
    group = entries[0].evaluation.largest
    kinds = condition_kinds(entries)
    height = 0.3 * len(entries) + 0.75
    ratios = [height, height, 3.2, *([2.9] if kinds else [])]
    figure = plt.figure(figsize=(11, sum(ratios) + 1.2 + 0.09 * len(entries)), layout="constrained")
    grid = figure.add_gridspec(len(ratios), 1, height_ratios=ratios)
    _dot_panels(figure, (grid[0].subgridspec(1, 3), grid[1].subgridspec(1, 3)), entries, group)
    middle = grid[2].subgridspec(1, 2)
    _curves(figure.add_subplot(middle[0]), entries)
    _reliability(figure.add_subplot(middle[1]), entries, group)
    if kinds:
        lower, first = grid[3].subgridspec(1, len(kinds)), None
        for place, (kind, names) in zip(lower, kinds.items()):
            first = figure.add_subplot(place, sharey=first)
            _conditions(first, entries, kind, names)
    handles = [plt.Line2D([], [], label=_legend(entry), **_style(k)) for k, entry in enumerate(entries)]
    cost = f"Parameters; CPU time of one thread for a slice and {next(iter(entries[0].cpu_s))}"
    where = {"loc": "outside lower center", "ncols": 3, "frameon": False}
    figure.legend(handles=handles, title=cost, fontsize=9, title_fontsize=8.5, **where)
    figure.suptitle(f"{title}; bars: 95 % intervals over patients", fontsize=10, color=GREY)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def condition_kinds(entries: list[Entry]) -> dict[str, list[str]]:
    """{kind: conditions} without the clean one; conditions that are no kind with a strength are "scanner"."""
    found: dict[str, list[str]] = {}
    for name in next((entry.robustness.figures for entry in entries if entry.robustness is not None), {}):
        if name != CLEAN:
            kind = name.split()[0]
            found.setdefault(kind if kind in UNCHANGED else "scanner", []).append(name)
    return found


def _style(index: int) -> dict:
    colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
    return {"color": colour, "marker": marker, "markersize": 5, "linewidth": 1.4}


def _legend(entry: Entry) -> str:
    return f"{entry.label}: {entry.parameters / 1e6:.2f} M, {1000 * next(iter(entry.cpu_s.values())):.0f} ms"


def _dot_panels(figure, places, entries: list[Entry], group: str) -> None:
    upper, lower = places
    panels = [
        (upper[0], f"GED of {group} ↓", group, "ged"),
        (upper[1], f"Dice_soft of {group} ↑", group, "dice_soft"),
        (upper[2], "Dice of the styles, diagonal ↑", "experts", "dice_diagonal"),
        (lower[0], "ECE near the lesion ↓", group, "ece_near"),
        (lower[1], "AUROC, entropy for disagreement ↑", group, "auroc_near"),
        (lower[2], "Dice of the consensus mask ↑", "consensus", "dice"),
    ]
    for number, (place, name, row, metric) in enumerate(panels):
        axes = figure.add_subplot(place)
        found = [entry.figures.get(row, {}).get(metric) for entry in entries]
        of_sets = row == group and metric != "auroc_near"  # one mask repeated is certain everywhere
        baselines = [entries[0].figures[name][metric].value for name in BASELINES] if of_sets else []
        _dots(axes, name, found, baselines)
        labels = [entry.label for entry in entries] if number % 3 == 0 else []
        axes.set_yticks(range(len(entries)), labels or [""] * len(entries), fontsize=8.5)


def _dots(axes: Axes, name: str, found: list[Estimate | None], baselines: list[float]) -> None:
    """A row for each model; models without the figure have an empty row. baselines: of BASELINES, the lines of `_curves`."""
    for index, estimate in enumerate(found):
        if estimate is None or estimate.value != estimate.value:
            continue
        error = np.nan_to_num([[estimate.value - estimate.low], [estimate.high - estimate.value]])
        axes.errorbar(estimate.value, index, xerr=error, capsize=2, **_style(index))
        where = {"textcoords": "offset points", "fontsize": 7.5, "ha": "center"}
        axes.annotate(f"{estimate.value:.3f}", (estimate.value, index), (0, 5), **where)
    for value, line in zip(baselines, ("--", ":")):
        axes.axvline(value, color=GREY, linestyle=line, linewidth=1, zorder=0)
    axes.set_ylim(len(found) - 0.5, -0.8)
    axes.set_title(name, fontsize=9.5, loc="left")
    axes.tick_params(axis="x", labelsize=8)
    axes.tick_params(axis="y", length=0)
    _plain(axes, "x")


def _curves(axes: Axes, entries: list[Entry]) -> None:
    counts: list[int] = []
    for index, entry in enumerate(entries):
        curve = entry.evaluation.figures["curve"]
        counts = sorted(int(n) for n in curve)
        axes.plot(counts, [float(np.nanmean(curve[str(n)])) for n in counts], **_style(index))
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(n) for n in counts])
    axes.xaxis.set_minor_formatter(NullFormatter())
    first = entries[0].evaluation
    for name, line in zip(BASELINES, ("--", ":")):
        value = mean_estimate(first.figures[name]["ged"], first.patient).value
        axes.axhline(value, color=GREY, linestyle=line, linewidth=1, label=f"{name}, repeated ({value:.3f})")
    axes.legend(frameon=False, fontsize=8)
    axes.set(xlabel="Number of samples", ylabel="GED (1 − IoU, all pairs)", ylim=(0, None))
    axes.set_title("GED by number of samples ↓", fontsize=9.5, loc="left")
    _plain(axes, "y")


def _reliability(axes: Axes, entries: list[Entry], group: str) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    for index, entry in enumerate(entries):
        pooled = entry.evaluation.figures[group]["ece_near"].sum(0)
        used = pooled[:, 0] > 0
        axes.plot(pooled[used, 1] / pooled[used, 0], pooled[used, 2] / pooled[used, 0], **_style(index))
    axes.set(xlabel=f"Share of the {group} that mark a pixel", ylabel="Share of readers", xlim=(0, 1), ylim=(0, 1))
    axes.set_title("Reliability near the lesion (dashed: perfect)", fontsize=9.5, loc="left")
    _plain(axes, "both")


def _conditions(axes: Axes, entries: list[Entry], kind: str, names: list[str]) -> None:
    """Dice of the consensus mask by strength; by name where a kind has no strength."""
    measured = kind in UNCHANGED
    places = [float(name.split()[1]) for name in names] if measured else list(range(1, 1 + len(names)))
    shown = sorted(zip([UNCHANGED.get(kind, 0.0), *places], [CLEAN, *names]))
    for index, entry in enumerate(entries):
        if entry.robustness is None:
            continue
        values = [float(np.nanmean(entry.robustness.figures[name]["dice"])) for _, name in shown]
        style = _style(index) | ({} if measured else {"linestyle": "none"})
        axes.plot([place for place, _ in shown], values, **style)
    labels = [name.split()[-1].replace("_", "\n") if name != CLEAN or not measured else "clean" for _, name in shown]
    axes.set_xticks([place for place, _ in shown], labels, fontsize=8)
    axes.set_title(f"Worse images: {kind}", fontsize=9.5, loc="left")
    if axes.get_subplotspec().colspan.start == 0:
        axes.set_ylabel("Dice of the consensus mask")
    _plain(axes, "y")


def _plain(axes: Axes, grid: str) -> None:
    axes.grid(axis=grid, color=PALE)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
