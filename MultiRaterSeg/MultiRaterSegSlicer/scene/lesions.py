"""All lesions of a scene: numbering, finding, undo."""

import json
import re
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager

import slicer

from ..nodes import points_from_node, roi_from_node
from .folder import remove_empty_folder
from .history import History
from .lesion import SceneLesion
from .lesion_node import Model
from .rename import have_own_folder, rename
from .segments import contains

MODULE = "MultiRaterSegLesion"
COUNTER = "lesions_made"
__all__ = ["Lesions", "Model", "SceneLesion"]


class Lesions:
    """The lesions of one scene. Their state is in the scene; only undo lives here and ends with this object.

    lesions = Lesions()
    lesion = lesions.at(scan, point) or lesions.add(scan, point_list)
    lesion.add("consensus", prediction, model)
    lesions.undo()
    """

    def __init__(self, scene: "slicer.vtkMRMLScene | None" = None):
        """scene: None for the application's."""
        self.scene = scene if scene is not None else slicer.mrmlScene
        self.history = History()

    def all(self, volume_node=None) -> list[SceneLesion]:
        """In the order of their numbers; those of one scan when it is given."""
        kind = "vtkMRMLScriptedModuleNode"
        nodes = (self.scene.GetNthNodeByClass(n, kind) for n in range(self.scene.GetNumberOfNodesByClass(kind)))
        found = [SceneLesion(node, self.history) for node in nodes if node.GetModuleName() == MODULE]
        if volume_node is not None:
            found = [lesion for lesion in found if lesion.volume_node is volume_node]
        return sorted(found, key=lambda lesion: _number(lesion.label))

    def named(self, label: str) -> SceneLesion | None:
        return next((lesion for lesion in self.all() if lesion.label == label), None)

    def of_point(self, place_node, n: int = 0) -> SceneLesion | None:
        """The lesion that was made from this control point, also when it was moved since."""
        mark = _mark(place_node, n)
        same = (lesion for lesion in self.all() if lesion.place_node is place_node)
        return next((lesion for lesion in same if lesion.node.GetParameter("point") == mark), None)

    def of_box(self, roi_node) -> SceneLesion | None:
        """The lesion that was made from this box."""
        return self.of_point(roi_node)

    def at(self, volume_node, ras) -> SceneLesion | None:
        """The lesion of this scan in one of whose outlines or bands the point lies."""
        return next((lesion for lesion in self.all(volume_node) if _covers(lesion, ras)), None)

    def add(self, volume_node, place_node, n: int = 0) -> SceneLesion:
        """A lesion with the next number, which no other ever had. Nothing can be seen of it before its first result.

        place_node: a point list, of which `n` is the control point, or a box. Raises GeometryError when that is not placed.
        """
        is_box = place_node.IsA("vtkMRMLMarkupsROINode")
        place = {"box": roi_from_node(place_node)} if is_box else {"at": _point(place_node, n)}
        node = self.scene.AddNode(_new_node(f"L{self._next_number()}", place, _mark(place_node, n)))
        node.SetParameter("source", volume_node.GetName())
        node.SetNodeReferenceID("scan", volume_node.GetID())
        node.SetNodeReferenceID("place", place_node.GetID())
        return SceneLesion(node, self.history)

    def discard(self, lesion: SceneLesion) -> bool:
        """Forgets a lesion without results, as after a cancelled computation. False when it has some: nothing is done."""
        if lesion.records or lesion.edited_nodes:
            return False
        remove_empty_folder(self.scene, lesion.node.GetParameter("uid"))
        self.scene.RemoveNode(lesion.node)
        return True

    def tell_apart(self) -> dict[str, str]:
        """After a scene was added to this one: a lesion whose number is taken gets the next one. Returns new numbers by
        those that they had."""
        labels, uids, renamed = set(), set(), {}
        for lesion in self.all():
            if lesion.node.GetParameter("uid") in uids:
                have_own_folder(lesion)
            uids.add(lesion.node.GetParameter("uid"))
            if (former := lesion.label) in labels:
                rename(lesion, f"L{self._next_number()}")
                renamed[former] = lesion.label
            labels.add(lesion.label)
        return renamed

    def action(self, title: str) -> AbstractContextManager[None]:
        """What is added inside is one step for undo."""
        return self.history.action(title)

    @property
    def undo_title(self) -> str:
        """What undo would take back; "" when there is nothing."""
        return self.history.title

    @property
    def can_undo(self) -> bool:
        return bool(self.history.title)

    def undo(self) -> str:
        """Removes exactly what the last action made and brings back what it replaced; what was edited or reviewed since
        stays. Returns what was undone, "" when there was nothing."""
        return self.history.undo()

    def observe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls back after every action and undo, until the function that is returned is called."""
        return self.history.observe(callback)

    def _next_number(self) -> int:
        """One more than was ever given in this scene, also to lesions that were deleted since."""
        counter = self.scene.GetSingletonNode(MODULE, "vtkMRMLScriptedModuleNode")
        if counter is None:
            counter = slicer.vtkMRMLScriptedModuleNode()
            counter.SetSingletonTag(MODULE)
            counter.SetName(f"{MODULE}Counter")
            counter.SetHideFromEditors(True)
            counter = self.scene.AddNode(counter)
        number = 1 + max(int(counter.GetParameter(COUNTER) or 0), *(_number(one.label) for one in self.all()), 0)
        counter.SetParameter(COUNTER, str(number))
        return number


def _new_node(label: str, place: dict, mark: str) -> "slicer.vtkMRMLScriptedModuleNode":
    node = slicer.vtkMRMLScriptedModuleNode()
    node.SetModuleName(MODULE)
    node.SetName(f"{label} (MultiRaterSeg)")
    node.SetHideFromEditors(True)
    for name, value in {"label": label, "uid": uuid.uuid4().hex, "place": json.dumps(place), "point": mark}.items():
        node.SetParameter(name, value)
    return node


def _point(place_node, n: int) -> tuple[float, float, float]:
    """World coordinates of a control point; refuses one that is not placed yet."""
    points_from_node(place_node)
    return tuple(place_node.GetNthControlPointPositionWorld(n))


def _mark(place_node, n: int) -> str:
    """What a control point is known by, whatever is added before it; "" for a box."""
    return "" if place_node.IsA("vtkMRMLMarkupsROINode") else place_node.GetNthControlPointID(n)


def _number(label: str) -> int:
    return int(re.sub(r"\D", "", label) or 0)


def _covers(lesion: SceneLesion, ras) -> bool:
    for node in (lesion.agreement_node, lesion.styles_node):
        if node is not None and any(contains(node, id_, ras) for id_ in node.GetSegmentation().GetSegmentIDs()):
            return True
    return False
