"""The worker as the rest of Slicer's process sees it: requests that return at once, and answers on the caller's thread.

No Qt and no torch. All calls come from one thread; callbacks run inside `pump()`, on that thread.
"""

import atexit
import itertools
import queue
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from MultiRaterSegLib import errors
from MultiRaterSegLib.errors import Cancelled, MultiRaterSegError, WorkerError
from MultiRaterSegLib.knobs import Knobs
from MultiRaterSegLib.worker.model_info import ModelInfo
from MultiRaterSegLib.worker.protocol import VERSION

from .process import Message, WorkerProcess, worker_command
from .remote_lesion import Understood
from .task import CANCELLED, Progress, Task

POLL_S = 0.05
ENDED = "The computing process ended unexpectedly ({reason}). The scene was not changed. Restart it and try again."
SILENT = "The computing process has not answered for {seconds:.0f} seconds. Wait, or restart it."
OTHER_VERSION = (
    "The computing process speaks version {theirs} of the protocol; this module speaks {ours}. Install again."
)


@dataclass(frozen=True)
class Hello:
    """What the worker said when it was ready. device: "cpu", "cuda". unusable: why a model cannot be used, by name."""

    version: str
    torch: str
    device: str
    python: str
    models: tuple[ModelInfo, ...]
    default_model: str
    unusable: dict[str, str]

    def model(self, name: str | None) -> ModelInfo:
        """By name; None: the default one. Raises CheckpointError."""
        wanted = name or self.default_model
        for model in self.models:
            if model.name == wanted:
                return model
        known = ", ".join(model.name for model in self.models) or "none"
        why = self.unusable.get(wanted, f"There is no model '{wanted}'.")
        raise errors.CheckpointError(f"{why} Models that can be used: {known}.")


@dataclass(frozen=True)
class Event:
    """kind: "starting", "ready", "failed" (could not start), "not responding", "responding", "crashed". message: a
    sentence for the person. log: for whoever looks into it."""

    kind: str
    message: str = ""
    log: str = ""


class WorkerClient:
    """Starts the worker when it is first needed, and again after it was lost."""

    def __init__(
        self,
        command: Sequence[str] | None = None,
        on_event: Callable[[Event], None] | None = None,
        patience_s: float = 10.0,
    ):
        """command: how to start the worker; None: `worker_command()`. patience_s: silence after which it counts as not
        responding (it says twice a second that it is alive, also while it computes)."""
        self.on_event, self.patience_s = on_event, patience_s
        self.hello: Hello | None = None
        self.message, self.missing, self.log = "", "", ""
        self.preview_seconds: dict[
            tuple[str, Knobs], float
        ] = {}  # what decoding the last preview took, by model and knobs
        self._command = command
        self._state = self._state_before_silence = "stopped"
        self._run: WorkerProcess | None = None
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._tasks: dict[int, Task] = {}
        self._numbers = itertools.count(1)
        self._superseding: dict[str, Task] = {}

    @property
    def state(self) -> str:
        """ "stopped", "starting", "ready", "busy", "not responding", "crashed" or "failed" (it could not start)."""
        return "busy" if self._state == "ready" and self._tasks else self._state

    @property
    def pid(self) -> int | None:
        return None if self._run is None else self._run.pid

    # -- the process ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the process, unless it runs. Returns at once; the event "ready" follows within seconds."""
        if self._run is None:
            self.message, self.missing, self.log = "", "", ""
            self._run = WorkerProcess(self._command or worker_command(), self._inbox)
            atexit.register(self._run.stop)
            self._enter("starting")

    def restart(self) -> None:
        """Ends the process and starts another; what was asked of it fails. Lesions are sent again when next used."""
        self._end()
        self._fail_all(WorkerError("The computing process was restarted. Ask again."))
        self.start()

    def close(self) -> None:
        """Ends the process. What was asked of it is forgotten; nobody is told."""
        self._end()
        for task in self._tasks.values():
            task.silence()
        self._fail_all(Cancelled(CANCELLED))
        self._state = "stopped"

    def wait_until_ready(self) -> None:
        """Starts it if need be and blocks until it is ready. Raises WorkerError when that fails."""
        self.start()
        self.pump_until(lambda: self._state not in ("starting", "not responding"))
        if self._state != "ready":
            raise WorkerError(self.message, self.log)

    def model(self, name: str | None = None) -> ModelInfo:
        """By name; None: the default one. Raises CheckpointError, and WorkerError while the models are not known."""
        if self.hello is None:
            raise WorkerError("The computing process is not ready yet, so its models are not known. Wait a moment.")
        return self.hello.model(name)

    # -- requests ---------------------------------------------------------------------------------------------------

    def understand(self, sentence: str, model: str | None = None, done=None, failed=None) -> Task:
        """How a model reads a sentence: an Understood. Answered at once, also while the worker computes."""
        default = self.hello.default_model if self.hello else None
        header = {"op": "understand", "sentence": sentence, "model": model or default}
        return self.request(header, lambda reply, _: Understood.of(sentence, reply), done=done, failed=failed)

    def request(
        self,
        header: dict,
        read: Callable[[dict, Sequence[np.ndarray]], Any],
        voxels: Sequence[np.ndarray] = (),
        *,
        done=None,
        failed=None,
        progress=None,
        supersedes: str = "",
    ) -> Task:
        """Sends a request. voxels: of header["lesion"], sent along where the worker does not have them. supersedes: a
        kind of request of which only the newest counts."""
        self.start()
        callbacks = {"done": done, "failed": failed, "progress": progress}
        task = Task(self, next(self._numbers), header, read, voxels, **callbacks)
        if supersedes:
            if supersedes in self._superseding and not self._superseding[supersedes].finished:
                self._superseding[supersedes].forget()
            self._superseding[supersedes] = task
        self._tasks[task.id] = task
        self._send(task)
        return task

    def send_cancel(self, task: Task) -> None:
        """For Task."""
        if self._run is not None:
            self._run.send({"id": task.id, "op": "cancel"})

    def _send(self, task: Task) -> None:
        key = task.header.get("lesion", {}).get("key")
        known = key is None or key in self._run.sent_lesions
        self._run.send({"id": task.id, **task.header}, () if known else task.voxels)
        if key is not None:
            self._run.sent_lesions.add(key)

    # -- answers ----------------------------------------------------------------------------------------------------

    def pump(self) -> int:
        """Delivers what has arrived: calls back, here and now. Returns how many messages that were; never waits."""
        count = 0
        while not self._inbox.empty():
            self._receive(self._inbox.get())
            count += 1
        self._listen_for_life()
        return count

    def pump_until(self, finished: Callable[[], bool], timeout: float | None = None) -> None:
        """Waits, delivering what arrives, until `finished()` or for so many seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while not finished() and (end is None or time.monotonic() < end):
            try:
                self._receive(self._inbox.get(timeout=POLL_S))
            except queue.Empty:
                self._listen_for_life()

    def _receive(self, message: Message) -> None:
        run, header, arrays = message
        if run is not self._run:
            return  # of a process that was replaced
        if "event" in header:
            self._happened(header)
        elif "progress" in header:
            if task := self._tasks.get(header["id"]):
                task.report(Progress(**header["progress"]))
        elif task := self._tasks.get(header.get("id")):
            self._answered(task, header, arrays)

    def _answered(self, task: Task, header: dict, arrays: Sequence[np.ndarray]) -> None:
        if header.get("need") == "voxels" and not task.finished:
            self._run.sent_lesions.discard(task.header["lesion"]["key"])
            self._send(task)
            return
        del self._tasks[task.id]
        if task.finished:
            return
        if "error" in header:
            task.fail(_error(header["error"]))
        else:
            task.finish(task.read(header, arrays))

    def _happened(self, header: dict) -> None:
        kind = header["event"]
        if kind == "hello":
            self._greeted(header)
        elif kind == "starting" and header["protocol"] != VERSION:
            self._lost("failed", OTHER_VERSION.format(theirs=header["protocol"], ours=VERSION), self._run.log)
        elif kind == "failed":
            self.missing = header["missing"]
            self._lost("failed", header["message"], header["log"])
        elif kind == "ended":
            reason = header["reason"] or _how_it_ended(header["code"])
            self._lost("failed" if self.state == "starting" else "crashed", ENDED.format(reason=reason), self._run.log)

    def _greeted(self, header: dict) -> None:
        facts = {name: header[name] for name in ("version", "torch", "device", "python", "default_model", "unusable")}
        self.hello = Hello(models=tuple(ModelInfo.from_json(model) for model in header["models"]), **facts)
        self._enter("ready")

    def _listen_for_life(self) -> None:
        if self._run is None:
            return
        silence = time.monotonic() - self._run.heard
        if silence > self.patience_s and self._state in ("starting", "ready"):
            self._state_before_silence = self._state
            self._enter("not responding", SILENT.format(seconds=silence))
        elif silence <= self.patience_s and self._state == "not responding":
            self._state, self.message = self._state_before_silence, ""
            self._say(Event("responding"))

    def _lost(self, state: str, message: str, log: str) -> None:
        """The process is gone, or of no use."""
        self._end()
        self._fail_all(WorkerError(message, log))
        self._enter(state, message, log)

    def _end(self) -> None:
        if self._run is not None:
            self._run.stop()
            atexit.unregister(self._run.stop)
            self._run = None

    def _fail_all(self, error: MultiRaterSegError) -> None:
        waiting, self._tasks = [task for task in self._tasks.values() if not task.finished], {}
        for task in waiting:
            task.fail(error)

    def _enter(self, state: str, message: str = "", log: str = "") -> None:
        self._state, self.message, self.log = state, message, log
        self._say(Event(state, message, log))

    def _say(self, event: Event) -> None:
        if self.on_event is not None:
            self.on_event(event)


def _error(described: dict) -> MultiRaterSegError:
    """The library's error that the worker met."""
    if described["kind"] == "WorkerError":
        return WorkerError(described["message"], described["log"])
    return getattr(errors, described["kind"])(described["message"])


def _how_it_ended(code: int | None) -> str:
    return f"it was ended by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
