"""Several models on the same slices, side by side: the tables of compare.py."""

import csv
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .bootstrap import Estimate, mean_estimate, ratio_estimate
from .evaluation import Evaluation
from .markdown_table import cell, table
from .printed import printed_sections
from .report import CALIBRATION, CONVENTIONS, SETS, Estimates, estimate_table
from .robustness import CLEAN, losses
from .slice_scores import CORRECTNESS

BASELINES = ("majority mask", "random reader")

STYLES = {
    "ged": ("GED of the set ↓", False),
    "dice_soft": ("Dice_soft ↑", True),
    "dice_max": ("Dice_max ↑", True),
    "dice_diagonal": ("mean, diagonal ↑", True),
    "dice_matched": ("mean, matched ↑", True),
    "ece_styles": ("ECE near ↓", False),
    "brier_styles": ("Brier near ↓", False),
    "ece_all_styles": ("ECE all ↓", False),
    "brier_all_styles": ("Brier all ↓", False),
}


@dataclass(frozen=True, eq=False)
class Entry:
    """A model in the comparison. parameters: count. cpu_s: {"10 samples", "a style"}: CPU seconds for one slice, encoding
    included; "a style" is missing where the model has none."""

    label: str
    method: str
    evaluation: Evaluation
    robustness: Evaluation | None
    parameters: int
    cpu_s: dict[str, float]

    @cached_property
    def figures(self) -> Estimates:
        return self.evaluation.estimates()

    @cached_property
    def worse(self) -> Estimates:
        """Figures under every condition, the clean one first; empty without robustness."""
        return self.robustness.estimates() if self.robustness is not None else {}

    @cached_property
    def losses(self) -> Estimates:
        return losses(self.robustness) if self.robustness is not None else {}


def comparison_markdown(entries: list[Entry], reference: Entry, record: dict, data: str | None) -> str:
    """record: what the models were evaluated on. data: whose printed numbers are set beside, None = nobody's."""
    first = entries[0].evaluation
    figures = {entry.label: entry.figures for entry in entries}
    patients = len(set(first.patient.tolist()))
    readers = first.figures[first.largest]["entropy"].shape[1] - 1
    among = entries[0].figures["readers"]
    warnings = [
        f"**Not a test for {label}: it was trained on patients of {', '.join(seen)}.**\n"
        for label, seen in record["trained_on"].items()
        if seen
    ]
    lines = [
        f"# {len(entries)} models on {', '.join(record['data'])}, {record['subset']}",
        "",
        *warnings,
        f"{len(first.key)} slices of {patients} patients, sampling seeds {record['seeds']}. In brackets: 95 % interval over "
        "patients. Dice and HM-IoU are in percent where two decimals are shown. Compare two models by the paired "
        "differences below, not by whether two intervals overlap.",
        "",
        f"Readers among themselves: Dice {cell(among['dice'], True)}, IoU {cell(among['iou'], True)}, "
        f"diversity {cell(among['diversity'])}.",
        "",
        *_sets(entries, figures),
        *_curves(figures, "curve", "GED by number of samples", "With all pairs, more samples lower GED by themselves."),
        *_curves(
            figures,
            "unbiased curve",
            "GED by number of samples, distinct pairs",
            "Unbiased for independent samples; may be negative.",
        ),
        *_styles(figures),
        *_readers(figures),
        *_calibration(entries, figures),
        *_uncertainty(entries, "entropy", [f"{k} of {readers}" for k in range(readers + 1)], "readers who marked it"),
        *_uncertainty(entries, "correctness", list(CORRECTNESS), "correctness, where readers are unanimous"),
        *_sizes(entries),
        *_robustness(entries),
        *_relative_losses(entries, reference),
        *_cost(entries),
        *_differences(entries, reference),
        *(printed_sections(data) if data else []),
    ]
    lines += ["## Conventions", "", *(f"* {name}: {text}" for name, text in CONVENTIONS.items()), ""]
    return "\n".join(lines)


def _sets(entries: list[Entry], figures: dict[str, Estimates]) -> list[str]:
    group = entries[0].evaluation.largest
    rows = {label: found[group] for label, found in figures.items()}
    rows |= {name: figures[entries[0].label][name] for name in BASELINES}
    return estimate_table(f"Sets of {group}", SETS, list(rows), rows)


def _curves(figures: dict[str, Estimates], name: str, title: str, note: str) -> list[str]:
    counts = list(next(iter(figures.values()))[name])
    rows = [[label, *(cell(found[name][n]) for n in counts)] for label, found in figures.items()]
    return table(title, [["", *counts], *rows], note)


def _styles(figures: dict[str, Estimates]) -> list[str]:
    """Each style against its reader (diagonal), and the set of styles."""
    rows = {label: found["experts"] for label, found in figures.items() if "experts" in found}
    names = list(dict.fromkeys(n for found in rows.values() for n in found if n.startswith("matched_")))
    each = {f"dice_{name.removeprefix('matched_')}": (name.removeprefix("matched_"), True) for name in names}
    return estimate_table("Styles, each against its reader", each | STYLES, list(rows), rows)


def _readers(figures: dict[str, Estimates]) -> list[str]:
    """The one mask that every model has: its consensus, with each reader."""
    rows = {label: found["consensus"] for label, found in figures.items()}
    names = [name for name in next(iter(rows.values())) if name.startswith("dice_") and name != "dice_most"]
    columns = {name: (name.removeprefix("dice_"), True) for name in names}
    columns |= {"dice": ("mean ↑", True), "dice_most": ("most readers ↑", True)}
    return estimate_table("Dice of the consensus mask with each reader", columns, list(rows), rows)


def _calibration(entries: list[Entry], figures: dict[str, Estimates]) -> list[str]:
    group = entries[0].evaluation.largest
    rows = {}
    for label, found in figures.items():
        rows[label] = found[group]
        rows[f"{label}, mean probability"] = found["consensus"]
    rows |= {name: figures[entries[0].label][name] for name in BASELINES}
    return estimate_table(f"Calibration and uncertainty of {group}", CALIBRATION, list(rows), rows)


def _uncertainty(entries: list[Entry], figure: str, kinds: list[str], title: str) -> list[str]:
    """Mean entropy of the samples' share on each kind of pixel."""
    rows = [[entry.label, *(cell(e) for e in entry.evaluation.entropy_estimates(figure))] for entry in entries]
    return table(f"Mean entropy (bits) of pixels near the lesion, by {title}", [["", *kinds], *rows])


def _sizes(entries: list[Entry]) -> list[str]:
    """Dice of the consensus with most readers, in three groups of slices by size."""
    groups = entries[0].evaluation.by_size()
    rows = [["", *(f"{name} (n = {chosen.sum()})" for name, chosen in groups)]]
    for entry in entries:
        dice, patient = entry.evaluation.figures["consensus"]["dice_most"], entry.evaluation.patient
        rows.append([entry.label, *(cell(mean_estimate(dice[chosen], patient[chosen]), True) for _, chosen in groups)])
    return table("Dice of the consensus mask with most readers, by size", rows)


def _robustness(entries: list[Entry]) -> list[str]:
    """What the consensus mask and the styles lose of their Dice under worse images."""
    lines = []
    for measure, title in (("dice", "the consensus mask"), ("dice_experts", "the styles")):
        rows = [["", CLEAN, *(name for name in _conditions(entries) if name != CLEAN)]]
        for entry in entries:
            if measure in entry.worse.get(CLEAN, {}):
                lost = [cell(entry.losses[name][measure], True) for name in rows[0][2:]]
                rows.append([entry.label, cell(entry.worse[CLEAN][measure], True), *lost])
        lines += table(f"Robustness: Dice of {title}, and what it loses (paired)", rows)
    return lines


def _relative_losses(entries: list[Entry], reference: Entry) -> list[str]:
    """Each model's loss of Dice as a share of the reference's, on the same slices."""
    if reference.robustness is None:
        return []
    conditions = [name for name in reference.worse if name != CLEAN]
    theirs, patient = reference.robustness.figures, reference.robustness.patient
    rows = [["", *conditions]]
    for entry in entries:
        if entry is not reference and entry.robustness is not None:
            mine = entry.robustness.figures
            lost = [[f[CLEAN]["dice"] - f[name]["dice"] for f in (mine, theirs)] for name in conditions]
            rows.append([entry.label, *(cell(ratio_estimate(*pair, patient)) for pair in lost)])
    note = f"1: as much as {reference.label}. Of no use where {reference.label} loses next to nothing."
    return table(f"Robustness: loss of consensus Dice over that of {reference.label}", rows, note)


def _conditions(entries: list[Entry]) -> list[str]:
    return next((list(entry.worse) for entry in entries if entry.worse), [])


def _cost(entries: list[Entry]) -> list[str]:
    kinds = list(dict.fromkeys(kind for entry in entries for kind in entry.cpu_s))
    rows = [["", "method", "parameters", *(f"CPU ms a slice, {kind}" for kind in kinds)]]
    for entry in entries:
        times = [f"{1000 * entry.cpu_s[kind]:.0f}" if kind in entry.cpu_s else "–" for kind in kinds]
        rows.append([entry.label, entry.method, f"{entry.parameters:,}", *times])
    note = "CPU seconds of one thread, encoding included, on the machine that made this table."
    return table("Size and speed", rows, note)


def _differences(entries: list[Entry], reference: Entry) -> list[str]:
    """Paired, bold where the interval leaves out zero."""
    group = reference.evaluation.largest
    columns = {
        "GED ↓": (group, "ged", False),
        "Dice_soft ↑": (group, "dice_soft", True),
        "Dice_match ↑": (group, "dice_match", True),
        "consensus Dice ↑": ("consensus", "dice", True),
        "styles, diagonal ↑": ("experts", "dice_diagonal", True),
        "ECE near ↓": (group, "ece_near", False),
        "Brier near ↓": (group, "brier_near", False),
        "AUROC of disagreement ↑": (group, "auroc_near", False),
    }
    rows = [["", *columns]]
    for entry in entries:
        if entry is reference:
            continue
        found = entry.evaluation.differences(reference.evaluation)
        cells = [_difference(found.get(g, {}).get(name), percent) for g, name, percent in columns.values()]
        rows.append([entry.label, *cells])
    return table(f"Minus {reference.label}, paired", rows, "Bold: the interval leaves out zero.")


def _difference(estimate: Estimate | None, percent: bool) -> str:
    text = cell(estimate, percent, signed=True)
    return f"**{text}**" if estimate is not None and estimate.low * estimate.high > 0 else text


def write_comparison_csv(path: Path, entries: list[Entry], reference: Entry) -> None:
    """A line for each figure of each model: its interval, and its paired difference to the reference."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["model", "group", "metric", *Estimate._fields, *(f"minus_reference_{name}" for name in Estimate._fields)]
        )
        for entry in entries:
            differences = entry.evaluation.differences(reference.evaluation)
            writer.writerow([entry.label, "cost", "parameters", entry.parameters])
            writer.writerows([entry.label, "cost", f"cpu_s, {kind}", f"{s:.4g}"] for kind, s in entry.cpu_s.items())
            for group, row in entry.figures.items():
                for name, estimate in row.items():
                    difference = differences.get(group, {}).get(name, ())
                    writer.writerow([entry.label, group, name, *(f"{x:.6g}" for x in (*estimate, *difference))])
            for kind, found in (("", entry.worse), ("worse than clean by, ", entry.losses)):
                for condition, row in found.items():
                    for name, estimate in row.items():
                        writer.writerow([entry.label, condition, kind + name, *(f"{x:.6g}" for x in estimate)])
