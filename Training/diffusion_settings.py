"""How a diffusion model is asked to draw: which text, sampler, steps and preference; and how well it then stands for readers."""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from MultiRaterSegLib.checkpoint import Checkpoint
from MultiRaterSegLib.errors import DataError
from MultiRaterSegLib.knobs import Knobs
from MultiRaterSegLib.method import Method
from MultiRaterSegLib.metrics import Pairs, collective_insight, ged, mean_overlap

from .data.descriptions import evaluation_texts
from .data.slices import Slices
from .slice_predictions import Sampling, predict_slices

FIGURES = ("ged_dice", "ci", "combined_sensitivity", "dice_max", "diversity_agreement", "dice_mean", "empty")
"""GED with 1 - Dice, CI with its three parts, the mean Dice of all pairs, and the share of empty samples."""


@dataclass(frozen=True)
class Setting:
    """text: a kind of `evaluation_texts`; None of a model without text. Else None: as the model has it. preference: of an
    aligned model."""

    text: str | None = "neutral"
    sampler: str | None = None
    steps: int | None = None
    preference: float | None = None
    guidance: float | None = None

    def __str__(self) -> str:
        steps = None if self.steps is None else f"{self.steps} steps"
        walk = " ".join(part for part in (self.sampler, steps) if part)
        knobs = [(name, getattr(self, name)) for name in ("preference", "guidance")]
        turned = [f"{name} {value:g}" for name, value in knobs if value is not None]
        return ", ".join(part for part in (f"{self.text} text" if self.text else "", walk, *turned) if part)


def reads_text(method: Method) -> bool:
    """Whether the descriptions of `evaluation_texts` can be given to the method."""
    return method.follows_prompts and hasattr(drawing(method), "text_style")


def drawing(method: Method) -> Method:
    """What draws: an aligned model draws by its policy's settings."""
    return getattr(method, "policy", method)


def adjusted(method: Method, setting: Setting) -> Method:
    """A copy of the method that draws so. Raises DataError for a setting that it does not have, UnsupportedRequest for a
    value that it cannot take."""
    method = copy.deepcopy(method)
    drawn_by = drawing(method)
    wanted = {name: getattr(setting, name) for name in ("sampler", "guidance") if getattr(setting, name) is not None}
    missing = [name for name in wanted if not hasattr(drawn_by.config, name)]
    turned = Knobs(setting.steps, setting.preference)
    missing += [name for name, own in asdict(method.knobs).items() if own is None and getattr(turned, name) is not None]
    if setting.text not in (None, "neutral") and not reads_text(method):
        missing.append("text")
    if missing:
        raise DataError(f"{method.title} has no {', '.join(missing)} that could be set.")
    if wanted:
        drawn_by.config = replace(drawn_by.config, **wanted)
    method.use(turned)
    return method


def score_setting(
    checkpoint: Checkpoint,
    slices: Slices,
    rows: np.ndarray,
    setting: Setting,
    sizes: Sequence[int],
    seed: int = 0,
    progress: Callable[[Iterable], Iterable] = iter,
) -> dict[int, dict[str, np.ndarray]]:
    """{number of samples: {figure of FIGURES: [rows]}}, from one set of the largest number (the first n are used)."""
    method, count = adjusted(checkpoint.method, setting), max(sizes)

    def style_of(chosen: Sequence[int]):
        return drawing(method).text_style(evaluation_texts(slices, chosen, setting.text, count, seed))

    asked = None if setting.text in (None, "neutral") else style_of
    sampling = Sampling(count, (seed,), expert_samples=0)
    drawn = predict_slices(method, checkpoint.frame, slices, rows, sampling, style_of=asked)
    scored = [score_samples(p.samples[0], readers_who_saw(slices, p.row), sizes) for p in progress(drawn)]
    return {n: {name: np.array([row[n][name] for row in scored]) for name in FIGURES} for n in sizes}


def readers_who_saw(slices: Slices, row: int) -> np.ndarray:
    """bool [M, H, W]: an empty mask is an opinion, that of somebody who never saw the image is none."""
    masks = slices.masks([row])[0]
    return masks if slices.present is None else masks[slices.present[row]]


def score_samples(samples: np.ndarray, masks: np.ndarray, sizes: Sequence[int]) -> dict[int, dict[str, float]]:
    """FIGURES of the first n samples bool [S, H, W] against all readers' masks [M, H, W], empty ones included; two empty
    masks agree."""
    pairs, found = Pairs.of(samples, masks), {}
    for n in sizes:
        first = pairs.first(n)
        insight = collective_insight(first)._asdict()
        own = {
            "ged_dice": ged(first, "dice"),
            "dice_mean": mean_overlap(first),
            "empty": np.mean(~samples[:n].any((1, 2))),
        }
        found[n] = {name: float((own | insight)[name]) for name in FIGURES}
    return found
