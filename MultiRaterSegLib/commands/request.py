"""What the person asked for, checked against the scan and the model before any work is done."""

from argparse import Namespace
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from ..errors import UnsupportedRequest
from ..geometry import Grid
from ..io import parse_point, read_points, read_roi
from ..prediction import Prediction
from ..predictor import DEFAULT_MODEL, Lesion, Progress, VolumePredictor


@dataclass(frozen=True)
class StyleRequest:
    """An expert's name, a sentence (is_prompt), or two of either and t in between."""

    name: str
    is_prompt: bool = False
    ends: tuple[str, str, float] | None = None

    def ask(self, lesion: Lesion, samples: int, progress: Progress | None) -> Prediction:
        if self.ends is not None:
            return lesion.between(*self.ends, samples, progress)
        return (lesion.prompt if self.is_prompt else lesion.style)(self.name, samples, progress)


def styles(options: Namespace, predictor: VolumePredictor) -> list[StyleRequest]:
    """Experts, then sentences, then what lies between. Raises UnsupportedRequest for what the model cannot do."""
    for prompt in options.prompt:
        _understand(prompt, predictor)
    return [
        *(StyleRequest(name) for name in _experts(options.experts, predictor)),
        *(StyleRequest(prompt, is_prompt=True) for prompt in options.prompt),
        *(_between(*ends, predictor) for ends in options.between),
    ]


def places(options: Namespace, grid: Grid) -> list[dict]:
    """Keyword arguments of VolumePredictor.lesion, one a lesion. Raises GeometryError for what is not in the scan."""
    if options.roi is not None:
        low, high = read_roi(options.roi, grid)
        corners = grid.to_ras(np.array(list(product(*zip(low, high)))))
        return [{"box": (corners.min(0), corners.max(0))}]
    points = []
    for text in options.at:
        points.extend(read_points(text, grid) if Path(text).suffix == ".json" else [parse_point(text, grid)])
    return [{"at": point} for point in points]


def _experts(text: str, predictor: VolumePredictor) -> list[str]:
    if text in ("all", "none"):
        return predictor.experts if text == "all" else []
    method = predictor.method
    chosen = [method.expert_index(name.strip()) for name in text.split(",") if name.strip()]
    return [method.experts[index].name for index in dict.fromkeys(chosen)]


def _understand(sentence: str, predictor: VolumePredictor) -> None:
    """Raises UnsupportedRequest where it cannot be followed, with a model that follows sentences."""
    try:
        predictor.method.understand(sentence)
    except UnsupportedRequest as error:
        if predictor.method.follows_prompts:
            raise
        raise UnsupportedRequest(f"{error} The model {DEFAULT_MODEL} follows prompts (--model).") from error


def _between(a: str, b: str, t: str, predictor: VolumePredictor) -> StyleRequest:
    try:
        share = float(t)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UnsupportedRequest(f"--between A B T needs a T from 0 (the first) to 1 (the second); got '{t}'.")
    known = [expert.name.lower() for expert in predictor.method.experts]
    for name in (a, b):
        if name.lower() not in known:
            _understand(name, predictor)
    return StyleRequest(f"{a} to {b}, {share:g}", ends=(a, b, share))
