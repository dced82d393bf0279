"""How long the GUI's event loop stood still: a timer beats inside the loop, and the longest gap between beats is kept.

Time in which the machine was busy with other processes does not count (Linux tells how long a thread that was ready had
to wait for a core), so that a test on a loaded machine judges the panel, not the machine.
"""

import faulthandler
import tempfile
import threading
import time
from pathlib import Path

from PySide6 import QtCore

BEAT_S = 0.005


class Heartbeat:
    """Use as a context manager around work that runs inside event loops.

    longest_block: seconds. busiest_turn: the most processor time of the GUI thread between two beats, seconds; unlike the
    former it hardly depends on what else the machine does. blocked_in: what the GUI thread was doing `limit` seconds into
    the first block longer than that.
    """

    def __init__(self, limit: float = 0.2):
        self.limit = limit
        self.longest_block = self.busiest_turn = 0.0
        self.beats = 0
        self._last = None
        self._timer = QtCore.QTimer()
        self._timer.setTimerType(QtCore.Qt.TimerType.PreciseTimer)
        self._timer.setInterval(round(1000 * BEAT_S))
        self._timer.timeout.connect(self._beat)
        self._stack = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed with this object

    def __enter__(self) -> "Heartbeat":
        self._timer.start()
        return self

    def __exit__(self, *_) -> None:
        self._timer.stop()
        faulthandler.cancel_dump_traceback_later()

    def loop_started(self) -> None:
        """Time from here on counts; what a test does outside the loop does not."""
        self._last = _now()
        self._watch()

    def loop_ended(self) -> None:
        """The last stretch counts too."""
        if self._last is not None:
            self._count()
            self._last = None
            faulthandler.cancel_dump_traceback_later()

    @property
    def blocked_in(self) -> str:
        self._stack.seek(0)
        return self._stack.read()

    def __str__(self) -> str:
        where = f", in\n{self.blocked_in}" if self.longest_block > self.limit else ""
        return f"the event loop stood still for {self.longest_block:.3f} s at most, {self.beats} beats{where}"

    def _beat(self) -> None:
        self.beats += 1
        if self._last is not None:
            self._count()
            self._last = _now()
            self._watch()

    def _count(self) -> None:
        wall, waited, used = (now - before for now, before in zip(_now(), self._last, strict=True))
        self.longest_block = max(self.longest_block, wall - waited - BEAT_S)
        self.busiest_turn = max(self.busiest_turn, used)

    def _watch(self) -> None:
        if self.longest_block <= self.limit:  # the first block is enough
            faulthandler.dump_traceback_later(self.limit, file=self._stack)


def _now() -> tuple[float, float, float]:
    """Wall time, the time that this thread has waited for a core so far (0 where the system does not tell), and its
    processor time, s."""
    statistics = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
    try:
        waited = int(statistics.read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        waited = 0.0
    return time.perf_counter(), waited, time.thread_time()
