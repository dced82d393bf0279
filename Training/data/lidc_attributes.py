"""LIDC-IDRI as `lidc_attributes.pkl`: the 1,609 slices of MedicalMatting, D-Persona, ProSona and the Harmonizer paper.

The file is a pickled dict {key: {"image": [H, W] 0..255, "masks": four of [H, W] in {0, 1}, "series_uid": text}};
further entries ("alpha") are not used. The patient is what precedes the first "_" of series_uid. Nothing in the file is
run: see plain_pickle.
"""

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from MultiRaterSegLib.errors import DataError

from .lidc_slices import EXPERTS, MEDIAN_SPACING_MM
from .plain_pickle import read_plain_pickle
from .slices import Slices
from .training_data import TrainingData

SIZE = 128
READERS = 4
FOLDS, SEED = 4, 1337
FILE = "lidc_attributes.pkl"


def load_lidc_attributes(root: Path, folds: tuple[int, ...]) -> TrainingData:
    """root: the file, or its folder. folds: of D-Persona (see `dpersona_folds`).

    The file knows neither pixel spacing (LIDC's median stands in) nor which slices are of one nodule (each counts as
    its own). Raises DataError for what is missing or does not have this layout.
    """
    path = root / FILE if root.is_dir() else root
    records = read_plain_pickle(path)
    if not isinstance(records, dict) or not records:
        raise DataError(f"'{path}' does not hold a dict of slices. Expected the layout of {FILE}.")
    patients = {key: _patient(path, key, record) for key, record in records.items()}
    fold_of = dpersona_folds(list(patients.values()))
    keys = [key for key, patient in patients.items() if fold_of[patient] in folds]
    if not keys:
        raise DataError(
            f"'{path}' has no slices in fold {', '.join(map(str, folds))}. It has the folds 0 to {FOLDS - 1}."
        )
    images, masks = zip(*(_slice(path, key, records[key]) for key in keys))
    slices = Slices(
        images=np.stack(images),
        packed_masks=np.packbits(np.stack(masks), axis=-1),
        patient=np.array([patients[key] for key in keys]),
        nodule=np.array([str(key) for key in keys]),
        slice_index=np.zeros(len(keys), int),
        spacing_mm=np.full(len(keys), MEDIAN_SPACING_MM),
    )
    return TrainingData(
        slices,
        EXPERTS,
        modality="CT",
        description="single lung nodules in chest CT",
        labels=("background", "nodule"),
    )


def dpersona_folds(patients: list[str]) -> dict[str, int]:
    """{patient: fold} as D-Persona's code deals them: patients in the order of the file, shuffled by numpy's old
    generator with seed 1337, cut into four runs of equal length (the first ones longer by one)."""
    order = list(dict.fromkeys(patients))
    np.random.RandomState(SEED).shuffle(order)
    return {str(patient): fold for fold, part in enumerate(np.array_split(order, FOLDS)) for patient in part}


def _patient(path: Path, key, record) -> str:
    missing = [name for name in ("image", "masks", "series_uid") if not isinstance(record, dict) or name not in record]
    if missing:
        raise DataError(f"'{path}', slice {key!r} lacks {', '.join(missing)}. Expected image, masks and series_uid.")
    return str(record["series_uid"]).split("_")[0]


def _slice(path: Path, key, record: dict) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [128, 128], and bool [4, 128, 128] in the file's order."""
    planes = [np.asarray(plane) for plane in (record["image"], *record["masks"])]
    where = f"'{path}', slice {key!r}"
    shapes = {plane.shape for plane in planes}
    if len(planes) != 1 + READERS or len(shapes) != 1 or planes[0].ndim != 2:
        raise DataError(
            f"{where}: expected an image and {READERS} masks of one size; found {[p.shape for p in planes]}."
        )
    image, masks = planes[0], np.stack(planes[1:])
    if image.min() < 0 or image.max() > 255:
        raise DataError(f"{where}: the image runs from {image.min():g} to {image.max():g}. Expected 0 to 255.")
    if not ((masks == 0) | (masks == 1)).all():
        raise DataError(f"{where}: a mask holds other values than 0 and 1.")
    if image.shape != (SIZE, SIZE):
        image, *masks = (_to_square(plane) for plane in planes)
    return np.rint(image).astype(np.uint8), np.stack([mask > 0.5 for mask in masks])


def _to_square(plane: np.ndarray) -> np.ndarray:
    """[H, W] -> float32 [128, 128]: zeros at both ends of the shorter side, as in D-Persona, then bilinear."""
    height, width = plane.shape
    side = max(height, width)
    before = ((side - height) // 2, (side - width) // 2)
    padded = np.pad(plane.astype(np.float32), [(b, side - n - b) for b, n in zip(before, plane.shape)])
    return F.interpolate(torch.from_numpy(padded)[None, None], (SIZE, SIZE), mode="bilinear", antialias=side > SIZE)[
        0, 0
    ].numpy()
