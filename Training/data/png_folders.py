"""LIDC-IDRI crops as a folder of PNG files (the public layout) into rows of the prepared format.

PATIENT/nodule-N/images/slice-K.png      the crop, 128 x 128, 8-bit gray
PATIENT/nodule-N/mask-0/slice-K.png      what reader 0 outlined: 0 and 255 (or 0 and 1); all 0: nothing
... mask-1, mask-2, mask-3
"""

import csv
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from MultiRaterSegLib.errors import DataError

SIZE = 128
READERS = 4
RATINGS = 9


@dataclass(frozen=True)
class Nodule:
    """One PATIENT/nodule-N folder. slices: the numbers K, ascending."""

    folder: Path
    patient: str
    number: int
    slices: tuple[int, ...]


def find_nodules(root: Path, exclude: Collection[str] = ()) -> list[Nodule]:
    """All nodules below `root`, by patient and number, without the patients in `exclude`.

    Raises DataError where the layout is not the expected one, or where no patient is left.
    """
    if not root.is_dir():
        raise DataError(f"There is no folder '{root}'. Expected PATIENT/nodule-N/images/slice-K.png below it.")
    patients = sorted(folder for folder in root.iterdir() if folder.is_dir() and any(folder.glob("nodule-*")))
    if not patients:
        raise DataError(f"No patients in '{root}'. Expected folders PATIENT/nodule-N/images/slice-K.png below it.")
    kept = [folder for folder in patients if folder.name not in exclude]
    if not kept:
        raise DataError(f"All {len(patients)} patients in '{root}' are on the list of excluded patients.")
    return [nodule for patient in kept for nodule in _nodules_of(patient)]


def _nodules_of(patient: Path) -> list[Nodule]:
    nodules = []
    for folder in patient.glob("nodule-*"):
        slices = _numbered(folder / "images", "slice", ".png")
        if not slices:
            raise DataError(f"'{folder}' has no images/slice-K.png. Complete it, or take the folder away.")
        nodules.append(Nodule(folder, patient.name, _number(folder, "nodule"), slices))
    return sorted(nodules, key=lambda nodule: nodule.number)


def _numbered(folder: Path, name: str, suffix: str) -> tuple[int, ...]:
    return tuple(sorted(_number(file, name) for file in folder.glob(f"*{suffix}")))


def _number(path: Path, name: str) -> int:
    match = re.fullmatch(rf"{name}-(\d+)", path.stem)
    if match is None:
        raise DataError(f"'{path}': expected a name like {name}-0{path.suffix}.")
    return int(match[1])


def read_nodule(nodule: Nodule, spacing: dict[str, tuple[float, float]]) -> dict[str, np.ndarray]:
    """Rows of the prepared format, a slice each; ratings are 0 (unknown). spacing: {patient: (pixel mm, thickness mm)},
    NaN for others. Raises DataError for a file that is missing or not what the layout promises."""
    for reader in range(READERS):
        _check_complete(nodule, reader)
    images = [_read_gray(nodule.folder / "images" / f"slice-{k}.png") for k in nodule.slices]
    masks = [[_read_mask(nodule, reader, k) for reader in range(READERS)] for k in nodule.slices]
    rows = len(nodule.slices)
    pixel_mm, thickness_mm = spacing.get(nodule.patient, (np.nan, np.nan))
    return {
        "image": np.stack(images),
        "mask_bits": np.packbits(np.array(masks), axis=-1),
        "patient": np.full(rows, nodule.patient),
        "nodule": np.full(rows, nodule.number, np.int16),
        "slice": np.array(nodule.slices, np.int16),
        "ratings": np.zeros((rows, READERS, RATINGS), np.uint8),
        "pixel_spacing_mm": np.full(rows, pixel_mm, np.float32),
        "slice_thickness_mm": np.full(rows, thickness_mm, np.float32),
    }


def _check_complete(nodule: Nodule, reader: int) -> None:
    folder = nodule.folder / f"mask-{reader}"
    present = set(_numbered(folder, "slice", ".png"))
    if missing := sorted(set(nodule.slices) - present):
        raise DataError(
            f"'{folder / f'slice-{missing[0]}.png'}' is missing ({len(missing)} of {len(nodule.slices)} masks of this "
            f"reader are). Each image needs {READERS} masks; a reader who outlined nothing has an all-black one."
        )
    if extra := sorted(present - set(nodule.slices)):
        raise DataError(
            f"'{folder / f'slice-{extra[0]}.png'}' has no image of the same name in '{nodule.folder}/images'."
        )


def _read_mask(nodule: Nodule, reader: int, number: int) -> np.ndarray:
    """bool [128, 128]."""
    path = nodule.folder / f"mask-{reader}" / f"slice-{number}.png"
    mask = _read_gray(path)
    values = np.unique(mask)
    if not (set(values.tolist()) <= {0, 255} or set(values.tolist()) <= {0, 1}):
        shown = ", ".join(map(str, values[:6])) + (", ..." if len(values) > 6 else "")
        raise DataError(f"'{path}' is not a mask: it holds the values {shown}. Expected 0 and 255, or 0 and 1.")
    return mask > 0


def _read_gray(path: Path) -> np.ndarray:
    """uint8 [128, 128]."""
    try:
        with Image.open(path) as image:
            mode, size = image.mode, image.size
            pixels = np.array(image) if mode in ("L", "1") else None
    except (OSError, UnidentifiedImageError) as error:
        raise DataError(f"'{path}' cannot be read as a PNG image: it is damaged or something else.") from error
    if pixels is None:
        kind = {"RGB": "a colour", "RGBA": "a colour", "P": "a palette"}.get(mode, f"a '{mode}'")
        raise DataError(f"'{path}' is {kind} image. Expected 8-bit gray levels; convert it first.")
    if size != (SIZE, SIZE):
        raise DataError(f"'{path}' has {size[0]} x {size[1]} pixels. Images and masks must have {SIZE} x {SIZE}.")
    return pixels.astype(np.uint8)


def read_spacing(path: Path) -> dict[str, tuple[float, float]]:
    """{patient: (pixel spacing mm, slice thickness mm)} from a CSV with the columns patient, pixel_spacing_mm and
    slice_thickness_mm; blank is unknown. Raises DataError with the line that is wrong."""
    columns = ("patient", "pixel_spacing_mm", "slice_thickness_mm")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if not set(columns) <= set(reader.fieldnames or ()):
                raise DataError(f"'{path}' needs the columns {', '.join(columns)}; it has {reader.fieldnames}.")
            return {
                row["patient"]: tuple(_positive(row[c], path, reader.line_num) for c in columns[1:]) for row in reader
            }
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}.") from error


def _positive(text: str | None, path: Path, line: int) -> float:
    if not (text or "").strip():
        return np.nan
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 100:
        raise DataError(f"'{path}', line {line}: '{text}' is not a length in mm.")
    return value
