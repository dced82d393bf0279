"""Which part of a mask is the lesion that was pointed at."""

import numpy as np
from scipy import ndimage

from .geometry import Grid

REACH_MM = 5.0
"""A click may miss a reader's outline by this much and still mean it."""

_FULL = np.ones((3, 3, 3), bool)


def part_at_point(mask: np.ndarray, grid: Grid, point_ras) -> np.ndarray:
    """The 3-D connected part of mask [K, J, I] bool that contains the point, or lies nearest within REACH_MM; else empty."""
    if not mask.any():
        return mask
    voxels = np.argwhere(mask)
    gaps = np.linalg.norm(grid.to_ras(voxels[:, ::-1]) - np.asarray(point_ras), axis=1)
    nearest = int(gaps.argmin())
    if gaps[nearest] > max(REACH_MM, grid.spacing.max()):
        return np.zeros_like(mask)
    parts, _ = _label(mask)
    return parts == parts[tuple(voxels[nearest])]


def parts_in_box(mask: np.ndarray, grid: Grid, low_ras, high_ras) -> np.ndarray:
    """The connected parts of mask [K, J, I] bool that reach into the RAS box."""
    if not mask.any():
        return mask
    voxels = np.argwhere(mask)
    where = grid.to_ras(voxels[:, ::-1])
    inside = np.all((where >= np.asarray(low_ras) - 1e-6) & (where <= np.asarray(high_ras) + 1e-6), axis=1)
    parts, _ = _label(mask)
    kept = np.unique(parts[tuple(voxels[inside].T)])
    return np.isin(parts, kept[kept > 0])


def _label(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Connected parts (faces, edges and corners), labelled inside the mask's bounding box only: it is small."""
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    labels = np.zeros(mask.shape, np.int32)
    labels[box], count = ndimage.label(mask[box], _FULL)
    return labels, count
