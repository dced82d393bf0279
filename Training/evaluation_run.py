"""What evaluate.py and compare.py share: slices with settings, and a model's evaluation on them."""

import argparse
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from MultiRaterSegLib.checkpoint import Checkpoint
from MultiRaterSegLib.errors import DataError

from .chosen_slices import BUNDLED, choose_rows, data_names, load_slices, subset_words
from .data import DATASETS
from .data.simulated import simulate_acquisitions
from .data.slices import Slices
from .evaluation import Evaluation, evaluate
from .example_slices import Shown, example_rows
from .recipe import DataSettings, Recipe, load_recipe
from .robustness import acquired_planes, corrupted_planes, evaluate_conditions
from .slice_predictions import (
    Planes,
    PredictionFile,
    Sampling,
    SlicePrediction,
    experts_and_readers,
    predict_slices,
)

SAME_FOLDS = (
    "lidc_slices",
    "lidc_described",
    "lidc_full_prompt",
    *(name for name in DATASETS if name.startswith("simulated")),
)
"""Data sets whose folds hold the same patients."""


@dataclass(frozen=True, eq=False)
class Task:
    """Slices and rows that every model is evaluated on. conditions: {name: images}, empty = no robustness. record: what
    the report says of them. validation_of: the recipe whose inner validation patients they show, if any."""

    slices: Slices
    rows: np.ndarray
    conditions: dict[str, Planes]
    record: dict
    validation_of: Recipe | None = None

    @cached_property
    def examples(self) -> list[int]:
        """Rows that are shown as a picture."""
        return example_rows(self.slices, self.rows)


def load_task(options: argparse.Namespace) -> Task:
    """What the options of `evaluation_options` ask for. Raises DataError for what is missing or does not go together."""
    acquired = "acquisition" in options.robustness
    if acquired and (options.data_set != "simulated" or len(options.robustness) > 1):
        raise DataError("--robustness acquisition needs --data-set simulated, and no other kind beside it.")
    conditions: dict[str, Planes] = {}
    if acquired:
        acquisitions = simulate_acquisitions(options.root or BUNDLED, tuple(options.folds), options.every)
        conditions = acquired_planes(acquisitions, options.clean_scanner)
        slices = acquisitions[options.clean_scanner]
        rows = choose_rows(slices, options)
    else:
        slices = load_slices(options)
        rows = choose_rows(slices, options)[:: options.every]
        if options.robustness:
            conditions = corrupted_planes(slices, rows, options.robustness)
    record = {
        "data": data_names(options),
        "subset": subset_words(options, "nodule" if acquired else "slice"),
        "sizes": options.samples,
        "seeds": options.seeds,
        "expert_samples": options.expert_samples,
        "conditions": list(conditions),
        "robustness_samples": options.robustness_samples,
    }
    recipe = load_recipe(options.validation_of) if options.validation_of else None
    return Task(slices, rows, conditions, record, recipe)


def model_name(checkpoint: Checkpoint) -> str:
    """A run's best.safetensors is called by its recipe."""
    return checkpoint.info.get("recipe", {}).get("name", "best") if checkpoint.name == "best" else checkpoint.name


def about(checkpoint: Checkpoint, task: Task) -> dict:
    """What is evaluated; folds that it was trained on are named."""
    return {
        "model": model_name(checkpoint),
        "model_sha256": checkpoint.sha256,
        "method": checkpoint.method.name,
        "trained_on": trained_on(checkpoint.info.get("recipe", {}), task),
        **{name: value for name, value in asdict(checkpoint.method.knobs).items() if value is not None},
        **task.record,
    }


def trained_on(recipe: dict, task: Task) -> list[str]:
    """Data among the task's whose patients a model of this recipe has seen; none for the inner validation patients of
    its own split."""
    trained = recipe.get("data", {})
    own, folds = trained.get("name", DataSettings.name), trained.get("folds", ())
    kin = SAME_FOLDS if own in SAME_FOLDS else (own,)
    if task.validation_of:
        if _split(trained, recipe.get("seed", 0)) == _split(vars(task.validation_of.data), task.validation_of.seed):
            return []
        shown = task.validation_of.data
        return task.record["data"] if shown.name in kin and set(shown.folds) & set(folds) else []
    seen = {f"{name} fold {fold}" for name in kin for fold in folds}
    seen |= {f"fold{fold}.npz" for fold in folds if own in SAME_FOLDS}
    return [name for name in task.record["data"] if name in seen]


def _split(data: dict, seed: int) -> tuple:
    """What decides which patients are held back."""
    found = vars(DataSettings()) | {name: data[name] for name in data if name != "root"}
    return (seed, found["name"], tuple(found["folds"]), found["validation_share"], found["limit"])


Progress = Callable[[Iterable], Iterable]


def evaluate_on(
    checkpoint: Checkpoint,
    task: Task,
    save_predictions: Path | None = None,
    progress: Callable[[str, int], Progress] = lambda _name, _total: iter,
) -> tuple[Evaluation, Evaluation | None, list[SlicePrediction]]:
    """The tables' figures, those under the task's conditions, and the predictions of its examples. progress(name, slices)
    wraps each loop over slices."""
    method, frame, count = checkpoint.method, checkpoint.frame, len(task.rows)
    settings = {name: task.record[name] for name in ("sizes", "seeds", "expert_samples")}
    examples: dict[int, SlicePrediction] = {}

    def keep(prediction: SlicePrediction) -> None:
        if file is not None:
            file.add(prediction)
        if prediction.row in task.examples:
            examples[prediction.row] = prediction

    with PredictionFile(save_predictions, task.rows) if save_predictions else nullcontext() as file:
        evaluation = evaluate(
            method,
            frame,
            task.slices,
            task.rows,
            **settings,
            keep=keep,
            progress=progress(method.title, count),
        )
    shown = [examples[row] for row in task.examples]
    if not task.conditions:
        return evaluation, None, shown
    sampling = Sampling(task.record["robustness_samples"], tuple(settings["seeds"][:1]), settings["expert_samples"])
    worse = evaluate_conditions(
        method,
        frame,
        task.slices,
        task.rows,
        task.conditions,
        sampling,
        progress(f"{method.title}, worse images", count),
    )
    return evaluation, worse, shown


def show_examples(checkpoint: Checkpoint, label: str, task: Task, predictions: list[SlicePrediction]) -> Shown:
    """What a model drew of the task's examples; where there are no predictions, they are drawn now, in the first seed."""
    if not predictions:
        record = task.record
        sampling = Sampling(max(record["sizes"]), tuple(record["seeds"][:1]), record["expert_samples"])
        predictions = list(predict_slices(checkpoint.method, checkpoint.frame, task.slices, task.examples, sampling))
    return Shown(label, predictions, [reader for _, reader in experts_and_readers(checkpoint.method, task.slices)])
