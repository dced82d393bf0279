"""How far a model's figures fall when the images get worse: the same slices and readers under several conditions."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from MultiRaterSegLib import calibration, metrics
from MultiRaterSegLib.errors import DataError
from MultiRaterSegLib.frame import Frame
from MultiRaterSegLib.method import Method

from .bootstrap import Estimate, paired_calibration, paired_difference
from .corruptions import KINDS, corrupt
from .data.slices import Slices
from .evaluation import Evaluation, readers, score_all, slice_keys
from .slice_predictions import Planes, Sampling, SlicePrediction, experts_and_readers
from .slice_scores import NEAR_PIXELS, Figures, combine

CLEAN = "clean"
MEASURES = ("dice", "dice_experts", "dice_soft", "ged", "ece_near", "auroc_near")


def corrupted_planes(slices: Slices, rows: Sequence[int], kinds: Iterable[str]) -> dict[str, Planes]:
    """{condition: images}, the clean ones first."""
    keys = dict(zip(map(int, rows), slice_keys(slices, np.asarray(rows))))

    def look(corruption) -> Planes:
        return lambda row: corrupt(slices.planes([row])[0], corruption, keys[row])

    chosen = {name: look(corruption) for kind in kinds for name, corruption in KINDS[kind].items()}
    return {CLEAN: lambda row: slices.planes([row])[0], **chosen}


def acquired_planes(acquisitions: Mapping[str, Slices], clean: str) -> dict[str, Planes]:
    """{condition: images} of the simulator's scanners; `clean` is the one that the others are compared with."""
    if clean not in acquisitions:
        raise DataError(f"There is no scanner '{clean}'. Scanners: {', '.join(acquisitions)}.")

    def look(slices: Slices) -> Planes:
        return lambda row: slices.planes([row])[0]

    others = {name: look(slices) for name, slices in acquisitions.items() if name != clean}
    return {CLEAN: look(acquisitions[clean]), **others}


def evaluate_conditions(
    method: Method,
    frame: Frame,
    slices: Slices,
    rows: Sequence[int],
    conditions: Mapping[str, Planes],
    sampling: Sampling,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Evaluation:
    """An evaluation whose groups are the conditions, with MEASURES each; every condition is encoded once, with the same
    noise in the model."""
    experts = [reader for _, reader in experts_and_readers(method, slices)]

    def score(prediction: SlicePrediction) -> Figures:
        return {"figures": score_condition(prediction, readers(slices, prediction.row), experts)}

    found = {
        name: score_all(method, frame, slices, rows, sampling, score, planes, progress)
        for name, planes in conditions.items()
    }
    first = found[CLEAN]
    figures = {name: evaluation.figures["figures"] for name, evaluation in found.items()}
    return Evaluation(first.key, first.patient, first.diameter_mm, first.size_px, figures)


def score_condition(prediction: SlicePrediction, labels: np.ndarray, experts: Sequence[int]) -> dict:
    """MEASURES of one slice, averaged over seeds. dice: of the consensus mask with each reader; dice_experts: of each
    style with the reader that it stands for, where the model has styles."""
    near = calibration.near_union(labels, NEAR_PIXELS)
    by_seed = []
    for samples, probability, maps in zip(prediction.samples, prediction.probability, prediction.experts):
        share = samples.mean(0)
        figures = {
            "dice": metrics.mean_overlap(metrics.Pairs.of(probability[None] > 0.5, labels)),
            "dice_soft": metrics.dice_soft(samples, labels),
            "ged": metrics.ged(metrics.Pairs.of(samples, labels)),
            "ece_near": calibration.calibration_bins(share, labels, near),
            "auroc_near": calibration.disagreement_auroc(share, labels, near),
        }
        if len(experts):
            figures["dice_experts"] = metrics.dice_each(metrics.Pairs.of(maps > 0.5, labels[list(experts)])).mean()
        by_seed.append({"figures": figures})
    return combine(by_seed, lambda values: np.mean(values, axis=0))["figures"]


def losses(evaluation: Evaluation) -> dict[str, dict[str, Estimate]]:
    """{condition: {measure: how much worse than clean}}, paired: what Dice and AUROC lose, what GED and ECE gain."""
    clean = evaluation.figures[CLEAN]
    found = {}
    for condition, row in evaluation.figures.items():
        if condition != CLEAN:
            found[condition] = {
                name: _loss(name, clean[name], values, evaluation.patient) for name, values in row.items()
            }
    return found


def _loss(name: str, clean: np.ndarray, worse: np.ndarray, patient: np.ndarray) -> Estimate:
    if name.startswith("ece"):
        return paired_calibration(worse, clean, patient)
    return paired_difference(worse, clean, patient) if name == "ged" else paired_difference(clean, worse, patient)
