"""One request while it is worked on: whether it is still wanted, and how far it is."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import Cancelled

if TYPE_CHECKING:
    from ..predictor import Progress

REPORT_EVERY_S = 0.1


class Job:
    """header, arrays: as they arrived. send: puts a header on the pipe."""

    def __init__(self, header: dict, arrays: Sequence[np.ndarray], send: Callable[[dict], None]):
        self.header, self.arrays, self._send = header, arrays, send
        self.cancelled = threading.Event()
        self._reported = 0.0

    @property
    def id(self) -> int:
        return self.header["id"]

    def check(self) -> None:
        """Raises Cancelled once nobody wants the answer any more."""
        if self.cancelled.is_set():
            raise Cancelled("Cancelled; nothing was changed.")

    def step(self, name: str, slices: int, before: int, after: int = 0) -> "Progress":
        """A callback for the share done of one step. slices: what the step works through; before, after: what the other
        steps do. The time left is judged by this step alone."""
        begun = time.monotonic()
        total = before + slices + after

        def report(share: float) -> bool:
            now = time.monotonic()
            if share >= 1 or now - self._reported >= REPORT_EVERY_S:
                self._reported = now
                left = (now - begun) * (1 - share) / share if share and not after else None
                done = before + round(share * slices)
                self._send(
                    {
                        "id": self.id,
                        "progress": {
                            "step": name,
                            "share": done / total,
                            "slices_done": done,
                            "slices_total": total,
                            "seconds_left": left,
                        },
                    }
                )
            return not self.cancelled.is_set()

        return report
