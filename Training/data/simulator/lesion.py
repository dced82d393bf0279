"""A simulated nodule: where it is (from the readers' outlines, blurred where they disagree) and what it is made of."""

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from .outlines import OUTLINE_SPACING_MM, OutlinedNodule
from .plane import DriftingField, Plane, random_field, random_from, smooth_spectrum, soft_step
from .vessels import spicules

DISPLACEMENT = {"cutoff": 0.10, "order": 4.5}
WINDOW_PX = 20
ABSENT_CALCIFICATION = 6
FLUID, FAT, AIR = 2, 3, 4
MARGIN_SCALE, EDGE_WIDTH_MM = (1, 2, 3, 4, 5), (2.0, 1.35, 0.9, 0.6, 0.4)


@dataclass(frozen=True, eq=False)
class Shape:
    """Where the nodule is within `window` of the plane, all float32 [h, w].

    depth_mm: into the nodule, negative outside. width_mm: of its edge. occupancy: share of the pixel, 0..1.
    """

    window: tuple[slice, slice]
    depth_mm: np.ndarray
    width_mm: np.ndarray
    occupancy: np.ndarray


@dataclass(frozen=True, eq=False)
class Lesion:
    """A nodule's tissue, drawn once. Densities relative to water; solid_share 0 ground glass .. 1 solid; the readers'
    mean subtlety, margin and so on come from `nodule`. texture, displacement: fields shared with the lung around."""

    nodule: OutlinedNodule
    radius_mm: float
    displacement: DriftingField
    texture: DriftingField
    solid_density: float
    ground_glass_density: float
    spicules: np.ndarray
    seed: tuple = ()
    solid_share: float = field(init=False)

    def __post_init__(self):
        texture = self.nodule.rating("texture")
        object.__setattr__(self, "solid_share", float(np.clip((texture - 1.4) / 3.1, 0, 1)))

    def shape(self, plane: Plane, masks: np.ndarray, z_mm: float, rng: np.random.Generator) -> Shape | None:
        """From masks [4, padded, padded] of one slice at z_mm from the nodule's middle; None where all are empty.

        The surface is the mean signed distance of the readers who outlined the slice, smoothed, and displaced at random
        by more the farther they are apart; so no step of the image follows any one outline.
        """
        if not masks.any():
            return None
        window = _window(masks.any(0), plane)
        drawn = masks[masks.any((1, 2))][:, *window]
        signed = np.stack([distance_transform_edt(m) - distance_transform_edt(~m) for m in drawn]).astype(np.float32)
        signed *= OUTLINE_SPACING_MM
        mean = gaussian_filter(signed.mean(0), 1.2)
        spread = gaussian_filter(signed.std(0) if len(drawn) > 1 else np.full_like(mean, 0.35), 3.0)
        width = np.interp(self.nodule.rating("margin"), MARGIN_SCALE, EDGE_WIDTH_MM) + 0.35 * spread
        jitter = random_field(rng, smooth_spectrum(plane, **DISPLACEMENT))
        moved = (0.8 * self.displacement.at(z_mm) + 0.6 * jitter)[window]
        depth = mean + moved * np.minimum(0.12 + 0.55 * spread, 1.2)
        return Shape(window, depth, width, soft_step(depth / width))

    def contrast(self, readers_share: float, rng: np.random.Generator) -> float:
        """Of the tissue, 0.15..1: lower where fewer of the readers outlined the slice, and for subtle nodules."""
        agreed = np.clip(1 - rng.uniform(0.15, 0.85) * (1 - readers_share), 0.15, 1)
        subtlety = self.nodule.rating("subtlety") + rng.normal(0, 0.4)
        return float(agreed * np.interp(subtlety, [1, 3, 5], [0.72, 0.88, 1.0]))

    def tissue(self, shape: Shape, z_mm: float, contrast: float) -> np.ndarray:
        """Density that the nodule has in `shape.window`, wherever it fills the pixel: [h, w]."""
        texture = self.texture.at(z_mm)[shape.window]
        glass = self.ground_glass_density * (1 + 0.16 * texture) * (0.75 + 0.25 * contrast)
        solid = self.solid_density * (1 + 0.025 * texture) * contrast
        density = glass + (solid - glass) * self._solidity(shape.depth_mm, texture)
        inwards = np.clip(1 - shape.depth_mm / max(float(shape.depth_mm.max()), 1.0), 0, 1.5)  # 0 centre .. 1 border
        density = density + self._calcium(inwards, texture, self.displacement.at(z_mm)[shape.window])
        return _contents(density, inwards, self.nodule.majority("internal_structure", otherwise=1))

    def _solidity(self, depth_mm: np.ndarray, texture: np.ndarray) -> np.ndarray | float:
        """1 in the solid core, 0 in ground glass; the core is the deepest part, with a rugged border."""
        if self.solid_share >= 0.97 or self.solid_share <= 0.03:
            return float(self.solid_share > 0.5)
        rugged = depth_mm + 1.1 * texture * (0.3 + 0.12 * self.radius_mm)
        inside = rugged[depth_mm > -np.inf][rugged.ravel() > 0]
        border = np.quantile(inside, 1 - self.solid_share) if inside.size > 4 else 0.0
        return soft_step((rugged - border) / 0.7)

    def _calcium(self, inwards: np.ndarray, texture: np.ndarray, displacement: np.ndarray) -> np.ndarray | float:
        """Extra density of the pattern that most readers rated: popcorn, laminated, solid, non-central, central."""
        kind = self.nodule.majority("calcification", otherwise=ABSENT_CALCIFICATION)
        if kind == ABSENT_CALCIFICATION:
            return 0.0
        patterns = {
            1: lambda: soft_step((texture - 0.4) / 0.2),
            2: lambda: 0.3 * (1 + np.cos(inwards * 12)),
            3: lambda: np.ones_like(inwards),
            4: lambda: soft_step((displacement - 0.9) / 0.2),
            5: lambda: soft_step((0.45 - inwards) / 0.12),
        }
        return random_from(self.seed[0], "cal", *self.seed[1:]).uniform(0.25, 0.9) * patterns[kind]()


def _window(union: np.ndarray, plane: Plane) -> tuple[slice, slice]:
    """The kept part of the plane around `union`, WINDOW_PX wider on each side."""
    sides = []
    for axis in (1, 0):
        occupied = np.flatnonzero(union.any(axis))
        low = max(plane.margin, occupied[0] - WINDOW_PX)
        sides.append(slice(low, min(plane.margin + plane.size, occupied[-1] + WINDOW_PX + 1)))
    return tuple(sides)


def _contents(density: np.ndarray, inwards: np.ndarray, structure: int) -> np.ndarray:
    """LIDC's internal structure: soft tissue stays; fluid, fat and air replace it."""
    if structure == FLUID:
        return np.minimum(density, 1.01)
    if structure == FAT:
        return np.full_like(density, 0.92)
    if structure == AIR:
        return density * (1 - soft_step((0.5 - inwards) / 0.1)) + 0.03
    return density


def draw_spicules(rng: np.random.Generator, nodule: OutlinedNodule, radius_mm: float) -> np.ndarray:
    return spicules(rng, radius_mm, nodule.rating("spiculation"))
