"""Metrics against values that public code gives (../shared/reference/metric_vectors.json) and against brute force."""

import json
from itertools import permutations

import numpy as np
import pytest
import torch

from MultiRaterSegLib.calibration import (
    binary_entropy,
    brier,
    calibration_bins,
    disagreement_auroc,
    expected_calibration_error,
    near_union,
)
from MultiRaterSegLib.metrics import (
    Pairs,
    collective_insight,
    dice_each,
    dice_match,
    dice_max,
    dice_soft,
    diversity,
    ged,
    hm_iou,
    mean_overlap,
    readers_overlap,
)

SETS = "ABCDEGF"


@pytest.fixture(scope="module", params=SETS)
def vector(request, shared):
    """(predictions as given, predictions > 0.5, labels, values by implementation) of one set."""
    sets = json.loads((shared / "reference" / "metric_vectors.json").read_text())["sets"]
    found = next(value for name, value in sets.items() if name.startswith(request.param + "_"))
    labels = np.array([[c == "1" for c in text] for text in found["labels"]]).reshape(-1, 12, 12)
    raw = np.array(found["predictions"], np.float64).reshape(-1, 12, 12)
    return raw, raw > 0.5, labels, found["values"]


def close(value, expected, tolerance=1e-7):
    assert value == pytest.approx(expected, abs=tolerance)


def test_dpersona_and_diffoseg_released_evaluation(vector):
    raw, masks, labels, values = vector
    pairs = Pairs.of(masks, labels)
    for code in ("dpersona", "diffoseg"):
        expected = values[code]
        close(ged(pairs, both_empty=0.0), expected["GED"])
        close(dice_max(pairs, per="prediction"), expected["Dice_max(per prediction)"])
        close(dice_max(pairs, per="label"), expected["Dice_max_reverse(per label)"])
        close(dice_match(pairs), expected["Dice_match"])
        close(dice_each(pairs, matched=True), expected["Dice_each(default: matched)"])
        close(dice_each(pairs.first(4)), expected["Dice_each(is_test: diagonal)"])
        close(dice_soft(raw, labels), expected["Dice_soft(probabilities)"])
        close(dice_soft(masks, labels), expected["Dice_soft(binary predictions)"])
        # 1e-6 in numerator and denominator there
        close(ged(pairs, distinct=True), expected["GEDx(unused function: pairs i!=j, smooth 1e-6)"], 2e-6)


def test_diffoseg_personalised_evaluation_repeats_predictions(vector):
    _, masks, labels, values = vector
    pairs = Pairs.of(np.tile(masks, (4, 1, 1)), labels)
    expected = values["diffoseg_stage2_eval(predictions repeated x4)"]
    close(dice_match(pairs), expected["Dice_match"])
    close(dice_each(pairs, matched=True), expected["Dice_each"])
    close(ged(pairs, both_empty=0.0), expected["GED"])


def test_ccdm_phiseg_medicalmatting_and_cimd(vector):
    _, masks, labels, values = vector
    pairs = Pairs.of(masks, labels)
    for code in ("ccdm", "phiseg", "medicalmatting"):
        close(ged(pairs), values[code]["GED"])
    close(ged(pairs), values["cimd_notebook(binary predictions)"]["GED"], 5e-6)  # smoothed by 1e-5 there
    close(diversity(pairs, "labels"), values["ccdm"]["diversity_experts"])
    close(diversity(pairs, "samples"), values["ccdm"]["diversity_samples"])
    close(hm_iou(pairs), values["ccdm"]["HM_IoU"])


def test_definitions_under_every_convention(vector):
    _, masks, labels, values = vector
    pairs = Pairs.of(masks, labels)
    expected = dict(values["definitions(no reference code; masks binarised at >0.5)"])
    for empty in (0, 1):
        close(ged(pairs, both_empty=empty), expected.pop(f"GED biased 1-IoU, both-empty IoU={empty}"))
        close(ged(pairs, distinct=True, both_empty=empty), expected.pop(f"GED unbiased 1-IoU, both-empty IoU={empty}"))
        close(ged(pairs, "dice", both_empty=empty), expected.pop(f"GED biased 1-Dice, both-empty Dice={empty}"))
        close(mean_overlap(pairs, both_empty=empty), expected.pop(f"mean Dice over all pairs, both-empty Dice={empty}"))
        name = f"CIMD Sc (no union: 1), Dmax, DA, CI with both-empty Dice={empty}"
        close(list(collective_insight(pairs, empty)), expected.pop(name))
    assert not expected  # every value was compared


# -- brute force ------------------------------------------------------------------------------------------------------


def random_sets(seed: int, samples: int = 5, labels: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Small masks of very different size, some empty."""
    rng = np.random.default_rng(seed)
    masks = rng.random((samples + labels, 7, 6)) < rng.choice([0, 0.1, 0.5, 0.9], (samples + labels, 1, 1))
    return masks[:samples], masks[samples:]


def slow_iou(a, b, empty=1.0):
    a, b = {tuple(p) for p in np.argwhere(a)}, {tuple(p) for p in np.argwhere(b)}
    return len(a & b) / len(a | b) if a | b else empty


def slow_dice(a, b, empty=1.0):
    a, b = {tuple(p) for p in np.argwhere(a)}, {tuple(p) for p in np.argwhere(b)}
    return 2 * len(a & b) / (len(a) + len(b)) if a or b else empty


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("empty", [0.0, 1.0])
def test_pair_metrics_equal_loops_over_pixels(seed, empty):
    s, y = random_sets(seed)
    pairs = Pairs.of(s, y)
    for name, score in (("iou", slow_iou), ("dice", slow_dice)):
        cross = [1 - score(a, b, empty) for a in s for b in y]
        within = [[1 - score(a, b, empty) for a in x for b in x] for x in (s, y)]
        different = [[1 - score(x[i], x[j], empty) for i in range(len(x)) for j in range(i)] for x in (s, y)]
        close(ged(pairs, name, both_empty=empty), 2 * np.mean(cross) - sum(map(np.mean, within)))
        close(ged(pairs, name, True, empty), 2 * np.mean(cross) - sum(map(np.mean, different)))
        close(mean_overlap(pairs, name, empty), 1 - np.mean(cross))
        close(readers_overlap(pairs, name, empty), 1 - np.mean(different[1]))
    best = [max(slow_dice(a, b, empty) for a in s) for b in y]
    close(dice_max(pairs, both_empty=empty), np.mean(best))
    choices = permutations(range(len(s)), len(y))
    matched = max(np.mean([slow_dice(s[n], b, empty) for n, b in zip(choice, y)]) for choice in choices)
    close(dice_match(pairs, empty), matched)


def test_hm_iou_tiles_both_sets_to_their_least_common_multiple():
    s, y = random_sets(3, samples=3, labels=2)
    tiled_s, tiled_y = [*s, *s], [*y, *y, *y]
    pairings = (np.mean([slow_iou(a, tiled_y[m]) for a, m in zip(tiled_s, p)]) for p in permutations(range(6)))
    close(hm_iou(Pairs.of(s, y)), max(pairings))


def test_first_samples_equal_counting_them_anew():
    s, y = random_sets(5, samples=9)
    few, anew = Pairs.of(s, y).first(3), Pairs.of(s[:3], y)
    assert ged(few) == ged(anew)
    assert hm_iou(few) == hm_iou(anew)
    assert collective_insight(few) == collective_insight(anew)


def test_dice_soft_levels_are_strict_for_any_number_of_samples():
    label = np.ones((10, 1, 1), bool)
    for count in (10, 20, 30, 50):
        sample = np.zeros((count, 1, 1), bool)
        sample[: 3 * count // 10] = True  # mean exactly .3: above .1 only
        assert dice_soft(sample, label) == pytest.approx(1 / 5)
        assert dice_soft(torch.from_numpy(sample).float(), torch.from_numpy(label)) == pytest.approx(1 / 5)


def test_tensors_and_arrays_give_the_same():
    s, y = random_sets(1)
    assert ged(Pairs.of(torch.from_numpy(s), torch.from_numpy(y).float())) == ged(Pairs.of(s.astype(np.uint8), y))


def test_single_masks_are_defined():
    s, y = random_sets(0, samples=1)
    pairs = Pairs.of(s | True, y)
    assert diversity(pairs) == 0
    assert np.isfinite(collective_insight(pairs)).all()
    assert np.isnan(readers_overlap(Pairs.of(s, y[:1])))


def test_wrong_input_is_refused_in_words():
    s, y = random_sets(2)
    with pytest.raises(ValueError, match="at least as many predictions as labels; got 3 for 4"):
        dice_match(Pairs.of(s[:3], y))
    with pytest.raises(ValueError, match="needs as many predictions as labels; got 5 for 4"):
        dice_each(Pairs.of(s, y))
    with pytest.raises(ValueError, match="at least two masks"):
        ged(Pairs.of(s[:1], y), distinct=True)
    with pytest.raises(ValueError, match="Binarise"):
        Pairs.of(s * 0.7, y)
    with pytest.raises(ValueError, match="must match"):
        Pairs.of(s[:, :3], y)
    with pytest.raises(ValueError, match="non-empty set"):
        Pairs.of(s[:0], y)


# -- calibration ------------------------------------------------------------------------------------------------------


def test_ece_and_brier_equal_loops_over_pixels_and_readers():
    rng = np.random.default_rng(0)
    p, labels, region = rng.random((9, 8)), rng.random((3, 9, 8)) < 0.3, rng.random((9, 8)) < 0.6
    error, squares, count = 0.0, [], int(region.sum())
    for k in range(10):
        chosen = [i for i in np.argwhere(region) if k / 10 <= p[tuple(i)] < (k + 1) / 10]
        if chosen:
            confidence = np.mean([p[tuple(i)] for i in chosen])
            accuracy = np.mean([labels[m][tuple(i)] for i in chosen for m in range(3)])
            error += len(chosen) / count * abs(accuracy - confidence)
    squares = [(p[tuple(i)] - labels[m][tuple(i)]) ** 2 for i in np.argwhere(region) for m in range(3)]
    close(float(expected_calibration_error(calibration_bins(p, labels, region))), error)
    close(brier(p, labels, region), np.mean(squares))


def test_calibration_bins_of_images_add_up():
    rng = np.random.default_rng(1)
    p, labels = rng.random((2, 6, 6)), rng.random((4, 2, 6, 6)) < 0.5
    together = calibration_bins(p, labels)
    apart = sum(calibration_bins(p[i], labels[:, i]) for i in range(2))
    np.testing.assert_allclose(together, apart)
    assert together[:, 0].sum() == p.size
    assert calibration_bins(np.ones((2, 2)), labels[:, 0, :2, :2])[-1, 0] == 4


def test_an_empty_prediction_scores_badly_near_the_lesion_only():
    labels = np.zeros((4, 128, 128), bool)
    labels[:, 60:68, 60:68] = True
    nothing = np.zeros((128, 128))
    near = near_union(labels, 3)
    assert expected_calibration_error(calibration_bins(nothing, labels)) < 0.005
    assert expected_calibration_error(calibration_bins(nothing, labels, near)) > 0.3
    assert brier(nothing, labels, near) > 0.3


def test_near_union_is_a_disc_around_what_anybody_drew():
    labels = np.zeros((2, 11, 11), bool)
    labels[1, 5, 5] = True
    i, j = np.indices((11, 11)) - 5
    np.testing.assert_array_equal(near_union(labels, 3), i**2 + j**2 <= 9)
    nobody = near_union(labels[:1], 3)
    assert not nobody.any()
    assert np.isnan(expected_calibration_error(calibration_bins(np.zeros((11, 11)), labels, nobody)))
    assert np.isnan(brier(np.zeros((11, 11)), labels, nobody))


def test_entropy_is_in_bits():
    close(binary_entropy([0.0, 0.5, 1.0, 0.11]), [0, 1, 0, 0.4999], 1e-4)


def test_disagreement_auroc_equals_comparing_every_pixel_pair():
    rng = np.random.default_rng(4)
    p, labels = rng.integers(0, 51, (12, 14)) / 50, rng.random((4, 12, 14)) < 0.4
    labels[:, :5] = labels[:1, :5]
    share = labels.mean(0)
    split = (share > 0) & (share < 1)
    sure = np.abs(p - 0.5).round(6)
    wins = [(b > a) + 0.5 * (a == b) for a in sure[split] for b in sure[~split]]
    close(disagreement_auroc(p, labels), np.mean(wins))
    assert np.isnan(disagreement_auroc(p, labels[:1]))
