"""A request on its way: what becomes of it, and who wants to know."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from MultiRaterSegLib.errors import Cancelled

if TYPE_CHECKING:
    from .client import WorkerClient

CANCEL_PATIENCE_S = 2.0
CANCELLED = "Cancelled; nothing was changed."


@dataclass(frozen=True)
class Progress:
    """slices: every sample decodes every slice, so 40 slices of 20 samples are 800, and 40 more when the lesion is looked
    at first. seconds_left: None while that cannot be judged."""

    step: str
    share: float
    slices_done: int
    slices_total: int
    seconds_left: float | None


class Pending:
    """Something that was asked for and is not there yet. Callbacks run where the client is pumped."""

    def __init__(self, client: "WorkerClient", done=None, failed=None, progress=None):
        """done, failed, progress: called with the result, the error, a Progress; or None."""
        self.client = client
        self.state: Literal["waiting", "done", "failed", "cancelled"] = "waiting"
        self.result: Any = None
        self.error: Exception | None = None
        self.progress: Progress | None = None
        self._done, self._failed, self._on_progress = done, failed, progress
        self._wanted = True

    @property
    def finished(self) -> bool:
        return self.state != "waiting"

    def cancel(self) -> None:
        """Stops the work; within a second `failed` is called with Cancelled. No effect once finished."""
        if not self.finished and self._wanted:
            self._wanted = False
            self._stop()

    def wait(self, timeout: float | None = None) -> Any:
        """Blocks until it is finished, delivering what arrives; raises what it failed with, or TimeoutError.

        For the console: Ctrl-C cancels it and raises Cancelled.
        """
        try:
            self.client.pump_until(lambda: self.finished, timeout)
        except KeyboardInterrupt:
            self.cancel()
            self.client.pump_until(lambda: self.finished, CANCEL_PATIENCE_S)
            raise Cancelled(CANCELLED) from None
        if not self.finished:
            raise TimeoutError(f"No answer within {timeout} seconds.")
        if self.error is not None:
            raise self.error
        return self.result

    def silence(self) -> None:
        """Nobody is told any more."""
        self._done = self._failed = self._on_progress = None

    def finish(self, result: Any) -> None:
        """It is there, unless it was cancelled in the meantime."""
        if not self._wanted:
            self.fail(Cancelled(CANCELLED))
            return
        self.state, self.result = "done", result
        self._tell(self._done, result)

    def fail(self, error: Exception) -> None:
        """It will not come."""
        self.state, self.error = ("cancelled" if isinstance(error, Cancelled) else "failed"), error
        self._tell(self._failed, error)

    def report(self, progress: Progress) -> None:
        """How far it is."""
        if self._wanted:
            self.progress = progress
            self._tell(self._on_progress, progress)

    def _stop(self) -> None:
        raise NotImplementedError

    @staticmethod
    def _tell(callback: Callable | None, value: Any) -> None:
        if callback is not None:
            callback(value)


class Task(Pending):
    """One request. header: what is sent. read: reply -> result. voxels: what the worker needs when it does not have the
    lesion."""

    def __init__(
        self,
        client: "WorkerClient",
        number: int,
        header: dict,
        read: Callable[[dict, Sequence[np.ndarray]], Any],
        voxels: Sequence[np.ndarray] = (),
        **callbacks,
    ):
        super().__init__(client, **callbacks)
        self.id, self.header, self.read, self.voxels = number, header, read, voxels

    def forget(self) -> None:
        """Cancelled without a word to anybody: a newer request stands for it."""
        self.silence()
        self.cancel()
        self.fail(Cancelled(CANCELLED))

    def _stop(self) -> None:
        self.client.send_cancel(self)
