"""Where the slices of a DICOM series lie: sorted along their normal, or the reason why they are no volume."""

from itertools import pairwise
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from ..errors import GeometryError
from ..geometry import Grid
from .lps import grid_from_lps

SAME_PLACE_MM = 0.01
COSINE_TOLERANCE = 1e-3  # 0.06 degrees: headers round their cosines
STRAY_PIXELS = 0.1  # how far a slice may sit beside the stack's axis
STRAY_SLICES = 0.05  # how far a slice may sit from its regular position

Slices = list[tuple[Path, Dataset]]


def place_slices(slices: Slices, name: str) -> tuple[Slices, Grid]:
    """Sorts slices along their normal and builds the grid: i along the rows, j down the columns, k along the normal.

    Raises GeometryError, naming files, for slices without a position, of different sizes or orientations, tilted
    against their stack, missing, duplicated or unevenly spaced.
    """
    _check_alike(slices, name)
    first = slices[0][1]
    axes = _axes(first, name)
    places = np.array([_numbers(header, "ImagePositionPatient") for _, header in slices])
    order = np.argsort(places @ axes[:, 2], kind="stable")
    slices, places = [slices[n] for n in order], places[order]
    row_spacing, column_spacing = _numbers(first, "PixelSpacing")
    depths = places @ axes[:, 2]
    _check_distinct(slices, depths, name)
    _check_upright(places, axes, min(row_spacing, column_spacing), name)
    _check_regular(slices, depths, name)
    spacing = (column_spacing, row_spacing, (depths[-1] - depths[0]) / (len(slices) - 1))
    size = (int(first.Columns), int(first.Rows), len(slices))
    return slices, grid_from_lps(size, places[0], spacing, axes, name)


def _numbers(header: Dataset, keyword: str) -> list[float]:
    """The tag's numbers, or none where it is absent or damaged."""
    try:
        return [float(value) for value in header.get(keyword) or ()]
    except (TypeError, ValueError):
        return []


def _check_alike(slices: Slices, name: str) -> None:
    reference_file, reference = slices[0]
    lengths = {"ImagePositionPatient": 3, "ImageOrientationPatient": 6, "PixelSpacing": 2}
    for file, header in slices:
        for keyword, length in lengths.items():
            if len(_numbers(header, keyword)) != length:
                raise GeometryError(f"'{name}': '{file.name}' has no {keyword}, so it cannot be placed in the patient.")
        if (header.Rows, header.Columns) != (reference.Rows, reference.Columns) or not np.allclose(
            _numbers(header, "PixelSpacing"), _numbers(reference, "PixelSpacing"), rtol=1e-3
        ):
            raise GeometryError(
                f"'{name}': '{file.name}' and '{reference_file.name}' differ in size or pixel spacing. "
                "Keep the slices of one stack only."
            )
        turned = np.subtract(
            _numbers(header, "ImageOrientationPatient"), _numbers(reference, "ImageOrientationPatient")
        )
        if np.abs(turned).max() > COSINE_TOLERANCE:
            raise GeometryError(
                f"'{name}': '{file.name}' and '{reference_file.name}' have different orientations "
                "(perhaps a localizer). Keep the slices of one stack only."
            )


def _axes(header: Dataset, name: str) -> np.ndarray:
    """LPS directions of i, j, k [3, 3], a column each."""
    along_row, down_column = np.reshape(_numbers(header, "ImageOrientationPatient"), (2, 3))
    lengths = np.linalg.norm(along_row), np.linalg.norm(down_column)
    if np.abs(np.subtract(lengths, 1)).max() > 0.01 or abs(along_row @ down_column) > 0.01:
        raise GeometryError(f"'{name}': its ImageOrientationPatient is not two perpendicular directions.")
    along_row = along_row / lengths[0]
    normal = np.cross(along_row, down_column)
    normal /= np.linalg.norm(normal)
    return np.column_stack([along_row, np.cross(normal, along_row), normal])


def _check_distinct(slices: Slices, depths: np.ndarray, name: str) -> None:
    for n, gap in enumerate(np.diff(depths)):
        if gap < SAME_PLACE_MM:
            raise GeometryError(
                f"'{name}': '{slices[n][0].name}' and '{slices[n + 1][0].name}' lie at the same place: a duplicated "
                "slice, or several time points, echoes or b-values in one series. Keep one file a position."
            )


def _check_upright(places: np.ndarray, axes: np.ndarray, pixel: float, name: str) -> None:
    """The stack must grow along its normal; under gantry tilt each slice is shifted within its own plane."""
    beside = (places - places[0]) @ axes[:, :2]
    if np.abs(beside).max() > STRAY_PIXELS * pixel:
        along = (places[-1] - places[0]) @ axes[:, 2]
        angle = np.degrees(np.arctan2(np.linalg.norm(beside[-1]), along))
        raise GeometryError(
            f"'{name}': its slices are shifted against each other (gantry tilt of {angle:.1f} degrees, or slices "
            "from two stacks). Load it in 3D Slicer with acquisition geometry regularization, harden the transform, "
            "and save it as NRRD."
        )


def _check_regular(slices: Slices, depths: np.ndarray, name: str) -> None:
    gaps = np.diff(depths)
    usual = float(np.median(gaps))
    for (before, after), gap in zip(pairwise(file.name for file, _ in slices), gaps):
        missing = round(gap / usual) - 1
        if missing > 0 and abs(gap / usual - 1 - missing) < 0.1:
            raise GeometryError(
                f"'{name}': {missing} slice{'s are' if missing > 1 else ' is'} missing between '{before}' and "
                f"'{after}' ({gap:.2f} mm apart, elsewhere {usual:.2f} mm). Export the series again."
            )
    regular = np.linspace(depths[0], depths[-1], len(depths))
    if np.abs(depths - regular).max() > STRAY_SLICES * usual:
        raise GeometryError(
            f"'{name}': its slices are not evenly spaced ({gaps.min():.2f} to {gaps.max():.2f} mm apart). "
            "Resample it onto a regular grid first."
        )
