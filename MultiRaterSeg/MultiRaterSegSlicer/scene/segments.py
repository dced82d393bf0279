"""Masks in and out of segmentation nodes, and whether somebody has changed them since.

Everything is on the voxels of the scan; a labelmap that Slicer cropped, padded or turned is the same mask still.
"""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import slicer
import vtk
from slicer.util import arrayFromVTKMatrix, vtkMatrixFromArray
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from MultiRaterSegLib.geometry import Grid
from MultiRaterSegLib.io import Segment
from MultiRaterSegLib.upright import upright

from ..nodes import stored_grid

FINGERPRINT = "MultiRaterSeg.fingerprint"  # tag of a segment, attribute of a volume: its content as we left it
EMPTY = "empty"
REACH = 2**20  # voxels that an outline may lie beyond the ends of its scan
LINE_WIDTH = 2  # pixels; one is hard to see over lung


def new_segmentation(name: str, volume_node) -> "slicer.vtkMRMLSegmentationNode":
    """An empty segmentation with the volume's geometry as its reference."""
    scene = volume_node.GetScene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", free_name(scene, name))
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetSliceIntersectionThickness(LINE_WIDTH)
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
    return node


def free_name(scene, name: str) -> str:
    """The name, or with a number when a node has it; the scene's own GenerateUniqueName gives no name a second time."""
    return name if scene.GetFirstNodeByName(name) is None else scene.GenerateUniqueName(name)


def remove_node(node) -> None:
    """With its display and storage nodes, which a scene would keep."""
    scene = node.GetScene()
    companions = [node.GetStorageNode()]
    if node.IsA("vtkMRMLDisplayableNode"):
        companions += [node.GetNthDisplayNode(n) for n in range(node.GetNumberOfDisplayNodes())]
    scene.RemoveNode(node)
    for companion in companions:
        if companion is not None:
            scene.RemoveNode(companion)


def put_segment(segment: Segment, grid: Grid, node, filled: bool = False) -> None:
    """Adds the segment, or gives the one of that id a new mask, terminology and tags: it keeps the name, colour and
    visibility that a person may have chosen. grid: where the mask lies, if the segment does not say."""
    segmentation = node.GetSegmentation()
    if segmentation.GetSegment(segment.id) is None:
        segmentation.AddEmptySegment(segment.id, segment.name, segment.color)
        show_filled(node, segment.id, filled)
    put_mask(segment.mask, segment.grid or grid, node, segment.id)
    made = segmentation.GetSegment(segment.id)
    made.SetTerminology(segment.terminology)
    set_tags(made, segment.tags)
    made.SetTag(FINGERPRINT, fingerprint(node, segment.id))


def put_mask(mask: np.ndarray, grid: Grid, node, id_: str) -> None:
    """Replaces the mask of a segment: bool [k, j, i] on `grid`. Other segments stay as they are, also where they overlap."""
    node.GetSegmentation().SeparateSegmentLabelmap(id_)  # in an image that it shares it would overwrite its neighbours
    logic, used = slicer.vtkSlicerSegmentationsModuleLogic, np.nonzero(mask)
    low, high = ([int(end) for end in ends] for ends in zip(*[(a.min(), a.max()) if len(a) else (0, 0) for a in used]))
    part = mask[tuple(slice(a, b + 1) for a, b in zip(low, high))]  # a tenth of the time of all that was looked at
    if not logic.SetBinaryLabelmapToSegment(_oriented_image(part, grid.crop(low[::-1], high[::-1])), node, id_):
        raise RuntimeError(f"Slicer refused the mask of segment '{id_}'.")


def show_filled(node, id_: str, filled: bool) -> None:
    """As a filled area without outline, or as an outline alone."""
    node.GetDisplayNode().SetSegmentVisibility2DFill(id_, filled)
    node.GetDisplayNode().SetSegmentVisibility2DOutline(id_, not filled)


def set_tags(segment: "slicer.vtkSegment", tags: Mapping[str, str]) -> None:
    for key, value in tags.items():
        segment.SetTag(key, " ".join(value.replace("|", "/").split()))  # Slicer's file ends a tag at "|"


def tag_of(segment: "slicer.vtkSegment", key: str) -> str:
    """ "" when the segment has no such tag."""
    value = vtk.mutable("")
    return str(value) if segment.GetTag(key, value) else ""


def mask_on(node, id_: str, grid: Grid) -> np.ndarray:
    """The segment's voxels on `grid`: bool [K, J, I]. What lies beyond the grid is left out."""
    mask = np.zeros(grid.shape, bool)
    ijk = _voxels(node, id_, grid)
    inside = ((ijk >= 0) & (ijk < grid.size_ijk)).all(1)
    mask[tuple(ijk[inside].T[::-1])] = True
    return mask


def box_around(node, id_: str, grid: Grid) -> Grid | None:
    """The smallest crop of `grid` that holds the segment; None for an empty one."""
    ijk = _voxels(node, id_, grid)
    return grid.crop(ijk.min(0), ijk.max(0)) if len(ijk) else None


def contains(node, id_: str, ras) -> bool:
    """Whether the point lies in a voxel of the segment."""
    image, grid = _labelmap(node, id_)
    if image is None or not grid.contains(ras):
        return False
    index = np.clip(np.rint(grid.to_ijk(ras)).astype(int), 0, grid.size_ijk - 1) + image.GetExtent()[::2]
    return (
        image.GetScalarComponentAsDouble(*index.tolist(), 0) == node.GetSegmentation().GetSegment(id_).GetLabelValue()
    )


class Snapshot(NamedTuple):
    """A segment as it was. facts: name, colour, terminology and tags. grid: None when it was empty."""

    facts: "slicer.vtkSegment"
    mask: np.ndarray
    grid: Grid | None
    index: int
    visible: bool
    filled: bool


def snapshot(node, id_: str) -> Snapshot:
    segment, display = node.GetSegmentation().GetSegment(id_), node.GetDisplayNode()
    facts = slicer.vtkSegment()
    facts.DeepCopyMetadata(segment)
    lattice = _lattice(node, id_)
    grid = box_around(node, id_, lattice) if lattice else None
    mask = mask_on(node, id_, grid) if grid else np.zeros((1, 1, 1), bool)
    index = node.GetSegmentation().GetSegmentIndex(id_)
    return Snapshot(
        facts, mask, grid, index, display.GetSegmentVisibility(id_), display.GetSegmentVisibility2DFill(id_)
    )


def restore(node, id_: str, former: Snapshot) -> None:
    """Makes the segment what it was, in its place of the list; adds it when it was removed."""
    segmentation = node.GetSegmentation()
    if segmentation.GetSegment(id_) is None:
        segmentation.AddEmptySegment(id_, former.facts.GetName(), former.facts.GetColor())
        show_filled(node, id_, former.filled)
        node.GetDisplayNode().SetSegmentVisibility(id_, former.visible)
        segmentation.SetSegmentIndex(id_, min(former.index, segmentation.GetNumberOfSegments() - 1))
    put_mask(former.mask, former.grid or Grid((1, 1, 1), np.eye(4)), node, id_)
    segment = segmentation.GetSegment(id_)
    label = segment.GetLabelValue()
    segment.DeepCopyMetadata(former.facts)
    segment.SetLabelValue(label)


def fingerprint(node, id_: str) -> str:
    """Of the segment's mask where it lies in space: the same after saving and loading, another after any edit."""
    lattice = _lattice(node, id_)
    if lattice is None:
        return EMPTY
    ijk = _voxels(node, id_, lattice).astype(np.int64) + REACH
    addresses = np.sort((ijk[:, 2] * 2 * REACH + ijk[:, 1]) * 2 * REACH + ijk[:, 0], kind="stable")
    return hashlib.sha256(addresses.tobytes()).hexdigest()[:32]


def is_as_we_left_it(node, id_: str) -> bool:
    """False too when there is no such segment, or when it is not ours."""
    segment = node.GetSegmentation().GetSegment(id_) if node is not None else None
    return segment is not None and tag_of(segment, FINGERPRINT) == fingerprint(node, id_)


def _voxels(node, id_: str, grid: Grid) -> np.ndarray:
    """int [N, 3]: indices (i, j, k) on `grid` of the segment's voxels; they may lie beyond its ends."""
    image, own = _labelmap(node, id_)
    if image is None:
        return np.zeros((0, 3), int)
    used = [0] * 6
    if not slicer.vtkOrientedImageDataResample.CalculateEffectiveExtent(image, used):
        return np.zeros((0, 3), int)
    low = np.array(used[::2]) - np.array(image.GetExtent()[::2])
    high = np.array(used[1::2]) - np.array(image.GetExtent()[::2]) + 1
    part = tuple(slice(a, b) for a, b in zip(low[::-1], high[::-1]))
    labels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(own.shape)[part]
    inside = np.argwhere(labels == node.GetSegmentation().GetSegment(id_).GetLabelValue())[:, ::-1] + low
    return np.rint(grid.to_ijk(own.to_ras(inside))).astype(int)


def _labelmap(node, id_: str) -> tuple["slicer.vtkOrientedImageData | None", Grid | None]:
    """The image that the segment is a label of, and where its first voxel and the others lie; None when it is empty."""
    image = node.GetBinaryLabelmapInternalRepresentation(id_)
    if image is None or image.GetNumberOfPoints() == 0 or image.GetPointData().GetScalars() is None:
        return None, None
    to_world = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(to_world)
    affine = arrayFromVTKMatrix(to_world)
    affine[:3, 3] += affine[:3, :3] @ np.array(image.GetExtent()[::2])
    return image, Grid(image.GetDimensions()[::-1], affine)


def _lattice(node, id_: str) -> Grid | None:
    """Voxels to count in: those of the scan, turned upright, because a scan may be loaded with its axes turned; the
    labelmap's own when the scan was deleted; None when it is empty too."""
    grid = stored_grid(node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())) or _labelmap(node, id_)[1]
    return grid and upright(np.broadcast_to(False, grid.shape), grid)[1]


def _oriented_image(mask: np.ndarray, grid: Grid) -> "slicer.vtkOrientedImageData":
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(mask.shape[::-1])
    image.SetImageToWorldMatrix(vtkMatrixFromArray(grid.affine))
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(mask, np.uint8).ravel(), deep=True))
    return image
