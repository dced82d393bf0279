"""Command-line options of evaluate.py and compare.py: which slices, how many samples, which conditions."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from MultiRaterSegLib.errors import MultiRaterSegError

KINDS = ("noise", "blur", "gamma", "acquisition")
TEST_FOLD = 3
REMINDER = f"Reminder: fold {TEST_FOLD} is the test fold. Every look at it is a line in docs/fold3_log.md."


def evaluation_options(**texts) -> argparse.ArgumentParser:
    """A parser with the shared options; `texts`: its description and the like."""
    parser = argparse.ArgumentParser(**texts, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = parser.add_argument_group("data")
    data.add_argument("--data", type=Path, nargs="+", action="extend", default=[], metavar="FILE", help="prepared npz")
    data.add_argument("--data-set", metavar="NAME", help="or a data set by name, with --root and --folds")
    data.add_argument(
        "--validation-of",
        metavar="RECIPE",
        help="or the inner validation patients of a recipe: what to look at while choosing",
    )
    data.add_argument("--root", type=Path, help="where the data set lies (default: the bundled one; the recipe's own)")
    data.add_argument("--folds", type=int, nargs="+", default=[], metavar="N")
    data.add_argument("--subset", choices=("all", "four", "large"), default="four", help="see docs/metrics.md")
    data.add_argument(
        "--every", type=positive, default=1, metavar="K", help="only every K-th slice (nodule: acquisition)"
    )
    data.add_argument(
        "--one-per-patient", type=int, metavar="SEED", help="one slice of each patient, drawn by this seed: for curves"
    )
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
        "--robustness",
        nargs="+",
        choices=KINDS,
        default=[],
        metavar="KIND",
        help=f"worse images too: {', '.join(KINDS)}",
    )
    worse.add_argument("--robustness-samples", type=positive, default=10, metavar="N", help="of the first seed")
    worse.add_argument(
        "--clean-scanner",
        default="standard",
        metavar="NAME",
        help="acquisition: the scanner that others are compared with",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ...")
    return parser


def check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Ends with a usage message where the data are not said, or said twice."""
    if bool(options.data) + bool(options.data_set) + bool(options.validation_of) != 1:
        parser.error(
            "say which slices: either --data FILE ..., or --data-set NAME with --root and --folds, "
            "or --validation-of RECIPE"
        )
    if options.data_set and not options.folds:
        parser.error("--data-set needs --folds N ...")


def run_command(name: str, parser: argparse.ArgumentParser, run: Callable, arguments: list[str] | None) -> int:
    """Parses, runs and prints what `run(options)` returns; an error of the library becomes a sentence and code 2."""
    options = parser.parse_args(arguments)
    check(parser, options)
    if looks_at_test_fold(options):
        print(REMINDER)
    try:
        print(run(options))
    except MultiRaterSegError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    return 0


def looks_at_test_fold(options: argparse.Namespace) -> bool:
    return TEST_FOLD in options.folds or any(path.name == f"fold{TEST_FOLD}.npz" for path in options.data)


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 1 up")
    return int(text)
