"""Curves and ablations of text-guided diffusion: every combination of text, sampler, steps, preference and sample number.

    python Training/evaluate_diffusion.py full=runs/full "no text=runs/no_text" "no KL=runs/no_kl" --validation-of RECIPE
    python Training/evaluate_diffusion.py runs/full --data fold2.npz --text neutral median other readers
    python Training/evaluate_diffusion.py runs/full --data fold2.npz --sampler ddpm --steps 1000
    python Training/evaluate_diffusion.py runs/full --data fold2.npz --steps 100 50 20 10 --samples 1 2 4 8 16 32
    python Training/evaluate_diffusion.py runs/aligned --data fold2.npz --preference 0 0.5 1
    python Training/evaluate_diffusion.py reference=runs/full mean=runs/mean_dice best=runs/best_rater --data fold2.npz

Scored as in AmbiguousTextDiff and TDG-DiffDPO: all slices, empty masks are opinions, GED with 1 - Dice. By default one
slice a patient. Every model meets the same slices and noise; differences are to the first row, paired. A
model without text has one row whatever --text asks. The largest number of --samples is drawn once, smaller ones are its
first. Writes table.md, per_slice.npz and, where something with a number takes several values, curves.png into --out, after
every setting anew.

Time: slices x samples x steps x one evaluation of the denoiser (guidance: two); the table says what a slice took.
"""

import argparse
import dataclasses
import itertools
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from Training.command import positive
from Training.evaluation_options import labelled, run_on_slices, slice_options


def main(arguments: list[str] | None = None) -> int:
    parser = slice_options(__file__, __doc__)
    parser.set_defaults(subset="all", one_per_patient=0)
    parser.add_argument("models", nargs="+", help="a model, or NAME=MODEL")
    parser.add_argument(
        "--all-slices", action="store_const", const=None, dest="one_per_patient", help="instead of one a patient"
    )
    parser.add_argument("--limit", type=positive, help="at most so many slices")
    parser.add_argument("--text", nargs="+", choices=("neutral", "median", "other", "readers"), default=["neutral"])
    parser.add_argument("--sampler", nargs="+", choices=("ddim", "ddpm"), default=[None])
    parser.add_argument("--steps", type=positive, nargs="+", default=[None], help="default: as the model has it")
    parser.add_argument("--preference", type=float, nargs="+", default=[None], help="of an aligned model, 0 to 1")
    parser.add_argument("--guidance", type=float, nargs="+", default=[None], help="of the text; default: the model's")
    parser.add_argument("--samples", type=positive, nargs="+", default=[16], metavar="N")
    parser.add_argument("--seed", type=int, default=0, help="of noise and of texts")
    parser.add_argument("--out", type=Path, default=Path("runs/evaluation/diffusion"))
    return run_on_slices(parser, run, arguments)


def run(options: argparse.Namespace) -> str:
    """Evaluates everything, writes the files and returns the table."""
    from rich.progress import track

    from MultiRaterSegLib.checkpoint import find_model, load_checkpoint
    from MultiRaterSegLib.predictor import choose_device
    from Training.chosen_slices import choose_rows, data_names, load_slices, subset_words
    from Training.diffusion_plot import Row
    from Training.diffusion_settings import Setting, reads_text, score_setting

    models = {name: find_model(model) for name, model in labelled(options.models).items()}  # a missing one is told now
    slices = load_slices(options)
    rows = choose_rows(slices, options)[:: options.every][: options.limit]
    about = f"{', '.join(data_names(options))}, {subset_words(options)}: {len(rows)} slices, seed {options.seed}"
    if slices.present is not None:
        about += ". Readers who never saw a slice have no opinion of it"
    settings = itertools.product(options.text, options.sampler, options.steps, options.preference, options.guidance)
    settings = [Setting(*values) for values in settings]
    device, found, seconds = choose_device("auto"), [], {}
    for name, path in models.items():
        checkpoint = load_checkpoint(path, device)
        texts = reads_text(checkpoint.method)
        for setting in dict.fromkeys(s if texts else dataclasses.replace(s, text=None) for s in settings):
            row = Row(name, setting, max(options.samples), {})

            def progress(loop, row=row):
                return track(loop, row.drawn, len(rows), transient=True)

            began = time.process_time()
            scores = score_setting(checkpoint, slices, rows, setting, options.samples, options.seed, progress)
            found += [row._replace(samples=n, figures=figures) for n, figures in scores.items()]
            seconds[row.drawn] = (time.process_time() - began) / len(rows)
            text = write(options.out, found, slices.patient[rows], about, seconds)
    return f"{text}\nWritten to {options.out}"


def write(out: Path, found: list, patient: np.ndarray, about: str, seconds: dict[str, float]) -> str:
    """table.md, per_slice.npz and curves.png of diffusion_plot.Row; returns the table. seconds: of the processor, a slice,
    by what was drawn."""
    from Training.bootstrap import mean_estimate, paired_difference
    from Training.diffusion_plot import plot_curves
    from Training.diffusion_settings import FIGURES
    from Training.markdown_table import cell, table

    first = found[0].figures
    figures, differences = [("", *FIGURES)], [("", *FIGURES)]
    for row in found:
        figures.append((row.label, *(cell(mean_estimate(row.figures[name], patient)) for name in FIGURES)))
        moved = (paired_difference(row.figures[name], first[name], patient) for name in FIGURES)
        differences.append((row.label, *(cell(estimate, signed=True) for estimate in moved)))
    del differences[1]  # the first row's own
    lines = [*table("Figures", figures, about), *table("Paired differences to the first row", differences)]
    costs = [("", "seconds"), *((label, f"{value:.2f}") for label, value in seconds.items())]
    lines += table("Processor time a slice", costs)
    out.mkdir(parents=True, exist_ok=True)
    text = "\n".join(lines)
    (out / "table.md").write_text(text)
    flat = {f"{row.label}/{name}": values for row in found for name, values in row.figures.items()}
    np.savez_compressed(out / "per_slice.npz", patient=patient, **flat)
    plot_curves(out / "curves.png", found, patient, about)
    return text


if __name__ == "__main__":
    raise SystemExit(main())
