"""The door from Slicer's scene to the library: volume, point and box nodes. The way back is scene/.

Slicer's scene and the library both speak RAS millimetres and (K, J, I) arrays, so nothing is flipped here.
"""

import numpy as np
import slicer
import vtk
from slicer.util import arrayFromVolume, arrayFromVTKMatrix

from MultiRaterSegLib.errors import GeometryError, VolumeError
from MultiRaterSegLib.geometry import Grid, Volume
from MultiRaterSegLib.io.lps import SKEW_TOLERANCE
from MultiRaterSegLib.io.voxels import check_voxels, compact

Point = tuple[float, float, float]

VOLUME_CLASSES = ("vtkMRMLScalarVolumeNode", "vtkMRMLVectorVolumeNode")
EMPTY = "'{}' is empty. Load a scan into it, or choose another volume."


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
    """Where the node's voxels are. Raises GeometryError under a transform, or when its axes are not perpendicular,
    VolumeError when it is empty."""
    _refuse_transform(node)
    return _grid(node)


def stored_grid(node: "slicer.vtkMRMLVolumeNode | None") -> Grid | None:
    """Where the node's voxels are, transforms aside and whatever its axes; None when it was deleted or is empty.

    VTK counts voxels from the image's extent, which need not begin at 0.
    """
    if node is None or node.GetImageData() is None:
        return None
    to_ras = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(to_ras)
    affine, image = arrayFromVTKMatrix(to_ras), node.GetImageData()
    affine[:3, 3] += affine[:3, :3] @ np.array(image.GetExtent()[::2])
    return Grid(image.GetDimensions()[::-1], affine)


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
        raise VolumeError(EMPTY.format(node.GetName()))
    size = image.GetDimensions()
    if min(size) < 2:
        text = " x ".join(map(str, size))
        raise VolumeError(f"'{node.GetName()}' is a 2-D image ({text}). A scan of several slices is needed.")
    voxels = arrayFromVolume(node)
    return np.moveaxis(voxels, -1, 0) if voxels.ndim == 4 else voxels[None]


def _grid(node) -> Grid:
    grid = stored_grid(node)
    if grid is None:
        raise VolumeError(EMPTY.format(node.GetName()))
    axes = grid.affine[:3, :3] / grid.spacing
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
