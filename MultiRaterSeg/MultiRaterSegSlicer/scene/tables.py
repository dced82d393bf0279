"""The table node with a lesion's outlines in numbers, and how tables are filled."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import vtk

from MultiRaterSegLib.agreement import VolumeRange
from MultiRaterSegLib.knobs import Knobs

TEXT_COLUMNS = {"Outline", "Review", "Spot", "Kind", "Between", "Unit"}


class Review(NamedTuple):
    """What a person decided about an outline. state: "accepted" or "flagged". when: ISO date and time, UTC."""

    state: str
    note: str
    when: str


class Row(NamedTuple):
    """An outline in numbers. volume: mL over its samples. dice, hd95_mm: to the consensus; None where that has no
    meaning. edited: its segment was changed by hand since, so the numbers are of what was computed. model: which one drew it.
    knobs: what it drew with."""

    name: str
    title: str
    color: str
    visible: bool
    volume: VolumeRange
    dice: float | None
    hd95_mm: float | None
    empty_samples: int
    edited: bool
    review: Review | None
    model: str
    knobs: Knobs


def fill_numbers(node, rows: Sequence[Row]) -> None:
    """A row an outline; units in the column names. What has no meaning is nan."""
    fill_table(
        node,
        {
            "Outline": [row.title for row in rows],
            "Volume (mL)": [round(row.volume.median, 3) for row in rows],
            "5 % (mL)": [round(row.volume.low, 3) for row in rows],
            "95 % (mL)": [round(row.volume.high, 3) for row in rows],
            "Dice to consensus": [_number(row.dice, 3) for row in rows],
            "HD95 to consensus (mm)": [_number(row.hd95_mm, 2) for row in rows],
            "Empty samples": [float(row.empty_samples) for row in rows],
            "Review": [row.review.state if row.review else "" for row in rows],
        },
    )


def _number(value: float | None, digits: int) -> float:
    return math.nan if value is None else round(value, digits)


def fill_table(node, columns: Mapping[str, Iterable[str | float]]) -> None:
    """Replaces what a table node holds. Columns of TEXT_COLUMNS are text, the others numbers."""
    table = vtk.vtkTable()
    for name, values in columns.items():
        column = vtk.vtkStringArray() if name in TEXT_COLUMNS else vtk.vtkDoubleArray()
        column.SetName(name)
        for value in values:
            column.InsertNextValue(_storable(value))
        table.AddColumn(column)
    node.SetLocked(False)
    node.SetAndObserveTable(table)
    node.SetUseColumnTitleAsColumnHeader(True)
    for name in columns:
        node.SetColumnTitle(name, name)
    node.SetLocked(True)  # it is written anew after each result; what somebody typed would be lost


def _storable(value: str | float) -> str | float:
    """Slicer's file of a table ends a text at a double quote, and a row at a line break."""
    return " ".join(value.replace('"', "'").split()) if isinstance(value, str) else value
