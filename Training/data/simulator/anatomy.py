"""What surrounds and fills one nodule, drawn once from (nodule, repetition) and cut wherever a slice is wanted."""

from dataclasses import dataclass

import numpy as np

from . import vessels
from .chest_wall import ChestWall, draw_chest_wall
from .lesion import DISPLACEMENT, Filling, Lesion
from .outlines import OUTLINE_SPACING_MM, OutlinedNodule
from .plane import DriftingField, Plane, random_from, soft_step, unit

SEED = "v1"


@dataclass(frozen=True)
class Cut:
    """Where a slice lies relative to the nodule's middle: z_mm, and offset_mm (row, column) of the plane's centre."""

    z_mm: float
    offset_mm: tuple[float, float]
    thickness_mm: float


@dataclass(frozen=True, eq=False)
class Fissure:
    """A plane of pleura between lobes: its unit normal (row, column), distance from the nodule mm, relative density."""

    normal: np.ndarray
    distance_mm: float
    density: float


@dataclass(frozen=True, eq=False)
class Anatomy:
    """low, middle, texture: random fields on the plane, coarse to fine. HU of parenchyma and vessels; dependent_hu: how
    much denser the lung is 32 mm further back. segments: vessels and bronchi."""

    plane: Plane
    parenchyma_hu: float
    emphysema: bool
    dependent_hu: float
    low: DriftingField
    middle: DriftingField
    texture: DriftingField
    vessel_hu: float
    segments: np.ndarray
    fissure: Fissure | None
    wall: ChestWall | None
    lesion: Lesion

    def lung(self, cut: Cut) -> np.ndarray:
        """Density of parenchyma, fissure, vessels and bronchi, on the plane."""
        rows = self.plane.axis_mm[:, None]
        hu = self.parenchyma_hu + 30 * self.middle.at(cut.z_mm) + 18 * self.low.at(cut.z_mm)
        hu = hu + self.dependent_hu * (rows / 32)
        if self.emphysema:
            hu = hu - 75 * soft_step((self.texture.at(cut.z_mm) - 1.1) / 0.25)
        density = (hu + 1000) / 1000
        if self.fissure:
            density = density + self._fissure(self.fissure, cut)
        filled, bronchi, lumina = vessels.cut(self.segments, self.plane, cut.z_mm, cut.thickness_mm, cut.offset_mm)
        density = density + (1 + self.vessel_hu / 1000 - density) * filled
        density = density + (0.95 - density) * np.clip(bronchi - lumina, 0, 1) * 0.8
        return density * (1 - lumina) + 0.03 * lumina

    def _fissure(self, fissure: Fissure, cut: Cut) -> np.ndarray:
        rows, columns = self.plane.axis_mm[:, None] + cut.offset_mm[0], self.plane.axis_mm[None] + cut.offset_mm[1]
        distance = fissure.normal[0] * rows + fissure.normal[1] * columns - fissure.distance_mm
        distance = distance + 0.4 * cut.z_mm + 1.5 * self.low.at(cut.z_mm)
        return fissure.density * np.exp(-0.5 * (distance / 0.55) ** 2)

    def add_lesion(self, density: np.ndarray, filling: Filling) -> np.ndarray:
        """`density` with the nodule's tissue. A ground-glass nodule never darkens what it overlies."""
        density = density.copy()
        around = density[filling.window]
        change = (filling.tissue - around) * filling.occupancy
        darkens = 0.0 if self.lesion.solid_share < 0.5 else 1.0
        density[filling.window] = around + np.where(change > 0, change, change * darkens)
        return density

    def add_spicules(self, density: np.ndarray, cut: Cut, tissue_density: float) -> np.ndarray:
        if not len(self.lesion.spicules):
            return density
        strands = vessels.cut(self.lesion.spicules, self.plane, cut.z_mm, cut.thickness_mm, cut.offset_mm)[0]
        strands = strands * (0.75 if self.lesion.solid_share > 0.5 else 0.45)
        return np.maximum(density, density + (np.clip(tissue_density, 0.3, 1.0) - density) * strands)

    def add_wall(self, density: np.ndarray, cut: Cut, masks: np.ndarray) -> np.ndarray:
        """masks [4, padded, padded]: of the slice, or of the nearest one that is outlined."""
        if self.wall is None:
            return density
        fields = self.low.at(cut.z_mm), self.middle.at(cut.z_mm), self.texture.at(cut.z_mm)
        return self.wall.blend(density, self.plane, cut.z_mm, cut.offset_mm, masks, fields)


def draw_anatomy(nodule: OutlinedNodule, repetition: int, plane: Plane, field: vessels.VesselField) -> Anatomy:
    """The same arguments give the same anatomy; lung density and vessel contrast are the patient's."""
    rng = random_from(SEED, "nod", nodule.number, repetition)
    radius = float(np.sqrt(max(4, nodule.areas_px[nodule.largest].mean() * OUTLINE_SPACING_MM**2) / np.pi))
    hilum = _towards_hilum(rng, nodule)
    wall = draw_chest_wall(rng, nodule, radius, plane.field_mm)
    segments = vessels.clear_around(vessels.grow_vessels(rng, hilum, field), radius)
    if rng.random() < 0.5:
        segments = np.r_[segments, vessels.feeding_vessel(rng, hilum, radius)]
    spicules = vessels.spicules(rng, radius, nodule.rating("spiculation"))
    low, middle = DriftingField(rng, plane, 0.03, 3.0, 25), DriftingField(rng, plane, 0.16, 2.6, 4)
    displacement = DriftingField(rng, plane, **DISPLACEMENT, length_mm=6)
    texture = DriftingField(rng, plane, 0.12, 3.0, 5)
    lesion = _draw_lesion(rng, nodule, repetition, radius, displacement, texture, spicules)
    fissure = None
    if rng.random() < 0.2:
        fissure = Fissure(unit(rng.normal(size=2)), rng.uniform(-22, 22), rng.uniform(0.1, 0.22))
    return Anatomy(
        **_draw_patient(nodule),
        plane=plane,
        dependent_hu=rng.uniform(10, 40),
        low=low,
        middle=middle,
        texture=texture,
        segments=segments,
        fissure=fissure,
        wall=wall,
        lesion=lesion,
    )


def _draw_patient(nodule: OutlinedNodule) -> dict[str, float | bool]:
    rng = random_from(SEED, "pat", nodule.patient)
    drawn = {"parenchyma_hu": rng.normal(-868, 24), "emphysema": rng.random() < 0.3, "vessel_hu": rng.normal(42, 8)}
    if nodule.contrast:
        drawn["vessel_hu"] = rng.uniform(90, 230)
    return drawn


def _towards_hilum(rng: np.random.Generator, nodule: OutlinedNodule) -> np.ndarray:
    """Unit vector (row, column, z): the hila lie 45 mm to each side of the image centre, roughly."""
    row, column = nodule.position_mm
    return unit(np.array([-row * 0.7, np.sign(column) * 45 - column, 0.0]) + rng.normal(0, 8, 3))


def _draw_lesion(rng, nodule, repetition, radius_mm, displacement, texture, spicules) -> Lesion:
    glass_hu = rng.normal(-600 + 35 * (nodule.rating("texture") - 1), 45)
    solid_hu = rng.normal(22, 16) + (25 if nodule.contrast else 0)
    return Lesion(
        nodule=nodule,
        radius_mm=radius_mm,
        displacement=displacement,
        texture=texture,
        solid_density=(1000 + solid_hu) / 1000,
        ground_glass_density=(1000 + glass_hu) / 1000,
        spicules=spicules,
        calcium=random_from(SEED, "cal", nodule.number, repetition).uniform(0.25, 0.9),
    )
