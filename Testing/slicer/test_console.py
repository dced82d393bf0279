"""The script of docs/slicer_console.md, run as it stands in a process of its own, as Slicer's would be: without torch."""

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
AFTER = """
from MultiRaterSegSlicer.scene.lesions import Lesions
(lesion,) = Lesions().all()
assert lesion.volume_node.GetName() == "Case 1"
assert lesion.names == ["consensus", "conservative", "fairly_conservative", "fairly_inclusive", "inclusive"]
assert lesion.map_node is not None and lesion.warnings
loaded = {"torch", "monai", "torchvision"} & set(sys.modules)
assert not loaded, loaded
"""


def test_the_documented_script_processes_a_scene_and_loads_no_torch(tmp_path):
    text = (PROJECT / "docs" / "slicer_console.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(.*?)```", text, re.S)
    script = script.replace("samples=20", "samples=2")
    here, folder = str(Path(__file__).parent), str(tmp_path)
    code = BEFORE.format(project=str(PROJECT), here=here, folder=folder) + script + AFTER
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    *rows, refused = made.stdout.strip().splitlines()
    assert [row.split(",")[0] for row in rows[:2]] == ["Case 1: Consensus", "Case 1: Conservative (smallest)"]
    assert len(rows) == 5
    assert refused.startswith("Case 2: The point R, A, S = 9000.0")
