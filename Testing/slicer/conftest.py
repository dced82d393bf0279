"""Slicer's real MRML library under pytest, without the application. Skipped, visibly, where slicer-core is missing."""

import re
import sys
from importlib import metadata
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "MultiRaterSeg")]  # Slicer puts both packages into one flat folder


def _import_slicer() -> bool:
    """Whether slicer-core is here. It would also import what lies in this folder, as that is called `slicer` too."""
    try:
        metadata.version("slicer-core")
    except metadata.PackageNotFoundError:
        return False
    path = sys.path[:]
    sys.path[:] = [folder for folder in path if Path(folder).resolve() != PROJECT / "Testing"]
    import slicer  # noqa: F401

    sys.path[:] = path
    return True


HAS_SLICER = _import_slicer()


class WithoutSlicer(pytest.Module):
    """A test file that cannot even be imported here."""

    def collect(self):
        pytest.skip("needs Slicer's MRML library: pip install slicer-core==5.12.4.0", allow_module_level=True)


def pytest_pycollect_makemodule(module_path, parent):
    return None if HAS_SLICER else WithoutSlicer.from_parent(parent, path=module_path)


@pytest.fixture
def new_host(tmp_path):
    """Starts Slicer's logics on a new, empty scene, which slicer.util then works on."""
    from host import Host

    def start():
        folder = tmp_path / f"host{len(hosts)}"
        folder.mkdir()
        hosts.append(Host(folder).publish())
        return hosts[-1]

    hosts = []  # alive until the test ends
    return start


@pytest.fixture
def host(new_host):
    return new_host()


@pytest.fixture
def bridge(host):
    """Slicer's Python surroundings on a new scene: load a module and use its panel. What went wrong fails at the end."""
    pytest.importorskip("PySide6", reason="needs Qt: pip install PySide6-Essentials==6.8.3")
    from bridge import Bridge

    surroundings = Bridge(host)
    yield surroundings
    surroundings.close()


@pytest.fixture(autouse=True)
def vtk_is_silent(capfd):
    """VTK and Slicer report errors on the process's stderr and carry on; here they fail the test."""
    yield
    said = [line for line in capfd.readouterr().err.splitlines() if re.search(r"\b(ERR|WARN)\||\bError\b", line)]
    assert not said, "\n".join(said)
