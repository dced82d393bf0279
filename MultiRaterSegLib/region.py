"""Where a lesion is, and which voxels of its scan matter: decided from the grid alone, before a voxel is touched.

No torch here: 3D Slicer's own process cuts the part out of the scan that the worker needs.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .errors import GeometryError, UnsupportedRequest
from .frame import Frame, upright_axes
from .geometry import Grid, Volume
from .lesion_part import part_at_point, parts_in_box

DEPTH_MM = 40.0
"""Slices looked at around a point, in all; lesions of 30 mm fit with room to see where they end."""

MARGIN = 2
"""Voxels around the frame that interpolation may need."""

ROUNDING = 0.01
"""Voxels. A scan that was saved and loaded again lies some nanometres beside where it was, and is looked at all the same."""


@dataclass(frozen=True)
class Place:
    """Where to look: the point that the frame is centred on, and the box or point that the lesion must touch (RAS mm)."""

    center: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None

    @classmethod
    def of(cls, scan: Grid, at=None, box=None, source: str = "the scan") -> "Place":
        """at: a point, RAS mm. box: its (low, high) corners instead. source: what messages call the scan.

        Raises UnsupportedRequest for none or both, GeometryError for what is no place in the scan.
        """
        if (at is None) == (box is None):
            raise UnsupportedRequest("Say where the lesion is: either a point (at) or a box, not both.")
        if box is None:
            place = cls(np.asarray(at, float))
        else:
            low, high = np.minimum(*box).astype(float), np.maximum(*box).astype(float)
            place = cls((low + high) / 2, low, high)
        if place.center.shape != (3,) or not np.isfinite(place.center).all():
            raise GeometryError(f"A place is three numbers R, A, S in mm; got {at if box is None else box}.")
        if not scan.contains(place.center):
            raise GeometryError(f"{place.words} is outside '{source}', {extent_words(scan)}.")
        return place

    @property
    def words(self) -> str:
        point = ", ".join(f"{value:.1f}" for value in self.center)
        return (
            f"The point R, A, S = {point} mm" if self.low is None else f"The middle of the box, R, A, S = {point} mm,"
        )

    def part_of(self, mask: np.ndarray, grid: Grid) -> np.ndarray:
        """The part of the mask [K, J, I] that is this lesion."""
        if self.low is None:
            return part_at_point(mask, grid, self.center)
        return parts_in_box(mask, grid, self.low, self.high)


@dataclass(frozen=True, eq=False)
class Region:
    """What one lesion needs of a scan, all as grids.

    scan: all of it. grid: the crop of native voxels to answer for: the frame's field in the plane, DEPTH_MM (or the box
    and a margin) across. frame_grid: the slices that the model sees. window: the crop of the scan they are made from.
    """

    place: Place
    scan: Grid
    grid: Grid
    frame_grid: Grid
    window: Grid

    @classmethod
    def around(cls, place: Place, scan: Grid, frame: Frame) -> "Region":
        grid = _look_at(scan, place, frame)
        frame_grid = frame.grid_for(grid, place.center)
        corners = scan.to_ijk(frame_grid.to_ras(_corners(frame_grid)))
        window = scan.crop(np.floor(corners.min(0)) - MARGIN, np.ceil(corners.max(0)) + MARGIN)
        return cls(place, scan, grid, frame_grid, window)

    def cut(self, volume: Volume) -> np.ndarray:
        """The voxels [C, k, j, i] of `window`, a view. volume: the scan, or a part of it that covers the window."""
        return volume.voxels[(slice(None), *self.window.window_in(volume.grid))]

    @cached_property
    def across(self) -> int:
        """Which axis of the scan (i = 0, j = 1, k = 2) runs across the slices that the model sees."""
        return _across(self.scan)

    @cached_property
    def slices(self) -> range:
        """The indices, along `across` of the scan, of the slices that the model sees."""
        first = int(np.rint(self.scan.to_ijk(self.grid.affine[:3, 3]))[self.across])
        return range(first, first + int(self.grid.size_ijk[self.across]))

    def slice_at(self, ras) -> int | None:
        """The stored slice of the scan that passes a point (RAS mm) most closely; None where it was not looked at."""
        index = int(np.rint(self.scan.to_ijk(ras)[self.across]))
        return index if index in self.slices else None

    def slice_grid(self, index: int) -> Grid:
        """One slice of `grid`, one voxel thick. Raises UnsupportedRequest for one that was not looked at."""
        if index not in self.slices:
            low, high = self.slices[0], self.slices[-1]
            raise UnsupportedRequest(f"Slice {index} was not looked at for this lesion; choose one of {low}..{high}.")
        low, high = np.zeros(3, int), self.grid.size_ijk - 1
        low[self.across] = high[self.across] = index - self.slices[0]
        return self.grid.crop(low, high)

    def frame_row(self, index: int) -> int:
        """The position among the slices that the model sees of the scan's slice `index`."""
        middle = self.slice_grid(index).center
        return int(np.rint(self.frame_grid.to_ijk(middle)[2]))


def extent_words(grid: Grid) -> str:
    """Where a scan lies, for messages: "which spans R -170..170, A ..., S ... mm"."""
    corners = grid.to_ras(_corners(grid))
    spans = [f"{axis} {low:.0f}..{high:.0f}" for axis, low, high in zip("RAS", corners.min(0), corners.max(0))]
    return f"which spans {', '.join(spans)} mm"


def _across(scan: Grid) -> int:
    order, _ = upright_axes(scan.affine[:3, :3] / scan.spacing)
    return order[2]


def _look_at(scan: Grid, place: Place, frame: Frame) -> Grid:
    half = np.full(3, frame.field_of_view_mm / 2 - frame.spacing_mm)
    middle, reach, across = scan.to_ijk(place.center), half / scan.spacing, _across(scan)
    reach[across] = DEPTH_MM / 2 / scan.spacing[across]
    if place.low is not None:
        corners = scan.to_ijk(np.array(np.meshgrid(*zip(place.low, place.high))).reshape(3, -1).T)
        reach[across] = np.ptp(corners[:, across]) / 2 + 2
    return scan.crop(np.ceil(middle - reach - ROUNDING), np.floor(middle + reach + ROUNDING))


def _corners(grid: Grid) -> np.ndarray:
    """The eight corner voxels, (i, j, k) each."""
    return np.array(np.meshgrid(*[(0, n - 1) for n in grid.size_ijk])).reshape(3, -1).T
