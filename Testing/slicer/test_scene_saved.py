"""A scene saved as .mrb and loaded goes on where it was."""

import csv
import json
import zipfile

import numpy as np
import pytest
import SimpleITK
import slicer
import slicerio
from MultiRaterSegSlicer.export.dicom import TAGS
from MultiRaterSegSlicer.nodes import grid_of
from MultiRaterSegSlicer.parameters import Parameters
from MultiRaterSegSlicer.scene import map
from MultiRaterSegSlicer.scene.lesions import Lesions
from MultiRaterSegSlicer.scene.preview import Preview
from MultiRaterSegSlicer.scene.segments import FINGERPRINT, tag_of
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
    lesion.set_visible("conservative", False)
    lesion.review(lesion.edited_nodes[0], "flagged", "leaks into the vessel")
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
    [edited_before], [edited] = lesion.edited_nodes, loaded.edited_nodes
    assert_same_segments(case, edited_before, edited, loaded.volume_node)
    assert loaded.review_of(edited) == lesion.review_of(edited_before)
    for old, new in [(lesion.agreement_node, loaded.agreement_node), (lesion.styles_node, loaded.styles_node)]:
        assert_same_segments(case, old, new, loaded.volume_node)
        assert json.loads(new.GetAttribute("MultiRaterSeg.provenance"))["inclusive"]["seed"] == 7
    assert not loaded.visible("bands")
    assert [loaded.visible(name) for name in loaded.names] == [True, False, True, True]
    for name in lesion.names:
        for n, sample in enumerate(loaded.prediction(name).samples):
            there = places_of(sample, loaded.prediction(name).grid.affine)
            assert there == places_of(lesion.prediction(name).samples[n], case.part.affine)


def assert_same_segments(case, old, new, scan):
    """Masks, names, colours, codes, tags, states and looks; `scan` as it was loaded."""
    assert (new.GetName(), ids_in(new)) == (old.GetName(), ids_in(old))
    status = slicer.vtkSlicerSegmentationsModuleLogic.GetSegmentStatus
    tags = [*TAGS, FINGERPRINT, "DICOM.SegmentAlgorithmType", "DICOM.SegmentAlgorithmName"]
    for id_ in ids_in(old):
        found = mask_of(new, id_, scan)  # Slicer turns left-handed scans round on loading
        assert places_of(found, grid_of(scan).affine) == places_of(mask_of(old, id_, case.scan), case.grid.affine), id_
        a, b = (node.GetSegmentation().GetSegment(id_) for node in (old, new))
        assert (b.GetName(), b.GetTerminology(), status(b)) == (a.GetName(), a.GetTerminology(), status(a))
        assert [tag_of(b, key) for key in tags] == [tag_of(a, key) for key in tags]
        assert tag_of(a, FINGERPRINT)
        np.testing.assert_allclose(b.GetColor(), a.GetColor(), atol=1e-3)
        before, after = (node.GetDisplayNode() for node in (old, new))
        for look in ("Visibility", "Visibility2DFill", "Visibility2DOutline"):
            assert getattr(after, f"GetSegment{look}")(id_) == getattr(before, f"GetSegment{look}")(id_)


def cells(node) -> list[list[str]]:
    table = node.GetTable()
    rows, columns = range(table.GetNumberOfRows()), range(table.GetNumberOfColumns())
    names = [table.GetColumnName(column) for column in columns]
    return [names, *([table.GetValue(row, column).ToString() for column in columns] for row in rows)]


def test_map_table_and_folder_come_back(host, new_host, tmp_path):
    case = Case(host.scene)
    lesion = with_everything(case)
    [loaded] = saved_and_loaded(case, new_host, tmp_path / "case.mrb").all()
    np.testing.assert_allclose(arrayFromVolume(loaded.map_node), arrayFromVolume(lesion.map_node))
    assert_transparent_where_readers_agree_and_brighter_where_they_do_not(loaded.map_node)
    assert_explained(loaded.map_node)
    assert cells(loaded.numbers_node) == cells(lesion.numbers_node)
    assert cells(loaded.spots_node) == cells(lesion.spots_node)
    assert len(cells(loaded.numbers_node)) == 1 + 4
    assert cells(loaded.numbers_node)[4][0] == "'include the ground-glass 'halo': all of it; ~90 % | or more'"
    assert len(cells(loaded.spots_node)) > 2
    hierarchy = hierarchy_of(loaded.node.GetScene())
    assert hierarchy.GetItemName(loaded.folder) == "L1"
    assert hierarchy.GetItemName(hierarchy.GetItemParent(loaded.folder)) == "study"
    assert hierarchy.GetNumberOfItemChildren(loaded.folder) == 6
    [edited] = loaded.edited_nodes
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(edited)) == loaded.folder


def test_settings_come_back_with_the_nodes_that_they_name(host, new_host, tmp_path):
    case = Case(host.scene)
    with_everything(case)
    before = Parameters(host.scene)
    before.volume, before.place, before.lesion, before.samples = case.scan, case.points, "L1", 35
    before.remember_prompt(SENTENCE)
    lesions = saved_and_loaded(case, new_host, tmp_path / "case.mrb")
    after, [lesion] = Parameters(lesions.scene), lesions.all()
    assert (after.volume, after.place) == (lesion.volume_node, lesion.place_node)
    assert (after.lesion, after.samples, after.prompt_history) == ("L1", 35, (SENTENCE,))


def test_a_preview_is_not_saved_and_a_second_round_loses_nothing_either(host, new_host, tmp_path):
    case = Case(host.scene, UPRIGHT[1])
    lesion = with_everything(case)
    Preview(lesion).show("preview", case.answer("preview", 5))
    lesions = saved_and_loaded(case, new_host, tmp_path / "first.mrb")
    assert lesions.scene.GetFirstNodeByName("Preview (not kept)") is None
    rows, spots = lesions.all()[0].rows, lesions.all()[0].spots
    assert lesions.scene.WriteToMRB(str(tmp_path / "second.mrb"))
    scene = new_host().scene
    assert scene.ReadFromMRB(str(tmp_path / "second.mrb"))
    keep_hierarchy(scene)
    [again] = Lesions(scene).all()
    assert (again.rows, again.spots) == (rows, spots) == (lesion.rows, lesion.spots)
    assert_same_segments(case, lesion.agreement_node, again.agreement_node, again.volume_node)


def test_other_programs_can_read_what_is_in_the_file(host, tmp_path):
    case = Case(host.scene, TILTED[0])
    lesion = with_everything(case)
    assert case.scene.WriteToMRB(str(tmp_path / "case.mrb"))
    with zipfile.ZipFile(tmp_path / "case.mrb") as bundle:
        bundle.extractall(tmp_path / "case")
    [agreement] = (tmp_path / "case").rglob("L1 Agreement.seg.nrrd")
    content = slicerio.read_segmentation(str(agreement))
    segment = content["segments"][0]
    assert (segment["name"], segment["color"]) == ("Consensus", [1.0, 1.0, 1.0])
    found = content["voxels"][segment["layer"]] == segment["labelValue"]
    to_ras = np.diag([-1, -1, 1, 1]) @ content["ijkToLPS"]
    assert places_of(found.transpose(2, 1, 0), to_ras) == places_of(case.ball(RADII[9]), case.part.affine)
    [numbers] = (tmp_path / "case").rglob("L1 Numbers.tsv")
    rows = list(csv.DictReader(numbers.read_text(encoding="utf-8").splitlines(), delimiter="\t"))
    assert [row["Outline"] for row in rows][:2] == ["Consensus", "Conservative (smallest)"]
    assert float(rows[0]["Volume (mL)"]) == pytest.approx(lesion.rows[0].volume.median, abs=1e-3)
    [file] = (path for path in (tmp_path / "case").rglob("*.nrrd") if "disagreement" in path.name)
    percent = SimpleITK.ReadImage(str(file))
    place = case.center + [0, 0, 6.5]
    nearest = case.grid.to_ras(np.rint(case.grid.to_ijk(place)))
    distance = np.linalg.norm(nearest - case.center)
    included = np.mean([distance < radius for radius in RADII])
    value = percent[percent.TransformPhysicalPointToIndex((nearest * [-1, -1, 1]).tolist())]
    assert value == pytest.approx(100 * min(included, 1 - included))
    assert value > 0


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
