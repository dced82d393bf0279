"""A prediction as text: how a lesion's answers, every simulated reader included, stay with the scene.

Segments show the majority; volumes' ranges, bands and reports need the samples. Packed they take some ten kilobytes.
"""

import base64
import json
import zlib
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from MultiRaterSegLib.geometry import Grid
from MultiRaterSegLib.prediction import Prediction

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


def _to_lists(grid: Grid) -> tuple[tuple[int, ...], list]:
    return grid.shape, grid.affine.tolist()
