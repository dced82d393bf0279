"""Training runs from a recipe, stops where it should, and goes on bit for bit after a kill."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from phantom import write_phantom
from safetensors.torch import load_file
from tiny_model import tiny_method

from MultiRaterSegLib.checkpoint import load_checkpoint
from MultiRaterSegLib.errors import DataError, RecipeError
from Training.fit import StageModule, train
from Training.recipe import StageSettings, list_recipes, load_recipe

PROJECT = Path(__file__).resolve().parents[1]
TINY = [
    "frame.size=32",
    "frame.spacing_mm=1.4",
    "batches.size=4",
    "batches.window=32",
    "precision='32-true'",
    "data.folds=[0]",
    "model.widths=[8,16]",
    "model.posterior_widths=[8,16]",
    "stage.latent.steps=6",
    "stage.latent.validate_every=3",
    "stage.personalise.steps=6",
    "stage.personalise.validate_every=3",
]


def command(folder: Path, data: Path, *more: str) -> list[str]:
    settings = [part for value in [*TINY, f"data.root={data}", *more] for part in ("--set", value)]
    return [sys.executable, str(PROJECT / "Training/train.py"), "prosona_compact", "--out", str(folder), *settings]


def final_weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(str(folder / "best.safetensors"))


def same_weights(a: Path, b: Path) -> bool:
    first, second = final_weights(a), final_weights(b)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_killed_run_resumes_to_the_same_weights_bit_for_bit(tmp_path):
    data = write_phantom(tmp_path / "data")
    whole = subprocess.run(command(tmp_path / "whole", data), capture_output=True, text=True, check=False)
    assert whole.returncode == 0, whole.stderr
    run = subprocess.Popen(command(tmp_path / "killed", data), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoint = tmp_path / "killed/2-personalise/last.ckpt"
    deadline = time.monotonic() + 240
    while not checkpoint.is_file() and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    assert checkpoint.is_file()
    assert not (tmp_path / "killed/best.safetensors").is_file()
    resumed = subprocess.run(
        [*command(tmp_path / "killed", data), "--resume"], capture_output=True, text=True, check=False
    )
    assert resumed.returncode == 0, resumed.stderr
    assert same_weights(tmp_path / "whole", tmp_path / "killed")
    loaded = load_checkpoint(tmp_path / "whole")
    assert loaded.info["recipe"]["stage"]["latent"]["steps"] == 6
    assert loaded.info["patients"]["validation"] >= 1


def test_what_a_stage_freezes_stays_as_it_is_and_a_module_that_is_not_there_is_refused(tmp_path):
    data, start = write_phantom(tmp_path / "data"), {}

    def remember(method) -> dict:
        start.update({name: value.clone() for name, value in method.state_dict().items()})
        return {"all_weights": "a test's"}

    def recipe(module: str):
        quick = ["stage.latent.learning_rate=1e-2", "stage.latent.warmup_steps=0", "stage.latent.ema=0.5"]
        return load_recipe("prosona_compact", [*TINY, *quick, f"data.root={data}", f"stage.latent.frozen=['{module}']"])

    train(recipe("backbone"), tmp_path / "run", start=remember, stages=["latent"])
    moved = {
        name for name, value in final_weights(tmp_path / "run").items() if (value - start[name]).abs().max() > 1e-3
    }
    assert moved
    assert not any(name.startswith("backbone.") for name in moved)
    with pytest.raises(RecipeError, match="trunk.*'backbone'"):
        train(recipe("trunk"), tmp_path / "other", start=remember, stages=["latent"])


def test_what_a_stage_freezes_keeps_the_statistics_of_its_normalisation_too():
    method = tiny_method("ambiguous_text_diff")
    [stage] = method.stages()
    module = StageModule(method, stage, StageSettings(frozen=("backbone",)), 0)
    module.on_train_epoch_start()
    assert not any(part.training for part in method.backbone.modules())
    assert method.denoiser.training


def test_a_part_that_would_stay_random_is_not_kept_as_it_is(tmp_path):
    data = write_phantom(tmp_path / "data")
    recipe = load_recipe("ambiguous_text_diff_compact", [f"data.root={data}", "data.folds=[0]"])
    with pytest.raises(RecipeError, match=r"keeps backbone.*--backbone-from.*stage\.denoise\.frozen=\[\]"):
        train(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_every_shipped_recipe_is_valid():
    for path in list_recipes():
        assert load_recipe(path).method


def test_recipe_mistakes_name_the_place_and_the_cure(tmp_path):
    with pytest.raises(RecipeError, match="Did you mean latent_dim"):
        load_recipe("prosona_compact", ["model.latent_dims=3"])
    with pytest.raises(RecipeError, match="Did you mean steps"):
        load_recipe("prosona_compact", ["stage.latent.step=3"])
    with pytest.raises(RecipeError, match="stage"):
        load_recipe("prosona_compact", ["stage.latent.steps='many'"])
    with pytest.raises(RecipeError, match="Methods: .*prosona"):
        load_recipe("prosona_compact", ["method='unet'"])
    with pytest.raises(RecipeError, match="prosona_compact"):
        load_recipe("no_such_recipe")
    (tmp_path / "bad.toml").write_text("method = ")
    with pytest.raises(RecipeError, match="not valid TOML"):
        load_recipe(tmp_path / "bad.toml")


def test_missing_data_and_an_occupied_run_folder_are_said_in_a_sentence(tmp_path):
    from Training.fit import train

    with pytest.raises(DataError, match=r"prepare\.py"):
        train(load_recipe("prosona_compact", [*TINY, f"data.root={tmp_path}/nowhere"]), tmp_path / "run")
    missing = subprocess.run(
        [*command(tmp_path / "run", tmp_path / "nowhere")], capture_output=True, text=True, check=False
    )
    assert missing.returncode == 2
    assert "Traceback" not in missing.stderr


def test_listing_recipes_is_quick_and_complete():
    listed = subprocess.run(
        [sys.executable, str(PROJECT / "Training/train.py")], capture_output=True, text=True, check=True
    )
    for path in list_recipes():
        assert path.stem in listed.stdout


@pytest.mark.slow
def test_the_recipe_that_needs_no_download_runs_on_the_bundled_outlines(tmp_path):
    """Every bundled nodule of its fold is simulated, those with outlines outside a slice's field included."""
    few = [f"stage.{stage}.{key}=2" for stage in ("latent", "personalise") for key in ("steps", "validate_every")]
    settings = [part for value in few for part in ("--set", value)]
    train = [sys.executable, str(PROJECT / "Training/train.py"), "prosona_simulated", "--out", str(tmp_path / "run")]
    subprocess.run([*train, *settings], check=True, capture_output=True)
    assert load_checkpoint(tmp_path / "run").info["recipe"]["data"]["name"] == "simulated"
