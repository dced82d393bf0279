"""What a person asks for, on nodes of the scene: no window, no Qt; for the panel, Slicer's Python console and tests."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import slicer

from MultiRaterSegLib.asked_style import AskedStyle
from MultiRaterSegLib.errors import GeometryError, UnsupportedRequest
from MultiRaterSegLib.io.voxels import check_voxels, compact
from MultiRaterSegLib.knobs import OWN, Knobs
from MultiRaterSegLib.region import Place, Region
from MultiRaterSegLib.suitability import check_channels, modality_warnings
from MultiRaterSegLib.worker.model_info import ModelInfo

from . import nodes
from .scene.lesions import Lesions, SceneLesion
from .worker.client import WorkerClient
from .worker.remote_lesion import Preview, RemoteLesion, Understood
from .worker.segmentation import Segmentation
from .worker.task import Progress, Task

FAST_PREVIEW_S = 0.15
"""Decoding that leaves time for the way there and back within 0.2 s."""


class MultiRaterSegLogic:
    """Outlines one lesion in the styles asked for and adds the answer to the scene, as the panel does.

        from MultiRaterSegSlicer.logic import MultiRaterSegLogic

        logic = MultiRaterSegLogic()
        scan, lesion = getNode("CTChest"), getNode("F")    # a volume; a point or a box on the lesion
        shown = logic.consensus(scan, lesion)              # L1 in the scene: shown.agreement_node, shown.map_node, ...
        logic.segment(scan, lesion, logic.experts)         # every reader style side by side
        logic.prompt(scan, lesion, "include the ground-glass halo")
        logic.interpolate(scan, lesion, "conservative", "inclusive", 0.3)

    The work is done by another process, which is started when it is first needed. Each call blocks until it is done
    (Ctrl-C cancels), or, with `done` or `failed`, returns a Task at once; then `pump()` must be called now and again, as
    the panel's timer does.

    Options of all requests: samples (simulated readers, default 20), seed (the same seed gives the same readers), model
    (by name), steps (of each sample of a diffusion model; fewer are faster, default its own number), preference (of an
    aligned model: 0 draws as before its alignment, 1 as alignment left it, default its own value), progress (blocking:
    called with the share done, 0..1, and cancels by returning False; else called with a Progress), done (called with the
    lesion in the scene), failed (called with the error). The consensus comes with every answer. What was there of the
    same name is replaced, unless somebody edited it; `lesions.undo()` takes a call back.

    Raises the library's errors, complete sentences, for a scan, place or style that cannot be used, and Cancelled; the
    scene is then as it was.
    """

    def __init__(self, client: WorkerClient | None = None, model: str | None = None):
        """model: by name; None: the one that the worker calls its default."""
        self.client, self.model = client or WorkerClient(), model
        self._lesions: Lesions | None = None

    @property
    def lesions(self) -> Lesions:
        """Those of the application's scene, and undo."""
        if self._lesions is None or self._lesions.scene is not slicer.mrmlScene:
            self._lesions = Lesions()
        return self._lesions

    # -- the worker -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the worker, unless it runs; returns at once."""
        self.client.start()

    def pump(self) -> int:
        """Delivers what has arrived from the worker; never waits."""
        return self.client.pump()

    def close(self) -> None:
        """Ends the worker."""
        self.client.close()

    def models(self) -> tuple[ModelInfo, ...]:
        """What can be asked, the default model first. Blocks until the worker is ready."""
        self.client.wait_until_ready()
        return self.client.hello.models

    @property
    def experts(self) -> list[str]:
        """Names of the reader styles that the model offers. Blocks until the worker is ready."""
        self.client.wait_until_ready()
        return [expert.name for expert in self.client.hello.model(self.model).experts]

    def previews_while_dragging(self, model: ModelInfo | str | None = None, knobs: Knobs = OWN) -> bool:
        """Whether the contour can follow a slider: how long the last preview so drawn took; True until one was made."""
        model = self._model(model)
        return self.client.preview_seconds.get((model.name, knobs.over(model.knobs)), 0.0) < FAST_PREVIEW_S

    def unsuitable(self, scan: "slicer.vtkMRMLVolumeNode", model: ModelInfo | str | None = None) -> str:
        """Why the model's answers on this scan mean little, as a sentence; "" when nothing speaks against it."""
        return " ".join(modality_warnings(nodes.volume_from_node(scan, copy=False).modality, self._model(model).info))

    # -- one lesion -------------------------------------------------------------------------------------------------

    def lesion(
        self,
        scan: "slicer.vtkMRMLVolumeNode",
        place,
        model: ModelInfo | str | None = None,
        seed: int = 0,
        knobs: Knobs = OWN,
    ) -> RemoteLesion:
        """A place in a scan, to ask for styles one by one; nothing is computed or sent yet, and nothing blocks.

        place: a point list with one point, an ROI, a point (r, a, s), two corners, or {"at": ...} or {"box": ...}; RAS
        mm. Only the voxels around it are copied. knobs: steps and preference. Raises WorkerError while the worker is not ready.
        """
        model = self._model(model)
        volume = nodes.volume_from_node(scan, copy=False)
        advice = "Choose a vector volume with these as its components, in this order."
        check_channels(volume, model.name, model.channels, model.info, advice)
        wanted = Place.of(volume.grid, **_where(place), source=volume.source)
        region = Region.around(wanted, volume.grid, model.frame)
        voxels = compact(region.cut(volume))
        check_voxels(voxels, volume.source)
        part = replace(volume, voxels=voxels, grid=region.window)
        return RemoteLesion(self.client, part, region, model, seed, knobs)

    def preview(
        self, scan, place, style: AskedStyle, ras, *, seed=0, model=None, steps=None, preference=None, **callbacks
    ) -> Preview | Task:
        """One stored slice of one style, the one at a point (RAS mm)."""
        blocking = self._ready(callbacks)
        lesion = self.lesion(scan, place, model, seed, Knobs(steps, preference))
        if (index := lesion.slice_at(ras)) is None:
            raise GeometryError("That slice is too far from the lesion; nothing was looked at there.")
        task = lesion.preview(style, index, **callbacks)
        return task.wait() if blocking else task

    def understand(self, sentence: str, model: ModelInfo | str | None = None, **callbacks) -> Understood | Task:
        """How the model reads a sentence, or, in its `error`, why it cannot follow it."""
        blocking = self._ready(callbacks)
        task = self.client.understand(sentence, self._model(model).name, **callbacks)
        return task.wait() if blocking else task

    # -- answers in the scene ---------------------------------------------------------------------------------------

    def consensus(self, scan, place, **options) -> SceneLesion | Segmentation:
        """The population of readers: what most of them include, and where they disagree."""
        return self.segment(scan, place, **options)

    def expert(self, scan, place, name: str, **options) -> SceneLesion | Segmentation:
        """One reader style by its name."""
        self._ready(options)
        model = self._model(options.get("model"))
        if name.lower() not in (known := _expert_names(model)):
            raise UnsupportedRequest(f"{model.title} knows no expert '{name}'. It knows: {', '.join(known.values())}.")
        return self.segment(scan, place, [name], **options)

    def prompt(self, scan, place, sentence: str, **options) -> SceneLesion | Segmentation:
        """The outline that a sentence asks for."""
        return self.segment(scan, place, [sentence], **options)

    def interpolate(self, scan, place, first: str, second: str, t: float, **options) -> SceneLesion | Segmentation:
        """Between two styles, each an expert's name or a sentence; t = 0 is the first, t = 1 the second."""
        return self.segment(scan, place, [(first, second, t)], **options)

    def segment(
        self,
        scan: "slicer.vtkMRMLVolumeNode",
        place,
        styles: Sequence[AskedStyle] = (),
        *,
        samples: int = 20,
        seed: int = 0,
        model: ModelInfo | str | None = None,
        steps: int | None = None,
        preference: float | None = None,
        progress: Callable | None = None,
        **callbacks,
    ) -> SceneLesion | Segmentation:
        """Consensus and any number of styles in one go; the lesion is looked at once."""
        blocking = self._ready(callbacks)
        lesion = self.lesion(scan, place, model, seed, Knobs(steps, preference))
        styles = [_as_the_model_spells_it(style, lesion.model) for style in styles]
        if not blocking:
            return Segmentation(lesion, self.lesions, scan, place, styles, samples, progress=progress, **callbacks)

        def report(made: Progress) -> None:
            if progress is not None and progress(made.share) is False:
                pending.cancel()

        pending = Segmentation(lesion, self.lesions, scan, place, styles, samples, progress=report)
        return pending.wait()

    def _ready(self, callbacks: dict) -> bool:
        """Whether the call blocks, that is, has no callbacks; then the worker is ready when this returns."""
        if callbacks.get("done") or callbacks.get("failed"):
            return False
        self.client.wait_until_ready()
        return True

    def _model(self, model: ModelInfo | str | None) -> ModelInfo:
        return model if isinstance(model, ModelInfo) else self.client.model(model or self.model)


def _expert_names(model: ModelInfo) -> dict[str, str]:
    """As the model spells them, by their lower-case forms; those too that it does not offer."""
    return {expert["name"].lower(): expert["name"] for expert in model.info["experts"]}


def _as_the_model_spells_it(style: AskedStyle, model: ModelInfo) -> AskedStyle:
    """ "Inclusive" is "inclusive": an answer goes by its name in the scene, so one style has one name."""
    names = _expert_names(model)
    if isinstance(style, str):
        return names.get(style.lower(), style)
    return style and (*(names.get(end.lower(), end) for end in style[:2]), style[2])


def _where(place) -> dict:
    """A node, point or box as `at` or `box` of Place."""
    if isinstance(place, dict):
        return place
    if not isinstance(place, slicer.vtkMRMLNode):
        return {"at": place} if np.ndim(place) == 1 else {"box": place}
    if place.IsA("vtkMRMLMarkupsROINode"):
        return {"box": nodes.roi_from_node(place)}
    points = nodes.points_from_node(place)
    if len(points) > 1:
        raise GeometryError(
            f"'{place.GetName()}' holds {len(points)} points. Give one lesion at a time: a list with a single point."
        )
    return {"at": points[0]}
