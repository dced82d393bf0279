"""Models on disk: one safetensors file that explains itself.

The header holds everything the weights need (method, config, frame, labels, experts) and everything a person may ask
(data, recipe, seed, text encoder, figures). Nothing is unpickled. A file may leave tensors to another model's file, which
holds the very same ones (`save_checkpoint`, `shares`): an aligned model is its reference and little more.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from .errors import CheckpointError, TextEncoderError
from .frame import Frame
from .method import Expert, Method
from .model_file import find_model, read_info, sha256_of, shared_file

FORMAT = "MultiRaterSeg 1"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """method: in eval mode on its device. info: the header, a dict. sha256: of the file."""

    method: Method
    frame: Frame
    info: dict
    name: str
    sha256: str


def save_checkpoint(
    path: Path, method: Method, frame: Frame, info: dict, half: bool = True, shares: str | Path | None = None
) -> Path:
    """Writes weights (float16 when `half`) and header; `info` adds provenance: modality, data, recipe, seed, figures.

    shares: another model. Tensors equal to one of its own are left to its file, which is then needed to load this one.
    """
    header = {
        "method": method.name,
        "config": dataclasses.asdict(method.config),
        "channels": method.channels,
        "labels": list(method.labels),
        "experts": [dataclasses.asdict(expert) for expert in method.experts],
        "frame": dataclasses.asdict(frame),
        **({"text_encoder": method.text_identity} if method.text_identity else {}),
        **info,
    }
    state = {}
    for name, value in method.state_dict().items():
        value = value.detach().cpu().contiguous()
        state[name] = value.half() if half and value.is_floating_point() else value
    if shares is not None:
        other = find_model(shares)
        found = _equal_tensors(state, read_weights(other))
        header["shared"] = {"model": other.stem, "sha256": sha256_of(other), "tensors": found}
        state = {name: value for name, value in state.items() if name not in found}
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file(state, str(partial), metadata={"format": FORMAT, "multiraterseg": json.dumps(header)})
    partial.replace(path)
    return path


def method_of(info: dict, name: str) -> tuple[type[Method], Any]:
    """The method that a header names, and its Config. Raises CheckpointError."""
    from .methods import METHODS

    if info["method"] not in METHODS:
        raise CheckpointError(f"'{name}' is for method '{info['method']}'; this version knows {', '.join(METHODS)}.")
    kind = METHODS[info["method"]]
    try:
        return kind, TypeAdapter(kind.Config).validate_python(info["config"])
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, ("config", *first["loc"])))
        raise CheckpointError(
            f"'{name}' is not for this version: {place} = {first['input']!r}: {first['msg']}."
        ) from error


def load_checkpoint(name_or_path: str | Path, device: str | torch.device = "cpu") -> Checkpoint:
    """A shipped or installed model by name, or a file.

    Raises CheckpointError with the names that exist, and TextEncoderError where the frozen text encoder that it was trained
    with is not here, or another one is in its place.
    """
    path = find_model(name_or_path)
    info = read_info(path)
    kind, config = method_of(info, str(path))
    experts = tuple(Expert(**expert) for expert in info["experts"])
    method = kind(config, info["channels"], info["labels"], experts)
    _refuse_another_text_encoder(method, info.get("text_encoder"), path)
    try:
        method.load_state_dict(read_weights(path))
    except RuntimeError as error:
        raise CheckpointError(f"'{path}': its weights do not fit its own header: {error}") from error
    frame = TypeAdapter(Frame).validate_python(info["frame"])
    return Checkpoint(method.eval().to(device), frame, info, path.stem, sha256_of(path))


def _refuse_another_text_encoder(method: Method, trained_with: dict | None, path: Path) -> None:
    """trained_with: TextEncoder.identity of the header; files made before it was kept have none."""
    if trained_with is None or trained_with == method.text_identity:
        return
    here = method.text_identity or {}
    raise TextEncoderError(
        f"'{path}' was trained with the text encoder '{trained_with['encoder']}' of SHA-256 "
        f"{trained_with['weights_sha256']}; what is installed in its place has {here.get('weights_sha256')}, so sentences would "
        "mean something else. Install the weights it was trained with."
    )


def read_weights(path: Path) -> dict[str, Tensor]:
    """Every tensor of a model's file, float16 as float32; those it leaves to another model's file are read there.

    Raises CheckpointError when that file is missing or another one."""
    with safe_open(str(path), "pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    state = {name: value.float() if value.dtype == torch.float16 else value for name, value in state.items()}
    shared = read_info(path).get("shared")
    if shared:
        other = read_weights(shared_file(path, shared["model"], shared["sha256"]))
        state |= {name: other[theirs] for name, theirs in shared["tensors"].items()}
    return state


def _equal_tensors(state: dict[str, Tensor], other: dict[str, Tensor]) -> dict[str, str]:
    """Names in `state` -> names in `other` of tensors with the same values."""
    by_shape: dict[tuple[int, ...], list[str]] = {}
    for name, value in other.items():
        by_shape.setdefault(tuple(value.shape), []).append(name)
    found = {}
    for name, value in state.items():
        equal = (
            theirs
            for theirs in by_shape.get(tuple(value.shape), [])
            if torch.equal(value.to(other[theirs]), other[theirs])
        )
        theirs = next(equal, None)
        if theirs is not None:
            found[name] = theirs
    return found
