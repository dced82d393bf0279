"""Do contradicting sentences move the contour as they say? Measured on slices with something to outline, and shown.

    python Training/evaluate_control.py runs/ambiguous_text_diff_compact --validation-of ambiguous_text_diff_compact
    python Training/evaluate_control.py ambiguous_text_diff_compact --data fold2.npz --every 4 --pictures 3

On every slice whose readers' union is at least 100 pixels: "marked spiculation" against "smooth and round" (roughness of
the boundary at matched area, of the samples' mean and of each sample; and as it is), "generous" against "tight" (area of
the mean). The same noise is drawn for all sentences. At matched area: the larger contour is cut at a higher probability.
Writes control.json, control.md, and roughness.png and area.png (eight samples for each of two sentences).

Time: slices x 4 sentences x samples x steps x one evaluation of the denoiser (guidance: two).
"""

import argparse
import dataclasses
import json
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from MultiRaterSegLib.errors import DataError, UnsupportedRequest
from Training.command import positive, whole
from Training.evaluation_options import data_options, run_on_slices


def main(arguments: list[str] | None = None) -> int:
    parser = data_options(__file__, __doc__, "slice that is large enough")
    parser.add_argument("model", help="a model by name, a .safetensors file or a run folder")
    parser.add_argument("--samples", type=positive, default=8, help="samples averaged for a contour, and shown")
    parser.add_argument("--guidance", type=float, help="of a diffusion model's text (default: the model's own)")
    parser.add_argument("--pictures", type=whole, default=2, help="slices in each picture")
    parser.add_argument("--out", type=Path, default=Path("runs/control"))
    return run_on_slices(parser, run, arguments)


def run(options: argparse.Namespace) -> str:
    """Measures, writes the files and returns the text."""
    from rich.progress import track

    from MultiRaterSegLib.checkpoint import load_checkpoint
    from MultiRaterSegLib.predictor import choose_device
    from Training.chosen_slices import data_names, load_slices
    from Training.control import CONTRADICTIONS, large_enough, measure_control
    from Training.control_plot import plot_control
    from Training.diffusion_settings import Setting, adjusted
    from Training.evaluation_run import model_name

    checkpoint = load_checkpoint(options.model, choose_device("auto"))
    if not checkpoint.method.follows_prompts:
        raise UnsupportedRequest(f"{checkpoint.method.title} follows no sentences.")
    if options.guidance is not None:
        method = adjusted(checkpoint.method, Setting(guidance=options.guidance))
        checkpoint = dataclasses.replace(checkpoint, method=method)
    slices = load_slices(options)
    rows = large_enough(slices)[:: options.every]
    if not len(rows):
        raise DataError("No slice has a union of 100 pixels. Give other data.")
    found = measure_control(
        checkpoint, slices, rows, options.samples, lambda loop: track(loop, "Slices", len(rows), transient=True)
    )
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "control.json").write_text(json.dumps(found, indent=2))
    shown = rows[:: max(1, len(rows) // max(1, options.pictures))][: options.pictures]
    for name in ("roughness", "area") if len(shown) else ():
        pair = CONTRADICTIONS[name]
        plot_control(options.out / f"{name}.png", checkpoint, slices, shown, (pair.less, pair.more), options.samples)
    text = describe(found, model_name(checkpoint), f"{len(rows)} slices of {', '.join(data_names(options))}")
    (options.out / "control.md").write_text(text)
    return f"{text}\nWritten to {options.out}"


def describe(found: dict[str, dict], model: str, slices: str) -> str:
    """The measurements as Markdown."""
    from Training.bootstrap import Estimate
    from Training.markdown_table import cell, table

    rows = [("measured", "less", "more", "slices", "moved the right way, %", "median change, %")]
    for name, row in found.items():
        change = 100 * math.expm1(row["change"])
        right = cell(Estimate(*row["right"]), percent=True)
        rows.append((name, row["less"], row["more"], str(row["cases"]), right, f"{change:+.1f}"))
    return "\n".join(table(f"{model}: contradicting sentences on {slices}", rows))


if __name__ == "__main__":
    raise SystemExit(main())
