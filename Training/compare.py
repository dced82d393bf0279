"""Compare models on the same slices: every figure with its interval, paired differences, size, speed, and the papers' numbers.

    python Training/compare.py prob_unet dpersona harmonizer --data fold2.npz --subset large --reference prob_unet
    python Training/compare.py "with GED=runs/a" "no GED=runs/b" --validation-of harmonizer_compact --out runs/ged

A model is a name, a .safetensors file or a run folder; LABEL=MODEL calls it LABEL. Writes compare.md, compare.csv,
compare.png and examples.png into --out, and each model's own report (see evaluate.py) into a folder beside them. A model
that was evaluated there before, with the same weights and settings, is not evaluated again.
"""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from MultiRaterSegLib.errors import DataError
from Training.evaluation_options import evaluation_options, labelled, run_on_slices

CONTEXT = {"lidc": "LIDC-IDRI", "npc": "NPC-170", "none": None}
TIMED_SLICES, TIMED_SAMPLES = 5, 10


def main(arguments: list[str] | None = None) -> int:
    return run_on_slices(_parser(), run, arguments)


def run(options: argparse.Namespace) -> str:
    """Evaluates what is not there yet, writes the comparison and returns its Markdown."""
    from MultiRaterSegLib.checkpoint import find_model, load_checkpoint  # after --help: these import torch
    from MultiRaterSegLib.predictor import choose_device
    from Training.comparison import comparison_markdown, write_comparison_csv
    from Training.comparison_plot import plot_comparison
    from Training.evaluation_run import about, load_task, show_examples
    from Training.example_slices import plot_examples

    models = labelled(options.models)
    reference = options.reference or next(iter(models))
    if reference not in models:
        raise DataError(f"--reference '{reference}' is not among the models: {', '.join(models)}.")
    for model in models.values():
        find_model(model)  # a missing one is told now, not after hours
    task = load_task(options)
    entries, shown, trained_on = [], [], {}
    for label, model in models.items():
        checkpoint = load_checkpoint(model, choose_device(options.device))
        record = about(checkpoint, task) | {"model": label}
        trained_on[label] = record["trained_on"]
        done = _evaluation(checkpoint, task, record, options.out / label)
        shown.append(show_examples(checkpoint, label, task, done[2]))
        entries.append(_entry(label, checkpoint, done[:2]))
    chosen = next(entry for entry in entries if entry.label == reference)
    context = options.context or ("npc" if options.data_set == "npc_170" else "lidc")
    text = comparison_markdown(entries, chosen, task.record | {"trained_on": trained_on}, CONTEXT[context])
    (options.out / "compare.md").write_text(text)
    write_comparison_csv(options.out / "compare.csv", entries, chosen)
    title = f"{', '.join(task.record['data'])}, {task.record['subset']}: {len(task.rows)} slices"
    plot_comparison(options.out / "compare.png", entries, title)
    plot_examples(options.out / "examples.png", task.slices, task.examples, shown)
    return f"{text}\nWritten to {options.out}"


def _evaluation(checkpoint, task, record: dict, folder: Path):
    """(evaluation, robustness or None, predictions of the examples), read from `folder` where it was made before with this
    record; predictions are not kept there."""
    from rich.progress import track

    from Training.evaluation_run import evaluate_on
    from Training.report import write_report
    from Training.report_plots import plot_report

    done = finished(folder, record)
    if done is None:
        label = record["model"]
        done = evaluate_on(
            checkpoint,
            task,
            progress=lambda name, total: lambda loop: track(loop, f"{label}: {name}", total, transient=True),
        )
        write_report(folder, done[0], record, {}, done[1])
        plot_report(folder, done[0], label, done[1])
    return done


def _entry(label: str, checkpoint, done: tuple):
    from Training.comparison import Entry

    method = checkpoint.method
    parameters = sum(parameter.numel() for parameter in method.parameters())
    return Entry(label, method.title, *done, parameters, cpu_seconds(method.cpu(), checkpoint.frame.size))


def finished(folder: Path, record: dict):
    """(evaluation, robustness or None, []) of an earlier run with this very record; None where there is none."""
    from Training.evaluation import Evaluation

    path = folder / "table.json"
    if not path.is_file():
        return None
    earlier = json.loads(path.read_text())["about"]
    if any(earlier.get(name) != value for name, value in json.loads(json.dumps(record)).items()):
        return None
    worse = Evaluation.load(folder / "robustness.npz") if record["conditions"] else None
    return Evaluation.load(folder / "per_slice.npz"), worse, []


def cpu_seconds(method, size: int) -> dict[str, float]:
    """CPU seconds of one thread for one slice of `size` pixels, encoding included: 10 samples, and one style's mask from
    10 samples where the method has styles. The median of a few slices, after one to warm up."""
    import numpy as np
    import torch

    from MultiRaterSegLib.noise import Noise

    def population(image):
        return method.sample(method.encode(image), Noise(0, samples=TIMED_SAMPLES, images=[0]))

    def style(image):
        encoded = method.encode(image)
        return method.sample(encoded, Noise(0, samples=TIMED_SAMPLES, images=[0]), method.expert_style(encoded, 0))

    works = {f"{TIMED_SAMPLES} samples": population} | ({"a style": style} if method.experts else {})
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(1 + TIMED_SLICES, 1, method.channels, size, size, generator=generator)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = {}
    with torch.inference_mode():
        for name, work in works.items():
            seconds = []
            for image in images:
                start = time.process_time()
                work(image)
                seconds.append(time.process_time() - start)
            found[name] = float(np.median(seconds[1:]))
    torch.set_num_threads(threads)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = evaluation_options(__file__, __doc__)
    parser.add_argument("models", nargs="+", metavar="[LABEL=]MODEL")
    parser.add_argument("--reference", metavar="LABEL", help="whom the others are compared with (default: the first)")
    parser.add_argument(
        "--context", choices=tuple(CONTEXT), help="the papers' printed numbers set beside (default: by data)"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/comparison"))
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
