"""Where a lesion's outlines disagree most: a table of slices and spots in the scene, and the jump to one of them."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from MultiRaterSegLib.prediction import Prediction
from MultiRaterSegLib.spots import disputed_voxels, widest_gaps, worst_slices

from .numbers import majority_of
from .record import CONSENSUS, Record
from .tables import fill_table


class SceneSpot(NamedTuple):
    """A place to jump to; ras in mm. between: whose outlines disagree there, "styles" or "samples" (of the consensus). kind
    "slice": amount in mm2 on that slice; "spot": mm that outlines lie apart. slice_number: as the scan counts, from 1."""

    kind: str
    between: str
    ras: tuple[float, float, float]
    amount: float
    slice_number: int

    @property
    def unit(self) -> str:
        return "mm2" if self.kind == "slice" else "mm"

    @property
    def text(self) -> str:
        who = "Styles" if self.between == "styles" else "Simulated readers"
        if self.kind == "slice":
            return f"Slice {self.slice_number}: {who.lower()} differ by {self.amount:.0f} mm²"
        return f"{who} lie {self.amount:.1f} mm apart (slice {self.slice_number})"


def spots_of(records: Sequence[Record]) -> list[SceneSpot]:
    """Where two styles or more disagree, then where the samples of the consensus do; slices before spots, worst first."""
    styles = [record.prediction for record in records if record.name != CONSENSUS]
    population = [record.prediction for record in records if record.name == CONSENSUS]
    found = []
    if len(styles) > 1:
        masks = np.stack([majority_of(style) for style in styles])
        found += _spots("styles", disputed_voxels(masks), styles[0])
    if population:
        found += _sample_spots(population[0])
    return sorted(found, key=lambda spot: spot.kind)  # "slice" before "spot"; otherwise as they are


def fill_spots(node, spots: Sequence[SceneSpot]) -> None:
    fill_table(
        node,
        {
            "Spot": [spot.text for spot in spots],
            "Kind": [spot.kind for spot in spots],
            "Between": [spot.between for spot in spots],
            "R": [spot.ras[0] for spot in spots],
            "A": [spot.ras[1] for spot in spots],
            "S": [spot.ras[2] for spot in spots],
            "Amount": [spot.amount for spot in spots],
            "Unit": [spot.unit for spot in spots],
            "Slice": [float(spot.slice_number) for spot in spots],
        },
    )


def spots_in(node) -> list[SceneSpot]:
    """What `fill_spots` wrote, also after the scene was saved and loaded."""
    table = node.GetTable()

    def cell(row: int, column: str) -> str:
        return table.GetValueByName(row, column).ToString()

    return [
        SceneSpot(
            cell(row, "Kind"),
            cell(row, "Between"),
            tuple(float(cell(row, axis)) for axis in "RAS"),
            float(cell(row, "Amount")),
            int(float(cell(row, "Slice"))),
        )
        for row in range(table.GetNumberOfRows())
    ]


def jump_to(scene, ras) -> None:
    """Moves every slice view so that it shows the point, without panning further than it must."""
    kind = "vtkMRMLSliceNode"
    for n in range(scene.GetNumberOfNodesByClass(kind)):
        scene.GetNthNodeByClass(n, kind).JumpSliceByOffsetting(*ras)


@lru_cache(maxsize=8)
def _sample_spots(population: Prediction) -> list[SceneSpot]:
    return _spots("samples", disputed_voxels(population.samples), population)


def _spots(between: str, disputed: np.ndarray, made: Prediction) -> list[SceneSpot]:
    found = [*worst_slices(disputed, made.grid, made.reference), *widest_gaps(disputed, made.grid, made.reference)]
    return [SceneSpot(spot.kind, between, spot.ras, spot.amount, spot.slice_number) for spot in found]
