"""kill -9 at random moments of a workflow at the panel: a clear message, a scene without damage, and the same end result.

The moments are drawn from a seed, as a share of what each step took when nothing was killed; whatever the machine does
meanwhile only moves them elsewhere, and what is checked holds at any moment.
"""

import os
import random
import re
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
import quick_worker
import slicer
import vtk
from MultiRaterSegSlicer import examples
from MultiRaterSegSlicer.worker import client as worker_client
from scene_cases import everything_in, hierarchy_of

KILLS = 20
UID = "(?<='uid', ')[0-9a-f]+"  # of a lesion, another one each time
SAMPLES = 60  # of the quick worker: a step takes about as long as one of the real worker on an idle machine


@dataclass
class Step:
    """Something that a person does again after the worker was lost. done: whether it has become of it what should."""

    name: str
    do: Callable[[], None]
    done: Callable[[], bool]
    seconds: float = 0.0  # it took, undisturbed
    after: list = field(default_factory=list)  # what the scene held then


class Journey:
    """One person on the way from a point to two kept previews, with some bad luck."""

    def __init__(self, bridge, samples: int):
        from person import Person  # needs the bridge's qt

        self.bridge, self.samples = bridge, samples
        self.person = Person(bridge, bridge.load("MultiRaterSeg"))
        self.person.wait(lambda: self.person.panel.session.models)

    def begin(self) -> None:
        """A new scene with the scan and a point; nothing is computed yet."""
        person, bridge = self.person, self.bridge
        bridge.close_scene()
        person.choose(examples.load_sample_data())
        node = bridge.host.scene.GetFirstNodeByName(examples.LESION)
        bridge.do(lambda: person.panel.set_compute_on_place(False))
        person.ask_for(self.samples)
        person.place(node.GetNthControlPointPositionWorld(0))

    @property
    def steps(self) -> list[Step]:
        person, panel = self.person, self.person.panel
        first, last = panel.session.model.experts[0].name, panel.session.model.experts[-1].name
        kept = [lambda name=name: name in person.rows for name in (f"{first} to {last}, 0.8", "include the halo")]

        def outline(name: str) -> Step:
            return Step(name, lambda: self.bridge.do(lambda: panel.tick_row(name, True)), lambda: name in person.rows)

        def preview(name: str, ask: Callable[[], None]) -> Step:
            return Step(name, ask, lambda: panel.steer.state.can_keep)

        def keep(name: str, is_kept: Callable[[], bool]) -> Step:
            return Step(name, lambda: is_kept() or person.press("keepButton"), is_kept)

        return [
            Step("start", lambda: person.press("restartButton"), lambda: person.client.state == "ready"),
            Step("consensus", lambda: person.press("computeButton"), lambda: "consensus" in person.rows),
            outline(first),
            outline(last),
            preview("slider", self.slide),
            keep("keep what the slider shows", kept[0]),
            preview("sentence", lambda: person.say("include the halo")),
            keep("keep what the sentence shows", kept[1]),
        ]

    def slide(self) -> None:
        self.person.slide(20)
        self.person.slide(80)

    def undisturbed(self) -> list[Step]:
        """The whole way; what each step took, and left."""
        self.begin()
        steps = self.steps
        for step in steps:
            begun = time.perf_counter()
            step.do()
            self.person.wait(lambda step=step: step.done() and not self.person.panel.jobs.busy)
            step.seconds, step.after = time.perf_counter() - begun, self.content()
        return steps

    def disturbed(self, reference: list[Step], kills: dict[str, list[float]]) -> list[str]:
        """The same with the worker killed: moments by step, each a share of its time. Returns the messages."""
        self.begin()
        messages = []
        for step, model in zip(self.steps, reference, strict=True):
            before = self.content()
            for moment in kills.get(step.name, ()):
                messages.append(self.lose_worker(step, moment * model.seconds))
                assert self.content() in (before, model.after), step.name
                self.restart()
            if not step.done():
                step.do()
                self.person.wait(step.done)
            self.person.wait(lambda: not self.person.panel.jobs.busy)
            assert self.content() == model.after, step.name
        return messages

    def lose_worker(self, step: Step, after_s: float) -> str:
        """Does the step, and kills meanwhile or soon after. Returns what the panel says; "" when the step was asked for so
        soon after that it started another worker by itself."""
        killer = threading.Timer(after_s, self.kill)
        killer.start()
        step.do()
        self.person.wait(lambda: not killer.is_alive() and (self.is_lost or (self.is_replaced and step.done())))
        ui = self.person.ui
        if not self.is_lost:
            return ""
        assert ui.messageFrame.visible
        assert ui.messageFirstButton.text == "Restart"
        assert not self.person.panel.jobs.busy
        assert not ui.busyFrame.visible
        return ui.messageLabel.text

    @property
    def is_lost(self) -> bool:
        return self.person.client.state in ("crashed", "failed")

    @property
    def is_replaced(self) -> bool:
        return self.person.client.pid not in (None, self.killed)

    def kill(self) -> None:
        """In a thread of its own, so that nothing has to be ready for it."""
        client, self.killed = self.person.client, None
        while self.killed is None or self.killed != client.pid:  # one that was just replaced does not count
            self.killed = client.pid
            if self.killed is not None:
                with suppress(ProcessLookupError):
                    os.kill(self.killed, signal.SIGKILL)
            else:
                time.sleep(0.001)  # it starts

    def restart(self) -> None:
        if self.is_lost:
            self.person.press("messageFirstButton")
        self.person.wait(lambda: self.person.client.state == "ready")
        assert not self.person.ui.messageFrame.visible, self.person.ui.messageLabel.text

    def content(self) -> list:
        """What a person would miss, whatever its ids are. Neither the settings nor the preview, which is not kept."""
        scene = slicer.mrmlScene
        but = [self.person.panel.session.parameters.node]
        but += [
            scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes()) if not scene.GetNthNode(n).GetSaveWithScene()
        ]
        found = [re.sub(UID, "", repr(content)) for content in everything_in(scene, but).values()]
        return sorted(found) + self.folders()

    def folders(self) -> list[str]:
        hierarchy, items = hierarchy_of(slicer.mrmlScene), []
        children = vtk.vtkIdList()
        hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), children, True)
        for n in range(children.GetNumberOfIds()):
            item = children.GetId(n)
            node = hierarchy.GetItemDataNode(item)
            if node is None or node.GetSaveWithScene():
                items.append((hierarchy.GetItemLevel(item), hierarchy.GetItemName(item)))
        return items


def moments(seed: int, count: int, steps: list[Step]) -> dict[str, list[float]]:
    """Kills by step, each as a share of the step's time, some after its end."""
    chance = random.Random(seed)
    found: dict[str, list[float]] = {}
    for step in chance.choices(steps, k=count):
        found.setdefault(step.name, []).append(1.2 * chance.random())
    return found


def survive(bridge, samples: int, kills: int) -> None:
    journey = Journey(bridge, samples)
    reference = journey.undisturbed()
    assert len(reference[-1].after) > 20
    messages = journey.disturbed(reference, moments(7, kills, reference))
    said = [message for message in messages if message]
    assert len(messages) == kills
    assert len(said) > kills / 2
    for message in said:
        assert message.startswith("The computing process ended unexpectedly (it was ended by signal 9)."), message
        assert message.endswith("The scene was not changed. Restart it and try again.")


def test_a_worker_that_falls_silent_is_said_and_can_be_replaced(bridge, monkeypatch):
    monkeypatch.setattr(worker_client, "worker_command", quick_worker.command)
    journey = Journey(bridge, samples=2)
    journey.begin()
    person, ui = journey.person, journey.person.ui
    person.press("computeButton")
    person.wait_for("consensus")
    before = journey.content()
    person.client.patience_s = 1.5
    person.say("freeze")
    person.wait(lambda: person.client.state == "not responding")
    assert re.fullmatch(
        r"The computing process has not answered for \d+ seconds\. Wait, or restart it\.", ui.messageLabel.text
    )
    assert journey.content() == before
    person.press("messageFirstButton")
    person.client.patience_s = 60.0
    person.wait(lambda: person.client.state == "ready")
    person.press("computeButton")
    person.wait_for("consensus")
    assert journey.content() == before


def test_killed_at_20_random_moments_nothing_is_lost(bridge, monkeypatch):
    """A worker without torch, because 20 new starts of the real one take a minute or more."""
    monkeypatch.setattr(worker_client, "worker_command", quick_worker.command)
    survive(bridge, SAMPLES, KILLS)


@pytest.mark.slow
def test_the_real_worker_killed_at_20_random_moments_loses_nothing(bridge):
    survive(bridge, 10, KILLS)
