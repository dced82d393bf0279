"""The command line: python -m MultiRaterSegLib segment | demo | models.

Only argparse is imported before the arguments are understood, so --help and mistakes are answered at once.
"""

import argparse
import re
import sys

from . import __version__
from .errors import MultiRaterSegError

NOT_A_DEVICE = "Research use only. Not a medical device."
BAD_INPUT = 2

SEGMENT_EXAMPLES = """examples:
  %(prog)s chest.nrrd out/ --at 34,-12.5,88
  %(prog)s dicom_folder/ out/ --roi box.mrk.json --prompt "tight margins, solid core only"
  %(prog)s chest.nrrd out/ --at 34,-12.5,88 --experts none --between conservative inclusive 0.3

Coordinates are R, A, S in mm, as 3D Slicer shows them. """


def main(arguments: list[str] | None = None) -> int:
    """Runs one command. Returns 0, or 2 after an error that the message explains; Ctrl-C ends the process with 130."""
    options = _parser().parse_args(_keep_negative_values(sys.argv[1:] if arguments is None else arguments))
    from .commands.interruptible import run

    try:
        run(lambda stop: _execute(options, stop))
    except MultiRaterSegError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    return 0


def _execute(options: argparse.Namespace, stop) -> None:
    if options.command == "models":
        from .commands.models import models

        models(options)
    elif options.command == "demo":
        from .commands.demo import demo

        demo(options, stop)
    else:
        from .commands.segment import segment

        segment(options, stop)


class OneLineErrors(argparse.ArgumentParser):
    """A mistake on the command line is answered like any other: in one line."""

    def error(self, message: str):
        self.exit(BAD_INPUT, f"error: {message}. For help: {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = OneLineErrors(
        prog="python -m MultiRaterSegLib",
        description="See where experts disagree about the outline of a lesion.",
        epilog=NOT_A_DEVICE,
    )
    parser.add_argument("--version", action="version", version=f"MultiRaterSeg {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_segment(commands)
    _add_demo(commands)
    _add_models(commands)
    return parser


def _add_segment(commands) -> None:
    parser = commands.add_parser(
        "segment",
        help="outline a lesion in every style",
        description="Outlines a lesion as simulated readers would: the consensus, where they disagree, each style.",
        epilog=SEGMENT_EXAMPLES + NOT_A_DEVICE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("input", metavar="INPUT", help="a scan: .nrrd, .nii, .nii.gz, .mha, or a DICOM folder")
    parser.add_argument("out", metavar="OUT_DIR", help="folder for the results; made when missing")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument(
        "--at",
        action="append",
        metavar="R,A,S",
        help="a point in the lesion, mm, or a point list of 3D Slicer (.mrk.json); several give OUT_DIR/L1, L2, ...",
    )
    place.add_argument("--roi", metavar="FILE", help="a box around the lesion instead (.mrk.json, or min_ras/max_ras)")
    parser.add_argument(
        "--channel",
        action="append",
        default=[],
        metavar="FILE",
        help="a further image, after INPUT and in the model's order, for a model that reads several; may be repeated",
    )
    parser.add_argument("--series", metavar="N|UID", help="which series of a DICOM folder with several")
    _add_request(parser)
    parser.add_argument("--experts", default="all", metavar="all|none|NAME,...", help="reader styles (default: all)")
    parser.add_argument(
        "--prompt", action="append", default=[], metavar="TEXT", help="an outline described in words; may be repeated"
    )
    parser.add_argument(
        "--between",
        action="append",
        default=[],
        nargs=3,
        metavar=("A", "B", "T"),
        help="between two styles, names or sentences: T=0 is A, T=1 is B; may be repeated",
    )
    parser.add_argument("--save-samples", action="store_true", help="also write every simulated reader's mask")


def _add_demo(commands) -> None:
    words = "segment the bundled sample scan"
    parser = commands.add_parser("demo", help=words, description=words.capitalize() + ".", epilog=NOT_A_DEVICE)
    parser.add_argument("out", metavar="OUT_DIR", nargs="?", default="demo_out", help="default: demo_out")
    _add_request(parser)


def _add_request(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="prosona_compact", metavar="NAME|FILE", help="default: prosona_compact")
    parser.add_argument("--samples", type=_count, default=20, metavar="N", help="simulated readers (default: 20)")
    parser.add_argument(
        "--steps",
        type=_count,
        metavar="N",
        help="network evaluations a sample, of a diffusion model (default: its own)",
    )
    parser.add_argument(
        "--preference",
        type=float,
        metavar="0..1",
        help="of an aligned model: 0 draws as before its alignment, 1 as alignment left it (default: its own)",
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same readers (default: 0)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")


def _add_models(commands) -> None:
    parser = commands.add_parser("models", help="list, install or remove models", epilog=NOT_A_DEVICE)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    actions.add_parser("list", help="what is installed (the default)")
    install = actions.add_parser("install", help="add a model file")
    install.add_argument("file", metavar="FILE", help="a .safetensors file made by Training/train.py")
    install.add_argument("--sha256", metavar="HEX", help="refuse the file unless this is its checksum")
    remove = actions.add_parser("remove", help="delete an installed model")
    remove.add_argument("name", metavar="NAME")


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got '{text}'")
    return int(text)


def _keep_negative_values(arguments: list[str]) -> list[str]:
    """Joins "--at -34,-12.5,88" to "--at=-34,-12.5,88": argparse would take the value for an option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] == "--at" and re.match(r"-[\d.]", argument):
            joined[-1] = f"--at={argument}"
        else:
            joined.append(argument)
    return joined


if __name__ == "__main__":
    sys.exit(main())
