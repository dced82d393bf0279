"""LIDC-IDRI crops in the prepared npz format that Training/prepare.py writes (one file a fold)."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from MultiRaterSegLib.errors import DataError
from MultiRaterSegLib.method import Expert

from .slices import Slices
from .training_data import TrainingData

MEDIAN_SPACING_MM = 0.70
"""Stands in for an unknown pixel spacing (LIDC-IDRI: 0.46..0.98 mm, median 0.70)."""

KEYS = ("image", "mask_bits", "patient", "nodule", "slice", "ratings", "pixel_spacing_mm")

# LIDC readers are anonymous, so an expert is a rank: along the lesion for use, on each slice for the papers' tables.
EXPERTS = (
    Expert("conservative", "Conservative (smallest)"),
    Expert("fairly_conservative", "Fairly conservative"),
    Expert("fairly_inclusive", "Fairly inclusive"),
    Expert("inclusive", "Inclusive (largest)"),
    Expert("A1", "A1 (smallest on each slice)", "slice_area"),
    Expert("A2", "A2", "slice_area"),
    Expert("A3", "A3", "slice_area"),
    Expert("A4", "A4 (largest on each slice)", "slice_area"),
)


class LidcSlices(Slices):
    """Four anonymous readers a crop; slot r of one patient is not slot r of another."""

    @classmethod
    def load(cls, paths: Sequence[str | Path]) -> "LidcSlices":
        """Reads prepared npz files. Raises DataError when one is missing or lacks a key."""
        return cls.concatenate([cls._load_one(Path(path)) for path in paths])

    @classmethod
    def _load_one(cls, path: Path) -> "LidcSlices":
        if not path.is_file():
            raise DataError(
                f"No prepared data at '{path}'. Make it with: python Training/prepare.py FOLDER {path.parent}"
            )
        with np.load(path) as archive:
            missing = [key for key in KEYS if key not in archive.files]
            if missing:
                raise DataError(f"'{path}' lacks {', '.join(missing)}; prepared files hold {', '.join(KEYS)}.")
            spacing = np.nan_to_num(archive["pixel_spacing_mm"].astype(np.float64), nan=MEDIAN_SPACING_MM)
            return cls(
                images=archive["image"],
                packed_masks=archive["mask_bits"],
                patient=archive["patient"],
                nodule=archive["nodule"],
                slice_index=archive["slice"],
                spacing_mm=spacing,
                ratings=archive["ratings"],
            )


def load_lidc_slices(root: Path, folds: tuple[int, ...]) -> TrainingData:
    """root: the folder of fold0.npz, fold1.npz, ... Patients of other folds are never opened.

    A reader who marked a nodule nowhere counts as absent, not as an empty outline: LIDC readers left out what they
    called smaller than 3 mm or no nodule, which says nothing about its border. On a nodule that a reader did outline,
    an empty slice is an opinion and stays.
    """
    slices = LidcSlices.load([root / f"fold{fold}.npz" for fold in folds])
    seen = slices.lesion_areas_px > 0
    return TrainingData(
        dataclasses.replace(slices, present=seen | ~seen.any(1, keepdims=True)),
        EXPERTS,
        modality="CT",
        description="single lung nodules in chest CT",
        labels=("background", "nodule"),
    )
