"""A scene saved as .mrb and loaded goes on where it was."""

import json

import numpy as np
import pytest
from MultiRaterSegSlicer.nodes import grid_of
from MultiRaterSegSlicer.scene import map
from MultiRaterSegSlicer.scene.lesions import Lesions
from orientations import TILTED, UPRIGHT
from scene_cases import MODEL, SENTENCE, WARNING, Case, hierarchy_of, ids_in, keep_hierarchy, mask_of, paint, places_of
from slicer.util import arrayFromVolume
from test_scene_map import (
    assert_explained,
    assert_transparent_where_readers_agree_and_brighter_where_they_do_not,
    slice_view,
)

RADII = tuple(np.linspace(3, 9, 20))


def saved_and_loaded(case, new_host, path):
    assert case.scene.WriteToMRB(str(path))
    scene = new_host().scene
    assert scene.ReadFromMRB(str(path))
    keep_hierarchy(scene)
    return Lesions(scene)


def with_everything(case):
    lesion = case.lesion()
    lesion.add("consensus", case.answer("consensus", *RADII, warnings=[WARNING]), MODEL)
    lesion.add("conservative", case.answer("conservative", 4, 5, 6))
    lesion.add("inclusive", case.answer("inclusive", 7, 8, 9))
    lesion.add(SENTENCE, case.answer(SENTENCE, 5))
    lesion.review("conservative", "accepted", 'größer | "als" gedacht')
    paint(case, lesion.edit_copy("inclusive"), "expert_inclusive")
    paint(case, lesion.styles_node, "prompt_1")
    lesion.styles_node.GetSegmentation().GetSegment("expert_inclusive").SetColor(0.2, 0.4, 0.6)
    lesion.set_visible("bands", False)
    return lesion


@pytest.mark.parametrize("axes", [UPRIGHT[30], TILTED[0], UPRIGHT[1]], ids=["right-handed", "tilted", "left-handed"])
def test_everything_comes_back(host, new_host, tmp_path, axes):
    case = Case(host.scene, axes)
    lesion = with_everything(case)
    [loaded] = saved_and_loaded(case, new_host, tmp_path / "case.mrb").all()
    assert (loaded.label, loaded.place, loaded.model, loaded.names) == (
        lesion.label, lesion.place, lesion.model, lesion.names
    )  # fmt: skip
    assert loaded.rows == lesion.rows
    assert [row.edited for row in loaded.rows] == [False, False, False, True]
    assert loaded.spots == lesion.spots
    assert loaded.warnings == lesion.warnings
    assert WARNING in loaded.warnings
    assert loaded.review_of("conservative").note == 'größer / "als" gedacht'
    assert loaded.volume_node.GetName() == "CTChest"
    for old, new in [(lesion.agreement_node, loaded.agreement_node), (lesion.styles_node, loaded.styles_node)]:
        assert ids_in(new) == ids_in(old)
        for id_ in ids_in(old):
            found = mask_of(new, id_, loaded.volume_node)  # Slicer turns left-handed scans round on loading
            expected = places_of(mask_of(old, id_, case.scan), case.grid.affine)
            assert places_of(found, grid_of(loaded.volume_node).affine) == expected, id_
            a, b = (node.GetSegmentation().GetSegment(id_) for node in (old, new))
            assert (a.GetName(), a.GetTerminology()) == (b.GetName(), b.GetTerminology())
            np.testing.assert_allclose(a.GetColor(), b.GetColor(), atol=1e-3)
            filled = [node.GetDisplayNode().GetSegmentVisibility2DFill(id_) for node in (old, new)]
            assert filled[0] == filled[1]
        assert json.loads(new.GetAttribute("MultiRaterSeg.provenance"))["inclusive"]["seed"] == 7
    assert not loaded.visible("bands")
    for name in lesion.names:
        for n, sample in enumerate(loaded.prediction(name).samples):
            there = places_of(sample, loaded.prediction(name).grid.affine)
            assert there == places_of(lesion.prediction(name).samples[n], case.part.affine)


def test_map_table_and_folder_come_back(host, new_host, tmp_path):
    case = Case(host.scene)
    lesion = with_everything(case)
    [loaded] = saved_and_loaded(case, new_host, tmp_path / "case.mrb").all()
    np.testing.assert_allclose(arrayFromVolume(loaded.map_node), arrayFromVolume(lesion.map_node))
    assert_transparent_where_readers_agree_and_brighter_where_they_do_not(loaded.map_node)
    assert_explained(loaded.map_node)
    tables = [node.numbers_node.GetTable() for node in (lesion, loaded)]
    rows, columns = tables[0].GetNumberOfRows(), tables[0].GetNumberOfColumns()
    assert (tables[1].GetNumberOfRows(), tables[1].GetNumberOfColumns()) == (rows, columns) == (4, 8)
    hierarchy = hierarchy_of(loaded.node.GetScene())
    assert hierarchy.GetItemName(loaded.folder) == "L1"
    assert hierarchy.GetItemName(hierarchy.GetItemParent(loaded.folder)) == "study"
    assert hierarchy.GetNumberOfItemChildren(loaded.folder) == 6
    [edited] = loaded.edited_nodes
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(edited)) == loaded.folder


def dice_of(case, first: float, second: float) -> float:
    """Of two balls of these radii."""
    a, b = case.ball(first), case.ball(second)
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("axes", [UPRIGHT[30], TILTED[1], UPRIGHT[1]], ids=["right-handed", "tilted", "left-handed"])
def test_work_goes_on_recompute_replaces_what_is_ours_and_numbers_go_on(host, new_host, tmp_path, axes):
    case = Case(host.scene, axes)
    with_everything(case)
    assert case.lesions.discard(case.lesion())  # L2 was given once
    lesions = saved_and_loaded(case, new_host, tmp_path / "case.mrb")
    [lesion] = lesions.all()
    scan, points = lesion.volume_node, lesion.place_node
    assert not lesions.can_undo
    assert lesions.of_point(points, 0) == lesion
    assert lesions.at(scan, case.center) == lesion
    case.grid = grid_of(scan)  # as the worker would see it now
    case.part = case.grid.crop(
        *np.sort(np.rint(case.grid.to_ijk(case.part.to_ras([[0, 0, 0], case.part.size_ijk - 1]))), 0)
    )
    first_map = lesion.map_node
    lesion.add("inclusive", case.answer("inclusive", 5))
    consensus = RADII[9]  # eleven of twenty samples hold all of that ball
    assert lesion.rows[1].dice == pytest.approx(dice_of(case, consensus, 5))
    lesion.add("consensus", case.answer("consensus", 5, 6, 7))
    assert lesion.map_node is first_map
    lesion.add(SENTENCE, case.answer(SENTENCE, 6))
    lesion.add("conservative", case.answer("conservative", 3))
    lesion.add("generous", case.answer("generous", 6))
    assert ids_in(lesion.agreement_node)[0] == "consensus"
    assert len(ids_in(lesion.agreement_node)) == 4
    assert ids_in(lesion.styles_node) == [
        "expert_conservative", "expert_inclusive", "prompt_1", "prompt_2", "expert_conservative_2", "expert_generous",
    ]  # fmt: skip
    while lesions.undo():
        pass
    found = mask_of(lesion.styles_node, "expert_inclusive", scan)
    assert places_of(found, case.grid.affine) == places_of(case.ball(8), case.part.affine)
    assert lesion.rows[2].volume.median == pytest.approx(case.ball(8).sum() * case.grid.voxel_volume_ml)
    assert lesions.add(scan, points, 0).label == "L3"


def test_a_map_that_was_shown_when_the_scene_was_saved_can_be_switched_off_after(host, new_host, tmp_path):
    case = Case(host.scene)
    view = slice_view(host.scene, "Red", case.scan)
    view.SetForegroundOpacity(0.25)
    map.show_map(with_everything(case).map_node)
    lesions = saved_and_loaded(case, new_host, tmp_path / "case.mrb")
    view = lesions.scene.GetSingletonNode("Red", "vtkMRMLSliceCompositeNode")
    assert map.shown_map(lesions.scene) is lesions.all()[0].map_node
    map.hide_map(lesions.scene)
    assert (view.GetForegroundVolumeID(), view.GetForegroundOpacity()) == (None, 0.25)


def test_closing_the_scene_in_the_middle_leaves_objects_that_say_nothing_and_break_nothing(host):
    case = Case(host.scene)
    with_everything(case)
    host.scene.Clear(False)
    assert case.lesions.all() == []
    while case.lesions.undo():
        pass
    assert Lesions(host.scene).all() == []
