"""Files that are whole or not there: every writer works on a temporary name that is then moved into place."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK

from ..errors import GeometryError, VolumeError
from ..geometry import Grid
from .lps import image_on
from .quiet import quiet

WRITABLE = (".nrrd", ".nii.gz", ".nii", ".mha")
MANIFEST = ".multiraterseg-outputs"


def write_scalar_volume(array: np.ndarray, grid: Grid, path: str | Path) -> None:
    """Voxels [K, J, I] of any real type (float64 becomes float32) as .nrrd, .nii.gz, .nii or .mha, compressed.

    NRRD and MetaImage keep the grid exactly; NIfTI stores it in single precision.
    """
    _write_image(array.astype(np.float32) if array.dtype == np.float64 else array, grid, Path(path))


def write_label_volume(labels: np.ndarray, grid: Grid, path: str | Path) -> None:
    """Label numbers [K, J, I] (bool or integers from 0 to 65535; 0 is background), as `write_scalar_volume`."""
    if labels.dtype.kind not in "bui" or labels.min() < 0 or labels.max() > 65535:
        raise ValueError(f"Labels must be integers from 0 to 65535; got {labels.dtype}.")
    _write_image(labels.astype(np.uint8 if labels.max() < 256 else np.uint16), grid, Path(path))


def _write_image(array: np.ndarray, grid: Grid, path: Path) -> None:
    if array.shape != grid.shape:
        raise GeometryError(f"'{path.name}': voxels must be [K, J, I] = {grid.shape}; got {array.shape}.")
    if not path.name.lower().endswith(WRITABLE):
        raise VolumeError(f"'{path}' cannot be written: the name must end in {', '.join(WRITABLE)}.")
    with moved_into_place(path) as unfinished, quiet():
        SimpleITK.WriteImage(image_on(grid, array), str(unfinished), useCompression=True)


@contextmanager
def moved_into_place(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` with the same ending; when the block ends well, it becomes `path`.

    Raises VolumeError when the file cannot be written; nothing is left behind then.
    """
    path = Path(path).expanduser()
    unfinished = path.with_name(f".unfinished-{uuid.uuid4().hex}-{path.name}")
    try:
        yield unfinished
        os.replace(unfinished, path)
    except (OSError, RuntimeError) as error:
        raise VolumeError(f"'{path}' cannot be written: {_reason(error, path.parent)}.") from error
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def atomic_folder(out_dir: str | Path) -> Iterator[Path]:
    """Yields an empty temporary folder; when the block ends well, its files move into `out_dir`, all or none.

    On any failure, KeyboardInterrupt included, the temporary folder is removed and `out_dir` is as it was. Files that
    an earlier run put there (a hidden list names them) are replaced as a set, so results of two runs never mix; all
    other files stay. The temporary folder lies inside `out_dir`, or in its nearest existing parent, so that moving
    never crosses file systems. Raises VolumeError when the folder cannot be written.
    """
    out = Path(out_dir).expanduser().absolute()
    try:
        if out.exists() and not out.is_dir():
            raise VolumeError(f"'{out_dir}' is a file. Give a folder for the results.")
        base = next(folder for folder in (out, *out.parents) if folder.is_dir())
        work = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=base))
    except OSError as error:
        raise VolumeError(f"The folder '{out_dir}' cannot be written: {_reason(error, out)}.") from error
    try:
        fresh = work / "new"
        fresh.mkdir()
        yield fresh
        try:
            _publish(fresh, work / "replaced", out)
        except OSError as error:
            raise VolumeError(f"The folder '{out_dir}' cannot be written: {_reason(error, out)}.") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _publish(fresh: Path, replaced: Path, out: Path) -> None:
    """Moves earlier outputs out and the new ones in; puts everything back if one of the moves fails."""
    new = sorted(file.relative_to(fresh).as_posix() for file in fresh.rglob("*") if file.is_file())
    (fresh / MANIFEST).write_text("\n".join(new), encoding="utf-8")
    new.append(MANIFEST)
    out_is_new = not out.exists()
    moves = [(out / name, replaced / name) for name in {*new, *_earlier_outputs(out)} if (out / name).exists()]
    moves += [(fresh / name, out / name) for name in new]
    try:
        for source, target in moves:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, target)
    except BaseException:
        for source, target in reversed(moves):
            if target.exists() and not source.exists():
                os.replace(target, source)
        if out_is_new:
            shutil.rmtree(out, ignore_errors=True)
        raise


def _earlier_outputs(out: Path) -> list[str]:
    manifest = out / MANIFEST
    if not manifest.is_file():
        return []
    names = manifest.read_text(encoding="utf-8").splitlines()
    return [name for name in names if name and not Path(name).is_absolute() and ".." not in Path(name).parts]


def _reason(error: Exception, folder: Path) -> str:
    if isinstance(error, PermissionError):
        return "no permission"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return "the folder does not exist" if not folder.is_dir() else str(error).strip().splitlines()[-1]
