"""Score a model against its readers, as the papers' tables do, and under worse images.

    python Training/evaluate.py runs/prosona_compact/best.safetensors --data fold2.npz --subset large
    python Training/evaluate.py prosona_compact --data fold2.npz --robustness noise blur gamma
    python Training/evaluate.py runs/prosona_compact --validation-of prosona_compact --root ../data --robustness noise
    python Training/evaluate.py runs/simulated --data-set simulated --folds 2 --robustness acquisition
    python Training/evaluate.py prosona_compact --data fold2.npz --save-predictions P.npz --out runs/evaluation/prosona
    python Training/evaluate.py dpersona --data fold2.npz --against runs/evaluation/prosona     paired differences

Writes table.md, table.json, table.csv, per_slice.npz and pictures into --out. Prepared files are those of
Training/prepare.py; docs/metrics.md explains the figures. Several models at once: compare.py.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from MultiRaterSegLib.errors import DataError
from Training.command import positive
from Training.evaluation_options import evaluation_options, run_on_slices


def main(arguments: list[str] | None = None) -> int:
    return run_on_slices(_parser(), run, arguments)


def run(options: argparse.Namespace) -> str:
    """Evaluates, writes the report and returns its text."""
    from rich.progress import track  # after --help: these import torch

    from MultiRaterSegLib.checkpoint import load_checkpoint
    from MultiRaterSegLib.knobs import Knobs
    from MultiRaterSegLib.predictor import choose_device
    from Training.evaluation import Evaluation
    from Training.evaluation_run import about, evaluate_on, load_task, show_examples
    from Training.example_slices import plot_examples
    from Training.report import write_report
    from Training.report_plots import plot_report

    if options.save_predictions and len(options.data) != 1:
        raise DataError("--save-predictions keeps row numbers of one file; give one --data file at a time.")
    others = {folder.name: Evaluation.load(folder / "per_slice.npz") for folder in options.against}
    checkpoint = load_checkpoint(options.model, choose_device(options.device))
    checkpoint.method.use(Knobs(options.steps, options.preference))
    task = load_task(options)
    record = about(checkpoint, task)
    evaluation, robustness, drawn = evaluate_on(
        checkpoint,
        task,
        options.save_predictions,
        lambda name, total: lambda loop: track(loop, name, total, transient=True),
    )
    out = options.out or Path("runs") / "evaluation" / f"{record['model']}-{options.subset}"
    differences = {name: evaluation.differences(other) for name, other in others.items()}
    text = write_report(out, evaluation, record, differences, robustness)
    plot_report(out, evaluation, text.splitlines()[0].lstrip("# ") + f": {len(task.rows)} slices", robustness)
    shown = [show_examples(checkpoint, record["model"], task, drawn)]
    plot_examples(out / "examples.png", task.slices, task.examples, shown)
    return f"{text}\nWritten to {out}"


def _parser() -> argparse.ArgumentParser:
    parser = evaluation_options(__file__, __doc__)
    parser.add_argument("model", help="a model's name, a .safetensors file or a run folder")
    parser.add_argument("--steps", type=positive, metavar="N", help="evaluations a sample (default: the model's own)")
    parser.add_argument("--preference", type=float, metavar="0..1", help="of an aligned model (default: its own)")
    parser.add_argument("--save-predictions", type=Path, metavar="P.npz", help="keep the masks of the first seed")
    parser.add_argument("--against", type=Path, nargs="+", default=[], metavar="FOLDER", help="--out of other models")
    parser.add_argument("--out", type=Path, help="folder (default: runs/evaluation/MODEL-SUBSET)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
