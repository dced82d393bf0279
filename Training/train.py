"""Train a method from a recipe, its stages in order.

    python Training/train.py                                   lists the recipes
    python Training/train.py Training/recipes/prosona_compact.toml --set data.root=../data
    python Training/train.py prosona_compact --resume          goes on after an interruption, bit for bit on the CPU
    python Training/train.py ambiguous_text_diff_compact --backbone-from prosona_compact

A run folder (runs/NAME) gets for each stage: last.ckpt (everything to go on), best.safetensors (the weight average
that scored best on the inner validation patients), metrics.csv and TensorBoard logs; and at the end
runs/NAME/best.safetensors, which evaluate.py and the command line accept.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from Training.command import command_parser, run_command
from Training.start_options import add_start_options


def main(arguments: list[str] | None = None) -> int:
    parser = command_parser(__file__, __doc__)
    parser.add_argument("recipe", nargs="?", help="a .toml file or the name of a shipped recipe")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change one value of the recipe"
    )
    parser.add_argument("--out", type=Path, help="run folder (default: runs/NAME)")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in the run folder")
    add_start_options(parser)
    parser.add_argument("--stages", nargs="+", help="only these stages, in the method's order")
    return run_command(parser, run, arguments)


def run(options: argparse.Namespace) -> str:
    """Trains and says where the best weights are; without a recipe, the recipes that there are."""
    from Training.recipe import list_recipes, load_recipe  # after --help: these import torch

    if options.recipe is None:
        lines = [f"  {path.stem:28s}{path.read_text().splitlines()[0].lstrip('# ')}" for path in list_recipes()]
        return "\n".join(["Recipes (python Training/train.py NAME):", *lines])
    from Training.fit import train
    from Training.start import start_with

    recipe = load_recipe(options.recipe, options.set)
    out = options.out or Path("runs") / recipe.name
    return f"Best weights: {train(recipe, out, options.resume, start_with(options), options.stages)}"


if __name__ == "__main__":
    raise SystemExit(main())
