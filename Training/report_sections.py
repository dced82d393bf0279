"""Sections of the report that have a form of their own; each is the lines of its Markdown, none where it has nothing."""

import numpy as np

from .bootstrap import Estimate, mean_estimate
from .evaluation import Evaluation
from .markdown_table import cell, table
from .robustness import CLEAN, losses
from .slice_scores import CORRECTNESS, ENTROPY_BINS

Estimates = dict[str, dict[str, Estimate]]

CONDITION_MEASURES = {
    "dice": True,
    "dice_experts": True,
    "dice_soft": True,
    "ged": False,
    "ece_near": False,
    "auroc_near": False,
}
"""{measure: shown in percent}."""


def curve_section(figures: Estimates) -> list[str]:
    counts = list(figures["curve"])
    rows = [["", *counts], ["GED, all pairs ↓", *(cell(figures["curve"][n]) for n in counts)]]
    rows.append(["GED, distinct pairs ↓", *(cell(figures["unbiased curve"].get(n)) for n in counts)])
    return table("GED by number of samples", rows, "With all pairs, more samples lower GED by themselves.")


def consensus_section(figures: Estimates) -> list[str]:
    found = figures["consensus"]
    names = [name for name in found if name.startswith("dice_") and name != "dice_most"]
    heading = [*(name.removeprefix("dice_") for name in names), "mean", "most readers"]
    rows = [heading, [cell(found[name], True) for name in (*names, "dice", "dice_most")]]
    return table("Dice of the consensus mask with each reader", rows)


def style_section(figures: Estimates) -> list[str]:
    """Dice, ECE and Brier of every expert against the reader that it stands for."""
    found = figures.get("experts", {})
    names = [name.removeprefix("matched_") for name in found if name.startswith("matched_")]
    if not names:
        return []
    kinds = {
        "dice": ("Dice, diagonal ↑", "dice_diagonal"),
        "matched": ("Dice, matched ↑", "dice_matched"),
        "ece": ("ECE near ↓", "ece_styles"),
        "brier": ("Brier near ↓", "brier_styles"),
        "ece_all": ("ECE all ↓", "ece_all_styles"),
        "brier_all": ("Brier all ↓", "brier_all_styles"),
    }
    rows = [["", *names, "mean"]]
    for kind, (heading, mean) in kinds.items():
        percent = kind in ("dice", "matched")
        rows.append([heading, *(cell(found[f"{kind}_{name}"], percent) for name in names), cell(found[mean], percent)])
    return table("Experts against the readers of their rank", rows)


def uncertainty_section(evaluation: Evaluation) -> list[str]:
    """Mean and median entropy of pixels by agreement of the readers and by correctness of the consensus."""
    sums = evaluation.figures[evaluation.largest]
    readers = sums["entropy"].shape[1] - 1
    kinds = {"entropy": [f"{k} of {readers} readers marked it" for k in range(readers + 1)]}
    kinds["correctness"] = [f"{name}, readers unanimous" for name in CORRECTNESS]
    rows = [["Pixels near the lesion", "share (%)", "mean entropy (bits)", "median"]]
    for figure, headings in kinds.items():
        pixels = sums[figure].sum(0)
        for k, (heading, mean) in enumerate(zip(headings, evaluation.entropy_estimates(figure))):
            share = f"{100 * pixels[k, 0] / max(pixels[:, 0].sum(), 1):.1f}"
            rows.append([heading, share, cell(mean), f"{median_entropy(pixels[k, 2:]):.2f}"])
    return table(f"Uncertainty of {evaluation.largest}, by agreement and correctness", rows)


def median_entropy(counts: np.ndarray) -> float:
    """Middle of the bin of entropy that holds the median pixel; NaN for none."""
    if not counts.sum():
        return float("nan")
    return (int(np.searchsorted(counts.cumsum(), counts.sum() / 2)) + 0.5) / ENTROPY_BINS


def size_section(evaluation: Evaluation) -> list[str]:
    """Dice in three groups of slices by the area that more than half of the readers marked."""
    figures, group = evaluation.figures, evaluation.largest
    series = {
        "consensus, most readers ↑": figures["consensus"]["dice_most"],
        "Dice_soft ↑": figures[group]["dice_soft"],
        "experts, diagonal ↑": figures.get("experts", {}).get("dice_diagonal"),
        "GED ↓": figures[group]["ged"],
        "a reader with another": figures["readers"]["dice"],
    }
    series = {name: values for name, values in series.items() if values is not None}
    rows = [["", "slices", *series]]
    for name, chosen in evaluation.by_size():
        found = [(mean_estimate(v[chosen], evaluation.patient[chosen]), "GED" not in n) for n, v in series.items()]
        rows.append([name, str(int(chosen.sum())), *(cell(estimate, percent) for estimate, percent in found)])
    return table(
        "By size of the lesion", rows, "Dice of the consensus mask is with what more than half of the readers drew."
    )


def robustness_section(robustness: Evaluation) -> list[str]:
    figures, worse = robustness.estimates(), losses(robustness)
    shown = {name: percent for name, percent in CONDITION_MEASURES.items() if name in figures[CLEAN]}
    rows = [["", *shown]]
    for condition, row in figures.items():
        rows.append([condition, *(cell(row[name], percent) for name, percent in shown.items())])
    lost = [["", *shown]]
    for condition, row in worse.items():
        lost.append([condition, *(cell(row[name], percent, signed=True) for name, percent in shown.items())])
    note = "dice: of the consensus mask, mean over readers; dice_experts: each style with its reader."
    return table("Robustness", rows, note) + table("Robustness: worse than clean by, paired", lost)
