"""Robustness, calibration, uncertainty and comparison, on planted models whose order is known."""

import csv
import json

import numpy as np
import pytest
from planted_models import FRAME, Planted
from prepared_slices import write_discs

from MultiRaterSegLib.calibration import auroc, binary_entropy, error_auroc
from MultiRaterSegLib.checkpoint import Checkpoint
from MultiRaterSegLib.errors import CheckpointError, DataError
from MultiRaterSegLib.method import Expert
from Training import compare
from Training.corruptions import KINDS, corrupt
from Training.data.lidc_slices import LidcSlices
from Training.data.slices import Slices
from Training.evaluation import evaluate
from Training.printed import printed_sections
from Training.robustness import CLEAN, corrupted_planes, evaluate_conditions, losses
from Training.slice_predictions import Sampling, experts_and_readers, predict_slices, reader_names
from Training.slice_scores import by_entropy

MODELS = ("perfect", "overconfident", "empty", "blurred")


@pytest.fixture(scope="module")
def slices(tmp_path_factory):
    return LidcSlices.load([write_discs(tmp_path_factory.mktemp("data") / "fold0.npz")])


@pytest.fixture(scope="module")
def evaluations(slices):
    return {kind: evaluate(Planted(kind), FRAME, slices, sizes=(16,), seeds=(0,)) for kind in MODELS}


@pytest.fixture(scope="module")
def found(evaluations):
    return {kind: evaluation.estimates() for kind, evaluation in evaluations.items()}


def best_first(found, group: str, name: str, lower: bool = False) -> list[str]:
    return sorted(found, key=lambda kind: (1 if lower else -1) * found[kind][group][name].value)


# -- order of planted models ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ged", "ece_near", "brier_near"])
def test_the_perfect_model_is_best_and_the_empty_one_worst(found, name):
    order = best_first(found, "16 samples", name, lower=True)
    assert order[0] == "perfect"
    assert order[1] == "overconfident"
    assert order[-1] in ("empty", "blurred")  # the blurred one's samples, half a probability, are empty too


def test_an_empty_prediction_is_badly_calibrated_near_the_lesion(found):
    near, everywhere = (found["empty"]["16 samples"][name].value for name in ("ece_near", "ece_all"))
    assert near > 1.5 * found["overconfident"]["16 samples"]["ece_near"].value
    assert near > everywhere
    for k in (1, 2, 3, 4):
        assert found["perfect"]["experts"][f"ece_A{k}"].value == pytest.approx(0, abs=1e-6)
        assert found["empty"]["experts"][f"ece_A{k}"].value > 0.02


def test_probabilities_tell_more_than_their_masks(found):
    """The blurred model has no mask, but half a probability where somebody drew: its mean probability is scored too."""
    blurred = found["blurred"]
    assert blurred["consensus"]["ece_near"].value < 0.5 * blurred["16 samples"]["ece_near"].value
    assert blurred["consensus"]["auroc_near"].value > 0.7
    assert blurred["16 samples"]["auroc_near"].value == pytest.approx(0.5)  # all certain: every pair ties


def test_entropy_of_the_perfect_model_finds_disagreement(found):
    order = best_first(found, "16 samples", "auroc_near")
    assert order[0] == "perfect"
    assert found["perfect"]["16 samples"]["auroc_near"].value > 0.97
    assert found["overconfident"]["16 samples"]["auroc_near"].value == pytest.approx(0.5)


def test_the_consensus_is_scored_against_every_reader_for_every_model(found, slices):
    labels = slices.masks(slice(None))
    most = labels.sum(1) >= 3
    ranks = np.sort(labels.sum((2, 3)), 1)  # nested discs: Dice is arithmetic on areas
    area = most.sum((1, 2))
    for k in range(4):
        expected = 2 * np.minimum(area, ranks[:, k]) / (area + ranks[:, k])
        assert found["overconfident"]["consensus"][f"dice_A{k + 1}"].value == pytest.approx(expected.mean())
    assert found["overconfident"]["consensus"]["dice_most"].value == 1
    assert found["empty"]["consensus"]["dice"].value == 0


def test_unbiased_ged_does_not_fall_with_the_number_of_samples(evaluations):
    curve, unbiased = (evaluations["perfect"].figures[name] for name in ("curve", "unbiased curve"))
    assert curve["2"].mean() > curve["16"].mean() + 0.1
    assert abs(unbiased["16"].mean() - unbiased["4"].mean()) < 0.05


# -- uncertainty ------------------------------------------------------------------------------------------------------


def test_error_auroc_equals_comparing_every_pixel_pair():
    rng = np.random.default_rng(0)
    p, labels = rng.integers(0, 17, (11, 13)) / 16, rng.random((4, 11, 13)) < 0.5
    labels[:, :7] = labels[:1, :7]
    region = rng.random((11, 13)) < 0.8
    wrong, right = [], []
    for i in np.argwhere(region):
        votes = labels[(slice(None), *i)]
        if votes.all() or not votes.any():
            sure = abs(p[tuple(i)] - 0.5)
            (wrong if (p[tuple(i)] > 0.5) != votes[0] else right).append(sure)
    wins = [(a < b) + 0.5 * (a == b) for a in wrong for b in right]
    assert error_auroc(p, labels, region) == pytest.approx(np.mean(wins))
    assert np.isnan(error_auroc(labels[0].astype(float), labels[:1]))  # no pixel is wrong


def test_auroc_counts_ties_half_and_needs_both_kinds():
    assert auroc(np.array([1.0, 1.0, 0.0]), np.array([True, False, False])) == 0.75
    assert np.isnan(auroc(np.arange(3.0), np.ones(3, bool)))


def test_pixels_by_entropy_are_counted_and_summed():
    rng = np.random.default_rng(1)
    kind, entropy = rng.integers(0, 3, 200), np.append(rng.random(199), 1.0)
    table = by_entropy(kind, entropy, 4)
    for k in range(4):
        chosen = entropy[kind == k]
        assert table[k, 0] == len(chosen)
        assert table[k, 1] == pytest.approx(chosen.sum())
        np.testing.assert_array_equal(table[k, 2:], np.histogram(chosen, 20, (0, 1))[0])


def test_correctness_counts_only_pixels_on_which_readers_are_unanimous(evaluations, slices):
    """The overconfident model is right wherever all agree; the empty one misses what all marked."""
    kinds = {kind: evaluations[kind].figures["16 samples"]["correctness"][:, :, 0].sum(0) for kind in MODELS}
    unanimous = slices.masks(slice(None)).all(1).sum()
    assert kinds["overconfident"][1] == kinds["overconfident"][2] == 0
    assert kinds["overconfident"][3] == kinds["empty"][2] == unanimous
    assert kinds["empty"][[1, 3]].sum() == 0
    entropy = evaluations["perfect"].figures["16 samples"]["entropy"].sum(0)
    np.testing.assert_allclose(entropy[:, 1] / entropy[:, 0], binary_entropy(np.arange(5) / 4), atol=0.15)


# -- size -------------------------------------------------------------------------------------------------------------


def test_size_groups_are_thirds_by_what_most_readers_marked(evaluations, slices):
    evaluation = evaluations["perfect"]
    np.testing.assert_array_equal(evaluation.size_px, (slices.masks(slice(None)).sum(1) >= 3).sum((1, 2)))
    groups = evaluation.by_size()
    assert np.sum([rows for _, rows in groups], axis=0).tolist() == [1] * len(slices)
    assert [rows.sum() for _, rows in groups] == pytest.approx(
        [len(slices) / 3] * 3, abs=2
    )  # equal sizes stay together
    edges = [(evaluation.size_px[rows].min(), evaluation.size_px[rows].max()) for _, rows in groups]
    assert edges[0][1] < edges[1][0]
    assert edges[1][1] < edges[2][0]


# -- who stands for whom ----------------------------------------------------------------------------------------------


def test_a_model_of_some_styles_is_scored_on_its_own_readers(slices):
    method = Planted("perfect", ("A3", "A1"))
    assert experts_and_readers(method, slices) == [(1, 0), (0, 2)]
    figures = evaluate(method, FRAME, slices, sizes=(4,), seeds=(0,)).figures["experts"]
    np.testing.assert_array_equal(figures["dice_A1"], 1)
    np.testing.assert_array_equal(figures["dice_A3"], 1)
    assert "dice_A2" not in figures


def test_a_model_without_styles_has_no_experts(slices):
    evaluation = evaluate(Planted("perfect", ()), FRAME, slices, [0, 1], sizes=(4,), seeds=(0,))
    assert "experts" not in evaluation.figures
    assert "consensus" in evaluation.figures


def test_stable_raters_keep_their_order_and_names(slices):
    columns = ("images", "packed_masks", "patient", "nodule", "slice_index", "spacing_mm")
    stable = Slices(*(getattr(slices, name) for name in columns), raters=("ben", "anna", "carl", "dora"))
    method = Planted("perfect", ())
    method.experts = (
        Expert("A1", "rank", "slice_area"),
        Expert("carl", "Carl", "rater"),
        Expert("ben", "Ben", "rater"),
    )
    assert reader_names(stable) == ("ben", "anna", "carl", "dora")
    assert experts_and_readers(method, stable) == [(2, 0), (1, 2)]


def test_channels_that_do_not_fit_are_explained(slices):
    method = Planted("perfect")
    method.channels = 3
    with pytest.raises(DataError, match=r"takes images of 3 channel.*have 1"):
        next(predict_slices(method, FRAME, slices, [0], Sampling(1, (0,), 1)))


# -- worse images -----------------------------------------------------------------------------------------------------


def test_corruptions_are_what_they_say():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (2, 40, 40)).astype(np.float32)
    image[:, 0, :2] = (0, 255)
    unit = image / 255
    found = {name: corrupt(image, how, "P/0/1") for kind in KINDS.values() for name, how in kind.items()}
    assert list(found) == [
        *("noise 0.1", "noise 0.15", "noise 0.25", "blur 1", "blur 1.5", "blur 1.75"),
        *("gamma 0.75", "gamma 1.5", "gamma 1.75"),
    ]
    inner = (unit > 0.35) & (unit < 0.65)  # where 0.1 of noise is never cut
    assert (found["noise 0.1"] - unit)[inner].std() == pytest.approx(0.1, rel=0.1)
    np.testing.assert_allclose(found["gamma 1.5"], unit**1.5, rtol=1e-5)
    x = np.arange(-5, 6)
    kernel = np.exp(-0.5 * (x / 1.5) ** 2)
    row = np.convolve(np.eye(41)[20], kernel / kernel.sum(), "same")
    point = np.zeros((1, 41, 41), np.float32)
    point[0, 20, 20] = 7
    np.testing.assert_allclose(corrupt(point, KINDS["blur"]["blur 1.5"], "")[0], np.outer(row, row), atol=1e-4)
    assert all(values.min() >= 0 and values.max() <= 1 for values in found.values())


def test_noise_is_the_slice_s_own_and_the_same_for_every_model():
    image = np.random.default_rng(0).random((1, 16, 16))
    noise = KINDS["noise"]["noise 0.1"]
    np.testing.assert_array_equal(corrupt(image, noise, "a"), corrupt(image, noise, "a"))
    assert (corrupt(image, noise, "a") != corrupt(image, noise, "b")).any()
    scaled = corrupt(image * 1000 - 200, noise, "a")  # the unit does not matter
    np.testing.assert_allclose(scaled, corrupt(image, noise, "a"), atol=1e-5)


@pytest.fixture(scope="module")
def under_noise(slices):
    rows = slices.subset("four")
    conditions = corrupted_planes(slices, rows, ["noise", "gamma"])
    return {
        kind: evaluate_conditions(Planted(kind), FRAME, slices, rows, conditions, Sampling(8, (0,), 1))
        for kind in ("perfect", "overconfident", "empty")
    }


def test_noise_costs_more_the_stronger_it_is_and_nothing_costs_the_empty_model(under_noise):
    lost = {kind: losses(evaluation) for kind, evaluation in under_noise.items()}
    for measure in ("dice", "dice_experts", "ged"):
        series = [lost["perfect"][f"noise {s}"][measure].value for s in ("0.1", "0.15", "0.25")]
        assert 0 < series[0] < series[1] < series[2]
        assert lost["empty"]["noise 0.25"][measure] == (0, 0, 0)
    assert lost["perfect"]["noise 0.25"]["dice_soft"].value > lost["overconfident"]["noise 0.1"]["dice_soft"].value


def test_losses_are_paired_with_the_clean_slices(under_noise):
    evaluation = under_noise["perfect"]
    clean, noisy = evaluation.figures[CLEAN], evaluation.figures["noise 0.25"]
    found = losses(evaluation)["noise 0.25"]
    assert found["dice"].value == pytest.approx((clean["dice"] - noisy["dice"]).mean())
    assert found["ged"].value == pytest.approx((noisy["ged"] - clean["ged"]).mean())
    estimates = evaluation.estimates()
    difference = estimates["noise 0.25"]["ece_near"].value - estimates[CLEAN]["ece_near"].value
    assert found["ece_near"].value == pytest.approx(difference)
    assert CLEAN not in losses(evaluation)


# -- comparison -------------------------------------------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch, slices, tmp_path):
    """compare.py on models named by their kind, and the name of a model for each mask that it was asked for."""
    drawn = []

    def load(name, _device):
        method = Planted(name, () if name == "empty" else ("A1", "A2", "A3", "A4"))
        original = method.sample
        method.sample = lambda encoded, noise, style=None: (
            drawn.extend([name] * len(noise.images) * len(noise.samples)) or original(encoded, noise, style)
        )
        return Checkpoint(method.eval(), FRAME, {}, name, name * 2)

    def find(name):
        if name == "gone":
            raise CheckpointError("No model 'gone'.")

    monkeypatch.setattr("MultiRaterSegLib.checkpoint.load_checkpoint", load)
    monkeypatch.setattr("MultiRaterSegLib.checkpoint.find_model", find)
    write_discs(tmp_path / "fold0.npz")
    settings = ["--data", tmp_path / "fold0.npz", "--samples", "4", "8", "--seeds", "0", "--expert-samples", "1"]
    settings += ["--every", "2", "--out", tmp_path / "out"]
    return lambda *arguments: (compare.main([*map(str, (*arguments, *settings))]), drawn)


def test_comparison_holds_every_model_its_differences_and_what_papers_print(run, tmp_path, capsys):
    code, _ = run("perfect", "sure=overconfident", "empty", "--reference", "sure", "--robustness", "noise")
    assert code == 0, capsys.readouterr().err
    text = (tmp_path / "out" / "compare.md").read_text()
    for heading in (
        "Sets of 8 samples",
        "Minus sure, paired",
        "Size and speed",
        "Robustness",
        "majority mask",
        "by size",
        "Readers among themselves",
        "distinct pairs",
        "by readers who marked it",
        "by correctness",
    ):
        assert heading in text
    assert "Context only, not comparable" in text
    assert "| Harmonizer | 50 | 0.1048 | 91.81 | 92.28 | 91.94 |" in text
    assert "NPC" not in text
    share = text.split("loss of consensus Dice over that of sure")[1].split("| perfect |")[1].split("|")[2]
    lost = {}
    for model in ("perfect", "sure"):
        found = json.loads((tmp_path / "out" / model / "table.json").read_text())["robustness"]["losses"]
        lost[model] = found["noise 0.25"]["dice"]["value"]
    assert float(share.split()[0]) == pytest.approx(lost["perfect"] / lost["sure"], abs=1e-3)
    with (tmp_path / "out" / "compare.csv").open() as file:
        rows = {(row["model"], row["group"], row["metric"]): row for row in csv.DictReader(file)}
    tables = {m: json.loads((tmp_path / "out" / m / "table.json").read_text()) for m in ("perfect", "sure", "empty")}
    for model, tree in tables.items():
        figure = tree["figures"]["8 samples"]["ged"]
        row = rows[model, "8 samples", "ged"]
        assert float(row["value"]) == pytest.approx(figure["value"], abs=1e-5)
        expected = figure["value"] - tables["sure"]["figures"]["8 samples"]["ged"]["value"]
        assert float(row["minus_reference_value"]) == pytest.approx(expected, abs=1e-5)
        assert rows[model, "cost", "parameters"]["value"] == "3"
    assert float(rows["perfect", "8 samples", "ged"]["minus_reference_high"]) < 0
    assert ("empty", "experts", "dice_A1") not in rows
    assert (tmp_path / "out" / "compare.png").stat().st_size > 20_000


def test_a_finished_model_is_not_evaluated_again_unless_something_changed(run, tmp_path):
    _, drawn = run("perfect", "empty")
    first = len(drawn)
    before = (tmp_path / "out" / "compare.csv").read_text().splitlines()
    run("perfect", "empty")
    timed = drawn[first:]
    assert len(timed) < first  # only the timing and the three examples
    figures = [
        [line for line in lines if "cpu_s" not in line]
        for lines in (before, (tmp_path / "out" / "compare.csv").read_text().splitlines())
    ]
    assert figures[0] == figures[1]
    start = len(drawn)
    run("perfect", "empty", "--robustness", "gamma")
    assert len(drawn) - start > len(timed)


def test_models_get_labels_and_two_may_not_share_one():
    assert compare.labelled(["runs/a/best.safetensors", "prosona_compact", "x=runs/b"]) == {
        "a": "runs/a/best.safetensors",
        "prosona_compact": "prosona_compact",
        "x": "runs/b",
    }
    with pytest.raises(DataError, match="Two models are called 'a'"):
        compare.labelled(["runs/a", "other/a"])
    with pytest.raises(DataError, match="label"):
        compare.labelled(["runs/w=3"])


def test_a_missing_model_is_told_before_any_is_evaluated(run, capsys):
    code, drawn = run("perfect", "gone")
    assert (code, drawn) == (2, [])
    assert "No model 'gone'" in capsys.readouterr().err


def test_an_unknown_reference_is_explained(run, capsys):
    assert run("perfect", "--reference", "nobody")[0] == 2
    assert "not among the models: perfect" in capsys.readouterr().err


def test_printed_numbers_are_complete_and_agree_with_their_columns():
    for data in ("LIDC-IDRI", "NPC-170"):
        lines = printed_sections(data)
        widths = {line.count("|") for line in lines if line.startswith("| Harmonizer")}
        assert widths
        assert any("table 1" in line for line in lines)
    blocks, current = [], []
    for line in printed_sections("LIDC-IDRI"):
        if line.startswith("|"):
            current.append(line.count("|"))
        elif current:
            blocks.append(current)
            current = []
    assert all(len(set(block)) == 1 for block in blocks)
