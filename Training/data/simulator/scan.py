"""Simulated slices and volumes of one nodule, also beyond its ends: the same anatomy with nothing outlined."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from .anatomy import SEED, Anatomy, Cut, draw_anatomy
from .lesion import Filling, Shape
from .lesion_volume import fill_slices
from .outlines import OUTLINE_SPACING_MM, READERS, OutlinedNodule
from .plane import Plane, random_from
from .scanner import SCANNERS, acquire, scanner_of
from .vessels import VesselField


@dataclass(frozen=True, eq=False)
class SimulatedVolume:
    """hu: int16 [K, size, size], ascending towards the head. masks: bool [4, K, size, size]. spacing_mm: along (column,
    row, slice). origin_mm: LPS of the first voxel's centre, the image centre being 0 in the plane."""

    hu: np.ndarray
    masks: np.ndarray
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]


class SimulatedScan:
    """One nodule's surroundings on one scanner. Slices have the real scan's numbers and may lie beyond the nodule.

    The anatomy follows from (nodule, repetition), a slice's edge from its number too, the noise also from the scanner.
    A plane wider than 80 mm, or a volume deeper than 50 mm, needs a wider field of vessels.
    """

    def __init__(
        self,
        nodule: OutlinedNodule,
        repetition: int = 0,
        scanner: str | None = None,
        plane: Plane = Plane(),  # noqa: B008, an immutable value
        field: VesselField = VesselField(),  # noqa: B008
    ):
        self.nodule, self.repetition, self.plane = nodule, repetition, plane
        self.scanner = scanner or scanner_of(nodule.scan)
        self.anatomy: Anatomy = draw_anatomy(nodule, repetition, plane, field)
        self._row_of = {int(number): row for row, number in enumerate(nodule.slice_number)}

    @property
    def slice_numbers(self) -> range:
        """Of the nodule, from its lowest to its highest outline."""
        return range(int(self.nodule.slice_number[0]), int(self.nodule.slice_number[-1]) + 1)

    def slice(self, number: int, centre_mm: tuple[float, float] | None = None) -> np.ndarray:
        """HU int16 [size, size]. centre_mm: (row, column) of the plane's centre relative to the nodule's; None: where
        the outlines of this slice, or of the nearest outlined one, have their centre."""
        cut = self._cut(number, self._centre(number) if centre_mm is None else centre_mm)
        return self._acquire(number, cut, self._filling(number, cut))

    def beyond(self, steps: int) -> np.ndarray:
        """HU int16 [size, size] of a slice where nobody outlined anything: `steps` >= 1 above the highest outline, or
        <= -1 below the lowest. Next to the end the nodule still shines through by partial volume."""
        if steps == 0:
            raise ValueError("`beyond` needs a number of slices above (1, 2, ...) or below (-1, -2, ...) the nodule.")
        return self.slice(self.slice_numbers[-1] + steps if steps > 0 else self.slice_numbers[0] + steps)

    def masks(self, number: int, centre_mm: tuple[float, float] | None = None) -> np.ndarray:
        """bool [4, size, size]; all empty beyond the nodule."""
        centre = self._centre(number) if centre_mm is None else centre_mm
        return self._placed(number, centre)[:, *self.plane.kept]

    def volume(self, below: int, above: int) -> SimulatedVolume:
        """The nodule with `below` and `above` further slices, in one plane around its centre. Unlike single slices, the
        nodule is drawn in 3-D, so that its slices fit together."""
        numbers = range(self.slice_numbers[0] - below, self.slice_numbers[-1] + above + 1)
        cuts = [self._cut(number, (0.0, 0.0)) for number in numbers]
        masks = np.stack([self._placed(number, (0.0, 0.0)) for number in numbers], axis=1)
        heights = np.array([cut.z_mm for cut in cuts])
        fillings = fill_slices(self.anatomy.lesion, self.plane, masks, heights, self.nodule.thickness_mm)
        hu = [self._acquire(*parts) for parts in zip(numbers, cuts, fillings)]
        corner = self.nodule.position_mm - (self.plane.size - 1) / 2 * self.plane.spacing_mm
        lowest = heights[0] + self.nodule.middle_z_mm
        spacing = (self.plane.spacing_mm, self.plane.spacing_mm, self.nodule.slice_spacing_mm)
        origin = (float(corner[1]), float(corner[0]), float(lowest))
        return SimulatedVolume(np.stack(hu), masks[:, :, *self.plane.kept], spacing, origin)

    def z_mm(self, number: int) -> float:
        """Of a slice, from the nodule's middle; beyond the ends by the scan's slice spacing."""
        nearest = self._nearest(number)
        steps = number - int(self.nodule.slice_number[nearest])
        return float(self.nodule.z_mm[nearest]) + steps * self.nodule.slice_spacing_mm - self.nodule.middle_z_mm

    def _nearest(self, number: int) -> int:
        """The row of the outlined slice nearest to this one."""
        return int(np.abs(self.nodule.slice_number.astype(int) - number).argmin())

    def _centre(self, number: int) -> tuple[float, float]:
        row, column = self.nodule.centre_mm[self._nearest(number)]
        return row, column

    def _placed(self, number: int, centre_mm: tuple[float, float]) -> np.ndarray:
        """Masks [4, padded, padded] on a plane with this centre."""
        if number not in self._row_of:
            return np.zeros((READERS, self.plane.padded, self.plane.padded), bool)
        row = self._row_of[number]
        centre = self.nodule.centre_mm[row] - centre_mm
        return self.plane.place(self.nodule.masks[row], OUTLINE_SPACING_MM, centre)

    def _cut(self, number: int, centre_mm: tuple[float, float]) -> Cut:
        return Cut(self.z_mm(number), centre_mm, self.nodule.thickness_mm)

    def _acquire(self, number: int, cut: Cut, filling: Filling | None) -> np.ndarray:
        """HU of a slice whose nodule is `filling`."""
        density = np.maximum(self._density(number, cut, filling), 0)
        noise = random_from(SEED, "noise", self.scanner, self.nodule.number, number, self.repetition)
        thin = np.clip(np.sqrt(1.25 / self.nodule.thickness_mm), 0.6, 1.5)
        scale = thin * (1.15 if self.anatomy.wall else 1.0)
        return acquire(density, self.plane, SCANNERS[self.scanner], self.nodule.pixel_spacing_mm, scale, noise)

    def _density(self, number: int, cut: Cut, filling: Filling | None) -> np.ndarray:
        density, lesion = self.anatomy.lung(cut), self.anatomy.lesion
        densest = lesion.solid_density if lesion.solid_share > 0.5 else lesion.ground_glass_density
        if filling is not None:
            density, densest = self.anatomy.add_lesion(density, filling), float(filling.tissue.max())
        density = self.anatomy.add_spicules(density, cut, densest)
        nearest = int(self.nodule.slice_number[self._nearest(number)])
        return self.anatomy.add_wall(density, cut, self._placed(nearest, cut.offset_mm))

    def _filling(self, number: int, cut: Cut) -> Filling | None:
        """The nodule in a single slice: from its own outlines, or next to an end from the neighbour's; else None."""
        masks, below, above = (self._placed(number + step, cut.offset_mm) for step in (0, -1, 1))
        seen = next((m for m in (masks, below, above) if m.any()), None)
        if seen is None:
            return None
        rng = random_from(SEED, "slice", self.nodule.number, number, self.repetition)
        shape = self.anatomy.lesion.shape(self.plane, seen, cut.z_mm, rng)
        contrast = self.anatomy.lesion.contrast(seen.any((1, 2)).mean(), rng)
        own = shape.occupancy if masks.any() else np.zeros_like(shape.occupancy)
        occupancy = self._partial_volume(shape, own, below, above)
        return Filling(shape.window, occupancy, self.anatomy.lesion.tissue(shape, cut.z_mm, contrast))

    def _partial_volume(self, shape: Shape, own: np.ndarray, below: np.ndarray, above: np.ndarray) -> np.ndarray:
        """Occupancy as a slice thicker than the slice spacing sees it: a share of both neighbours' outlines."""
        thickness = self.nodule.thickness_mm
        share = max(0.10, (thickness - self.nodule.slice_spacing_mm) / 2 / thickness)
        blur_px = (0.6 + float(np.mean(shape.width_mm)) / 2) / self.plane.spacing_mm
        neighbours = [gaussian_filter(m.mean(0).astype(np.float32)[shape.window], blur_px) for m in (below, above)]
        return (1 - 2 * share) * own + share * sum(neighbours)
