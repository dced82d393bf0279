"""Command-line options that say what training starts with; start.py does it."""

import argparse
from pathlib import Path


def add_start_options(parser: argparse.ArgumentParser) -> None:
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--start-from",
        type=Path,
        metavar="MODEL",
        help="weights to start the first trained stage with: a model, a file, a run",
    )
    start.add_argument(
        "--backbone-from", type=Path, metavar="MODEL", help="of any method: only its U-Net is taken over"
    )
    start.add_argument(
        "--former-stages-from", type=Path, help="weights of a like run: what the stages before --stages trained"
    )
