"""The evaluation protocol on made-up lesions whose right answer is known."""

import dataclasses
import importlib
import json
from functools import partial
from itertools import product

import numpy as np
import pytest
import torch
from planted_models import FRAME
from prepared_slices import SIZE, write_discs
from torch import nn

from MultiRaterSegLib import metrics
from MultiRaterSegLib.checkpoint import Checkpoint
from MultiRaterSegLib.errors import DataError
from MultiRaterSegLib.frame import Frame
from MultiRaterSegLib.method import Expert, Method
from Training import evaluate as command
from Training import evaluation_options, slice_predictions
from Training.bootstrap import calibration_estimate, mean_estimate, paired_calibration, paired_difference
from Training.data import DATASETS, load_data
from Training.data.lidc_slices import LidcSlices
from Training.evaluation import Evaluation, evaluate, readers
from Training.recipe import load_recipe
from Training.slice_predictions import PredictionFile, Sampling, predict_slices

LEVELS = torch.tensor([0.15, 0.4, 0.6, 0.85])  # between the five grey levels that 0..4 readers give


class ThresholdMethod(Method):
    """Reads the answer off the image, which is the number of readers: sample n is the reader that noise picks."""

    name, title = "threshold", "Threshold"

    def __init__(self):
        super().__init__()
        self.config, self.channels, self.labels = None, 1, ("background", "nodule")
        experts = [Expert(f"A{k}", f"A{k}", "slice_area") for k in (1, 2, 3, 4)]
        self.experts = (Expert("inclusive", "Inclusive"), *experts)
        self.device_of_weights = nn.Parameter(torch.zeros(1))

    def encode(self, image):
        return image[:, 0]

    def sample(self, encoded, noise, style=None):
        batch = len(encoded)
        if style is None:
            style = LEVELS[(noise.uniform("reader", batch, ()) * 4).long()]  # [S, B]
        else:
            style = style.expand(len(noise.samples), batch)
        lesion = (encoded[None] > style[:, :, None, None]).float()
        return torch.stack([1 - lesion, lesion], 2)

    def expert_style(self, encoded, expert):
        return LEVELS.flip(0)[expert - 1].view(1, 1)

    def stages(self):
        return ()


@pytest.fixture(scope="module")
def method():
    return ThresholdMethod().eval()


planted = partial(write_discs, n=12, patients=4, one_missing=True)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return planted(tmp_path_factory.mktemp("data") / "fold0.npz")


@pytest.fixture(scope="module")
def slices(file):
    return LidcSlices.load([file])


# -- geometry ---------------------------------------------------------------------------------------------------------


def test_on_the_data_s_own_grid_a_perfect_model_scores_perfectly(method, slices):
    rows = slices.subset("four")
    figures = evaluate(method, FRAME, slices, rows, sizes=(200,), seeds=(0,)).figures
    assert figures["200 samples"]["ged"].mean() < 0.02  # readers drawn at random, 200 of them
    np.testing.assert_array_equal(figures["experts"]["ged"], 0)
    for k in (1, 2, 3, 4):
        np.testing.assert_array_equal(figures["experts"][f"dice_A{k}"], 1)
    np.testing.assert_array_equal(figures["experts"]["dice_diagonal"], 1)


@pytest.mark.parametrize("spacing", [0.5, 0.9])
def test_another_spacing_is_scored_in_the_native_pixels(method, tmp_path, spacing):
    slices = LidcSlices.load([planted(tmp_path / "fold0.npz", spacing_mm=spacing)])
    frame = Frame(size=64, spacing_mm=0.6, percentiles=(0.0, 100.0))
    prediction = next(predict_slices(method, frame, slices, [3], Sampling(4, (0,), 1)))
    assert prediction.samples.shape == (1, 4, SIZE, SIZE)
    dice = metrics.dice_each(metrics.Pairs.of(prediction.experts[0] > 0.5, readers(slices, 3)))
    assert dice.min() > 0.85  # the outline moves by less than a pixel; a wrong scale gives below .8
    areas = (prediction.experts[0] > 0.5).sum((1, 2))
    np.testing.assert_allclose(areas, readers(slices, 3).sum((1, 2)), rtol=0.2)


def test_what_the_frame_does_not_see_is_background(method, slices):
    frame = Frame(size=8, spacing_mm=0.7, percentiles=(0.0, 100.0))
    prediction = next(predict_slices(method, frame, slices, [0], Sampling(4, (0,), 1)))
    seen = np.zeros((SIZE, SIZE), bool)
    seen[12:20, 12:20] = True
    assert prediction.experts[0][:, seen].any()
    assert not prediction.experts[0][:, ~seen].any()


# -- noise ------------------------------------------------------------------------------------------------------------


def test_a_slice_is_drawn_alike_in_any_company(method, slices, monkeypatch):
    together = list(predict_slices(method, FRAME, slices, [0, 1, 2, 7], Sampling(20, (0, 5), 2)))
    monkeypatch.setattr(slice_predictions, "SLICES_PER_BATCH", 1)
    monkeypatch.setitem(slice_predictions.PLANES_PER_BATCH, "cpu", 3)
    alone = next(predict_slices(method, FRAME, slices, [7], Sampling(20, (0, 5), 2)))
    np.testing.assert_array_equal(together[-1].samples, alone.samples)
    areas = np.array([p.samples[0].sum((1, 2)) for p in together])
    ranks = (areas[:, :, None] > areas[:, None]).sum(2)  # which reader each sample is
    assert len(np.unique(ranks, axis=0)) == len(ranks)  # not the same on every slice
    assert (together[0].samples[0] != together[0].samples[1]).any()  # nor for every seed


def test_fewer_samples_are_the_first_ones(method, slices):
    both = evaluate(method, FRAME, slices, sizes=(3, 12), seeds=(0,)).figures
    few = evaluate(method, FRAME, slices, sizes=(3,), seeds=(0,)).figures
    np.testing.assert_array_equal(both["3 samples"]["ged"], few["3 samples"]["ged"])
    np.testing.assert_array_equal(both["curve"]["12"], both["12 samples"]["ged"])


def test_population_and_experts_are_drawn_for_every_seed(method, slices, monkeypatch):
    seen, original = set(), method.sample

    def sample(encoded, noise, style=None):
        seen.add((noise.seed, len(noise.samples), style is None))
        return original(encoded, noise, style)

    monkeypatch.setattr(method, "sample", sample)
    list(predict_slices(method, FRAME, slices, [0], Sampling(2, (0, 5), 3)))
    assert seen == {(0, 2, True), (5, 2, True), (0, 3, False), (5, 3, False)}


def test_seeds_are_averaged(method, slices):
    ged = [
        evaluate(method, FRAME, slices, sizes=(6,), seeds=s).figures["6 samples"]["ged"] for s in [(0,), (1,), (0, 1)]
    ]
    np.testing.assert_allclose(ged[2], (ged[0] + ged[1]) / 2)
    assert (ged[0] != ged[1]).any()


# -- figures ----------------------------------------------------------------------------------------------------------


def test_readers_come_smallest_first(slices):
    for row in range(len(slices)):
        masks = readers(slices, row)
        assert (np.diff(masks.sum((1, 2))) >= 0).all()
    assert not readers(slices, len(slices) - 1)[0].any()


def test_baselines_are_the_readers_own_masks(method, slices):
    figures = evaluate(method, FRAME, slices, [4], sizes=(4,), seeds=(0,)).figures
    masks = slices.masks([4])[0]
    majority = np.repeat((masks.sum(0) >= 2)[None], 4, 0)
    assert figures["majority mask"]["ged"][0] == pytest.approx(metrics.ged(metrics.Pairs.of(majority, masks)))
    one = [metrics.ged(metrics.Pairs.of(np.repeat(m[None], 4, 0), masks)) for m in masks]
    assert figures["random reader"]["ged"][0] == pytest.approx(np.mean(one))
    assert figures["readers"]["dice"][0] == pytest.approx(metrics.readers_overlap(metrics.Pairs.of(masks, masks)))


def test_an_empty_choice_of_slices_is_refused(method, slices):
    with pytest.raises(DataError, match="subset"):
        evaluate(method, FRAME, slices, [])


def test_intervals_are_over_patients_not_slices():
    rng = np.random.default_rng(0)
    level = rng.normal(0, 1, 40)
    values, patient = np.repeat(level, 25), np.repeat(np.arange(40), 25)  # 1,000 slices, but 40 opinions
    found, once = mean_estimate(values, patient), mean_estimate(level, np.arange(40))
    assert found.value == pytest.approx(level.mean())
    np.testing.assert_allclose(found, once)
    half = 1.96 * level.std() / np.sqrt(40)
    np.testing.assert_allclose([found.low, found.high], [level.mean() - half, level.mean() + half], atol=0.1 * half)


def test_undefined_slices_are_left_out():
    values, patient = np.array([1.0, np.nan, 3.0]), np.array(["a", "b", "c"])
    assert mean_estimate(values, patient).value == 2
    assert np.isnan(mean_estimate(values[1:2], patient[1:2]).value)


def test_paired_differences_are_sharper_than_two_intervals():
    rng = np.random.default_rng(1)
    hard, patient = rng.normal(0, 1, 200), np.arange(200)
    a, b = hard + rng.normal(0.1, 0.05, 200), hard + rng.normal(0, 0.05, 200)
    difference = paired_difference(a, b, patient)
    assert difference.low > 0
    assert mean_estimate(a, patient).low < mean_estimate(b, patient).high


def test_pooled_calibration_is_not_the_mean_of_slices():
    bins = np.zeros((2, 10, 3))
    bins[0, 5], bins[1, 5] = (100, 50, 100), (100, 50, 0)  # errors of opposite sign cancel once pooled
    assert calibration_estimate(bins, np.array(["a", "b"])).value == 0


def test_difference_of_pooled_ece_is_paired_over_patients():
    rng = np.random.default_rng(2)
    count = rng.integers(20, 200, (40, 10, 1)).astype(float)
    share = (np.arange(10)[None, :, None] + 0.5) / 10
    sloppy, sharp = (np.concatenate([count, count * share, count * np.clip(share + e, 0, 1)], 2) for e in (0.2, 0.02))
    patient = np.repeat(np.arange(20), 2)
    found = paired_calibration(sloppy, sharp, patient)
    apart = [calibration_estimate(bins, patient) for bins in (sloppy, sharp)]
    assert found.value == pytest.approx(apart[0].value - apart[1].value)
    assert found.low > 0.1
    np.testing.assert_array_equal(paired_calibration(sharp, sharp, patient), 0)


def test_ece_of_styles_is_the_mean_of_each_style_s_pooled_ece(method, slices):
    evaluation = evaluate(method, FRAME, slices, slices.subset("four"), sizes=(4,), seeds=(0,))
    found, bins = evaluation.estimates()["experts"], evaluation.figures["experts"]["ece_styles"]
    assert bins.shape == (len(slices.subset("four")), 4, 10, 3)
    each = [found[f"ece_A{k}"].value for k in (1, 2, 3, 4)]
    assert found["ece_styles"].value == pytest.approx(np.mean(each))


# -- files and command ------------------------------------------------------------------------------------------------


@pytest.fixture
def run(method, monkeypatch):
    checkpoint = Checkpoint(method, FRAME, {}, "threshold", "0" * 64)
    monkeypatch.setattr("MultiRaterSegLib.checkpoint.load_checkpoint", lambda name, device: checkpoint)
    return lambda *arguments: command.main(["threshold", "--seeds", "0", "--samples", "4", "8", *map(str, arguments)])


def test_command_writes_tables_pictures_and_predictions(run, file, slices, tmp_path, capsys):
    out, saved = tmp_path / "out", tmp_path / "P.npz"
    assert run("--data", file, "--subset", "four", "--save-predictions", saved, "--out", out) == 0
    assert "fold3_log" not in capsys.readouterr().out
    rows = slices.subset("four")
    with np.load(saved) as archive:
        samples, experts, index = archive["samples"], archive["experts"], archive["index"]
    assert (samples.shape, samples.dtype) == ((len(rows), 8, SIZE, SIZE), np.uint8)
    assert (experts.shape, experts.dtype) == ((len(rows), 4, SIZE, SIZE), np.uint8)
    np.testing.assert_array_equal(index, rows)
    assert (np.diff(experts.sum((2, 3), dtype=int), axis=1) >= 0).all()
    tree = json.loads((out / "table.json").read_text())
    again = np.mean([metrics.ged(metrics.Pairs.of(s, slices.masks([r])[0])) for s, r in zip(samples, index)])
    assert tree["figures"]["8 samples"]["ged"]["value"] == pytest.approx(again, abs=1e-6)
    assert tree["about"]["patients"] == 4
    text = (out / "table.md").read_text()
    for heading in ("8 samples", "majority mask", "random reader", "experts", "A4", "Conventions"):
        assert heading in text
    assert "Not a test" not in text
    pictures = {path.stem for path in out.glob("*.png")}
    assert pictures == {
        *("ged_by_samples", "reliability", "style_reliability", "uncertainty", "correctness", "dice_by_size"),
        "examples",
    }
    lines = (out / "table.csv").read_text().splitlines()
    assert lines[0] == "group,metric,value,low,high"
    assert any(line.startswith("experts,dice_A4,1,1,1") for line in lines)


def test_examples_are_the_evaluation_s_own_predictions_not_drawn_again(
    run, method, file, slices, monkeypatch, tmp_path
):
    drawn, shown, original = [], [], method.sample

    def sample(encoded, noise, style=None):
        if style is None:
            drawn.extend(product(noise.images, noise.samples))
        return original(encoded, noise, style)

    monkeypatch.setattr(method, "sample", sample)
    monkeypatch.setattr("Training.example_slices.plot_examples", lambda *arguments: shown.extend(arguments[2:]))
    assert run("--data", file, "--out", tmp_path / "out") == 0
    assert sorted(drawn) == list(product(slices.subset("four"), range(8)))
    rows, (model,) = shown
    assert len(rows) == 3
    for row, prediction in zip(rows, model.predictions):
        alone = next(predict_slices(method, FRAME, slices, [row], Sampling(8, (0,), 10)))
        np.testing.assert_array_equal(prediction.samples, alone.samples)
        np.testing.assert_array_equal(prediction.experts, alone.experts)


def test_command_compares_with_an_earlier_evaluation(run, file, tmp_path):
    assert run("--data", file, "--out", tmp_path / "first") == 0
    assert run("--data", file, "--every", 2, "--out", tmp_path / "second", "--against", tmp_path / "first") == 0
    found = json.loads((tmp_path / "second" / "table.json").read_text())["differences"]["first"]
    assert found["8 samples"]["ged"] == {"value": 0, "low": 0, "high": 0}
    assert "Minus first" in (tmp_path / "second" / "table.md").read_text()


def test_command_says_what_is_wrong_in_one_line(run, file, tmp_path, capsys):
    assert run("--data", file, file, "--save-predictions", tmp_path / "P.npz") == 2
    assert "one --data file" in capsys.readouterr().err
    assert run("--data", file, "--against", tmp_path) == 2
    assert "No evaluation" in capsys.readouterr().err


def test_a_model_scored_on_its_training_patients_is_told_on(run, method, monkeypatch, file, tmp_path):
    info = {"recipe": {"name": "recipe_name", "data": {"folds": [0, 1]}}}
    checkpoint = Checkpoint(method, FRAME, info, "best", "0" * 64)
    monkeypatch.setattr("MultiRaterSegLib.checkpoint.load_checkpoint", lambda name, device: checkpoint)
    assert run("--data", file, "--out", tmp_path / "out") == 0
    text = (tmp_path / "out" / "table.md").read_text()
    assert text.startswith("# recipe_name on fold0.npz")
    assert "Not a test: the model was trained on patients of fold0.npz" in text


def test_a_simulated_model_has_seen_the_same_fold_of_real_slices(run, method, monkeypatch, file, tmp_path):
    info = {"recipe": {"name": "r", "data": {"name": "simulated_without_sharp", "folds": [0]}}}
    checkpoint = Checkpoint(method, FRAME, info, "best", "0" * 64)
    monkeypatch.setattr("MultiRaterSegLib.checkpoint.load_checkpoint", lambda name, device: checkpoint)
    assert run("--data", file, "--out", tmp_path / "out") == 0
    assert json.loads((tmp_path / "out" / "table.json").read_text())["about"]["trained_on"] == ["fold0.npz"]


@pytest.fixture
def recipe(tmp_path):
    """A recipe on two folds of its own, half of whose patients are held back to choose the best step."""
    for fold in (0, 1):
        planted(tmp_path / f"fold{fold}.npz", seed=fold, first=4 * fold)
    data = '[data]\nname = "lidc_slices"\nfolds = [0, 1]\nvalidation_share = 0.5\n'
    path = tmp_path / "small.toml"
    path.write_text('method = "prosona"\nseed = 3\n' + data)
    return path


@pytest.mark.parametrize(("seed", "warned"), [(3, False), (4, True)])
def test_inner_validation_patients_are_no_test_for_a_model_of_another_split(
    run, method, monkeypatch, recipe, tmp_path, seed, warned
):
    trained = load_recipe(recipe)
    info = {"recipe": {"name": "r", "seed": seed, "data": dataclasses.asdict(trained.data)}}
    checkpoint = Checkpoint(method, FRAME, info, "best", "0" * 64)
    monkeypatch.setattr("MultiRaterSegLib.checkpoint.load_checkpoint", lambda name, device: checkpoint)
    assert run("--validation-of", recipe, "--root", tmp_path, "--subset", "all", "--out", tmp_path / "out") == 0
    settings = dataclasses.replace(trained.data, root=str(tmp_path))
    expected = load_data(settings).split_patients(0.5, 3)[1].slices
    seen = Evaluation.load(tmp_path / "out" / "per_slice.npz")
    assert seen.patient.tolist() == expected.patient.tolist()
    assert len(set(seen.patient)) == 4
    assert ("Not a test" in (tmp_path / "out" / "table.md").read_text()) is warned


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "say which slices"),
        (("--data", "a.npz", "--data-set", "simulated"), "say which slices"),
        (("--data", "a.npz", "--validation-of", "prosona_compact"), "say which slices"),
        (("--data-set", "simulated"), "needs --folds"),
    ],
)
def test_data_are_said_once(run, arguments, message, capsys):
    with pytest.raises(SystemExit):
        run(*arguments)
    assert message in capsys.readouterr().err


def test_the_test_fold_is_not_looked_at_unnoticed(run, tmp_path, capsys):
    path = planted(tmp_path / "fold3.npz", n=4, patients=2)
    assert run("--data", path, "--out", tmp_path / "out") == 0
    assert "docs/fold3_log.md" in capsys.readouterr().out


@pytest.mark.parametrize("name", DATASETS)
def test_only_a_fold_of_lidcs_patients_is_the_test_fold_and_simulated_scans_have_their_outlines(
    name, monkeypatch, capsys
):
    module = importlib.import_module("Training.compare")
    monkeypatch.setattr(module, "run", lambda options: "")
    assert module.main(["model", "--data-set", name, "--folds", "3"]) == 0
    reminded = evaluation_options.REMINDER in capsys.readouterr().out
    assert reminded == any(part in name for part in ("lidc", "simulated"))


@pytest.mark.parametrize(
    "name", ["compare", *(f"evaluate_{what}" for what in ("coherence", "control", "diffusion", "steering", "volumes"))]
)
def test_every_command_on_slices_is_told_them_alike(name, monkeypatch, capsys):
    module = importlib.import_module(f"Training.{name}")
    monkeypatch.setattr(module, "run", lambda options: f"{options.every} {options.data} {options.folds}")
    needed = ["model", *(["--pairs", "p.toml"] if name == "evaluate_steering" else [])]
    assert module.main([*needed, "--data-set", "lidc_slices", "--folds", "3", "--every", "2"]) == 0
    assert capsys.readouterr().out.splitlines() == [evaluation_options.REMINDER, "2 [] [3]"]
    assert module.main([*needed, "--data", "fold1.npz"]) == 0
    assert "Reminder" not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        module.main(needed)
    assert f"{name}.py: error: say which slices" in capsys.readouterr().err


def test_an_aborted_run_leaves_no_predictions(method, slices, tmp_path):
    path = tmp_path / "P.npz"
    prediction = next(predict_slices(method, FRAME, slices, [0], Sampling(2, (0,), 1)))

    def run():
        with PredictionFile(path, [0, 1]) as file:
            file.add(prediction)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert list(tmp_path.iterdir()) == []


def test_evaluations_are_read_back(method, slices, tmp_path):
    written = evaluate(method, FRAME, slices, sizes=(4,), seeds=(0,))
    written.save(tmp_path / "per_slice.npz")
    read = Evaluation.load(tmp_path / "per_slice.npz")
    assert str(read.estimates()) == str(written.estimates())
    shifted = dataclasses.replace(read, key=np.char.add(read.key, "x"))
    with pytest.raises(DataError, match="no slice in common"):
        written.differences(shifted)
