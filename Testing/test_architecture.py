"""Imports point down; the library knows neither Training nor Slicer. This makes the picture in docs a law."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
LIBRARY = PROJECT / "MultiRaterSegLib"

LAYERS = [
    {"errors"},
    {
        "geometry",
        "expert",
        "asked_style",
        "knobs",
        "suitability",
        "noise",
        "losses",
        "metrics",
        "calibration",
        "consensus",
        "memory",
    },
    {"resample", "frame", "diffusion", "networks", "text", "style_targets", "resources"},
    {"method"},
    {"methods"},
    {"checkpoint", "lesion_part", "prediction", "region"},
    {"predictor"},
]
"""Lower layers first; modules above the last one (io, reports, the command line) may import anything below."""


def imported(file: Path) -> set[str]:
    """Top-level parts that a file imports: "torch", "slicer", or a module of the library by its own name."""
    depth = len(file.relative_to(LIBRARY).parts) if file.is_relative_to(LIBRARY) else 0
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            parts = node.module.split(".")
            found.add(parts[1] if parts[0] == "MultiRaterSegLib" and len(parts) > 1 else parts[0])
        elif isinstance(node, ast.ImportFrom) and node.level == depth:
            names = [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]
            found |= set(names)
    return found


def test_the_library_imports_neither_training_nor_slicer():
    for file in LIBRARY.rglob("*.py"):
        assert not imported(file) & {"Training", "slicer", "qt", "vtk", "ctk", "lightning"}, file


def test_training_and_slicer_do_not_know_each_other():
    for file in (PROJECT / "Training").rglob("*.py"):
        assert not imported(file) & {"slicer", "MultiRaterSegSlicer", "vtk", "qt"}, file
    for file in (PROJECT / "MultiRaterSeg").rglob("*.py"):
        assert "Training" not in imported(file), file


@pytest.mark.parametrize("level", range(len(LAYERS)))
def test_imports_point_down(level):
    above = set().union(*LAYERS[level + 1 :])
    for name in LAYERS[level]:
        place = LIBRARY / name
        for file in place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")]:
            assert not imported(file) & above, f"{file.name} imports {imported(file) & above}"


SLICER_LAYERS = [{"nodes", "parameters", "i18n"}, {"scene"}, {"worker", "export"}, {"logic"}, {"panel"}]


@pytest.mark.parametrize("level", range(len(SLICER_LAYERS)))
def test_slicers_packages_import_downwards_and_only_the_panel_knows_widgets(level):
    above = set().union(*SLICER_LAYERS[level + 1 :])
    for name in SLICER_LAYERS[level]:
        place = PROJECT / "MultiRaterSeg" / "MultiRaterSegSlicer" / name
        for file in place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")]:
            tree = ast.parse(file.read_text())
            siblings = {
                part
                for node in ast.walk(tree)
                if isinstance(node, ast.ImportFrom) and node.level == (2 if place.is_dir() else 1)
                for part in ([node.module.split(".")[0]] if node.module else [alias.name for alias in node.names])
            }
            assert not siblings & above, f"{file.name} imports {siblings & above}"
            assert name == "panel" or not imported(file) & {"qt", "ctk"}, file


def test_importing_the_library_and_asking_for_help_load_no_torch():
    code = "import MultiRaterSegLib, MultiRaterSegLib.__main__, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PROJECT)
