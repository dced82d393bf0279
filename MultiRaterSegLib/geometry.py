"""Where voxels are: grids, volumes, and the one function that moves values between grids.

Coordinates are RAS millimetres everywhere in the library; LPS exists only where files are read and written (io.py).
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

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


def resample(values: Tensor, grid: Grid, to: Grid, outside: float | None = None) -> Tensor:
    """Linear interpolation of `values` [..., K, J, I] on `grid` at the voxels of `to` -> [..., K', J', I'] float32.

    The two grids share axis directions up to permutation and flips (frames are built that way), so interpolation is
    separable: one small weight matrix an axis. Going to a coarser axis the triangle widens, which avoids aliasing.
    Where the voxel centres coincide, values are copied bit for bit. `outside` fills voxels whose centre is beyond the
    grid; None repeats the nearest edge. Raises GeometryError when the axes are not aligned.
    """
    source_axis, start, step = _aligned_axes(grid, to)
    values = values.permute(*range(values.ndim - 3), *(values.ndim - 1 - int(a) for a in reversed(source_axis)))
    covered = torch.ones((), dtype=torch.bool)
    for axis in range(3):  # i, j, k of `to`
        dim = -1 - axis
        length = values.shape[dim]
        positions = start[axis] + step[axis] * np.arange(to.size_ijk[axis])
        values = _interpolate(values, positions, abs(step[axis]), dim)
        inside = torch.from_numpy((positions >= -0.5 - 1e-6) & (positions <= length - 0.5 + 1e-6))
        covered = covered & inside.view([-1] + [1] * axis)
    values = values.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    if outside is not None and not bool(covered.all()):
        values = torch.where(covered.to(values.device), values, torch.tensor(outside, device=values.device))
    return values


def _aligned_axes(grid: Grid, to: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each axis of `to`: the axis of `grid` that runs along it, its first index there, and the index step."""
    matrix = np.linalg.inv(grid.affine) @ to.affine
    source_axis = np.abs(matrix[:3, :3] * grid.spacing[:, None]).argmax(0)
    step = matrix[source_axis, range(3)]
    rest = matrix[:3, :3].copy()
    rest[source_axis, range(3)] = 0
    drift = np.abs(rest * grid.spacing[:, None]).sum(1).max() * max(to.shape)
    if sorted(source_axis) != [0, 1, 2] or drift > 1e-2 * grid.spacing.min():
        raise GeometryError("The two grids are rotated against each other; resample needs grids with common axes.")
    return source_axis, matrix[:3, 3][source_axis], step


def _interpolate(values: Tensor, positions: np.ndarray, step: float, dim: int) -> Tensor:
    """Linear interpolation along one dimension at continuous index `positions`."""
    length = values.shape[dim]
    nearest = np.rint(positions)
    if np.abs(positions - nearest).max() < 1e-4 and abs(step - 1) < 1e-6:  # a shift by whole voxels: copy
        index = torch.from_numpy(np.clip(nearest, 0, length - 1).astype(np.int64)).to(values.device)
        return (
            values
            if len(index) == length and bool((index == torch.arange(length, device=index.device)).all())
            else values.index_select(dim, index)
        )
    positions = np.where(np.abs(positions - nearest) < 1e-6, nearest, positions)  # centres that coincide stay exact
    clipped = np.clip(positions, 0, length - 1)
    width = max(1.0, step)
    low = int(max(0, np.floor(clipped.min() - width)))
    high = int(min(length - 1, np.ceil(clipped.max() + width)))
    weights = np.clip(1 - np.abs(clipped[:, None] - np.arange(low, high + 1)[None]) / width, 0, None)
    weights = torch.from_numpy(weights / weights.sum(1, keepdims=True)).to(values.device, torch.float32)
    part = values.narrow(dim, low, high - low + 1).float().movedim(dim, -1)
    return (part @ weights.T).movedim(-1, dim)
