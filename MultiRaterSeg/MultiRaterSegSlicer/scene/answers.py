"""How an answer gets into a lesion's nodes and out again."""

from dataclasses import replace

from MultiRaterSegLib.io import Segment
from MultiRaterSegLib.prediction import Prediction
from MultiRaterSegLib.segments import CONSENSUS_COLOR, band_segments, color_for, outline_segment

from .numbers import hex_of
from .owned import drop_map, drop_owned, is_ours, put_map, put_owned, segmentation
from .record import CONSENSUS, Record


def put_answer(lesion, name: str, prediction: Prediction) -> str:
    """The consensus with its bands and map, or the outline of a style. Returns the id of the outline's segment."""
    old = lesion.record(name)
    if name == CONSENSUS:
        segment, order = _put_outline(lesion, "agreement", name, prediction, old), -1
        bands = _put_bands(lesion, prediction, old)
        put_map(lesion, prediction, old.prediction if old else None)
    else:
        segment, bands = _put_outline(lesion, "styles", name, prediction, old), {}
        order = old.order if old else 1 + max((record.order for record in lesion.records), default=-1)
    lesion.set_record(name, Record(name, segment, prediction, order, bands))
    return segment


def remove_answer(lesion, record: Record) -> None:
    role = "agreement" if record.name == CONSENSUS else "styles"
    for id_ in (record.segment, *record.bands.values()):
        drop_owned(lesion, role, id_)
    if record.name == CONSENSUS:
        drop_map(lesion, record.prediction)
    lesion.set_record(record.name, None)


def _put_outline(lesion, role: str, name: str, prediction: Prediction, old: Record | None) -> str:
    node = segmentation(lesion, role)
    id_ = old.segment if old and is_ours(node, old.segment) else _new_id(node, name, prediction)
    segment = outline_segment(name, prediction, id_, _color(lesion, name, prediction), lesion.model.label)
    put_owned(lesion, role, _described(segment, prediction))
    return id_


def _put_bands(lesion, prediction: Prediction, old: Record | None) -> dict[str, str]:
    """Ids of the bands' segments by band."""
    node, ids = segmentation(lesion, "agreement"), {}
    for segment in band_segments(prediction, lesion.model.label):
        known = old.bands.get(segment.id) if old else None
        id_ = known if known and is_ours(node, known) else _unused(node, segment.id)
        put_owned(lesion, "agreement", _described(replace(segment, id=id_), prediction), filled=True)
        ids[segment.id] = id_
    return ids


def _described(segment: Segment, prediction: Prediction) -> Segment:
    """With its warnings, and what Slicer's DICOM export asks for."""
    facts = {
        "MultiRaterSeg.warnings": " ".join(prediction.warnings),
        "DICOM.SegmentAlgorithmType": "SEMIAUTOMATIC",
        "DICOM.SegmentAlgorithmName": f"MultiRaterSeg {prediction.provenance.get('model', '')}".strip(),
    }
    return replace(segment, tags={**segment.tags, **{key: value for key, value in facts.items() if value}})


def _new_id(node, name: str, prediction: Prediction) -> str:
    request = prediction.provenance
    if name == CONSENSUS or request.get("style") == "expert":
        return _unused(node, CONSENSUS if name == CONSENSUS else f"expert_{request['expert']}")
    return _unused(node, f"{request['style']}_1")


def _unused(node, id_: str) -> str:
    """The id, or with the next number that is free: "consensus", "consensus_2"; "prompt_1", "prompt_2"."""
    taken = set(node.GetSegmentation().GetSegmentIDs())
    stem, _, number = id_.rpartition("_")
    stem, number = (stem, int(number)) if number.isdigit() else (id_, 1)
    while id_ in taken:
        number += 1
        id_ = f"{stem}_{number}"
    return id_


def _color(lesion, name: str, prediction: Prediction) -> str:
    if name == CONSENSUS:
        return CONSENSUS_COLOR
    node = lesion.styles_node
    segments = node.GetSegmentation() if node is not None else None
    count = segments.GetNumberOfSegments() if segments else 0
    taken = [hex_of(segments.GetNthSegment(n).GetColor()) for n in range(count)]
    return color_for(name, prediction, lesion.model.experts, taken)
