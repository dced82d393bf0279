"""Messages on a pipe: a JSON header, then the arrays that it describes, raw.

    4 bytes  "MRS1"
    4 bytes  length of the header, little endian
    header   JSON in UTF-8; "arrays": [{"dtype", "shape"}, ...] describes what follows
    arrays   one after the other, C order, little endian; "bool" is packed, eight values a byte

Both ends run on one machine. A message is written whole before the next begins.
"""

import json
import struct
from collections.abc import Sequence
from math import prod
from typing import BinaryIO

import numpy as np

MAGIC = b"MRS1"
VERSION = 4
LONGEST_HEADER = 64 << 20
LARGEST_ARRAY = 64 << 30
DTYPES = ("bool", "uint8", "int8", "uint16", "int16", "int32", "float32")

_PREFIX = struct.Struct("<4sI")


class ProtocolError(Exception):
    """What arrived is not a message."""


class BrokenOff(ProtocolError):
    """The pipe ended in the middle of a message: the other end is gone."""


def write_message(stream: BinaryIO, header: dict, arrays: Sequence[np.ndarray] = ()) -> None:
    """Writes one message. header: anything JSON holds. arrays: of any shape, of one of DTYPES."""
    described = [{"dtype": array.dtype.name, "shape": array.shape} for array in arrays]
    text = json.dumps({**header, "arrays": described}).encode()
    stream.write(_PREFIX.pack(MAGIC, len(text)) + text)
    for array in arrays:
        stream.write(_to_bytes(array))
    stream.flush()


def read_message(stream: BinaryIO) -> tuple[dict, list[np.ndarray]] | None:
    """The next message, its arrays taken out of the header; None where the pipe was closed between two messages.

    Raises ProtocolError for anything else than a whole message.
    """
    prefix = _read(stream, _PREFIX.size, may_end=True)
    if prefix is None:
        return None
    magic, length = _PREFIX.unpack(prefix)
    if magic != MAGIC or length > LONGEST_HEADER:
        raise ProtocolError(f"A message begins with {MAGIC!r} and the length of its header; got {bytes(prefix)!r}.")
    try:
        header = json.loads(bytes(_read(stream, length)))
        described = [_described(entry) for entry in header.pop("arrays")]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ProtocolError(f"A header must be a JSON object that describes its arrays ({error}).") from error
    return header, [_read_array(stream, *entry) for entry in described]


def _described(entry: dict) -> tuple[str, tuple[int, ...], int]:
    """dtype, shape and size in bytes of an announced array."""
    name, shape = entry["dtype"], tuple(int(n) for n in entry["shape"])
    if name not in DTYPES or min(shape, default=0) < 0:
        raise ValueError(f"no array is {name} {shape}")
    size = (prod(shape) + 7) // 8 if name == "bool" else prod(shape) * np.dtype(name).itemsize
    if size > LARGEST_ARRAY:
        raise ValueError(f"an array of {size} bytes is too large")
    return name, shape, size


def _to_bytes(array: np.ndarray) -> memoryview:
    if array.dtype == bool:
        array = np.packbits(array.reshape(-1))
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return memoryview(little.reshape(-1).view(np.uint8))


def _read_array(stream: BinaryIO, name: str, shape: tuple[int, ...], size: int) -> np.ndarray:
    data = np.frombuffer(_read(stream, size), np.uint8)
    if name == "bool":
        return np.unpackbits(data, count=prod(shape)).view(bool).reshape(shape)
    return data.view(np.dtype(name).newbyteorder("<")).astype(name, copy=False).reshape(shape)


def _read(stream: BinaryIO, size: int, may_end: bool = False) -> bytearray | None:
    """Exactly `size` bytes. may_end: None where nothing more comes."""
    data = bytearray(size)
    rest = memoryview(data)
    while rest:
        count = stream.readinto(rest)
        if not count:
            if may_end and len(rest) == size:
                return None
            raise BrokenOff(f"The pipe ended {len(rest)} bytes before the end of a message.")
        rest = rest[count:]
    return data
