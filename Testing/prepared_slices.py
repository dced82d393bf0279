"""Prepared files with made-up outlines, as Training/prepare.py would write them: one writer for all tests."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

SIZE, SPACING_MM = 32, 0.7  # of the discs


def write_slices(
    path: Path,
    image: np.ndarray,
    masks: np.ndarray,
    patient: Sequence[str],
    slice_index: Sequence[int] | None = None,
    spacing_mm: float = SPACING_MM,
    **more: np.ndarray,
) -> Path:
    """image: uint8 [N, H, W]. masks: bool [N, 4, H, W]. Every patient has one lesion; more: other arrays of the file."""
    count = len(image)
    np.savez(
        path,
        image=image,
        mask_bits=np.packbits(masks, axis=-1),
        patient=np.array(patient),
        nodule=np.zeros(count, np.int16),
        slice=np.arange(count) if slice_index is None else np.array(slice_index),
        ratings=np.zeros((count, 4, 9), np.uint8),
        pixel_spacing_mm=np.full(count, spacing_mm, np.float32),
        **more,
    )
    return path


def write_discs(
    path: Path,
    n: int = 16,
    patients: int = 8,
    spacing_mm: float = SPACING_MM,
    seed: int = 0,
    first: int = 0,
    one_missing: bool = False,
) -> Path:
    """Discs of four radii a slice, in random reader order; the image is the number of readers who marked each pixel, times
    60. first: number of the first patient. one_missing: one reader of the last slice drew nothing."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((SIZE, SIZE)) - SIZE / 2 + 0.5
    radii = np.sort(rng.uniform(2, 11, (n, 4)), 1)
    if one_missing:
        radii[-1, 0] = 0
    masks = np.hypot(y, x) < rng.permuted(radii, axis=1)[:, :, None, None]
    patient = [f"P{first + i * patients // n}" for i in range(n)]
    return write_slices(path, (masks.sum(1) * 60).astype(np.uint8), masks, patient, spacing_mm=spacing_mm)
