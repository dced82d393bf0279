"""The protocol of the tables: every slice scored against its readers, in its native pixels.

GED with 1-IoU over all pairs and two empty masks at distance 0; Dice_soft of binary samples; the mean over slices of
the mean over sampling seeds. docs/metrics.md says which published table uses which convention.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from MultiRaterSegLib.errors import DataError
from MultiRaterSegLib.frame import Frame
from MultiRaterSegLib.method import Method

from .bootstrap import (
    Estimate,
    calibration_estimate,
    mean_estimate,
    paired_calibration,
    paired_difference,
    ratio_estimate,
)
from .data.slices import Slices, slice_keys
from .slice_predictions import (
    Planes,
    Sampling,
    SlicePrediction,
    experts_and_readers,
    predict_slices,
    reader_names,
)
from .slice_scores import Figures, combine, score_slice

SIZE_GROUPS = ("small", "medium", "large")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """figures: the values of all slices, [N] or [N, ...] (see slice_scores); groups are "10 samples", .., "consensus"
    (the mean probability of the most samples), "experts", the baselines "majority mask", "random reader" and "readers",
    and "curve" (GED by number of samples). key: [N] text that names a slice wherever it is stored. diameter_mm: [N], of
    a circle with the mean area of the outlines. size_px: [N], pixels that more than half of the readers marked."""

    key: np.ndarray
    patient: np.ndarray
    diameter_mm: np.ndarray
    size_px: np.ndarray
    figures: Figures

    @property
    def largest(self) -> str:
        """The group with the most samples."""
        return max((g for g in self.figures if g.endswith(" samples")), key=lambda group: int(group.split()[0]))

    def estimates(self) -> dict[str, dict[str, Estimate]]:
        """Every figure over all slices with its 95 % interval over patients."""
        return {
            group: {name: self._estimate(name, values) for name, values in row.items() if not by_entropy(name)}
            for group, row in self.figures.items()
        }

    def _estimate(self, name: str, values: np.ndarray) -> Estimate:
        return (calibration_estimate if name.startswith("ece") else mean_estimate)(values, self.patient)

    def entropy_estimates(self, name: str) -> list[Estimate]:
        """Mean entropy of each kind of pixel, all slices pooled. name: "entropy" (by readers who marked the pixel: 0 to
        M) or "correctness" (CORRECTNESS)."""
        sums = self.figures[self.largest][name]
        return [ratio_estimate(sums[:, k, 1], sums[:, k, 0], self.patient) for k in range(sums.shape[1])]

    def by_size(self) -> list[tuple[str, np.ndarray]]:
        """Three groups of slices of about equal number by size_px (Harmonizer, appendix D): (name with range, bool [N])."""
        edges = np.quantile(self.size_px, (0, 1 / 3, 2 / 3, 1))
        index = np.searchsorted(edges[1:3], self.size_px, side="left")
        chosen = [(name, index == k) for k, name in enumerate(SIZE_GROUPS)]
        return [
            (f"{name}, {self.size_px[rows].min():g} to {self.size_px[rows].max():g} px", rows)
            for name, rows in chosen
            if rows.any()
        ]

    def differences(self, other: "Evaluation") -> dict[str, dict[str, Estimate]]:
        """This model minus another on the slices that both saw, paired; intervals over patients."""
        _, mine, theirs = np.intersect1d(self.key, other.key, return_indices=True)
        if len(mine) == 0:
            raise DataError("The two evaluations have no slice in common. Evaluate both models on the same data.")
        found = {}
        for group in self.figures.keys() & other.figures.keys():
            a, b = self.figures[group], other.figures[group]
            found[group] = {
                name: (paired_calibration if name.startswith("ece") else paired_difference)(
                    a[name][mine], b[name][theirs], self.patient[mine]
                )
                for name in a
                if name in b and not by_entropy(name)
            }
        return found

    def save(self, path: Path) -> None:
        """All values of all slices, for paired differences later."""
        flat = {f"{group}/{name}": value for group, row in self.figures.items() for name, value in row.items()}
        columns = {name: getattr(self, name) for name in COLUMNS}
        np.savez_compressed(path, **columns, **flat)

    @classmethod
    def load(cls, path: Path) -> "Evaluation":
        """Raises DataError when there is no such file, or one of another version."""
        if not path.is_file():
            raise DataError(f"No evaluation at '{path}'. Give the --out folder of a finished run of evaluate.py.")
        with np.load(path) as archive:
            if missing := [name for name in COLUMNS if name not in archive.files]:
                raise DataError(f"'{path}' lacks {', '.join(missing)}: another version wrote it. Evaluate again.")
            figures: Figures = {}
            for name in archive.files:
                if "/" in name:
                    group, metric = name.split("/")
                    figures.setdefault(group, {})[metric] = archive[name]
            return cls(*(archive[name] for name in COLUMNS), figures)


COLUMNS = ("key", "patient", "diameter_mm", "size_px")


def by_entropy(name: str) -> bool:
    """Whether a figure is pixels by entropy, which have no mean of their own."""
    return name in ("entropy", "correctness")


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
    experts = [reader for _, reader in experts_and_readers(method, slices)]
    names = reader_names(slices)

    def score(prediction: SlicePrediction) -> Figures:
        if keep is not None:
            keep(prediction)
        return score_slice(prediction, readers(slices, prediction.row), sizes, names, experts)

    sampling = Sampling(max(sizes), tuple(seeds), expert_samples)
    return score_all(method, frame, slices, rows, sampling, score, progress=progress)


def score_all(
    method: Method,
    frame: Frame,
    slices: Slices,
    rows: Sequence[int] | None,
    sampling: Sampling,
    score: Callable[[SlicePrediction], Figures],
    planes: Planes | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Evaluation:
    """Predicts the given rows (default: all) and scores each prediction. Raises DataError where that cannot be done."""
    rows = np.arange(len(slices)) if rows is None else np.asarray(rows)
    if len(rows) == 0:
        raise DataError("No slice to evaluate: the chosen subset of this data is empty. Try --subset all.")
    if slices.present is not None and not slices.present[rows].all():
        raise DataError("Some slices were not seen by every rater; their scores cannot be averaged. Leave them out.")
    scored = [
        score(prediction) for prediction in progress(predict_slices(method, frame, slices, rows, sampling, planes))
    ]
    columns = (slice_keys(slices, rows), slices.patient[rows], lesion_diameter_mm(slices, rows), size_px(slices, rows))
    return Evaluation(*columns, combine(scored, np.stack))


def readers(slices: Slices, row: int) -> np.ndarray:
    """Masks [M, H, W]: of stable raters in their own order; of anonymous ones by area, the smallest (perhaps empty)
    first, the papers' A1..A4."""
    masks = slices.masks([row])[0]
    return masks if slices.raters else masks[np.argsort(masks.sum((1, 2)), kind="stable")]


def lesion_diameter_mm(slices: Slices, rows: np.ndarray) -> np.ndarray:
    """Of a circle with the mean area of the outlines that are not empty; 0 where nobody drew."""
    areas = slices.areas_px[rows] * slices.spacing_mm[rows, None] ** 2
    return 2 * np.sqrt(areas.sum(1) / np.maximum((areas > 0).sum(1), 1) / np.pi)


def size_px(slices: Slices, rows: np.ndarray) -> np.ndarray:
    """Pixels that more than half of the readers marked: int [n]."""
    return np.array([(masks.sum(0) * 2 > len(masks)).sum() for row in rows for masks in slices.masks([row])])
