"""Uncertainty of a mean over slices: patients are drawn again, with all their slices, since slices of one are alike."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from MultiRaterSegLib.calibration import expected_calibration_error

RESAMPLES = 2000


class Estimate(NamedTuple):
    """A figure and its 95 % interval (percentiles of the bootstrap)."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f})"


def mean_estimate(values: np.ndarray, patient: np.ndarray) -> Estimate:
    """Mean over slices of values [N]; slices where the value is not defined (NaN) are left out."""
    defined = np.isfinite(values)
    columns = np.stack([np.where(defined, values, 0.0), defined], 1)
    return estimate(columns, patient, lambda sums: _ratio(sums[..., 0], sums[..., 1]))


def ratio_estimate(total: np.ndarray, count: np.ndarray, patient: np.ndarray) -> Estimate:
    """total.sum() / count.sum() of [N] each; NaN where there is nothing to count."""
    return estimate(np.stack([total, count], 1), patient, lambda sums: _ratio(sums[..., 0], sums[..., 1]))


def calibration_estimate(bins: np.ndarray, patient: np.ndarray) -> Estimate:
    """ECE of the pooled pixels of calibration bins [N, K, 3], or [N, E, K, 3]: the mean of E of them."""
    columns = bins.reshape(len(bins), -1)
    return estimate(columns, patient, lambda sums: _pooled_ece(sums, bins.shape[1:]))


def paired_calibration(first: np.ndarray, second: np.ndarray, patient: np.ndarray) -> Estimate:
    """ECE of the first minus that of the second, calibration bins of two models on the same slices; both are pooled over
    the same drawn patients."""
    columns = np.concatenate([bins.reshape(len(bins), -1) for bins in (first, second)], 1)
    middle = first[0].size

    def statistic(sums: np.ndarray) -> np.ndarray:
        return _pooled_ece(sums[:, :middle], first.shape[1:]) - _pooled_ece(sums[:, middle:], second.shape[1:])

    return estimate(columns, patient, statistic)


def _pooled_ece(sums: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """[R, ...] sums of bins of this shape -> [R]."""
    ece = expected_calibration_error(sums.reshape(-1, *shape))
    return ece.reshape(len(sums), -1).mean(1)


def paired_difference(first: np.ndarray, second: np.ndarray, patient: np.ndarray) -> Estimate:
    """Mean of first - second, two models' values [N] on the same slices. Its interval is narrower than the two models'
    own intervals suggest, because hard slices are hard for both."""
    return mean_estimate(np.asarray(first) - np.asarray(second), patient)


def estimate(columns: np.ndarray, patient: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray]) -> Estimate:
    """columns: [N, K] whose sums over slices make the figure; statistic: sums [R, K] -> figures [R]."""
    _, index = np.unique(patient, return_inverse=True)
    totals = np.zeros((index.max() + 1, columns.shape[1]))
    np.add.at(totals, index, columns)
    figures = statistic(_drawn_patients(len(totals)) @ totals)
    value = float(statistic(totals.sum(0, keepdims=True))[0])
    if not np.isfinite(figures).any():
        return Estimate(value, float("nan"), float("nan"))
    return Estimate(value, *(float(x) for x in np.nanpercentile(figures, (2.5, 97.5))))


@lru_cache(maxsize=8)
def _drawn_patients(patients: int) -> np.ndarray:
    """How often each patient is drawn: float64 [RESAMPLES, patients], the same for every figure."""
    return np.random.default_rng(0).multinomial(patients, np.full(patients, 1 / patients), RESAMPLES).astype(float)


def _ratio(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
