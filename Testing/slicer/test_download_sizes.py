"""The sizes on the buttons, measured: what pip would fetch for Slicer's Python on each system. Asks the package index."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from MultiRaterSegSlicer.install import download_sizes, packages
from slicer_python import SHIPPED

TAGS = {
    "Linux": [f"manylinux_2_{minor}_x86_64" for minor in range(39, 4, -1)] + ["manylinux2014_x86_64"],
    "Windows": ["win_amd64"],
    "Darwin": ["macosx_14_0_arm64", "macosx_11_0_arm64", "macosx_10_13_universal2"],
}
WITH_TORCH = ["torchvision==0.28.0", "sympy", "networkx", "jinja2", "fsspec", "filelock"]
"""What comes with torch besides CUDA. Named, because pip reads the conditions for CUDA as those of this machine."""
CPU_BUILD_LINUX_MB = 192
"""torch-2.13.0+cpu for Linux; the index serves the CUDA build under the same requirement."""

pytestmark = pytest.mark.slow


def measure(folder: Path, system: str, packages: list[str], *options: str) -> dict[str, float]:
    """Name -> megabytes of every wheel that pip would fetch, without what Slicer ships."""
    report = folder / "report.json"
    tags = [f"--platform={tag}" for tag in TAGS[system]]
    python = ["--python-version=3.12", "--only-binary=:all:", f"--target={folder / 'none'}"]
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--dry-run",
        f"--report={report}",
        *python,
        *tags,
        *options,
    ]
    subprocess.run([*command, *packages], check=True, capture_output=True)
    found = {
        item["metadata"]["name"].lower(): item["download_info"]["url"]
        for item in json.loads(report.read_text())["install"]
    }
    kept = {name: url for name, url in found.items() if name not in {shipped.lower() for shipped in SHIPPED}}
    return {name: size(url) for name, url in kept.items()}


def size(url: str) -> float:
    with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=60) as answer:
        return int(answer.headers["Content-Length"]) / 1e6


@pytest.mark.parametrize("system", TAGS)
def test_torch_for_the_cpu(tmp_path, system):
    torch = measure(tmp_path, system, ["torch==2.13.0"], "--no-deps")["torch"]
    others = sum(measure(tmp_path, system, [*WITH_TORCH], "--no-deps").values())
    total = (CPU_BUILD_LINUX_MB if system == "Linux" else torch) + others
    assert download_sizes.TORCH["cpu"][system] == pytest.approx(total, rel=0.1)


def test_torch_for_the_gpu_on_linux(tmp_path):
    total = sum(measure(tmp_path, "Linux", ["torch==2.13.0", "torchvision==0.28.0"]).values())
    assert download_sizes.TORCH["gpu"]["Linux"] == pytest.approx(total, rel=0.1)


@pytest.mark.parametrize("system", TAGS)
def test_the_rest(tmp_path, system):
    wanted = [str(need) for need in packages.requirements() if need.name not in {*SHIPPED, "torch"}]
    found = measure(tmp_path, system, wanted, "--no-deps") | {"torch": 0}
    # Dependencies one by one: pip would otherwise bring torch along with MONAI.
    lighter = [line for line in wanted if not line.startswith("monai")]
    found |= measure(tmp_path, system, lighter)
    expected = download_sizes.megabytes(
        [need for need in packages.requirements() if need.name in download_sizes.OTHERS]
    )
    assert sum(found.values()) == pytest.approx(expected, rel=0.25), found
