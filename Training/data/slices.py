"""What every data set becomes: slices with the masks of several raters, kept small in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

COLUMNS = (
    "images",
    "packed_masks",
    "patient",
    "nodule",
    "slice_index",
    "spacing_mm",
    "present",
    "ratings",
    "texts",
    "preferred",
)
"""What `Slices` holds a row of each slice of."""

LARGE_MM2 = 67.75
"""Smallest mask of the subset `large`; selects about the papers' 1,609 LIDC slices."""


@dataclass(frozen=True, eq=False)
class Slices:
    """n axial crops and their raters' masks.

    images: [n, H, W], or [n, C, H, W] of several channels, of any real type. packed_masks: uint8 [n, M, H, W/8],
    `np.packbits` along the last axis; an empty mask: that rater outlined nothing. present: bool [n, M], False where the
    rater never saw the image. patient, nodule (unique within the patient), slice_index: [n]. spacing_mm: float [n],
    pixel spacing, unknown replaced by the median. ratings: uint8 [n, M, 9] (LIDC's nine, 0 = none) or None. texts: [n, M],
    what each rater says of the image, a tuple of sentences (see descriptions.py), or None. preferred: uint8
    [n, 2, H, W/8], a mask that is preferred to another one (see Training/preferences.py), or None. raters: names where
    raters are stable persons, else ().
    """

    images: np.ndarray
    packed_masks: np.ndarray
    patient: np.ndarray
    nodule: np.ndarray
    slice_index: np.ndarray
    spacing_mm: np.ndarray
    present: np.ndarray | None = None
    ratings: np.ndarray | None = None
    texts: np.ndarray | None = None
    preferred: np.ndarray | None = None
    raters: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    @property
    def channels(self) -> int:
        return 1 if self.images.ndim == 3 else self.images.shape[1]

    def planes(self, rows: Sequence[int] | np.ndarray | slice) -> np.ndarray:
        """The images of the given rows: float32 [r, C, H, W]."""
        chosen = self.images[rows].astype(np.float32)
        return chosen[:, None] if chosen.ndim == 3 else chosen

    def masks(self, rows: Sequence[int] | np.ndarray | slice) -> np.ndarray:
        """bool [r, M, H, W] of the given rows."""
        width = self.images.shape[-1]
        return np.unpackbits(self.packed_masks[rows], axis=-1, count=width).astype(bool)

    def take(self, rows: np.ndarray) -> "Slices":
        """The given rows as a data set of their own."""
        values = {name: getattr(self, name) for name in COLUMNS}
        return Slices(**{k: None if v is None else v[rows] for k, v in values.items()}, raters=self.raters)

    @classmethod
    def concatenate(cls, parts: Sequence["Slices"]) -> "Slices":
        """Data sets of the same crop size and number of raters, one after the other."""
        joined = {}
        for name in COLUMNS:
            values = [getattr(part, name) for part in parts]
            joined[name] = None if any(v is None for v in values) else np.concatenate(values)
        return cls(**joined, raters=parts[0].raters)

    @cached_property
    def paired_rows(self) -> np.ndarray:
        """Rows that have a preferred mask, one that differs from the other one."""
        return np.flatnonzero((self.preferred[:, 0] != self.preferred[:, 1]).any((1, 2)))

    @cached_property
    def areas_px(self) -> np.ndarray:
        """Pixels in each mask: int [n, M]."""
        return np.bitwise_count(self.packed_masks).sum((2, 3), dtype=np.int64)

    @cached_property
    def center_px(self) -> np.ndarray:
        """Middle (x, y) of what anybody outlined, in pixels from the crop's middle: float [n, 2]; 0 where nobody did."""
        anybody = np.bitwise_or.reduce(self.packed_masks, 1)
        middle = (self.images.shape[-1] - 1) / 2
        centers = np.zeros((len(self), 2))
        for row, packed in enumerate(anybody):
            ys, xs = np.nonzero(np.unpackbits(packed, axis=-1, count=self.images.shape[-1]))
            if len(ys):
                centers[row] = (xs.min() + xs.max()) / 2 - middle, (ys.min() + ys.max()) / 2 - middle
        return centers

    @cached_property
    def lesion(self) -> np.ndarray:
        """A number for each (patient, nodule): int [n]."""
        keys = np.char.add(np.char.add(self.patient.astype(str), "/"), self.nodule.astype(str))
        return np.unique(keys, return_inverse=True)[1]

    @cached_property
    def lesion_areas_px(self) -> np.ndarray:
        """Pixels of each rater in the whole lesion a slice belongs to: int [n, M]."""
        totals = np.zeros((self.lesion.max() + 1, self.areas_px.shape[1]), np.int64)
        np.add.at(totals, self.lesion, self.areas_px)
        return totals[self.lesion]

    def subset(self, name: str) -> np.ndarray:
        """Row numbers of "all", "four" (no mask empty) or "large" (four, and the smallest mask >= 67.75 mm2)."""
        four = (self.areas_px > 0).all(1)
        chosen = {
            "all": np.ones(len(self), bool),
            "four": four,
            "large": four & (self.areas_px.min(1) * self.spacing_mm**2 >= LARGE_MM2),
        }
        return np.flatnonzero(chosen[name])


def slice_keys(slices: Slices, rows: np.ndarray) -> np.ndarray:
    """ "patient/nodule/slice" of each row."""
    columns = (slices.patient[rows], slices.nodule[rows], slices.slice_index[rows])
    return np.array(["/".join(map(str, values)) for values in zip(*columns)])
