"""Installing what the worker needs, through Slicer's own means, when a person presses the button; never at import.

torch comes through the PyTorch extension, the rest through slicer.packaging (Slicer 5.12) or slicer.util.pip_install
(5.10). Whatever is installed already, above all what Slicer ships, is pinned while pip runs: it is never replaced.
Constraints do that rather than skip_packages, which installs without looking at dependencies and goes on after errors.
"""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from MultiRaterSegLib.errors import MultiRaterSegError

from ..i18n import _
from . import download_sizes, packages

Progress = Callable[[str, int, int], None]
"""Called before each step with its title, its number from 0 and the count of steps."""

REQUESTER = "MultiRaterSeg"
SHIPPED_BY_SLICER = {"numpy", "scipy", "simpleitk", "pydicom"}
ENCODERS = {"transformers": "text", "open_clip": "clip"}  # kind of installation -> extra in pyproject.toml

WAIT = _("Installing. This takes some minutes, and Slicer may not answer until it is done.")
NETWORK_ADVICE = _(
    "Behind a proxy, set the environment variable HTTPS_PROXY (for example http://proxy.example.org:8080) before Slicer "
    "starts. Without a network, download the wheels on another computer and choose 'From a folder of wheels'."
)


class InstallError(MultiRaterSegError):
    """An installation that cannot start or did not finish. details: pip's own words, for whoever looks into it."""

    def __init__(self, message: str, details: str = ""):
        super().__init__(message)
        self.details = details


class Choice(NamedTuple):
    """A button of the one dialog at first start."""

    kind: str
    label: str
    hint: str
    megabytes: int


class Step(NamedTuple):
    """Packages that one call installs."""

    title: str
    requirements: tuple[str, ...]
    megabytes: float
    by_pytorch_extension: bool = False


def missing() -> tuple[str, ...]:
    """Names of the packages that the worker lacks; () means that it can start. Takes milliseconds."""
    return tuple(need.name for need in packages.missing(packages.requirements()))


def choices() -> tuple[Choice, ...]:
    """What the dialog offers, the default first."""
    lacking = packages.missing(packages.requirements())
    cpu, gpu = (round(download_sizes.megabytes(lacking, kind)) for kind in ("cpu", "gpu"))
    return (
        Choice(
            "cpu",
            _("Install CPU version ({size})").format(size=download_sizes.text(cpu)),
            _("Works on every computer."),
            cpu,
        ),
        Choice(
            "gpu",
            _("Install GPU version ({size})").format(size=download_sizes.text(gpu)),
            _("Faster with an NVIDIA graphics card; without one it is the CPU version in the end."),
            gpu,
        ),
    )


def encoder_choices() -> tuple[Choice, ...]:
    """Optional text encoders that are not installed yet; the shipped models need none of them."""
    hints = {
        "transformers": _("For models that read prompts with MiniLM or CLIP."),
        "open_clip": _("For open_clip models."),
    }
    found = []
    for kind, extra in ENCODERS.items():
        if lacking := packages.missing(packages.requirements(extra)):
            size = round(download_sizes.megabytes(lacking))
            found.append(
                Choice(
                    kind,
                    _("Install {name} ({size})").format(name=kind, size=download_sizes.text(size)),
                    hints[kind],
                    size,
                )
            )
    return tuple(found)


@dataclass(frozen=True)
class Plan:
    """What an installation would do. Nothing changes until `run`."""

    kind: str
    steps: tuple[Step, ...]
    wheels: Path | None = None

    @property
    def megabytes(self) -> int:
        """Estimated download; 0 when nothing is missing or the wheels lie in a folder."""
        return 0 if self.wheels else round(sum(step.megabytes for step in self.steps))

    @property
    def summary(self) -> str:
        """Several lines for the dialog's details."""
        if not self.steps:
            return _("Everything is installed.")
        lines = [f"{step.title}: {', '.join(step.requirements)}" for step in self.steps]
        source = (
            _("From the folder {folder}").format(folder=self.wheels)
            if self.wheels
            else download_sizes.text(self.megabytes)
        )
        return "\n".join([*lines, source, _("Packages that are installed already stay as they are.")])

    def run(self, progress: Progress | None = None) -> None:
        """Installs; blocks for minutes. Call it on the main thread. Raises InstallError with what to do next."""
        before = packages.installed()
        for number, step in enumerate(self.steps):
            if progress is not None:
                progress(step.title, number, len(self.steps))
            self._run_step(step)
        _check_untouched(before, packages.installed())
        names = [Requirement(line).name for step in self.steps for line in step.requirements]
        if lacking := packages.missing([Requirement(name) for name in names]):
            raise InstallError(
                _("The installation ended, but {names} cannot be found. Restart Slicer and try again.").format(
                    names=", ".join(need.name for need in lacking)
                )
            )

    def _run_step(self, step: Step) -> None:
        with tempfile.TemporaryDirectory() as folder:
            constraints = Path(folder) / "constraints.txt"
            constraints.write_text(packages.constraints(), encoding="utf-8")
            try:
                if step.by_pytorch_extension:
                    with _environment(PIP_CONSTRAINT=constraints.as_uri()):  # a path with a space would be two files
                        _install_torch(self.kind, step.requirements[0])
                else:
                    _pip_install(step.requirements, constraints, self.wheels)
            except (subprocess.CalledProcessError, RuntimeError, ValueError, OSError, ImportError) as error:
                raise InstallError(_failure(step), _details(error)) from error


def plan(kind: str = "cpu", wheels: Path | str | None = None) -> Plan:
    """What installing would do: kind "cpu", "gpu", "transformers" or "open_clip"; wheels: a folder, for machines offline.

    Raises InstallError when it cannot work: the PyTorch extension is missing, a package that is here is too old, the
    folder lacks a wheel.
    """
    if kind not in ("cpu", "gpu", *ENCODERS):
        raise InstallError(f"There is no installation '{kind}'. Choose cpu, gpu, {', '.join(ENCODERS)}.")
    wanted = packages.requirements(ENCODERS.get(kind, ""))
    _refuse_outdated(wanted)
    if kind == "gpu":
        _refuse_cpu_build()
    lacking = packages.missing(wanted)
    folder = None if wheels is None else _wheel_folder(Path(wheels), lacking)
    torch = [need for need in lacking if need.name == "torch"]
    others = [need for need in lacking if need.name != "torch"]
    steps = []
    if torch:
        by_extension = folder is None
        if by_extension and util.find_spec("PyTorchUtils") is None:
            raise InstallError(
                _(
                    "PyTorch is installed by the extension 'PyTorch', which is missing. Open the Extensions Manager, install "
                    "'PyTorch', restart Slicer and press this button again."
                )
            )
        title = _("PyTorch, GPU version") if kind == "gpu" else _("PyTorch, CPU version")
        steps.append(Step(title, (str(torch[0]),), download_sizes.megabytes(torch, kind), by_extension))
    if others:
        title = _("Text encoder") if kind in ENCODERS else _("MONAI and smaller packages")
        steps.append(Step(title, tuple(map(str, others)), download_sizes.megabytes(others)))
    return Plan(kind, tuple(steps), folder)


def _refuse_outdated(wanted: list[Requirement]) -> None:
    for need, found in packages.outdated(wanted):
        if canonicalize_name(need.name) in SHIPPED_BY_SLICER:
            advice = _("It comes with this Slicer and is not replaced: use Slicer 5.10 or newer.")
        elif need.name == "torch":
            advice = _("Other extensions may use it. Open the module PyTorch Utils, uninstall PyTorch and try again.")
        else:
            advice = _("Another extension may need that version, so it is not replaced. To update it, type in the Python "
                       "console: slicer.util.pip_install('{need}')").format(need=need)  # fmt: skip
        message = _("{name} {found} is installed, but MultiRaterSeg needs {need}.").format(
            name=need.name, found=found, need=need
        )
        raise InstallError(f"{message} {advice}")


def _refuse_cpu_build() -> None:
    torch = packages.installed().get("torch", "")
    if torch.endswith("+cpu"):
        raise InstallError(
            _(
                "PyTorch {version}, the CPU version, is installed. To change it, open the module PyTorch Utils, uninstall "
                "PyTorch, restart Slicer and install the GPU version."
            ).format(version=torch)
        )


def _wheel_folder(folder: Path, lacking: list[Requirement]) -> Path:
    names = {canonicalize_name(path.name.split("-")[0]) for path in folder.glob("*.whl")}
    if absent := [need.name for need in lacking if canonicalize_name(need.name) not in names]:
        raise InstallError(
            _(
                "The folder '{folder}' holds no wheel of {names}. On a computer with a network and the same system, "
                "download them: PythonSlicer -m pip download --only-binary=:all: -d wheels {needs}"
            ).format(folder=folder, names=", ".join(absent), needs=" ".join(f'"{need}"' for need in lacking))
        )
    return folder.resolve()


def _install_torch(kind: str, requirement: str) -> None:
    """Through the PyTorch extension, which finds the build that fits the driver. Raises RuntimeError when it declines."""
    import PyTorchUtils

    versions = str(Requirement(requirement).specifier)
    logic = PyTorchUtils.PyTorchUtilsLogic()
    backend = "cpu" if kind == "cpu" and download_sizes.system() != "Darwin" else None  # macOS has a single build
    if logic.installTorch(False, backend, torchVersionRequirement=versions) is None:
        raise RuntimeError("PyTorchUtils installed nothing")


def _pip_install(requirements: tuple[str, ...], constraints: Path, wheels: Path | None) -> None:
    """slicer.packaging where Slicer has it (5.12), slicer.util.pip_install before. Wheels only: nothing is compiled."""
    options = ["--only-binary=:all:"]
    if wheels is not None:
        options += ["--no-index", "--find-links", str(wheels)]
    try:
        from slicer import packaging
    except ImportError:
        import slicer.util

        slicer.util.pip_install([*requirements, *options, "--constraint", str(constraints)])
    else:
        if packaging.isPipInstallInProgress():
            raise RuntimeError("another extension is installing packages")
        packaging.pip_install([*requirements, *options], constraints=constraints, requester=REQUESTER)


@contextmanager
def _environment(**settings: str) -> Iterator[None]:
    """The PyTorch extension starts pip itself: only the environment reaches it."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _check_untouched(before: dict[str, str], after: dict[str, str]) -> None:
    changed = [name for name in before if name != packages.PIP and after.get(name) != before[name]]
    if changed:
        raise InstallError(
            _(
                "The installation changed packages that it should have left alone: {names}. Install Slicer again."
            ).format(names=", ".join(f"{name} {before[name]} -> {after.get(name, '-')}" for name in changed))
        )


def _failure(step: Step) -> str:
    message = _("{title} could not be installed. Nothing that was installed before has changed.")
    return f"{message.format(title=step.title)} {NETWORK_ADVICE}"


def _details(error: Exception) -> str:
    """With what pip said, where Slicer passes it on."""
    said = [getattr(error, name, None) for name in ("output", "stderr")]
    return "\n".join([f"{type(error).__name__}: {error}", *filter(None, said)])
