"""Lesions in the scene: numbers, folders, what the first look shows, and what survives deleting by hand."""

import numpy as np
import pytest
from MultiRaterSegSlicer.export.lesion import write_report
from MultiRaterSegSlicer.scene.lesions import Lesions
from MultiRaterSegSlicer.scene.segments import new_segmentation, put_mask
from orientations import TILTED, UPRIGHT, affine_of
from scene_cases import MODEL, SENTENCE, SHAPE, WARNING, Case, everything_in, hierarchy_of, ids_in, mask_of, places_of

from MultiRaterSegLib.errors import GeometryError, UnsupportedRequest

CONSENSUS = (4, 5, 6, 7, 8)
BANDS = ["readers_nearly_all", "readers_most", "readers_some"]


def color(node, id_: str) -> str:
    return "#" + "".join(f"{round(255 * value):02X}" for value in node.GetSegmentation().GetSegment(id_).GetColor())


def test_the_first_look_is_an_outline_of_the_consensus_and_three_filled_bands(host):
    case = Case(host.scene)
    lesion = case.lesion()
    assert lesion.add("consensus", case.answer("consensus", *CONSENSUS), MODEL) == "consensus"
    node, display = lesion.agreement_node, lesion.agreement_node.GetDisplayNode()
    assert ids_in(node) == ["consensus", *BANDS]
    expected = {
        "consensus": ("Consensus", "#FFFFFF", case.ball(6)),
        "readers_nearly_all": ("Nearly all include (>=90 %)", "#F0E442", case.ball(4)),
        "readers_most": ("Most (50-90 %)", "#CC79A7", case.ball(6) & ~case.ball(4)),
        "readers_some": ("Some (10-50 %)", "#0072B2", case.ball(8) & ~case.ball(6)),
    }
    for id_, (name, shade, mask) in expected.items():
        segment = node.GetSegmentation().GetSegment(id_)
        assert (segment.GetName(), color(node, id_)) == (name, shade)
        assert np.array_equal(mask_of(node, id_, case.scan), case.full(mask)), id_
        assert "~SCT^27925004^Nodule~" in segment.GetTerminology()
        assert display.GetSegmentVisibility(id_)
        assert display.GetSegmentVisibility2DFill(id_) == (id_ != "consensus")
        assert display.GetSegmentVisibility2DOutline(id_) == (id_ == "consensus")
    assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is case.scan
    assert lesion.styles_node is None


def test_every_outline_and_band_lies_on_its_voxels_in_all_orientations(host):
    for axes in [*UPRIGHT, *TILTED[::5]]:
        case = Case(host.scene, axes)
        lesion, off = case.lesion(), case.center + [5.0, 3, -4]
        lesion.add("consensus", case.answer("consensus", *CONSENSUS, center=off), MODEL)
        lesion.add("inclusive", case.answer("inclusive", 7, center=off))
        some = case.ball(8, off) & ~case.ball(6, off)
        assert np.array_equal(mask_of(lesion.agreement_node, "consensus", case.scan), case.full(case.ball(6, off)))
        assert np.array_equal(mask_of(lesion.agreement_node, "readers_some", case.scan), case.full(some))
        assert np.array_equal(mask_of(lesion.styles_node, "expert_inclusive", case.scan), case.full(case.ball(7, off)))
        assert case.lesions.at(case.scan, off) == lesion
        assert case.lesions.at(case.scan, off + [0, 0, 20]) is None
        assert not lesion.rows[0].edited


def test_styles_come_one_at_a_time_each_in_its_own_colour_as_outlines(host):
    case = Case(host.scene)
    lesion = case.lesion()
    for name, shade in [("inclusive", "#D55E00"), ("conservative", "#56B4E9"), (SENTENCE, "#B8F04A")]:
        id_ = lesion.add(name, case.answer(name, 5, 6, 7), MODEL)
        assert color(lesion.styles_node, id_) == shade
        assert not lesion.styles_node.GetDisplayNode().GetSegmentVisibility2DFill(id_)
    assert ids_in(lesion.styles_node) == ["expert_inclusive", "expert_conservative", "prompt_1"]
    assert lesion.names == ["inclusive", "conservative", SENTENCE]
    lesion.remove("conservative")
    assert color(lesion.styles_node, lesion.add("another", case.answer("another", 5), MODEL)) == "#9F8CFF"


def test_a_lesion_has_one_folder_under_the_study_of_its_scan(host):
    case = Case(host.scene)
    lesion = case.lesion()
    assert lesion.folder == 0
    lesion.add("consensus", case.answer("consensus", *CONSENSUS), MODEL)
    lesion.add("inclusive", case.answer("inclusive", 7))
    edited = lesion.edit_copy("inclusive")
    hierarchy = hierarchy_of(host.scene)
    assert hierarchy.GetItemName(lesion.folder) == "L1"
    assert hierarchy.GetItemParent(lesion.folder) == case.study
    for node in (lesion.agreement_node, lesion.styles_node, lesion.map_node, lesion.numbers_node, edited):
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == lesion.folder
    assert not hierarchy.GetItemByDataNode(lesion.node)


def test_numbers_are_never_given_twice(host):
    case = Case(host.scene)
    first, second = case.lesion(), case.lesion()
    assert (first.label, second.label) == ("L1", "L2")
    assert case.lesions.discard(second)
    assert case.lesion().label == "L3"
    assert [lesion.label for lesion in case.lesions.all()] == ["L1", "L3"]
    first.add("consensus", case.answer("consensus", 5), MODEL)
    assert not case.lesions.discard(first)
    assert case.lesions.named("L1") == first
    assert case.lesions.named("L2") is None


def test_lesions_are_found_again_by_point_by_box_and_by_what_lies_under_a_point(host):
    case = Case(host.scene)
    lesion = case.lesion()
    lesion.add("consensus", case.answer("consensus", *CONSENSUS), MODEL)
    case.points.AddControlPoint(case.center + [7.5, 0, 0])
    case.points.AddControlPoint(case.center + [9.5, 0, 0])
    assert case.lesions.of_point(case.points, 0) == lesion
    assert case.lesions.of_point(case.points, 1) is None
    assert case.lesions.at(case.scan, case.center + [7.5, 0, 0]) == lesion  # in the outermost band
    assert case.lesions.at(case.scan, case.center + [9.5, 0, 0]) is None
    case.points.RemoveNthControlPoint(1)
    other = case.lesions.add(case.scan, case.points, 1)
    assert case.lesions.of_point(case.points, 1) == other
    np.testing.assert_allclose(other.place["at"], case.center + [9.5, 0, 0])

    box = host.scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "R")
    box.SetCenter(case.center)
    box.SetSize((10, 12, 14))
    boxed = case.lesions.add(case.scan, box)
    assert case.lesions.of_box(box) == boxed
    np.testing.assert_allclose(boxed.place["box"], [case.center - [5, 6, 7], case.center + [5, 6, 7]])


def test_a_lesion_belongs_to_its_scan(host):
    case, other = Case(host.scene), Case(host.scene, name="FollowUp")
    lesion = case.lesion()
    lesion.add("consensus", case.answer("consensus", *CONSENSUS), MODEL)
    assert other.lesion().label == "L2"
    assert case.lesions.all(case.scan) == [lesion]
    assert case.lesions.at(other.scan, case.center) is None


def test_a_point_that_is_not_placed_is_refused(host):
    case = Case(host.scene)
    empty = host.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "F")
    with pytest.raises(GeometryError, match="holds no placed point"):
        case.lesions.add(case.scan, empty)


def test_warnings_stay_with_the_results(host):
    case = Case(host.scene)
    lesion = case.lesion()
    lesion.add("inclusive", case.answer("inclusive", 5, warnings=[WARNING]), MODEL)
    assert lesion.warnings == (WARNING,)
    lesion.add("consensus", case.answer("consensus", 5, warnings=[WARNING]))
    assert lesion.warnings == (WARNING,)
    for node in (lesion.agreement_node, lesion.styles_node, lesion.map_node):
        assert WARNING in node.GetAttribute("MultiRaterSeg.warnings")


def test_styles_in_the_wrong_order_are_said_so_with_and_without_consensus(host):
    case = Case(host.scene)
    lesion = case.lesion()
    lesion.add("conservative", case.answer("conservative", 7), MODEL)
    lesion.add("inclusive", case.answer("inclusive", 5))
    [sentence] = lesion.order_warnings
    assert "Conservative (smallest)" in sentence
    assert sentence in lesion.warnings
    lesion.add("consensus", case.answer("consensus", 5))
    assert lesion.order_warnings == (sentence,)
    lesion.add("conservative", case.answer("conservative", 3))
    assert lesion.order_warnings == ()


@pytest.mark.parametrize("role", ["agreement", "styles", "map", "numbers", "spots", "scan", "place"])
def test_deleting_any_node_by_hand_breaks_nothing(host, role):
    case = Case(host.scene)
    lesion = case.lesion()
    lesion.add("consensus", case.answer("consensus", *CONSENSUS), MODEL)
    lesion.add("conservative", case.answer("conservative", 5))
    lesion.add("inclusive", case.answer("inclusive", 7))
    host.scene.RemoveNode(lesion.node.GetNodeReference(role))
    assert lesion.has("consensus") == (role != "agreement")
    assert lesion.has("inclusive") == (role != "styles")
    assert [row.name for row in lesion.rows] == lesion.names
    assert (lesion.result is None) == (role == "agreement")
    if role != "scan":
        lesion.add("inclusive", case.answer("inclusive", 8))
        lesion.add("consensus", case.answer("consensus", *CONSENSUS, 9))
        assert lesion.names[0] == "consensus"
        assert lesion.numbers_node.GetTable().GetNumberOfRows() == len(lesion.names)
        assert lesion.map_node is not None
    while case.lesions.undo():
        pass
    assert lesion.names == []
    if role != "scan":  # without the scan nobody can tell whether an outline was edited, so it stays
        assert lesion.folder == 0


def test_deleting_a_segment_or_the_whole_folder_by_hand_breaks_nothing(host):
    case = Case(host.scene)
    lesion = case.lesion()
    lesion.add("consensus", case.answer("consensus", *CONSENSUS), MODEL)
    lesion.add("inclusive", case.answer("inclusive", 7))
    lesion.agreement_node.GetSegmentation().RemoveSegment("readers_most")
    lesion.styles_node.GetSegmentation().RemoveSegment("expert_inclusive")
    assert lesion.names == ["consensus"]
    assert lesion.visible("bands")
    lesion.set_visible("bands", False)
    assert not lesion.visible("bands")
    lesion.add("consensus", case.answer("consensus", *CONSENSUS))
    assert "readers_most" in ids_in(lesion.agreement_node)
    hierarchy_of(host.scene).RemoveItem(lesion.folder, True, True)
    assert lesion.names == []
    assert lesion.folder == 0
    lesion.add("consensus", case.answer("consensus", *CONSENSUS))
    assert lesion.folder
    assert ids_in(lesion.agreement_node) == ["consensus", *BANDS]


def test_what_is_not_there_is_said_so(host):
    case = Case(host.scene)
    lesion = case.lesion()
    with pytest.raises(UnsupportedRequest, match="L1 has no result 'inclusive'. Results: none."):
        lesion.edit_copy("inclusive")
    with pytest.raises(UnsupportedRequest, match="Results: none"):
        lesion.review("inclusive", "accepted")
    assert (lesion.rows, lesion.spots, lesion.warnings, lesion.result) == ([], [], (), None)
    lesion.remove("inclusive")
    assert case.lesions.undo() == ""


def test_a_scan_under_a_transform_is_refused_until_it_is_hardened(host):
    case = Case(host.scene)
    lesion = case.lesion()
    transform = host.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Registration")
    matrix = np.eye(4)
    matrix[0, 3] = 5
    transform.SetMatrixTransformToParent(slicer_matrix(matrix))
    case.scan.SetAndObserveTransformNodeID(transform.GetID())
    before = everything_in(host.scene)
    with pytest.raises(GeometryError, match="Harden the transform"):
        lesion.add("consensus", case.answer("consensus", 5), MODEL)
    assert everything_in(host.scene) == before
    case.scan.HardenTransform()
    np.testing.assert_allclose(affine_of(UPRIGHT[30])[0, 3] + 5, case.scan.GetOrigin()[0])


def slicer_matrix(matrix):
    from slicer.util import vtkMatrixFromArray

    return vtkMatrixFromArray(matrix)


def test_answers_of_models_that_looked_at_different_parts_of_the_scan_are_compared(host, tmp_path):
    case = Case(host.scene, TILTED[5])
    lesion = case.lesion()
    lesion.add("consensus", case.answer("consensus", *CONSENSUS), MODEL)
    case.part = case.grid.crop((9, 2, 2), (30, 39, 12))  # neither within the other
    off = case.grid.to_ras((20, 20, 9))
    lesion.add("inclusive", case.answer("inclusive", 7.1, center=off))
    a, b = case.ball(6, grid=case.grid), case.ball(7.1, off, case.grid) & (np.arange(SHAPE[0]) < 13)[:, None, None]
    consensus, inclusive = lesion.rows
    assert inclusive.dice == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()))
    assert consensus.volume.median == pytest.approx(a.sum() * case.grid.voxel_volume_ml)
    assert np.array_equal(mask_of(lesion.styles_node, "expert_inclusive", case.scan), b)
    assert {spot.between for spot in lesion.spots} == {"samples"}
    lesion.add("conservative", case.answer("conservative", 3))
    assert {spot.between for spot in lesion.spots} == {"samples", "styles"}
    assert write_report(lesion, tmp_path / "report.csv").is_file()
    assert np.array_equal(lesion.prediction("inclusive").consensus, b)


@pytest.mark.parametrize("shift", [(40.0, 0, 0), (0.35, 0, 0), (0, 0, 2.5)])
def test_a_scan_that_was_moved_since_leaves_its_answers_what_they_were(host, shift):
    case = Case(host.scene)
    lesion = case.lesion()
    lesion.add("consensus", case.answer("consensus", *CONSENSUS), MODEL)
    row, before = lesion.rows[0], places_of(mask_of(lesion.agreement_node, "consensus", case.scan), case.grid.affine)
    matrix = np.eye(4)
    matrix[:3, 3] = shift
    case.scan.ApplyTransformMatrix(slicer_matrix(matrix))
    assert lesion.rows[0].volume == row.volume
    made = lesion.prediction("consensus")
    assert places_of(made.consensus, made.reference.affine) == before
    with pytest.raises(GeometryError, match="'CTChest' has other voxels than when L1 was computed"):
        lesion.add("inclusive", case.answer("inclusive", 7))


def test_observers_hear_of_each_change_once_and_can_stop(host):
    case = Case(host.scene)
    heard = []
    stop = case.lesions.observe(lambda: heard.append(1))
    lesion = case.lesion()
    lesion.add("consensus", case.answer("consensus", 5), MODEL)
    assert len(heard) == 1
    case.lesions.undo()
    assert len(heard) == 2
    stop()
    stop()
    lesion.add("consensus", case.answer("consensus", 5))
    assert len(heard) == 2
    assert Lesions(host.scene).all() == [lesion]


def test_masks_that_overlap_never_eat_each_other_whatever_order_they_come_in(host):
    """Slicer keeps segments that do not overlap in one image, where a new mask could overwrite its neighbours."""
    case, rng, expected = Case(host.scene), np.random.default_rng(0), {}
    node = new_segmentation("masks", case.scan)
    for _ in range(80):
        id_ = f"segment {rng.integers(8)}"
        if id_ not in expected:
            node.GetSegmentation().AddEmptySegment(id_, id_)
        low = rng.integers(0, 8, 3)
        grid = case.grid.crop(low, low + rng.integers(0, 10, 3))
        mask = rng.random(grid.shape) < rng.choice([0, 0.1, 0.5, 1])
        put_mask(mask, grid, node, id_)
        expected[id_] = np.zeros(case.grid.shape, bool)
        expected[id_][grid.window_in(case.grid)] = mask
        if rng.random() < 0.2:
            node.GetSegmentation().CollapseBinaryLabelmaps(False)  # as saving does
        for known, whole in expected.items():
            assert np.array_equal(mask_of(node, known, case.scan), whole), known
