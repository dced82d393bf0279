"""Pairs of masks for preference alignment: what a diffusion model draws, ordered by Dice with the readers.

    python Training/preferences.py runs/ambiguous_text_diff_compact --root ../shared/data/lidc_slices \\
        --strategy mean_dice best_rater stochastic_run --out runs/pairs
    python Training/train.py diff_dpo_compact --start-from runs/ambiguous_text_diff_compact/best.safetensors \\
        --set data.preferences=runs/pairs/mean_dice.npz

Candidates are drawn for the patients that the model was trained on, never for those that choose its best step. Of each
slice the best and the worst candidate make a pair; slices whose candidates are all equally good have none.

    mean_dice     the mean over readers: compromise              best_rater       the best reader: imitate one of them
    stochastic_run  best_rater over the candidates of two runs of other noise

Each strategy asked for becomes OUT/STRATEGY.npz; they share their candidates, which is where the time goes.

Two empty masks have Dice 1, so where readers drew nothing, an empty candidate is right for them.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from MultiRaterSegLib.errors import CheckpointError, DataError
from MultiRaterSegLib.metrics import Pairs
from Training.command import command_parser, positive, run_command


@dataclass(frozen=True)
class Strategy:
    """score: Dice of candidates with readers [K, M] -> [K]. runs: how often K candidates are drawn."""

    score: Callable[[np.ndarray], np.ndarray]
    runs: int = 1


STRATEGIES = {
    "mean_dice": Strategy(lambda dice: dice.mean(1)),
    "best_rater": Strategy(lambda dice: dice.max(1)),
    "stochastic_run": Strategy(lambda dice: dice.max(1), runs=2),
}


def choose(candidates: np.ndarray, masks: np.ndarray, strategy: Strategy) -> tuple[int, int] | None:
    """bool [K, H, W] and the readers' masks [M, H, W] -> (best, worst), the first of equals; None when all are equal."""
    scores = strategy.score(Pairs.of(candidates, masks).similarity("dice").between)
    best, worst = int(scores.argmax()), int(scores.argmin())
    return None if scores[best] == scores[worst] else (best, worst)


def make_pairs(
    checkpoint,
    slices,
    rows: Sequence[int],
    strategies: Sequence[str],
    candidates: int = 4,
    seed: int = 0,
    progress=iter,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Of each strategy the rows that have a pair [n], and the pairs bool [n, 2, H, W] in native pixels."""
    from Training.diffusion_settings import readers_who_saw
    from Training.slice_predictions import Sampling, predict_slices

    runs = max(STRATEGIES[name].runs for name in strategies)
    sampling = Sampling(candidates, tuple(range(seed, seed + runs)), expert_samples=0)
    found = {name: ([], []) for name in strategies}
    for prediction in progress(predict_slices(checkpoint.method, checkpoint.frame, slices, rows, sampling)):
        masks, shape = readers_who_saw(slices, prediction.row), prediction.samples.shape[2:]
        for name, (paired, pairs) in found.items():
            drawn = prediction.samples[: STRATEGIES[name].runs].reshape(-1, *shape)
            chosen = choose(drawn, masks, STRATEGIES[name])
            if chosen:
                paired.append(prediction.row)
                pairs.append(drawn[list(chosen)])
    shape = slices.images.shape[-2:]
    return {
        name: (np.array(paired, int), np.array(pairs, bool).reshape(-1, 2, *shape))
        for name, (paired, pairs) in found.items()
    }


def main(arguments: list[str] | None = None) -> int:
    parser = command_parser(__file__, __doc__)
    parser.add_argument("model", help="the reference: a model by name, a .safetensors file or a run folder")
    parser.add_argument("--strategy", nargs="+", choices=STRATEGIES, default=["mean_dice"])
    parser.add_argument("--candidates", type=positive, default=4, help="masks drawn for a slice (the paper: 4)")
    parser.add_argument(
        "--every", type=positive, default=4, help="only every n-th slice (the paper: a quarter of the data)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--root", required=True, help="where the data set lies that the model was trained on")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write into")
    return run_command(parser, run, arguments)


def run(options: argparse.Namespace) -> str:
    """Makes and writes the pairs; returns what was found."""
    import dataclasses

    from rich.progress import track

    from MultiRaterSegLib.checkpoint import load_checkpoint
    from MultiRaterSegLib.predictor import choose_device
    from Training.data import load_data
    from Training.data.preferred import save_preferences
    from Training.data.slices import slice_keys
    from Training.recipe import recipe_from

    if options.candidates < 2:
        raise DataError("--candidates 1: a pair takes two. Give at least 2.")
    checkpoint = load_checkpoint(options.model, choose_device("auto"))
    if not hasattr(checkpoint.method, "denoising_error"):
        raise CheckpointError(f"'{options.model}' is {checkpoint.method.title}; only diffusion models can be aligned.")
    recipe = recipe_from(checkpoint.info["recipe"], options.model, checkpoint.name)
    settings = dataclasses.replace(recipe.data, root=options.root)
    slices = load_data(settings).split_patients(settings.validation_share, recipe.seed)[0].slices
    rows = np.arange(0, len(slices), options.every)
    made = make_pairs(
        checkpoint,
        slices,
        rows,
        options.strategy,
        options.candidates,
        options.seed,
        lambda loop: track(loop, "Drawing candidates", len(rows), transient=True),
    )
    lines = []
    for name, (found, pairs) in made.items():
        if not len(found):
            raise DataError(
                f"No pairs: on each of {len(rows)} slices all candidates are equally good. Give a model that was trained "
                "longer, more --candidates, or more slices (a smaller --every)."
            )
        about = f"{name}, {options.candidates} candidates, seed {options.seed}, of {checkpoint.sha256}"
        save_preferences(options.out / f"{name}.npz", slice_keys(slices, found), pairs, about)
        lines.append(f"{name}: {len(found)} pairs of {len(rows)} slices, in {options.out / name}.npz")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
