"""Numbers and places to look at, worked out a second way; and the jump to a place."""

import numpy as np
import pytest
from MultiRaterSegSlicer.scene.spots import jump_to
from orientations import TILTED, UPRIGHT
from scene_cases import MODEL, Case
from slicer.util import arrayFromVTKMatrix

VOXEL_ML = 0.7 * 0.9 * 2.5 / 1000


def cells(node, column: str) -> list[str]:
    table = node.GetTable()
    return [table.GetValueByName(row, column).ToString() for row in range(table.GetNumberOfRows())]


def test_the_table_holds_volume_range_dice_and_distance_of_each_outline(host):
    case = Case(host.scene)
    lesion = case.lesion()
    lesion.add("inclusive", case.answer("inclusive", 7, 8, 9), MODEL)
    assert cells(lesion.numbers_node, "Dice to consensus") == ["nan"]
    lesion.add("consensus", case.answer("consensus", 4, 5, 6, 7, 8))
    assert cells(lesion.numbers_node, "Outline") == ["Consensus", "Inclusive (largest)"]
    volumes = [case.ball(radius).sum() * VOXEL_ML for radius in (7, 8, 9)]
    low, high = np.percentile(volumes, (5, 95))
    for column, value in [("Volume (mL)", np.median(volumes)), ("5 % (mL)", low), ("95 % (mL)", high)]:
        assert float(cells(lesion.numbers_node, column)[1]) == pytest.approx(value, abs=6e-4)
    a, b = case.ball(8), case.ball(6)
    dice = 2 * (a & b).sum() / (a.sum() + b.sum())
    assert float(cells(lesion.numbers_node, "Dice to consensus")[1]) == pytest.approx(dice, abs=1e-3)
    assert 1 < float(cells(lesion.numbers_node, "HD95 to consensus (mm)")[1]) < 3.6
    row = lesion.rows[1]
    assert (row.name, row.color, row.visible, row.edited, row.review) == ("inclusive", "#D55E00", True, False, None)
    lesion.set_visible("inclusive", False)
    assert not lesion.rows[1].visible


def test_an_empty_outline_has_no_distance_and_is_no_error(host):
    case = Case(host.scene)
    lesion = case.lesion()
    lesion.add("consensus", case.answer("consensus", 5), MODEL)
    lesion.add("conservative", case.answer("conservative", 0, 0, 5))
    row = lesion.rows[1]
    assert (row.dice, row.hd95_mm, row.empty_samples) == (0, None, 2)
    assert cells(lesion.numbers_node, "HD95 to consensus (mm)") == ["0", "nan"]


def test_places_are_where_styles_were_drawn_apart_worst_first_in_all_orientations(host):
    for axes in [*UPRIGHT[::5], *TILTED[::11]]:
        case = Case(host.scene, axes)
        lesion, bulge = case.lesion(), case.center + [9.0, 0, 0]
        lesion.add("conservative", case.answer("conservative", 5), MODEL)
        larger = case.answer("inclusive", 5)
        larger.samples[0] |= case.ball(5, bulge)
        lesion.add("inclusive", larger)
        assert {spot.between for spot in lesion.spots} == {"styles"}
        gaps = [spot for spot in lesion.spots if spot.kind == "spot"]
        slices = [spot for spot in lesion.spots if spot.kind == "slice"]
        assert lesion.spots == slices + gaps
        assert np.linalg.norm(np.subtract(gaps[0].ras, bulge)) < 4.5
        for found in (gaps, slices):
            amounts = [spot.amount for spot in found]
            assert amounts == sorted(amounts, reverse=True)
        assert slices[0].text == f"Slice {slices[0].slice_number}: styles differ by {slices[0].amount:.0f} mm²"
        lesion.add("consensus", case.answer("consensus", 4, 5, 6, 7, 8))
        assert next(spot.between for spot in lesion.spots if spot.kind == "spot") == "styles"
        assert {spot.between for spot in lesion.spots} == {"styles", "samples"}
        host.scene.RemoveNode(lesion.node)


def test_a_jump_moves_every_slice_view_to_the_place(host):
    views = [("Red", "Axial"), ("Yellow", "Sagittal"), ("Green", "Coronal")]
    nodes = [host.slice_logic(name, orientation).GetSliceNode() for name, orientation in views]
    place = (12.5, -31.0, 1203.0)
    jump_to(host.scene, place)
    for node in nodes:
        matrix = arrayFromVTKMatrix(node.GetSliceToRAS())
        assert abs(matrix[:3, 2] @ (np.array(place) - matrix[:3, 3])) < 1e-6
