"""The CSV of a generic data set: one image a line, the masks of any number of raters, and whose image it is."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from MultiRaterSegLib.errors import DataError

from .folds import assign_folds

FOLDS = 4
REQUIRED = ("image", "patient")
OPTIONAL = ("lesion", "fold", "spacing")


@dataclass(frozen=True)
class Row:
    """masks: a file for each rater of the table, None where that rater never saw the image. lesion: a name that is
    unique within the patient. spacing_mm: of the pixels, for files that do not say it themselves."""

    where: str
    image: Path
    masks: tuple[Path | None, ...]
    patient: str
    lesion: str
    fold: int
    spacing_mm: float | None


@dataclass(frozen=True)
class Table:
    raters: tuple[str, ...]
    rows: tuple[Row, ...]


def read_table(path: Path) -> Table:
    """Columns: image, patient, mask_NAME for each rater (blank: that rater is missing); optionally lesion, fold (0, 1,
    ...; without it patients are dealt to four folds) and spacing (mm a pixel, for PNG). Files are relative to the CSV.

    Raises DataError with the line that is wrong.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            raters = _check_columns(path, [name.strip() for name in reader.fieldnames or ()])
            reader.fieldnames = [name.strip() for name in reader.fieldnames]
            cells = [(reader.line_num, {k: (v or "").strip() for k, v in row.items() if k}) for row in reader]
    except OSError as error:
        raise DataError(f"The table '{path}' cannot be read: {error.strerror}. Give the path of a CSV file.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"'{path}' is not a CSV text file in UTF-8. Export it again as CSV.") from error
    cells = [(line, row) for line, row in cells if any(row.values())]
    if not cells:
        raise DataError(f"'{path}' has no rows below its header.")
    for line, row in cells:
        if not row["patient"]:
            raise DataError(f"'{path}', line {line}: the patient is blank. Folds need to know whose image it is.")
    dealt = assign_folds((row["patient"] for _, row in cells), FOLDS)
    rows = [_row(path, line, row, raters, dealt[row["patient"]]) for line, row in cells]
    _check_patients(rows)
    return Table(tuple(name.removeprefix("mask_") for name in raters), tuple(rows))


def _check_columns(path: Path, columns: list[str]) -> list[str]:
    """The columns of the raters."""
    raters = [name for name in columns if name.startswith("mask_")]
    missing = [name for name in REQUIRED if name not in columns] + ([] if raters else ["mask_1"])
    unknown = [name for name in columns if name not in (*REQUIRED, *OPTIONAL, *raters)]
    if missing or unknown or len(set(columns)) < len(columns):
        problem = f"lacks {', '.join(missing)}" if missing else f"has unknown or doubled columns: {unknown or columns}"
        raise DataError(
            f"'{path}', line 1: the header {problem}. "
            f"Expected {', '.join(REQUIRED)}, mask_1, mask_2, ... and perhaps {', '.join(OPTIONAL)}."
        )
    return raters


def _row(path: Path, line: int, cells: dict[str, str], raters: list[str], dealt: int) -> Row:
    where = f"'{path}', line {line}"
    masks = tuple(_file(path, cells[name], name, where) if cells[name] else None for name in raters)
    if not any(masks):
        raise DataError(f"{where}: every mask is blank. At least one rater must have seen the image.")
    if not cells["image"]:
        raise DataError(f"{where}: the image is blank.")
    fold = cells.get("fold", "")
    if fold and not fold.isdecimal():
        raise DataError(f"{where}: fold is '{fold}'. Expected 0, 1, 2, ...")
    return Row(
        where=where,
        image=_file(path, cells["image"], "image", where),
        masks=masks,
        patient=cells["patient"],
        lesion=cells.get("lesion") or f"line {line}",
        fold=int(fold) if fold else dealt,
        spacing_mm=_spacing(cells.get("spacing", ""), where),
    )


def _file(table: Path, name: str, column: str, where: str) -> Path:
    path = table.parent / Path(name).expanduser()
    if not path.exists():
        raise DataError(f"{where}: {column} '{name}' does not exist. Paths are relative to the table's folder.")
    return path


def _spacing(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 100:
        raise DataError(f"{where}: spacing is '{text}'. Expected mm a pixel, such as 0.7.")
    return value


def _check_patients(rows: list[Row]) -> None:
    fold_of: dict[str, Row] = {}
    for row in rows:
        first = fold_of.setdefault(row.patient, row)
        if first.fold != row.fold:
            raise DataError(
                f"{row.where}: patient '{row.patient}' is in fold {row.fold} here, but in fold {first.fold} before. "
                "All images of a patient must be in one fold."
            )
