"""What training starts with instead of random weights: a former run of the same method, or the U-Net of another one."""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from MultiRaterSegLib.errors import DataError
from MultiRaterSegLib.method import Method

BACKBONE = "backbone."


def start_with(all_weights: Path | None, backbone: Path | None) -> Callable[[Method], dict] | None:
    """What `train` does to a new method for the options --start-from and --backbone-from."""
    if all_weights is not None:
        return partial(start_from, path=all_weights)
    return backbone and partial(backbone_from, path=backbone)


def start_from(method: Method, path: Path) -> dict[str, str]:
    """Takes over all weights. Returns what the checkpoint should say of it. Raises DataError when they do not fit."""
    weights = _load(path)
    try:
        method.start_from(weights)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(
            f"'{path}' cannot be what training starts from: {reason} Give the weights (.safetensors) of a run of the "
            "same method with the same [model], or only take its U-Net over with --backbone-from."
        ) from error
    return {"all_weights": _sha256(path)}


def backbone_from(method: Method, path: Path) -> dict[str, str]:
    """Takes over the U-Net of any method's weights, into every U-Net that `method` has; the rest stays random.

    Returns what the checkpoint should say of it. Raises DataError when there is none, or one of other sizes.
    """
    given = {_within(name): value for name, value in _load(path).items() if _within(name)}
    wanted = {name: value for name, value in method.state_dict().items() if _within(name)}
    sizes = {_within(name): value.shape for name, value in wanted.items()}
    if not given or sizes != {name: value.shape for name, value in given.items()}:
        raise DataError(
            f"'{path}' holds no U-Net as this recipe has it. Give the weights (.safetensors) of a run whose [model] has "
            "the same backbone and widths."
        )
    method.load_state_dict({name: given[_within(name)] for name in wanted}, strict=False)
    return {"backbone": _sha256(path)}


def _within(name: str) -> str:
    """The name of a tensor inside its backbone; "" for one that is outside."""
    before, found, after = name.partition(BACKBONE)
    return after if found and (not before or before.endswith(".")) else ""


def _load(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(str(path))
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"'{path}' cannot be what training starts from: {str(error).strip().splitlines()[0]} Give a file of weights "
            "(.safetensors)."
        ) from error


def _sha256(path: Path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
