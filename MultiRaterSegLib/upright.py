"""A part of a scan as a radiologist looks at it: axial slices, columns to the patient's left, rows to the back."""

import numpy as np

from .frame import upright_axes
from .geometry import Grid


def upright(values: np.ndarray, grid: Grid) -> tuple[np.ndarray, Grid]:
    """Values [..., k, j, i] on `grid`, and that grid, with axes permuted and flipped so that i runs most along the
    patient's left, j to the back and k to the head. Nothing is interpolated; the values are a view."""
    order, signs = upright_axes(grid.affine[:3, :3] / grid.spacing)
    first = np.where(signs > 0, 0, grid.size_ijk[order] - 1)  # index of the new first voxel along each old axis
    start = np.zeros(3)
    start[order] = first
    affine = np.eye(4)
    affine[:3, :3] = grid.affine[:3, order] * signs
    affine[:3, 3] = grid.to_ras(start)
    lead = values.ndim - 3
    axes = [lead + 2 - order[axis] for axis in (2, 1, 0)]
    flips = tuple(slice(None, None, int(signs[axis])) for axis in (2, 1, 0))
    turned = values.transpose(*range(lead), *axes)[(..., *flips)]
    return turned, Grid(turned.shape[lead:], affine)


def slice_in_file(row: int, seen: Grid, scan: Grid) -> int:
    """The number, from 1, that the scan itself gives the slice `row` of an upright part `seen` of it."""
    order, _ = upright_axes(scan.affine[:3, :3] / scan.spacing)
    middle = np.append((seen.size_ijk[:2] - 1) / 2, row)
    return int(np.rint(scan.to_ijk(seen.to_ras(middle))[order[2]])) + 1


def slice_position(row: int, seen: Grid) -> float:
    """S in mm of the middle of slice `row`."""
    return float(seen.to_ras(np.append((seen.size_ijk[:2] - 1) / 2, row))[2])
