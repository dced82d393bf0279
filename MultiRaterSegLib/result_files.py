"""The files of one result."""

from pathlib import Path

import numpy as np
import SimpleITK

from .consensus import disagreement
from .errors import UnsupportedRequest
from .io.dicom_seg import write_dicom_seg
from .io.lps import image_on
from .io.segmentation import Segment, write_segmentation
from .io.write import moved_into_place, write_scalar_volume
from .lesion_result import LesionResult
from .overview import write_overview
from .report import Report, report_of, write_csv, write_json
from .segments import id_of, segments_of


def write_result(folder: Path, result: LesionResult, save_samples: bool = False) -> Report:
    """Writes segmentation.seg.nrrd, uncertainty.nrrd, overview.png, report.json, report.csv; on DICOM segmentation.dcm;
    when asked, samples/. Returns the report, whose warnings tell what could not be written and why."""
    segments = segments_of(result)
    write_segmentation(folder / "segmentation.seg.nrrd", segments, result.scan)
    write_uncertainty(folder / "uncertainty.nrrd", result)
    notes = _write_dicom(folder / "segmentation.dcm", segments, result)
    if save_samples:
        write_samples(folder / "samples", result)
    write_overview(folder / "overview.png", result)
    report = report_of(result, notes)
    write_json(report, folder / "report.json")
    write_csv(report, folder / "report.csv")
    return report


def write_uncertainty(path: Path, result: LesionResult) -> None:
    """Percent of simulated readers who disagree with the majority, 0..50, uint8 on the scan's grid."""
    percent = np.rint(disagreement(result.consensus.samples)).astype(np.uint8)
    write_scalar_volume(result.consensus.placed(percent), result.scan, path)


def write_samples(folder: Path, result: LesionResult) -> None:
    """Every sample of every outline: a NRRD each, uint8, the samples being its components, on the part of the scan that
    was looked at (the whole scan would be as many times larger as it is empty)."""
    folder.mkdir()
    place = image_on(result.grid, np.zeros(result.grid.shape, np.uint8))
    for name, prediction in result.outlines.items():
        voxels = np.ascontiguousarray(np.moveaxis(prediction.samples, 0, -1), np.uint8)
        image = SimpleITK.GetImageFromArray(voxels, isVector=True)
        image.CopyInformation(place)
        with moved_into_place(folder / f"{id_of(result, name)}.nrrd") as unfinished:
            SimpleITK.WriteImage(image, str(unfinished), useCompression=True)


def _write_dicom(path: Path, segments: list[Segment], result: LesionResult) -> list[str]:
    """A DICOM SEG where the scan is DICOM; a sentence when the package for it is missing."""
    if result.volume.context.get("format") != "dicom":
        return []
    made = result.consensus.provenance
    facts = {"model": made["model"], "version": made["software"], "model_sha256": made["model_sha256"]}
    try:
        write_dicom_seg(path, segments, result.volume, facts)
    except UnsupportedRequest as error:
        return [f"No DICOM SEG was written. {error}"]
    return []
