"""The one function that moves values between grids."""

import numpy as np
import torch
from torch import Tensor

from .errors import GeometryError
from .geometry import Grid


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
