"""A lesion's outlines in numbers, worked out from the samples as the report does."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from MultiRaterSegLib import consensus
from MultiRaterSegLib.agreement import dice, hd95_mm, volume_range
from MultiRaterSegLib.knobs import Knobs
from MultiRaterSegLib.prediction import Prediction

from .record import CONSENSUS, Record
from .review import review_of
from .segments import is_as_we_left_it
from .tables import Row


def rows_of(lesion, records: Sequence[Record]) -> list[Row]:
    """A row for each answer; Dice and HD95 to the consensus where there is one."""
    population = next((record.prediction for record in records if record.name == CONSENSUS), None)
    return [_row(lesion, record, population) for record in records]


@lru_cache(maxsize=32)
def majority_of(made: Prediction) -> np.ndarray:
    """bool [k, j, i]. Predictions are known by identity and never change, so each is worked out once."""
    return consensus.majority(made.samples)


def hex_of(color: Sequence[float]) -> str:
    """Red, green, blue in 0..1 -> "#RRGGBB"."""
    return "#" + "".join(f"{round(255 * channel):02X}" for channel in color)


def _row(lesion, record: Record, population: Prediction | None) -> Row:
    node, segment, made = lesion.node_of(record.name), lesion.segment(record), record.prediction
    overlap, distance = _compare(made, population) if population else (None, None)
    return Row(
        name=record.name,
        title=segment.GetName(),
        color=hex_of(segment.GetColor()),
        visible=bool(node.GetDisplayNode().GetSegmentVisibility(record.segment)),
        volume=volume_range(made.volumes_ml),
        dice=overlap,
        hd95_mm=distance,
        empty_samples=int((made.volumes_ml == 0).sum()),
        edited=not is_as_we_left_it(node, record.segment),
        review=review_of(node, record.segment),
        model=made.provenance.get("model", ""),
        knobs=Knobs.of(made.provenance),
    )


@lru_cache(maxsize=64)
def _compare(made: Prediction, population: Prediction) -> tuple[float | None, float | None]:
    """Dice and HD95 of the majorities."""
    a, b = majority_of(made), majority_of(population)
    return dice(a, b), hd95_mm(a, b, made.grid)
