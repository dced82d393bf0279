"""Which slices a command is about: what the options of evaluation_options.py ask for, and how a report calls it."""

import argparse
import dataclasses
import zlib
from pathlib import Path

import numpy as np

from MultiRaterSegLib.errors import DataError

from .data import DATASETS, load_data
from .data.lidc_slices import LidcSlices
from .data.slices import Slices
from .recipe import Recipe, load_recipe

BUNDLED = Path("Resources/SampleData")


def load_slices(options: argparse.Namespace) -> Slices:
    """What `data_options` ask for. Raises DataError or RecipeError for what there is not."""
    if options.validation_of:
        return validation_slices(load_recipe(options.validation_of), options.root)
    if options.data:
        return LidcSlices.load(options.data)
    if options.data_set not in DATASETS:
        raise DataError(f"--data-set {options.data_set} is unknown. Data sets: {', '.join(DATASETS)}.")
    return DATASETS[options.data_set](options.root or BUNDLED, tuple(options.folds)).slices


def validation_slices(recipe: Recipe, root: Path | None = None) -> Slices:
    """Of the patients whom training by this recipe holds back to choose the best step. root: None = the recipe's own."""
    settings = recipe.data if root is None else dataclasses.replace(recipe.data, root=str(root))
    return load_data(settings).split_patients(settings.validation_share, recipe.seed)[1].slices


def choose_rows(slices: Slices, options: argparse.Namespace) -> np.ndarray:
    """What `slice_options` ask for, but for --every: the caller knows what that thins."""
    rows = slices.subset(options.subset)
    seed = options.one_per_patient
    return rows if seed is None else one_per_patient(slices.patient[rows], rows, seed)


def one_per_patient(patient: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    """One of each patient's rows, ascending. patient: [n], whose each row is. Which one depends on the seed, the patient and
    the patient's own rows only, so other patients in the data change nothing."""
    chosen = []
    for name in np.unique(patient):
        own = rows[patient == name]
        rng = np.random.default_rng([seed, zlib.crc32(str(name).encode())])
        chosen.append(own[rng.integers(len(own))])
    return np.sort(np.array(chosen, rows.dtype))


def data_names(options: argparse.Namespace) -> list[str]:
    """Names of prepared files, "NAME fold N", or whose inner validation patients they show."""
    if options.validation_of:
        return [f"validation patients of {load_recipe(options.validation_of).name}"]
    return [path.name for path in options.data] or [f"{options.data_set} fold {fold}" for fold in options.folds]


def subset_words(options: argparse.Namespace, thinned: str = "slice") -> str:
    """The subset and what was left of it. thinned: what --every counts."""
    seed, every = options.one_per_patient, options.every
    one = "" if seed is None else f", a slice of each patient (seed {seed})"
    return options.subset + one + (f", every {every}. {thinned}" if every > 1 else "")
