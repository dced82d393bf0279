"""Where outlines of one lesion lie furthest apart: places to look at, worst first."""

from typing import Literal, NamedTuple

import numpy as np
from scipy import ndimage

from .geometry import Grid
from .upright import slice_in_file, upright

FEWEST = 0.1  # of the samples; where fewer differ, readers practically agree


class Spot(NamedTuple):
    """A place to look at: ras in mm, on a voxel's centre.

    kind "slice": amount is the area in mm2 that outlines do not share on the axial slice `slice_number`, as the scan
    counts from 1. kind "spot": amount is how many mm the outlines lie apart there.
    """

    kind: Literal["slice", "spot"]
    ras: tuple[float, float, float]
    amount: float
    slice_number: int


def disputed_voxels(masks: np.ndarray) -> np.ndarray:
    """bool [k, j, i]: voxels of masks [M, k, j, i] that at least a tenth includes and at least a tenth leaves out."""
    including, fewest = masks.sum(0, dtype=np.int32), FEWEST * len(masks) - 1e-6
    return (including >= fewest) & (including <= len(masks) - fewest)


def worst_slices(disputed: np.ndarray, grid: Grid, scan: Grid, count: int = 3) -> list[Spot]:
    """The axial slices with the largest disputed area [k, j, i], each at the middle of its widest part.

    scan: the grid that `grid` is a part of; its slices are counted.
    """
    seen, axes = upright(disputed, grid)
    areas = seen.sum((1, 2)) * float(axes.spacing[0] * axes.spacing[1])
    rows = [int(row) for row in np.argsort(-areas, kind="stable")[:count] if areas[row] > 0]
    found = []
    for row in rows:
        depth = ndimage.distance_transform_edt(np.pad(seen[row], 1), sampling=axes.spacing[1::-1])[1:-1, 1:-1]
        j, i = np.unravel_index(depth.argmax(), depth.shape)
        place = tuple(axes.to_ras((i, j, row)).tolist())
        found.append(Spot("slice", place, float(areas[row]), slice_in_file(row, axes, scan)))
    return found


def widest_gaps(disputed: np.ndarray, grid: Grid, scan: Grid, count: int = 5, apart_mm: float = 5.0) -> list[Spot]:
    """The places where the disputed part [k, j, i] is thickest, at least `apart_mm` from each other, thickest first.

    The thickness is the width of the largest ball that fits in: what outlines lie apart, to a voxel.
    """
    if not disputed.any():
        return []
    axes = upright(disputed, grid)[1]
    inside = np.argwhere(disputed)
    low = inside.min(0)
    box = tuple(slice(a, b + 1) for a, b in zip(low, inside.max(0)))  # a lesion is small, what was looked at is not
    depth = ndimage.distance_transform_edt(np.pad(disputed[box], 1), sampling=grid.spacing[::-1])
    places, depths = grid.to_ras(inside[:, ::-1]), depth[tuple((inside - low + 1).T)]
    found = []
    while len(depths) and len(found) < count:
        best = int(depths.argmax())
        place = places[best]
        row = int(np.rint(axes.to_ijk(place))[2])
        thickness = max(2 * depths[best] - float(grid.spacing.min()), float(grid.spacing.min()))
        found.append(Spot("spot", tuple(place.tolist()), thickness, slice_in_file(row, axes, scan)))
        far = np.linalg.norm(places - place, axis=1) >= max(apart_mm, thickness)
        places, depths = places[far], depths[far]
    return found
