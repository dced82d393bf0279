"""One run of the worker: the process and the threads that talk to it, so that the caller never waits for a pipe."""

import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import slicer

import MultiRaterSegLib
from MultiRaterSegLib.worker.protocol import BrokenOff, ProtocolError, read_message, write_message

LOG_LINES = 200


class Message(NamedTuple):
    """What a run said, in the order in which it said it."""

    run: "WorkerProcess"
    header: dict
    arrays: Sequence[np.ndarray] = ()


class WorkerProcess:
    """Starts at once, in a thread. Everything it says goes to `inbox`; its end is the last: {"event": "ended"}."""

    def __init__(self, command: Sequence[str], inbox: "queue.SimpleQueue[Message]"):
        self.heard = time.monotonic()
        self.sent_lesions: set[str] = set()  # keys whose voxels this run was given
        self._command, self._inbox = list(command), inbox
        self._outbox: queue.SimpleQueue = queue.SimpleQueue()
        self._errors: deque[str] = deque(maxlen=LOG_LINES)
        self._process: subprocess.Popen | None = None
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._thread(self._run)

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def log(self) -> str:
        """The last lines that it wrote to its standard error."""
        return "".join(self._errors)

    def send(self, header: dict, arrays: Sequence[np.ndarray] = ()) -> None:
        """Returns at once; a thread writes it."""
        self._outbox.put((header, arrays))

    def stop(self) -> None:
        """Ends the process, if it runs. It holds nothing that could be lost. Returns at once."""
        self._stopping.set()
        with self._starting:
            if self._process is not None:
                self._process.kill()
        self._outbox.put(None)

    def _run(self) -> None:
        """Starts it, reads until it ends, and says how it ended."""
        reason = self._start() or self._read()
        self.stop()
        code = self._process.wait() if self._process is not None else None
        self._inbox.put(Message(self, {"event": "ended", "reason": reason, "code": code}))

    def _start(self) -> str:
        """Why it could not be started, or ""."""
        try:
            with self._starting:
                if self._stopping.is_set():
                    return "it was stopped"
                pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
                self._process = subprocess.Popen(self._command, **pipes, env=_environment(), **_APART)
        except OSError as error:
            return f"'{self._command[0]}' could not be started: {error.strerror or error}"
        self.heard = time.monotonic()
        self._thread(self._write)
        self._thread(self._collect_errors)
        return ""

    def _read(self) -> str:
        """Why there is nothing more to read, or "" for a plain end."""
        try:
            while (message := read_message(self._process.stdout)) is not None:
                self.heard = time.monotonic()
                self._inbox.put(Message(self, *message))
        except BrokenOff:
            return ""  # it died while it spoke
        except (ProtocolError, OSError, ValueError) as error:
            return "" if self._stopping.is_set() else f"it said something that cannot be understood ({error})"
        return ""

    def _write(self) -> None:
        with suppress(OSError), self._process.stdin as pipe:  # it may end at any time, as the reading thread will say
            while (message := self._outbox.get()) is not None:
                write_message(pipe, *message)

    def _collect_errors(self) -> None:
        for line in self._process.stderr:
            self._errors.append(line.decode(errors="replace"))

    def _thread(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work, name=f"MultiRaterSeg worker {work.__name__}", daemon=True).start()


def worker_command() -> list[str]:
    """Slicer's own Python (elsewhere this one), told where MultiRaterSegLib lies: a module's folder is not on its path."""
    python = shutil.which("PythonSlicer") or sys.executable
    library = str(Path(MultiRaterSegLib.__file__).resolve().parents[1])
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from MultiRaterSegLib.worker.__main__ import main; main()"
    return [python, "-c", code, library]


def _environment() -> dict[str, str] | None:
    """Without what Slicer's launcher added for Slicer itself: PythonSlicer adds it again. None: as it is."""
    application = getattr(slicer, "app", None)
    return slicer.util.startupEnvironment() if hasattr(application, "startupEnvironment") else None


_APART = (
    {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
    if os.name == "nt"
    else {"start_new_session": True}
)
"""No console window on Windows; Ctrl-C in Slicer's terminal is not for the worker."""
