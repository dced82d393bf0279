"""The one place where LPS, in which files store space, meets RAS, in which the library thinks."""

from collections.abc import Sequence

import numpy as np
import SimpleITK

from ..errors import GeometryError
from ..geometry import Grid

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])
"""Left and posterior become right and anterior. Its own inverse."""

SKEW_TOLERANCE = 1e-3
"""Largest dot product between two axes that still count as perpendicular (0.06 degrees; headers round cosines)."""


def grid_from_lps(size: Sequence[int], origin, spacing, direction, source: str) -> Grid:
    """Sizes, origin (mm) and spacing (mm) of i, j, k and the LPS direction matrix [3, 3] (columns i, j, k) -> Grid.

    Raises GeometryError, naming `source`, when the axes are not finite, not unit length or not perpendicular.
    """
    origin, spacing = np.asarray(origin, float), np.asarray(spacing, float)
    direction = np.asarray(direction, float).reshape(3, 3)
    if not (np.isfinite(origin).all() and np.isfinite(direction).all() and np.isfinite(spacing).all()):
        raise GeometryError(f"'{source}': its position, spacing or orientation is not a number. Export it again.")
    if (spacing <= 0).any():
        raise GeometryError(f"'{source}': its voxel spacing is {tuple(spacing)} mm; all three must be above zero.")
    if np.abs(direction.T @ direction - np.eye(3)).max() > SKEW_TOLERANCE:
        raise GeometryError(
            f"'{source}': its axes are not perpendicular (sheared, as after gantry tilt or an affine registration). "
            "Resample it onto a regular grid first, for example with Resample Scalar Volume in 3D Slicer."
        )
    affine = np.eye(4)
    affine[:3, :3] = LPS_TO_RAS @ (direction * spacing)
    affine[:3, 3] = LPS_TO_RAS @ origin
    return Grid(tuple(int(n) for n in size[::-1]), affine)


def lps_affine(grid: Grid) -> np.ndarray:
    """(i, j, k, 1) -> LPS mm: float64 [4, 4]."""
    affine = grid.affine.copy()
    affine[:3] = LPS_TO_RAS @ affine[:3]
    return affine


def lps_to_ras(points) -> np.ndarray:
    """LPS mm [..., 3] -> RAS mm [..., 3]."""
    return np.asarray(points, float) @ LPS_TO_RAS


def image_on(grid: Grid, array: np.ndarray) -> SimpleITK.Image:
    """Voxels [K, J, I] on a grid as a SimpleITK image."""
    affine = lps_affine(grid)
    image = SimpleITK.GetImageFromArray(array)
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetSpacing(grid.spacing.tolist())
    image.SetDirection((affine[:3, :3] / grid.spacing).ravel().tolist())
    return image
