"""What Slicer's process sees of the worker: it never waits, and nothing that happens to the worker harms it."""

import os
import random
import signal
import sys
import time

import numpy as np
import pytest
import quick_worker
from MultiRaterSegSlicer.worker.client import WorkerClient
from MultiRaterSegSlicer.worker.remote_lesion import RemoteLesion
from threshold_model import blob

from MultiRaterSegLib.errors import Cancelled, CheckpointError, UnsupportedRequest, WorkerError
from MultiRaterSegLib.knobs import OWN
from MultiRaterSegLib.region import Place, Region

LONG = 60.0  # seconds no answer of the quick worker takes, however busy the machine is


class Events(list):
    def __call__(self, event):
        self.append(event)

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self]


@pytest.fixture
def client():
    client = WorkerClient(quick_worker.command(), Events())
    yield client
    client.close()


def lesion(client, offset=0.0, seed=0):
    client.wait_until_ready()
    volume = blob()
    region = Region.around(Place.of(volume.grid, volume.grid.center + offset), volume.grid, quick_worker.FRAME)
    part = type(volume)(np.ascontiguousarray(region.cut(volume)), region.window, "CT", "blob")
    return RemoteLesion(client, part, region, client.model(), seed)


def until(client, condition):
    client.pump_until(condition, LONG)
    assert condition()


# -- starting ---------------------------------------------------------------------------------------------------------


def test_starting_returns_at_once_and_says_when_it_is_ready(client):
    assert client.state == "stopped"
    client.start()
    assert client.state == "starting"
    until(client, lambda: client.state == "ready")
    assert client.on_event.kinds == ["starting", "ready"]
    assert client.hello.models[0].experts[1].title == "Inclusive"
    assert client.hello.models[0].frame == quick_worker.FRAME
    first = client.pid
    client.start()
    assert client.pid == first


def test_models_that_are_not_there_are_refused_with_those_that_are(client):
    with pytest.raises(WorkerError, match="not ready yet"):
        client.model()
    client.wait_until_ready()
    assert client.model().name == "quick"
    with pytest.raises(CheckpointError, match=r"no model 'other'.*can be used: quick"):
        client.model("other")
    with pytest.raises(CheckpointError, match="'odd' is odd"):
        client.model("odd")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["/no/such/python"], "could not be started: No such file"),
        ([sys.executable, "-c", "raise SystemExit(3)"], "exit code 3"),
        ([sys.executable, "-c", "print('Python 3 welcomes you')"], "cannot be understood"),
        ([sys.executable, "-c", "print('MRS1', end=''); raise SystemExit(4)"], "exit code 4"),
    ],
)
def test_a_worker_that_does_not_start_is_a_sentence(command, message):
    client = WorkerClient(command, Events())
    with pytest.raises(WorkerError, match=message):
        client.wait_until_ready()
    assert client.state == "failed"
    assert message.split(":")[0] in client.message
    assert client.on_event.kinds == ["starting", "failed"]
    client.close()


def test_a_missing_package_is_named_so_that_it_can_be_installed():
    code = """
from MultiRaterSegLib.worker.__main__ import take_pipes
from MultiRaterSegLib.worker.server import Server
def start():
    import torch_of_the_future
Server(*take_pipes()).run(start)
"""
    client = WorkerClient([sys.executable, "-c", code], Events())
    with pytest.raises(WorkerError, match="'torch_of_the_future' is not installed"):
        client.wait_until_ready()
    assert client.missing == "torch_of_the_future"
    client.close()


# -- requests ---------------------------------------------------------------------------------------------------------


def test_answers_come_through_callbacks_while_pumping_only(client):
    answers, progress = [], []
    task = lesion(client).consensus(5, done=answers.append, failed=answers.append, progress=progress.append)
    assert client.state == "busy"
    assert not answers
    until(client, lambda: task.finished)
    assert answers == [task.result]
    assert task.state == "done"
    assert progress[-1].share == 1
    assert client.state == "ready"
    volume = blob()
    prediction = task.result
    expected = volume.voxels[0][prediction.window] > 0
    assert np.array_equal(prediction.samples[0], expected)
    assert prediction.reference.same_as(volume.grid)


def test_two_lesions_are_kept_apart(client):
    one, other = lesion(client), lesion(client, 9.0)
    tasks = [place.style(style) for place in (one, other) for style in ("conservative", "inclusive")]
    results = [task.wait(LONG) for task in tasks]
    assert [result.grid.same_as(one.region.grid) for result in results] == [True, True, False, False]
    assert results[0].samples.sum() < results[1].samples.sum()


def test_voxels_travel_once_and_again_after_a_restart(client):
    place = lesion(client)
    sent = []
    original = client._run.send
    client._run.send = lambda header, arrays=(): (sent.append(len(arrays)), original(header, arrays))
    for _ in range(3):
        place.consensus(1).wait(LONG)
    assert sent == [1, 0, 0]
    before = place.consensus(2).wait(LONG)
    client.restart()
    assert np.array_equal(place.consensus(2).wait(LONG).samples, before.samples)


def test_a_worker_that_forgot_a_lesion_gets_it_again(client):
    place = lesion(client)
    client._run.sent_lesions.add(place._described["key"])
    assert place.consensus(1).wait(LONG).samples.any()


def test_another_scan_is_another_lesion_though_it_has_the_same_name(client):
    one, same, brighter, seeded = lesion(client), lesion(client), lesion(client), lesion(client, seed=1)
    brighter.part.voxels[0, 0, 0, 0] += 1
    assert one._described["key"] == same._described["key"]
    assert len({place._described["key"] for place in (one, brighter, seeded)}) == 3


def test_errors_are_the_librarys_own(client):
    failed = []
    task = lesion(client).style("generous", failed=failed.append)
    with pytest.raises(UnsupportedRequest, match="'generous' is not known"):
        task.wait(LONG)
    assert failed == [task.error]


def test_cancelling_ends_what_runs_and_what_waits(client):
    place, failed = lesion(client), []
    running, waiting = place.style("slow", failed=failed.append), place.consensus(1, failed=failed.append)
    waiting.cancel()
    running.cancel()
    for task in (running, waiting):
        with pytest.raises(Cancelled):
            task.wait(LONG)
    assert len(failed) == 2
    assert place.consensus(1).wait(LONG).samples.any()
    running.cancel()
    assert running.state == "cancelled"


def test_ctrl_c_cancels(client, monkeypatch):
    task = lesion(client).style("slow")
    original = client.pump_until
    calls = []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        original(*arguments)

    monkeypatch.setattr(client, "pump_until", interrupted)
    with pytest.raises(Cancelled):
        task.wait()
    monkeypatch.undo()
    until(client, lambda: task.finished)


def test_only_the_newest_preview_counts(client):
    place, seen = lesion(client), []
    place.style("slow").cancel()
    middle = place.slice_at(blob().grid.center)
    tasks = [place.preview(style, middle, done=seen.append, failed=seen.append) for style in ("inclusive", None)]
    newest = tasks[-1].wait(LONG)
    assert tasks[0].state == "cancelled"
    assert seen == [newest]
    assert newest.slice_index == middle
    assert newest.mask.any()
    assert newest.mask.shape == newest.grid.shape
    assert newest.round_trip_s > 0
    assert client.preview_seconds == {("quick", OWN): 0.01}


def test_sentences_are_read_while_it_computes(client):
    running = lesion(client).style("slow")
    assert client.understand("include the halo").wait(LONG).summary == "include the halo"
    assert not running.finished


def test_requests_may_be_made_before_it_is_ready(client):
    assert client.understand("tight").wait(LONG).summary == "tight"


def test_an_error_in_a_callback_does_not_stop_the_next_answers(client):
    place, answers = lesion(client), []

    def wrong(result):
        raise ZeroDivisionError

    place.consensus(1, done=wrong)
    second = place.consensus(1, done=answers.append)
    with pytest.raises(ZeroDivisionError):
        client.pump_until(lambda: second.finished, LONG)
    until(client, lambda: second.finished)
    assert answers == [second.result]


# -- accidents --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("style", "reason"), [("die", "exit code 7"), ("garbage", "cannot be understood")])
def test_a_crash_fails_what_was_asked_and_the_next_request_starts_it_again(client, style, reason):
    place = lesion(client)
    before, lost = place.consensus(3).wait(LONG), client.pid
    tasks = [place.style(style), place.consensus(1)]
    for task in tasks:
        with pytest.raises(WorkerError, match=f"ended unexpectedly .*{reason}.* scene was not changed"):
            task.wait(LONG)
    assert client.state == "crashed"
    assert client.on_event.kinds[-1] == "crashed"
    if style == "die":
        assert "the last words" in client.log
    assert np.array_equal(place.consensus(3).wait(LONG).samples, before.samples)
    assert client.pid != lost
    assert client.state == "ready"


def test_silence_is_noticed_and_so_is_its_end(client):
    place = lesion(client)
    client.patience_s = 1.5
    task = place.style("freeze", samples=1)
    until(client, lambda: client.state == "not responding")
    assert "has not answered" in client.message
    assert not task.finished
    os.kill(client.pid, signal.SIGCONT)
    task.wait(LONG)
    until(client, lambda: client.state == "ready")
    assert client.on_event.kinds[-2:] == ["not responding", "responding"]


def test_a_silent_worker_can_be_restarted(client):
    place = lesion(client)
    client.patience_s = 1.5
    task = place.style("freeze")
    until(client, lambda: client.state == "not responding")
    client.restart()
    with pytest.raises(WorkerError, match="was restarted"):
        task.wait(LONG)
    client.patience_s = LONG
    assert place.consensus(1).wait(LONG).samples.any()


def test_it_says_that_it_lives_while_it_computes(client):
    task = lesion(client).style("slow")
    first = client._run.heard
    until(client, lambda: client._run.heard > first + 1.2)
    assert not task.finished
    assert client.state == "busy"


def test_closing_ends_the_process_and_tells_nobody(client):
    told = []
    task = lesion(client).style("slow", done=told.append, failed=told.append)
    run, pid = client._run, client.pid
    client.close()
    assert task.state == "cancelled"
    run._process.wait(LONG)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    client.pump()
    assert not told
    assert client.state == "stopped"


def test_closing_while_it_starts_leaves_no_process(client):
    client.start()
    run = client._run
    client.close()
    assert run._process is None or run._process.wait(LONG) is not None


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(n, marks=pytest.mark.slow) for n in range(3, 20))])
def test_killed_at_any_moment_it_is_a_message_and_a_new_start(client, seed):
    """Counted in messages rather than seconds, so that the moment does not depend on how fast the machine is."""
    chance = random.Random(seed)
    place = lesion(client)
    before = place.consensus(4).wait(LONG)
    tasks = [place.style(style, 60) for style in ("inclusive", "conservative")]
    client.pump_until(lambda: (tasks[0].progress or tasks[1].progress) is not None, LONG)
    time.sleep(chance.random() * 0.1)
    os.kill(client.pid, signal.SIGKILL)
    client.pump_until(lambda: all(task.finished for task in tasks), LONG)
    for task in tasks:
        assert task.state == "done" or "signal 9" in str(task.error)
    until(client, lambda: client.state == "crashed")
    assert np.array_equal(place.consensus(4).wait(LONG).samples, before.samples)
