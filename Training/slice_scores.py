"""Every figure of one slice: a model's predictions, and the baselines beside it, against the readers' masks.

A figure is a number, calibration bins [K, 3], or pixels by entropy [kinds, 2 + ENTROPY_BINS]; what is made of those of
many slices is evaluation.py's business.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from MultiRaterSegLib import calibration, metrics

from .slice_predictions import SlicePrediction

NEAR_PIXELS = 5
"""Calibration is scored within so many native pixels (about 3.5 mm) of what any reader drew, and over all pixels."""

MAJORITY = 2  # readers of four who make the majority mask
ENTROPY_BINS = 20
CORRECTNESS = ("true negative", "false positive", "false negative", "true positive")

Figures = dict[str, dict[str, np.ndarray]]
"""{group: {metric: value}}."""


def score_slice(
    prediction: SlicePrediction,
    labels: np.ndarray,
    sizes: Sequence[int],
    names: Sequence[str],
    experts: Sequence[int],
) -> Figures:
    """All figures of one slice, averaged over seeds, with the baselines beside. labels: bool [M, H, W], called `names`;
    experts: which of them each expert of the prediction stands for."""
    near = calibration.near_union(labels, NEAR_PIXELS)
    by_seed = [_score_samples(samples, labels, near, sizes) for samples in prediction.samples]
    for figures, probability in zip(by_seed, prediction.probability):
        figures["consensus"] = score_consensus(probability, labels, near, names)
    if len(experts):
        for figures, maps in zip(by_seed, prediction.experts):
            figures["experts"] = _score_experts(maps, labels, near, names, experts)
    return combine(by_seed, partial(np.mean, axis=0)) | _score_baselines(labels, near)


def combine(parts: Sequence[Figures], how: Callable) -> Figures:
    """The same figures of several seeds or slices, as one."""
    return {
        group: {name: how([part[group][name] for part in parts]) for name in row} for group, row in parts[0].items()
    }


def _score_samples(samples: np.ndarray, labels: np.ndarray, near: np.ndarray, sizes: Sequence[int]) -> Figures:
    pairs = metrics.Pairs.of(samples, labels)
    figures = {f"{n} samples": score_set(pairs.first(n), samples[:n], labels, near) for n in sizes}
    doubling = [2**k for k in range(12) if all(abs(np.log2(2**k / n)) > 0.3 for n in sizes)]  # 32 beside 30 is a blot
    counts = sorted({n for n in (*doubling, *sizes) if n <= len(samples)})
    figures["curve"] = {str(n): metrics.ged(pairs.first(n)) for n in counts}
    figures["unbiased curve"] = {str(n): metrics.ged(pairs.first(n), distinct=True) for n in counts if n > 1}
    probability = samples[: max(sizes)].mean(0)
    drawn = labels.sum(0)[near]
    entropy = calibration.binary_entropy(probability[near])
    figures[f"{max(sizes)} samples"] |= {
        "entropy": by_entropy(drawn, entropy, len(labels) + 1),
        "correctness": _by_correctness(probability[near], drawn, entropy, len(labels)),
        "error_auroc_near": calibration.error_auroc(probability, labels, near),
    }
    return figures


def score_set(pairs: metrics.Pairs, samples: np.ndarray, labels: np.ndarray, near: np.ndarray) -> dict:
    """Every figure of a set of binary masks [N, H, W] against the readers' [M, H, W]. near: pixels to calibrate on."""
    insight = metrics.collective_insight(pairs)
    return {
        "ged": metrics.ged(pairs),
        "ged_dice": metrics.ged(pairs, "dice"),
        "ged_both_empty_far": metrics.ged(pairs, both_empty=0.0),
        "dice_soft": metrics.dice_soft(samples, labels),
        "dice_max": insight.dice_max,
        "dice_match": metrics.dice_match(pairs) if len(samples) >= len(labels) else np.nan,
        "hm_iou": metrics.hm_iou(pairs),
        "combined_sensitivity": insight.combined_sensitivity,
        "diversity_agreement": insight.diversity_agreement,
        "ci": insight.ci,
        "dice": metrics.mean_overlap(pairs),
        "iou": metrics.mean_overlap(pairs, "iou"),
        "diversity": metrics.diversity(pairs),
        **_calibration(samples.mean(0), labels, near),
    }


def score_consensus(probability: np.ndarray, labels: np.ndarray, near: np.ndarray, names: Sequence[str]) -> dict:
    """One map of probability [H, W], as a mask (> 0.5) against each reader and against what most of them drew."""
    mask = probability > 0.5
    most = labels.sum(0) * 2 > len(labels)
    against = metrics.Pairs.of(mask[None], np.concatenate([labels, most[None]])).similarity("dice").between[0]
    return {
        "dice": against[:-1].mean(),
        **{f"dice_{name}": value for name, value in zip(names, against)},
        "dice_most": against[-1],
        **_calibration(probability, labels, near),
    }


def _calibration(probability: np.ndarray, labels: np.ndarray, near: np.ndarray) -> dict:
    return {
        "ece_near": calibration.calibration_bins(probability, labels, near),
        "ece_all": calibration.calibration_bins(probability, labels),
        "brier_near": calibration.brier(probability, labels, near),
        "brier_all": calibration.brier(probability, labels),
        "auroc_near": calibration.disagreement_auroc(probability, labels, near),
    }


def _score_experts(
    maps: np.ndarray, labels: np.ndarray, near: np.ndarray, names: Sequence[str], experts: Sequence[int]
) -> dict:
    """Each expert's probability map [E, H, W] against the reader that it stands for (diagonal); the set as a set."""
    masks, meant = maps > 0.5, labels[list(experts)]
    pairs = metrics.Pairs.of(masks, meant)
    diagonal, matched = metrics.dice_each(pairs), metrics.dice_each(pairs, matched=True)
    figures = score_set(metrics.Pairs.of(masks, labels), masks, labels, near)
    figures |= {"dice_diagonal": diagonal.mean(), "dice_matched": matched.mean()}
    for k, reader in enumerate(experts):
        name, label = names[reader], labels[reader][None]
        figures[f"dice_{name}"], figures[f"matched_{name}"] = diagonal[k], matched[k]
        for region, pixels in (("", near), ("all_", None)):
            figures[f"ece_{region}{name}"] = calibration.calibration_bins(maps[k], label, pixels)
            figures[f"brier_{region}{name}"] = calibration.brier(maps[k], label, pixels)
    for kind, gather in (("ece", np.stack), ("ece_all", np.stack), ("brier", np.mean), ("brier_all", np.mean)):
        figures[f"{kind}_styles"] = gather([figures[f"{kind}_{names[reader]}"] for reader in experts])
    return figures


def _score_baselines(labels: np.ndarray, near: np.ndarray) -> Figures:
    """Sets that need no model: the majority mask repeated, one reader repeated (mean over who it is), the readers."""
    majority = labels.sum(0) >= MAJORITY
    alone = [_score_repeated(mask, labels, near) for mask in labels]
    pairs = metrics.Pairs.of(labels, labels)
    among = {name: metrics.readers_overlap(pairs, name) for name in ("dice", "iou")}
    return {
        "majority mask": _score_repeated(majority, labels, near),
        "random reader": {name: np.mean([row[name] for row in alone], axis=0) for name in alone[0]},
        "readers": among | {"diversity": metrics.diversity(pairs)},
    }


def _score_repeated(mask: np.ndarray, labels: np.ndarray, near: np.ndarray) -> dict:
    samples = np.repeat(mask[None], len(labels), 0)
    return score_set(metrics.Pairs.of(samples, labels), samples, labels, near)


def by_entropy(kind: np.ndarray, entropy: np.ndarray, kinds: int) -> np.ndarray:
    """Pixels of each kind (0, 1, ... [n]) by their entropy [n]: float64 [kinds, 2 + ENTROPY_BINS], the number, the
    summed entropy, and the number in each of equal bins of entropy."""
    level = np.minimum((entropy * ENTROPY_BINS).astype(int), ENTROPY_BINS - 1)
    counts = np.zeros((kinds, ENTROPY_BINS))
    np.add.at(counts, (kind, level), 1)
    return np.concatenate([counts.sum(1)[:, None], np.bincount(kind, entropy, kinds)[:, None], counts], 1)


def _by_correctness(probability: np.ndarray, drawn: np.ndarray, entropy: np.ndarray, readers: int) -> np.ndarray:
    """CORRECTNESS of pixels [n] on which the readers are unanimous, by entropy."""
    sure = (drawn == 0) | (drawn == readers)
    kind = 2 * (drawn[sure] == readers) + (probability[sure] > 0.5)
    return by_entropy(kind, entropy[sure], len(CORRECTNESS))
