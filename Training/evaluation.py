"""The protocol of the tables: every slice scored against its readers, in its native pixels.

GED with 1-IoU over all pairs and two empty masks at distance 0; Dice_soft of binary samples; the mean over slices of
the mean over sampling seeds. docs/metrics.md says which published table uses which convention.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from MultiRaterSegLib import calibration, metrics
from MultiRaterSegLib.errors import DataError
from MultiRaterSegLib.frame import Frame
from MultiRaterSegLib.method import Method

from .bootstrap import Estimate, calibration_estimate, mean_estimate, paired_difference
from .data.slices import Slices
from .slice_predictions import Sampling, SlicePrediction, predict_slices

NEAR_PIXELS = 5
"""Calibration is scored within so many native pixels (about 3.5 mm) of what any reader drew, and over all pixels."""

MAJORITY = 2  # readers of four who make the majority mask

Figures = dict[str, dict[str, np.ndarray]]
"""{group: {metric: value}}; a value is a number, calibration bins [K, 3], or entropy sums [M + 1, 2]."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """figures: the values of all slices, [N] or [N, K, 3]; groups are "10 samples", .., "experts", the baselines
    "majority mask", "random reader" and "readers", and "curve" (GED by number of samples). key: [N] text that names
    a slice wherever it is stored. diameter_mm: [N], of a circle with the mean area of the outlines."""

    key: np.ndarray
    patient: np.ndarray
    diameter_mm: np.ndarray
    figures: Figures

    def estimates(self) -> dict[str, dict[str, Estimate]]:
        """Every figure over all slices with its 95 % interval over patients."""
        return {
            group: {name: self._estimate(name, values) for name, values in row.items() if name != "entropy"}
            for group, row in self.figures.items()
        }

    def _estimate(self, name: str, values: np.ndarray) -> Estimate:
        return (calibration_estimate if name.startswith("ece") else mean_estimate)(values, self.patient)

    def differences(self, other: "Evaluation") -> dict[str, dict[str, Estimate]]:
        """This model minus another on the slices that both saw, paired; intervals over patients. Not for ECE."""
        _, mine, theirs = np.intersect1d(self.key, other.key, return_indices=True)
        if len(mine) == 0:
            raise DataError("The two evaluations have no slice in common. Evaluate both models on the same data.")
        found = {}
        for group in self.figures.keys() & other.figures.keys():
            a, b = self.figures[group], other.figures[group]
            found[group] = {
                name: paired_difference(a[name][mine], b[name][theirs], self.patient[mine])
                for name in a
                if name in b and a[name].ndim == 1
            }
        return found

    def save(self, path: Path) -> None:
        """All values of all slices, for paired differences later."""
        flat = {f"{group}/{name}": value for group, row in self.figures.items() for name, value in row.items()}
        np.savez_compressed(path, key=self.key, patient=self.patient, diameter_mm=self.diameter_mm, **flat)

    @classmethod
    def load(cls, path: Path) -> "Evaluation":
        """Raises DataError when there is no such file."""
        if not path.is_file():
            raise DataError(f"No evaluation at '{path}'. Give the --out folder of a finished run of evaluate.py.")
        with np.load(path) as archive:
            figures: Figures = {}
            for name in archive.files:
                if "/" in name:
                    group, metric = name.split("/")
                    figures.setdefault(group, {})[metric] = archive[name]
            return cls(archive["key"], archive["patient"], archive["diameter_mm"], figures)


def evaluate(
    method: Method,
    frame: Frame,
    slices: Slices,
    rows: Sequence[int] | None = None,
    sizes: Sequence[int] = (10, 30, 50),
    seeds: Sequence[int] = (0, 1, 2),
    expert_samples: int = 10,
    keep: Callable[[SlicePrediction], None] | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Evaluation:
    """Scores the given rows (default: all). sizes: numbers of samples; the largest is drawn once, the first n are used.

    keep is given each prediction as it comes; progress wraps the loop over slices.
    """
    rows = np.arange(len(slices)) if rows is None else np.asarray(rows)
    if len(rows) == 0:
        raise DataError("No slice to evaluate: the chosen subset of this data is empty. Try --subset all.")
    if slices.present is not None and not slices.present[rows].all():
        raise DataError("Some slices were not seen by every rater; their scores cannot be averaged. Leave them out.")
    sampling = Sampling(max(sizes), tuple(seeds), expert_samples)
    scored = []
    for prediction in progress(predict_slices(method, frame, slices, rows, sampling)):
        scored.append(score_slice(prediction, readers(slices, prediction.row), sizes))
        if keep is not None:
            keep(prediction)
    figures = _combine(scored, np.stack)
    return Evaluation(slice_keys(slices, rows), slices.patient[rows], lesion_diameter_mm(slices, rows), figures)


def readers(slices: Slices, row: int) -> np.ndarray:
    """Masks [M, H, W] by area, the smallest (perhaps empty) first: the papers' A1..A4."""
    masks = slices.masks([row])[0]
    return masks[np.argsort(masks.sum((1, 2)), kind="stable")]


def slice_keys(slices: Slices, rows: np.ndarray) -> np.ndarray:
    """ "patient/nodule/slice" of each row."""
    columns = (slices.patient[rows], slices.nodule[rows], slices.slice_index[rows])
    return np.array(["/".join(map(str, values)) for values in zip(*columns)])


def lesion_diameter_mm(slices: Slices, rows: np.ndarray) -> np.ndarray:
    """Of a circle with the mean area of the outlines that are not empty; 0 where nobody drew."""
    areas = slices.areas_px[rows] * slices.spacing_mm[rows, None] ** 2
    return 2 * np.sqrt(areas.sum(1) / np.maximum((areas > 0).sum(1), 1) / np.pi)


# -- one slice --------------------------------------------------------------------------------------------------------


def score_slice(prediction: SlicePrediction, labels: np.ndarray, sizes: Sequence[int]) -> Figures:
    """All figures of one slice, averaged over seeds, with the baselines beside. labels as from `readers`."""
    near = calibration.near_union(labels, NEAR_PIXELS)
    by_seed = [_score_samples(samples, labels, near, sizes) for samples in prediction.samples]
    if prediction.experts.shape[1]:
        for figures, experts in zip(by_seed, prediction.experts):
            figures["experts"] = _score_experts(experts, labels, near)
    mean = partial(np.mean, axis=0)
    return _combine(by_seed, mean) | _score_baselines(labels, near)


def _score_samples(samples: np.ndarray, labels: np.ndarray, near: np.ndarray, sizes: Sequence[int]) -> Figures:
    pairs = metrics.Pairs.of(samples, labels)
    figures = {f"{n} samples": score_set(pairs.first(n), samples[:n], labels, near) for n in sizes}
    doubling = [2**k for k in range(12) if all(abs(np.log2(2**k / n)) > 0.3 for n in sizes)]  # 32 beside 30 is a blot
    counts = sorted({n for n in (*doubling, *sizes) if n <= len(samples)})
    figures["curve"] = {str(n): metrics.ged(pairs.first(n)) for n in counts}
    figures[f"{max(sizes)} samples"]["entropy"] = _entropy_by_agreement(samples[: max(sizes)], labels, near)
    return figures


def score_set(pairs: metrics.Pairs, samples: np.ndarray, labels: np.ndarray, near: np.ndarray) -> dict:
    """Every figure of a set of binary masks [N, H, W] against the readers' [M, H, W]. near: pixels to calibrate on."""
    probability = samples.mean(0)
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
        "ece_near": calibration.calibration_bins(probability, labels, near),
        "ece_all": calibration.calibration_bins(probability, labels),
        "brier_near": calibration.brier(probability, labels, near),
        "brier_all": calibration.brier(probability, labels),
        "auroc_near": calibration.disagreement_auroc(probability, labels, near),
    }


def _score_experts(experts: np.ndarray, labels: np.ndarray, near: np.ndarray) -> dict:
    """Expert k, probability map [H, W], must draw as the reader of rank k does (diagonal); matched for comparison."""
    masks = experts > 0.5
    pairs = metrics.Pairs.of(masks, labels)
    figures = score_set(pairs, masks, labels, near)
    if len(masks) != len(labels):
        return figures
    diagonal, matched = metrics.dice_each(pairs), metrics.dice_each(pairs, matched=True)
    figures |= {"dice_diagonal": diagonal.mean(), "dice_matched": matched.mean()}
    for k, (probability, label) in enumerate(zip(experts, labels)):
        figures[f"dice_A{k + 1}"] = diagonal[k]
        figures[f"matched_A{k + 1}"] = matched[k]
        figures[f"ece_A{k + 1}"] = calibration.calibration_bins(probability, label[None], near)
        figures[f"brier_A{k + 1}"] = calibration.brier(probability, label[None], near)
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


def _entropy_by_agreement(samples: np.ndarray, labels: np.ndarray, near: np.ndarray) -> np.ndarray:
    """[M + 1, 2]: pixels near the lesion that 0..M readers marked, and the summed entropy of the samples there."""
    marked = labels.sum(0)[near]
    entropy = calibration.binary_entropy(samples.mean(0)[near])
    return np.stack([np.bincount(marked, weights, len(labels) + 1) for weights in (None, entropy)], 1)


def _combine(parts: Sequence[Figures], how: Callable) -> Figures:
    """The same figures of several seeds or slices, as one."""
    return {
        group: {name: how([part[group][name] for part in parts]) for name in row} for group, row in parts[0].items()
    }
