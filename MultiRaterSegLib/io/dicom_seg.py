"""DICOM SEG on the original series, through highdicom (the optional extra "dicom")."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.valuerep import DSfloat

from ..errors import UnsupportedRequest, VolumeError
from ..geometry import Grid, Volume
from .segmentation import Segment
from .write import moved_into_place

SERIES_DESCRIPTION = "MultiRaterSeg (research use only)"
CONTENT_LABEL = "RESEARCH_ONLY"  # CS: capitals, at most 16
CONTENT_DESCRIPTION = "Research use only, not for diagnosis or treatment"
PARAMETERS_LENGTH = 10240  # LT
SERIES_NUMBER_OFFSET = 1000  # keeps clear of the study's own series
EMPTY_IF_ABSENT = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex",
    "AccessionNumber", "StudyID", "StudyDate", "StudyTime",
)  # fmt: skip


def write_dicom_seg(
    path: str | Path, segments: Sequence[Segment], volume: Volume, provenance: Mapping[str, str] | None = None
) -> None:
    """A binary DICOM SEG whose frames refer to the images of `volume`, which must come from a DICOM series.

    Segments may overlap or be empty. provenance: "model" and "version" identify the algorithm; everything else is
    kept, with the segment's tags, as its parameters. Series and content are marked as research use only.

    Raises UnsupportedRequest when highdicom is missing, VolumeError when the scan is not DICOM or its files are gone,
    GeometryError when a mask does not lie on the scan's voxels.
    """
    highdicom, provenance = _highdicom(), provenance or {}
    if not segments:
        raise ValueError("A DICOM SEG needs at least one segment.")
    first, frames = _frames(segments, volume.grid)
    sources = _source_images(volume, slice(first, first + len(frames)))
    with warnings.catch_warnings(action="ignore"):  # highdicom's advice on the scan's own tags, such as its name
        made = highdicom.seg.Segmentation(
            source_images=sources,
            pixel_array=frames,
            segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[
                _describe(highdicom, number, segment, provenance) for number, segment in enumerate(segments, 1)
            ],
            series_instance_uid=highdicom.UID(),
            series_number=SERIES_NUMBER_OFFSET + int(sources[0].get("SeriesNumber") or 0),
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer="MultiRaterSeg",
            manufacturer_model_name=_fit(provenance.get("model", "MultiRaterSeg")),
            software_versions=_fit(provenance.get("version", "unknown")),
            device_serial_number="none",
            content_label=CONTENT_LABEL,
            content_description=CONTENT_DESCRIPTION,
            series_description=SERIES_DESCRIPTION,
            specific_character_set="ISO_IR 192",
        )
        with moved_into_place(path) as unfinished:
            made.save_as(unfinished)


def _highdicom():
    try:
        import highdicom
    except ImportError as error:
        raise UnsupportedRequest(
            'DICOM SEG needs the package highdicom. Install it with: pip install "MultiRaterSeg[dicom]"'
        ) from error
    return highdicom


def _source_images(volume: Volume, used: slice) -> list[Dataset]:
    """Headers of the scan's images that are used, in the order of k, completed in memory where highdicom would stop."""
    if volume.context.get("format") != "dicom":
        raise VolumeError(
            f"'{volume.source}' was not read from DICOM, so a DICOM SEG has no series to refer to. "
            "Write .seg.nrrd or NIfTI instead, or read the original DICOM folder."
        )
    sources = []
    for file in volume.context["files"][used]:
        try:
            header = pydicom.dcmread(file, stop_before_pixels=True)
        except OSError as error:
            raise VolumeError(
                f"'{file}', a slice of '{volume.source}', is no longer there: {error.strerror}."
            ) from error
        for keyword in EMPTY_IF_ABSENT:
            if keyword not in header:
                setattr(header, keyword, "")
        between = DSfloat(volume.grid.spacing[2], auto_format=True)
        header.SpacingBetweenSlices = between  # measured from the positions; scanners' own values vary in meaning
        header.SliceThickness = header.get("SliceThickness") or between
        header.ImageOrientationPatient = (sources or [header])[0].ImageOrientationPatient  # equal but for rounding
        sources.append(header)
    return sources


def _frames(segments: Sequence[Segment], grid: Grid) -> tuple[int, np.ndarray]:
    """The first slice that any mask reaches, and from there the frames [K', J, I, segments] uint8."""
    boxes = [segment.box_in(grid) for segment in segments]
    used = np.zeros(grid.shape[0], bool)
    for segment, box in zip(segments, boxes):
        used[box[0]] |= segment.mask.any((1, 2))
    first, last = np.flatnonzero(used)[[0, -1]] if used.any() else (0, 0)
    frames = np.zeros((last - first + 1, *grid.shape[1:], len(segments)), np.uint8)
    for n, (segment, box) in enumerate(zip(segments, boxes)):
        low, high = max(first, box[0].start), min(last + 1, box[0].stop)
        if low < high:
            frames[low - first : high - first, box[1], box[2], n] = segment.mask[
                low - box[0].start : high - box[0].start
            ]
    return int(first), frames


def _describe(highdicom, number: int, segment: Segment, provenance: Mapping[str, str]):
    category, kind = (highdicom.sr.CodedConcept(code, scheme, text) for scheme, code, text in segment.codes)
    facts = {"id": segment.id, "name": segment.name, **segment.tags, **provenance}
    room = PARAMETERS_LENGTH // len(facts) - 2
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=_fit(segment.name),
        segmented_property_category=category,
        segmented_property_type=kind,
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC,  # a person pointed at the lesion
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=_fit(provenance.get("model", "MultiRaterSeg")),
            family=pydicom.sr.codedict.codes.cid7162.ArtificialIntelligence,
            version=_fit(provenance.get("version", "unknown")),
            source="MultiRaterSeg",
            parameters={key: str(value)[: room - len(key)] for key, value in facts.items()},
        ),
        tracking_id=_fit(segment.id),
        tracking_uid=highdicom.UID(),
        display_color=highdicom.color.CIELabColor.from_rgb(*(round(255 * channel) for channel in segment.color)),
    )


def _fit(text: str) -> str:
    """One line for a DICOM LO: at most 64 characters, no backslash. The full text stays in the parameters."""
    line = " ".join(str(text).replace("\\", "/").split())
    return line if len(line) <= 64 else line[:61] + "..."
