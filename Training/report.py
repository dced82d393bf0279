"""An evaluation as table.json (everything, fractions) and table.md (what a person compares, with 95 % intervals)."""

import json
from pathlib import Path

from .bootstrap import Estimate
from .evaluation import NEAR_PIXELS, Evaluation

CONVENTIONS = {
    "grid": "the data's native pixels; the model's probabilities are resampled there, then > 0.5",
    "ged": "1 - IoU, all pairs (a mask with itself too), no square root, two empty masks at distance 0",
    "ged_dice": "the same with 1 - Dice (AmbiguousTextDiff, TDG-DiffDPO)",
    "ged_both_empty_far": "the same with 1 - IoU and two empty masks at distance 1 (code of D-Persona and DiffOSeg)",
    "dice_soft": "mean of binary samples and of readers, both > .1 .3 .5 .7 .9",
    "dice_max": "mean over readers of the best sample",
    "dice_match": "one sample for each reader, Hungarian",
    "ci": "3 / (1/S_c + 1/D_max + 1/DA) a slice; dissimilarities of distinct pairs",
    "experts": "readers sorted by area on each slice; diagonal: expert k against reader k; matched: after Hungarian",
    "near": f"pixels within {NEAR_PIXELS} native pixels of what any reader drew",
    "ece": "10 bins of the share of samples against the share of readers, pixels of all slices pooled",
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
    "auroc_near": ("AUROC near ↑", False),
    "ece_all": ("ECE all ↓", False),
    "brier_all": ("Brier all ↓", False),
}

Estimates = dict[str, dict[str, Estimate]]


def write_report(folder: Path, evaluation: Evaluation, about: dict, differences: dict[str, Estimates]) -> str:
    """Writes table.json, table.md and per_slice.npz into `folder`; returns the text of table.md.

    about: what was evaluated (model, data, subset, seeds, ...). differences: {other model: paired differences}.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = evaluation.estimates()
    about = about | {"slices": len(evaluation.key), "patients": len(set(evaluation.patient.tolist()))}
    tree = {"about": about, "conventions": CONVENTIONS, "figures": _plain(figures)}
    if differences:
        tree["differences"] = {other: _plain(found) for other, found in differences.items()}
    (folder / "table.json").write_text(json.dumps(tree, indent=1) + "\n")
    text = markdown(about, figures, differences)
    (folder / "table.md").write_text(text)
    evaluation.save(folder / "per_slice.npz")
    return text


def _plain(figures: Estimates) -> dict:
    """Estimates as JSON, which has no NaN: an undefined figure is null."""

    def number(value: float) -> float | None:
        return round(value, 6) if value == value else None

    return {
        group: {name: {key: number(v) for key, v in e._asdict().items()} for name, e in row.items()}
        for group, row in figures.items()
    }


def markdown(about: dict, figures: Estimates, differences: dict[str, Estimates]) -> str:
    """The tables, a row for each number of samples, then the experts' masks and the baselines."""
    groups = [group for group in figures if group.endswith(" samples")]
    groups += [group for group in ("experts", "majority mask", "random reader") if group in figures]
    title = f"# {about['model']} on {', '.join(about['data'])}, {about['subset']}"
    among = figures["readers"]
    seen = ", ".join(about["trained_on"])
    lines = [
        title,
        "",
        *([f"**Not a test: the model was trained on patients of {seen}.**", ""] if seen else []),
        f"{about['slices']} slices of {about['patients']} patients, sampling seeds {about['seeds']}. In brackets: 95 % "
        "interval over patients. Dice and HM-IoU are in percent where two decimals are shown, fractions elsewhere.",
        "",
        f"Readers among themselves: Dice {_cell(among['dice'], True)}, IoU {_cell(among['iou'], True)}, "
        f"diversity {_cell(among['diversity'], False)}. The majority mask (>= 2 readers) and the random reader are one "
        "mask repeated.",
        "",
        *_table("Sets of samples", SETS, groups, figures),
        *_table("Collective insight", INSIGHT, groups, figures),
        *_table("Calibration and uncertainty", CALIBRATION, groups, figures),
        *_expert_table(figures),
    ]
    for other, found in differences.items():
        shared = [group for group in groups if group in found and group.split()[-1] in ("samples", "experts")]
        lines += _table(f"Minus {other}, paired", SETS | INSIGHT, shared, found, signed=True)
    lines += ["## Conventions", "", *(f"* {name}: {text}" for name, text in CONVENTIONS.items()), ""]
    return "\n".join(lines)


def _table(title: str, columns: dict, groups: list[str], figures: Estimates, signed: bool = False) -> list[str]:
    rows = [["", *(heading for heading, _ in columns.values())]]
    for group in groups:
        rows.append(
            [group, *(_cell(figures[group].get(name), percent, signed) for name, (_, percent) in columns.items())]
        )
    return [f"## {title}", "", *_rows(rows), ""]


def _expert_table(figures: Estimates) -> list[str]:
    """Dice, ECE and Brier of every expert against the reader of its rank."""
    found = figures.get("experts", {})
    names = [name.removeprefix("dice_") for name in found if name.startswith("dice_A")]
    if not names:
        return []
    rows = [["", *names, "mean"]]
    kinds = {"dice": ("Dice, diagonal ↑", True, "dice_diagonal"), "matched": ("Dice, matched ↑", True, "dice_matched"),
             "ece": ("ECE near ↓", False, ""), "brier": ("Brier near ↓", False, "")}  # fmt: skip
    for kind, (heading, percent, mean) in kinds.items():
        cells = [_cell(found[f"{kind}_{name}"], percent) for name in names]
        rows.append([heading, *cells, _cell(found.get(mean), percent)])
    return ["## Experts against the readers of their rank", "", *_rows(rows), ""]


def _cell(estimate: Estimate | None, percent: bool, signed: bool = False) -> str:
    if estimate is None or estimate.value != estimate.value:
        return "–"
    form = ("+" if signed else "") + (".2f" if percent else ".4f")
    value, low, high = (format(x * (100 if percent else 1), form) for x in estimate)
    return f"{value} ({low} to {high})"


def _rows(rows: list[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]
