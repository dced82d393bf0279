"""Which axial slices of a lesion to show, how much of them, and in which window."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from . import consensus
from .geometry import Grid
from .lesion_result import LesionResult
from .upright import slice_in_file, slice_position, upright

LUNG_WINDOW = (-1350.0, 150.0)  # HU: width 1500, level -600
SOFT_TISSUE_WINDOW = (-160.0, 240.0)  # HU: width 400, level 40
MINIMUM_FIELD_MM = 25.0


@dataclass(frozen=True, eq=False)
class SliceView:
    """A result seen upright. image: [k, j, i] in the scan's units. inside: share of samples that include each voxel, of
    each outline by name, [k, j, i] in 0..1."""

    result: LesionResult
    image: np.ndarray
    grid: Grid
    inside: dict[str, np.ndarray]

    @classmethod
    def of(cls, result: LesionResult) -> "SliceView":
        image, grid = upright(result.volume.voxels[0][result.grid.window_in(result.volume.grid)], result.grid)
        inside = {
            name: upright(consensus.probability(prediction.samples), result.grid)[0]
            for name, prediction in result.outlines.items()
        }
        return cls(result, image, grid, inside)

    @cached_property
    def disagreement(self) -> np.ndarray:
        """Percent of simulated readers who disagree with the majority, [k, j, i] in 0..50."""
        return upright(consensus.disagreement(self.result.consensus.samples), self.result.grid)[0]

    @cached_property
    def touched(self) -> np.ndarray:
        """bool [k, j, i]: any style's or the consensus outline; where there is none, any sample's."""
        outlined = np.any([share > 0.5 for share in self.inside.values()], axis=0)
        return outlined if outlined.any() else np.any([share > 0 for share in self.inside.values()], axis=0)

    @cached_property
    def main_row(self) -> int:
        """The slice with the largest consensus; without one, with the most voxels that any sample includes."""
        areas = (self.inside["consensus"] > 0.5).sum((1, 2))
        areas = areas if areas.any() else self.touched.sum((1, 2))
        return int(areas.argmax()) if areas.any() else len(self.image) // 2

    def rows(self, count: int = 5) -> list[int]:
        """Equally spaced slices from head to feet: the main one, and others that cover the lesion."""
        found = np.flatnonzero(self.touched.any((1, 2)))
        low, high = (int(found[0]), int(found[-1])) if len(found) else (self.main_row, self.main_row)
        return spaced_rows(self.main_row, low, high, len(self.image), count)[::-1]

    @cached_property
    def field(self) -> tuple[float, float, float, float]:
        """left, right, top, bottom in mm of a square around the lesion; 0 is the centre of the grid's first voxel."""
        spacing = self.grid.spacing[:2]
        where = np.argwhere(self.touched.any(0))[:, ::-1]
        if len(where):
            low, high = where.min(0) * spacing, where.max(0) * spacing
        else:
            low = high = self.grid.to_ijk(self.result.consensus.provenance["place_ras"])[:2] * spacing
        edge = (self.grid.size_ijk[:2] - 0.5) * spacing  # what lies beyond was not looked at
        half = min(max(MINIMUM_FIELD_MM, 1.2 * float((high - low).max()) + 10), *(edge + spacing / 2)) / 2
        x, y = np.clip((low + high) / 2, half - spacing / 2, edge - half).tolist()
        return x - half, x + half, y - half, y + half

    @cached_property
    def window(self) -> tuple[float, float]:
        """The intensities shown black and white: a lung or soft tissue window for CT, else percentiles."""
        left, right, top, bottom = self.field
        i, j = (np.arange(n) * mm for n, mm in zip(self.grid.size_ijk[:2], self.grid.spacing))
        seen = self.image[:, (j >= top) & (j <= bottom)][:, :, (i >= left) & (i <= right)]
        if self.result.volume.modality == "CT":
            return LUNG_WINDOW if np.percentile(seen, 20) < -400 else SOFT_TISSUE_WINDOW
        low, high = np.percentile(seen, (0.5, 99.5))
        return float(low), float(high if high > low else low + 1)

    def slice_number(self, row: int) -> int:
        """As the scan counts its slices, from 1."""
        return slice_in_file(row, self.grid, self.result.scan)

    def position_mm(self, row: int) -> float:
        """S of the slice where the lesion is."""
        return slice_position(row, self.grid)


def spaced_rows(main: int, low: int, high: int, slices: int, count: int) -> list[int]:
    """Up to `count` equally spaced slices, ascending: `main` is one, and together they sit around low..high."""
    step = max(1, round((high - low + 1) / count))
    reachable = list(range(main % step, slices, step))
    if len(reachable) <= count:
        return reachable
    choices = [reachable[n : n + count] for n in range(len(reachable) - count + 1)]
    return min((c for c in choices if main in c), key=lambda c: abs(c[0] + c[-1] - low - high))
