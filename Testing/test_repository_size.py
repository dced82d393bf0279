"""The Extensions Index refuses a checkout over 100 MB, history included; weights are what would get it there."""

import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
WEIGHTS = (".safetensors", ".pt", ".pth", ".ckpt", ".onnx", ".bin")
WEIGHTS_LIMIT, CHECKOUT_LIMIT = 45e6, 90e6  # bytes
FIXTURE_LIMIT = 4e6
"""No single file but weights needs more."""


def git(*arguments: str, given: str = "") -> str:
    done = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, input=given)
    if done.returncode:
        pytest.skip(f"needs the git history: {done.stderr.strip()}")
    return done.stdout


@pytest.fixture(scope="module")
def objects() -> dict[str, tuple[int, int, str]]:
    """Every version of every file that was ever committed: id -> its size, its size as git stores it, its path."""
    if git("rev-parse", "--is-shallow-repository").strip() == "true":
        pytest.skip("a shallow clone does not hold the history: git fetch --unshallow")
    paths = dict(line.split(" ", 1) for line in git("rev-list", "--all", "--objects").splitlines() if " " in line)
    sizes = git(
        "cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize) %(objectsize:disk)", given="\n".join(paths)
    )
    found = (line.split() for line in sizes.splitlines())
    return {name: (int(size), int(stored), paths[name]) for name, kind, size, stored in found if kind == "blob"}


def test_all_weights_that_were_ever_committed_stay_small(objects):
    weights = [size for size, _, path in objects.values() if path.endswith(WEIGHTS)]
    assert 0 < sum(weights) < WEIGHTS_LIMIT


def test_the_checkout_with_its_history_is_accepted_by_the_index(objects):
    stored = sum(stored for _, stored, _ in objects.values())
    files = [PROJECT / name for name in git("ls-files", "-z").split("\0") if name]
    assert stored + sum(path.stat().st_size for path in files if path.exists()) < CHECKOUT_LIMIT


def test_no_other_file_was_ever_large(objects):
    large = {path: size for size, _, path in objects.values() if size > FIXTURE_LIMIT and not path.endswith(WEIGHTS)}
    assert not large
