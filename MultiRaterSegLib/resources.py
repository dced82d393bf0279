"""Where shipped and installed files lie. No torch here: the command line's --help and `models` must be quick."""

import os
import sys
from pathlib import Path

from .errors import CheckpointError

PACKAGE = Path(__file__).resolve().parent


def resource_path(*parts: str) -> Path:
    """A file under Resources/. Raises when it is nowhere."""
    beside, inside = PACKAGE.parent / "Resources", PACKAGE / "Resources"  # a checkout or Slicer's modules; pip install
    for root in (beside, inside):
        if root.joinpath(*parts).exists():
            return root.joinpath(*parts)
    raise CheckpointError(f"The file Resources/{'/'.join(parts)} is missing from this installation. Install it again.")


def user_models_folder() -> Path:
    """Where `models install` puts weights: MULTIRATERSEG_MODELS, else the platform's data folder."""
    if "MULTIRATERSEG_MODELS" in os.environ:
        return Path(os.environ["MULTIRATERSEG_MODELS"])
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share"))
    return base / "MultiRaterSeg" / "models"


def model_files() -> dict[str, Path]:
    """Every model by name; an installed one hides a shipped one of the same name."""
    shipped = resource_path("Models")
    return {
        path.stem: path for folder in (shipped, user_models_folder()) for path in sorted(folder.glob("*.safetensors"))
    }
