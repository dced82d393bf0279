"""Options of the commands that look at slices: which data, which of its slices, how many samples, which conditions."""

import argparse
from collections.abc import Callable
from pathlib import Path

from MultiRaterSegLib.errors import DataError

from .command import command_parser, positive, run_command

KINDS = ("noise", "blur", "gamma", "acquisition")
LIDC = ("lidc_", "simulated")
"""What the names of data sets begin with that hold LIDC-IDRI's patients, or their outlines."""

TEST_FOLD = 3
REMINDER = f"Reminder: fold {TEST_FOLD} is the test fold. Every look at it is a line in docs/fold3_log.md."


def data_options(file: str, doc: str, thinned: str = "slice") -> argparse.ArgumentParser:
    """A parser that knows whose data; chosen_slices.py loads them. thinned: what --every counts."""
    parser = command_parser(file, doc)
    data = parser.add_argument_group("data")
    data.add_argument("--data", type=Path, nargs="+", action="extend", default=[], metavar="FILE", help="prepared npz")
    data.add_argument("--data-set", metavar="NAME", help="or a data set by name, with --root and --folds")
    data.add_argument(
        "--validation-of", metavar="RECIPE", help="or a recipe's inner validation patients: to look at while choosing"
    )
    data.add_argument("--root", type=Path, help="where the data set lies (default: the bundled one; the recipe's own)")
    data.add_argument("--folds", type=int, nargs="+", default=[], metavar="N")
    data.add_argument("--every", type=positive, default=1, metavar="K", help=f"only every K-th {thinned}")
    return parser


def slice_options(file: str, doc: str, thinned: str = "slice") -> argparse.ArgumentParser:
    """A parser that knows whose data, and which of their slices."""
    parser = data_options(file, doc, thinned)
    chosen = parser.add_argument_group("slices")
    chosen.add_argument("--subset", choices=("all", "four", "large"), default="four", help="see docs/metrics.md")
    chosen.add_argument(
        "--one-per-patient", type=int, metavar="SEED", help="one slice of each patient, drawn by this seed: for curves"
    )
    return parser


def evaluation_options(file: str, doc: str) -> argparse.ArgumentParser:
    """A parser that knows all that `load_task` asks for."""
    parser = slice_options(file, doc, "slice (acquisition: nodule)")
    draw = parser.add_argument_group("sampling")
    draw.add_argument(
        "--samples", type=positive, nargs="+", default=[10, 30, 50], metavar="N", help="sizes of sample sets"
    )
    draw.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="sampling seeds, averaged")
    draw.add_argument(
        "--expert-samples", type=positive, default=10, metavar="N", help="samples averaged for an expert's mask"
    )
    worse = parser.add_argument_group("robustness")
    worse.add_argument(
        "--robustness", nargs="+", choices=KINDS, default=[], metavar="KIND", help=f"worse images: {', '.join(KINDS)}"
    )
    worse.add_argument("--robustness-samples", type=positive, default=10, metavar="N", help="of the first seed")
    worse.add_argument(
        "--clean-scanner", default="standard", metavar="NAME", help="acquisition: whom others are compared with"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ...")
    return parser


def labelled(models: list[str]) -> dict[str, str]:
    """{label: model} of "LABEL=MODEL" or "MODEL", which is called by its file or run folder. Raises DataError where two
    have one label."""
    found: dict[str, str] = {}
    for text in models:
        label, said, model = text.partition("=")
        if not said or not label:
            model = text
            path = Path(model)
            label = path.parent.name if path.stem == "best" and path.parent.name else path.stem
        if label in found:
            raise DataError(f"Two models are called '{label}'. Name them: LABEL=MODEL.")
        if not label or "/" in label:
            raise DataError(f"'{text}': a label names a folder, so it must not be empty or hold '/'.")
        found[label] = model
    return found


def run_on_slices(parser: argparse.ArgumentParser, run: Callable, arguments: list[str] | None) -> int:
    """`run_command` of a parser with `data_options`: ends with a usage message where the data are not said, or said
    twice, and reminds of the test fold."""

    def checked(options: argparse.Namespace) -> str:
        if bool(options.data) + bool(options.data_set) + bool(options.validation_of) != 1:
            parser.error(
                "say which slices: either --data FILE ..., or --data-set NAME with --root and --folds, "
                "or --validation-of RECIPE"
            )
        if options.data_set and not options.folds:
            parser.error("--data-set needs --folds N ...")
        of_lidc = (options.data_set or "").startswith(LIDC) and TEST_FOLD in options.folds
        if of_lidc or any(path.name == f"fold{TEST_FOLD}.npz" for path in options.data):
            print(REMINDER)
        return run(options)

    return run_command(parser, checked, arguments)
