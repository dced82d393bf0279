"""How good are samples of fewer steps? A diffusion model's figures against its number of network evaluations a sample.

    python Training/evaluate_steps.py runs/diffoseg_compact --validation-of diffoseg_compact --one-per-patient 0
    python Training/evaluate_steps.py diffoseg_compact --data fold2.npz --one-per-patient 0 --steps 250 25 10 5 2 1

Every number of steps draws on the same slices with the same seeds; the largest is the full chain that the others are
compared with, paired. The default that follows: the fewest steps whose paired 95 % interval of GED minus the full
chain's stays below +.01. Writes steps.md, steps.json and steps.png into --out, and a report (see evaluate.py) for each
number in a folder beside them; those that are there already, with the same weights and settings, are not drawn again.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from Training.command import positive
from Training.evaluation_options import evaluation_options, run_on_slices

STEPS = (250, 100, 50, 25, 10, 5, 2, 1)
TOLERANCE = 0.01
"""GED that fewer steps may cost: the upper end of the paired 95 % interval stays below it."""

COLUMNS = {
    "ged": ("GED ↓", False),
    "dice_soft": ("Dice_soft ↑", True),
    "dice_max": ("Dice_max ↑", True),
    "dice_match": ("Dice_match ↑", True),
}


def main(arguments: list[str] | None = None) -> int:
    return run_on_slices(_parser(), run, arguments)


def run(options: argparse.Namespace) -> str:
    """Evaluates what is not there yet, writes the three files and returns the Markdown."""
    from MultiRaterSegLib.checkpoint import load_checkpoint  # after --help: these import torch
    from MultiRaterSegLib.predictor import choose_device
    from Training.compare import cpu_seconds
    from Training.evaluation_run import about, load_task

    checkpoint = load_checkpoint(options.model, choose_device(options.device))
    method = checkpoint.method
    for steps in options.steps:
        method.use_steps(steps)  # one that cannot be is told now, not after hours
    task = load_task(options)
    done, seconds = {}, {}
    for steps in sorted(set(options.steps)):
        method.use_steps(steps)
        done[steps] = _evaluation(checkpoint, task, about(checkpoint, task), options.out / f"steps={steps}")
        seconds[steps] = next(iter(cpu_seconds(method, checkpoint.frame.size).values())) if options.timed else None
    record = about(checkpoint, task)
    default = fewest_steps(done)
    text = steps_markdown(done, seconds, record, default)
    (options.out / "steps.md").write_text(text)
    figures = {steps: _figures(evaluation) for steps, evaluation in done.items()}
    tree = {"about": record, "default": default, "steps": {k: _plain(row) for k, row in figures.items()}}
    (options.out / "steps.json").write_text(json.dumps(tree, indent=1) + "\n")
    _draw(options.out / "steps.png", figures, default)
    return f"{text}\nWritten to {options.out}"


def fewest_steps(done: dict) -> int:
    """The default that follows from {steps: Evaluation}."""
    full = done[max(done)]
    return min(steps for steps, evaluation in done.items() if _cost(evaluation, full).high < TOLERANCE)


def _cost(evaluation, full):
    """GED minus that of the full chain, paired."""
    return evaluation.differences(full)[full.largest]["ged"]


def _figures(evaluation) -> dict:
    """{name: Estimate} of the most samples, and of the experts where there are any."""
    found = evaluation.estimates()
    row = {name: found[evaluation.largest][name] for name in COLUMNS}
    if "dice_diagonal" in found.get("experts", {}):
        row["dice_diagonal"] = found["experts"]["dice_diagonal"]
    return row


def _plain(row: dict) -> dict:
    return {name: estimate._asdict() for name, estimate in row.items()}


def steps_markdown(done: dict, seconds: dict, record: dict, default: int) -> str:
    """done: {steps: Evaluation}. seconds: {steps: CPU seconds, or None where they were not measured}."""
    from Training.compare import TIMED_SAMPLES
    from Training.markdown_table import cell, table

    full = done[max(done)]
    timed = any(seconds.values())
    rows = [
        ["steps", *(heading for heading, _ in COLUMNS.values()), "Dice, diagonal ↑", f"GED minus {max(done)}, paired"]
    ]
    rows[0] += [f"CPU s, {TIMED_SAMPLES} samples"] if timed else []
    for steps in sorted(done, reverse=True):
        figures = _figures(done[steps])
        row = [cell(figures[name], percent) for name, (_, percent) in COLUMNS.items()]
        row += [cell(figures.get("dice_diagonal"), True), cell(_cost(done[steps], full), signed=True)]
        row += [f"{seconds[steps]:.2f}"] if timed else []
        rows.append([f"**{steps}**" if steps == default else str(steps), *row])
    note = (
        f"{full.largest}, {len(full.key)} slices of {len(set(full.patient.tolist()))} patients, sampling seeds "
        f"{record['seeds']}; in brackets 95 % intervals over patients. Default: **{default}**, the fewest steps whose "
        f"paired interval stays below +{TOLERANCE}."
    )
    title = f"{record['model']} on {', '.join(record['data'])}, {record['subset']}: quality by number of steps"
    seen = ", ".join(record["trained_on"])
    warning = f"**Not a test: the model was trained on patients of {seen}.** " if seen else ""
    return "\n".join(table(title, rows, warning + note))


def _evaluation(checkpoint, task, record: dict, folder: Path):
    """Read from `folder` where it was made before with this record."""
    from rich.progress import track

    from Training.compare import finished
    from Training.evaluation_run import evaluate_on
    from Training.report import write_report

    if (done := finished(folder, record)) is None:
        name = f"{record['steps']} steps"
        done = evaluate_on(
            checkpoint, task, progress=lambda _name, total: lambda loop: track(loop, name, total, transient=True)
        )
        write_report(folder, done[0], record, {}, done[1])
    return done[0]


def _draw(path: Path, figures: dict, default: int) -> None:
    """GED, and the Dice figures, over the number of steps."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    steps = sorted(figures)
    words = {name: heading.rstrip(" ↓↑") for name, (heading, _) in COLUMNS.items()} | {
        "dice_diagonal": "styles, diagonal"
    }
    panels = {"GED (lower is better)": ["ged"], "Dice": [name for name in figures[steps[0]] if name != "ged"]}
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for axis, (title, names) in zip(axes, panels.items()):
        for name in names:
            estimates = [figures[k][name] for k in steps]
            [line] = axis.plot(steps, [e.value for e in estimates], marker="o", label=words[name])
            band = [[getattr(e, end) for e in estimates] for end in ("low", "high")]
            axis.fill_between(steps, *band, color=line.get_color(), alpha=0.12, linewidth=0)
        axis.axvline(default, color="0.6", linestyle=":", label=f"default: {default}")
        axis.set(xscale="log", xlabel="steps", title=title, xticks=steps, xticklabels=steps)
        axis.minorticks_off()
        axis.legend(fontsize=8, ncols=3, loc="lower center" if len(names) > 1 else "upper right")
        axis.margins(y=0.25)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _parser() -> argparse.ArgumentParser:
    parser = evaluation_options(__file__, __doc__)
    parser.add_argument("model", help="a model's name, a .safetensors file or a run folder")
    parser.add_argument("--steps", type=positive, nargs="+", default=list(STEPS), metavar="N", help="numbers of steps")
    parser.add_argument("--timed", action="store_true", help="also measure CPU seconds; on an idle machine only")
    parser.add_argument("--out", type=Path, default=Path("runs/steps"))
    parser.set_defaults(samples=[16], seeds=[0])
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
