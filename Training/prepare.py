"""Prepare LIDC-IDRI crops for training: a folder of PNG files becomes one npz file a fold.

    python Training/prepare.py LIDC-IDRI-slices data/lidc_slices --exclude held_out_patients.txt

The folder holds PATIENT/nodule-N/images/slice-K.png (128 x 128, 8-bit gray) and four readers' masks of the same
names in mask-0 .. mask-3 beside images. Patients, never slices, are dealt to the folds. PNG files know no pixel
spacing: --spacing gives it; without, it is unknown (NaN), and training takes the median of LIDC-IDRI.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from MultiRaterSegLib.errors import DataError
from Training.command import command_parser, run_command


def main(arguments: list[str] | None = None) -> int:
    parser = command_parser(__file__, __doc__)
    parser.add_argument("folder", type=Path, help="where the patients' folders are")
    parser.add_argument("out", type=Path, help="gets fold0.npz, fold1.npz, ...")
    parser.add_argument("--folds", type=int, default=4, help="number of folds (default: 4)")
    parser.add_argument("--seed", type=int, default=0, help="of the shuffle of patients (default: 0)")
    parser.add_argument("--exclude", type=Path, metavar="FILE", help="patients to leave out, one a line")
    parser.add_argument(
        "--spacing", type=Path, metavar="CSV", help="columns patient, pixel_spacing_mm, slice_thickness_mm"
    )
    return run_command(parser, run, arguments)


def run(options: argparse.Namespace) -> str:
    """Writes the folds and says what is in them."""
    counts = prepare(**vars(options))
    return "\n".join(
        f"{options.out / f'fold{fold}.npz'}: {slices} slices of {patients} patients"
        for fold, (patients, slices) in enumerate(counts)
    )


def prepare(
    folder: Path, out: Path, folds: int = 4, seed: int = 0, exclude: Path | None = None, spacing: Path | None = None
) -> list[tuple[int, int]]:
    """Writes the folds, all or none, and returns (patients, slices) of each. Raises DataError for bad input."""
    import numpy as np  # after --help
    from rich.progress import track

    from MultiRaterSegLib.io import atomic_folder
    from Training.data.folds import assign_folds
    from Training.data.png_folders import find_nodules, read_nodule, read_spacing

    nodules = find_nodules(folder, _read_names(exclude) if exclude else ())
    patients = {nodule.patient for nodule in nodules}
    if not 1 <= folds <= len(patients):
        raise DataError(
            f"{len(patients)} patients cannot be dealt to {folds} folds. Give --folds 1 .. {len(patients)}."
        )
    fold_of = assign_folds(patients, folds, seed)
    spacings = read_spacing(spacing) if spacing else {}
    counts = []
    with atomic_folder(out) as unfinished:
        for fold in range(folds):
            chosen = [nodule for nodule in nodules if fold_of[nodule.patient] == fold]
            parts = [read_nodule(nodule, spacings) for nodule in track(chosen, f"Fold {fold}", transient=True)]
            rows = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
            np.savez_compressed(unfinished / f"fold{fold}.npz", **rows)
            counts.append((len(np.unique(rows["patient"])), len(rows["patient"])))
    return counts


def _read_names(path: Path) -> set[str]:
    try:
        return set(path.read_text(encoding="utf-8").split())
    except OSError as error:
        raise DataError(f"The list of excluded patients '{path}' cannot be read: {error.strerror}.") from error


if __name__ == "__main__":
    raise SystemExit(main())
