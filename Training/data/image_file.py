"""Images and masks of a generic data set, 3-D or 2-D, as volumes; a 2-D image is one upright slice."""

from pathlib import Path

import numpy as np
import SimpleITK
from PIL import Image, UnidentifiedImageError

from MultiRaterSegLib.errors import VolumeError
from MultiRaterSegLib.geometry import Grid, Volume
from MultiRaterSegLib.io import read_volume
from MultiRaterSegLib.io.lps import grid_from_lps

PICTURES = (".png", ".tif", ".tiff", ".bmp")
GRAY_MODES = ("L", "1", "I", "F", "I;16", "I;16L", "I;16B")


def read_image(path: Path, spacing_mm: float | None = None) -> Volume:
    """Voxels [1, K, J, I] of NRRD, NIfTI, MetaImage, DICOM or a gray picture (PNG, TIFF, BMP).

    spacing_mm: pixel spacing of a 2-D image, needed for pictures, which do not say it. Raises VolumeError or
    GeometryError for what is not one image with one channel.
    """
    volume = _read_flat(path, spacing_mm) or read_volume(path)
    if len(volume.voxels) != 1:
        raise VolumeError(f"'{path.name}' has {len(volume.voxels)} channels. Expected one.")
    return volume


def read_mask(path: Path, spacing_mm: float | None = None) -> Volume:
    """As `read_image`, voxels bool; no DICOM. A mask may be empty: that rater outlined nothing.

    Raises VolumeError when there are other values than 0 and one more.
    """
    volume = _read_flat(path, spacing_mm) or _read_as_it_is(path)
    values = np.unique(volume.voxels)
    if len(values) > 2 or values[0] < 0 or (len(values) == 2 and values[0] != 0):
        shown = ", ".join(f"{v:g}" for v in values[:5]) + (", ..." if len(values) > 5 else "")
        raise VolumeError(f"'{path.name}' is not one mask: it holds the values {shown}. Expected 0 and one other.")
    return Volume(volume.voxels > 0, volume.grid, source=volume.source)


def describe(grid: Grid) -> str:
    """For messages: size, spacing and place."""
    size, spacing = (" x ".join(f"{n:.4g}" for n in values) for values in (grid.size_ijk, grid.spacing))
    return f"{size} voxels of {spacing} mm at {np.round(grid.affine[:3, 3], 1).tolist()}"


def _read_flat(path: Path, spacing_mm: float | None) -> Volume | None:
    """A 2-D image as one slice; None for what is not 2-D."""
    if path.suffix.lower() in PICTURES:
        return _flat(_read_picture(path), spacing_mm, path)
    if not path.is_file() or not _is_flat(path):
        return None
    image = SimpleITK.ReadImage(str(path))
    pixels = SimpleITK.GetArrayFromImage(image)
    return _flat(pixels.reshape(pixels.shape[-2:]), spacing_mm or image.GetSpacing()[0], path)


def _read_as_it_is(path: Path) -> Volume:
    """A 3-D file without the questions that `read_volume` asks of a scan, which must not be constant."""
    try:
        image = SimpleITK.ReadImage(str(path))
    except RuntimeError as error:
        raise VolumeError(f"'{path.name}' cannot be read. Expected a mask as NRRD, NIfTI, MetaImage or PNG.") from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise VolumeError(f"'{path.name}' is not one 3-D mask. Save each mask in a file of its own.")
    grid = grid_from_lps(image.GetSize(), image.GetOrigin(), image.GetSpacing(), image.GetDirection(), str(path))
    return Volume(SimpleITK.GetArrayFromImage(image)[None], grid, source=path.name)


def _is_flat(path: Path) -> bool:
    """Whether a file that ITK knows holds a single 2-D image with one channel."""
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return False  # who reads it as 3-D says what is wrong
    size = reader.GetSize()
    return reader.GetNumberOfComponents() == 1 and (len(size) == 2 or (len(size) == 3 and size[2] == 1))


def _read_picture(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            if image.mode not in GRAY_MODES:
                raise VolumeError(f"'{path.name}' is a colour image ({image.mode}). Expected gray levels; convert it.")
            return np.array(image)
    except (OSError, UnidentifiedImageError) as error:
        raise VolumeError(f"'{path.name}' cannot be read: it is damaged or not what its name says.") from error


def _flat(pixels: np.ndarray, spacing_mm: float | None, path: Path) -> Volume:
    """Rows run to the back and columns to the left, as a slice is displayed."""
    if spacing_mm is None:
        raise VolumeError(f"'{path.name}' does not say how large its pixels are. Fill the column spacing (mm a pixel).")
    affine = np.diag([-spacing_mm, -spacing_mm, 1.0, 1.0])
    return Volume(pixels[None, None], Grid((1, *pixels.shape), affine), source=path.name)
