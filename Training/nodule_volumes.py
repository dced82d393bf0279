"""Small scans stacked from prepared slices, for testing the line that users take."""

import numpy as np

from MultiRaterSegLib.frame import UPRIGHT
from MultiRaterSegLib.geometry import Grid, Volume

from .data.slices import Slices

SLICE_MM = 1.25
"""Distance of stacked slices: the data set's median thickness; no figure here depends on it but the reach of a click."""


def nodule_rows(slices: Slices, min_slices: int, readers: int) -> list[np.ndarray]:
    """Rows of each nodule that enough readers outlined, in the order of its slices."""
    found = []
    for lesion in range(int(slices.lesion.max()) + 1):
        rows = np.flatnonzero(slices.lesion == lesion)
        rows = rows[np.argsort(slices.slice_index[rows], kind="stable")]
        outlined = (slices.lesion_areas_px[rows[0]] > 0).sum()
        agreed = (slices.masks(rows).sum(1) >= 2).any()
        if len(rows) >= min_slices and outlined >= readers and agreed:
            found.append(rows)
    return found


def stacked(slices: Slices, rows: np.ndarray) -> tuple[Volume, np.ndarray, np.ndarray]:
    """A volume of the rows' crops, the readers' majority [K, H, W] bool (>= 2), and a RAS point in its middle."""
    spacing = float(slices.spacing_mm[rows[0]])
    affine = np.eye(4)
    affine[:3, :3] = UPRIGHT * np.array([spacing, spacing, SLICE_MM])
    images = slices.images[rows]
    grid = Grid(images.shape, affine)
    majority = slices.masks(rows).sum(1) >= 2
    voxels = np.argwhere(majority)
    middle = voxels[np.linalg.norm(voxels - voxels.mean(0), axis=1).argmin()]
    return Volume(images[None], grid, "CT", "stacked nodule"), majority, grid.to_ras(middle[::-1])
