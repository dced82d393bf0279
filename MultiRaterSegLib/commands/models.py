"""models: what is installed, what it was trained for, and how to add or remove one."""

import shutil
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from ..errors import CheckpointError
from ..model_file import read_info, sha256_of
from ..resources import model_files, user_models_folder


def models(options: Namespace) -> None:
    """Runs the action: list (also without one), install or remove."""
    if options.action == "install":
        install(Path(options.file).expanduser(), options.sha256)
    elif options.action == "remove":
        remove(options.name)
    else:
        list_models()


def list_models() -> None:
    """A short paragraph for each model, on standard output."""
    found = model_files()
    if not found:
        print("No models. Add one with: python -m MultiRaterSegLib models install FILE")
    for name, path in sorted(found.items()):
        info = read_info(path)
        print(name)
        print(f"  trained for  {info.get('trained_for', 'not said')}")
        print(f"  method       {info['method']}")
        print(f"  readers      {', '.join(expert['name'] for expert in info['experts']) or 'none by name'}")
        print(f"  size         {path.stat().st_size / 1e6:.1f} MB")
        print(f"  SHA-256      {sha256_of(path)}")
        print(f"  file         {path}")


def install(path: Path, sha256: str | None) -> None:
    """`add`, after the model was loaded once. Raises CheckpointError."""
    from ..checkpoint import load_checkpoint  # torch; only now is it needed

    hides_shipped = add(path, load_checkpoint, sha256)
    print(f"Installed '{path.stem}' (SHA-256 {sha256_of(path)}). Use it with --model {path.stem}")
    if hides_shipped:
        print(
            f"It now hides the '{path.stem}' that came with MultiRaterSeg; models remove {path.stem} brings that back."
        )


def add(path: Path, check: Callable[[Path], object] = read_info, sha256: str | None = None) -> bool:
    """Copies a model to the user's models folder; whether it hides a shipped one of its name.

    check: raises CheckpointError for a file that is no model; the default reads its header and needs no torch.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no file '{path}'. Give a .safetensors file.")
    name, found = path.stem, sha256_of(path)
    if sha256 is not None and sha256.lower() != found:
        raise CheckpointError(f"'{path}' has the SHA-256 {found}, not {sha256.lower()}. Download it again.")
    target = user_models_folder() / f"{name}.safetensors"
    if target.exists() and sha256_of(target) != found:
        raise CheckpointError(f"Another model '{name}' is installed. Remove it first: models remove {name}")
    hides_shipped = name in model_files() and not target.exists()
    check(path)
    _copy(path, target)
    return hides_shipped


def remove(name: str) -> None:
    """Deletes an installed model. Raises CheckpointError for one that came with MultiRaterSeg, or is unknown."""
    installed = {path.stem: path for path in user_models_folder().glob("*.safetensors")}
    if name in installed:
        installed[name].unlink()
        print(f"Removed '{name}'.")
    elif name in model_files():
        raise CheckpointError(f"'{name}' came with MultiRaterSeg and is not removed. Only installed models are.")
    else:
        known = ", ".join(sorted(installed)) or "none"
        raise CheckpointError(f"No installed model '{name}'. Installed: {known}.")


def _copy(source: Path, target: Path) -> None:
    partial = target.with_suffix(".partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, partial)
        partial.replace(target)
    except OSError as error:
        raise CheckpointError(f"The models folder '{target.parent}' cannot be written: {error.strerror}.") from error
    finally:
        partial.unlink(missing_ok=True)
