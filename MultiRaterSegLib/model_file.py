"""A model's file without the model: where it is, what it says of itself. No torch here, so `models` answers at once."""

import hashlib
import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from .errors import CheckpointError
from .resources import model_files


def read_info(path: Path) -> dict:
    """The header alone, without building the model."""
    try:
        with safe_open(str(path), "np") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"'{path}' is not a readable model file ({error}).") from error
    if "multiraterseg" not in metadata:
        raise CheckpointError(
            f"'{path}' holds weights but no MultiRaterSeg header; it was not made by Training/train.py."
        )
    return json.loads(metadata["multiraterseg"])


def find_model(name_or_path: str | Path) -> Path:
    """The file of a model given by path, by run folder (its best.safetensors) or by name."""
    path = Path(name_or_path)
    for candidate in (path, path.with_name(path.name + ".safetensors"), path / "best.safetensors"):
        if candidate.is_file():
            return candidate
    models = model_files()
    if str(name_or_path) in models:
        return models[str(name_or_path)]
    known = ", ".join(sorted(models)) or "none"
    raise CheckpointError(f"No model '{name_or_path}'. Give a .safetensors file, or one of the installed: {known}.")


def shared_file(path: Path, model: str, sha256: str) -> Path:
    """The file of another model that `path` needs: beside it, else by name. Raises CheckpointError without that very file."""
    beside = path.with_name(f"{model}.safetensors")
    found = beside if beside.is_file() else model_files().get(model)
    if found is None or sha256_of(found) != sha256:
        what = "which is not installed" if found is None else f"but '{found}' is another version"
        raise CheckpointError(
            f"'{path}' holds only what differs from model '{model}', {what}. Put the {model}.safetensors that came with "
            f"it (SHA-256 {sha256}) into the same folder."
        )
    return found


def sha256_of(path: Path) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
