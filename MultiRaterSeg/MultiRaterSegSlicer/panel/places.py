"""Where the person points: clicks in the slice views become points of a list, or the corners of a box."""

from collections.abc import Callable

import slicer
import vtk

from ..i18n import _

POINTS, BOX = "vtkMRMLMarkupsFiducialNode", "vtkMRMLMarkupsROINode"


class Places:
    """Slicer's place mode for lesions. `on_placed(node, n)`: a click landed; n is the control point of a point list.
    `on_mode()`: placing began or ended.

    Clicks are only noted when they happen, in the middle of Slicer's own mouse handling; `deliver` calls on_placed.
    """

    def __init__(self, on_placed: Callable[[object, int], None], on_mode: Callable[[], None]):
        self._on_placed, self._on_mode = on_placed, on_mode
        self._watched: list[tuple[vtk.vtkObject, int]] = []
        self._node = None
        self._landed: list[tuple[object, int]] = []

    @property
    def placing(self) -> str:
        """ "point", "box" or ""."""
        if self._node is None:
            return ""
        return "box" if self._node.IsA(BOX) else "point"

    def place_point(self, node) -> None:
        """The next click adds a point to the list, or to a new one if node is None."""
        self._begin(node if node is not None and node.IsA(POINTS) else self._new(POINTS, _("Lesions")))

    def place_box(self) -> None:
        """The next two clicks draw a box."""
        self._begin(self._new(BOX, _("Box")))

    def stop(self) -> None:
        """Back to looking around; what nothing was placed in goes."""
        if self._node is not None:
            self._interaction.SetCurrentInteractionMode(self._interaction.ViewTransform)  # its event calls _ended
        if self._node is not None:  # the views had left place mode without a word
            self._ended()

    def deliver(self) -> None:
        """Calls on_placed for the clicks since the last time."""
        landed, self._landed = self._landed, []
        for node, n in landed:
            self.stop()
            self._on_placed(node, n)

    def forget(self) -> None:
        """The scene is going: no node is touched, nothing is called."""
        self._landed = []
        self._let_go()

    def _let_go(self) -> None:
        for watched, tag in self._watched:
            watched.RemoveObserver(tag)
        self._watched, self._node = [], None

    @property
    def _interaction(self):
        return slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLInteractionNode")

    def _new(self, kind: str, name: str):
        node = slicer.mrmlScene.AddNewNodeByClass(kind, slicer.mrmlScene.GenerateUniqueName(name))
        node.CreateDefaultDisplayNodes()
        return node

    def _begin(self, node) -> None:
        self.stop()
        self._node = node
        selection = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSelectionNode")
        selection.SetReferenceActivePlaceNodeClassName(node.GetClassName())
        selection.SetActivePlaceNodeID(node.GetID())
        self._interaction.SetPlaceModePersistence(0)
        self._interaction.SetCurrentInteractionMode(self._interaction.Place)
        self._watch(node, node.PointPositionDefinedEvent, self._defined)
        self._watch(self._interaction, self._interaction.InteractionModeChangedEvent, self._mode_changed)
        self._on_mode()

    def _watch(self, node, event, call) -> None:
        self._watched.append((node, node.AddObserver(event, lambda *_caller: call())))

    def _defined(self) -> None:
        node = self._node
        if node is None or node.IsA(BOX):
            return  # a box is ready when both corners are there, that is when placing ends
        n = node.GetNumberOfControlPoints() - 1
        while n > 0 and node.GetNthControlPointPositionStatus(n) != node.PositionDefined:
            n -= 1
        self._landed.append((node, n))

    def _mode_changed(self) -> None:
        if self._node is not None and self._interaction.GetCurrentInteractionMode() != self._interaction.Place:
            self._ended()

    def _ended(self) -> None:
        node = self._node
        self._let_go()
        is_box = node.IsA(BOX)
        if node.GetNumberOfDefinedControlPoints() == 0 or (is_box and min(node.GetSize()) == 0):
            slicer.mrmlScene.RemoveNode(node)
        elif is_box:
            self._landed.append((node, 0))
        self._on_mode()
