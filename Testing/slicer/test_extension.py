"""The extension as the Extensions Index and Slicer's build see it: metadata, the list of files, and what gets installed."""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import shipped_files

PROJECT = shipped_files.PROJECT
CMAKE = shutil.which("cmake", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
STAND_IN = Path(__file__).parent / "cmake"
MODULES = "lib/Slicer-5.12/qt-scripted-modules"


def cmake_variable(name: str) -> str:
    return re.search(rf'set\({name} "([^"]*)"\)', (PROJECT / "CMakeLists.txt").read_text())[1]


@pytest.mark.parametrize("folder", shipped_files.FOLDERS)
def test_every_file_is_listed_and_every_listed_file_exists(folder):
    message = "Run: python Testing/slicer/shipped_files.py"
    assert shipped_files.listed(folder) == shipped_files.shipped(folder), message


def test_the_shipped_folders_hold_nothing_but_what_is_meant_to_ship():
    kinds = {
        Path(name).suffix
        for folder in shipped_files.FOLDERS
        for files in shipped_files.shipped(folder).values()
        for name in files
    }
    assert kinds <= {".py", ".ui", ".png", ".toml", ".md", ".safetensors", ".nrrd", ".json", ".npz", ".mrb", ".csv"}


def test_the_index_entry_agrees_with_cmake():
    entry = json.loads((PROJECT / "MultiRaterSeg.json").read_text())
    text = (PROJECT / "CMakeLists.txt").read_text()
    assert entry["build_dependencies"] == cmake_variable("EXTENSION_DEPENDS").split()
    assert entry["category"] == cmake_variable("EXTENSION_CATEGORY") == "Segmentation"
    assert entry["scm_url"].removesuffix(".git") == cmake_variable("EXTENSION_HOMEPAGE")
    assert entry["scm_url"].rsplit("/", 1)[1].startswith("Slicer")
    assert re.search(r"project\(\s*([^\s)]+)", text)[1] == "MultiRaterSeg"
    assert set(entry) == {
        "$schema",
        "build_dependencies",
        "build_subdirectory",
        "category",
        "scm_revision",
        "scm_url",
        "tier",
    }


@pytest.mark.parametrize("variable", ["EXTENSION_ICONURL", "EXTENSION_SCREENSHOTURLS"])
def test_pictures_of_the_index_are_files_of_this_repository(variable):
    for url in cmake_variable(variable).split():
        assert url.startswith("https://raw.githubusercontent.com/")
        assert (PROJECT / url.split("/main/", 1)[1]).exists(), url


@pytest.mark.parametrize("path", ["MultiRaterSeg.png", "MultiRaterSeg/Resources/Icons/MultiRaterSeg.png"])
def test_icons_are_png_of_128_pixels(path):
    head = (PROJECT / path).read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:24]) == (128, 128)


def test_the_licence_and_what_the_index_asks_of_a_readme_are_there():
    assert (PROJECT / "LICENSE.txt").read_text().lstrip().startswith("Apache License")
    readme = (PROJECT / "README.md").read_text()
    assert re.search(r"!\[.*\]\(.*\.png\)", readme)
    for heading in ("## In 3D Slicer", "## Tutorial", "## How to cite"):
        assert heading in readme


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The folder that `cmake --install` fills, with Slicer's build tree played by Testing/slicer/cmake."""
    if CMAKE is None or shutil.which("c++") is None:
        pytest.skip("needs cmake (pip install cmake) and a C++ compiler, as Slicer's own build does")
    build, target = tmp_path_factory.mktemp("build"), tmp_path_factory.mktemp("installed")
    run([CMAKE, "-S", PROJECT, "-B", build, f"-DSlicer_DIR={STAND_IN}", f"-DCMAKE_INSTALL_PREFIX={target}"])
    run([CMAKE, "--install", build])
    shutil.copytree(build / "recorded", target / "recorded")
    return target


def run(command, **options) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_cmake_knows_the_modules_the_tests_and_the_metadata(installed):
    recorded = installed / "recorded"
    assert (recorded / "modules").read_text().split() == ["MultiRaterSeg", "MultiRaterSegLib", "MultiRaterSegTraining"]
    tests = [Path(line).name for line in (recorded / "tests").read_text().splitlines()]
    assert tests == ["MultiRaterSeg.py", "MultiRaterSegModuleTest.py"]
    metadata = dict(line.split("=", 1) for line in (recorded / "metadata").read_text().splitlines())
    assert metadata["NAME"] == "MultiRaterSeg"
    assert metadata["DEPENDS"] == "PyTorch"
    assert metadata["PACKAGED"] == "yes"


def test_what_is_installed_is_exactly_what_ships(installed):
    root = installed / MODULES
    found = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    expected = {"Resources/pyproject.toml", "Resources/LICENSE.txt", "Resources/NOTICE"}
    for folder in shipped_files.FOLDERS:
        inside = "" if folder == "MultiRaterSeg" else f"{folder}/"
        expected |= {inside + name for files in shipped_files.shipped(folder).values() for name in files}
    assert found == expected
    assert sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) < 60e6


def in_installed_slicer(installed: Path, code: str) -> str:
    """Runs code in a fresh process that sees the installed modules and not this checkout."""
    checkout = [str(PROJECT), str(PROJECT / "MultiRaterSeg")]
    prepare = f"""
import sys
sys.path[:] = [{str(installed / MODULES)!r}, *(path for path in sys.path if path not in {checkout!r})]
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
"""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return run([sys.executable, "-c", prepare + code], cwd=installed, env=environment)


def test_the_installed_tree_outlines_a_lesion(installed):
    said = in_installed_slicer(
        installed,
        """
import json, MultiRaterSegLib
from pathlib import Path
from MultiRaterSegLib import VolumePredictor, read_volume
from MultiRaterSegLib.resources import resource_path
assert Path(MultiRaterSegLib.__file__).is_relative_to(Path.cwd()), MultiRaterSegLib.__file__
name = "SimulatedCT-RealOutlines"
at = json.loads(resource_path("SampleData", name + ".json").read_text())["lesion_ras_mm"]
lesion = VolumePredictor.from_checkpoint(device="cpu").lesion(read_volume(resource_path("SampleData", name + ".nrrd")), at=at)
print(lesion.consensus(samples=1).volumes_ml[0])
""",
    )
    assert 1 < float(said.split()[-1]) < 12  # the four readers say 3.6 to 7.6 mL


def test_the_installed_module_loads_slicers_side_without_torch_or_training(installed):
    said = in_installed_slicer(
        installed,
        """
import sys, slicer
from MultiRaterSegSlicer.install import installer
from MultiRaterSegSlicer.install import packages
from MultiRaterSegSlicer import examples, logic
from MultiRaterSegLib.resources import resource_path
assert packages.PLACES[0].exists() and packages.requirements()[0].name == "torch"
print(sorted({name.split(".")[0] for name in sys.modules} & {"torch", "monai", "lightning", "Training"}), installer.missing())
""",
    )
    assert said.split() == ["[]", "()"]


def test_training_is_found_beside_the_module(installed):
    script = installed / MODULES / "Training" / "train.py"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    assert "prosona" in run([sys.executable, script], cwd=installed, env=environment)
