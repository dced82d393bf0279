"""What a person does with an outline: edit a copy of it, accept it, flag it."""

import json
from datetime import UTC, datetime

import slicer

from MultiRaterSegLib.errors import UnsupportedRequest

from .segments import FINGERPRINT, fingerprint, new_segmentation, restore, set_tags, snapshot, tag_of
from .tables import Review

KIND, MADE_FROM = "MultiRaterSeg.kind", "MultiRaterSeg.edited_from"
REVIEW, NOTE, WHEN = "MultiRaterSeg.review", "MultiRaterSeg.review_note", "MultiRaterSeg.reviewed_at"
STATUS = {"accepted": "Completed", "flagged": "Flagged", "": "NotStarted"}  # what Slicer's own segment list shows


def edited_copy(source, id_: str, name: str, volume_node) -> "slicer.vtkMRMLSegmentationNode":
    """A new segmentation with one segment of `source` alone: same contour, colour, terminology and tags."""
    former = snapshot(source, id_)
    node = new_segmentation(name, volume_node)
    restore(node, id_, former)
    segment = node.GetSegmentation().GetSegment(id_)
    set_tags(segment, {KIND: "edited", MADE_FROM: former.facts.GetName()})
    node.GetDisplayNode().SetSegmentVisibility(id_, True)
    _write(node, id_, None)
    segment.SetTag(FINGERPRINT, fingerprint(node, id_))
    return node


def review_of(node, id_: str) -> Review | None:
    segment = node.GetSegmentation().GetSegment(id_)
    state = tag_of(segment, REVIEW)
    return Review(state, tag_of(segment, NOTE), tag_of(segment, WHEN)) if state else None


def set_review(node, id_: str, state: str, note: str = "") -> None:
    """Marks a segment "accepted" or "flagged"; "" takes that back. Kept in its tags, its status and the node."""
    if state not in STATUS:
        raise UnsupportedRequest(f'A review is "accepted", "flagged" or "" for none; got "{state}".')
    now = datetime.now(UTC).isoformat(timespec="seconds")
    _write(node, id_, Review(state, " ".join(note.split()), now) if state else None)


def restore_review(node, id_: str, review: Review | None) -> None:
    if node.GetScene() is not None and node.GetSegmentation().GetSegment(id_) is not None:
        _write(node, id_, review)


def _write(node, id_: str, review: Review | None) -> None:
    segment = node.GetSegmentation().GetSegment(id_)
    for key, value in zip((REVIEW, NOTE, WHEN), review or ("", "", "")):
        set_tags(segment, {key: value}) if value else segment.RemoveTag(key)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetSegmentStatus(segment, getattr(logic, STATUS[review.state if review else ""]))
    found = {id_: review_of(node, id_) for id_ in node.GetSegmentation().GetSegmentIDs()}
    node.SetAttribute(REVIEW, json.dumps({id_: one._asdict() for id_, one in found.items() if one}, ensure_ascii=False))
