"""Does the contour follow the words? Sentences in opposite pairs, and the slider between two reader styles.

    python Training/evaluate_steering.py prosona_compact --data fold2.npz --pairs Testing/data/prompt_pairs.toml
    python Training/evaluate_steering.py runs/mine --validation-of prosona_compact --pairs Testing/data/prompt_pairs.toml

Each pair asks for less and for more of one property; on every slice the contour's measured property must move in the
right direction (standing still counts as wrong, and so does a sentence that is refused). Extent is the area, rim the
share of the hazy rim inside, roughness the isoperimetric ratio; contours are drawn at a quarter of the frame's pixel.
The rim is measured from the readers' masks and the image, so slices without one (fewer than MIN_RIM_PIXELS) do not
count for it. Writes steering.json and steering.md into --out.
"""

import argparse
import json
import sys
import tomllib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from Training.evaluation_options import run_on_slices, slice_options


def main(arguments: list[str] | None = None) -> int:
    parser = slice_options(__file__, __doc__)
    parser.add_argument("model", help="a model by name, a .safetensors file or a run folder")
    parser.add_argument("--pairs", type=Path, required=True, help="TOML with [[pair]] property, less, more")
    parser.add_argument("--samples", type=int, default=4, help="samples averaged for a contour")
    parser.add_argument("--out", type=Path, default=Path("runs/steering"))
    return run_on_slices(parser, run, arguments)


def run(options: argparse.Namespace) -> str:
    """Measures, writes the two files and returns the text."""
    from MultiRaterSegLib.checkpoint import load_checkpoint
    from Training.chosen_slices import choose_rows, data_names, load_slices, subset_words
    from Training.evaluation_run import model_name
    from Training.steering import measure_pairs, measure_slider

    checkpoint = load_checkpoint(options.model)
    slices = load_slices(options)
    rows = choose_rows(slices, options)[:: options.every]
    pairs = tomllib.loads(options.pairs.read_text())["pair"]
    result = {
        "model": model_name(checkpoint),
        "model_sha256": checkpoint.sha256,
        "data": data_names(options),
        "subset": subset_words(options),
        "slices": len(rows),
        "pairs": measure_pairs(checkpoint, slices, rows, pairs, options.samples),
        "slider": measure_slider(checkpoint, slices, rows, options.samples),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "steering.json").write_text(json.dumps(result, indent=2))
    text = describe(result)
    (options.out / "steering.md").write_text(text)
    return text


def describe(result: dict) -> str:
    """The measurements as Markdown."""
    from Training.steering import ENDS, SLIDER_STEPS

    lines = [
        f"Steering of {result['model']} on {', '.join(result['data'])}, subset {result['subset']}, "
        f"{result['slices']} slices.",
        "",
        "| property | pairs | (slice, pair) | moved the right way |",
        "|---|---|---|---|",
    ]
    for name, row in result["pairs"]["by_property"].items():
        lines.append(f"| {name} | {row['pairs']} | {row['cases']} | {100 * row['right']:.1f} % |")
    slider = result["slider"]
    lines += [
        "",
        f"Sentences refused: {len(result['pairs']['refused'])}. {'; '.join(result['pairs']['refused'])}",
        "",
        f"Slider from {ENDS[0]} to {ENDS[1]} in {SLIDER_STEPS} steps: never shrinks by more than 1 % of its range on "
        f"{100 * slider['monotone']:.1f} % of slices; its range is {slider['range_share']:.2f} of the readers' own "
        f"A1-A4 range (sum over slices; median of slices {slider['median_range_share']:.2f}).",
        "",
        f"Is halo more than bigger? Of what '{slider['halo_sentence']}' adds, {100 * slider['rim_of_halo']:.0f} % is rim; "
        f"of what '{slider['extent_sentence']}' adds, {100 * slider['rim_of_extent']:.0f} %.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
