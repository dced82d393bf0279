"""Every entry of METHODS in the command line and in the worker: models with random weights, and not a line for any one."""

import json
from pathlib import Path

import numpy as np
import pytest
from test_cli import FILES, POINT, SCAN, save_scan, visible
from test_worker import Pipe
from tiny_model import METHOD_NAMES, save_every_method, worker_command

from MultiRaterSegLib.__main__ import main
from MultiRaterSegLib.expert import offered
from MultiRaterSegLib.methods import METHODS
from MultiRaterSegLib.predictor import DEFAULT_MODEL, VolumePredictor
from MultiRaterSegLib.region import Place, Region

CENTER = SCAN.grid.center.tolist()
every_method = pytest.mark.parametrize("name", METHOD_NAMES)


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    return save_every_method(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def scan(tmp_path_factory) -> str:
    return save_scan(tmp_path_factory.mktemp("scans"))


@pytest.fixture
def run(scan, models, tmp_path):
    """Runs `segment` on the scan; the exit code."""

    def segment(model: str, *options: str) -> int:
        quick = ["--model", str(models / f"{model}.safetensors"), "--samples", "2"]
        return main(["segment", scan, str(tmp_path / "out"), f"--at={POINT}", *quick, *options])

    return segment


def predictor_of(models: Path, model: str) -> VolumePredictor:
    path = models / f"{model}.safetensors"
    if not path.is_file():
        pytest.skip("cannot learn readers that are persons")
    return VolumePredictor.from_checkpoint(path, "cpu")


def report_in(folder: Path) -> dict:
    assert visible(folder) == FILES
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


# -- the command line --------------------------------------------------------------------------------------------------


@every_method
def test_the_population_is_outlined(name, run, tmp_path):
    assert run(f"tiny_{name}", "--experts", "none") == 0
    report = report_in(tmp_path / "out")
    assert [outline["kind"] for outline in report["outlines"]] == ["consensus"]
    assert report["provenance"]["method"] == name


@every_method
@pytest.mark.parametrize("readers", ["tiny", "named"])
def test_all_experts_come_by_name_and_what_lies_between_them(name, readers, models, run, tmp_path, capfd):
    experts = offered(predictor_of(models, f"{readers}_{name}").method.experts)
    between = ["--between", experts[0].name, experts[-1].name, "0.5"] if experts else []
    assert run(f"{readers}_{name}", "--experts", "all", *between) == 0
    shown, _ = capfd.readouterr()
    report = report_in(tmp_path / "out")
    titles = ["Consensus", *(expert.title for expert in experts)]
    assert [outline["title"] for outline in report["outlines"]][: len(titles)] == titles
    kinds = ["consensus", *["expert"] * len(experts), *["between"] * bool(experts)]
    assert [outline["kind"] for outline in report["outlines"]] == kinds
    assert all(title in shown for title in titles)
    ranked = bool(experts) and experts[0].ranked_by != "rater"
    assert (report["in_usual_order"] is not None) == ranked


@every_method
def test_a_sentence_is_followed_or_refused_with_a_way_on(name, models, run, tmp_path, capfd):
    method = predictor_of(models, f"tiny_{name}").method
    code = run(f"tiny_{name}", "--experts", "none", "--prompt", "tight outline")
    if method.follows_prompts:
        assert code == 0
        assert report_in(tmp_path / "out")["outlines"][1]["kind"] == "prompt"
        return
    refusal = capfd.readouterr().err.splitlines()[-1]
    assert code == 2
    assert refusal.startswith(f"error: {method.title} cannot follow a prompt. ")
    assert ("It knows experts: conservative," in refusal) == bool(method.experts)
    assert refusal.endswith(f"The model {DEFAULT_MODEL} follows prompts (--model).")
    assert not (tmp_path / "out").exists()


@every_method
def test_an_expert_that_it_does_not_know_is_refused_with_those_that_it_does(name, models, run, tmp_path, capfd):
    method = predictor_of(models, f"tiny_{name}").method
    assert run(f"tiny_{name}", "--experts", "somebody") == 2
    known = "It knows experts: conservative," if method.experts else "It has no reader styles; ask for the consensus."
    assert f"error: {method.title} knows no expert 'somebody'. {known}" in capfd.readouterr().err


def test_the_model_that_a_refusal_points_at_follows_prompts():
    assert VolumePredictor.from_checkpoint(DEFAULT_MODEL, "cpu").method.follows_prompts


def test_models_are_listed_with_their_readers(models, monkeypatch, capsys):
    monkeypatch.setenv("MULTIRATERSEG_MODELS", str(models))
    assert main(["models"]) == 0
    listed = capsys.readouterr().out
    assert {f"tiny_{name}" for name in METHOD_NAMES} <= set(listed.splitlines())
    assert "ada, ben, cleo" in listed


# -- the worker --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def worker(models):
    pipe = Pipe(worker_command(models))
    hello, _ = pipe.read_until(lambda header: header.get("event") == "hello")
    pipe.models = {model["name"]: model for model in hello["models"]}
    assert hello["unusable"] == {}
    yield pipe
    pipe.end()


@every_method
@pytest.mark.parametrize("readers", ["tiny", "named"])
def test_the_worker_offers_and_answers_what_the_method_can(name, readers, models, worker):
    model = f"{readers}_{name}"
    predictor = predictor_of(models, model)
    said = worker.models[model]
    assert [expert["name"] for expert in said["experts"]] == predictor.experts
    assert (said["title"], said["follows_prompts"]) == (METHODS[name].title, METHODS[name].follows_prompts)
    region = Region.around(Place.of(SCAN.grid, CENTER), SCAN.grid, predictor.frame)
    place = lesion_of(model, region)
    own = predictor.lesion(SCAN, at=CENTER)
    for style in (None, *predictor.experts):
        voxels = [np.ascontiguousarray(region.cut(SCAN))]
        reply, (samples,) = worker.ask("ask", voxels, lesion=place, style=style, samples=2)
        expected = own.ask(style, 2)
        assert np.array_equal(samples, expected.samples)
        assert reply["title"] == expected.title


def lesion_of(model: str, region: Region) -> dict:
    grids = {"scan": region.scan, "part": region.window}
    described = {name: {"shape": list(grid.shape), "affine": grid.affine.tolist()} for name, grid in grids.items()}
    return {"key": model, "model": model, "seed": 0, "at": CENTER, "modality": "CT", "source": "blob", **described}


@every_method
def test_the_worker_reads_a_sentence_or_says_that_the_method_cannot(name, worker):
    read, _ = worker.ask("understand", sentence="tighter, without the halo", model=f"tiny_{name}")
    title = METHODS[name].title
    follows = METHODS[name].follows_prompts
    assert read["problem"] == ("" if follows else f"{title} cannot follow a sentence.")
    assert bool(read["suggestions"]) == bool(read["summary"]) == follows
