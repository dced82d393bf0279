"""Quality against the number of steps: which default follows, from models made on the spot."""

import numpy as np
import pytest
from phantom import write_phantom
from tiny_model import save_tiny_model

from MultiRaterSegLib.errors import UnsupportedRequest
from Training import evaluate_steps
from Training.chosen_slices import one_per_patient
from Training.evaluation import Evaluation


def evaluation(ged: np.ndarray) -> Evaluation:
    index = np.arange(len(ged))
    return Evaluation(index.astype(str), index, index * 0.0, index, {"16 samples": {"ged": ged}})


def test_the_default_is_the_fewest_steps_that_surely_cost_less_than_a_hundredth():
    rng = np.random.default_rng(0)
    full = rng.uniform(0.1, 0.5, 60)
    costs = {250: 0.0, 25: -0.002, 10: 0.004, 5: 0.0095, 2: 0.05}
    noise = rng.normal(0, 0.01, 60)  # its mean has a standard error of .0013
    done = {steps: evaluation(full + cost + (noise - noise.mean()) * (steps < 250)) for steps, cost in costs.items()}
    assert evaluate_steps.fewest_steps(done) == 10  # 5 steps cost .0095 +- .0025: not surely below .01
    assert evaluate_steps.fewest_steps({250: done[250], 2: done[2]}) == 250


def test_one_slice_of_each_patient_is_drawn_by_seed_whoever_else_is_there():
    patient = np.array(["a", "a", "b", "a", "c", "b", "c", "c"])
    rows = np.arange(10, 18)
    chosen = one_per_patient(patient, rows, 0)
    assert sorted(patient[row - 10] for row in chosen) == ["a", "b", "c"]
    assert np.array_equal(chosen, one_per_patient(patient, rows, 0))
    alone = patient == "a"
    assert one_per_patient(patient[alone], rows[alone], 0)[0] in chosen
    drawn = {tuple(one_per_patient(patient, rows, seed)) for seed in range(20)}
    assert len(drawn) > 1


def test_the_command_writes_a_row_for_each_number_of_steps_and_draws_none_twice(tmp_path, monkeypatch):
    data = write_phantom(tmp_path / "data")
    model = save_tiny_model(tmp_path / "model.safetensors", "diffoseg")
    fold = next(data.glob("*.npz"))
    arguments = [str(model), "--data", str(fold), "--subset", "all", "--one-per-patient", "0", "--samples", "4"]
    arguments += ["--expert-samples", "2", "--steps", "4", "2", "1", "--out", str(tmp_path / "out")]
    assert evaluate_steps.main(arguments) == 0
    text = (tmp_path / "out/steps.md").read_text()
    assert [line.split("|")[1].strip(" *") for line in text.splitlines() if line.startswith("| ")][1:] == [
        "4",
        "2",
        "1",
    ]
    assert "a slice of each patient (seed 0)" in text
    assert (tmp_path / "out/steps.png").stat().st_size > 5000
    monkeypatch.setattr("Training.evaluation_run.evaluate_on", None)  # would fail if anything were drawn again
    assert evaluate_steps.main(arguments) == 0


def test_a_method_without_steps_says_so(tmp_path):
    from MultiRaterSegLib.checkpoint import load_checkpoint

    method = load_checkpoint(save_tiny_model(tmp_path / "model.safetensors", "unet_heads")).method
    assert method.steps is None
    with pytest.raises(UnsupportedRequest, match="cannot be chosen"):
        method.use_steps(3)
