"""Ablations: one recipe, a grid of values, one equal budget; scores on the inner validation patients.

    python Training/sweep.py prosona_compact --vary model.text_weight=0,0.5,1 --vary model.similarity_weight=0,0.5,1 \\
        --stages personalise --start-from runs/prosona_compact/1-latent/best.pt.safetensors --set stage.personalise.steps=200

Every combination is trained from the same start with the same batches. Writes sweep.csv and, for two varied values, a
heat map sweep.png into --out; combinations that are already there are not run again.
"""

import argparse
import csv
import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from MultiRaterSegLib.errors import RecipeError
from Training.command import command_parser, run_command
from Training.start_options import add_start_options


def main(arguments: list[str] | None = None) -> int:
    parser = command_parser(__file__, __doc__)
    parser.add_argument("recipe", help="a .toml file or the name of a shipped recipe")
    parser.add_argument("--vary", action="append", required=True, metavar="KEY=A,B,...", help="values of one key")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one value for all")
    parser.add_argument("--stages", nargs="+", help="only these stages")
    add_start_options(parser)
    parser.add_argument("--out", type=Path, default=Path("runs/sweep"))
    return run_command(parser, run, arguments)


def run(options: argparse.Namespace) -> str:
    """Trains what is not there yet, writes the files and returns the table as CSV."""
    axes = [_axis(text) for text in options.vary]
    rows = [_run(options, dict(zip([key for key, _ in axes], values))) for values in _grid(axes)]
    _write(options.out / "sweep.csv", rows)
    if len(axes) == 2:
        _draw(options.out / "sweep.png", axes, rows)
    return (options.out / "sweep.csv").read_text()


def _axis(text: str) -> tuple[str, list[str]]:
    key, _, values = text.partition("=")
    if not values:
        raise RecipeError(f"--vary {text}: expected KEY=A,B,..., for example --vary model.text_weight=0,0.5,1.")
    return key, values.split(",")


def _grid(axes: list[tuple[str, list[str]]]):
    return itertools.product(*(values for _, values in axes))


def _run(options: argparse.Namespace, chosen: dict[str, str]) -> dict:
    """Trains one combination (or finds it done) and returns its last validation scores."""
    from Training.fit import train
    from Training.recipe import load_recipe
    from Training.start import start_with

    folder = options.out / "_".join(f"{key.split('.')[-1]}={value}" for key, value in chosen.items())
    if not (folder / "best.safetensors").is_file():
        recipe = load_recipe(options.recipe, [*options.set, *(f"{key}={value}" for key, value in chosen.items())])
        train(recipe, folder, True, start_with(options), options.stages)
    return {**chosen, **_last_scores(folder)}


def _last_scores(folder: Path) -> dict[str, float]:
    last = sorted(folder.glob("*/metrics.csv"))[-1]
    with last.open(newline="") as file:
        scored = [row for row in csv.DictReader(file) if row.get("validation_score")]
    return {name: float(value) for name, value in scored[-1].items() if name.startswith("validation_") and value}


def _write(path: Path, rows: list[dict]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _draw(path: Path, axes: list[tuple[str, list[str]]], rows: list[dict]) -> None:
    """GED and expert Dice over the two varied values, as ProSona's Fig. 5 shows its weights."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    (first, down), (second, across) = axes
    shown = [name for name in ("validation_ged", "validation_expert_dice") if name in rows[0]]
    figure, panels = plt.subplots(1, len(shown), figsize=(4.2 * len(shown), 3.6), squeeze=False, layout="constrained")
    for panel, name in zip(panels[0], shown):
        grid = np.array([row[name] for row in rows]).reshape(len(down), len(across))
        image = panel.imshow(grid, cmap="cividis_r" if name.endswith("ged") else "cividis")
        for (i, j), value in np.ndenumerate(grid):
            dark = (value - grid.min()) / max(np.ptp(grid), 1e-9) > 0.5
            panel.text(
                j, i, f"{value:.3f}", ha="center", va="center", color="black" if dark ^ name.endswith("ged") else "w"
            )
        panel.set(xticks=range(len(across)), xticklabels=across, yticks=range(len(down)), yticklabels=down)
        panel.set(xlabel=second.split(".")[-1], ylabel=first.split(".")[-1], title=name.removeprefix("validation_"))
        figure.colorbar(image, ax=panel, shrink=0.8)
    figure.savefig(path, dpi=130)
    plt.close(figure)


if __name__ == "__main__":
    raise SystemExit(main())
