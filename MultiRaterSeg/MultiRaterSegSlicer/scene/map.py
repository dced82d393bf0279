"""The continuous map of where simulated readers disagree: a volume over the scan, off until somebody asks for it."""

import hashlib

import numpy as np
import slicer
from slicer.util import arrayFromVolume, updateVolumeFromArray, vtkMatrixFromArray

from MultiRaterSegLib import consensus
from MultiRaterSegLib.prediction import Prediction
from MultiRaterSegLib.upright import upright

from ..nodes import stored_grid
from .segments import FINGERPRINT, free_name

TITLE = "Simulated reader disagreement (%)"
FOOTER = "Not probability of disease"
LABELS = {0: "0 all agree", 25: "25 1 in 4 disagrees", 50: "50 evenly split"}
OPACITY = 0.6  # in front of the scan, whose texture stays visible

RAMP = [(0.26, 0.08, 0.45), (0.74, 0.18, 0.53), (0.99, 0.55, 0.33), (1.0, 0.95, 0.68)]  # dark to light
STEP = 5  # percent a colour: what twenty readers can tell apart
LOW, HIGH = -1.5 * STEP, 50 + STEP / 2  # each colour around its multiple of STEP; the lowest is the footer's
BEFORE, OPACITY_BEFORE = "MultiRaterSeg.foregroundBefore", "MultiRaterSeg.foregroundOpacityBefore"


def new_map(prediction: Prediction, volume_node, name: str) -> "slicer.vtkMRMLScalarVolumeNode":
    """A volume over the part of the scan that was looked at: percent of readers who disagree, 0..50.

    It has colours and a legend of its own and is transparent where practically all agree, to lie over the scan.
    """
    scene = volume_node.GetScene()
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", free_name(scene, name))
    fill_map(node, prediction)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(_colors(scene).GetID())
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(LOW, HIGH)
    display.AutoThresholdOff()
    display.SetThreshold(STEP / 2, 50)
    display.ApplyThresholdOn()
    _add_legend(node)
    return node


def fill_map(node, prediction: Prediction) -> None:
    node.SetIJKToRASMatrix(vtkMatrixFromArray(prediction.grid.affine))
    updateVolumeFromArray(node, consensus.disagreement(prediction.samples))
    node.SetAttribute(FINGERPRINT, _fingerprint(node))


def is_map_as_we_left_it(node) -> bool:
    return node is not None and node.GetImageData() is not None and node.GetAttribute(FINGERPRINT) == _fingerprint(node)


def show_map(node: "slicer.vtkMRMLScalarVolumeNode", opacity: float = OPACITY) -> None:
    """Lays the map over what the slice views show, as their foreground. Scan, window and level stay as they are; what
    was in front is remembered in the views themselves, so that a scene that was saved like this can go back too."""
    for view in _views(node.GetScene()):
        if view.GetNodeReference(BEFORE) is None and view.GetAttribute(OPACITY_BEFORE) is None:
            view.SetNodeReferenceID(BEFORE, view.GetForegroundVolumeID())
            view.SetAttribute(OPACITY_BEFORE, repr(view.GetForegroundOpacity()))
        view.SetForegroundVolumeID(node.GetID())
        view.SetForegroundOpacity(opacity)
    _look_at_legend_again(node)


def hide_map(scene) -> None:
    """Puts back what was in front and its opacity, in the views that still show a map."""
    for view in _views(scene):
        opacity = view.GetAttribute(OPACITY_BEFORE)
        if opacity is None:
            continue
        foreground = scene.GetNodeByID(view.GetForegroundVolumeID() or "")
        if foreground is None or foreground.GetAttribute(FINGERPRINT):
            before = view.GetNodeReference(BEFORE)
            view.SetForegroundVolumeID(before.GetID() if before is not None else None)
            view.SetForegroundOpacity(float(opacity))
            if foreground is not None:
                _look_at_legend_again(foreground)
        view.RemoveNodeReferenceIDs(BEFORE)
        view.RemoveAttribute(OPACITY_BEFORE)


def shown_map(scene) -> "slicer.vtkMRMLScalarVolumeNode | None":
    """The map that is in front in some slice view."""
    for view in _views(scene):
        foreground = scene.GetNodeByID(view.GetForegroundVolumeID() or "")
        if foreground is not None and foreground.GetAttribute(FINGERPRINT):
            return foreground
    return None


def _views(scene) -> list["slicer.vtkMRMLSliceCompositeNode"]:
    kind = "vtkMRMLSliceCompositeNode"
    return [scene.GetNthNodeByClass(n, kind) for n in range(scene.GetNumberOfNodesByClass(kind))]


def _fingerprint(node) -> str:
    """Of the values where they lie, however the node's axes were turned when it was loaded."""
    values, grid = upright(arrayFromVolume(node), stored_grid(node))
    place = grid.affine.round(3) + 0.0  # no negative zeros
    return hashlib.sha256(np.ascontiguousarray(values).tobytes() + place.tobytes()).hexdigest()[:32]


def _add_legend(node) -> None:
    legend = slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(node.GetDisplayNode())
    legend.SetTitleText(TITLE)
    legend.SetUseColorNamesForLabels(True)
    legend.SetSize(0.4, 0.5)  # of the view: its words can be read in a small one
    for words in (legend.GetTitleTextProperty(), legend.GetLabelTextProperty()):
        words.SetFontFamilyToArial()
        words.ShadowOn()  # white words over bright tissue


def _look_at_legend_again(node) -> None:
    """The views look for legends when one of them changes, not when another volume comes to the front."""
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node.GetDisplayNode())
    if legend is not None:
        legend.Modified()


def _colors(scene) -> "slicer.vtkMRMLColorTableNode":
    """The scene's table for percent of readers, dark to light; made once. A legend shows the names of its colours, and
    has no place for a footer: that is the name of one colour more, below 0, which no voxel has."""
    if (known := scene.GetFirstNode(TITLE, "vtkMRMLColorTableNode")) is not None:
        return known
    table = slicer.vtkMRMLColorTableNode()
    table.SetName(TITLE)
    table.SetTypeToUser()
    levels = range(0, 50 + STEP, STEP)
    table.SetNumberOfColors(len(levels) + 1)
    table.SetColor(0, FOOTER, 0, 0, 0, 0)
    ramp = np.linspace(0, 50, len(RAMP))
    for n, percent in enumerate(levels, 1):
        red, green, blue = (float(np.interp(percent, ramp, channel)) for channel in zip(*RAMP))
        # A scene loaded from a file applies no threshold until somebody moves it; a transparent colour needs no help.
        table.SetColor(n, LABELS.get(percent, " "), red, green, blue, float(percent > 0))
    table.GetLookupTable().SetRange(LOW, HIGH)
    return scene.AddNode(table)
