"""Pairs of masks of which one is preferred: the file that Training/preferences.py writes, and how data take it in."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from MultiRaterSegLib.errors import DataError

from .slices import slice_keys
from .training_data import TrainingData

KEYS = ("key", "pairs")


def save_preferences(path: Path, key: np.ndarray, pairs: np.ndarray, about: str) -> None:
    """key: "patient/nodule/slice" [n]. pairs: bool [n, 2, H, W], the preferred mask first. about: how they were made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, key=key, pairs=np.packbits(pairs, axis=-1), about=np.array(about))


def with_preferences(data: TrainingData, path: Path) -> TrainingData:
    """The data with the file's pairs where it has one. Raises DataError when there is no such file, or it is of others."""
    if not path.is_file():
        raise DataError(
            f"No preferences at '{path}'. Make them with: python Training/preferences.py MODEL --root DATA --out "
            f"{path.parent} --strategy {path.stem}"
        )
    with np.load(path) as archive:
        if missing := [name for name in KEYS if name not in archive.files]:
            raise DataError(f"'{path}' lacks {', '.join(missing)}: Training/preferences.py did not write it.")
        place = {str(key): i for i, key in enumerate(archive["key"])}
        pairs = archive["pairs"]
    rows = np.array([place.get(str(key), -1) for key in slice_keys(data.slices, np.arange(len(data.slices)))])
    expected = data.slices.packed_masks.shape[2:]
    if not (rows >= 0).any() or pairs.shape[2:] != expected:
        raise DataError(
            f"'{path}' has pairs of other slices than these data. Make them of the same data set and folds."
        )
    preferred = np.where((rows >= 0)[:, None, None, None], pairs[rows], 0).astype(np.uint8)
    return replace(data, slices=replace(data.slices, preferred=preferred))
