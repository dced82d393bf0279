"""A result becomes segments and an uncertainty map in the scene: every voxel in place, and nothing lost in files."""

import json

import numpy as np
import pytest
import slicer
import slicerio
import vtk
from MultiRaterSegSlicer import nodes
from orientations import TILTED, UPRIGHT, affine_of, some_voxels
from slicer.util import addVolumeFromArray, arrayFromSegmentBinaryLabelmap, arrayFromVolume, arrayFromVTKMatrix
from vtk.util.numpy_support import vtk_to_numpy

from MultiRaterSegLib.geometry import Volume
from MultiRaterSegLib.io import Segment
from MultiRaterSegLib.lesion_result import LesionResult
from MultiRaterSegLib.prediction import Prediction
from MultiRaterSegLib.segments import segments_of

SHAPE = (9, 20, 24)
PROMPT = 'include the ground-glass "halo": all of it; ~90 % | or more'


def prediction(volume: Volume, title: str, share: float = 1.0, **record) -> Prediction:
    """Twenty readers of one lesion in a corner of the scan, with random masks: anything moved or lost would show."""
    grid = volume.grid.crop((5, 6, 2), (15, 14, 6))
    samples = np.random.default_rng(len(title)).random((20, *grid.shape)) < np.linspace(0, share, grid.shape[2])
    return Prediction(samples, grid, volume.grid, title, (), {"seed": 0, "samples": 20, **record})


def result_on(node) -> LesionResult:
    volume = nodes.volume_from_node(node)
    styles = {
        "conservative": prediction(volume, "Conservative (smallest)", style="expert", expert="conservative"),
        PROMPT: prediction(volume, f'"{PROMPT}"', style="prompt", prompt=PROMPT),
        "nobody": prediction(volume, "Nobody", share=0, style="prompt"),
    }
    return LesionResult(prediction(volume, "Consensus", style="population"), styles, volume, label="nodule")


def scan(axes=UPRIGHT[30], name="CTChest"):
    return addVolumeFromArray(some_voxels(*SHAPE), ijkToRAS=affine_of(axes), name=name)


def segment_masks(segmentation, volume_node) -> dict[str, np.ndarray]:
    """What Slicer exports on the volume's voxels, by segment id."""
    return {
        id_: arrayFromSegmentBinaryLabelmap(segmentation, id_, volume_node).astype(bool)
        for id_ in segmentation.GetSegmentation().GetSegmentIDs()
    }


def expected_masks(result: LesionResult) -> dict[str, np.ndarray]:
    masks = {}
    for segment in segments_of(result):
        masks[segment.id] = np.zeros(SHAPE, bool)
        masks[segment.id][2:7, 6:15, 5:16] = segment.mask
    return masks


def assert_same_masks(found, expected):
    assert list(found) == list(expected)
    for id_, mask in expected.items():
        assert np.array_equal(found[id_], mask), id_


def test_every_segment_lies_on_its_voxels_in_all_orientations(host):
    for axes in [*UPRIGHT, *TILTED[::5]]:
        volume_node = scan(axes)
        result = result_on(volume_node)
        segmentation, _ = nodes.add_result_to_scene(result, volume_node)
        assert_same_masks(segment_masks(segmentation, volume_node), expected_masks(result))
        host.scene.RemoveNode(segmentation)


def test_a_segment_is_found_at_the_right_place_in_the_world(host):
    """Independent of export: where Slicer itself says that a single voxel is."""
    for axes in [*UPRIGHT, *TILTED[::5]]:
        volume_node = scan(axes)
        grid = nodes.volume_from_node(volume_node).grid.crop((5, 6, 2), (15, 14, 6))
        mask = np.zeros(grid.shape, bool)
        mask[1, 2, 3] = True
        segment = Segment("one", "one", mask, (1, 0, 0), grid=grid)
        segmentation = nodes.add_segments_to_scene([segment], volume_node, "one voxel")
        place = segmentation.GetSegmentCenterRAS("one")
        np.testing.assert_allclose(place, (affine_of(axes) @ [5 + 3, 6 + 2, 2 + 1, 1])[:3], atol=1e-6)


def test_segments_carry_names_colours_terminology_tags_and_the_scan_as_reference(host):
    volume_node = scan()
    segmentation, uncertainty = nodes.add_result_to_scene(result_on(volume_node), volume_node)
    assert_described(segmentation)
    reference = segmentation.GetNodeReference(segmentation.GetReferenceImageGeometryReferenceRole())
    assert reference is volume_node
    for node in (segmentation, uncertainty):
        record = json.loads(node.GetAttribute(nodes.PROVENANCE))
        assert record["consensus"]["samples"] == 20
        assert record[PROMPT]["prompt"] == PROMPT


def assert_described(segmentation):
    """Names, colours and codes written out by hand: what a person sees must not depend on the code that made it."""
    looks = {
        "consensus": ("Consensus", (255, 255, 255)),
        "expert_conservative": ("Conservative (smallest)", (86, 180, 233)),
        "readers_nearly_all": ("Nearly all include (>=90 %)", (240, 228, 66)),
        "readers_most": ("Most (50-90 %)", (204, 121, 167)),
        "readers_some": ("Some (10-50 %)", (0, 114, 178)),
    }
    found = segmentation.GetSegmentation()
    for id_, (name, color) in looks.items():
        segment = found.GetSegment(id_)
        assert segment.GetName() == name
        np.testing.assert_allclose(np.array(segment.GetColor()) * 255, color, atol=0.5)
        assert "~SCT^27925004^Nodule~" in segment.GetTerminology()
    assert tag(found.GetSegment("expert_conservative"), "MultiRaterSeg.expert") == "conservative"
    assert tag(found.GetSegment("prompt_2"), "MultiRaterSeg.prompt") == PROMPT.replace("|", "/")


def tag(segment, key: str) -> str:
    value = vtk.mutable("")
    assert segment.GetTag(key, value), key
    return str(value)


def test_a_style_that_nobody_outlined_stays_as_an_empty_segment(host):
    volume_node = scan()
    segmentation, _ = nodes.add_result_to_scene(result_on(volume_node), volume_node)
    assert segmentation.GetSegmentation().GetSegment("prompt_3") is not None
    assert not arrayFromSegmentBinaryLabelmap(segmentation, "prompt_3", volume_node).any()


def test_outlines_are_lines_and_bands_wait_hidden(host):
    volume_node = scan()
    segmentation, _ = nodes.add_result_to_scene(result_on(volume_node), volume_node)
    display = segmentation.GetDisplayNode()
    assert display.GetSegmentVisibility("consensus")
    assert not display.GetSegmentVisibility2DFill("consensus")
    assert not display.GetSegmentVisibility("readers_most")
    assert display.GetSegmentVisibility2DFill("readers_most")


def test_the_uncertainty_map_holds_percent_of_readers_at_their_place(host):
    for axes in (UPRIGHT[0], UPRIGHT[30], TILTED[7]):
        volume_node = scan(axes)
        result = result_on(volume_node)
        _, uncertainty = nodes.add_result_to_scene(result, volume_node)
        included = result.consensus.samples.mean(0)
        np.testing.assert_allclose(arrayFromVolume(uncertainty), 100 * np.minimum(included, 1 - included), atol=1e-4)
        matrix = vtk.vtkMatrix4x4()
        uncertainty.GetIJKToRASMatrix(matrix)
        expected = affine_of(axes)
        expected[:, 3] = affine_of(axes) @ [5, 6, 2, 1]
        np.testing.assert_allclose(arrayFromVTKMatrix(matrix), expected, atol=1e-9)


def shown_colors(node) -> np.ndarray:
    """RGBA as the slice view's pipeline makes them: uint8 [K, J, I, 4]."""
    port = node.GetDisplayNode().GetImageDataConnection()
    port.GetProducer().Update()
    image = port.GetProducer().GetOutputDataObject(port.GetIndex())
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(*image.GetDimensions()[::-1], 4)


def assert_hidden_where_readers_agree_and_brighter_where_they_do_not(node):
    percent, colors = arrayFromVolume(node), shown_colors(node)
    assert set(percent[percent < 4.9].round()) == {0}
    assert not colors[percent < 4.9][:, 3].any()
    assert (colors[percent > 5.1][:, 3] == 255).all()
    brightness = {p: colors[percent == p][:, :3].astype(int).sum(1).mean() for p in np.unique(percent[percent > 5.1])}
    assert len(brightness) > 5
    assert list(brightness.values()) == sorted(brightness.values())


def test_the_map_is_transparent_where_readers_agree_and_the_threshold_can_be_raised(host):
    volume_node = scan()
    _, uncertainty = nodes.add_result_to_scene(result_on(volume_node), volume_node)
    assert_hidden_where_readers_agree_and_brighter_where_they_do_not(uncertainty)
    uncertainty.GetDisplayNode().SetLowerThreshold(30)
    assert np.array_equal(shown_colors(uncertainty)[..., 3] == 255, arrayFromVolume(uncertainty) >= 30)


def test_showing_the_map_leaves_scan_window_and_level_as_they_were(host):
    volume_node = scan()
    display = volume_node.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(1400, -500)
    view = host.scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    view.SetBackgroundVolumeID(volume_node.GetID())

    _, uncertainty = nodes.add_result_to_scene(result_on(volume_node), volume_node)
    assert view.GetForegroundVolumeID() is None
    nodes.show_over_scan(uncertainty, opacity=0.5)
    assert view.GetForegroundVolumeID() == uncertainty.GetID()
    assert view.GetForegroundOpacity() == 0.5
    assert view.GetBackgroundVolumeID() == volume_node.GetID()
    assert (display.GetWindow(), display.GetLevel(), display.GetAutoWindowLevel()) == (1400, -500, 0)
    assert np.array_equal(arrayFromVolume(volume_node), some_voxels(*SHAPE))


def test_a_second_result_gets_names_of_its_own_and_shares_the_colours(host):
    volume_node = scan()
    first, first_map = nodes.add_result_to_scene(result_on(volume_node), volume_node)
    second, second_map = nodes.add_result_to_scene(result_on(volume_node), volume_node)
    assert first.GetName() != second.GetName()
    assert first_map.GetDisplayNode().GetColorNodeID() == second_map.GetDisplayNode().GetColorNodeID()


def test_results_join_the_study_of_their_scan(host):
    volume_node = scan()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(host.scene)
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "study")
    hierarchy.CreateItem(study, volume_node)
    made = host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "made")
    hierarchy.CreateItem(hierarchy.GetSceneItemID(), made)  # in the application, a plugin does this for every node
    nodes._join_study(made, volume_node)
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(made)) == study


def save(node, path) -> None:
    storage = node.CreateDefaultStorageNode()
    node.GetScene().AddNode(storage)
    node.SetAndObserveStorageNodeID(storage.GetID())
    storage.SetFileName(str(path))
    assert storage.WriteData(node)


@pytest.mark.parametrize("axes", [UPRIGHT[30], TILTED[0], UPRIGHT[1]], ids=["right-handed", "tilted", "left-handed"])
def test_slicers_segmentation_file_reads_the_same_in_slicer_and_in_slicerio(host, tmp_path, axes):
    volume_node = scan(axes)
    result = result_on(volume_node)
    segmentation, _ = nodes.add_result_to_scene(result, volume_node)
    save(segmentation, tmp_path / "readers.seg.nrrd")

    loaded = host.logics["segmentations"].LoadSegmentationFromFile(str(tmp_path / "readers.seg.nrrd"), True, "again")
    assert_same_masks(segment_masks(loaded, volume_node), expected_masks(result))
    assert_described(loaded)

    content = slicerio.read_segmentation(str(tmp_path / "readers.seg.nrrd"))
    assert [segment["id"] for segment in content["segments"]] == [segment.id for segment in segments_of(result)]
    lps_to_ijk = np.linalg.inv(np.diag([-1, -1, 1, 1]) @ affine_of(axes))
    for segment, expected in zip(content["segments"], expected_masks(result).values()):
        inside = np.argwhere(content["voxels"][segment["layer"]] == segment["labelValue"])
        ijk = np.c_[inside, np.ones(len(inside))] @ (lps_to_ijk @ content["ijkToLPS"]).T
        found = np.zeros(SHAPE, bool)
        found[tuple(np.rint(ijk[:, 2::-1]).astype(int).T)] = True
        assert np.abs(ijk - np.rint(ijk)).max(initial=0) < 1e-6
        assert np.array_equal(found, expected), segment["id"]


def test_a_saved_scene_brings_everything_back(host, new_host, tmp_path):
    volume_node = scan(TILTED[0])
    result = result_on(volume_node)
    nodes.add_result_to_scene(result, volume_node)
    assert host.scene.WriteToMRB(str(tmp_path / "case.mrb"))

    scene = new_host().scene
    assert scene.ReadFromMRB(str(tmp_path / "case.mrb"))
    volume_node = scene.GetFirstNodeByName("CTChest")
    segmentation = scene.GetFirstNodeByName("CTChest readers")
    uncertainty = scene.GetFirstNodeByName("CTChest disagreement (%)")
    assert_same_masks(segment_masks(segmentation, volume_node), expected_masks(result))
    assert_described(segmentation)
    assert segmentation.GetNodeReference(segmentation.GetReferenceImageGeometryReferenceRole()) is volume_node
    assert json.loads(segmentation.GetAttribute(nodes.PROVENANCE))[PROMPT]["prompt"] == PROMPT
    assert not segmentation.GetDisplayNode().GetSegmentVisibility("readers_most")
    assert_hidden_where_readers_agree_and_brighter_where_they_do_not(uncertainty)
    np.testing.assert_allclose(arrayFromVolume(uncertainty), result.consensus.uncertainty[result.consensus.window])
