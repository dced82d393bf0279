"""A stand-in for Slicer's Python: an empty virtual environment that believes to hold what Slicer ships.

Only the metadata of the shipped packages is there, which is all that pip looks at before it decides what to replace.
"""

import subprocess
import sys
import venv
import zipfile
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

SHIPPED = {  # Slicer 5.10's numpy and scipy; the others a little behind what an index offers
    "numpy": "2.0.2",
    "scipy": "1.13.1",
    "SimpleITK": "2.5.0",
    "pydicom": "3.0.1",
    "pillow": "11.1.0",
    "requests": "2.32.3",
    "packaging": "24.2",
    "setuptools": "80.9.0",
    "pip": "25.0",
    "odd": "not a version",
}


class SlicerPython:
    """packages: name -> version that seem installed. `pip` runs the real one on this environment."""

    def __init__(self, folder: Path, packages: dict[str, str] = SHIPPED):
        venv.create(folder, with_pip=False)
        self.python = folder / "bin" / "python"
        self.site = next(folder.glob("lib/python*/site-packages"))
        self.runs: list[list[str]] = []
        for name, version in packages.items():
            self.add(name, version)

    def add(self, name: str, version: str) -> None:
        info = self.site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "INSTALLER").write_text("pip\n")
        (info / "RECORD").write_text("")

    def versions(self) -> dict[str, str]:
        return {found.name: found.version for found in metadata.distributions(path=[str(self.site)])}

    def become(self, monkeypatch, packages) -> None:
        """Let MultiRaterSegSlicer.install.packages look here instead of at the Python that runs the tests."""
        where = SimpleNamespace(distributions=lambda: metadata.distributions(path=[str(self.site)]))
        monkeypatch.setattr(packages, "metadata", where)
        monkeypatch.setattr(packages, "util", SimpleNamespace(find_spec=lambda name: None))

    def pip(self, *arguments: str) -> str:
        """Runs `pip install`; raises CalledProcessError as Slicer's own functions do. Returns what it said."""
        self.runs.append(list(arguments))
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "install", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def write_wheel(folder: Path, name: str, version: str, requires: tuple[str, ...] = ()) -> None:
    """A wheel with one empty module."""
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {need}\n" for need in requires)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}/__init__.py", "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", f"{name}/__init__.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
