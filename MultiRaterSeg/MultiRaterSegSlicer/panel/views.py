"""What the slice views show right now."""

import numpy as np
import slicer
from slicer.util import arrayFromVTKMatrix

from ..scene.segments import FINGERPRINT


def point_on_slice(scene, center, remote) -> tuple[float, float, float]:
    """The point nearest to the lesion's centre (RAS mm) on the slice in view that runs along the model's slices."""
    across = remote.region.scan.affine[:3, remote.across]
    across = across / np.linalg.norm(across)
    views = [
        scene.GetNthNodeByClass(n, "vtkMRMLSliceNode") for n in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceNode"))
    ]
    planes = [arrayFromVTKMatrix(view.GetSliceToRAS()) for view in views]
    center = np.asarray(center, float)
    if not planes:
        return tuple(center.tolist())
    plane = max(planes, key=lambda plane: abs(plane[:3, 2] @ across))
    normal = plane[:3, 2] / np.linalg.norm(plane[:3, 2])
    return tuple((center + normal * (normal @ (plane[:3, 3] - center))).tolist())


def center_of(lesion) -> tuple[float, float, float]:
    """The point that the person gave, or the middle of the box, RAS mm."""
    place = lesion.place
    return place["at"] if "at" in place else tuple(np.mean(place["box"], 0).tolist())


def toggle_table(node: "slicer.vtkMRMLTableNode", before: int | None) -> int | None:
    """Shows the table beside the slice views, or, where it is shown, the layout that was there before.

    before: what the last call returned: that layout, None while no table was opened here.
    """
    layouts, selection = slicer.app.layoutManager(), slicer.app.applicationLogic().GetSelectionNode()
    with_table = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView
    is_open = layouts.layout == with_table
    if is_open and before is not None and selection.GetActiveTableID() == node.GetID():
        layouts.setLayout(before)
        return None
    before = before if is_open else layouts.layout
    layouts.setLayout(with_table)
    selection.SetActiveTableID(node.GetID())
    slicer.app.applicationLogic().PropagateTableSelection()
    return before


def open_segment_editor(segmentation: "slicer.vtkMRMLSegmentationNode", volume) -> None:
    """Segment Editor on this segmentation, painting over this scan."""
    slicer.util.selectModule("SegmentEditor")
    editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
    editor.setSegmentationNode(segmentation)
    editor.setSourceVolumeNode(volume)


def first_scan(scene) -> "slicer.vtkMRMLVolumeNode | None":
    """The scan that the views show, else the first one of the scene; maps of ours are none."""
    selection = scene.GetFirstNodeByClass("vtkMRMLSelectionNode")
    shown = scene.GetNodeByID((selection.GetActiveVolumeID() if selection is not None else None) or "")
    count = scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
    scans = [shown, *(scene.GetNthNodeByClass(n, "vtkMRMLScalarVolumeNode") for n in range(count))]
    return next((node for node in scans if node is not None and not node.GetAttribute(FINGERPRINT)), None)
