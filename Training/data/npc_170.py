"""NPC-170 (MMIS-2024): nasopharyngeal tumours on three MR sequences, outlined by the same four radiologists throughout.

    training_2d/*.h5    a slice a file: t1, t1c, t2 and label_a1 .. label_a4, [H, W]
    validation/*.h5     a volume a file, the same names, [D, H, W]
    testing/*.h5

Raters are persons here, so they are the experts. Metrics are those of slices; the papers average over volumes.
"""

import re
from pathlib import Path

import numpy as np
from scipy.ndimage import zoom

from MultiRaterSegLib.errors import DataError
from MultiRaterSegLib.method import Expert

from .slices import Slices
from .training_data import TrainingData

FOLDERS = ("training_2d", "validation", "testing")
SEQUENCES = {"t1": "T1", "t1c": "T1 with contrast", "t2": "T2"}
RATERS = ("a1", "a2", "a3", "a4")
SIZE = 128
SPACING_MM = 1.0
"""The files say nothing of spacing; a frame of 128 pixels of 1 mm sees exactly a slice, as the papers' methods do."""


def load_npc_170(root: Path, folds: tuple[int, ...]) -> TrainingData:
    """root: the folder of the three. folds: 0 training_2d, 1 validation, 2 testing. Needs h5py.

    Slices become 128 x 128 pixels by nearest neighbours, as in D-Persona. Slices on which a sequence is constant (the
    empty ends of a volume) are left out. Raises DataError for what is missing or does not have this layout.
    """
    if not set(folds) <= set(range(len(FOLDERS))):
        raise DataError(f"NPC-170 has the folds 0 ({FOLDERS[0]}), 1 ({FOLDERS[1]}) and 2 ({FOLDERS[2]}); got {folds}.")
    files = [path for fold in folds for path in _files(root / FOLDERS[fold])]
    parts = [part for path in files if (part := _read(path)) is not None]
    if not parts:
        raise DataError(f"'{root}': no slice of folds {folds} shows anything; every image is constant.")
    return TrainingData(
        Slices.concatenate(parts),
        tuple(Expert(name, f"Radiologist {name.upper()}", "rater") for name in RATERS),
        modality="MR",
        description="nasopharyngeal carcinoma on T1, contrast-enhanced T1 and T2 MR",
        channels=len(SEQUENCES),
        sequences=tuple(SEQUENCES.values()),
        labels=("background", "tumour"),
    )


def _files(folder: Path) -> list[Path]:
    found = sorted(
        folder.glob("*.h5"), key=lambda path: [int(n) if n.isdecimal() else n for n in re.split(r"(\d+)", path.stem)]
    )
    if not found:
        raise DataError(f"No .h5 files in '{folder}'. Expected the folders {', '.join(FOLDERS)} of NPC-170.")
    return found


def patient_and_slice(stem: str) -> tuple[str, int]:
    """("Sample_007", 12) of "Sample_007_slice_12" or "Sample_007_12": of two numbers in a name the last is the slice.
    A name with fewer is the patient's."""
    match = re.fullmatch(r"(.*\d)\D+(\d+)\D*", stem)
    return (match[1], int(match[2])) if match else (stem, 0)


def _read(path: Path) -> Slices | None:
    """The slices of a file that show something."""
    images, masks = _stacks(path)
    shown = np.ptp(images, axis=(2, 3)).all(1)
    if not shown.any():
        return None
    flat = len(images) == 1
    patient, first = patient_and_slice(path.stem) if flat else (path.stem, 0)
    count = int(shown.sum())
    return Slices(
        images=images[shown],
        packed_masks=np.packbits(masks[shown], axis=-1),
        patient=np.full(count, patient),
        nodule=np.zeros(count, int),
        slice_index=first + np.flatnonzero(shown),
        spacing_mm=np.full(count, SPACING_MM),
        raters=RATERS,
    )


def _stacks(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """float32 [D, 3, 128, 128] and bool [D, 4, 128, 128]; a slice has D = 1."""
    try:
        import h5py
    except ImportError as error:
        raise DataError("NPC-170 is stored as HDF5. Install h5py: pip install 'MultiRaterSeg[npc]'.") from error
    names = (*SEQUENCES, *(f"label_{rater}" for rater in RATERS))
    try:
        with h5py.File(path, "r") as file:
            missing = [name for name in names if name not in file]
            if missing:
                raise DataError(f"'{path}' lacks {', '.join(missing)}. Expected {', '.join(names)}.")
            arrays = [np.asarray(file[name]) for name in names]
    except OSError as error:
        raise DataError(f"'{path}' cannot be read as HDF5: {error}") from error
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1 or arrays[0].ndim not in (2, 3):
        raise DataError(
            f"'{path}': expected arrays of one size, [H, W] or [D, H, W]; found {sorted(map(str, shapes))}."
        )
    planes = [_to_size(array[None] if array.ndim == 2 else array) for array in arrays]
    masks = np.stack(planes[len(SEQUENCES) :], 1)
    if not ((masks == 0) | (masks == 1)).all():
        raise DataError(f"'{path}': a label holds other values than 0 and 1.")
    return np.stack(planes[: len(SEQUENCES)], 1).astype(np.float32), masks > 0


def _to_size(stack: np.ndarray) -> np.ndarray:
    return zoom(stack, (1, SIZE / stack.shape[1], SIZE / stack.shape[2]), order=0)
