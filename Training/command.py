"""What every command of this folder does around its work."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from MultiRaterSegLib.errors import MultiRaterSegError


def command_parser(file: str, doc: str) -> argparse.ArgumentParser:
    """A parser for the command of this file, whose docstring is its description."""
    return argparse.ArgumentParser(
        Path(file).name, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def run_command(parser: argparse.ArgumentParser, run: Callable, arguments: list[str] | None) -> int:
    """Parses, runs and prints what `run(options)` returns; an error of the library becomes a sentence and code 2."""
    options = parser.parse_args(arguments)
    try:
        print(run(options))
    except MultiRaterSegError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    return 0


def whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 0 up")
    return int(text)


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 1 up")
    return int(text)
