"""A data set ready for training: slices, and what the method must know about them."""

from dataclasses import dataclass, replace

import numpy as np

from MultiRaterSegLib.method import Expert

from .slices import Slices


@dataclass(frozen=True, eq=False)
class TrainingData:
    """modality: DICOM code ("CT"), or "" for any. description: what a model trained on it is for, in plain words.
    sequences: what the channels are, where there are several."""

    slices: Slices
    experts: tuple[Expert, ...]
    modality: str = ""
    description: str = ""
    channels: int = 1
    sequences: tuple[str, ...] = ()
    labels: tuple[str, ...] = ("background", "lesion")

    @property
    def patients(self) -> int:
        return len(np.unique(self.slices.patient))

    def split_patients(self, share: float, seed: int) -> tuple["TrainingData", "TrainingData"]:
        """Two parts with no patient in common; the second holds about `share` of the patients (at least one)."""
        patients = np.unique(self.slices.patient)
        order = np.random.default_rng([seed, 0x5917]).permutation(patients)
        held_back = order[: max(1, round(share * len(patients)))] if share > 0 else order[:0]
        second = np.isin(self.slices.patient, held_back)
        return self.rows(np.flatnonzero(~second)), self.rows(np.flatnonzero(second))

    def limited(self, count: int) -> "TrainingData":
        """About the first `count` slices, every patient whole."""
        last = self.slices.patient[min(count, len(self.slices)) - 1]
        end = np.flatnonzero(self.slices.patient == last)[-1] + 1
        return self.rows(np.arange(end))

    def rows(self, rows: np.ndarray) -> "TrainingData":
        return replace(self, slices=self.slices.take(rows))
