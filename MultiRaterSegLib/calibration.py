"""Whether a map of probability tells how many readers would mark a pixel: ECE, Brier, entropy against disagreement.

Everywhere: probability [...] in [0, 1]; labels [M, ...] are the readers' masks, 0 or 1; region: bool [...], the pixels
to score, None = all. Numpy arrays or CPU tensors.
"""

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.special import entr
from scipy.stats import rankdata

BINS = 10


def near_union(labels, pixels: int) -> np.ndarray:
    """bool [...]: within `pixels` (Euclidean) of what any reader drew. Scored here alone, an empty prediction cannot
    hide behind the background; over a whole crop it looks well calibrated. All False when nobody drew."""
    union = np.asarray(labels, bool).any(0)
    return distance_transform_edt(~union) <= pixels if union.any() else union


def calibration_bins(probability, labels, region: np.ndarray | None = None, bins: int = BINS) -> np.ndarray:
    """float64 [bins, 3]: pixels, summed probability, summed share of readers who marked the pixel.

    probability [...] in [0, 1]; labels [M, ...]; region: bool [...] to score, None = all pixels. Equal bins, the last
    one closed. Add the bins of many images, then take `expected_calibration_error`.
    """
    confidence, drawn = _in_region(probability, labels, region)
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    sums = [np.bincount(index, weights, bins) for weights in (None, confidence, drawn)]
    return np.stack(sums, 1).astype(np.float64)


def expected_calibration_error(bins: np.ndarray) -> np.ndarray:
    """sum_k |B_k| / N |acc(B_k) - conf(B_k)| (Harmonizer eq. 9) of pooled bins [..., K, 3] -> [...]; NaN: no pixels."""
    gap, pixels = np.abs(bins[..., 1] - bins[..., 2]).sum(-1), bins[..., 0].sum(-1)
    return np.divide(gap, pixels, out=np.full(gap.shape, np.nan), where=pixels > 0)


def brier(probability, labels, region: np.ndarray | None = None) -> float:
    """Mean of (p - y)^2 over pixels and readers (Harmonizer eq. 10), arguments as `calibration_bins`. Not 0 even for
    the readers' own mean, since they disagree. NaN for an empty region."""
    p, drawn = _in_region(probability, labels, region)
    return float((p**2 - 2 * p * drawn + drawn).mean()) if p.size else float("nan")  # y^2 = y


def binary_entropy(probability) -> np.ndarray:
    """Entropy in bits, 0 (certain) .. 1 (p = 0.5), of probabilities [...]."""
    p = np.asarray(probability, np.float64)
    return (entr(p) + entr(1 - p)) / np.log(2)


def disagreement_auroc(probability, labels, region: np.ndarray | None = None) -> float:
    """Chance that the entropy of `probability` is higher at a pixel on which readers disagree than at one on which they
    are unanimous (`auroc`). NaN where either kind of pixel is missing."""
    p, drawn = _in_region(probability, labels, region)
    return auroc(binary_entropy(p), (drawn > 0) & (drawn < 1))


def error_auroc(probability, labels, region: np.ndarray | None = None) -> float:
    """Chance that the entropy of `probability` is higher at a pixel that p > 0.5 gets wrong than at one it gets right,
    among pixels on which the readers are unanimous (Harmonizer, appendix C). NaN where either kind is missing."""
    p, drawn = _in_region(probability, labels, region)
    sure = (drawn == 0) | (drawn == 1)
    return auroc(binary_entropy(p[sure]), (p[sure] > 0.5) != (drawn[sure] == 1))


def auroc(score: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve: chance that a positive scores higher than a negative, ties count half. score: [n];
    positive: bool [n]. NaN where either kind is missing."""
    n, total = int(positive.sum()), positive.size
    if n in (0, total):
        return float("nan")
    ranks = rankdata(np.round(score, 12))  # the entropies of p and 1 - p tie, whatever the rounding
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (total - n)))


def _in_region(probability, labels, region: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and shares of readers, float64 [pixels] each."""
    probability, drawn = np.asarray(probability, np.float64), np.asarray(labels).mean(0, dtype=np.float64)
    return (probability.ravel(), drawn.ravel()) if region is None else (probability[region], drawn[region])
