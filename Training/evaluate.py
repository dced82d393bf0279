"""Score a model against its readers, as the papers' tables do.

    python Training/evaluate.py runs/prosona_compact/best.safetensors --data fold2.npz --subset large
    python Training/evaluate.py prosona_compact --data fold2.npz --save-predictions P.npz --out runs/evaluation/prosona
    python Training/evaluate.py dpersona --data fold2.npz --against runs/evaluation/prosona     paired differences

Writes table.md, table.json, per_slice.npz and four pictures into --out. The data format is that of
Training/prepare.py; docs/metrics.md explains the figures. In code: Training.evaluation.evaluate.
"""

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from MultiRaterSegLib.errors import DataError, MultiRaterSegError

TEST_FOLD = "fold3.npz"


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if any(path.name == TEST_FOLD for path in options.data):
        print(f"Reminder: {TEST_FOLD} is the test fold. Every look at it is a line in docs/fold3_log.md.")
    try:
        print(run(options))
    except MultiRaterSegError as error:
        print(f"evaluate.py: {error}", file=sys.stderr)
        return 2
    return 0


def run(options: argparse.Namespace) -> str:
    """Evaluates, writes the report and returns its text."""
    from rich.progress import track  # after --help: these import torch

    from MultiRaterSegLib.checkpoint import load_checkpoint
    from MultiRaterSegLib.predictor import choose_device
    from Training.data.lidc_slices import LidcSlices
    from Training.evaluation import Evaluation, evaluate
    from Training.report import write_report
    from Training.report_plots import plot_report
    from Training.slice_predictions import PredictionFile

    if options.save_predictions and len(options.data) > 1:
        raise DataError("--save-predictions keeps row numbers of one file; give one --data file at a time.")
    others = {folder.name: Evaluation.load(folder / "per_slice.npz") for folder in options.against}
    checkpoint = load_checkpoint(options.model, choose_device(options.device))
    slices = LidcSlices.load(options.data)
    rows = slices.subset(options.subset)[:: options.every]
    record = about(checkpoint, options)
    settings = {"sizes": options.samples, "seeds": options.seeds, "expert_samples": options.expert_samples}
    saved = PredictionFile(options.save_predictions, rows) if options.save_predictions else nullcontext()
    with saved as file:
        evaluation = evaluate(
            checkpoint.method,
            checkpoint.frame,
            slices,
            rows,
            **settings,
            keep=file.add if file else None,
            progress=lambda loop: track(loop, record["model"], len(rows), transient=True),
        )
    out = options.out or Path("runs") / "evaluation" / f"{record['model']}-{options.subset}"
    differences = {name: evaluation.differences(other) for name, other in others.items()}
    text = write_report(out, evaluation, record | settings, differences)
    plot_report(out, evaluation, text.splitlines()[0].lstrip("# ") + f": {len(rows)} slices")
    return f"{text}\nWritten to {out}"


def about(checkpoint, options: argparse.Namespace) -> dict:
    """What was evaluated. A run's best.safetensors is called by its recipe; folds that it was trained on are named."""
    recipe = checkpoint.info.get("recipe", {})
    folds = {f"fold{fold}.npz" for fold in recipe.get("data", {}).get("folds", ())}
    names = [path.name for path in options.data]
    return {
        "model": recipe.get("name", "best") if checkpoint.name == "best" else checkpoint.name,
        "model_sha256": checkpoint.sha256,
        "method": checkpoint.method.name,
        "data": names,
        "trained_on": [name for name in names if name in folds],
        "subset": options.subset + (f", every {options.every}. slice" if options.every > 1 else ""),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a model's name, a .safetensors file or a run folder")
    parser.add_argument(
        "--data", type=Path, nargs="+", action="extend", required=True, metavar="FILE", help="prepared npz"
    )
    parser.add_argument(
        "--samples", type=_positive, nargs="+", default=[10, 30, 50], metavar="N", help="sizes of sample sets"
    )
    parser.add_argument("--subset", choices=("all", "four", "large"), default="four", help="see docs/metrics.md")
    parser.add_argument(
        "--every", type=_positive, default=1, metavar="K", help="only every K-th slice, for slow models"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="sampling seeds, averaged")
    parser.add_argument(
        "--expert-samples", type=_positive, default=10, metavar="N", help="samples averaged for an expert's mask"
    )
    parser.add_argument("--save-predictions", type=Path, metavar="P.npz", help="keep the masks of the first seed")
    parser.add_argument("--against", type=Path, nargs="+", default=[], metavar="FOLDER", help="--out of other models")
    parser.add_argument("--out", type=Path, help="folder (default: runs/evaluation/MODEL-SUBSET)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ...")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 1 up")
    return int(text)


if __name__ == "__main__":
    raise SystemExit(main())
