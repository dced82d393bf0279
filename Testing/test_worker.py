"""The worker process, spoken to over its pipes: what it promises to whoever writes another client."""

import io
import random
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import worker_models
from threshold_model import blob
from torch.nn.modules.module import register_module_forward_pre_hook

from MultiRaterSegLib.errors import Cancelled
from MultiRaterSegLib.frame import Frame
from MultiRaterSegLib.predictor import VolumePredictor
from MultiRaterSegLib.region import Place, Region
from MultiRaterSegLib.worker.job import Job
from MultiRaterSegLib.worker.protocol import MAGIC, ProtocolError, read_message, write_message
from MultiRaterSegLib.worker.session import Session

PROJECT = Path(__file__).resolve().parents[1]
VOLUME = blob()
CENTER = VOLUME.grid.center.tolist()
FRAMES: dict[str, dict] = {}  # as the worker's hello describes them, by model


class Pipe:
    """A worker at the other end."""

    def __init__(self, command):
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        self.process = subprocess.Popen(command, **pipes, cwd=PROJECT)
        self.number = 0

    def send(self, op: str, arrays=(), **header) -> int:
        self.number += 1
        write_message(self.process.stdin, {"id": self.number, "op": op, **header}, arrays)
        return self.number

    def read_until(self, wanted) -> tuple[dict, list]:
        while (message := read_message(self.process.stdout)) is not None:
            if wanted(message[0]):
                return message
        raise AssertionError(f"the worker ended: {self.process.stderr.read().decode()}")

    def reply(self, number: int) -> tuple[dict, list]:
        return self.read_until(lambda header: header.get("id") == number and "progress" not in header)

    def ask(self, op: str, arrays=(), **header) -> tuple[dict, list]:
        return self.reply(self.send(op, arrays, **header))

    def end(self):
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()
        self.process.wait()


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    return worker_models.save_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def worker(models):
    pipe = Pipe(worker_models.command(models))
    pipe.hello, _ = pipe.read_until(lambda header: header.get("event") == "hello")
    FRAMES.update({model["name"]: model["frame"] for model in pipe.hello["models"]})
    yield pipe
    pipe.end()


def region_of(model: str) -> Region:
    frame = Frame(**FRAMES.get(model, {}))
    return Region.around(Place.of(VOLUME.grid, CENTER), VOLUME.grid, frame)


def lesion(model: str, key: str = "") -> dict:
    """How a request names the place in the middle of VOLUME."""
    region = region_of(model)
    grids = {"scan": VOLUME.grid, "part": region.window}
    described = {name: {"shape": list(grid.shape), "affine": grid.affine.tolist()} for name, grid in grids.items()}
    facts = {"model": model, "seed": 0, "at": CENTER, "modality": "CT", "source": "blob"}
    return {"key": key or model, **facts, **described}


def voxels(place: dict) -> list[np.ndarray]:
    """What must come along with a lesion that the worker does not have."""
    return [np.ascontiguousarray(region_of(place["model"]).cut(VOLUME))]


# -- messages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.int16).reshape(2, 3, 4) - 12,
        np.random.default_rng(0).random((5, 7, 11)) > 0.5,
        np.zeros((3, 0, 2), bool),
        np.array(3.25, np.float32),
        np.arange(60, dtype=np.uint8).reshape(3, 4, 5)[:, ::-1, 1:],
    ],
    ids=["integers", "bits", "empty", "scalar", "a view"],
)
def test_a_message_arrives_as_it_was_sent(array):
    pipe = io.BytesIO()
    write_message(pipe, {"sentence": "größer", "t": 0.1}, [array, array])
    write_message(pipe, {"id": 2})
    pipe.seek(0)
    header, arrays = read_message(pipe)
    assert header == {"sentence": "größer", "t": 0.1}
    for got in arrays:
        assert got.dtype == array.dtype
        assert got.shape == array.shape
        assert np.array_equal(got, array)
    assert read_message(pipe) == ({"id": 2}, [])
    assert read_message(pipe) is None


def test_samples_travel_as_bits():
    pipe = io.BytesIO()
    write_message(pipe, {}, [np.ones((20, 40, 50, 60), bool)])
    assert len(pipe.getvalue()) < 20 * 40 * 50 * 60 / 8 + 100


def framed(text: bytes) -> bytes:
    return struct.pack("<4sI", MAGIC, len(text)) + text


@pytest.mark.parametrize(
    "data",
    [
        b"Intel MKL WARNING: something\n",
        struct.pack("<4sI", MAGIC, 4_000_000_000) + b"x" * 100,
        framed(b"{not json"),
        framed(b"[1, 2]"),
        framed(b"{}"),
        framed(b'{"arrays": [{"dtype": "object", "shape": [1]}]}'),
        framed(b'{"arrays": [{"dtype": "int16", "shape": [-1]}]}'),
        framed(b'{"arrays": [{"dtype": "int16", "shape": [9999999, 9999999]}]}'),
        framed(b'{"arrays": [{"dtype": "int16", "shape": [4]}]}') + b"abc",
        MAGIC,
    ],
)
def test_what_is_no_message_is_refused(data):
    with pytest.raises(ProtocolError):
        read_message(io.BytesIO(data))


# -- the process ------------------------------------------------------------------------------------------------------


def test_it_says_what_it_has(worker):
    models = {model["name"]: model for model in worker.hello["models"]}
    assert next(iter(models)) == worker.hello["default_model"] == "prosona_compact"
    assert models["prosona_compact"]["follows_prompts"]
    assert not models["brightness"]["follows_prompts"]
    assert models["prosona_compact"]["experts"][0]["title"] == "Conservative (smallest)"
    assert models["brightness"]["trained_for"] == "chest CT"
    assert worker.hello["device"] == "cpu"


@pytest.mark.parametrize("style", [None, "conservative", "include the halo", ["conservative", "inclusive", 0.3]])
def test_the_shipped_model_answers_as_in_the_same_process(worker, style):
    place = lesion("prosona_compact")
    header, (samples,) = worker.ask("ask", voxels(place), lesion=place, style=style, samples=3)
    own = VolumePredictor.from_checkpoint(device="cpu").lesion(VOLUME, at=CENTER)
    expected = own.ask(tuple(style) if isinstance(style, list) else style, 3)
    assert samples.any()
    assert np.array_equal(samples, expected.samples)
    assert header["title"] == expected.title
    assert tuple(header["warnings"]) == expected.warnings
    assert header["provenance"] == expected.provenance


def test_a_lesion_is_looked_at_once_and_asked_for_again_when_it_is_not_known(worker):
    place = lesion("brightness", "again")
    assert worker.ask("ask", lesion=place, style=None, samples=1)[0]["need"] == "voxels"
    first = worker.ask("ask", voxels(place), lesion=place, style=None, samples=4)[1][0]
    assert np.array_equal(worker.ask("ask", lesion=place, style=None, samples=4)[1][0], first)
    for number in range(4):
        other = lesion("brightness", f"other {number}")
        worker.ask("ask", voxels(other), lesion=other, style=None, samples=1)
    assert worker.ask("ask", lesion=place, style=None, samples=1)[0]["need"] == "voxels"


def test_progress_counts_the_slices_of_all_samples(worker):
    place = lesion("brightness", "progress")
    seen, number = [], worker.send("ask", voxels(place), lesion=place, style="inclusive", samples=5)

    def last(header):
        seen.extend([header["progress"]] if "progress" in header else [])
        return header.get("id") == number and "progress" not in header

    worker.read_until(last)
    slices = len(region_of("brightness").slices)
    assert seen[-1]["slices_done"] == seen[-1]["slices_total"] == slices * (5 + 1)
    assert [step["share"] for step in seen] == sorted(step["share"] for step in seen)
    assert seen[-1]["share"] == 1
    assert {step["step"] for step in seen} == {"Looking at the slices", "Outlining"}


def test_a_sentence_is_read_while_something_else_is_computed_and_cancelling_stops_that(worker):
    place = lesion("laborious")
    running = worker.send("ask", voxels(place), lesion=place, style=None, samples=2)
    queued = worker.send("ask", lesion=place, style=None, samples=2)
    worker.read_until(lambda header: header.get("progress", {}).get("step") == "Looking at the slices")
    for _ in range(2):
        worker.read_until(lambda header: header.get("event") == "alive")
    read, _ = worker.ask("understand", sentence="include the halo", model="prosona_compact")
    assert read["summary"] == "halo +"
    write_message(worker.process.stdin, {"id": queued, "op": "cancel"})
    write_message(worker.process.stdin, {"id": running, "op": "cancel"})
    assert worker.reply(running)[0]["error"]["kind"] == "Cancelled"
    assert worker.reply(queued)[0]["error"]["kind"] == "Cancelled"
    assert worker.ask("ping") == ({"id": worker.number}, [])


def test_a_model_that_reads_descriptions_has_lidcs_statements_read_and_others_refuse_them(worker):
    said = "The Texture is Solid. The Margin is Sharp."
    read, _ = worker.ask("understand", sentence=said, model="ambiguous_text_diff_compact")
    assert (read["summary"], read["problem"]) == ("The Texture is Solid, The Margin is Sharp", "")
    both, _ = worker.ask("understand", sentence=f"generous. {said}", model="diff_dpo_compact")
    assert both["summary"] == "extent generous, The Texture is Solid, The Margin is Sharp"
    other, _ = worker.ask("understand", sentence="The Margin is Sharp.", model="prosona_compact")
    assert other["problem"]


def test_after_cancel_no_layer_of_the_shipped_model_begins(worker):
    """At 20 random layers of a request that also looks at the slices: so it ends within one layer, whatever that takes."""
    session, begun = Session("cpu"), []
    numbers = random.Random(3)

    def run(cancel_at: int | None) -> None:
        begun.clear()
        place = lesion("prosona_compact", f"cancelled at {cancel_at}")
        job = Job(
            {"id": 1, "op": "ask", "lesion": place, "style": None, "samples": 2}, voxels(place), lambda said: None
        )

        def count(module, inputs):
            begun.append(module)
            if len(begun) == cancel_at:
                job.cancelled.set()

        with register_module_forward_pre_hook(count):  # called after the session's own
            session.answer(job)

    run(None)
    layers = len(begun)
    assert layers > 100
    for cancel_at in numbers.sample(range(1, layers), 20):
        with pytest.raises(Cancelled):
            run(cancel_at)
        assert len(begun) == cancel_at
    run(None)
    assert len(begun) < layers  # the slices are known by now


def test_what_cannot_be_done_is_said_in_the_librarys_words(worker):
    place = lesion("brightness")
    known = voxels(place)

    def error(op="ask", arrays=known, **header) -> tuple[str, str]:
        found = worker.ask(op, arrays, **{"lesion": place, "style": None, "samples": 1, **header})[0]["error"]
        return found["kind"], found["message"]

    assert error(style="generous") == ("UnsupportedRequest", "Brightness cannot follow a prompt. It knows experts: "
                                       "conservative, inclusive.")  # fmt: skip
    assert error(samples=0)[0] == "UnsupportedRequest"
    assert error(style=["conservative", "inclusive", 2])[0] == "UnsupportedRequest"
    assert "no model 'none'" in error(lesion={**place, "key": "none", "model": "none"})[1]
    assert "no operation 'dance'" in error("dance")[1]
    outside = {**place, "key": "outside", "at": [9000, 0, 0]}
    assert error(lesion=outside)[0] == "GeometryError"
    assert error(lesion={**place, "key": "shifted", "at": [5, 5, 5]})[0] == "GeometryError"
    assert "was not looked at" in error("preview", slice=9999)[1]


def test_a_bug_shows_its_traceback_and_prints_do_not_disturb(worker):
    place = lesion("faulty")
    error = worker.ask("ask", voxels(place), lesion=place, style=None, samples=1)[0]["error"]
    assert error["kind"] == "WorkerError"
    assert "Please report it" in error["message"]
    assert "IndexError: index 7 is out of range" in error["log"]
    incomplete = worker.ask("ask", style=None)[0]["error"]
    assert "KeyError" in incomplete["log"]
    assert worker.ask("ping")[0] == {"id": worker.number}


def test_less_memory_changes_nothing(worker):
    places = [lesion("greedy"), lesion("brightness")]
    greedy, plain = (worker.ask("ask", voxels(place), lesion=place, style=None, samples=5)[1][0] for place in places)
    assert np.array_equal(greedy, plain)


def test_it_ends_with_the_pipe_even_while_it_computes(models, worker):
    worker = Pipe(worker_models.command(models))
    place = lesion("laborious")
    worker.send("ask", voxels(place), lesion=place, style=None, samples=2)
    worker.read_until(lambda header: "progress" in header)
    worker.process.stdin.close()
    assert worker.process.wait(60) == 0
    worker.end()


SESSION = """
import sys
from MultiRaterSegLib.worker.__main__ import take_pipes
from MultiRaterSegLib.worker.server import Server

class Session:
    immediate = {"ping": lambda header: ({}, ())}
    def hello(self):
        print("printed")
        return {"models": []}

def start():
    %s
    return Session()

Server(*take_pipes()).run(start)
"""


def run_server(said: bytes) -> subprocess.CompletedProcess:
    """A worker without torch, told all at once."""
    code = [sys.executable, "-c", SESSION % "pass"]
    return subprocess.run(code, input=said, cwd=PROJECT, capture_output=True, timeout=120)


def failure(start: str) -> dict:
    """What a worker says that cannot start."""
    pipe = Pipe([sys.executable, "-c", SESSION % start])
    header, _ = pipe.read_until(lambda header: header.get("event") == "failed")
    assert pipe.process.wait(60) == 1
    pipe.end()
    return header


def test_garbage_on_its_pipe_ends_it_and_is_named_on_standard_error():
    made = run_server(b"GET / HTTP/1.1\r\n\r\n")
    assert made.returncode == 2
    assert b"A message begins with" in made.stderr


@pytest.mark.parametrize("header", [{"op": "ping"}, {"id": "1", "op": "ping"}])
def test_a_request_without_a_number_cannot_be_answered_and_ends_it(header):
    pipe = io.BytesIO()
    write_message(pipe, header)
    made = run_server(pipe.getvalue())
    assert made.returncode == 2
    assert b"needs a number" in made.stderr


def test_a_missing_package_is_named():
    failed = failure("import torch_of_the_future.nn")
    assert failed["missing"] == "torch_of_the_future"
    assert failed["message"] == "The Python package 'torch_of_the_future' is not installed. Install it first."
    assert "ModuleNotFoundError" in failed["log"]


def test_other_reasons_not_to_start_are_passed_on():
    failed = failure("raise OSError('libtorch.so: cannot open shared object file')")
    assert failed["missing"] == ""
    assert "libtorch.so" in failed["message"]
