"""The continuous map: where it lies, what it says, and that showing it changes nothing else."""

import numpy as np
import pytest
import slicer
import vtk
from MultiRaterSegSlicer.scene import map as scene_map
from orientations import TILTED, UPRIGHT, affine_of
from scene_cases import LOW, MODEL, Case
from slicer.util import addVolumeFromArray, arrayFromVolume, arrayFromVTKMatrix
from vtk.util.numpy_support import vtk_to_numpy

RADII = tuple(np.linspace(3, 9, 20))


def lesion_of(case):
    lesion = case.lesion()
    lesion.add("consensus", case.answer("consensus", *RADII), MODEL)
    return lesion


def slice_view(scene, name, background):
    view = slicer.vtkMRMLSliceCompositeNode()
    view.SetName(name)
    view.SetLayoutName(name)
    view.SetSingletonTag(name)
    view = scene.AddNode(view)
    view.SetBackgroundVolumeID(background.GetID())
    return view


def shown_colors(node) -> np.ndarray:
    """RGBA as the slice view's pipeline makes them: uint8 [K, J, I, 4]."""
    port = node.GetDisplayNode().GetImageDataConnection()
    port.GetProducer().Update()
    image = port.GetProducer().GetOutputDataObject(port.GetIndex())
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(*image.GetDimensions()[::-1], 4)


def assert_transparent_where_readers_agree_and_brighter_where_they_do_not(node):
    percent, colors = arrayFromVolume(node), shown_colors(node)
    assert not colors[percent < 2][:, 3].any()
    assert (colors[percent > 4.9][:, 3] == 255).all()
    brightness = {p: colors[percent == p][:, :3].astype(int).sum(1).mean() for p in np.unique(percent[percent > 4.9])}
    assert len(brightness) > 7
    assert list(brightness.values()) == sorted(brightness.values())


def assert_explained(node):
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node.GetDisplayNode())
    assert legend.GetTitleText() == "Simulated reader disagreement (%)"
    assert legend.GetUseColorNamesForLabels()
    table = node.GetDisplayNode().GetColorNode()
    names = [table.GetColorName(n) for n in range(table.GetNumberOfColors())]
    assert [name for name in names if name.strip()] == [
        "Not probability of disease", "0 all agree", "25 1 in 4 disagrees", "50 evenly split",
    ]  # fmt: skip
    low, high = node.GetDisplayNode().GetWindowLevelMin(), node.GetDisplayNode().GetWindowLevelMax()
    step = (high - low) / len(names)
    for percent, name in [(0, "0 all agree"), (25, "25 1 in 4 disagrees"), (50, "50 evenly split")]:
        assert names[int((percent - low) / step)] == name  # the label stands at the colour that the value gets


def test_the_map_holds_percent_of_readers_at_their_place_in_all_orientations(host):
    for axes in [*UPRIGHT, *TILTED[::5]]:
        case = Case(host.scene, axes)
        node = lesion_of(case).map_node
        included = np.mean([case.ball(radius) for radius in RADII], 0)
        np.testing.assert_allclose(arrayFromVolume(node), 100 * np.minimum(included, 1 - included), atol=1e-4)
        matrix = vtk.vtkMatrix4x4()
        node.GetIJKToRASMatrix(matrix)
        expected = affine_of(axes)
        expected[:, 3] = affine_of(axes) @ [*LOW, 1]
        np.testing.assert_allclose(arrayFromVTKMatrix(matrix), expected, atol=1e-9)
        host.scene.RemoveNode(node)


def test_the_map_is_transparent_where_readers_agree_and_says_what_its_colours_mean(host):
    node = lesion_of(Case(host.scene)).map_node
    assert_transparent_where_readers_agree_and_brighter_where_they_do_not(node)
    assert_explained(node)


def test_the_map_is_off_until_asked_for_and_off_again_restores_what_was_in_front(host):
    case = Case(host.scene)
    display = case.scan.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(1400, -500)
    pet = addVolumeFromArray(np.ones((3, 3, 3), np.int16), name="PET")
    red, green = slice_view(host.scene, "Red", case.scan), slice_view(host.scene, "Green", case.scan)
    red.SetForegroundVolumeID(pet.GetID())
    red.SetForegroundOpacity(0.35)
    node = lesion_of(case).map_node
    assert scene_map.shown_map(host.scene) is None
    for _ in range(2):
        scene_map.show_map(node, 0.5)
        scene_map.show_map(node, 0.7)
        assert scene_map.shown_map(host.scene) is node
        for view in (red, green):
            assert (view.GetForegroundVolumeID(), view.GetForegroundOpacity()) == (node.GetID(), 0.7)
            assert view.GetBackgroundVolumeID() == case.scan.GetID()
        assert (display.GetWindow(), display.GetLevel(), display.GetAutoWindowLevel()) == (1400, -500, 0)
        scene_map.hide_map(host.scene)
        assert (red.GetForegroundVolumeID(), red.GetForegroundOpacity()) == (pet.GetID(), 0.35)
        assert (green.GetForegroundVolumeID(), green.GetForegroundOpacity()) == (None, 0)
    assert scene_map.shown_map(host.scene) is None


def test_off_leaves_views_alone_in_which_somebody_chose_another_foreground_meanwhile(host):
    case = Case(host.scene)
    view = slice_view(host.scene, "Red", case.scan)
    scene_map.show_map(lesion_of(case).map_node)
    view.SetForegroundVolumeID(case.scan.GetID())
    view.SetForegroundOpacity(0.9)
    scene_map.hide_map(host.scene)
    assert (view.GetForegroundVolumeID(), view.GetForegroundOpacity()) == (case.scan.GetID(), 0.9)


def test_the_map_of_another_lesion_takes_its_place_and_off_still_finds_back(host):
    case = Case(host.scene)
    view = slice_view(host.scene, "Red", case.scan)
    view.SetForegroundOpacity(0.2)
    first, second = lesion_of(case).map_node, lesion_of(case).map_node
    assert first.GetDisplayNode().GetColorNode() is second.GetDisplayNode().GetColorNode()
    scene_map.show_map(first)
    scene_map.show_map(second)
    scene_map.hide_map(host.scene)
    assert (view.GetForegroundVolumeID(), view.GetForegroundOpacity()) == (None, 0.2)


@pytest.mark.parametrize("how", ["undo", "by hand"])
def test_a_map_that_goes_while_it_is_shown_leaves_the_view_in_order(host, how):
    case = Case(host.scene)
    view = slice_view(host.scene, "Red", case.scan)
    view.SetForegroundOpacity(0.2)
    lesion = lesion_of(case)
    scene_map.show_map(lesion.map_node)
    case.lesions.undo() if how == "undo" else host.scene.RemoveNode(lesion.map_node)
    scene_map.hide_map(host.scene)
    assert (view.GetForegroundVolumeID(), view.GetForegroundOpacity()) == (None, 0.2)
    assert view.GetBackgroundVolumeID() == case.scan.GetID()


def test_a_new_consensus_changes_the_map_that_is_shown(host):
    case = Case(host.scene)
    view = slice_view(host.scene, "Red", case.scan)
    lesion = lesion_of(case)
    scene_map.show_map(lesion.map_node)
    lesion.add("consensus", case.answer("consensus", 5, 6), MODEL)
    assert view.GetForegroundVolumeID() == lesion.map_node.GetID()
    assert np.array_equal(arrayFromVolume(lesion.map_node) == 50, case.ball(6) & ~case.ball(5))
