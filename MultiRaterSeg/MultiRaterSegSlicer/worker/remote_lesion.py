"""One place in one scan, as the worker looks at it."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from MultiRaterSegLib.asked_style import AskedStyle
from MultiRaterSegLib.expert import ranked_by_size
from MultiRaterSegLib.geometry import Grid, Volume
from MultiRaterSegLib.knobs import OWN, Knobs
from MultiRaterSegLib.lesion_result import LesionResult
from MultiRaterSegLib.prediction import Prediction
from MultiRaterSegLib.region import Region
from MultiRaterSegLib.worker.model_info import ModelInfo

if TYPE_CHECKING:
    from .client import WorkerClient
    from .task import Task


@dataclass(frozen=True, eq=False)
class Preview:
    """mask: bool [k, j, i] on `grid`, one voxel thick across the slices. slice_index: of the scan, along that axis.
    seconds: what decoding took. round_trip_s: from the request to the answer's arrival here."""

    mask: np.ndarray
    grid: Grid
    slice_index: int
    title: str
    seconds: float
    round_trip_s: float


@dataclass(frozen=True)
class Understood:
    """How a sentence was read. error: why it cannot be followed, or ""."""

    sentence: str
    summary: str
    notes: tuple[str, ...]
    not_understood: tuple[str, ...]
    suggestions: tuple[str, ...]
    error: str

    @classmethod
    def of(cls, sentence: str, reply: dict) -> "Understood":
        words = (tuple(reply[name]) for name in ("notes", "not_understood", "suggestions"))
        return cls(sentence, reply["summary"], *words, reply["problem"])


class RemoteLesion:
    """Encoded once by the worker; ask it for any number of styles. Lives on when the worker is restarted."""

    def __init__(
        self,
        client: "WorkerClient",
        part: Volume,
        region: Region,
        model: ModelInfo,
        seed: int,
        knobs: Knobs = OWN,
    ):
        """part: the voxels on `region.window`, this lesion's own copy. knobs: how it is drawn."""
        self.client, self.part, self.region, self.model = client, part, region, model
        self.seed, self.knobs = seed, knobs.over(model.knobs)

    @property
    def across(self) -> int:
        """Which axis of the scan (i = 0, j = 1, k = 2) runs across the slices."""
        return self.region.across

    def slice_at(self, ras: Sequence[float]) -> int | None:
        """The stored slice of the scan through a point (RAS mm); None where it was not looked at."""
        return self.region.slice_at(ras)

    def consensus(self, samples: int = 20, *, done=None, failed=None, progress=None) -> "Task":
        """The population of readers: a Prediction."""
        return self.style(None, samples, done=done, failed=failed, progress=progress)

    def style(self, style: AskedStyle, samples: int = 20, *, done=None, failed=None, progress=None) -> "Task":
        """An expert's name, a sentence, or (first, second, t): a Prediction."""
        header = {"op": "ask", "lesion": self._described, "style": style, "samples": samples}
        voxels = [self.part.voxels]
        return self.client.request(header, self._prediction, voxels, done=done, failed=failed, progress=progress)

    def preview(
        self, style: AskedStyle, slice_index: int, samples: int | None = None, *, done=None, failed=None
    ) -> "Task":
        """One stored slice of one style: a Preview. A newer one takes the place of one that is still on its way."""
        begun = time.perf_counter()

        def read(reply: dict, arrays: Sequence[np.ndarray]) -> Preview:
            facts = (reply["slice"], reply["title"], reply["seconds"])
            seen = Preview(arrays[0], _grid(reply["grid"]), *facts, time.perf_counter() - begun)
            self.client.preview_seconds[self.model.name, self.knobs] = seen.seconds
            return seen

        header = {"op": "preview", "lesion": self._described, "style": style, "slice": slice_index, "samples": samples}
        voxels = [self.part.voxels]
        return self.client.request(header, read, voxels, done=done, failed=failed, supersedes="preview")

    def result(self, consensus: Prediction, styles: dict[str, Prediction]) -> LesionResult:
        """The answers together, with what the model says of itself."""
        ranked = tuple(name for name in ranked_by_size(self.model.experts) if name in styles)
        experts = tuple(expert.name for expert in self.model.experts)
        return LesionResult(consensus, styles, self.part, self.model.labels[-1], ranked, self.model.info, experts)

    def _prediction(self, reply: dict, arrays: Sequence[np.ndarray]) -> Prediction:
        facts = (reply["title"], tuple(reply["warnings"]), reply["provenance"])
        return Prediction(arrays[0], _grid(reply["grid"]), self.region.scan, *facts)

    @cached_property
    def _described(self) -> dict:
        """What the worker must know to look at it; the key is made of all that, so that it never means anything else."""
        place = self.region.place
        where = {"at": place.center} if place.low is None else {"box": [place.low, place.high]}
        facts = {
            "model": self.model.name,
            "seed": self.seed,
            "knobs": asdict(self.knobs),
            **{name: np.asarray(value).tolist() for name, value in where.items()},
            "scan": _described(self.region.scan),
            "part": _described(self.region.window),
            "modality": self.part.modality,
            "source": self.part.source,
        }
        key = hashlib.blake2b(repr(facts).encode(), digest_size=16)
        key.update(self.part.voxels.data)
        return {"key": key.hexdigest(), **facts}


def _described(grid: Grid) -> dict:
    return {"shape": list(grid.shape), "affine": grid.affine.tolist()}


def _grid(described: dict) -> Grid:
    return Grid(tuple(described["shape"]), np.array(described["affine"]))
