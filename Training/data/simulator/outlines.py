"""The real part of the simulated data: four readers' outlines of LIDC-IDRI nodules, and what is known of each scan."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from MultiRaterSegLib.errors import DataError

READERS = 4
OUTLINE_SPACING_MM = 0.5
RATINGS = (
    "subtlety", "internal_structure", "calcification", "sphericity", "margin",
    "lobulation", "spiculation", "texture", "malignancy",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class OutlinedNodule:
    """One nodule that four readers outlined on n consecutive slices, ascending towards the head.

    masks: bool [n, 4, 128, 128] at 0.5 mm, centred on each slice's own outlines; empty where that reader outlined
    nothing. centre_mm: [n, 2], (row, column) of that centre relative to the nodule's. z_mm: [n], DICOM z.
    slice_number: [n] in the scan. ratings: [readers, 9], LIDC's ordinal scales. position_mm: (row, column) of
    the nodule from the image centre. pixel_spacing_mm, thickness_mm, slice_spacing_mm: of the real scan. number, scan:
    identity.
    """

    number: int
    patient: int
    scan: int
    fold: int
    masks: np.ndarray
    slice_number: np.ndarray
    z_mm: np.ndarray
    centre_mm: np.ndarray
    ratings: np.ndarray
    position_mm: np.ndarray
    pixel_spacing_mm: float
    thickness_mm: float
    slice_spacing_mm: float
    contrast: bool

    @property
    def patient_id(self) -> str:
        return f"LIDC-IDRI-{self.patient:04d}"

    @property
    def middle_z_mm(self) -> float:
        return float(np.median(self.z_mm))

    @property
    def areas_px(self) -> np.ndarray:
        """int [n, 4]."""
        return self.masks.sum((2, 3))

    @property
    def largest(self) -> int:
        """The slice with the largest outlines (the last of equals)."""
        totals = self.areas_px.sum(1)
        return int(np.flatnonzero(totals == totals.max())[-1])

    def rating(self, name: str) -> float:
        """Mean of the readers."""
        return float(self.ratings[:, RATINGS.index(name)].astype(float).mean())

    def majority(self, name: str, otherwise: int) -> int:
        """The rating that at least half of the readers gave, or `otherwise`; of equals the first."""
        votes = self.ratings[:, RATINGS.index(name)].tolist()
        favourite = max(votes, key=votes.count)
        return favourite if votes.count(favourite) >= len(votes) / 2 else otherwise


def read_nodules(path: str | Path, folds: tuple[int, ...] | None = None) -> list[OutlinedNodule]:
    """Nodules of the given folds (None: all) from the bundled npz. Raises DataError when it is missing."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"No outlines at '{path}'. They come with the project in Resources/SampleData.")
    with np.load(path) as archive:
        packed = {name: archive[name] for name in archive.files}
    nodules = [_nodule(packed, index) for index in range(len(packed["number"]))]
    return [nodule for nodule in nodules if folds is None or nodule.fold in folds]


def _nodule(packed: dict[str, np.ndarray], index: int) -> OutlinedNodule:
    rows = np.flatnonzero(packed["nodule"] == index)
    scalars = ("number", "patient", "scan", "fold")
    measures = ("pixel_spacing_mm", "thickness_mm", "slice_spacing_mm")
    return OutlinedNodule(
        masks=np.unpackbits(packed["mask_bits"][rows], axis=-1).astype(bool),
        contrast=bool(packed["contrast"][index]),
        **{name: packed[name][rows] for name in ("slice_number", "z_mm", "centre_mm")},
        **{name: packed[name][index] for name in ("ratings", "position_mm")},
        **{name: int(packed[name][index]) for name in scalars},
        **{name: float(packed[name][index]) for name in measures},
    )
