"""The pictures of the README come from one command, and show the panel at the size that it is made for."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("PySide6")

COMMAND = Path(__file__).with_name("screenshots.py")
PANELS = {"first_start", "example", "empty", "computing", "result", "steer", "review", "warning", "error"}
SLICES = {"outlines", "bands", "map"}


@pytest.mark.slow
def test_the_command_makes_every_picture(tmp_path):
    from PIL import Image

    subprocess.run([sys.executable, COMMAND, tmp_path], check=True, timeout=1200)
    names = {f"slicer_panel_{name}.png" for name in PANELS} | {f"slicer_slices_{name}.png" for name in SLICES}
    assert {path.name for path in tmp_path.iterdir()} == names | {"slicer_dialog_install.png"}
    for path in tmp_path.iterdir():
        assert path.stat().st_size < 300_000
        assert "panel" not in path.name or Image.open(path).size == (400, 900)
