"""A result in numbers: volumes, diameters, agreement, what a person should be wary of, and how to make it again."""

import csv
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel

from . import consensus
from .agreement import diameters, dice, disagreeing_slices, hd95_mm, volume_range
from .geometry import Grid, Volume
from .lesion_result import LesionResult
from .prediction import Prediction
from .segments import colors_of, id_of

FORMAT = "MultiRaterSeg report 1"
NOT_A_DEVICE = "Research use only. Not a medical device."
DISPUTED_PERCENT = 10.0


class Scan(BaseModel):
    """What was segmented: by checksum when it is a file, by UID when it is a DICOM series. Sizes are I, J, K."""

    source: str
    modality: str
    format: str
    file_sha256: str | None
    series_uid: str | None
    size: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]


class VolumeRange(BaseModel):
    """Over the samples, an empty one counting as 0 mL."""

    median: float
    p5: float
    p95: float


class Review(BaseModel):
    """What a person decided about an outline, with a note; when: ISO date and time, UTC."""

    state: Literal["accepted", "flagged"]
    note: str
    when: str


class Outline(BaseModel):
    """One outline, the majority of its samples. What has no meaning where nothing was outlined is null."""

    id: str
    title: str
    kind: Literal["consensus", "expert", "prompt", "between"]
    color: str
    volume_ml: VolumeRange
    outline_ml: float
    empty_samples: int
    longest_diameter_mm: float | None
    perpendicular_mm: float | None
    diameter_slice: int | None
    dice_to_consensus: float | None
    hd95_to_consensus_mm: float | None
    model: str
    request: dict
    review: Review | None = None


class EditedOutline(BaseModel):
    """A copy of an outline that a person may have changed: what it is now."""

    title: str
    made_from: str
    changed: bool
    outline_ml: float
    dice_to_consensus: float | None
    review: Review | None


class Pair(BaseModel):
    """Agreement of two styles' outlines, by id."""

    first: str
    second: str
    dice: float | None
    hd95_mm: float | None


class DisputedSlice(BaseModel):
    """An axial slice: its number in the scan (from 1), its position, and the area that only some outlines include."""

    slice: int
    s_mm: float
    area_mm2: float


class Report(BaseModel):
    """Everything that report.json holds."""

    format: str = FORMAT
    notice: str = NOT_A_DEVICE
    created: str
    label: str
    place_ras_mm: tuple[float, float, float]
    scan: Scan
    outlines: list[Outline]
    edited: list[EditedOutline] = []
    pairs: list[Pair]
    disputed_between: Literal["styles", "samples"]
    disputed_slices: list[DisputedSlice]
    disputed_ml: float
    in_usual_order: bool | None
    warnings: list[str]
    provenance: dict


def report_of(
    result: LesionResult,
    notes: Sequence[str] = (),
    reviews: Mapping[str, Review] | None = None,
    edited: Sequence[EditedOutline] = (),
) -> Report:
    """Measures a result. notes: further sentences for `warnings`, such as on a file that could not be written. reviews:
    by the outline's name. edited: copies that a person worked on."""
    masks = {name: consensus.majority(prediction.samples) for name, prediction in result.outlines.items()}
    styles = [mask for name, mask in masks.items() if name != "consensus"]
    between_styles = len(styles) > 1
    disputed = np.stack(styles) if between_styles else result.consensus.samples
    disagreement = consensus.disagreement(result.consensus.samples)
    return Report(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        label=result.label,
        place_ras_mm=result.consensus.provenance["place_ras"],
        scan=_scan(result.volume, result.scan),
        outlines=[_outline(result, name, masks, (reviews or {}).get(name)) for name in masks],
        edited=list(edited),
        pairs=_pairs(result, masks),
        disputed_between="styles" if between_styles else "samples",
        disputed_slices=[
            DisputedSlice(slice=found.slice_number, s_mm=round(found.s_mm, 2), area_mm2=round(found.area_mm2, 2))
            for found in disagreeing_slices(disputed, result.grid, result.scan)
        ],
        disputed_ml=_ml(float((disagreement >= DISPUTED_PERCENT).sum()) * result.grid.voxel_volume_ml),
        in_usual_order=None if len(result.ranked) < 2 else not result.order_warnings,
        warnings=[*result.warnings, *notes],
        provenance=_provenance(result),
    )


def write_json(report: Report, path: str | Path) -> None:
    Path(path).write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")


def write_csv(report: Report, path: str | Path) -> None:
    """A row an outline, then a row an edited copy; units in the column names. The byte order mark lets Excel read names
    in any language."""
    with Path(path).open("w", newline="", encoding="utf-8-sig") as file:
        table = csv.DictWriter(file, list(_row(report, report.outlines[0])))
        table.writeheader()
        table.writerows(_row(report, outline) for outline in report.outlines)
        table.writerows(_edited_row(report, outline) for outline in report.edited)


def _row(report: Report, outline: Outline) -> dict:
    return {
        "outline": outline.title,
        "kind": outline.kind,
        "volume_median_ml": outline.volume_ml.median,
        "volume_p5_ml": outline.volume_ml.p5,
        "volume_p95_ml": outline.volume_ml.p95,
        "longest_diameter_mm": outline.longest_diameter_mm,
        "perpendicular_mm": outline.perpendicular_mm,
        "diameter_slice": outline.diameter_slice,
        "dice_to_consensus": outline.dice_to_consensus,
        "hd95_to_consensus_mm": outline.hd95_to_consensus_mm,
        "samples": report.provenance["samples"],
        "empty_samples": outline.empty_samples,
        "understood_as": outline.request.get("understood", ""),
        **_review_cells(outline.review),
        "scan": report.scan.source,
        "model": outline.model,
        "notice": report.notice,
    }


def _edited_row(report: Report, outline: EditedOutline) -> dict:
    return {
        "outline": outline.title,
        "kind": "edited by hand" if outline.changed else "copy",
        "volume_median_ml": outline.outline_ml,
        "dice_to_consensus": outline.dice_to_consensus,
        **_review_cells(outline.review),
        "scan": report.scan.source,
        "model": report.provenance["model"],
        "notice": report.notice,
    }


def _review_cells(review: Review | None) -> dict[str, str]:
    return {"review": review.state if review else "", "review_note": review.note if review else ""}


def _outline(result: LesionResult, name: str, masks: dict[str, np.ndarray], review: Review | None) -> Outline:
    prediction, mask = result.outlines[name], masks[name]
    size, volumes = diameters(mask, result.grid, result.scan), prediction.volumes_ml
    middle, low, high = volume_range(volumes)
    to_consensus = (None, None) if name == "consensus" else _compare(mask, masks["consensus"], result)
    return Outline(
        id=id_of(result, name),
        title=prediction.title,
        kind="consensus" if name == "consensus" else prediction.provenance["style"],
        color=colors_of(result)[name],
        volume_ml=VolumeRange(median=_ml(middle), p5=_ml(low), p95=_ml(high)),
        outline_ml=_ml(int(mask.sum()) * result.grid.voxel_volume_ml),
        empty_samples=int((volumes == 0).sum()),
        longest_diameter_mm=round(size.longest_mm, 2) if size else None,
        perpendicular_mm=round(size.perpendicular_mm, 2) if size else None,
        diameter_slice=size.slice_number if size else None,
        dice_to_consensus=to_consensus[0],
        hd95_to_consensus_mm=to_consensus[1],
        model=prediction.provenance.get("model", ""),
        request=_request(prediction),
        review=review,
    )


def _pairs(result: LesionResult, masks: dict[str, np.ndarray]) -> list[Pair]:
    found = []
    for first, second in combinations(result.styles, 2):
        overlap, distance = _compare(masks[first], masks[second], result)
        found.append(Pair(first=id_of(result, first), second=id_of(result, second), dice=overlap, hd95_mm=distance))
    return found


def _compare(a: np.ndarray, b: np.ndarray, result: LesionResult) -> tuple[float | None, float | None]:
    overlap, distance = dice(a, b), hd95_mm(a, b, result.grid)
    return None if overlap is None else round(overlap, 4), None if distance is None else round(distance, 2)


def _scan(volume: Volume, grid: Grid) -> Scan:
    context = volume.context
    files = context.get("files", ())
    series = context.get("series_uid")
    return Scan(
        source=volume.source,
        modality=volume.modality,
        format=context.get("format", "memory"),
        file_sha256=_sha256(files[0]) if len(files) == 1 and not series else None,
        series_uid=series,
        size=tuple(grid.size_ijk.tolist()),
        spacing_mm=tuple(grid.spacing.round(4).tolist()),
    )


def _sha256(path: str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


STYLE_KEYS = ("style", "expert", "prompt", "understood", "notes", "first", "second", "t")


def _request(prediction: Prediction) -> dict:
    """What was asked for and how it was understood: the part of the record that differs between outlines."""
    return {key: value for key, value in prediction.provenance.items() if key in STYLE_KEYS}


def _provenance(result: LesionResult) -> dict:
    """What all outlines share: versions, model and its checksum, seed, number of samples."""
    shared = {k: v for k, v in result.consensus.provenance.items() if k not in (*STYLE_KEYS, "place_ras")}
    return {**shared, "trained_for": (result.info or {}).get("trained_for", "")}


def _ml(value: float) -> float:
    return round(value, 4)
