"""How well a set of predicted masks stands for a set of readers' masks, one image at a time.

`Pairs.of(samples, labels)` counts the pixels that any two masks share, in one matrix product; GED, Dice_max,
Dice_match, HM-IoU, CI and the averages are arithmetic on these counts. For maps of probability see calibration.py.

Everywhere: samples [N, ...] are the predictions, labels [M, ...] the readers, same trailing shape, values 0 or 1
(the papers binarise with > 0.5), numpy arrays or CPU tensors. Scores are fractions, not percent.

Two empty masks: `both_empty` is their IoU or Dice. 1, the default: they agree, distance 0 (PHiSeg, CCDM,
MedicalMatting, CIMD). 0: distance 1, even of an empty mask to itself. That is the GED of D-Persona's and DiffOSeg's
released code, where overlap / (union + 1e-8) is 0; it rewards empty predictions, so use it only to compare with
their tables.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

DICE_SOFT_LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)

Overlap = Literal["iou", "dice"]


class Similarity(NamedTuple):
    """IoU or Dice of mask pairs: samples with labels [N, M], samples among themselves [N, N], labels [M, M]."""

    between: np.ndarray
    samples: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, eq=False)
class Pairs:
    """samples: bool [N, P], labels: bool [M, P] on the P pixels that any mask covers; shared: [N + M, N + M] pixels
    that two masks have in common (samples first)."""

    samples: np.ndarray
    labels: np.ndarray
    shared: np.ndarray

    @classmethod
    def of(cls, samples, labels) -> "Pairs":
        """Raises ValueError when a set is empty, shapes differ, or values are not 0 or 1."""
        samples, labels = _as_masks(samples, "samples"), _as_masks(labels, "labels")
        if samples.shape[1:] != labels.shape[1:]:
            raise ValueError(f"Samples are {samples.shape[1:]} images but labels {labels.shape[1:]}; they must match.")
        masks = np.concatenate([samples, labels]).reshape(len(samples) + len(labels), -1)
        masks = masks[:, masks.any(0)]
        counted = masks.astype(np.float32)  # exact up to 2^24 pixels
        shared = (counted @ counted.T).astype(np.float64)
        return cls(masks[: len(samples)], masks[len(samples) :], shared)

    def first(self, count: int) -> "Pairs":
        """The same labels with the first `count` samples; nothing is counted again."""
        keep = np.r_[0:count, len(self.samples) : len(self.shared)]
        return Pairs(self.samples[:count], self.labels, self.shared[np.ix_(keep, keep)])

    def similarity(self, overlap: Overlap, both_empty: float = 1.0) -> Similarity:
        """All IoU, |A and B| / |A or B|, or Dice, 2 |A and B| / (|A| + |B|)."""
        values = self._iou if overlap == "iou" else self._dice
        values = np.where(np.isnan(values), both_empty, values)
        n = len(self.samples)
        return Similarity(values[:n, n:], values[:n, :n], values[n:, n:])

    @cached_property
    def _iou(self) -> np.ndarray:
        """NaN where both masks are empty; so too `_dice`."""
        return _divide(self.shared, self._areas - self.shared)

    @cached_property
    def _dice(self) -> np.ndarray:
        return _divide(2 * self.shared, self._areas)

    @cached_property
    def _areas(self) -> np.ndarray:
        area = self.shared.diagonal()
        return area[:, None] + area[None]


def ged(pairs: Pairs, overlap: Overlap = "iou", distinct: bool = False, both_empty: float = 1.0) -> float:
    """Generalised energy distance, 2 E d(Y, S) - E d(S, S') - E d(Y, Y') with d = 1 - IoU (or 1 - Dice).

    As every public code and table prints it: no square root. overlap "iou": PHiSeg, CCDM, D-Persona, DiffOSeg;
    "dice": AmbiguousTextDiff and TDG-DiffDPO; the two are not comparable. distinct False: all pairs, a mask with itself
    too (the released evaluations; 0 for a perfect set). distinct True: only different members within a set (unbiased;
    may be negative), which raises ValueError for a set of one.
    """
    scores = pairs.similarity(overlap, both_empty)
    return 2 * (1 - float(scores.between.mean())) - _spread(scores.samples, distinct) - _spread(scores.labels, distinct)


def diversity(pairs: Pairs, of: Literal["samples", "labels"] = "samples", both_empty: float = 1.0) -> float:
    """E d(S, S') or E d(Y, Y') with d = 1 - IoU over all pairs, the terms of GED that CCDM reports by themselves."""
    return _spread(getattr(pairs.similarity("iou", both_empty), of), distinct=False)


def dice_soft(samples, labels) -> float:
    """Mean over levels .1 .3 .5 .7 .9 of the Dice of {mean sample > level} with {mean label > level} (D-Persona).

    samples [N, ...] may be masks (DiffOSeg's number, the one that this project prints) or probabilities (D-Persona's);
    the two differ for the same model. Two empty level sets: 1.
    """
    predicted, drawn = (np.asarray(x).mean(0, dtype=np.float64).ravel() for x in (samples, labels))
    levels = np.array(DICE_SOFT_LEVELS)[:, None]
    a, b = predicted > levels, drawn > levels
    area = a.sum(1) + b.sum(1)
    return float(np.where(area > 0, 2 * (a & b).sum(1) / np.maximum(area, 1), 1.0).mean())


def dice_max(pairs: Pairs, per: Literal["label", "prediction"] = "label", both_empty: float = 1.0) -> float:
    """Mean over labels of the Dice of the best prediction (D_max of the papers; "Dice_max_reverse" in D-Persona's
    code), or mean over predictions of the best label ("Dice_max" there)."""
    scores = pairs.similarity("dice", both_empty).between
    return float(scores.max(0 if per == "label" else 1).mean())


def dice_match(pairs: Pairs, both_empty: float = 1.0) -> float:
    """Mean Dice when each label takes a prediction of its own, chosen for the best sum (Hungarian; D-Persona).

    Raises ValueError when there are fewer predictions than labels.
    """
    return float(dice_each(pairs, matched=True, both_empty=both_empty).mean())


def dice_each(pairs: Pairs, matched: bool = False, both_empty: float = 1.0) -> np.ndarray:
    """Dice of each label, float64 [M]. matched False: with the prediction in the same place, so that expert i must draw
    as reader i. matched True: after Hungarian assignment, what D-Persona's and DiffOSeg's tables hold.

    Raises ValueError when there are fewer predictions than labels, or on the diagonal not equally many.
    """
    scores = pairs.similarity("dice", both_empty).between.T  # [M, N]
    labels, predictions = scores.shape
    if predictions < labels or not (matched or predictions == labels):
        needed = "at least as many" if matched else "as many"
        raise ValueError(f"This Dice needs {needed} predictions as labels; got {predictions} for {labels} labels.")
    if not matched:
        return scores.diagonal().copy()
    rows, columns = linear_sum_assignment(1 - scores)
    return scores[rows, columns]


def mean_overlap(pairs: Pairs, overlap: Overlap = "dice", both_empty: float = 1.0) -> float:
    """Dice or IoU averaged over every (prediction, label) pair: "Avg Dice" and "IoU" of TDG-DiffDPO."""
    return float(pairs.similarity(overlap, both_empty).between.mean())


def readers_overlap(pairs: Pairs, overlap: Overlap = "dice", both_empty: float = 1.0) -> float:
    """Dice or IoU averaged over every two different readers; NaN for one reader."""
    scores = _distinct(pairs.similarity(overlap, both_empty).labels)
    return float(scores.mean()) if scores.size else float("nan")


def hm_iou(pairs: Pairs, both_empty: float = 1.0) -> float:
    """Hungarian-matched IoU: both sets repeated to their least common multiple, then the best pairing (CCDM)."""
    scores = pairs.similarity("iou", both_empty).between
    count = np.lcm(*scores.shape)
    scores = np.tile(scores, (count // scores.shape[0], count // scores.shape[1]))
    return float(scores[linear_sum_assignment(1 - scores)].mean())


class CollectiveInsight(NamedTuple):
    """S_c, D_max, DA and their harmonic mean CI, each in [0, 1]."""

    combined_sensitivity: float
    dice_max: float
    diversity_agreement: float
    ci: float


def collective_insight(pairs: Pairs, both_empty: float = 1.0) -> CollectiveInsight:
    """CIMD's metric as TDG-DiffDPO prints it, for one image (average images afterwards). There is no public code.

    S_c: share of the labels' union that the samples' union covers; 1 where no label has a pixel. D_max: `dice_max` per
    label. DA = 1 - (|difference of least| + |difference of largest dissimilarity|) / 2, dissimilarity 1 - Dice over
    different members of a set (with itself the least were always 0); a set of one has 0. CI is 0 when a part is 0.
    """
    drawn = pairs.labels.any(0)
    sensitivity = float(pairs.samples.any(0)[drawn].mean()) if drawn.any() else 1.0
    scores = pairs.similarity("dice", both_empty)
    ranges = [(1 - _distinct(s).max(initial=0), 1 - _distinct(s).min(initial=1)) if len(s) > 1 else (0, 0)
              for s in (scores.samples, scores.labels)]  # fmt: skip
    agreement = 1 - float(np.abs(np.subtract(*ranges)).mean())
    parts = (sensitivity, dice_max(pairs, both_empty=both_empty), agreement)
    return CollectiveInsight(*parts, 3 / sum(1 / part for part in parts) if min(parts) > 0 else 0.0)


def _as_masks(values, name: str) -> np.ndarray:
    masks = np.asarray(values)
    if masks.ndim < 2 or len(masks) == 0:
        raise ValueError(f"The {name} must be a non-empty set of masks [count, ...]; got shape {masks.shape}.")
    if masks.dtype != bool and not ((masks == 0) | (masks == 1)).all():
        raise ValueError(f"The {name} must be 0 or 1. Binarise probabilities first; the papers use p > 0.5.")
    return masks.astype(bool)


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.full(np.shape(a), np.nan), where=np.asarray(b) > 0)


def _distinct(scores: np.ndarray) -> np.ndarray:
    """Each unordered pair of different members once."""
    return scores[np.triu_indices(len(scores), 1)]


def _spread(scores: np.ndarray, distinct: bool) -> float:
    """Mean distance within a set."""
    if distinct and len(scores) < 2:
        raise ValueError("Distinct pairs need at least two masks in each set.")
    return 1 - float(_distinct(scores).mean() if distinct else scores.mean())
