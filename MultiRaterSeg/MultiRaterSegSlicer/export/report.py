"""The library's report of a lesion, with what the person decided and edited."""

from MultiRaterSegLib.agreement import dice

from ..scene.lesion import SceneLesion
from ..scene.record import CONSENSUS
from ..scene.review import MADE_FROM
from ..scene.segments import is_as_we_left_it, mask_on, tag_of


def report_of_lesion(lesion: SceneLesion) -> "Report":  # noqa: F821
    """MultiRaterSegLib.report.Report; imported late, because it needs packages that Slicer does not bring."""
    from MultiRaterSegLib.report import report_of

    reviews = {name: _review(lesion.review_of(name)) for name in lesion.names}
    edited = [_edited(lesion, node) for node in lesion.edited_nodes]
    touched = [
        f"{row.title}: the outline was edited by hand; the numbers are of what was computed."
        for row in lesion.rows
        if row.edited
    ]
    return report_of(lesion.result, touched, {name: review for name, review in reviews.items() if review}, edited)


def _edited(lesion: SceneLesion, node):
    from MultiRaterSegLib.report import EditedOutline

    id_ = node.GetSegmentation().GetNthSegmentID(0)
    segment, consensus = node.GetSegmentation().GetSegment(id_), lesion.prediction(CONSENSUS)
    mask = mask_on(node, id_, consensus.reference)
    overlap = dice(mask, consensus.consensus)
    return EditedOutline(
        title=node.GetName(),
        made_from=tag_of(segment, MADE_FROM),
        changed=not is_as_we_left_it(node, id_),
        outline_ml=round(int(mask.sum()) * consensus.reference.voxel_volume_ml, 4),
        dice_to_consensus=None if overlap is None else round(overlap, 4),
        review=_review(lesion.review_of(node)),
    )


def _review(review):
    from MultiRaterSegLib.report import Review

    return Review(**review._asdict()) if review else None
