"""A nodule through a whole volume: one surface and one core in 3-D, so that neighbouring slices fit together."""

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from .lesion import SMOOTHING_MM, SPREAD_SMOOTHING_MM, Filling, Lesion, Shape, largest_displacement, window_around
from .plane import Plane

Z_SMOOTHING_MM = 1.2
SUBSLICES = (-1 / 3, 0.0, 1 / 3)


def fill_slices(
    lesion: Lesion, plane: Plane, masks: np.ndarray, z_mm: np.ndarray, thickness_mm: float
) -> list[Filling]:
    """What the nodule puts into each of K slices.

    masks: bool [4, K, padded, padded], all on one plane; z_mm [K], equally spaced, from the nodule's middle. The rules
    are those of single slices, in 3-D: a reader who stopped earlier pulls the end in, and the end fades; so the
    tissue keeps its full contrast.
    """
    window = window_around(masks.any((0, 1)), plane)
    spacing = (float(z_mm[1] - z_mm[0]), plane.spacing_mm, plane.spacing_mm)
    mean, spread = _mean_and_spread(masks[:, :, *window], spacing)
    displacement = np.stack([lesion.displacement.at(z)[window] for z in z_mm])
    depth = mean + displacement * largest_displacement(spread)
    width = lesion.edge_width_mm(spread)
    occupancy = _through_slab(depth, width, thickness_mm / spacing[0])
    texture = np.stack([lesion.texture.at(z)[window] for z in z_mm])
    core = lesion.core_depth_mm(depth, texture)
    shapes = [Shape(window, d, w) for d, w in zip(depth, width)]
    return [Filling(window, o, lesion.tissue(s, z, 1.0, core)) for o, s, z in zip(occupancy, shapes, z_mm)]


def _mean_and_spread(masks: np.ndarray, spacing_mm: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over the readers of the signed distance (positive inside), smoothed: [K, h, w] mm."""
    signed = [distance_transform_edt(mask, spacing_mm) - distance_transform_edt(~mask, spacing_mm) for mask in masks]
    signed = np.stack(signed).astype(np.float32)
    z, y, x = spacing_mm
    mean = gaussian_filter(signed.mean(0), (Z_SMOOTHING_MM / z, SMOOTHING_MM / y, SMOOTHING_MM / x))
    return mean, gaussian_filter(
        signed.std(0), (SPREAD_SMOOTHING_MM / z, SPREAD_SMOOTHING_MM / y, SPREAD_SMOOTHING_MM / x)
    )


def _through_slab(depth: np.ndarray, width: np.ndarray, thickness: float) -> np.ndarray:
    """Occupancy averaged over slabs of `thickness` (in slice spacings); depth is interpolated between slices."""
    position = np.arange(len(depth))
    total = np.zeros_like(depth)
    for part in SUBSLICES:
        at = np.clip(position + part * thickness, 0, len(depth) - 1)
        low = np.minimum(at.astype(int), len(depth) - 2)
        share = (at - low)[:, None, None]
        between = depth[low] * (1 - share) + depth[low + 1] * share
        total += Shape((slice(None), slice(None)), between, width).occupancy
    return total / len(SUBSLICES)
