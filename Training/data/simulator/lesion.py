"""A simulated nodule: where it is (from the readers' outlines, blurred where they disagree) and what it is made of."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from .outlines import OutlinedNodule
from .plane import DriftingField, Plane, random_field, smooth_spectrum, soft_step

DISPLACEMENT = {"cutoff": 0.10, "order": 4.5}
AROUND_MM = 10.0
SMOOTHING_MM, SPREAD_SMOOTHING_MM = 0.6, 1.5
ABSENT_CALCIFICATION = 6
FLUID, FAT, AIR = 2, 3, 4
MARGIN_SCALE, EDGE_WIDTH_MM = (1, 2, 3, 4, 5), (2.0, 1.35, 0.9, 0.6, 0.4)


@dataclass(frozen=True, eq=False)
class Shape:
    """Where the nodule is within `window` of the plane, all float32 [h, w].

    depth_mm: into the nodule, negative outside. width_mm: of its edge.
    """

    window: tuple[slice, slice]
    depth_mm: np.ndarray
    width_mm: np.ndarray

    @property
    def occupancy(self) -> np.ndarray:
        """Share of the pixel that the nodule fills, 0..1."""
        return soft_step(self.depth_mm / self.width_mm)


@dataclass(frozen=True, eq=False)
class Filling:
    """What a nodule puts into `window` of a slice: tissue [h, w] (density) wherever occupancy [h, w] says."""

    window: tuple[slice, slice]
    occupancy: np.ndarray
    tissue: np.ndarray


@dataclass(frozen=True, eq=False)
class Lesion:
    """A nodule's tissue, drawn once. Densities are relative to water; subtlety, margin and so on are the readers' mean
    ratings. displacement, texture: random fields. spicules: segments. calcium: extra density of calcifications."""

    nodule: OutlinedNodule
    radius_mm: float
    displacement: DriftingField
    texture: DriftingField
    solid_density: float
    ground_glass_density: float
    spicules: np.ndarray
    calcium: float

    @property
    def solid_share(self) -> float:
        """0 ground glass .. 1 solid."""
        return float(np.clip((self.nodule.rating("texture") - 1.4) / 3.1, 0, 1))

    def shape(self, plane: Plane, masks: np.ndarray, z_mm: float, rng: np.random.Generator) -> Shape:
        """From masks [4, padded, padded], not all empty, of one slice at z_mm from the nodule's middle.

        The surface is the mean signed distance of the readers who outlined the slice, smoothed, and displaced at random
        by more the farther they are apart; so no step of the image follows any one outline.
        """
        window = window_around(masks.any(0), plane)
        drawn = masks[masks.any((1, 2))][:, *window]
        signed = np.stack([distance_transform_edt(m) - distance_transform_edt(~m) for m in drawn]).astype(np.float32)
        signed *= plane.spacing_mm
        mean = gaussian_filter(signed.mean(0), SMOOTHING_MM / plane.spacing_mm)
        spread = signed.std(0) if len(drawn) > 1 else np.full_like(mean, 0.35)
        spread = gaussian_filter(spread, SPREAD_SMOOTHING_MM / plane.spacing_mm)
        jitter = random_field(rng, smooth_spectrum(plane, **DISPLACEMENT))
        moved = (0.8 * self.displacement.at(z_mm) + 0.6 * jitter)[window]
        return Shape(window, mean + moved * largest_displacement(spread), self.edge_width_mm(spread))

    def edge_width_mm(self, spread_mm: np.ndarray) -> np.ndarray:
        """Wider with a poor margin, and where the readers' signed distances spread."""
        return np.interp(self.nodule.rating("margin"), MARGIN_SCALE, EDGE_WIDTH_MM) + 0.35 * spread_mm

    def contrast(self, readers_share: float, rng: np.random.Generator) -> float:
        """Of the tissue, 0.15..1: lower where fewer of the readers outlined the slice, and for subtle nodules."""
        agreed = np.clip(1 - rng.uniform(0.15, 0.85) * (1 - readers_share), 0.15, 1)
        subtlety = self.nodule.rating("subtlety") + rng.normal(0, 0.4)
        return float(agreed * np.interp(subtlety, [1, 3, 5], [0.72, 0.88, 1.0]))

    def tissue(self, shape: Shape, z_mm: float, contrast: float, core_depth_mm: float | None = None) -> np.ndarray:
        """Density that the nodule has in `shape.window`, wherever it fills the pixel: [h, w]. core_depth_mm: where the
        solid core begins; None: where the core gets its share of this slice."""
        texture = self.texture.at(z_mm)[shape.window]
        glass = self.ground_glass_density * (1 + 0.16 * texture) * (0.75 + 0.25 * contrast)
        solid = self.solid_density * (1 + 0.025 * texture) * contrast
        density = glass + (solid - glass) * self._solidity(shape.depth_mm, texture, core_depth_mm)
        inwards = np.clip(1 - shape.depth_mm / max(float(shape.depth_mm.max()), 1.0), 0, 1.5)  # 0 centre .. 1 border
        density = density + self._calcium(inwards, texture, self.displacement.at(z_mm)[shape.window])
        return _contents(density, inwards, self.nodule.majority("internal_structure", otherwise=1))

    def core_depth_mm(self, depth_mm: np.ndarray, texture: np.ndarray) -> float:
        """The (rugged) depth from which on the deepest pixels make up the solid share."""
        inside = self._rugged(depth_mm, texture)[depth_mm > 0]
        return float(np.quantile(inside, 1 - self.solid_share)) if inside.size > 4 else 0.0

    def _rugged(self, depth_mm: np.ndarray, texture: np.ndarray) -> np.ndarray:
        """Depth as the border of the core sees it."""
        return depth_mm + 1.1 * texture * (0.3 + 0.12 * self.radius_mm)

    def _solidity(self, depth_mm: np.ndarray, texture: np.ndarray, core_depth_mm: float | None) -> np.ndarray | float:
        """1 in the solid core, 0 in ground glass; the core is the deepest part, with a rugged border."""
        if self.solid_share >= 0.97 or self.solid_share <= 0.03:
            return float(self.solid_share > 0.5)
        border = self.core_depth_mm(depth_mm, texture) if core_depth_mm is None else core_depth_mm
        return soft_step((self._rugged(depth_mm, texture) - border) / 0.7)

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
        return self.calcium * patterns[kind]()


def largest_displacement(spread_mm: np.ndarray) -> np.ndarray:
    """mm by which a surface may be moved (one standard deviation) where the readers spread so much."""
    return np.minimum(0.12 + 0.55 * spread_mm, 1.2)


def window_around(union: np.ndarray, plane: Plane) -> tuple[slice, slice]:
    """The kept part of the plane around `union`, AROUND_MM wider on each side."""
    around = round(AROUND_MM / plane.spacing_mm)
    sides = []
    for axis in (1, 0):
        occupied = np.flatnonzero(union.any(axis))
        low = max(plane.margin, occupied[0] - around)
        sides.append(slice(low, min(plane.margin + plane.size, occupied[-1] + around + 1)))
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
