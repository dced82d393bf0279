"""Pictures of an evaluation: GED by samples, reliability (of styles too), uncertainty, correctness, Dice by size, robustness."""

from itertools import cycle
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from MultiRaterSegLib.calibration import BINS, binary_entropy

from .bootstrap import Estimate, calibration_estimate, mean_estimate, ratio_estimate
from .evaluation import Evaluation
from .robustness import CLEAN
from .slice_scores import CORRECTNESS, ENTROPY_BINS, NEAR_PIXELS

FEW_PATIENTS = 5  # fewer have no interval worth drawing
SIZE_EDGES_MM = (0, 4, 6, 8, 10, 15, 20, 30, np.inf)
MODEL, READERS, MAJORITY, GREY = "#0072b2", "#d55e00", "#009e73", "#777777"  # told apart by the colour-blind

STYLES = ("#56b4e9", "#009e73", "#e69f00", "#d55e00")


def plot_report(folder: Path, evaluation: Evaluation, title: str, robustness: Evaluation | None = None) -> None:
    """Writes ged_by_samples, reliability, uncertainty, correctness and dice_by_size as PNG into `folder`; and
    style_reliability and robustness where there is something to show."""
    pictures = {
        "ged_by_samples": plot_ged_by_samples,
        "reliability": plot_reliability,
        "uncertainty": plot_uncertainty,
        "correctness": plot_correctness,
        "dice_by_size": plot_dice_by_size,
    }
    if "experts" in evaluation.figures:
        pictures["style_reliability"] = plot_style_reliability
    drawn = [(name, draw, evaluation) for name, draw in pictures.items()]
    if robustness is not None:
        drawn.append(("robustness", plot_robustness, robustness))
    for name, draw, shown in drawn:
        figure, axes = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
        draw(axes, shown)
        axes.spines[["top", "right"]].set_visible(False)
        figure.suptitle(title, fontsize=10, color=GREY)
        figure.savefig(folder / f"{name}.png", dpi=150)
        plt.close(figure)


def plot_ged_by_samples(axes: Axes, evaluation: Evaluation) -> None:
    curve = evaluation.figures["curve"]
    counts = sorted(int(n) for n in curve)
    found = [mean_estimate(curve[str(n)], evaluation.patient) for n in counts]
    _band(axes, counts, found, MODEL, "model")
    unbiased = evaluation.figures["unbiased curve"]
    distinct = sorted(int(n) for n in unbiased)
    values = [mean_estimate(unbiased[str(n)], evaluation.patient).value for n in distinct]
    axes.plot(distinct, values, "o:", color=MODEL, markersize=3, linewidth=1.2, label="model, distinct pairs")
    for group, colour in (("majority mask", MAJORITY), ("random reader", READERS)):
        value = mean_estimate(evaluation.figures[group]["ged"], evaluation.patient).value
        axes.axhline(value, color=colour, linestyle="--", linewidth=1.2, label=f"{group}, repeated ({value:.3f})")
    for n, e in zip(counts, found):
        if f"{n} samples" in evaluation.figures:
            label = axes.annotate(f"{e.value:.3f}", (n, e.value), (0, 7), textcoords="offset points", ha="center")
            label.set(fontsize=8, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1})
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(n) for n in counts])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel="Number of samples", ylabel="GED (1 − IoU, all pairs), lower is better", ylim=(0, None))
    axes.legend(frameon=False, fontsize=9)


def plot_reliability(axes: Axes, evaluation: Evaluation) -> None:
    """Share of readers against share of samples, near the lesion; the bars are pixels."""
    bins, patient = evaluation.figures[evaluation.largest]["ece_near"], evaluation.patient
    pooled = bins.sum(0)
    used = np.flatnonzero(pooled[:, 0] > 0)
    confidence = pooled[used, 1] / pooled[used, 0]
    accuracy = [ratio_estimate(bins[:, k, 2], bins[:, k, 0], patient) for k in used]
    ece = calibration_estimate(bins, patient)
    counts = axes.twinx()
    counts.bar((np.arange(BINS) + 0.5) / BINS, 100 * pooled[:, 0] / pooled[:, 0].sum(), 0.9 / BINS, color="#e4e4e4")
    counts.set(ylabel="Pixels in the bin (%, bars)", ylim=(0, 100))
    counts.yaxis.label.set_color(GREY)
    counts.spines["top"].set_visible(False)
    axes.set_zorder(counts.get_zorder() + 1)
    axes.patch.set_visible(False)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="perfect")
    label = f"{evaluation.largest}: ECE {ece.value:.3f} ({ece.low:.3f} to {ece.high:.3f})"
    _band(axes, confidence, accuracy, MODEL, label)
    axes.set(
        xlabel="Share of the model's samples that mark a pixel",
        ylabel=f"Share of readers (≤ {NEAR_PIXELS} px from any outline)",
        xlim=(0, 1),
        ylim=(0, 1),
    )
    axes.legend(frameon=False, fontsize=9, loc="upper left")


def plot_style_reliability(axes: Axes, evaluation: Evaluation) -> None:
    """Each style's probability against the one reader that it stands for, near the lesion."""
    figures, patient = evaluation.figures["experts"], evaluation.patient
    names = [name.removeprefix("matched_") for name in figures if name.startswith("matched_")]
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="perfect")
    for name, colour, marker in zip(names, cycle(STYLES), cycle("osD^")):
        bins = figures[f"ece_{name}"]
        pooled = bins.sum(0)
        used = pooled[:, 0] > 0
        ece, brier = calibration_estimate(bins, patient), mean_estimate(figures[f"brier_{name}"], patient)
        label = f"{name}: ECE {ece.value:.3f} ({ece.low:.3f} to {ece.high:.3f}), Brier {brier.value:.3f}"
        points = pooled[used, 1] / pooled[used, 0], pooled[used, 2] / pooled[used, 0]
        axes.plot(*points, color=colour, marker=marker, markersize=4, linewidth=1.4, label=label)
    axes.set(
        xlabel="Probability of the style",
        ylabel=f"Share marked by its reader (≤ {NEAR_PIXELS} px from any outline)",
        xlim=(0, 1),
        ylim=(0, 1),
    )
    axes.legend(frameon=False, fontsize=8, loc="upper left")


def plot_uncertainty(axes: Axes, evaluation: Evaluation) -> None:
    """Mean entropy of the samples where 0..M readers marked the pixel."""
    marked = np.arange(evaluation.figures[evaluation.largest]["entropy"].shape[1])
    readers = len(marked) - 1
    found = evaluation.entropy_estimates("entropy")
    values = np.array([e.value for e in found])
    errors = np.array([[e.value - e.low, e.high - e.value] for e in found]).T
    axes.bar(marked, values, 0.6, yerr=errors, color=MODEL, ecolor="black", capsize=3, label=evaluation.largest)
    own = binary_entropy(marked / readers)
    axes.plot(marked, own, "D", color=READERS, markersize=6, clip_on=False, label="the readers' own split")
    axes.set_xticks(marked, [f"{m} of {readers}" for m in marked])
    axes.set(
        xlabel=f"Readers who marked the pixel (≤ {NEAR_PIXELS} px from any outline)",
        ylabel="Entropy (bits)",
        ylim=(0, 1.18),
    )
    axes.legend(frameon=False, fontsize=9, loc="upper left", ncols=2)


def plot_correctness(axes: Axes, evaluation: Evaluation) -> None:
    """How uncertain right and wrong pixels are, where the readers are unanimous: entropy, its mean and its spread."""
    pixels = evaluation.figures[evaluation.largest]["correctness"].sum(0)
    found = evaluation.entropy_estimates("correctness")
    middles = (np.arange(ENTROPY_BINS) + 0.5) / ENTROPY_BINS
    for k, counts in enumerate(pixels[:, 2:]):
        width = 0.42 * np.sqrt(counts / max(counts.max(), 1))  # the root, so that rare levels can be seen
        colour = READERS if k in (1, 2) else MODEL
        axes.barh(middles, 2 * width, 0.9 / ENTROPY_BINS, left=k - width, color=colour, alpha=0.35)
        if found[k].value == found[k].value:
            error = [[found[k].value - found[k].low], [found[k].high - found[k].value]]
            axes.errorbar(k, found[k].value, np.nan_to_num(error), fmt="o", color="black", capsize=3, markersize=6)
    shares = 100 * pixels[:, 0] / max(pixels[:, 0].sum(), 1)
    axes.set_xticks(range(len(CORRECTNESS)), [f"{name}\n{share:.1f} %" for name, share in zip(CORRECTNESS, shares)])
    axes.set(
        xlabel=f"Pixels on which readers are unanimous (≤ {NEAR_PIXELS} px from any outline)",
        ylabel="Entropy (bits; dots: mean)",
        ylim=(0, 1.02),
        xlim=(-0.6, len(CORRECTNESS) - 0.4),
    )


def plot_robustness(axes: Axes, robustness: Evaluation) -> None:
    """Dice and Dice_soft under every condition, with the clean values as lines."""
    series = [
        ("dice", "consensus", MODEL, "o"),
        ("dice_experts", "styles", READERS, "D"),
        ("dice_soft", "Dice_soft", MAJORITY, "s"),
    ]
    series = [entry for entry in series if entry[0] in robustness.figures[CLEAN]]
    conditions = [name for name in robustness.figures if name != CLEAN]
    for offset, (measure, label, colour, marker) in zip((-0.2, 0, 0.2), series):
        clean = mean_estimate(robustness.figures[CLEAN][measure], robustness.patient).value
        axes.axhline(clean, color=colour, linestyle="--", linewidth=1, alpha=0.7)
        found = [mean_estimate(robustness.figures[name][measure], robustness.patient) for name in conditions]
        errors = np.nan_to_num(np.clip([[e.value - e.low, e.high - e.value] for e in found], 0, None)).T
        x, y = np.arange(len(found)) + offset, [e.value for e in found]
        axes.errorbar(
            x, y, errors, fmt=marker, color=colour, capsize=2, markersize=5, label=f"{label} (clean {clean:.3f})"
        )
    axes.set_xticks(range(len(conditions)), [name.replace(" ", "\n") for name in conditions])
    axes.set(xlabel="Images made worse (dashed: clean)", ylabel="Dice, higher is better", ylim=(0, 1))
    axes.grid(axis="y", color="#e4e4e4")
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=9, loc="lower left")


def plot_dice_by_size(axes: Axes, evaluation: Evaluation) -> None:
    """A sample against a reader, and a reader against another, by diameter."""
    size = np.digitize(evaluation.diameter_mm, SIZE_EDGES_MM) - 1
    used = [k for k in range(len(SIZE_EDGES_MM) - 1) if (size == k).any()]
    group = evaluation.largest
    series = [
        ("Dice_soft", evaluation.figures[group]["dice_soft"], MAJORITY, "s"),
        ("a sample against a reader", evaluation.figures[group]["dice"], MODEL, "o"),
        ("a reader against another", evaluation.figures["readers"]["dice"], READERS, "D"),
    ]
    for offset, (label, values, colour, marker) in zip((-0.15, 0, 0.15), series):
        found = [mean_estimate(values[size == k], evaluation.patient[size == k]) for k in used]
        y = np.array([e.value for e in found])
        errors = np.clip([[e.value - e.low, e.high - e.value] for e in found], 0, None).T
        errors[:, [len(set(evaluation.patient[size == k])) < FEW_PATIENTS for k in used]] = np.nan
        axes.errorbar(
            np.arange(len(used)) + offset, y, errors, fmt=marker, color=colour, capsize=2, markersize=5, label=label
        )
    axes.set_xticks(range(len(used)), [f"{_range(k)}\nn={(size == k).sum()}" for k in used])
    axes.set(xlabel="Diameter of the lesion on the slice (mm; n slices)", ylabel="Dice", ylim=(0, 1))
    axes.grid(axis="y", color="#e4e4e4")
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=9, loc="lower right")


def _band(axes: Axes, x, found: list[Estimate], colour: str, label: str) -> None:
    axes.fill_between(x, [e.low for e in found], [e.high for e in found], color=colour, alpha=0.2, linewidth=0)
    axes.plot(x, [e.value for e in found], "o-", color=colour, markersize=4, label=label)


def _range(k: int) -> str:
    low, high = SIZE_EDGES_MM[k], SIZE_EDGES_MM[k + 1]
    return f"≥ {low}" if np.isinf(high) else f"{low}–{high}"
