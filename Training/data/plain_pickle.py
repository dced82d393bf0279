"""Pickle files of plain data and numpy arrays, read without running anything that the file asks for.

A pickle may name any function to call. Here a name is never looked up: the few that numpy's arrays are written with
stand for the small classes below, which build an array from its bytes, and every other name is refused.
"""

import io
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np

from MultiRaterSegLib.errors import DataError

KINDS = "biuf"
"""Arrays of truth values, integers and floats; objects, records and text are refused."""


def read_plain_pickle(path: Path) -> object:
    """dicts, lists, tuples, numbers, text and numpy arrays, as they were pickled (any protocol, numpy 1 or 2).

    Raises DataError for a file that names anything else, that is damaged, or that is no pickle.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}.") from error
    try:
        return _plain(_Reader(io.BytesIO(content), encoding="latin1").load())
    except _Refused as error:
        raise DataError(
            f"'{path}' is not a plain data file: {error} Only dicts, lists, numbers, text and numpy arrays are read."
        ) from error
    except Exception as error:  # whatever damaged bytes lead the pickle machine to
        raise DataError(f"'{path}' is damaged, or not a pickle file: {error}") from error


class _Refused(Exception):
    """The file asks for more than data."""


class _Array:
    """Stands for numpy.ndarray: made empty, then given its state, as pickles of arrays do."""

    value: np.ndarray

    def __setstate__(self, state: tuple) -> None:
        _version, shape, kind, column_major, data = state
        self.value = _array(data, kind, shape, "F" if column_major else "C")


class _Kind:
    """Stands for numpy.dtype."""

    def __init__(self, name: str, *_):
        self.name, self.order = name, "="

    def __setstate__(self, state: tuple) -> None:
        self.order = state[1] if state[1] in ("<", ">") else "="

    @property
    def dtype(self) -> np.dtype:
        if not (isinstance(self.name, str) and len(self.name) == 2 and self.name[0] in KINDS):
            raise _Refused(f"it holds an array of type {str(self.name)[:40]!r}.")
        return np.dtype(self.name).newbyteorder(self.order)


class _Scalar:
    """Stands for a numpy number."""

    def __init__(self, kind: _Kind, data):
        self.value = _array(data, kind, (), "C")[()]


class _Buffer:
    """Stands for an array pickled as a buffer (protocol 5)."""

    def __init__(self, data, kind: _Kind, shape: tuple, order: str):
        self.value = _array(data, kind, shape, order)


def _array(data, kind: _Kind, shape: tuple, order: str) -> np.ndarray:
    """A copy in native byte order; numpy checks that the bytes fill the shape."""
    data = data.encode("latin1") if isinstance(data, str) else data
    flat = np.frombuffer(data, kind.dtype)
    return flat.reshape(shape, order="F" if order == "F" else "C").astype(flat.dtype.newbyteorder("="))


def _empty_array(*_) -> _Array:
    return _Array()


def _latin1_bytes(text: str, encoding: str) -> bytes:
    """How protocols 0 to 2 write bytes."""
    if encoding != "latin1":
        raise _Refused(f"it asks for the text encoding {encoding!r}.")
    return text.encode("latin1")


_NAMES: dict[tuple[str, str], Callable] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Kind,
    ("_codecs", "encode"): _latin1_bytes,
}
for _core in ("numpy.core", "numpy._core"):
    _NAMES[f"{_core}.multiarray", "_reconstruct"] = _empty_array
    _NAMES[f"{_core}.multiarray", "scalar"] = _Scalar
    _NAMES[f"{_core}.numeric", "_frombuffer"] = _Buffer


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable:
        if (module, name) not in _NAMES:
            raise _Refused(f"it asks for {module}.{name}.")
        return _NAMES[module, name]


def _plain(value: object) -> object:
    """Every stand-in replaced by its array or number."""
    if isinstance(value, (_Array, _Scalar, _Buffer)):
        return value.value
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item) for item in value)
    return value
