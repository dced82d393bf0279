"""Which files the extension ships, and the lists of them in the CMakeLists. Run it after adding a file:

python Testing/slicer/shipped_files.py
"""

import re
import subprocess
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
SCRIPTS, RESOURCES, DATA = "MODULE_PYTHON_SCRIPTS", "MODULE_PYTHON_RESOURCES", "RESOURCES"
NOT_SHIPPED = {"CMakeLists.txt", "Testing", "draw_icons.py"}
FOLDERS = ("MultiRaterSeg", "MultiRaterSegLib", "Training", "Resources")


def tracked(folder: str) -> list[str]:
    """Files of a folder as git knows them, relative to it and sorted; all files where there is no git."""
    root = PROJECT / folder
    try:
        command = ["git", "ls-files", "--cached", "-z"]
        found = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        found = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    return sorted(name for name in found if name and "__pycache__" not in name and (root / name).exists())


def shipped(folder: str) -> dict[str, list[str]]:
    """CMake variable -> files that belong into it."""
    files = [name for name in tracked(folder) if not NOT_SHIPPED & set(name.split("/"))]
    if folder == "Resources":
        return {DATA: files}
    scripts = [name for name in files if name.endswith(".py")]
    return {SCRIPTS: scripts, RESOURCES: [name for name in files if not name.endswith(".py")]}


def listed(folder: str) -> dict[str, list[str]]:
    """CMake variable -> files that the CMakeLists names."""
    text = (PROJECT / folder / "CMakeLists.txt").read_text()
    return {name: re.search(_block(name), text)[1].split() for name in shipped(folder)}


def write(folder: str) -> None:
    path = PROJECT / folder / "CMakeLists.txt"
    text = path.read_text()
    for name, files in shipped(folder).items():
        lines = "".join(f"  {file}\n" for file in files)
        text = re.sub(_block(name), f"set({name}\n{lines}  )", text)
    path.write_text(text)


def _block(name: str) -> str:
    return rf"set\({name}\n([^)]*)\)"


if __name__ == "__main__":
    for folder in FOLDERS:
        write(folder)
