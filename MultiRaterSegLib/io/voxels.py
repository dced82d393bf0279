"""What every scan must hold, whatever file it came from: compact, finite voxels that are not all the same."""

import numpy as np

from ..errors import VolumeError

COMPACT = (np.uint8, np.int8, np.uint16, np.int16, np.int32, np.float32)


def compact(values: np.ndarray) -> np.ndarray:
    """A contiguous copy in a type torch can use: as it is when at most 32 bits; wider integers become int32 where they
    fit, everything else float32."""
    if values.dtype in COMPACT:
        return np.array(values, order="C")
    if values.dtype.kind in "ui":
        limits = np.iinfo(np.int32)
        if limits.min <= values.min() and values.max() <= limits.max:
            return values.astype(np.int32, order="C")
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which check_voxels reports
        return values.astype(np.float32, order="C")


def check_voxels(voxels: np.ndarray, source: str) -> None:
    """Raises VolumeError when a channel of [C, K, J, I] holds NaN or infinite values, or one value only."""
    for number, channel in enumerate(voxels):
        name = source + (f" (channel {number})" if len(voxels) > 1 else "")
        low, high = channel.min(), channel.max()
        if not (np.isfinite(low) and np.isfinite(high)):
            refuse_not_finite(sum(int((~np.isfinite(plane)).sum()) for plane in channel), channel.size, name)
        if low == high:
            raise VolumeError(f"'{name}': every voxel has the value {low}. There is no image in this file.")


def refuse_not_finite(bad: int, count: int, source: str) -> None:
    """Raises VolumeError when `bad`, how many of `count` voxels are NaN or infinite, is not 0."""
    if bad:
        raise VolumeError(
            f"'{source}': {bad} of {count} voxels are not finite numbers (NaN or infinite). "
            "Replace them, for example by the value of air, and save the scan again."
        )
