"""Where the user points: boxes and points from Slicer markups, plain JSON or text, checked against the scan."""

import json
import re
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import GeometryError
from ..geometry import Grid
from .lps import lps_to_ras

BOX_FORMATS = (
    "a 3D Slicer markups ROI (.mrk.json) or a JSON file with "
    '{"min_ras": [R, A, S], "max_ras": [R, A, S]} in mm is needed'
)
POINT_FORMATS = "a 3D Slicer point list (.mrk.json) is needed"


def read_roi(path: str | Path, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """The voxels that a box touches: (low, high), int [3] each in (i, j, k) order, inclusive, clipped to the grid.

    The file is a Slicer markups ROI (.mrk.json, LPS or RAS; of an oriented box the voxels of its bounding box) or plain
    JSON {"min_ras": [R, A, S], "max_ras": [R, A, S]} in mm. `grid.crop(*read_roi(path, grid))` is its grid.
    Raises GeometryError for another kind of file, an empty box, or a box outside the grid (with the grid's extent).
    """
    content = _load(path)
    if "min_ras" in content and "max_ras" in content:
        low, high = (_numbers(content[key], 3, path) for key in ("min_ras", "max_ras"))
        _require_size(high - low, path)
        center, half_axes = (low + high) / 2, np.diag((high - low) / 2)
    else:
        center, half_axes = _markups_box(content, path)
    corners = np.array([center + half_axes @ np.array(signs) for signs in product((-1, 1), repeat=3)])
    return _touched_voxels(corners, grid, path)


def read_points(path: str | Path, grid: Grid) -> np.ndarray:
    """The placed points of a Slicer point list (.mrk.json, LPS or RAS): RAS mm float64 [N, 3], N >= 1.

    Raises GeometryError for another kind of file, a list without points, or a point outside the grid.
    """
    points = []
    for markup in _records(_load(path), "markups", path):
        if markup.get("type") == "ROI":
            continue
        for control in _records(markup, "controlPoints", path):
            if control.get("positionStatus", "defined") == "defined":
                points.append(_to_ras(_numbers(control.get("position"), 3, path), markup, path))
    if not points:
        raise GeometryError(f"'{path}' holds no placed points; {POINT_FORMATS}.")
    for point in points:
        _require_inside(point, grid)
    return np.array(points)


def parse_point(text: str, grid: Grid) -> np.ndarray:
    """ "R,A,S" in mm -> RAS float64 [3]. Raises GeometryError when it is not a point, or outside the grid."""
    parts = [part for part in re.split(r"[,\s]+", text.strip()) if part]
    try:
        point = np.array([float(part) for part in parts])
    except ValueError:
        point = np.array([])
    if point.shape != (3,) or not np.isfinite(point).all():
        raise GeometryError(f"'{text}' is not a point. Give three numbers R,A,S in mm, for example 34,-12.5,88.")
    _require_inside(point, grid)
    return point


def extent_text(grid: Grid) -> str:
    """The grid's RAS extent, outer faces included, as a person would read it."""
    faces = product(*((-0.5, n - 0.5) for n in grid.size_ijk))
    corners = grid.to_ras(np.array(list(faces)))
    ranges = zip("RAS", corners.min(0), corners.max(0))
    return ", ".join(f"{axis} {low:.1f} to {high:.1f}" for axis, low, high in ranges) + " mm"


def _load(path: str | Path) -> dict[str, Any]:
    try:
        content = json.loads(Path(path).expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise GeometryError(f"'{path}' cannot be opened: {error.strerror}.") from error
    except ValueError as error:
        raise GeometryError(f"'{path}' is not a JSON file; {BOX_FORMATS}.") from error
    if not isinstance(content, dict):
        raise GeometryError(f"'{path}' holds neither markups nor a box; {BOX_FORMATS}.")
    return content


def _records(parent: dict[str, Any], key: str, path: str | Path) -> list[dict[str, Any]]:
    records = parent.get(key, [])
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise GeometryError(f"'{path}' is damaged: its '{key}' is not a list of objects.")
    return records


def _markups_box(content: dict[str, Any], path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Center, RAS mm [3], and half axes, RAS mm [3, 3] (a column each), of the first ROI."""
    markups = _records(content, "markups", path)
    box = next((markup for markup in markups if markup.get("type") == "ROI"), None)
    if box is None:
        kinds = ", ".join(str(markup.get("type")) for markup in markups) or "no markups"
        raise GeometryError(f"'{path}' holds no box ({kinds}); {BOX_FORMATS}. To point, give a point instead.")
    center = _numbers(box.get("center"), 3, path)
    size = _numbers(box.get("size"), 3, path)
    _require_size(size, path)
    axes = _numbers(box.get("orientation", np.eye(3).ravel().tolist()), 9, path).reshape(3, 3)
    half_axes = np.column_stack([_to_ras(axis, box, path) for axis in axes.T]) * size / 2
    return _to_ras(center, box, path), half_axes


def _require_size(size: np.ndarray, path: str | Path) -> None:
    if (size <= 0).any():
        raise GeometryError(f"The box in '{path}' is empty: its size is {size.tolist()} mm; all must be above zero.")


def _numbers(values: Any, count: int, path: str | Path) -> np.ndarray:
    try:
        numbers = np.array(values, dtype=float)
    except (TypeError, ValueError):
        numbers = np.array([])
    if numbers.shape != (count,) or not np.isfinite(numbers).all():
        raise GeometryError(f"'{path}' is damaged: expected {count} numbers, got {values!r}.")
    return numbers


def _to_ras(vector: np.ndarray, markup: dict[str, Any], path: str | Path) -> np.ndarray:
    system = markup.get("coordinateSystem", "LPS")  # the schema's default
    if system not in ("LPS", "RAS"):
        raise GeometryError(f"'{path}' uses the coordinate system '{system}'; expected LPS or RAS.")
    return lps_to_ras(vector) if system == "LPS" else vector


def _touched_voxels(corners: np.ndarray, grid: Grid, path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    ijk = grid.to_ijk(corners)
    low = np.floor(ijk.min(0) + 0.5 + 1e-6).astype(int)
    high = np.ceil(ijk.max(0) - 0.5 - 1e-6).astype(int)
    if (high < 0).any() or (low > grid.size_ijk - 1).any():
        raise GeometryError(f"The box in '{path}' lies outside the scan, which spans {extent_text(grid)}.")
    return np.clip(low, 0, grid.size_ijk - 1), np.clip(high, 0, grid.size_ijk - 1)


def _require_inside(point: np.ndarray, grid: Grid) -> None:
    if not grid.contains(point):
        place = ", ".join(f"{axis} {value:.1f}" for axis, value in zip("RAS", point))
        raise GeometryError(f"The point {place} lies outside the scan, which spans {extent_text(grid)}.")
