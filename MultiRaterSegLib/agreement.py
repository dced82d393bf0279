"""How far outlines agree, and how large they are, in millimetres."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree
from scipy.spatial.distance import pdist, squareform

from .geometry import Grid
from .upright import slice_in_file, slice_position, upright


class VolumeRange(NamedTuple):
    """Over the samples, mL: the median and the 5th and 95th percentile."""

    median: float
    low: float
    high: float


class Diameters(NamedTuple):
    """longest_mm and perpendicular_mm, both in the same axial slice; slice_number as the scan counts, from 1."""

    longest_mm: float
    perpendicular_mm: float
    slice_number: int


class SliceDisagreement(NamedTuple):
    """slice_number as the scan counts, from 1. s_mm: position towards the head. area_mm2 that outlines do not share."""

    slice_number: int
    s_mm: float
    area_mm2: float


def volume_range(volumes_ml: np.ndarray) -> VolumeRange:
    """Volumes [S] of samples in mL, empty ones included, as a median and a 5-95 % range."""
    return VolumeRange(*(float(value) for value in np.percentile(volumes_ml, (50, 5, 95))))


def dice(a: np.ndarray, b: np.ndarray) -> float | None:
    """Dice of two bool masks; 0 when one is empty, None when both are."""
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else None


def hd95_mm(a: np.ndarray, b: np.ndarray, grid: Grid) -> float | None:
    """The larger of the two directed 95th percentiles of surface distances, mm; None if one is empty.

    Surfaces are the mask's voxels with a face to the outside, distances between voxel centres (as in MONAI).
    """
    if not (a.any() and b.any()):
        return None
    box = _box_around(a | b)
    surfaces = [np.argwhere(_surface(np.pad(mask[box], 1))) * grid.spacing[::-1] for mask in (a, b)]
    nearest = [KDTree(there).query(here)[0] for here, there in (surfaces, surfaces[::-1])]
    return float(max(np.percentile(distances, 95) for distances in nearest))


def diameters(mask: np.ndarray, grid: Grid, scan: Grid) -> Diameters | None:
    """The longest in-plane diameter over the axial slices of mask [k, j, i], and the longest one across it (as RECIST
    and the WHO measure). None for an empty mask.

    The outline runs half-way between the centres of voxels inside and outside, so one voxel is one voxel wide. scan:
    the grid that `grid` is a part of; its slices are counted.
    """
    seen, axes = upright(mask, grid)
    outlines = [(row, outline) for row, plane in enumerate(seen) for outline in _outlines_mm(plane, axes)]
    if not outlines:
        return None
    row, outline = max(outlines, key=lambda item: pdist(item[1]).max())
    return Diameters(*_longest_and_across(outline), slice_in_file(row, axes, scan))


def disagreeing_slices(masks: np.ndarray, grid: Grid, scan: Grid, count: int = 3) -> list[SliceDisagreement]:
    """The axial slices where masks [M, k, j, i] differ most: the area that some include and others do not.

    scan: the grid that `grid` is a part of; its slices are counted."""
    disputed, axes = upright(masks.any(0) & ~masks.all(0), grid)
    areas = disputed.sum((1, 2)) * float(axes.spacing[0] * axes.spacing[1])
    worst = [int(row) for row in np.argsort(-areas, kind="stable")[:count] if areas[row] > 0]
    return [SliceDisagreement(slice_in_file(n, axes, scan), slice_position(n, axes), float(areas[n])) for n in worst]


def _surface(mask: np.ndarray) -> np.ndarray:
    return mask & ~ndimage.binary_erosion(mask)


def _outlines_mm(plane: np.ndarray, grid: Grid) -> list[np.ndarray]:
    """Closed outlines [N, 2] in mm of a mask [j, i]; the inner edge of a hole is an outline too, never the longest."""
    if not plane.any():
        return []
    from contourpy import contour_generator  # here: 3D Slicer compares outlines before anything is installed into it

    low, high = (np.array(ends) for ends in zip(*[(a.min(), a.max() + 1) for a in np.nonzero(plane)]))
    part = np.pad(plane[low[0] : high[0], low[1] : high[1]], 1).astype(np.float32)
    lines = contour_generator(z=part).lines(0.5)
    return [line[:-1] * grid.spacing[:2] for line in lines]


def _longest_and_across(outline: np.ndarray) -> tuple[float, float]:
    """The longest distance between two points of a closed polygon [N, 2], and its longest chord perpendicular to it."""
    gaps = squareform(pdist(outline))
    a, b = np.unravel_index(gaps.argmax(), gaps.shape)
    along = (outline[b] - outline[a]) / gaps[a, b]
    start = np.stack([outline @ along, outline @ np.array([-along[1], along[0]])], 1)
    return float(gaps[a, b]), _longest_chord(start)


def _longest_chord(polygon: np.ndarray) -> float:
    """The longest extent of a closed polygon [N, 2] along its second axis at one place of the first: at a vertex."""
    end = np.roll(polygon, -1, 0)
    at = polygon[:, None, 0]  # [vertices, 1] against edges [1, N]
    step = end[:, 0] - polygon[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(step == 0, np.where(at == polygon[:, 0], 0.0, np.nan), (at - polygon[:, 0]) / step)
    crossing = (share >= 0) & (share <= 1)
    heights = polygon[:, 1] + share * (end[:, 1] - polygon[:, 1])
    top = np.where(crossing, heights, -np.inf).max(1)
    bottom = np.where(crossing, heights, np.inf).min(1)
    return float((top - bottom).max())


def _box_around(mask: np.ndarray) -> tuple[slice, ...]:
    return tuple(slice(int(where.min()), int(where.max()) + 1) for where in np.nonzero(mask))
