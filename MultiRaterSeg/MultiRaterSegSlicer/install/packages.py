"""Which Python packages the worker needs, which are here, and which must stay as they are. Reads metadata, imports none."""

import importlib
import tomllib
from importlib import metadata, util
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

PLACES = (  # in Slicer's package, in a checkout
    Path(__file__).resolve().parents[2] / "Resources" / "pyproject.toml",
    Path(__file__).resolve().parents[3] / "pyproject.toml",
)
PIP = "pip"
"""The one package that may change: the PyTorch extension installs a pip of its own choice before it installs torch."""


def requirements(extra: str = "") -> list[Requirement]:
    """What pyproject.toml asks for: the library's dependencies, or those of one extra ("text", "clip")."""
    path = next(path for path in PLACES if path.exists())
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    lines = project["optional-dependencies"][extra] if extra else project["dependencies"]
    return [Requirement(line) for line in lines]


def installed() -> dict[str, str]:
    """Canonical name -> version of everything this Python can import, as pip sees it."""
    importlib.invalidate_caches()  # pip ran in another process
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name, version = distribution.metadata["Name"], distribution.metadata["Version"]
        if name and version:
            found.setdefault(canonicalize_name(name), version)  # the first on the path is the one that is imported
    return found


def missing(wanted: list[Requirement]) -> list[Requirement]:
    """Those that are not here in any version. Some builds of Slicer ship packages without metadata: they count."""
    here = installed()
    return [need for need in wanted if canonicalize_name(need.name) not in here and util.find_spec(need.name) is None]


def outdated(wanted: list[Requirement]) -> list[tuple[Requirement, str]]:
    """Those that are here in a version that does not suffice, with that version."""
    here = installed()
    versions = [(need, here.get(canonicalize_name(need.name))) for need in wanted]
    return [(need, found) for need, found in versions if found and not need.specifier.contains(found, prereleases=True)]


def constraints() -> str:
    """A pip constraints file that pins every installed package to the version that is here."""
    return "".join(
        f"{name}=={version}\n" for name, version in sorted(installed().items()) if _can_be_pinned(name, version)
    )


def _can_be_pinned(name: str, version: str) -> bool:
    """One line that pip cannot read would make it refuse the whole file."""
    try:
        return name != PIP and bool(Version(version))
    except InvalidVersion:
        return False
