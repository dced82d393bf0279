"""What training starts with instead of random weights: a former run of the same method, or the U-Net of another one."""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from MultiRaterSegLib.checkpoint import read_weights
from MultiRaterSegLib.errors import DataError
from MultiRaterSegLib.method import Method
from MultiRaterSegLib.model_file import find_model, read_info, sha256_of

BACKBONE = "backbone."


def start_with(options: argparse.Namespace) -> Callable[[Method], dict] | None:
    """What `train` does to a new method for the options of start_options.py (and --stages)."""
    if options.start_from is not None:
        return partial(start_from, path=options.start_from)
    if options.former_stages_from is not None:
        return partial(former_stages_from, path=options.former_stages_from, stages=options.stages or [])
    return options.backbone_from and partial(backbone_from, path=options.backbone_from)


def start_from(method: Method, path: Path) -> dict[str, str]:
    """Takes over all weights. Returns what the checkpoint should say of it.

    Raises DataError when they do not fit, RecipeError when they stand for something else, CheckpointError when there is no
    such model.
    """
    path = find_model(path)
    weights, info = _load(path)
    try:
        method.start_from(weights, info)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(
            f"'{path}' cannot be what training starts from: {reason} Give the weights (.safetensors) of a run of the "
            "same method with the same [model], or only take its U-Net over with --backbone-from."
        ) from error
    return {"all_weights": sha256_of(path)}


def backbone_from(method: Method, path: Path) -> dict[str, str]:
    """Takes over the U-Net of any method's weights, into every U-Net that `method` has; the rest stays random.

    Returns what the checkpoint should say of it. Raises DataError when there is none, or one of other sizes.
    """
    path = find_model(path)
    given = {_within(name): value for name, value in _load(path)[0].items() if _within(name)}
    wanted = {name: value for name, value in method.state_dict().items() if _within(name)}
    sizes = {_within(name): value.shape for name, value in wanted.items()}
    if not given or sizes != {name: value.shape for name, value in given.items()}:
        raise DataError(
            f"'{path}' holds no U-Net as this recipe has it. Give the weights (.safetensors) of a run whose [model] has "
            f"the same backbone and widths, for images of as many channels ({method.channels})."
        )
    method.load_state_dict({name: given[_within(name)] for name in wanted}, strict=False)
    return {"backbone": sha256_of(path)}


def former_stages_from(method: Method, path: Path, stages: Sequence[str]) -> dict[str, str]:
    """Takes over the modules that stages before the first of `stages` train; the others may be of another kind there.

    Returns what the checkpoint should say of it. Raises DataError when no stage is before it or the weights do not fit.
    """
    path, order = find_model(path), method.stages()
    first = next((i for i, stage in enumerate(order) if stage.name in stages), 0)
    trained = {id(module) for stage in order[:first] for module in stage.modules}
    prefixes = tuple(f"{name}." for name, module in method.named_modules() if id(module) in trained)
    wanted = {name: value.shape for name, value in method.state_dict().items() if name.startswith(prefixes)}
    given = {name: value for name, value in _load(path)[0].items() if name in wanted}
    if not wanted or wanted != {name: value.shape for name, value in given.items()}:
        known = ", ".join(stage.name for stage in order[1:])
        raise DataError(
            f"'{path}' does not hold what the stages before '{', '.join(stages)}' train. Give the weights of a run of the "
            f"same method with those parts alike, and --stages with one that others come before: {known or 'there is none'}."
        )
    method.load_state_dict(given, strict=False)
    return {"former_stages": sha256_of(path)}


def _within(name: str) -> str:
    """The name of a tensor inside its backbone; "" for one that is outside."""
    before, found, after = name.partition(BACKBONE)
    return after if found and (not before or before.endswith(".")) else ""


def _load(path: Path) -> tuple[dict[str, Tensor], dict | None]:
    """A model's file with its header, or the weights alone that a stage leaves in its folder."""
    try:
        with safe_open(str(path), "np") as file:
            model = file.metadata()
        return (read_weights(path), read_info(path)) if model else (load_file(str(path)), None)
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"'{path}' cannot be what training starts from: {str(error).strip().splitlines()[0]} Give a file of weights "
            "(.safetensors)."
        ) from error
