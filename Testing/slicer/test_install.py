"""Installing what the worker needs: through Slicer's own means, and never at the cost of what Slicer ships."""

import json
import os
import subprocess
import sys
import tomllib
import urllib.parse
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest
import slicer
import slicer.util
from MultiRaterSegSlicer.install import installer, packages
from packaging.requirements import Requirement
from slicer_python import SHIPPED, SlicerPython, write_wheel

PROJECT = Path(__file__).resolve().parents[2]
NEEDED = [
    Requirement(line) for line in tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
]
LACKING = {need.name for need in NEEDED} - set(SHIPPED)


@pytest.fixture
def python(tmp_path, monkeypatch) -> SlicerPython:
    python = SlicerPython(tmp_path / "python")
    python.become(monkeypatch, packages)
    return python


@pytest.fixture
def slicer_512(python, monkeypatch):
    """slicer.packaging as Slicer 5.12 has it, on the real pip."""

    def pip_install(requirements, constraints=None, requester=None):
        assert requester == "MultiRaterSeg"
        python.pip(*requirements, "-c", str(constraints))

    packaging = SimpleNamespace(pip_install=pip_install, isPipInstallInProgress=lambda: False)
    monkeypatch.setattr(slicer, "packaging", packaging, raising=False)
    return packaging


@pytest.fixture
def slicer_510(python, monkeypatch):
    monkeypatch.delattr(slicer, "packaging", raising=False)
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    monkeypatch.setattr(slicer.util, "pip_install", lambda requirements: python.pip(*requirements))


@pytest.fixture
def pytorch(python, monkeypatch):
    """The PyTorch extension: writes down how it was called and what its pip would have obeyed."""

    calls = []

    class PyTorchUtilsLogic:
        def installTorch(self, askConfirmation=False, forceComputationBackend=None, torchVersionRequirement=None):
            pinned = Path(urllib.request.url2pathname(urllib.parse.urlsplit(os.environ["PIP_CONSTRAINT"]).path))
            calls.append((askConfirmation, forceComputationBackend, torchVersionRequirement, pinned.read_text()))
            python.add("torch", "2.13.0+cpu")
            return object()

    module = SimpleNamespace(PyTorchUtilsLogic=PyTorchUtilsLogic)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", module)
    monkeypatch.setattr(installer, "util", SimpleNamespace(find_spec=lambda name: sys.modules.get(name)))
    return calls


@pytest.fixture
def wheels(tmp_path):
    """A folder, with a space in its name, that satisfies everything; and newer wheels of what Slicer ships as a bait."""
    folder = tmp_path / "my wheels"
    folder.mkdir()
    for name in LACKING:
        write_wheel(folder, name, "99.0", ("numpy>=1.24", "requests"))
    for name in ("numpy", "scipy", "SimpleITK", "pydicom", "requests"):
        write_wheel(folder, name, "99.0")
    return folder


def shipped(python) -> dict[str, str]:
    return {name: version for name, version in python.versions().items() if name in SHIPPED}


def test_a_fresh_slicer_lacks_exactly_what_it_does_not_ship(python):
    assert set(installer.missing()) == LACKING
    assert "numpy" not in LACKING
    assert "torch" in LACKING


def test_a_package_without_metadata_that_can_be_imported_is_not_missing(python, monkeypatch):
    (python.site / "SimpleITK-2.5.0.dist-info" / "METADATA").unlink()
    assert "SimpleITK" in installer.missing()
    monkeypatch.setattr(packages, "util", SimpleNamespace(find_spec=lambda name: name == "SimpleITK" or None))
    assert "SimpleITK" not in installer.missing()


def test_the_cpu_version_is_offered_first_and_each_button_says_how_much_it_downloads(python):
    cpu, gpu = installer.choices()
    assert (cpu.kind, gpu.kind) == ("cpu", "gpu")
    assert cpu.label == f"Install CPU version (about {cpu.megabytes} MB)"
    assert "GB)" in gpu.label


@pytest.mark.parametrize(("kind", "backend"), [("cpu", "cpu"), ("gpu", None)])
def test_torch_comes_through_the_pytorch_extension_and_the_rest_through_slicer(
    slicer_512, pytorch, python, wheels, monkeypatch, kind, backend
):
    monkeypatch.setattr(installer.download_sizes, "system", lambda: "Linux")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", wheels.as_uri())
    steps = []
    plan = installer.plan(kind)
    plan.run(lambda *step: steps.append(step))
    ((asked, forced, versions, pinned),) = pytorch
    assert (asked, forced) == (False, backend)
    assert versions == str(next(need.specifier for need in NEEDED if need.name == "torch"))
    assert "numpy==2.0.2" in pinned
    assert "pip==" not in pinned  # the extension brings its own
    assert "odd" not in pinned  # pip would refuse the whole file
    assert steps == [(step.title, n, 2) for n, step in enumerate(plan.steps)]
    assert "torch" not in " ".join(python.runs[0])
    assert "torch==2.13.0+cpu" not in pinned
    assert installer.missing() == ()
    assert shipped(python) == SHIPPED
    assert "PIP_CONSTRAINT" not in os.environ


@pytest.mark.parametrize("version", ["slicer_510", "slicer_512"])
def test_a_folder_of_wheels_needs_neither_network_nor_extension_and_replaces_nothing(request, version, python, wheels):
    request.getfixturevalue(version)
    plan = installer.plan("cpu", wheels)
    assert plan.megabytes == 0
    assert str(wheels) in plan.summary
    plan.run()
    assert installer.missing() == ()
    assert shipped(python) == SHIPPED
    assert python.versions()["monai"] == "99.0"
    assert all("--no-index" in run for run in python.runs)


def test_a_package_that_wants_another_numpy_is_refused_and_nothing_changes(slicer_512, python, wheels):
    write_wheel(wheels, "monai", "99.1", ("numpy>=2.3",))
    (wheels / "monai-99.0-py3-none-any.whl").unlink()
    with pytest.raises(installer.InstallError, match=r"MONAI.*could not be installed.*HTTPS_PROXY") as error:
        installer.plan("cpu", wheels).run()
    assert "numpy" in error.value.details  # pip's words: what conflicts with what
    assert shipped(python) == SHIPPED
    assert "monai" not in python.versions()


def test_without_the_constraints_that_package_would_have_replaced_numpy(python, wheels):
    write_wheel(wheels, "greedy", "1.0", ("numpy>=2.3",))
    said = python.pip("greedy", "--no-index", "--find-links", str(wheels), "--dry-run")
    assert "numpy-99.0" in said


def test_a_missing_extension_or_wheel_is_one_sentence(python, tmp_path, monkeypatch):
    monkeypatch.setattr(installer, "util", SimpleNamespace(find_spec=lambda name: None))
    with pytest.raises(installer.InstallError, match="Open the Extensions Manager, install 'PyTorch'"):
        installer.plan("cpu")
    with pytest.raises(installer.InstallError, match=r"holds no wheel of torch, monai.*pip download"):
        installer.plan("cpu", tmp_path)
    with pytest.raises(installer.InstallError, match="There is no installation 'tpu'"):
        installer.plan("tpu")


@pytest.mark.parametrize(
    ("name", "version", "advice"),
    [
        ("numpy", "1.26.4", "use Slicer 5.10 or newer"),
        ("torch", "2.5.1", "PyTorch Utils"),
        ("pydantic", "1.10.2", "pip_install"),
    ],
)
def test_what_is_too_old_is_named_and_not_replaced(tmp_path, monkeypatch, name, version, advice):
    python = SlicerPython(tmp_path / "old", SHIPPED | {name: version})
    python.become(monkeypatch, packages)
    with pytest.raises(installer.InstallError, match=f"{name} {version} is installed.*{advice}"):
        installer.plan("cpu")


def test_the_gpu_version_does_not_silently_stay_the_cpu_version(python):
    python.add("torch", "2.13.0+cpu")
    with pytest.raises(installer.InstallError, match="CPU version, is installed"):
        installer.plan("gpu")


def test_an_extension_that_declines_and_an_installation_under_way_are_reported(
    slicer_512, pytorch, python, monkeypatch
):
    monkeypatch.setattr(sys.modules["PyTorchUtils"].PyTorchUtilsLogic, "installTorch", lambda *a, **k: None)
    with pytest.raises(installer.InstallError, match="PyTorch, CPU version could not be installed"):
        installer.plan("cpu").run()
    python.add("torch", "2.13.0")
    slicer_512.isPipInstallInProgress = lambda: True
    with pytest.raises(installer.InstallError) as error:
        installer.plan("cpu").run()
    assert "another extension is installing" in error.value.details


def test_slicer_in_testing_mode_may_install_nothing_and_that_is_noticed(slicer_512, python, wheels):
    slicer_512.pip_install = lambda *a, **k: None
    with pytest.raises(installer.InstallError, match=r"cannot be found. Restart Slicer"):
        installer.plan("cpu", wheels).run()


def test_text_encoders_are_a_choice_of_their_own(slicer_512, python, wheels):
    assert [choice.kind for choice in installer.encoder_choices()] == ["transformers", "open_clip"]
    write_wheel(wheels, "transformers", "99.0")
    installer.plan("transformers", wheels).run()
    assert [choice.kind for choice in installer.encoder_choices()] == ["open_clip"]
    assert "torch" in installer.missing()


def test_importing_the_module_installs_and_loads_nothing():
    code = (
        "import sys; import MultiRaterSegSlicer.install.installer as i; i.missing();"
        "bad = {'torch', 'monai', 'qt', 'PyTorchUtils', 'pip'} & set(sys.modules); assert not bad, bad"
    )
    paths = os.pathsep.join([str(PROJECT / "MultiRaterSeg"), str(PROJECT)])
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": paths})


@pytest.mark.slow
def test_the_package_index_satisfies_the_plan_without_touching_what_slicer_ships(
    slicer_512, python, monkeypatch, tmp_path
):
    """Asks the real index, downloads metadata only; torch is there as the PyTorch extension would have put it."""
    python.add("torch", "2.13.0+cpu")
    reports = []

    def dry_run(requirements, constraints, requester):
        report = tmp_path / "report.json"
        python.pip(*requirements, "-c", str(constraints), "--dry-run", "--report", str(report))
        reports.append(json.loads(report.read_text()))

    slicer_512.pip_install = dry_run
    with pytest.raises(installer.InstallError, match="cannot be found"):  # it was a dry run
        installer.plan("cpu").run()
    would = {item["metadata"]["name"].lower() for item in reports[0]["install"]}
    assert {"monai", "einops", "safetensors", "pydantic"} <= would
    assert not would & {name.lower() for name in [*SHIPPED, "torch"]}
