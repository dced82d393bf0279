"""The panel's neighbours without a process and without widgets: answers come when the test says so."""

from types import SimpleNamespace

from MultiRaterSegSlicer.worker.client import Event
from MultiRaterSegSlicer.worker.remote_lesion import Preview, Understood
from MultiRaterSegSlicer.worker.task import Progress
from scene_cases import EXPERTS

from MultiRaterSegLib.errors import Cancelled, WorkerError
from MultiRaterSegLib.expert import Expert
from MultiRaterSegLib.knobs import OWN

STYLE_TITLES = ("Conservative (smallest)", "Fairly conservative", "Fairly inclusive", "Inclusive (largest)")


def model(name="prosona_compact", follows_prompts=True, knobs=OWN, most_steps=None):
    """What a worker says of a model."""
    experts = tuple(Expert(name, title, "nodule_volume") for name, title in zip(EXPERTS, STYLE_TITLES))
    return SimpleNamespace(
        name=name,
        title=name.title(),
        trained_for="balls in CT",
        modality="CT",
        follows_prompts=follows_prompts,
        knobs=knobs,
        most_steps=most_steps,
        experts=experts,
        labels=("background", "nodule"),
        info={"trained_for": "balls in CT", "modality": "CT"},
    )


class FakeTask:
    """One request: `finish` and `fail` are what the worker would do."""

    def __init__(self, asked, done=None, failed=None, progress=None):
        self.asked, self._done, self._failed, self._progress = asked, done, failed, progress
        self.finished = False

    def finish(self, result) -> None:
        self.finished = True
        self._done(result)

    def fail(self, error: Exception) -> None:
        if not self.finished:
            self.finished = True
            self._failed(error)

    def report(self, done: int, total: int, seconds_left: float | None = None) -> None:
        self._progress(Progress("Outlining", done / total, done, total, seconds_left))

    def cancel(self) -> None:
        self.fail(Cancelled("Cancelled; nothing was changed."))


class FakeRemote:
    """A lesion at the worker; `tasks` are all requests, newest last."""

    def __init__(self, logic, scan_grid, part, model, knobs):
        self.logic, self.model, self.knobs = logic, model, knobs
        self.region, self.part, self.across = SimpleNamespace(scan=scan_grid), part, 2

    def consensus(self, samples, **callbacks):
        return self._ask(("consensus", samples), callbacks)

    def style(self, style, samples, **callbacks):
        return self._ask((style, samples), callbacks)

    def preview(self, style, slice_index, **callbacks):
        task = FakeTask((style, slice_index), **callbacks)
        self.logic.previews.append(task)
        self.logic.knobs_asked.append(self.knobs)
        return task

    def slice_at(self, ras):
        return 3

    def _ask(self, asked, callbacks):
        task = FakeTask(asked, **callbacks)
        self.logic.tasks.append(task)
        self.logic.asked_of.append(self.model.name)
        self.logic.knobs_asked.append(self.knobs)
        return task


class FakeLogic:
    """MultiRaterSegLogic for one case. warning: what it says of every scan. fast: whether previews follow the slider; slow:
    with these knobs they do not. knobs_asked: of each request, previews too."""

    def __init__(self, case, models=(), warning="", fast=True):
        self.case, self.models, self.warning, self.fast = case, models or (model(),), warning, fast
        self.tasks, self.asked_of, self.previews, self.error = [], [], [], None
        self.knobs_asked, self.slow = [], set()
        self.client = SimpleNamespace(state="stopped", hello=None, message="", missing="", on_event=None)
        self.client.restart = self.restart
        self.restarts = 0
        self.closed = False

    def start(self) -> None:
        if self.client.state == "stopped":
            self.client.state = "starting"

    def restart(self) -> None:
        self.restarts += 1
        self.client.state = "starting"

    def pump(self) -> int:
        return 0

    def close(self) -> None:
        self.closed = True

    def lesion(self, scan, place, model, seed, knobs):
        if self.error is not None:
            raise self.error
        return FakeRemote(self, self.case.grid, self.case.part, model, knobs)

    def unsuitable(self, scan, model) -> str:
        return self.warning

    def previews_while_dragging(self, model, knobs) -> bool:
        return self.fast and knobs not in self.slow

    def understand(self, sentence, model, done, failed) -> None:
        known = "halo" in sentence
        unknown = tuple(word for word in sentence.split() if word == "crispy")
        problem = "" if known else "It says nothing about an outline."
        summary = "halo +" if known else ""
        notes = tuple(f"A guess: '{word}' is not known here." for word in unknown)
        done(Understood(sentence, summary, notes, unknown, ("tighter", "include halo"), problem))

    def become_ready(self) -> None:
        facts = {"device": "cpu", "torch": "2.0", "default_model": self.models[0].name}
        self.client.hello = SimpleNamespace(models=self.models, **facts)
        self.client.state, self.client.message, self.client.missing = "ready", "", ""
        self.client.on_event(Event("ready"))

    def crash(self) -> None:
        """As the real client: what waits fails first, then the event comes."""
        sentence = "The computing process ended unexpectedly. The scene was not changed. Restart it and try again."
        self.client.state, self.client.message = "crashed", sentence
        for task in self.tasks:
            task.fail(WorkerError(sentence, "Killed"))
        self.client.on_event(Event("crashed", sentence, "Killed"))

    def lack(self, package: str) -> None:
        self.client.state, self.client.missing = "failed", package
        self.client.message = f"{package} is not installed."
        self.client.on_event(Event("failed", self.client.message))

    def preview_of(self, mask, grid, seconds: float = 0.05) -> Preview:
        return Preview(mask, grid, 3, "preview", seconds, seconds + 0.01)


class FakeWindow:
    """Remembers what it was told to show."""

    def __init__(self):
        self.state = self.busy = self.edited = self.table = None
        self.installs = 0

    def show(self, state) -> None:
        self.state = state

    def show_busy(self, busy) -> None:
        self.busy = busy

    def open_editor(self, node) -> None:
        self.edited = node

    def show_table(self, node) -> None:
        self.table = node

    def install(self) -> None:
        self.installs += 1
