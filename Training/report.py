"""An evaluation as table.json, table.csv (everything, fractions) and table.md (what a person compares, with intervals)."""

import csv
import json
from pathlib import Path

from .bootstrap import Estimate
from .evaluation import Evaluation
from .markdown_table import cell, table
from .report_sections import (
    consensus_section,
    curve_section,
    robustness_section,
    size_section,
    style_section,
    uncertainty_section,
)
from .robustness import losses
from .slice_scores import NEAR_PIXELS

CONVENTIONS = {
    "grid": "the data's native pixels; the model's probabilities are resampled there, then > 0.5",
    "ged": "1 - IoU, all pairs (a mask with itself too), no square root, two empty masks at distance 0",
    "ged_dice": "the same with 1 - Dice (AmbiguousTextDiff, TDG-DiffDPO)",
    "ged_both_empty_far": "the same with 1 - IoU and two empty masks at distance 1 (code of D-Persona and DiffOSeg)",
    "unbiased ged": "1 - IoU, distinct pairs only; may be negative. Unbiased for independent samples; where a method spreads "
    "its samples evenly (ProSona), few of them differ more than many do, so it rises with their number",
    "dice_soft": "mean of binary samples and of readers, both > .1 .3 .5 .7 .9",
    "dice_max": "mean over readers of the best sample",
    "dice_match": "one sample for each reader, Hungarian",
    "ci": "3 / (1/S_c + 1/D_max + 1/DA) a slice; dissimilarities of distinct pairs",
    "consensus": "the mean probability of the most samples; its mask is > 0.5",
    "experts": "stable raters, or readers sorted by area on each slice; diagonal: expert k against reader k; matched: "
    "after Hungarian",
    "near": f"pixels within {NEAR_PIXELS} native pixels of what any reader drew",
    "ece": "10 bins of the share of samples (consensus, styles: of the probability) against the share of readers (styles: "
    "the reader), pixels of all slices pooled",
    "error_auroc": "entropy of wrong pixels against right ones, near, among pixels on which the readers are unanimous",
    "average": "slices; before that, sampling seeds. Intervals: 95 %, bootstrap over patients, 2000 resamples",
}

# metric: (heading, shown in percent)
SETS = {
    "ged": ("GED ↓", False),
    "dice_soft": ("Dice_soft ↑", True),
    "dice_max": ("Dice_max ↑", True),
    "dice_match": ("Dice_match ↑", True),
    "hm_iou": ("HM-IoU ↑", True),
    "diversity": ("Diversity", False),
}
INSIGHT = {
    "ged_dice": ("GED with 1-Dice ↓", False),
    "ci": ("CI ↑", False),
    "combined_sensitivity": ("S_c ↑", False),
    "dice_max": ("D_max ↑", False),
    "diversity_agreement": ("DA ↑", False),
    "dice": ("Average Dice ↑", False),
    "iou": ("Average IoU ↑", False),
}
CALIBRATION = {
    "ece_near": ("ECE near ↓", False),
    "brier_near": ("Brier near ↓", False),
    "auroc_near": ("AUROC of disagreement near ↑", False),
    "error_auroc_near": ("AUROC of errors near ↑", False),
    "ece_all": ("ECE all ↓", False),
    "brier_all": ("Brier all ↓", False),
}

Estimates = dict[str, dict[str, Estimate]]


def write_report(
    folder: Path,
    evaluation: Evaluation,
    about: dict,
    differences: dict[str, Estimates],
    robustness: Evaluation | None = None,
) -> str:
    """Writes table.json, table.csv, table.md, per_slice.npz (and robustness.npz) into `folder`; returns the Markdown.

    about: what was evaluated (model, data, subset, seeds, ...). differences: {other model: paired differences}.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = evaluation.estimates()
    counts = {"slices": len(evaluation.key), "patients": len(set(evaluation.patient.tolist()))}
    tree = {"about": about | counts, "conventions": CONVENTIONS, "figures": plain(figures)}
    if differences:
        tree["differences"] = {other: plain(found) for other, found in differences.items()}
    if robustness is not None:
        tree["robustness"] = {"figures": plain(robustness.estimates()), "losses": plain(losses(robustness))}
        robustness.save(folder / "robustness.npz")
    write_csv(folder / "table.csv", figures)
    text = markdown(about | counts, evaluation, figures, differences, robustness)
    (folder / "table.md").write_text(text)
    evaluation.save(folder / "per_slice.npz")
    (folder / "table.json").write_text(json.dumps(tree, indent=1) + "\n")  # last: it says that the rest is there
    return text


def write_csv(path: Path, figures: Estimates) -> None:
    """A line for each figure: group, metric, value, low, high."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["group", "metric", *Estimate._fields])
        for group, row in figures.items():
            writer.writerows([group, name, *(f"{x:.6g}" for x in estimate)] for name, estimate in row.items())


def plain(figures: Estimates) -> dict:
    """Estimates as JSON, which has no NaN: an undefined figure is null."""

    def number(value: float) -> float | None:
        return round(value, 6) if value == value else None

    return {
        group: {name: {key: number(v) for key, v in e._asdict().items()} for name, e in row.items()}
        for group, row in figures.items()
    }


def markdown(
    about: dict,
    evaluation: Evaluation,
    figures: Estimates,
    differences: dict[str, Estimates],
    robustness: Evaluation | None,
) -> str:
    """The tables, a row for each number of samples, then the experts' masks and the baselines."""
    groups = [group for group in figures if group.endswith(" samples")]
    groups += [group for group in ("experts", "majority mask", "random reader") if group in figures]
    among = figures["readers"]
    seen = ", ".join(about["trained_on"])
    lines = [
        f"# {about['model']} on {', '.join(about['data'])}, {about['subset']}",
        "",
        *([f"**Not a test: the model was trained on patients of {seen}.**", ""] if seen else []),
        f"{about['slices']} slices of {about['patients']} patients, sampling seeds {about['seeds']}. In brackets: 95 % "
        "interval over patients. Dice and HM-IoU are in percent where two decimals are shown, fractions elsewhere.",
        "",
        f"Readers among themselves: Dice {cell(among['dice'], True)}, IoU {cell(among['iou'], True)}, "
        f"diversity {cell(among['diversity'])}. The majority mask (>= 2 readers) and the random reader are one "
        "mask repeated.",
        "",
        *estimate_table("Sets of samples", SETS, groups, figures),
        *curve_section(figures),
        *estimate_table("Collective insight", INSIGHT, groups, figures),
        *consensus_section(figures),
        *style_section(figures),
        *estimate_table("Calibration and uncertainty", CALIBRATION, [*groups, "consensus"], figures),
        *uncertainty_section(evaluation),
        *size_section(evaluation),
        *(robustness_section(robustness) if robustness is not None else []),
    ]
    for other, found in differences.items():
        shared = [g for g in groups if g in found and g.split()[-1] in ("samples", "experts")]
        lines += estimate_table(f"Minus {other}, paired", SETS | CALIBRATION, shared, found, signed=True)
    lines += ["## Conventions", "", *(f"* {name}: {text}" for name, text in CONVENTIONS.items()), ""]
    return "\n".join(lines)


def estimate_table(
    title: str, columns: dict, groups: list[str], figures: Estimates, signed: bool = False, first: str = ""
) -> list[str]:
    """A row for each group, a column for each metric of `columns`."""
    rows = [[first, *(heading for heading, _ in columns.values())]]
    for group in groups:
        rows.append(
            [group, *(cell(figures[group].get(name), percent, signed) for name, (_, percent) in columns.items())]
        )
    return table(title, rows)
