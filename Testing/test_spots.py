"""Places to look at lie where outlines made by hand were drawn apart."""

import numpy as np
import pytest
from results import PART, SCAN, ball

from MultiRaterSegLib.spots import disputed_voxels, widest_gaps, worst_slices
from MultiRaterSegLib.upright import upright

BUMP = PART.center + [-12.0, 0, 0]
"""The larger outline bulges towards the patient's left."""


def outlines() -> np.ndarray:
    small = ball(6)
    return np.stack([small, small | ball(5, center=BUMP + [3, 0, 0])])


def test_the_widest_gap_is_where_one_outline_bulges():
    disputed = disputed_voxels(outlines())
    first, *others = widest_gaps(disputed, PART, SCAN)
    assert np.linalg.norm(np.array(first.ras) - BUMP) < 4
    assert disputed[tuple(np.rint(PART.to_ijk(first.ras)).astype(int)[::-1])]
    assert 5 < first.amount < 11  # the bulge reaches 8 mm beyond and is 10 mm wide
    assert all(other.amount <= first.amount for other in others)


def test_the_worst_slice_has_the_area_that_one_counts_and_a_point_on_it():
    disputed = disputed_voxels(outlines())
    spot, *others = worst_slices(disputed, PART, SCAN)
    areas = disputed.sum((1, 2)) * 0.64
    assert spot.amount == pytest.approx(areas.max())
    k = int(np.rint(SCAN.to_ijk(spot.ras))[2])
    assert spot.slice_number == k + 1
    assert areas[k - 2] == pytest.approx(areas.max())  # the part begins at the scan's third slice
    assert [other.amount for other in others] == pytest.approx(sorted(areas)[-2:-4:-1])


def test_places_do_not_depend_on_how_the_scan_is_stored():
    disputed = disputed_voxels(outlines())
    turned, grid = upright(disputed, PART)
    for found in (widest_gaps, worst_slices):
        amounts = [spot.amount for spot in found(disputed, PART, SCAN)]
        assert amounts == pytest.approx([spot.amount for spot in found(np.ascontiguousarray(turned), grid, SCAN)])


def test_one_reader_in_twenty_is_no_dispute_and_equal_outlines_have_none():
    nineteen_and_one = np.stack([ball(6)] * 19 + [ball(9)])
    assert not disputed_voxels(nineteen_and_one).any()
    assert not disputed_voxels(np.stack([ball(6)] * 2)).any()
    assert widest_gaps(np.zeros(PART.shape, bool), PART, SCAN) == []
    assert worst_slices(np.zeros(PART.shape, bool), PART, SCAN) == []
