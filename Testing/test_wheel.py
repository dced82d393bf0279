"""A plain `pip install .` carries all that the library reads: no checkout needed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
SOURCES = ("MultiRaterSegLib", "Resources", "pyproject.toml", "setup.py", "README.md", "LICENSE.txt", "NOTICE")


@pytest.fixture(scope="module")
def target(tmp_path_factory) -> Path:
    """The project installed into a folder of its own, from a copy: building leaves files behind."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    for name in SOURCES:
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        copy(PROJECT / name, source / name)
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", target, source]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    return target


@pytest.mark.slow
def test_the_installed_library_finds_its_model_and_scan_and_runs_the_demo(target, tmp_path):
    code = """
import sys, MultiRaterSegLib
assert MultiRaterSegLib.__file__.startswith(sys.argv.pop(1)), MultiRaterSegLib.__file__
from MultiRaterSegLib.__main__ import main
sys.exit(main())
"""
    environment = os.environ | {"PYTHONPATH": str(target)}
    command = [sys.executable, "-c", code, str(target), "demo", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "out" / "segmentation.seg.nrrd").exists()


@pytest.mark.slow
def test_everything_under_resources_that_the_library_may_read_is_in_it(target):
    for folder in ("Models", "SampleData"):
        shipped = {path.name for path in (PROJECT / "Resources" / folder).iterdir()}
        assert {path.name for path in (target / "MultiRaterSegLib" / "Resources" / folder).iterdir()} == shipped
