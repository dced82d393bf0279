"""The chest wall at the edge of a field: pleura, fat, muscle and ribs, schematic."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from .outlines import OutlinedNodule
from .plane import Plane, soft_step, unit

HALF_THORAX_MM = np.array([92.0, 142.0])  # half axes (row, column) of an ellipse that stands for the thorax
DIRECTIONS = np.linspace(0, 2 * np.pi, 36, endpoint=False)


@dataclass(frozen=True, eq=False)
class ChestWall:
    """normal: outward unit vector (row, column). attached: the nodule touches it. gap_mm: from the nodule (its border
    if attached). radius_mm: of the inner curvature. The rest: ribs and fat, mm and relative density."""

    normal: np.ndarray
    attached: bool
    gap_mm: float
    nodule_radius_mm: float
    radius_mm: float
    rib_place_mm: float
    rib_slope: float
    fat: float
    subcutaneous_mm: float
    rib_length_mm: float
    rib_width_mm: float
    rib_gap_mm: float
    cortex: float
    rib_depth_mm: float

    @property
    def tangent(self) -> np.ndarray:
        return np.array([self.normal[1], -self.normal[0]])

    def blend(self, density, plane: Plane, z_mm: float, offset_mm, masks: np.ndarray, fields) -> np.ndarray:
        """`density` with the wall over it. masks [4, padded, padded]: of this slice, or of the nearest outlined one;
        fields: (low, mid, texture) on the plane at z_mm. Moves with z only through the fields, ribs and masks."""
        low, mid, texture = fields
        rows, columns = plane.axis_mm[:, None], plane.axis_mm[None]
        height, foot = self._height(plane, offset_mm, masks)
        across = rows * self.tangent[0] + columns * self.tangent[1]
        inside = rows * self.normal[0] + columns * self.normal[1] - height - self.gap_mm * self.attached
        bulge = (across - foot) ** 2 / (2 * self.radius_mm)  # lungs are convex: the wall closes in on both sides
        inside = inside + bulge + (0.15 if self.attached else 0.5) * low
        along = across + offset_mm[0] * self.tangent[0] + offset_mm[1] * self.tangent[1]
        wall = 1.045 + 0.018 * mid - 0.15 * np.clip(self._fat(inside, low, texture), 0, 1)
        wall = wall + self._ribs(inside, along, z_mm, texture)
        return density + (wall - density) * soft_step(inside / 0.45)

    def _height(self, plane: Plane, offset_mm, masks: np.ndarray) -> tuple[float, float]:
        """Distance of the wall from the plane's centre, and where along it the curvature has its foot; mm."""
        distance = self.nodule_radius_mm + self.gap_mm - np.dot(offset_mm, self.normal)
        foot = -np.dot(offset_mm, self.tangent)
        if not masks.any():  # the outlines lie outside this field: nothing to touch or to spare
            return distance, foot
        share = masks.any((1, 2)).mean()
        agreed = masks.mean(0) >= max(0.25, share / 2)
        rows, columns = np.nonzero(agreed if agreed.any() else masks.any(0))
        center = (plane.padded - 1) / 2
        outline = np.c_[rows - center, columns - center] * plane.spacing_mm
        outermost = np.percentile(outline @ self.normal, 99)
        if self.attached:
            return outermost, (outline @ self.tangent).mean()
        return max(distance, outermost + 1.2), foot  # a free wall covers no outline

    def _fat(self, inside, low, texture) -> np.ndarray:
        """Extrapleural, subcutaneous and intermuscular fat, 0..1 and above."""
        extrapleural = soft_step((inside - 1.4 - 0.4 * low) / 0.5) * soft_step((3.4 - inside) / 0.6) * self.fat
        subcutaneous = 0.95 * soft_step((inside - self.subcutaneous_mm - 3 * low) / 1.2)
        intermuscular = 0.7 * soft_step((inside - 10) / 2) * soft_step((texture - 0.9) / 0.25)
        return extrapleural + subcutaneous + intermuscular

    def _ribs(self, inside, along, z_mm: float, texture) -> np.ndarray:
        """Three ellipses with a cortex."""
        extra = np.zeros_like(inside)
        for number in (-1, 0, 1):
            place = along - (self.rib_place_mm + number * self.rib_gap_mm + self.rib_slope * z_mm)
            height = inside - self.rib_depth_mm - 0.05 * place
            border = np.hypot(place / self.rib_length_mm, height / self.rib_width_mm) + 0.05 * texture
            extra = extra + 0.12 * soft_step((1 - border) / 0.08)
            extra = extra + self.cortex * np.exp(-0.5 * ((border - 0.92) / 0.10) ** 2)
        return extra


def draw_chest_wall(
    rng: np.random.Generator, nodule: OutlinedNodule, radius_mm: float, field_mm: float
) -> ChestWall | None:
    """A wall where the real position brings it into a field of this side; attached where the position is peripheral and
    the real outline is flat on its outward side."""
    position = nodule.position_mm
    periphery = float(np.hypot(*(position / HALF_THORAX_MM)))
    outward = unit(position / HALF_THORAX_MM**2)
    normal = _flat_side(nodule, outward) if periphery > 0.74 else None
    attached = normal is not None
    gap = 0.4
    if not attached:
        gap = (1.06 - periphery) * 95
        if gap >= field_mm / 2 - 14.9:
            return None
        normal = unit(outward + rng.normal(0, 0.15, 2))
        gap = float(np.clip(gap, 2.5, 40)) * rng.uniform(0.7, 1.3)
    return ChestWall(
        normal=normal,
        attached=attached,
        gap_mm=gap,
        nodule_radius_mm=radius_mm,
        radius_mm=rng.uniform(70, 140),
        rib_place_mm=rng.uniform(-45, 45),
        rib_slope=rng.uniform(-2.0, 2.0),
        fat=rng.uniform(0, 1),
        subcutaneous_mm=rng.uniform(12, 26),
        rib_length_mm=rng.uniform(8, 19),
        rib_width_mm=rng.uniform(3.0, 4.8),
        rib_gap_mm=rng.uniform(44, 75),
        cortex=rng.uniform(0.18, 0.5),
        rib_depth_mm=rng.uniform(6, 10),
    )


def _flat_side(nodule: OutlinedNodule, outward: np.ndarray) -> np.ndarray | None:
    """The outward normal of a flat side of the largest outline; None without one."""
    masks = nodule.masks[nodule.largest]
    agreed = masks.sum(0) >= max(1, masks.any((1, 2)).sum() / 2)
    border = agreed & ~(gaussian_filter(agreed.astype(np.float32), 0.8) > 0.97)
    points = np.argwhere(border) - (agreed.shape[0] - 1) / 2
    if len(points) <= 12:
        return None
    normals = np.c_[np.sin(DIRECTIONS), np.cos(DIRECTIONS)]
    heights = points @ normals.T
    across = points @ np.c_[np.cos(DIRECTIONS), -np.sin(DIRECTIONS)].T
    on_side = heights > heights.max(0) - 1.3
    chord = np.where(on_side, across, -np.inf).max(0) - np.where(on_side, across, np.inf).min(0)
    diameter = np.ptp(across, axis=0)
    flatness = chord / (diameter + 1e-6) * (normals @ outward > 0.35)
    best = int(flatness.argmax())
    return normals[best] if flatness[best] > 0.68 and diameter[best] > 8 else None
