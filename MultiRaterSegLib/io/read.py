"""A scan from a file or folder, placed in RAS, in the type it was stored in."""

import contextlib
import json
from math import prod
from pathlib import Path

import numpy as np
import SimpleITK

from ..errors import GeometryError, VolumeError
from ..geometry import Volume
from . import nifti
from .dicom import is_dicom, read_dicom
from .lps import grid_from_lps
from .quiet import quiet
from .voxels import check_voxels, compact

IMAGE_IO = {
    ".nrrd": "NrrdImageIO",
    ".nhdr": "NrrdImageIO",
    ".nii": "NiftiImageIO",
    ".nii.gz": "NiftiImageIO",
    ".mha": "MetaImageIO",
    ".mhd": "MetaImageIO",
}
READABLE = "NRRD (.nrrd, .nhdr), NIfTI (.nii, .nii.gz), MetaImage (.mha, .mhd) or a folder of DICOM files"
ANATOMICAL_SPACES = ("left-posterior-superior", "right-anterior-superior", "left-anterior-superior")
MODALITIES = ("CT", "MR", "PT", "NM", "US", "XA")
COMPLEX = (SimpleITK.sitkComplexFloat32, SimpleITK.sitkComplexFloat64)
COLOR_KINDS = ("RGB-color", "RGBA-color", "3-color", "4-color")


def read_volume(path: str | Path, series: str | None = None) -> Volume:
    """Reads NRRD, NIfTI, MetaImage, a DICOM folder, or the DICOM series that a single file belongs to.

    Voxels are [C, K, J, I] in the file's own type up to 32 bits (int16 stays int16; wider types become int32 or
    float32), in HU or the scanner's units: DICOM and NIfTI rescaling is applied. series: which one of a DICOM folder
    with several, by its number in the list that the error shows, its SeriesInstanceUID or the beginning of it.

    context: "files" (paths as text; DICOM: one a slice, in the order of k), "format" ("dicom", "nrrd", "nifti",
    "meta"), "notes" (sentences a person should see, as on contradictory NIfTI orientations; then ITK's rule holds, so
    that the scan lies where 3D Slicer shows it), and for DICOM "series_uid", "study_uid", "series_description".

    Raises VolumeError for what is not one usable scan, GeometryError for what cannot be placed in space.
    """
    path = Path(path).expanduser()
    _require_readable(path)
    if path.is_dir() or is_dicom(path):
        return read_dicom(path, series)
    if series is not None:
        raise VolumeError(f"'{path}' is not DICOM, so it has no series to choose. Leave out the series.")
    return _read_file(path)


def _require_readable(path: Path) -> None:
    try:
        if path.is_dir():
            next(path.iterdir(), None)
        else:
            path.open("rb").close()
    except FileNotFoundError:
        raise VolumeError(f"There is no file or folder '{path}'. Check the path.") from None
    except PermissionError:
        raise VolumeError(f"No permission to read '{path}'. Ask its owner, or copy it where you may read.") from None
    except OSError as error:
        raise VolumeError(f"'{path}' cannot be opened: {error.strerror}.") from error


def _read_file(path: Path) -> Volume:
    image_io = IMAGE_IO[_suffix(path)]
    if image_io == "NiftiImageIO":
        nifti.refuse_version_2(path)
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO(image_io)
    reader.SetFileName(str(path))
    _native(reader.ReadImageInformation, path)
    header = {key: reader.GetMetaData(key).strip() for key in reader.GetMetaDataKeys() if key.isascii()}
    _check_shape(reader, path)
    _check_kind(reader, header, path)
    _check_orientation(image_io, header, path)
    if image_io == "NiftiImageIO":
        nifti.check_voxels_stored(header, path)
    image = _native(reader.Execute, path)
    grid = grid_from_lps(image.GetSize(), image.GetOrigin(), image.GetSpacing(), image.GetDirection(), str(path))
    values = SimpleITK.GetArrayViewFromImage(image)
    voxels = compact(np.moveaxis(values, -1, 0) if values.ndim == 4 else values[None])
    check_voxels(voxels, str(path))
    context = {"files": (str(path),), "format": image_io.removesuffix("ImageIO").lower(), "notes": ()}
    if image_io == "NiftiImageIO" and nifti.orientations_differ(header, path):
        context["notes"] = (
            f"'{path.name}' holds two different orientations (sform and qform); the one that 3D Slicer shows is used.",
        )
    return Volume(voxels, grid, _modality(header, path), path.name, context)


def _suffix(path: Path) -> str:
    name = path.name.lower()
    if name.endswith((".seg.nrrd", ".seg.nhdr")):
        raise VolumeError(f"'{path}' is a segmentation, not a scan. Give the scan it was drawn on.")
    for suffix in sorted(IMAGE_IO, key=len, reverse=True):
        if name.endswith(suffix):
            return suffix
    raise VolumeError(f"'{path}' is not a scan that can be read. Expected {READABLE}.")


def _native(call, path: Path):
    """Runs a reader's method silently; its failure becomes one sentence."""
    try:
        with quiet():
            return call()
    except (RuntimeError, MemoryError) as error:
        if "orthonormal" in str(error):
            raise GeometryError(
                f"'{path}': its axes are not perpendicular (a sheared sform, as after an affine registration). "
                "Resample it onto a regular grid first."
            ) from error
        raise VolumeError(
            f"'{path}' could not be read: it is damaged, cut short or not what its name says. Copy or export it again."
        ) from error


def _check_shape(reader: SimpleITK.ImageFileReader, path: Path) -> None:
    """One volume of several slices. A 4-D file that holds a single volume is read as 3-D."""
    size = reader.GetSize()
    text = " x ".join(map(str, size))
    if len(size) < 3 or min(size[:3]) < 2:
        raise VolumeError(f"'{path}' is a 2-D image ({text}). A scan of several slices is needed.")
    if prod(size[3:]) > 1:
        raise VolumeError(
            f"'{path}' is a series of {prod(size[3:])} volumes ({text}). Save the one to segment as a 3-D file."
        )
    if len(size) > 3:
        reader.SetExtractSize([*size[:3], *[0] * (len(size) - 3)])


def _check_kind(reader: SimpleITK.ImageFileReader, header: dict[str, str], path: Path) -> None:
    if reader.GetPixelID() in COMPLEX:
        raise VolumeError(f"'{path}' holds complex numbers. Save their magnitude.")
    looks_like_color = reader.GetPixelID() == SimpleITK.sitkVectorUInt8 and reader.GetNumberOfComponents() in (3, 4)
    if looks_like_color or header.get("NRRD_kinds[0]") in COLOR_KINDS:
        raise VolumeError(f"'{path}' is a colour image. A scan with intensities, such as CT or MR, is needed.")


def _check_orientation(image_io: str, header: dict[str, str], path: Path) -> None:
    """A file that does not say where left is cannot be guessed at: the guess may mirror the patient."""
    if image_io == "NiftiImageIO" and nifti.orientation_unknown(header):
        reason = "its NIfTI sform and qform codes are both 0"
    elif image_io == "NrrdImageIO" and header.get("NRRD_space") not in ANATOMICAL_SPACES:
        reason = f"its NRRD field 'space' is {header.get('NRRD_space', 'missing')}, not LPS, RAS or LAS"
    else:
        return
    raise GeometryError(f"'{path}' does not say how the patient lies: {reason}. Save it from a program that knows.")


def _modality(header: dict[str, str], path: Path) -> str:
    """What a header field or a BIDS side file says outright; a file's name is not evidence."""
    hints = [value for key, value in header.items() if key.lower() in ("modality", "dicom_0008_0060")]
    side_file = path.with_name(path.name.removesuffix(_suffix(path)) + ".json")
    with contextlib.suppress(OSError, ValueError, AttributeError):  # a neighbour may be absent or something else
        hints.append(str(json.loads(side_file.read_text(encoding="utf-8")).get("Modality", "")))
    return next((hint.upper() for hint in hints if hint.upper() in MODALITIES), "")
