"""How much an installation downloads, for the buttons. Figures of wheels, not promises: an index may serve newer ones."""

import platform

from packaging.requirements import Requirement

from ..i18n import _

# Megabytes, dependencies that Slicer lacks included, wheels for Python 3.12. Testing/slicer/test_download_sizes.py
# measures them on torch 2.13; builds for a GPU on Windows come from elsewhere, and their figure is that of Linux.
TORCH = {
    "cpu": {"Linux": 205, "Windows": 136, "Darwin": 125},
    "gpu": {"Linux": 2750, "Windows": 2750, "Darwin": 125},
}
OTHERS = {
    "monai": 2,
    "einops": 0.1,
    "safetensors": 0.5,
    "pydantic": 3,
    "matplotlib": 17,
    "rich": 2,
    "slicerio": 1,
    "transformers": 20,
    "open_clip_torch": 6,
    "ftfy": 0.1,
}


def megabytes(packages: list[Requirement], kind: str = "cpu") -> float:
    """Of these packages on this system; kind is torch's build, "cpu" or "gpu"."""
    return sum(TORCH[kind][system()] if need.name == "torch" else OTHERS.get(need.name, 1) for need in packages)


def system() -> str:
    """ "Linux", "Windows" or "Darwin" (macOS)."""
    return platform.system() if platform.system() in TORCH["cpu"] else "Linux"


def text(size: float) -> str:
    """Megabytes as people read them."""
    if size >= 1000:
        return _("about {size:.1f} GB").format(size=size / 1000)
    return _("about {size:.0f} MB").format(size=max(size, 1))
