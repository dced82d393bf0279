"""Patients to folds. Slices of one patient never go to both sides of a split."""

from collections.abc import Iterable

import numpy as np


def assign_folds(patients: Iterable[str], folds: int, seed: int = 0) -> dict[str, int]:
    """{patient: fold}: the distinct patients, sorted, then shuffled with `seed`, dealt to 0..folds-1 in turn.

    Depends on the set of patients only, not on the order or number of their slices.
    """
    ordered = sorted(set(patients))
    np.random.default_rng(seed).shuffle(ordered)
    return {patient: turn % folds for turn, patient in enumerate(ordered)}
