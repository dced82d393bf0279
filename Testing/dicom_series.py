"""Small DICOM series for tests, with any position, orientation and flaw."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

SOP_CLASS = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
}


def write_series(
    folder: Path,
    voxels: np.ndarray,
    spacing=(0.7, 0.8, 2.5),
    origin=(-100.0, -120.0, 50.0),
    axes=None,
    uid: str | None = None,
    modality: str = "CT",
    description: str = "Chest",
    number: int = 3,
    shuffle: bool = True,
    **tags,
) -> list[Path]:
    """Writes [K, J, I] (uint16 or int16), a file a slice, names in shuffled order; returns them in the order of k.

    spacing: mm along i, j, k. origin: LPS mm. axes: LPS directions [3, 3], columns i, j, k. A tag's value may be a list
    with one value a slice, wrapped in `PerSlice`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    axes = np.eye(3) if axes is None else axes
    uid, study, frame = uid or generate_uid(), generate_uid(), generate_uid()
    names = np.random.default_rng(0).permutation(len(voxels)) if shuffle else np.arange(len(voxels))
    files = []
    for k, plane in enumerate(voxels):
        image = Dataset()
        image.SOPClassUID, image.SOPInstanceUID = SOP_CLASS[modality], generate_uid()
        image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = study, uid, frame
        image.Modality, image.SeriesNumber, image.SeriesDescription = modality, number, description
        image.PatientID, image.PatientName = "TEST", "Test^Person"
        image.InstanceNumber = k + 1
        image.Rows, image.Columns = plane.shape
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
        image.PixelRepresentation = int(plane.dtype == np.int16)
        image.PixelSpacing = [f"{spacing[1]:.10g}", f"{spacing[0]:.10g}"]
        image.ImageOrientationPatient = [f"{value:.12f}"[:16] for value in (*axes[:, 0], *axes[:, 1])]
        image.ImagePositionPatient = [f"{v:.10f}"[:16] for v in np.array(origin) + axes[:, 2] * spacing[2] * k]
        image.RescaleSlope, image.RescaleIntercept = 1, 0
        image.PixelData = plane.astype(plane.dtype.newbyteorder("<")).tobytes()
        for tag, value in tags.items():
            setattr(image, tag, value[k] if isinstance(value, PerSlice) else value)
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        files.append(folder / f"{description or 'image'}-{names[k]:03}.dcm")
        image.save_as(files[-1], enforce_file_format=True)
    return files


class PerSlice(list):
    """A value for each slice."""
