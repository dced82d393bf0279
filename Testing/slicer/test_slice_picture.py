"""Slice pictures show what lies in the scene, on the side and in the colours where Slicer shows it."""

import numpy as np
import pytest
import slicer
from MultiRaterSegSlicer.scene.map import hide_map, new_map, show_map
from scene_cases import Case
from slicer.util import addVolumeFromArray, vtkMatrixFromArray
from vtk.util.numpy_support import numpy_to_vtk

ORANGE, BLUE = (230, 159, 0), (86, 180, 233)
AFFINE = np.diag([1.0, 1.0, 1.0, 1.0])
AFFINE[:3, 3] = -32


@pytest.fixture
def scan(host):
    """64 mm of grey with one bright voxel block at R -20..-16, A 16..20."""
    voxels = np.full((64, 64, 64), 50, np.int16)
    voxels[:, 48:52, 12:16] = 200
    node = addVolumeFromArray(voxels, vtkMatrixFromArray(AFFINE), "Scan")
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().AutoWindowLevelOff()
    node.GetDisplayNode().SetWindowLevelMinMax(0, 255)
    return node


def picture(host, scan, orientation="Axial", name="Red", size=(256, 256)):
    from slice_picture import SlicePicture

    view = SlicePicture(host, name, orientation, size)
    view.logic.GetSliceCompositeNode().SetBackgroundVolumeID(scan.GetID())
    view.look_at((0, 0, 0), 64)
    return view


def labelmap(mask):
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(mask.shape[::-1])
    image.SetImageToWorldMatrix(vtkMatrixFromArray(AFFINE))
    image.GetPointData().SetScalars(numpy_to_vtk(mask.ravel(), deep=True))
    return image


def centre_of(pixels, color, near=60):
    """Mean (x, y) of the pixels close to a colour."""
    y, x = np.nonzero(np.abs(pixels.astype(int) - color).sum(-1) < near)
    return x.mean(), y.mean(), len(x)


def test_a_block_on_the_patients_left_is_on_the_right_and_front_is_up(host, scan):
    x, y, count = centre_of(picture(host, scan).pixels(), (200, 200, 200), near=225)  # half way to the grey around it
    # R -18.5, A 17.5 in a field of 64 mm on 256 pixels: 4 pixels a mm, x grows to the left of the patient
    assert (x, y) == pytest.approx((128 + 4 * 18.5, 128 - 4 * 17.5), abs=3)
    assert count == pytest.approx(16 * 16, rel=0.2)


def add_segment(scan, mask, color):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Styles")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(scan)
    segment = node.GetSegmentation().AddEmptySegment("style", "Style", [c / 255 for c in color])
    slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(labelmap(mask), node, segment)
    return node.GetDisplayNode()


def cube():
    mask = np.zeros((64, 64, 64), np.uint8)
    mask[22:42, 22:42, 22:42] = 1
    return mask


def test_a_fill_lets_the_scan_shine_through(host, scan):
    display = add_segment(scan, cube(), ORANGE)
    display.SetVisibility2DOutline(False)
    display.SetOpacity2DFill(0.5)
    pixel = picture(host, scan).pixels()[128, 128]
    assert pixel == pytest.approx((np.array(ORANGE) + 50) / 2, abs=3)


@pytest.mark.parametrize(("orientation", "name"), [("Axial", "Red"), ("Sagittal", "Yellow"), ("Coronal", "Green")])
def test_outlines_appear_in_every_view(host, scan, orientation, name):
    display = add_segment(scan, cube(), ORANGE)
    display.SetVisibility2DFill(False)
    display.SetOpacity2DOutline(1)
    view = picture(host, scan, orientation, name)
    view.look_at((0, 0, 0), 64)
    x, y, count = centre_of(view.pixels(), ORANGE, near=90)
    assert (x, y) == pytest.approx((128, 128), abs=4)
    assert count > 4 * 60  # four sides of 80 pixels


def test_the_foreground_is_blended_over_the_scan(host, scan):
    view = picture(host, scan)
    plain = view.pixels()[128, 128]
    map_node = addVolumeFromArray(np.full((64, 64, 64), 255, np.uint8), vtkMatrixFromArray(AFFINE), "Map")
    map_node.CreateDefaultDisplayNodes()
    map_node.GetDisplayNode().AutoWindowLevelOff()
    map_node.GetDisplayNode().SetWindowLevelMinMax(0, 255)
    composite = view.logic.GetSliceCompositeNode()
    composite.SetForegroundVolumeID(map_node.GetID())
    composite.SetForegroundOpacity(0.5)
    assert view.pixels()[128, 128] == pytest.approx((plain.astype(int) + 255) / 2, abs=2)


def test_a_legend_is_drawn(host, scan):
    view = picture(host, scan, size=(400, 400))
    before = view.pixels()
    color = slicer.vtkMRMLColorTableNode()
    color.SetTypeToUser()
    color.SetNumberOfColors(2)
    color.SetColor(0, "none", *[c / 255 for c in BLUE], 1)
    color.SetColor(1, "all", *[c / 255 for c in BLUE], 1)
    slicer.mrmlScene.AddNode(color)
    scan.GetDisplayNode().SetAndObserveColorNodeID(color.GetID())
    legend = slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(scan.GetDisplayNode())
    legend.SetTitleText("Legend")
    after = view.pixels()
    assert np.abs(after.astype(int) - before).any(axis=-1)[:, 300:].mean() > 0.02


def test_the_maps_legend_comes_and_goes_with_the_map(host):
    case = Case(host.scene)
    view = picture(host, case.scan, size=(400, 400))
    view.look_at(case.center, 64)
    plain = view.pixels()
    node = new_map(case.answer("consensus", 5, 6, 7), case.scan, "Map")
    show_map(node)
    shown = np.abs(view.pixels().astype(int) - plain).any(axis=-1)[:, 340:]
    assert shown.mean() > 0.2  # the legend's bar, beside the lesion
    hide_map(host.scene)
    assert np.array_equal(view.pixels(), plain)
