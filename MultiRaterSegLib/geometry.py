"""Where voxels are: grids and volumes. No torch here: 3D Slicer's own process places results with it.

Coordinates are RAS millimetres everywhere in the library; LPS exists only where files are read and written (io.py).
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from .errors import GeometryError


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular lattice of voxels.

    shape: (K, J, I), the array's axes. affine: float64 [4, 4], (i, j, k, 1) -> RAS mm of the voxel's centre.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray

    def __post_init__(self):
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise GeometryError(f"A grid needs a finite 4x4 affine (i,j,k -> RAS mm); got shape {affine.shape}.")
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
        if lengths.min() == 0 or abs(np.linalg.det(affine[:3, :3] / lengths)) < 1e-6:
            raise GeometryError("A grid needs three independent axes with non-zero spacing; this affine has none.")
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise GeometryError(f"A grid needs a shape (K, J, I) of positive numbers; got {tuple(self.shape)}.")
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))

    @cached_property
    def spacing(self) -> np.ndarray:
        """mm along i, j, k: float64 [3]."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def size_ijk(self) -> np.ndarray:
        return np.array(self.shape[::-1])

    @property
    def center(self) -> np.ndarray:
        """RAS mm of the middle of the grid: float64 [3]."""
        return self.to_ras((self.size_ijk - 1) / 2)

    @property
    def voxel_volume_ml(self) -> float:
        return float(abs(np.linalg.det(self.affine[:3, :3])) / 1000)

    def to_ras(self, ijk) -> np.ndarray:
        """Continuous voxel indices [..., 3] in (i, j, k) order -> RAS mm [..., 3]."""
        return np.asarray(ijk, float) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_ijk(self, ras) -> np.ndarray:
        """RAS mm [..., 3] -> continuous voxel indices [..., 3] in (i, j, k) order."""
        return (np.asarray(ras, float) - self.affine[:3, 3]) @ np.linalg.inv(self.affine[:3, :3]).T

    def contains(self, ras) -> bool:
        """Whether the RAS point lies inside the voxels (their outer faces included)."""
        ijk = self.to_ijk(ras)
        return bool(np.all(ijk >= -0.5 - 1e-6) and np.all(ijk <= self.size_ijk - 0.5 + 1e-6))

    def crop(self, low_ijk, high_ijk) -> "Grid":
        """The sub-grid of voxels low..high (inclusive, clipped to the grid). Voxel centres stay where they are."""
        low = np.clip(np.asarray(low_ijk, int), 0, self.size_ijk - 1)
        high = np.clip(np.asarray(high_ijk, int), low, self.size_ijk - 1)
        affine = self.affine.copy()
        affine[:3, 3] = self.to_ras(low)
        return Grid(tuple(int(n) for n in (high - low + 1)[::-1]), affine)

    def window_in(self, other: "Grid") -> tuple[slice, slice, slice]:
        """Where this grid, a crop of `other`, lies in its arrays: slices along k, j, i."""
        low = np.rint(other.to_ijk(self.affine[:3, 3])).astype(int)[::-1]
        return tuple(slice(int(a), int(a) + n) for a, n in zip(low, self.shape))

    def same_as(self, other: "Grid", tolerance_mm: float = 1e-4) -> bool:
        return self.shape == other.shape and np.allclose(self.affine, other.affine, atol=tolerance_mm, rtol=0)


@dataclass(frozen=True, eq=False)
class Volume:
    """A scan: voxels [C, K, J, I] of any real type (HU, or the scanner's units for MR) on a grid.

    modality: DICOM code ("CT", "MR") or "" when unknown. source: what a person would recognise it by. context: facts
    the writers need later (DICOM file paths, series UIDs).
    """

    voxels: np.ndarray
    grid: Grid
    modality: str = ""
    source: str = "volume"
    context: dict = field(default_factory=dict)

    def __post_init__(self):
        if self.voxels.ndim != 4 or self.voxels.shape[1:] != self.grid.shape:
            raise GeometryError(
                f"'{self.source}': voxels must be [C, K, J, I] = [C, {', '.join(map(str, self.grid.shape))}]; "
                f"got {tuple(self.voxels.shape)}."
            )
