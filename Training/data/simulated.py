"""Simulated chest CT around the bundled LIDC outlines: trains and tests everything on a machine without any data."""

from pathlib import Path

import numpy as np
from rich.progress import track

from MultiRaterSegLib.errors import DataError

from .lidc_slices import EXPERTS
from .simulator import SCANNERS, OutlinedNodule, Plane, SimulatedScan, VesselField, read_nodules, scanner_of
from .slices import Slices
from .training_data import TrainingData

PROJECT = Path(__file__).resolve().parents[2]
BUNDLED = "Resources/SampleData/lidc_outlines.npz"
CROP_PX = 128
FIELD = VesselField(reach_mm=50.0, crowding=1.4)


def load_simulated(
    root: Path, folds: tuple[int, ...], nodules: int | None = None, without: str | None = None
) -> TrainingData:
    """root: an npz of outlines, or the folder of lidc_outlines.npz; relative to the working folder or to the project.
    nodules: only the first so many. without: a scanner whose scans are left out, to test on it later. Takes about 15 ms
    a slice. Raises DataError when there is nothing."""
    outlined = [nodule for nodule in _outlined(root, folds) if scanner_of(nodule.scan) != without][:nodules]
    if not outlined:
        raise DataError(
            f"All scans of fold {', '.join(map(str, folds))} are of the scanner '{without}' that is left out."
        )
    parts = [simulate_nodule(nodule) for nodule in track(outlined, "Simulating CT", transient=True)]
    return TrainingData(
        Slices.concatenate(parts),
        EXPERTS,
        modality="CT",
        description="single lung nodules in simulated chest CT; not for real images",
        labels=("background", "nodule"),
    )


def simulate_acquisitions(root: Path, folds: tuple[int, ...], every: int = 1) -> dict[str, Slices]:
    """{scanner: slices}: the same nodules, anatomy and outlines as each scanner would show them, row by row alike.
    every: only every so many-th nodule. Takes about 0.1 s a slice for all scanners."""
    outlined = _outlined(root, folds)[::every]
    return {
        scanner: Slices.concatenate([simulate_nodule(nodule, scanner=scanner) for nodule in outlined])
        for scanner in track(SCANNERS, "Simulating CT", transient=True)
    }


def _outlined(root: Path, folds: tuple[int, ...]) -> list[OutlinedNodule]:
    outlined = read_nodules(_find(root), folds)
    if not outlined:
        raise DataError(f"The bundled outlines have no fold {', '.join(map(str, folds))}. They have the folds 0, 1, 2.")
    return outlined


def _find(root: Path) -> Path:
    for base in (Path(), PROJECT):
        path = base / root
        if (found := path / Path(BUNDLED).name if path.is_dir() else path).is_file():
            return found
    raise DataError(f"No outlines at '{root}'. The project brings them: use '{BUNDLED}'.")


def simulate_nodule(nodule: OutlinedNodule, repetition: int = 0, scanner: str | None = None) -> Slices:
    """The slices that somebody outlined, as HU int16 at the real scan's pixel spacing. scanner: None = the scan's own."""
    scan = _scan(nodule, repetition, scanner)
    numbers = [int(number) for number in nodule.slice_number]
    images = np.stack([scan.slice(number) for number in numbers])
    return _rows(nodule, numbers, images, np.stack([scan.masks(number) for number in numbers]))


def simulate_beyond(nodule: OutlinedNodule, steps: int = 2, repetition: int = 0) -> Slices:
    """Negatives: `steps` slices below and above the outlines, the same anatomy without a nodule; all masks empty."""
    scan = _scan(nodule, repetition)
    lowest, highest = scan.slice_numbers[0], scan.slice_numbers[-1]
    numbers = [*range(lowest - steps, lowest), *range(highest + 1, highest + 1 + steps)]
    images = np.stack([scan.slice(number) for number in numbers])
    return _rows(nodule, numbers, images, np.stack([scan.masks(number) for number in numbers]))


def _scan(nodule: OutlinedNodule, repetition: int, scanner: str | None = None) -> SimulatedScan:
    return SimulatedScan(
        nodule, repetition, scanner, plane=Plane(CROP_PX, round(nodule.pixel_spacing_mm, 3)), field=FIELD
    )


def _rows(nodule: OutlinedNodule, numbers: list[int], images: np.ndarray, masks: np.ndarray) -> Slices:
    count = len(numbers)
    return Slices(
        images=images,
        packed_masks=np.packbits(masks, axis=-1),
        patient=np.full(count, nodule.patient_id),
        nodule=np.full(count, nodule.number),
        slice_index=np.array(numbers),
        spacing_mm=np.full(count, round(nodule.pixel_spacing_mm, 3)),
        ratings=np.tile(nodule.ratings, (count, 1, 1)),
    )
