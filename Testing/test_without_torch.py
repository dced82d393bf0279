"""What 3D Slicer's own process imports: no torch there, and before the first installation no other package either."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]

SHIPPED_WITH_SLICER = ("numpy", "scipy", "SimpleITK", "pydicom")
HEAVY = ("torch", "monai")
INSTALLED_LATER = (
    *HEAVY,
    "einops",
    "safetensors",
    "pydantic",
    "matplotlib",
    "contourpy",
    "slicerio",
    "highdicom",
    "rich",
)

FRESH = (
    "errors expert asked_style geometry frame region lesion_part consensus prediction lesion_result agreement upright"
)
FRESH += " segments suitability resources io worker.protocol worker.model_info"
INSTALLED = "model_file report result_files overview"

BLOCK = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names}:
            raise ModuleNotFoundError(f"{{name}} is blocked here", name=name)
sys.meta_path.insert(0, Blocked())
"""


def run_in_fresh_interpreter(code: str, blocked: tuple[str, ...]) -> None:
    code = BLOCK.format(names=blocked) + code
    made = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr


@pytest.mark.parametrize(("modules", "blocked"), [(FRESH, INSTALLED_LATER), (f"{FRESH} {INSTALLED}", HEAVY)])
def test_what_slicer_needs_of_the_library_imports_without(modules, blocked):
    run_in_fresh_interpreter("\n".join(f"import MultiRaterSegLib.{name}" for name in modules.split()), blocked)


def test_a_result_is_compared_and_shown_without_torch():
    code = """
import numpy as np
from MultiRaterSegLib.geometry import Grid, Volume
from MultiRaterSegLib.lesion_result import LesionResult
from MultiRaterSegLib.prediction import Prediction
from MultiRaterSegLib.report import report_of
from MultiRaterSegLib.segments import segments_of
grid = Grid((4, 8, 8), np.diag([1.0, 1.0, 2.0, 1.0]))
samples = np.zeros((3, 4, 8, 8), bool)
samples[:, 1:3, 2:6, 2:6] = True
prediction = Prediction(samples, grid, grid, "Consensus", (), {"place_ras": [4, 4, 4]})
result = LesionResult(prediction, {}, Volume(np.zeros((1, 4, 8, 8)), grid))
assert len(segments_of(result)) == 4 and report_of(result).outlines[0].outline_ml == 0.064
assert not {"torch", "monai"} & set(sys.modules)
"""
    run_in_fresh_interpreter(code, HEAVY)
