"""Changes to a lesion's nodes that undo can take back, and that keep their hands off what a person changed.

Ours is what still is as we made it and what nobody reviewed. Everything else is somebody's work: it is neither replaced
nor removed, also not by undo.
"""

from MultiRaterSegLib.io import Segment
from MultiRaterSegLib.prediction import Prediction

from . import map as scene_map
from .review import review_of
from .segments import is_as_we_left_it, new_segmentation, put_segment, remove_node, restore, snapshot

NODE_NAMES = {"agreement": "Agreement", "styles": "Styles"}


def is_ours(node, id_: str) -> bool:
    """Whether the segment is there, untouched and without a review."""
    return is_as_we_left_it(node, id_) and review_of(node, id_) is None


def segmentation(lesion, role: str):
    """The lesion's segmentation "agreement" or "styles"; a new one when there is none."""
    node = lesion.node.GetNodeReference(role)
    if node is None:
        node = new_segmentation(f"{lesion.label} {NODE_NAMES[role]}", lesion.volume_node)
        lesion.node.SetNodeReferenceID(role, node.GetID())
    return node


def put_owned(lesion, role: str, segment: Segment, filled: bool = False) -> None:
    """Adds a segment or replaces the mask of the one with this id."""
    node = segmentation(lesion, role)
    there = node.GetSegmentation().GetSegment(segment.id) is not None
    former = snapshot(node, segment.id) if there else None
    put_segment(segment, segment.grid, node, filled)

    def take_back():
        node = lesion.node.GetNodeReference(role)
        if not is_ours(node, segment.id):
            return
        if former is None:
            node.GetSegmentation().RemoveSegment(segment.id)
        else:
            restore(node, segment.id, former)

    lesion.history.on_undo(take_back)


def drop_owned(lesion, role: str, id_: str) -> None:
    """Removes a segment, if it is ours."""
    node = lesion.node.GetNodeReference(role)
    if not is_ours(node, id_):
        return
    former = snapshot(node, id_)
    node.GetSegmentation().RemoveSegment(id_)

    def bring_back():
        node = segmentation(lesion, role)
        if node.GetSegmentation().GetSegment(id_) is None:
            restore(node, id_, former)

    lesion.history.on_undo(bring_back)


def put_map(lesion, prediction: Prediction, former: Prediction | None) -> None:
    """The map of the population; off when it is new. former: whose map is there now, if it is ours."""
    node = lesion.map_node
    if former is not None and scene_map.is_map_as_we_left_it(node):
        scene_map.fill_map(node, prediction)
        lesion.history.on_undo(lambda: _refill(lesion, former))
        return
    kept = node
    node = scene_map.new_map(prediction, lesion.volume_node, f"{lesion.label} {scene_map.TITLE}")
    lesion.node.SetNodeReferenceID("map", node.GetID())

    def take_back():
        if lesion.map_node is not kept:
            drop_map(lesion, prediction)
        if kept is not None and kept.GetScene() is not None:
            lesion.node.SetNodeReferenceID("map", kept.GetID())

    lesion.history.on_undo(take_back)


def drop_map(lesion, prediction: Prediction) -> None:
    """Removes the map of `prediction`, if it is ours."""
    if not scene_map.is_map_as_we_left_it(lesion.map_node):
        return
    remove_map(lesion.map_node)
    lesion.history.on_undo(lambda: put_map(lesion, prediction, None))


def remove_map(node) -> None:
    """Takes it off the slice views first, so that they go back to what they showed."""
    scene = node.GetScene()
    if scene_map.shown_map(scene) is node:
        scene_map.hide_map(scene)
    remove_node(node)


def _refill(lesion, former: Prediction) -> None:
    if scene_map.is_map_as_we_left_it(lesion.map_node):
        scene_map.fill_map(lesion.map_node, former)
