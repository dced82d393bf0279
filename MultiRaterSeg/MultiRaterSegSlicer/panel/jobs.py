"""What the panel lets the worker compute: one outline after the other, each cancellable."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from MultiRaterSegLib.asked_style import AskedStyle, name_of
from MultiRaterSegLib.errors import Cancelled, MultiRaterSegError, WorkerError
from MultiRaterSegLib.knobs import Knobs

from ..i18n import _
from ..scene.lesions import Model, SceneLesion
from .session import Session
from .state import Busy
from .words import progress_words


@dataclass(eq=False)
class Job:
    """One outline of a lesion. model, knobs: whom to ask, and how it draws. deliver: gets the prediction; the default puts
    it into the scene."""

    lesion: SceneLesion
    style: AskedStyle
    title: str
    model: object
    knobs: Knobs
    deliver: Callable | None = None
    task: object = None

    @property
    def name(self) -> str:
        return name_of(self.style)


class Jobs:
    """A queue with one job at a time at the worker. `on_busy` hears of progress, None when there is nothing to do."""

    def __init__(self, session: Session, on_busy: Callable[[Busy | None], None]):
        self.session, self._on_busy = session, on_busy
        self._queue: deque[Job] = deque()
        self._running: Job | None = None

    @property
    def busy(self) -> bool:
        return self._running is not None

    def asked(self, lesion: SceneLesion) -> set[str]:
        """Names of the outlines of a lesion that are under way."""
        jobs = [*self._queue, *([self._running] if self._running else [])]
        return {job.name for job in jobs if job.lesion.label == lesion.label and job.deliver is None}

    def ask(self, job: Job) -> None:
        self._queue.append(job)
        if not self.busy:
            self._next()
        self.session.changed()

    def cancel(self) -> None:
        """Everything that was asked for; what has arrived already stays."""
        self._queue.clear()
        if self._running is not None:
            self._running.task.cancel()

    def drop(self, job: Job) -> None:
        """One job that nobody waits for any more; the others go on."""
        if job in self._queue:
            self._queue.remove(job)
        elif job is self._running and job.task is not None:
            job.task.cancel()

    def forget(self) -> None:
        """The scene is gone: nothing that arrives later may touch it."""
        running, self._running = self._running, None
        self._queue.clear()
        if running is not None:
            running.task.cancel()
        self._on_busy(None)

    def _next(self) -> None:
        while self._queue and not self.busy:
            job = self._running = self._queue.popleft()
            try:
                job.task = self._send(job)
            except MultiRaterSegError as error:
                self._queue.clear()
                self._running = None
                self.session.fail(error)
        if not self.busy:
            self._on_busy(None)

    def _send(self, job: Job):
        self._on_busy(Busy(job.title))
        remote = self.session.remote(job.lesion, job.model, job.knobs)
        samples = self.session.parameters.samples
        calls = {
            "done": lambda prediction: self._done(job, prediction),
            "failed": lambda error: self._failed(job, error),
            "progress": lambda progress: self._progress(job, progress),
        }
        if job.style is None:
            return remote.consensus(samples, **calls)
        return remote.style(job.style, samples, **calls)

    def _progress(self, job: Job, progress) -> None:
        if job is self._running:
            self._on_busy(Busy(progress_words(job.title, progress), round(100 * progress.share)))

    def _done(self, job: Job, prediction) -> None:
        if job is not self._running:
            return
        self._running = None
        try:
            if job.deliver is not None:
                job.deliver(prediction)
            else:
                job.lesion.add(job.name, prediction, Model.of(job.model))
        except MultiRaterSegError as error:
            self.session.fail(error)
        self._next()
        self.session.changed()

    def _failed(self, job: Job, error: Exception) -> None:
        if job is not self._running:
            return
        self._running = None
        if isinstance(error, Cancelled):
            if job.deliver is None:  # a dropped preview is no news
                self._queue.clear()
                self.session.say(_("Cancelled. {title} was not added.").format(title=job.title))
        else:
            self._queue.clear()
            # The worker's end is told by its event, which offers to restart it.
            if not isinstance(error, WorkerError) or self.session.message is None:
                self.session.fail(error)
        self._next()
        self.session.changed()
