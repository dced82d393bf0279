"""What docs/slicer_console.md shows, run in a process of its own, as Slicer's would be: without torch."""

import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

BEFORE = """
import json, sys
from pathlib import Path
sys.path[:0] = [{project!r}, {project!r} + "/MultiRaterSeg", {here!r}]
from host import Host
host = Host(Path({folder!r})).publish()
import numpy as np
from slicer.util import addVolumeFromArray
from MultiRaterSegLib.io import read_volume
from MultiRaterSegLib.resources import resource_path
demo = read_volume(resource_path("SampleData", "SimulatedCT-RealOutlines.nrrd"))
at = json.loads(resource_path("SampleData", "SimulatedCT-RealOutlines.json").read_text())["lesion_ras_mm"]
for name in ("Case 1", "Case 2", "No lesion"):
    addVolumeFromArray(demo.voxels[0], ijkToRAS=demo.grid.affine, name=name)
for name, point in (("Case 1 lesion", at), ("Case 2 lesion", (9000, 0, 0))):
    host.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name).AddControlPoint(point)
"""
NO_TORCH = """
loaded = {"torch", "monai", "torchvision"} & set(sys.modules)
assert not loaded, loaded
"""
AFTER = """
from MultiRaterSegSlicer.scene.lesions import Lesions
(lesion,) = Lesions().all()
assert lesion.volume_node.GetName() == "Case 1"
assert lesion.names == ["consensus", "conservative", "fairly_conservative", "fairly_inclusive", "inclusive"]
assert lesion.map_node is not None and lesion.warnings
"""
CONSOLE = """
from slicer.util import getNode
from MultiRaterSegSlicer.logic import MultiRaterSegLogic
MultiRaterSegLogic.segment.__kwdefaults__["samples"] = 1
getNode("Case 1").SetName("CTChest"), getNode("Case 1 lesion").SetName("F")
"""
SHOWN = """
assert shown.label == "L1"
print(*shown.names, sep="\\n")
"""


def run(script: str, folder: Path) -> list[str]:
    """The lines that it prints in a scene with three scans and points on two of them."""
    here = str(Path(__file__).parent)
    code = BEFORE.format(project=str(PROJECT), here=here, folder=str(folder)) + script + NO_TORCH
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip().splitlines()


def documented(kind: str) -> str:
    text = (PROJECT / "docs" / "slicer_console.md").read_text(encoding="utf-8")
    (script,) = re.findall(rf"^```{kind}\n(.*?)^```$", text, re.S | re.M)
    return script


def test_the_documented_script_processes_a_scene_and_loads_no_torch(tmp_path):
    *rows, refused = run(documented("python").replace("samples=20", "samples=2") + AFTER, tmp_path)
    assert [row.split(",")[0] for row in rows[:2]] == ["Case 1: Consensus", "Case 1: Conservative (smallest)"]
    assert len(rows) == 5
    assert refused.startswith("Case 2: The point R, A, S = 9000.0")


def test_the_documented_calls_work_one_after_the_other(tmp_path):
    calls = re.sub(r"^write_(dicom_seg|rtstruct)\(.*$", "", documented("py"), flags=re.M)  # the scan is no DICOM
    names = run(CONSOLE + calls.replace("samples=40", "samples=1") + SHOWN, tmp_path)
    assert names[:3] == ["consensus", "inclusive", "include the ground-glass halo"]
    assert names[3] == "conservative to inclusive, 0.3"
    assert sorted(names[4:]) == ["conservative", "fairly_conservative", "fairly_inclusive", "smooth margin"]
    assert {"lesion.csv", "lesion.seg.nrrd"} <= {file.name for file in tmp_path.iterdir()}
