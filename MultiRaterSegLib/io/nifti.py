"""What ITK does not say about NIfTI files: missing voxels, NaN made 0, and contradictory orientations."""

import contextlib
import gzip
import struct
import zlib
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import VolumeError
from .voxels import refuse_not_finite

CHUNK = 1 << 20
HEADER_SIZE, HEADER_SIZE_2 = 348, 540  # NIfTI-1, NIfTI-2
FLOATS = {"16": "f4", "64": "f8"}  # NIfTI-1 datatype codes


def refuse_version_2(path: Path) -> None:
    """Raises VolumeError for NIfTI-2, which ITK does not read."""
    with contextlib.suppress(EOFError, gzip.BadGzipFile, zlib.error):  # a damaged file has its own sentence
        with _open(path) as file:
            start = file.read(4)
        if HEADER_SIZE_2 in (int.from_bytes(start, "little"), int.from_bytes(start, "big")):
            raise VolumeError(f"'{path}' is a NIfTI-2 file, which is not read here. Save it as NIfTI-1 or NRRD.")


def check_voxels_stored(header: dict[str, str], path: Path) -> None:
    """Raises VolumeError for a truncated file, and for NaN or infinite voxels. header: ITK's metadata.

    ITK returns whatever lies in memory for the missing end of a file, and 0 for voxels that are not finite, without a
    word; so the stored bytes are looked at once.
    """
    sizes = [int(header[f"dim[{axis}]"]) for axis in range(8)]
    voxels = prod(max(1, n) for n in sizes[1 : sizes[0] + 1])
    expected = voxels * int(header["bitpix"]) // 8
    found = bad = 0
    try:
        with _open(path) as file:
            order = _byte_order(file.read(4))
            kind = np.dtype(order + FLOATS[header["datatype"]]) if header["datatype"] in FLOATS else None
            file.seek(int(float(header["vox_offset"])))
            while chunk := file.read(min(CHUNK, expected - found)):
                found += len(chunk)
                if kind:
                    whole = len(chunk) - len(chunk) % kind.itemsize
                    bad += int((~np.isfinite(np.frombuffer(chunk[:whole], kind))).sum())
            while file.read(CHUNK):  # to the end, where gzip keeps its checksum
                pass
    except (EOFError, gzip.BadGzipFile, zlib.error):
        found = 0
    if found < expected:
        raise VolumeError(f"'{path}' is cut short or damaged: voxels are missing. Copy or export it again.")
    refuse_not_finite(bad, voxels, str(path))


def orientation_unknown(header: dict[str, str]) -> bool:
    """Whether neither form says where left is."""
    return header["sform_code"] == header["qform_code"] == "0"


def orientations_differ(header: dict[str, str], path: Path) -> bool:
    """Whether both forms are set and place a voxel axis or the origin more than 5 % of a voxel apart
    (ITK's metadata has six digits)."""
    if "0" in (header["sform_code"], header["qform_code"]):
        return False
    sform = np.array([header[f"srow_{axis}"].split() for axis in "xyz"], float)
    spacing = np.array([header[f"pixdim[{axis}]"] for axis in (1, 2, 3)], float)
    origin = np.array([header[f"qoffset_{axis}"] for axis in "xyz"], float)
    qform = np.column_stack([_quaternion_axes(header, path) * spacing, origin])
    return bool(np.abs(sform - qform).max() > 0.05 * spacing.min())


def _quaternion_axes(header: dict[str, str], path: Path) -> np.ndarray:
    """The qform's directions [3, 3], columns i, j, k (NIfTI-1 standard, method 2)."""
    b, c, d = (float(header[f"quatern_{name}"]) for name in "bcd")
    a = np.sqrt(max(0.0, 1 - b * b - c * c - d * d))
    axes = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    axes[:, 2] *= _handedness(path)
    return axes


def _handedness(path: Path) -> int:
    """-1 where the file's pixdim[0] says that k runs backwards; ITK's metadata has 0 there."""
    with _open(path) as file:
        start = file.read(80)
    return -1 if struct.unpack_from(_byte_order(start) + "f", start, 76)[0] < 0 else 1


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if packed else path.open("rb")


def _byte_order(start: bytes) -> str:
    """The header begins with its own size."""
    return "<" if int.from_bytes(start[:4], "little") == HEADER_SIZE else ">"
