"""What the worker knows: its models, the lesions it has encoded, and how to answer each request."""

import platform
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np
import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from .. import __version__
from ..asked_style import AskedStyle
from ..checkpoint import method_of
from ..errors import CheckpointError, GeometryError, MultiRaterSegError, UnsupportedRequest
from ..geometry import Grid, Volume
from ..knobs import Knobs
from ..model_file import read_info
from ..predictor import DEFAULT_MODEL, Lesion, VolumePredictor, choose_device
from ..preview import SAMPLES, Previewer
from ..region import Place, Region
from ..resources import model_files
from ..text.parser import understand
from ..text.tokens import read_text
from .job import Job
from .model_info import ModelInfo

MODELS_KEPT = 2
LESIONS_KEPT = 4
SUGGESTIONS = ("tighter", "include halo", "include spiculations")

T = TypeVar("T")
Answer = tuple[dict, Sequence[np.ndarray]]


class Session:
    """device: as VolumePredictor.from_checkpoint takes it."""

    def __init__(self, device: str = "auto"):
        self.device = choose_device(device)
        self.models, self.unusable = _catalogue()
        self._predictors: Recent[VolumePredictor] = Recent(MODELS_KEPT)
        self._lesions: Recent[Previewer] = Recent(LESIONS_KEPT)
        self._job: Job | None = None
        self.immediate = {"understand": self.understand, "ping": lambda header: ({}, ())}
        # Every layer of every method asks first, so that no method needs to know of cancelling.
        register_module_forward_pre_hook(lambda module, inputs: self._job and self._job.check())

    def hello(self) -> dict:
        """What is here."""
        return {
            "version": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "device": self.device,
            "models": [model.to_json() for model in self.models.values()],
            "unusable": self.unusable,
            "default_model": DEFAULT_MODEL,
        }

    def answer(self, job: Job) -> Answer:
        """The header and arrays of the reply. Raises the library's errors."""
        self._job = job
        try:
            job.check()
            return self._operation(job)(job)
        finally:
            self._job = None

    def _operation(self, job: Job) -> Callable[[Job], Answer]:
        quick = {name: lambda job, reply=reply: reply(job.header) for name, reply in self.immediate.items()}
        operations = {"ask": self._ask, "preview": self._preview, **quick}
        if job.header.get("op") not in operations:
            known = ", ".join([*operations, "cancel"])
            raise UnsupportedRequest(f"There is no operation '{job.header.get('op')}'. There are: {known}.")
        return operations[job.header["op"]]

    def understand(self, header: dict) -> Answer:
        """How a sentence is read; `error` instead where it cannot be followed. Needs no model, so it never waits."""
        sentence, model = header["sentence"], self._model(header["model"])
        reply = {"summary": "", "notes": (), "not_understood": (), "suggestions": SUGGESTIONS, "problem": ""}
        if not model.follows_prompts:
            problem = f"{model.title} cannot follow a sentence."
            return {**reply, "suggestions": (), "problem": problem}, ()
        try:
            read = (read_text if model.reads_descriptions else understand)(sentence)
            reply |= {"summary": read.summary(), "notes": read.notes, "not_understood": read.not_understood}
        except UnsupportedRequest as error:
            reply["problem"] = str(error)
        return reply, ()

    def _ask(self, job: Job) -> Answer:
        """All samples of one style."""
        if (known := self._lesion(job, job.header["samples"])) is None:
            return {"need": "voxels"}, ()
        samples, slices = job.header["samples"], len(known.lesion.image)
        step = job.step("Outlining", slices * samples, before=slices if job.arrays else 0)
        step(0)  # a slow model is seen to have begun
        prediction = known.lesion.ask(_style(job.header["style"]), samples, step)
        known.remember(prediction.samples)
        reply = {"title": prediction.title, "warnings": prediction.warnings, "provenance": prediction.provenance}
        return {**reply, "grid": _grid_json(prediction.grid)}, [prediction.samples]

    def _preview(self, job: Job) -> Answer:
        """One slice of one style."""
        if (known := self._lesion(job)) is None:
            return {"need": "voxels"}, ()
        seen = known.preview(_style(job.header["style"]), job.header["slice"], job.header.get("samples") or SAMPLES)
        reply = {"title": seen.title, "slice": seen.slice_index, "seconds": seen.seconds}
        return {**reply, "grid": _grid_json(seen.grid)}, [seen.mask]

    def _lesion(self, job: Job, samples: int = 0) -> Previewer | None:
        """The lesion of a request: known, or made from the voxels that came along; None where there are none.
        samples: how many will be decoded after it was looked at."""
        wanted = job.header["lesion"]
        known = self._lesions.get(wanted["key"])
        if known is None and not job.arrays:
            return None
        predictor = self._predictor(wanted["model"]) if known is None else known.lesion.predictor
        predictor.use(Knobs(**wanted.get("knobs", {})))  # of this lesion; another one of the model may have others
        if known is None:
            known = Previewer(self._look(predictor, wanted, job, samples))
            self._lesions.put(wanted["key"], known)
        return known

    def _look(self, predictor: VolumePredictor, wanted: dict, job: Job, samples: int) -> Lesion:
        scan = _grid(wanted["scan"])
        part = Volume(job.arrays[0], _grid(wanted["part"]), wanted["modality"], wanted["source"])
        place = {name: wanted[name] for name in ("at", "box") if name in wanted}
        region = Region.around(Place.of(scan, **place, source=part.source), scan, predictor.frame)
        if not region.window.same_as(part.grid):
            raise GeometryError(f"The voxels sent with a lesion must be {region.window.shape} of them around it.")
        slices = len(region.slices)
        step = job.step("Looking at the slices", slices, before=0, after=slices * samples)
        return predictor.lesion(part, **place, seed=wanted["seed"], progress=step, scan=scan)

    def _predictor(self, name: str) -> VolumePredictor:
        if (known := self._predictors.get(name)) is None:
            known = VolumePredictor.from_checkpoint(self._model(name).name, self.device)
            self._predictors.put(name, known)
        return known

    def _model(self, name: str) -> ModelInfo:
        if name not in self.models:
            raise CheckpointError(f"There is no model '{name}'. There are: {', '.join(self.models)}.")
        return self.models[name]


class Recent(Generic[T]):
    """The last few things that were used, by name."""

    def __init__(self, kept: int):
        self._kept, self._items = kept, OrderedDict()

    def get(self, name: str) -> T | None:
        if name in self._items:
            self._items.move_to_end(name)
        return self._items.get(name)

    def put(self, name: str, item: T) -> None:
        self._items[name] = item
        while len(self._items) > self._kept:
            self._items.popitem(last=False)


def _catalogue() -> tuple[dict[str, ModelInfo], dict[str, str]]:
    """The models that can be used, the default one first; and why others cannot, by name."""
    usable, unusable = {}, {}
    for name, path in sorted(model_files().items(), key=lambda item: (item[0] != DEFAULT_MODEL, item[0])):
        try:
            info = read_info(path)
            method, config = method_of(info, name)
            usable[name] = ModelInfo.of(name, info, method.title, *method.abilities(config))
        except MultiRaterSegError as error:
            unusable[name] = str(error)
    return usable, unusable


def _style(asked: str | list | None) -> AskedStyle:
    return tuple(asked) if isinstance(asked, list) else asked


def _grid(described: dict) -> Grid:
    return Grid(tuple(described["shape"]), np.array(described["affine"]))


def _grid_json(grid: Grid) -> dict:
    return {"shape": grid.shape, "affine": grid.affine.tolist()}
