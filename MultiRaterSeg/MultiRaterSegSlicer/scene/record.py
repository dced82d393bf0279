"""A prediction as text: how a lesion's answers, every simulated reader included, stay with the scene.

Segments show the majority; volumes' ranges, bands and reports need the samples. Packed they take some ten kilobytes.
"""

import base64
import json
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from MultiRaterSegLib.geometry import Grid
from MultiRaterSegLib.prediction import Prediction

CONSENSUS = "consensus"  # the name of one answer; any other is a style's
KEPT = 32  # records of a few MB each that stay unpacked


@dataclass(frozen=True, eq=False)
class Record:
    """One answer of a lesion. segment: the id that shows it. bands: ids by band, of the consensus. order: 0, 1, ..."""

    name: str
    segment: str
    prediction: Prediction
    order: int
    bands: dict[str, str] = field(default_factory=dict)

    def to_text(self) -> str:
        made = self.prediction
        packed = zlib.compress(np.packbits(made.samples).tobytes(), 1)
        text = json.dumps(
            {
                "name": self.name,
                "segment": self.segment,
                "order": self.order,
                "bands": self.bands,
                "title": made.title,
                "warnings": made.warnings,
                "provenance": made.provenance,
                "grid": _to_lists(made.grid),
                "reference": _to_lists(made.reference),
                "count": len(made.samples),
                "samples": base64.b64encode(packed).decode(),
            }
        )
        _remember(text, self)
        return text


_known: OrderedDict[str, Record] = OrderedDict()  # the newest last


def _remember(text: str, record: Record) -> None:
    _known[text] = record
    _known.move_to_end(text)
    while len(_known) > KEPT:
        _known.popitem(last=False)


def record_from_text(text: str) -> Record:
    """The same text gives the same object, so that what was worked out about it need not be worked out again."""
    if text not in _known:
        _remember(text, _unpacked(text))
    _known.move_to_end(text)
    return _known[text]


def _unpacked(text: str) -> Record:
    content = json.loads(text)
    grid, reference = (Grid(tuple(shape), affine) for shape, affine in (content["grid"], content["reference"]))
    packed = np.frombuffer(zlib.decompress(base64.b64decode(content["samples"])), np.uint8)
    shape = (content["count"], *grid.shape)
    samples = np.unpackbits(packed, count=int(np.prod(shape))).view(bool).reshape(shape)
    prediction = Prediction(
        samples, grid, reference, content["title"], tuple(content["warnings"]), content["provenance"]
    )
    return Record(content["name"], content["segment"], prediction, content["order"], content["bands"])


def turned(record: Record, scan: Grid) -> Record:
    """The record on the voxels of the scan as it is stored now: Slicer turns left-handed scans round when it loads them.
    A record of other voxels (the scan was resampled or moved) is returned as it is."""
    if record.prediction.reference.same_as(scan, tolerance_mm=1e-3):
        return record
    return _turned(record, scan.shape, scan.affine.tobytes())


@lru_cache(maxsize=KEPT)
def _turned(record: Record, shape: tuple[int, int, int], affine: bytes) -> Record:
    made, scan = record.prediction, Grid(shape, np.frombuffer(affine).reshape(4, 4))
    steps = np.linalg.inv(scan.affine[:3, :3]) @ made.reference.affine[:3, :3]
    axes = np.rint(steps)
    corners = scan.to_ijk(made.reference.to_ras([(0, 0, 0), made.reference.size_ijk - 1]))
    is_turned = np.allclose(steps, axes, atol=1e-3) and np.array_equal(np.abs(axes).sum(0), (1, 1, 1))
    if not is_turned or not np.allclose(np.sort(corners, 0), [(0, 0, 0), scan.size_ijk - 1], atol=1e-2):
        return record
    ends = scan.to_ijk(made.grid.to_ras([(0, 0, 0), made.grid.size_ijk - 1]))
    grid = scan.crop(np.rint(ends.min(0)), np.rint(ends.max(0)))
    source = np.abs(axes).argmax(1)  # of i, j, k of the scan, which axis of the record it is
    order = [1 + 2 - source[axis] for axis in (2, 1, 0)]
    flips = tuple(slice(None, None, int(axes[axis, source[axis]])) for axis in (2, 1, 0))
    samples = np.ascontiguousarray(made.samples.transpose(0, *order)[(slice(None), *flips)])
    return replace(record, prediction=replace(made, samples=samples, grid=grid, reference=scan))


def on_one_grid(records: Sequence[Record]) -> list[Record]:
    """The records on the smallest part of the scan that holds all of theirs: models look at parts of different size.
    Records of other voxels than the first one's (the scan was resampled since) are returned as they are."""
    alike = [one for one in records if one.prediction.reference.same_as(records[0].prediction.reference, 1e-3)]
    windows = [one.prediction.window for one in alike]
    if len({_ends(window) for window in windows}) < 2:
        return list(records)
    low, high = np.min([_ends(window)[0] for window in windows], 0), np.max([_ends(w)[1] for w in windows], 0)
    part = alike[0].prediction.reference.crop(low, high)
    return [_padded(one, part.shape, part.affine.tobytes()) if one in alike else one for one in records]


def _ends(window: tuple[slice, slice, slice]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """First and last voxel (i, j, k) of a window."""
    return tuple(ends.start for ends in window[::-1]), tuple(ends.stop - 1 for ends in window[::-1])


@lru_cache(maxsize=KEPT)
def _padded(record: Record, shape: tuple[int, int, int], affine: bytes) -> Record:
    made, part = record.prediction, Grid(shape, np.frombuffer(affine).reshape(4, 4))
    samples = np.zeros((len(made.samples), *shape), bool)
    samples[(slice(None), *made.grid.window_in(part))] = made.samples
    return replace(record, prediction=replace(made, samples=samples, grid=part))


def _to_lists(grid: Grid) -> tuple[tuple[int, ...], list]:
    return grid.shape, grid.affine.tolist()
