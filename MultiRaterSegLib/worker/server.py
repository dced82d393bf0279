"""The worker's threads: one listens, one shows that it is alive, and the first one works."""

import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from ..errors import MultiRaterSegError
from .job import Job
from .protocol import VERSION, ProtocolError, read_message, write_message

if TYPE_CHECKING:
    from .session import Session

HEARTBEAT_S = 0.5
BUG = "Something went wrong inside the worker; the scene was not changed. Please report it with the details."


class Server:
    """source, sink: the pipe's two ends."""

    def __init__(self, source: BinaryIO, sink: BinaryIO):
        self._source, self._sink = source, sink
        self._writing = threading.Lock()
        self._jobs: dict[int, Job] = {}
        self._waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._session: Session | None = None

    def run(self, start: "Callable[[], Session]") -> None:
        """Answers requests until the pipe is closed. start: imports torch and makes the session; it may take seconds,
        and may fail where something is not installed."""
        self.send({"event": "starting", "protocol": VERSION, "pid": os.getpid()})
        for work in (self._beat, self._listen):
            threading.Thread(target=work, daemon=True).start()
        try:
            self._session = start()
        except Exception as error:
            self.send({"event": "failed", **_why_not(error), "log": traceback.format_exc()})
            raise SystemExit(1) from None
        self.send({"event": "hello", **self._session.hello()})
        while True:
            job = self._waiting.get()
            self._reply(job.id, lambda job=job: self._session.answer(job))
            del self._jobs[job.id]

    def send(self, header: dict, arrays: Sequence[np.ndarray] = ()) -> None:
        with self._writing:
            try:
                write_message(self._sink, header, arrays)
            except (BrokenPipeError, OSError):
                os._exit(0)  # nobody is left to answer

    def _beat(self) -> None:
        while True:
            time.sleep(HEARTBEAT_S)
            self.send({"event": "alive"})

    def _listen(self) -> None:
        """Ends the process with the pipe, also while the first thread computes: whoever asked is gone."""
        try:
            while (message := read_message(self._source)) is not None:
                self._take(*message)
            os._exit(0)
        except ProtocolError as error:
            print(error, file=sys.stderr, flush=True)
        except BaseException:
            traceback.print_exc()
        os._exit(2)

    def _take(self, header: dict, arrays: list[np.ndarray]) -> None:
        number = header.get("id")
        if not isinstance(number, int):
            raise ProtocolError(f"A request needs a number 'id'; got {number!r}.")
        if header.get("op") == "cancel":
            if job := self._jobs.get(number):
                job.cancelled.set()
        elif self._session is not None and header.get("op") in self._session.immediate:
            self._reply(number, lambda: self._session.immediate[header["op"]](header))
        else:
            self._jobs[number] = job = Job(header, arrays, self.send)
            self._waiting.put(job)

    def _reply(self, number: int, work: Callable[[], tuple[dict, Sequence[np.ndarray]]]) -> None:
        try:
            header, arrays = work()
        except MultiRaterSegError as error:
            header, arrays = {"error": {"kind": type(error).__name__, "message": str(error), "log": ""}}, ()
        except Exception:
            log = traceback.format_exc()
            header, arrays = {"error": {"kind": "WorkerError", "message": BUG, "log": log}}, ()
        self.send({"id": number, **header}, arrays)


def _why_not(error: Exception) -> dict:
    """What a person can do about a worker that cannot start; missing: the package to install, or ""."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.split(".")[0]
        return {"message": f"The Python package '{package}' is not installed. Install it first.", "missing": package}
    if isinstance(error, MultiRaterSegError):
        return {"message": str(error), "missing": ""}
    return {"message": f"The worker could not start: {error}", "missing": ""}
