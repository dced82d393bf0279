"""LIDC-IDRI crops in the prepared npz format that Training/prepare.py writes (one file a fold)."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from MultiRaterSegLib.errors import DataError
from MultiRaterSegLib.method import Expert

from .descriptions import describe_slices, full_prompts
from .slices import Slices
from .training_data import TrainingData

MEDIAN_SPACING_MM = 0.70
"""Stands in for an unknown pixel spacing (LIDC-IDRI: 0.46..0.98 mm, median 0.70)."""

MEDIAN_THICKNESS_MM = 1.25
"""Stands in for an unknown slice thickness, only in the papers' full prompt."""

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


def load_lidc_described(root: Path, folds: tuple[int, ...]) -> TrainingData:
    """As `load_lidc_slices`, for methods that read: each reader with a text made of ratings (see descriptions.py), and,
    as in these methods' papers, every empty mask is an opinion, that of a reader who marked the nodule nowhere too."""
    data = load_lidc_slices(root, folds)
    return dataclasses.replace(data, slices=_described(data.slices, describe_slices(data.slices)))


def load_lidc_full_prompt(root: Path, folds: tuple[int, ...]) -> TrainingData:
    """As `load_lidc_described` with the papers' whole prompt, which holds each reader's own bounding box, volume and
    slices, and so the answer: only to repeat the papers."""
    data = load_lidc_slices(root, folds)
    parts = []
    for fold in folds:
        with np.load(root / f"fold{fold}.npz") as archive:
            parts.append(np.nan_to_num(archive["slice_thickness_mm"].astype(np.float64), nan=MEDIAN_THICKNESS_MM))
    texts = full_prompts(data.slices, np.concatenate(parts))
    return dataclasses.replace(data, slices=_described(data.slices, texts))


def _described(slices: Slices, texts: np.ndarray) -> Slices:
    return dataclasses.replace(slices, present=None, texts=texts)
