"""The door between Slicer's scene and the library: volume, point and box nodes in; segments and an uncertainty map out.

Slicer's scene and the library both speak RAS millimetres and (K, J, I) arrays, so nothing is flipped here.
"""

import json
from collections.abc import Sequence

import numpy as np
import slicer
import vtk
from slicer.util import arrayFromVolume, arrayFromVTKMatrix, updateVolumeFromArray, vtkMatrixFromArray
from vtk.util.numpy_support import numpy_to_vtk

from MultiRaterSegLib.errors import GeometryError, VolumeError
from MultiRaterSegLib.geometry import Grid, Volume
from MultiRaterSegLib.io import Segment
from MultiRaterSegLib.io.lps import SKEW_TOLERANCE
from MultiRaterSegLib.io.voxels import check_voxels, compact
from MultiRaterSegLib.lesion_result import LesionResult
from MultiRaterSegLib.prediction import Prediction
from MultiRaterSegLib.segments import segments_of

Point = tuple[float, float, float]

VOLUME_CLASSES = ("vtkMRMLScalarVolumeNode", "vtkMRMLVectorVolumeNode")
PROVENANCE, WARNINGS = "MultiRaterSeg.provenance", "MultiRaterSeg.warnings"  # node attributes, JSON

TRANSPARENT_BELOW = 5.0  # percent of readers; fewer would colour voxels that practically all agree on
UNCERTAINTY_COLORS = "Readers who disagree (%)"
UNCERTAINTY_RAMP = [(0.26, 0.08, 0.45), (0.74, 0.18, 0.53), (0.99, 0.55, 0.33), (1.0, 0.95, 0.68)]  # dark to light


def volume_from_node(node: "slicer.vtkMRMLVolumeNode", copy: bool = True) -> Volume:
    """A scalar or vector volume node -> Volume: a copy of its voxels [C, K, J, I], its IJK-to-RAS as the grid.

    copy False: a view of the node's memory, at once and unchecked; take what is needed of it before anything else
    happens, because Slicer may edit or free that memory.
    Raises GeometryError when a transform moves the node (the result would land elsewhere than the scan is seen) or its
    axes are not perpendicular, VolumeError when it holds no usable scan.
    """
    _refuse_transform(node)
    voxels = _voxels(node)
    if copy:
        voxels = compact(voxels)
        check_voxels(voxels, node.GetName())
    return Volume(voxels, _grid(node), _modality(node), node.GetName())


def grid_of(node: "slicer.vtkMRMLVolumeNode") -> Grid:
    """Where the node's voxels are. Raises GeometryError under a transform, or when its axes are not perpendicular."""
    _refuse_transform(node)
    return _grid(node)


def points_from_node(node: "slicer.vtkMRMLMarkupsFiducialNode") -> list[Point]:
    """The placed points of a point list, RAS mm in the world. Raises GeometryError when there is none."""
    count = node.GetNumberOfControlPoints()
    placed = [n for n in range(count) if node.GetNthControlPointPositionStatus(n) == node.PositionDefined]
    if not placed:
        raise GeometryError(f"'{node.GetName()}' holds no placed point. Click on the lesion to place one.")
    points = np.zeros((len(placed), 3))
    for point, n in zip(points, placed):
        node.GetNthControlPointPositionWorld(n, point)
    return [tuple(point) for point in points.tolist()]


def roi_from_node(node: "slicer.vtkMRMLMarkupsROINode") -> tuple[Point, Point]:
    """A box node -> its lowest and highest corner, RAS mm in the world.

    A rotated or transformed box gives the upright box around it. Raises GeometryError when it was not drawn yet.
    """
    bounds = np.zeros(6)
    node.GetRASBounds(bounds)
    low, high = bounds[0::2], bounds[1::2]
    if not np.all(high > low):
        raise GeometryError(f"The box '{node.GetName()}' is empty. Draw it around the lesion.")
    return tuple(low.tolist()), tuple(high.tolist())


def add_result_to_scene(
    result: LesionResult, volume_node: "slicer.vtkMRMLVolumeNode"
) -> tuple["slicer.vtkMRMLSegmentationNode", "slicer.vtkMRMLScalarVolumeNode"]:
    """New nodes beside the scan: its outlines and bands as a segmentation, and where readers disagree as a volume.

    volume_node: the scan that the result was made from. Outlines are shown as lines; the bands are hidden at first,
    since the map shows the same. Both nodes carry how they were made, as JSON in the attribute PROVENANCE.
    """
    name = volume_node.GetName()
    segmentation = add_segments_to_scene(segments_of(result), volume_node, f"{name} readers")
    uncertainty = add_uncertainty_to_scene(result.consensus, volume_node, f"{name} disagreement (%)")
    record = {name: prediction.provenance for name, prediction in result.outlines.items()}
    for node in (segmentation, uncertainty):
        node.SetAttribute(PROVENANCE, json.dumps(record, ensure_ascii=False))
        node.SetAttribute(WARNINGS, json.dumps(result.warnings, ensure_ascii=False))
    return segmentation, uncertainty


def add_segments_to_scene(
    segments: Sequence[Segment], volume_node: "slicer.vtkMRMLVolumeNode", name: str
) -> "slicer.vtkMRMLSegmentationNode":
    """A new segmentation of the volume: ids, names, colours, terminology and tags as given; masks may overlap.

    Masks lie on the volume's voxels, or on the crop that the segment's grid describes (only the crop is stored).
    """
    scene = volume_node.GetScene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", scene.GenerateUniqueName(name))
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
    for segment in segments:
        _add_segment(segment, segment.grid or _grid(volume_node), node)
    _join_study(node, volume_node)
    return node


def add_uncertainty_to_scene(
    prediction: Prediction, volume_node: "slicer.vtkMRMLVolumeNode", name: str
) -> "slicer.vtkMRMLScalarVolumeNode":
    """A new volume over the part of the scan that was looked at: percent of readers who disagree, 0..50.

    It has a colour table of its own and is transparent below TRANSPARENT_BELOW, to lie over the scan.
    """
    scene = volume_node.GetScene()
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", scene.GenerateUniqueName(name))
    node.SetIJKToRASMatrix(vtkMatrixFromArray(prediction.grid.affine))
    updateVolumeFromArray(node, prediction.uncertainty[prediction.window])
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(_uncertainty_colors(scene).GetID())
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(0, 50)
    display.AutoThresholdOff()
    display.SetThreshold(TRANSPARENT_BELOW, 50)
    display.ApplyThresholdOn()
    _join_study(node, volume_node)
    return node


def show_over_scan(node: "slicer.vtkMRMLScalarVolumeNode", opacity: float = 0.6) -> None:
    """Lays the map over what the slice views show, as their foreground; scan, window and level stay as they are."""
    scene = node.GetScene()
    for n in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode")):
        view = scene.GetNthNodeByClass(n, "vtkMRMLSliceCompositeNode")
        view.SetForegroundVolumeID(node.GetID())
        view.SetForegroundOpacity(opacity)


def _refuse_transform(node) -> None:
    transform = node.GetParentTransformNode()
    if transform is None:
        return
    if transform.IsTransformToWorldLinear():
        to_world = vtk.vtkMatrix4x4()
        transform.GetMatrixTransformToWorld(to_world)
        if np.allclose(arrayFromVTKMatrix(to_world), np.eye(4), rtol=0, atol=1e-9):
            return
    raise GeometryError(
        f"'{node.GetName()}' is under transform '{transform.GetName()}'. "
        "Harden the transform, or segment the untransformed volume."
    )


def _voxels(node) -> np.ndarray:
    """[C, K, J, I], a view."""
    if node.GetClassName() not in VOLUME_CLASSES:
        kind = node.GetClassName().removeprefix("vtkMRML").removesuffix("Node")
        raise VolumeError(f"'{node.GetName()}' is a {kind}. Choose a scan: a scalar or vector volume.")
    image = node.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0 or image.GetPointData().GetScalars() is None:
        raise VolumeError(f"'{node.GetName()}' is empty. Load a scan into it, or choose another volume.")
    size = image.GetDimensions()
    if min(size) < 2:
        text = " x ".join(map(str, size))
        raise VolumeError(f"'{node.GetName()}' is a 2-D image ({text}). A scan of several slices is needed.")
    voxels = arrayFromVolume(node)
    return np.moveaxis(voxels, -1, 0) if voxels.ndim == 4 else voxels[None]


def _grid(node) -> Grid:
    """The node's voxels in space. VTK counts them from the image's extent, which need not begin at 0."""
    to_ras = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(to_ras)
    affine, image = arrayFromVTKMatrix(to_ras), node.GetImageData()
    affine[:3, 3] += affine[:3, :3] @ np.array(image.GetExtent()[::2])
    grid = Grid(image.GetDimensions()[::-1], affine)
    axes = affine[:3, :3] / grid.spacing
    if np.abs(axes.T @ axes - np.eye(3)).max() > SKEW_TOLERANCE:
        raise GeometryError(
            f"'{node.GetName()}': its axes are not perpendicular. Resample it first with Resample Scalar Volume."
        )
    return grid


def _modality(node) -> str:
    """What the DICOM browser noted when it loaded the series; "" for a volume that came from elsewhere."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    item = hierarchy.GetItemByDataNode(node)
    attribute = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMSeriesModalityAttributeName()
    return hierarchy.GetItemAttribute(item, attribute) if item else ""


def _add_segment(segment: Segment, grid: Grid, node) -> None:
    node.GetSegmentation().AddEmptySegment(segment.id, segment.name, segment.color)
    made = node.GetSegmentation().GetSegment(segment.id)
    made.SetTerminology(segment.terminology)
    for key, value in segment.tags.items():
        made.SetTag(key, " ".join(value.replace("|", "/").split()))  # Slicer's file ends a tag at "|"
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    if not logic.SetBinaryLabelmapToSegment(_oriented_image(segment.mask, grid), node, segment.id):
        raise RuntimeError(f"Slicer refused the mask of segment '{segment.name}'.")
    is_band = segment.tags.get("MultiRaterSeg.kind") == "band"
    node.GetDisplayNode().SetSegmentVisibility(segment.id, not is_band)
    node.GetDisplayNode().SetSegmentVisibility2DFill(segment.id, is_band)


def _oriented_image(mask: np.ndarray, grid: Grid) -> "slicer.vtkOrientedImageData":
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(mask.shape[::-1])
    image.SetImageToWorldMatrix(vtkMatrixFromArray(grid.affine))
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(mask, np.uint8).ravel(), deep=True))
    return image


def _uncertainty_colors(scene) -> "slicer.vtkMRMLColorTableNode":
    """The scene's table for percent of readers, dark to light; made once."""
    if (known := scene.GetFirstNode(UNCERTAINTY_COLORS, "vtkMRMLColorTableNode")) is not None:
        return known
    table = slicer.vtkMRMLColorTableNode()
    table.SetName(UNCERTAINTY_COLORS)
    table.SetTypeToUser()
    table.SetNumberOfColors(256)
    percent = np.linspace(0, 50, 256)
    ramp = np.linspace(0, 50, len(UNCERTAINTY_RAMP))
    red, green, blue = (np.interp(percent, ramp, channel) for channel in zip(*UNCERTAINTY_RAMP))
    # A scene loaded from a file does not apply its threshold until somebody moves it; transparent colours need no help.
    opaque = np.arange(256) >= int(TRANSPARENT_BELOW / 50 * 255)
    for n in range(256):
        table.SetColor(n, f"{percent[n]:.1f} %", red[n], green[n], blue[n], float(opaque[n]))
    table.GetLookupTable().SetRange(0, 50)
    return scene.AddNode(table)


def _join_study(node, volume_node) -> None:
    """Puts the node into the study of its scan, where DICOM export expects it."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    scan, item = hierarchy.GetItemByDataNode(volume_node), hierarchy.GetItemByDataNode(node)
    if scan and item:
        hierarchy.SetItemParent(item, hierarchy.GetItemParent(scan))
