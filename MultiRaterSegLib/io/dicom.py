"""One series out of a DICOM folder: found and chosen by its headers, checked slice by slice, decoded by ITK."""

import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK
from pydicom.dataset import Dataset

from ..errors import VolumeError
from ..geometry import Volume
from .dicom_slices import place_slices
from .quiet import quiet
from .voxels import check_voxels, compact

HEADER_TAGS = [
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription",
    "Modality", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "PixelSpacing",
    "ImagePositionPatient", "ImageOrientationPatient",
]  # fmt: skip
DERIVED = ("SEG", "RTDOSE", "RTSTRUCT", "PR", "SR", "KO", "REG")
Slices = list[tuple[Path, Dataset]]


def is_dicom(path: Path) -> bool:
    """Whether a file carries DICOM's mark behind its 128-byte preamble. Raises VolumeError when it cannot be opened."""
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError as error:
        raise VolumeError(f"'{path}' cannot be opened: {error.strerror}.") from error


def read_dicom(path: Path, wanted: str | None) -> Volume:
    """The series of a folder (searched with its sub-folders), or the one that the file `path` belongs to.

    Raises VolumeError and GeometryError as `read_volume` says.
    """
    folder = path if path.is_dir() else path.parent
    found = _find_series(folder)
    if wanted is None and path.is_file():
        wanted = next((uid for uid, slices in found.items() if path in [file for file, _ in slices]), None)
        if wanted is None:
            raise VolumeError(f"'{path}' is DICOM, but not an image of a CT, MR or similar scan.")
    slices = _choose(found, wanted, folder)
    description = _text(slices[0][1], "SeriesDescription")
    name = description or folder.name
    _check_kind(slices, name)
    slices, grid = place_slices(slices, name)
    voxels = _decode([file for file, _ in slices])[None]
    check_voxels(voxels, name)
    first = slices[0][1]
    context = {
        "files": tuple(str(file) for file, _ in slices),
        "format": "dicom",
        "notes": (),
        "series_uid": _text(first, "SeriesInstanceUID"),
        "study_uid": _text(first, "StudyInstanceUID"),
        "series_description": description,
    }
    return Volume(voxels, grid, _text(first, "Modality"), name, context)


def _find_series(folder: Path) -> dict[str, Slices]:
    """{SeriesInstanceUID: its images with their headers}, in the order of the series numbers."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    found = defaultdict(list)
    for file in files:
        if is_dicom(file) and (header := _image_header(file)) is not None:
            found[_text(header, "SeriesInstanceUID")].append((file, header))
    if not found:
        content = f"its {len(files)} files are something else" if files else "it is empty"
        raise VolumeError(
            f"There are no DICOM images in the folder '{folder}'; {content}. "
            "Give the folder of one DICOM series, or a scan file itself."
        )
    return dict(sorted(found.items(), key=lambda item: (_number(item[1][0][1]), item[0])))


def _image_header(file: Path) -> Dataset | None:
    """The tags we need, or None for DICOM that is not an acquired image (a report, a plan, a segmentation)."""
    try:
        with warnings.catch_warnings(action="ignore"):
            header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=HEADER_TAGS)
            list(header)  # values are converted when first asked for; damage shall show here
            stored_as = header.file_meta.get("MediaStorageSOPClassUID")
            whole_meta = stored_as is not None and "TransferSyntaxUID" in header.file_meta
            is_image = "Rows" in header and "Columns" in header
            modality = _text(header, "Modality")
    except Exception as error:  # pydicom raises whatever its parser stumbles over
        raise VolumeError(f"The DICOM file '{file}' is damaged: its header cannot be read.") from error
    if not whole_meta or (not is_image and stored_as.name.endswith("Image Storage")):
        raise VolumeError(f"The DICOM file '{file}' is cut short or damaged. Copy or export it again.")
    return header if is_image and modality not in DERIVED else None


def _choose(found: dict[str, Slices], wanted: str | None, folder: Path) -> Slices:
    uids = list(found)
    if wanted is None:
        chosen = uids
    elif wanted.isdigit() and 1 <= int(wanted) <= len(uids):
        chosen = [uids[int(wanted) - 1]]
    else:
        chosen = [wanted] if wanted in found else [uid for uid in uids if uid.startswith(wanted)]
    if len(chosen) == 1:
        return found[chosen[0]]
    if wanted is None:
        problem = f"The folder '{folder}' holds {len(uids)} DICOM series."
    else:
        problem = f"'{wanted}' fits {len(chosen) or 'none'} of the {len(uids)} DICOM series in '{folder}'."
    lines = [f"  {n}. {_describe(found[uid])}, {uid}" for n, uid in enumerate(uids, 1)]
    raise VolumeError("\n".join([f"{problem} Choose one with --series, by number or UID:", *lines]))


def _describe(slices: Slices) -> str:
    header = slices[0][1]
    name = _text(header, "SeriesDescription") or "(no description)"
    return f"{name}, {_text(header, 'Modality') or '?'}, {len(slices)} file{'s' * (len(slices) > 1)}"


def _check_kind(slices: Slices, name: str) -> None:
    for file, header in slices:
        if int(_text(header, "NumberOfFrames") or 1) > 1:
            raise VolumeError(
                f"'{name}': '{file.name}' is multi-frame (enhanced) DICOM, which is not read here. "
                "Open it in 3D Slicer and save it as NRRD, or convert it with dcm2niix."
            )
        photometric = _text(header, "PhotometricInterpretation")
        if int(_text(header, "SamplesPerPixel") or 1) > 1 or not photometric.startswith("MONOCHROME"):
            raise VolumeError(
                f"'{name}': '{file.name}' is a colour image ({photometric or 'unknown'}). "
                "A scan with intensities, such as CT or MR, is needed."
            )
    if len(slices) == 1:
        raise VolumeError(f"'{name}' is a 2-D image: one file, '{slices[0][0]}'. A scan of several slices is needed.")


def _decode(files: list[Path]) -> np.ndarray:
    """[K, J, I] with rescale slope and intercept applied, each slice its own (PET slopes differ)."""
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    planes = []
    for file in files:
        reader.SetFileName(str(file))
        try:
            with quiet():
                image = reader.Execute()
        except RuntimeError as error:
            raise VolumeError(
                f"The DICOM file '{file}' could not be decoded: it is cut short, damaged or compressed in an unknown "
                "way. Copy or export it again."
            ) from error
        planes.append(_narrow(compact(SimpleITK.GetArrayViewFromImage(image)[0])))
    kind = np.result_type(*planes)
    return np.stack(planes, dtype=np.float32 if kind == np.float64 else kind)


def _narrow(plane: np.ndarray) -> np.ndarray:
    """ITK makes int32 of unsigned pixels with a negative intercept; HU fit into int16."""
    limits = np.iinfo(np.int16)
    fits = plane.dtype == np.int32 and limits.min <= plane.min() and plane.max() <= limits.max
    return plane.astype(np.int16) if fits else plane


def _text(header: Dataset, keyword: str) -> str:
    return str(header.get(keyword, "") or "").strip()


def _number(header: Dataset) -> int:
    text = _text(header, "SeriesNumber")
    return int(text) if text.lstrip("-").isdigit() else 0
