"""Ctrl-C that answers at once, also while native code (reading, compressing, convolving) does not look up.

The work runs in a second thread; the first one only waits, so it can always hear the keyboard.
"""

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import Cancelled

PATIENCE_S = 0.3
"""How long the work may take to notice and to clean up after itself; then the process ends without it."""

STOPPED = 130
NOTHING_WRITTEN = "Stopped; nothing was written."


class Stop:
    """Between the thread that hears Ctrl-C and the one that works."""

    def __init__(self):
        self.requested = False
        self.close_display: Callable[[], None] = lambda: None
        self._unfinished: Path | None = None
        self._publishing = False
        self._decision = threading.Lock()

    def check(self) -> None:
        """Raises Cancelled once Ctrl-C was pressed."""
        if self.requested:
            raise Cancelled(NOTHING_WRITTEN)

    @contextmanager
    def unfinished(self, folder: Path) -> Iterator[None]:
        """While open, `folder` must not stay behind; once it closes, its files are about to be moved into place."""
        self._unfinished = folder
        yield
        with self._decision:
            self.check()
            self._publishing = True

    def leave(self) -> None:
        """Ends the process, unless files were being moved to where they belong: that is quick, and all or nothing."""
        with self._decision:
            if self._publishing:
                return
            self.close_display()
            _remove(self._unfinished)
            print(NOTHING_WRITTEN, file=sys.stderr, flush=True)
            os._exit(STOPPED)


def run(work: Callable[[Stop], None]) -> None:
    """Runs `work(stop)`; what it raises is raised here. After Ctrl-C the process ends, unless the work was done."""
    stop, raised, done = Stop(), [], threading.Event()  # Thread.join takes an interrupted wait for the thread's end

    def catching():
        try:
            work(stop)
        except BaseException as error:
            raised.append(error)
        finally:
            done.set()

    try:
        threading.Thread(target=catching, daemon=True).start()
        while not done.wait(0.05):
            pass
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not disturb the clean-up
        stop.requested = True
        if not done.wait(PATIENCE_S):
            stop.leave()
            done.wait()
        if raised and isinstance(raised[0], Cancelled):
            stop.leave()  # Python's own way out takes another second to tear the libraries down
    if raised:
        raise raised[0]


def _remove(folder: Path | None) -> None:
    """Deletes a folder that something may still be writing into."""
    for _ in range(10):
        if folder is None or not folder.exists():
            return
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.02)
