"""Every entry of METHODS in the command line and in the worker: models with random weights, and not a line for any one."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from test_cli import FILES, POINT, SCAN, save_scan, visible
from test_worker import Pipe
from tiny_model import EXPERTS, FRAME, METHOD_NAMES, TINY_CONFIG, save_every_method, tiny_method, worker_command

from MultiRaterSegLib.__main__ import main
from MultiRaterSegLib.checkpoint import save_checkpoint
from MultiRaterSegLib.expert import offered
from MultiRaterSegLib.knobs import Knobs
from MultiRaterSegLib.methods import METHODS
from MultiRaterSegLib.predictor import DEFAULT_MODEL, VolumePredictor
from MultiRaterSegLib.preview import Previewer
from MultiRaterSegLib.region import Place, Region
from MultiRaterSegLib.worker.session import Session

CENTER = SCAN.grid.center.tolist()
every_method = pytest.mark.parametrize("name", METHOD_NAMES)


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """Also `lively_NAME` of those that draw in steps: with weights large enough that each draw outlines something else."""
    folder = save_every_method(tmp_path_factory.mktemp("models"))
    for name in METHOD_NAMES:
        if (method := tiny_method(name)).steps is not None:
            torch.manual_seed(3)
            for weight in method.parameters():
                if weight.ndim > 1:
                    torch.nn.init.normal_(weight)
            save_checkpoint(folder / f"lively_{name}.safetensors", method, FRAME, {"modality": "CT"})
    return folder


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


@every_method
def test_more_steps_than_there_are_end_in_a_sentence(name, models, run, tmp_path, capfd):
    has_steps = predictor_of(models, f"tiny_{name}").method.steps is not None
    assert run(f"tiny_{name}", "--steps", "21") == 2
    refusal = capfd.readouterr().err.splitlines()[-1]
    assert refusal.startswith("error: ")
    assert refusal.endswith("can take 1 to 20 steps; got 21." if has_steps else "cannot be chosen; leave it out.")
    assert not (tmp_path / "out").exists()


@every_method
def test_the_preference_of_an_aligned_model_is_recorded_and_any_other_refuses_it(name, models, run, tmp_path, capfd):
    method = predictor_of(models, f"tiny_{name}").method
    is_aligned = method.preference is not None
    assert run(f"tiny_{name}", "--preference", "0.5" if is_aligned else "1") == (0 if is_aligned else 2)
    if is_aligned:
        made = report_in(tmp_path / "out")["provenance"]
        assert Knobs.of(made) == Knobs(method.steps, 0.5)
        assert run(f"tiny_{name}", "--preference", "1.5") == 2
    refusal = capfd.readouterr().err.splitlines()[-1]
    wrong = "to 1 (as alignment left it); got 1.5." if is_aligned else "there is no preference to choose; leave it out."
    assert refusal.endswith(wrong)


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
    method = predictor.method
    assert (said["title"], said["follows_prompts"]) == (method.title, method.follows_prompts)
    assert said["knobs"] == {"steps": method.steps, "preference": method.preference}
    region = Region.around(Place.of(SCAN.grid, CENTER), SCAN.grid, predictor.frame)
    place = lesion_of(model, region)
    own = predictor.lesion(SCAN, at=CENTER)
    for style in (None, *predictor.experts):
        voxels = [np.ascontiguousarray(region.cut(SCAN))]
        reply, (samples,) = worker.ask("ask", voxels, lesion=place, style=style, samples=2)
        expected = own.ask(style, 2)
        assert np.array_equal(samples, expected.samples)
        assert reply["title"] == expected.title


@every_method
def test_knobs_that_a_method_does_not_have_are_refused(name, models, worker):
    predictor = predictor_of(models, f"tiny_{name}")
    most = worker.models[f"tiny_{name}"]["most_steps"]
    region = Region.around(Place.of(SCAN.grid, CENTER), SCAN.grid, predictor.frame)
    place = {**lesion_of(f"tiny_{name}", region), "key": f"{name} in steps", "knobs": {"steps": 1 + (most or 0)}}
    voxels = [np.ascontiguousarray(region.cut(SCAN))]
    error = worker.ask("ask", voxels, lesion=place, style=None, samples=1)[0]["error"]
    title = predictor.method.title
    assert error["kind"] == "UnsupportedRequest"
    if predictor.method.steps is None:
        assert error["message"] == f"How many steps a sample of {title} takes cannot be chosen; leave it out."
    else:
        assert error["message"] == f"A sample can take 1 to {most} steps; got {most + 1}."
    if predictor.method.preference is None:
        place["knobs"] = {"preference": 1.0}
        error = worker.ask("ask", voxels, lesion=place, style=None, samples=1)[0]["error"]
        assert error["message"] == f"{title} was not aligned, so there is no preference to choose; leave it out."


@every_method
def test_the_worker_draws_as_is_asked_for(name, models, worker):
    """Each number of steps and each preference has its own answer and preview, in whatever order they are asked for."""
    model = f"lively_{name}"
    path = models / f"{model}.safetensors"
    if not path.is_file():
        pytest.skip("does not draw in steps")
    unasked = VolumePredictor.from_checkpoint(path, "cpu").method.knobs
    asked = [Knobs(), Knobs(steps=1), Knobs(steps=2)]
    if unasked.preference is not None:
        asked += [Knobs(preference=0.0), Knobs(2, 0.5)]
    own = {
        knobs: VolumePredictor.from_checkpoint(path, "cpu", **asdict(knobs)).lesion(SCAN, at=CENTER) for knobs in asked
    }
    expected = {knobs: lesion.consensus(2) for knobs, lesion in own.items()}
    assert len({prediction.samples.tobytes() for prediction in expected.values()}) == len(asked)
    region = own[asked[0]].region
    middle, voxels = region.slices[len(region.slices) // 2], [np.ascontiguousarray(region.cut(SCAN))]
    for knobs in (*asked, asked[0], asked[1], asked[-1]):
        place = {**lesion_of(model, region), "key": f"{model} {knobs}", "knobs": asdict(knobs)}
        reply, (samples,) = worker.ask("ask", voxels, lesion=place, style=None, samples=2)
        assert np.array_equal(samples, expected[knobs].samples)
        assert reply["provenance"] == expected[knobs].provenance
        assert Knobs.of(reply["provenance"]) == knobs.over(unasked)
        previewer = Previewer(own[knobs])
        previewer.remember(samples)
        _, (mask,) = worker.ask("preview", lesion=place, style=None, slice=middle, samples=2)
        assert np.array_equal(mask, previewer.preview(None, middle, 2).mask)


def test_a_model_trained_without_text_is_said_to_follow_no_sentence(tmp_path, monkeypatch):
    kind = METHODS["ambiguous_text_diff"]
    config = kind.Config(**{**TINY_CONFIG["ambiguous_text_diff"], "text": False})
    save_checkpoint(tmp_path / "mute.safetensors", kind(config, 1, ("background", "nodule"), EXPERTS), FRAME, {})
    aligned = METHODS["diff_dpo"]
    config = aligned.Config(aligned={**TINY_CONFIG["ambiguous_text_diff"], "text": False})
    save_checkpoint(tmp_path / "also.safetensors", aligned(config, 1, ("background", "nodule"), EXPERTS), FRAME, {})
    monkeypatch.setenv("MULTIRATERSEG_MODELS", str(tmp_path))
    said = Session("cpu").models
    assert [(said[name].follows_prompts, said[name].experts) for name in ("mute", "also")] == [(False, ())] * 2
    assert [said[name].knobs for name in ("mute", "also")] == [Knobs(3), Knobs(3, 1.0)]
    assert [said[name].most_steps for name in ("mute", "also")] == [20, 20]


def test_a_model_of_another_version_harms_no_other(tmp_path, monkeypatch):
    facts = {"method": "diffoseg", "channels": 1, "labels": ["background", "nodule"], "experts": [], "frame": {}}
    for name, changed in {
        "other": {"config": {"schedule": "sine"}},
        "later": {"method": "sequel", "config": {}},
    }.items():
        header = {"format": "MultiRaterSeg 1", "multiraterseg": json.dumps({**facts, **changed})}
        save_file({"weight": torch.zeros(1)}, str(tmp_path / f"{name}.safetensors"), metadata=header)
    monkeypatch.setenv("MULTIRATERSEG_MODELS", str(tmp_path))
    session = Session("cpu")
    assert DEFAULT_MODEL in session.models
    assert session.unusable["other"].startswith("'other' is not for this version: config.schedule = 'sine': ")
    assert session.unusable["later"].startswith("'later' is for method 'sequel'; this version knows prosona, ")


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
