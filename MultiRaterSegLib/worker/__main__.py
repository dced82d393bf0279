"""python -m MultiRaterSegLib.worker [--device auto]: answers on standard output what is asked on standard input."""

import argparse
import os
import signal
import sys
from typing import BinaryIO

from .server import Server


def main(arguments: list[str] | None = None) -> None:
    """Runs until standard input is closed."""
    parser = argparse.ArgumentParser(prog="python -m MultiRaterSegLib.worker", description=__doc__)
    parser.add_argument("--device", default="auto", help='"auto", "cpu", "cuda", "cuda:1", "mps"')
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for whoever started this process
    # Threads that spin while they wait are many times slower on cores that a window (or anything else) shares.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    source, sink = take_pipes()

    def start():
        from .session import Session  # torch: seconds, during which the process already says that it is alive

        return Session(options.device)

    Server(source, sink).run(start)


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output, for this protocol alone: what libraries print from now on goes to standard error."""
    source, sink = os.dup(0), os.dup(1)
    if sys.platform == "win32":
        import msvcrt

        for pipe in (source, sink):
            msvcrt.setmode(pipe, os.O_BINARY)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return os.fdopen(source, "rb"), os.fdopen(sink, "wb")


if __name__ == "__main__":
    main()
