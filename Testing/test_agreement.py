"""Diameters, overlaps and distances against brute force and shapes whose size is known."""

import numpy as np
import pytest
from matplotlib.path import Path as Polygon
from scipy.spatial.distance import cdist

from MultiRaterSegLib.agreement import diameters, dice, disagreeing_slices, hd95_mm, volume_range
from MultiRaterSegLib.geometry import Grid

GRID = Grid((6, 30, 34), np.array([[-0.8, 0, 0, 3], [0, -0.6, 0, -5], [0, 0, 2.5, 40], [0, 0, 0, 1.0]]))


def positions(grid: Grid) -> np.ndarray:
    """RAS of every voxel's centre, [K, J, I, 3]."""
    return grid.to_ras(np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), -1)[..., ::-1])


def ellipsoid(grid: Grid, half_axes, angle: float = 0.0) -> np.ndarray:
    """Turned by `angle` about the S axis through the middle."""
    x, y, z = np.moveaxis(positions(grid) - grid.center, -1, 0)
    turned = np.stack([x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle), z], -1)
    return np.linalg.norm(turned / half_axes, axis=-1) < 1


def blotch(seed: int) -> np.ndarray:
    """An irregular mask in one slice: discs that all hold its middle."""
    rng, mask = np.random.default_rng(seed), np.zeros(GRID.shape, bool)
    j, i = np.mgrid[:30, :34]
    for _ in range(6):
        (y, x), r = rng.uniform(-5, 5, 2), rng.uniform(7.2, 9)
        mask[3] |= (j - 15 - y) ** 2 + (i - 17 - x) ** 2 < r**2
    return mask


def outline_points(plane: np.ndarray, spacing) -> np.ndarray:
    """Half-way between every pixel inside and each of its four neighbours outside, mm (x, y)."""
    padded, found = np.pad(plane, 1), []
    for y, x in np.argwhere(padded):
        for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            if not padded[y + dy, x + dx]:
                found.append(((x + dx / 2) * spacing[0], (y + dy / 2) * spacing[1]))
    return np.array(found)


@pytest.mark.parametrize("seed", range(4))
def test_diameters_match_brute_force(seed):
    mask = blotch(seed)
    points = outline_points(mask[3], GRID.spacing)
    gaps = cdist(points, points)
    found = diameters(mask, GRID, GRID)
    assert found.longest_mm == pytest.approx(gaps.max())
    assert found.perpendicular_mm == pytest.approx(across(mask[3], points, gaps), abs=0.12)


def across(plane: np.ndarray, points: np.ndarray, gaps: np.ndarray) -> float:
    """The longest extent across the longest diameter, on a fine raster of the polygon that angles sort out."""
    from contourpy import contour_generator

    a, b = np.unravel_index(gaps.argmax(), gaps.shape)
    along = (points[b] - points[a]) / gaps[a, b]
    line = max(contour_generator(z=np.pad(plane, 1).astype(float)).lines(0.5), key=len) * GRID.spacing[:2]
    x, y = (np.arange(line[:, n].min(), line[:, n].max(), 0.03) for n in (0, 1))
    raster = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    inside = raster[Polygon(line).contains_points(raster)]
    bins = np.floor(inside @ along / 0.06).astype(int)
    heights = inside @ np.array([-along[1], along[0]])
    return max(np.ptp(heights[bins == number]) for number in np.unique(bins))


@pytest.mark.parametrize("angle", [0.0, 0.5, 1.2])
def test_diameters_of_an_ellipse_are_its_axes(angle):
    found = diameters(ellipsoid(GRID, (8, 4.5, 6), angle), GRID, GRID)
    assert found.longest_mm == pytest.approx(16, abs=0.8)
    assert found.perpendicular_mm == pytest.approx(9, abs=0.8)


def test_one_voxel_is_one_voxel_wide():
    mask = np.zeros(GRID.shape, bool)
    mask[2, 5, 6] = True
    assert diameters(mask, GRID, GRID) == pytest.approx((0.8, 0.6, 3))


def test_islands_are_measured_one_by_one():
    mask = np.zeros(GRID.shape, bool)
    mask[2, 5, 2] = mask[2, 5, 30] = True
    assert diameters(mask, GRID, GRID).longest_mm == pytest.approx(0.8)


def test_slices_count_from_the_scans_first_one_whatever_its_axes():
    sagittal = Grid((8, 40, 30), np.array([[0, 0, -3, 0], [-0.5, 0, 0, 0], [0, -0.5, 0, 0], [0, 0, 0, 1.0]]))
    part = sagittal.crop((2, 10, 1), (25, 30, 6))
    mask = np.zeros(part.shape, bool)
    mask[1:4, 7, 3:9] = True  # J is the axis along S here
    found = diameters(mask, part, sagittal)
    assert (found.longest_mm, found.slice_number) == (pytest.approx(9, abs=0.6), 10 + 7 + 1)
    [disputed] = disagreeing_slices(np.stack([mask, np.zeros_like(mask)]), part, sagittal)
    assert disputed.slice_number == 18
    assert disputed.s_mm == pytest.approx(-0.5 * 17)
    assert disputed.area_mm2 == pytest.approx(18 * 3 * 0.5)


def test_hd95_matches_brute_force_and_is_symmetric():
    a, b = ellipsoid(GRID, (8, 5, 6), 0.3), ellipsoid(GRID, (6, 6, 4))
    b[:, :, 2] |= b[:, :, 12]
    first, second = (surface_points(mask) for mask in (a, b))
    gaps = cdist(first, second)
    expected = max(np.percentile(gaps.min(0), 95), np.percentile(gaps.min(1), 95))
    assert hd95_mm(a, b, GRID) == pytest.approx(expected)
    assert hd95_mm(b, a, GRID) == pytest.approx(expected)


def surface_points(mask: np.ndarray) -> np.ndarray:
    padded = np.pad(mask, 1)
    steps = [s * e for e in np.eye(3, dtype=int) for s in (-1, 1)]
    rim = [v for v in np.argwhere(padded) if not all(padded[tuple(v + step)] for step in steps)]
    return GRID.to_ras(np.array(rim)[:, ::-1])


def test_nothing_outlined_has_no_distance_and_no_diameter():
    empty, full = np.zeros(GRID.shape, bool), np.ones(GRID.shape, bool)
    assert hd95_mm(empty, full, GRID) is None
    assert diameters(empty, GRID, GRID) is None
    assert (dice(empty, empty), dice(empty, full), dice(full, full)) == (None, 0, 1)


def test_disputed_slices_come_largest_first_and_agreement_gives_none():
    masks = np.zeros((3, *GRID.shape), bool)
    masks[:, 1, 4:9, 4:9] = True  # all agree
    masks[0, 4, 4:8, 4:8] = masks[1, 2, 4:6, 4:6] = True
    found = disagreeing_slices(masks, GRID, GRID)
    assert [(item.slice_number, round(item.area_mm2, 2)) for item in found] == [(5, 16 * 0.48), (3, 4 * 0.48)]
    assert [item.s_mm for item in found] == pytest.approx([50, 45])


def test_the_volume_range_counts_empty_samples():
    assert volume_range(np.array([0.0, *np.linspace(1, 2, 20)])).low == pytest.approx(1.0)
