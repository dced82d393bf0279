"""Consensus and styles of one lesion, asked one after the other, then put into the scene together."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import slicer

from MultiRaterSegLib.asked_style import AskedStyle, name_of
from MultiRaterSegLib.errors import GeometryError
from MultiRaterSegLib.prediction import Prediction
from MultiRaterSegLib.region import Place

from ..scene.lesions import Lesions, Model, SceneLesion
from .task import Pending, Progress, Task

if TYPE_CHECKING:
    from .remote_lesion import RemoteLesion

GONE = "'{name}' was removed from the scene in the meantime, so its outlines were dropped."
CONSENSUS = name_of(None)


class Segmentation(Pending):
    """Its result is the lesion in the scene; until then, and when it fails, the scene is as it was."""

    def __init__(
        self,
        lesion: "RemoteLesion",
        lesions: Lesions,
        scan: slicer.vtkMRMLVolumeNode,
        place,
        styles: Sequence[AskedStyle],
        samples: int,
        **callbacks,
    ):
        """lesions: of the scan's scene. place: as MultiRaterSegLogic.lesion takes it."""
        super().__init__(lesion.client, **callbacks)
        self._lesion, self._lesions, self._samples = lesion, lesions, samples
        self._scan, self._scan_name, self._place = scan, scan.GetName(), place
        self._styles = [*dict.fromkeys(styles), None]  # consensus last: a style that cannot be followed fails at once
        self._answers: dict[str, Prediction] = {}
        self._task = self._ask_next()

    def _ask_next(self) -> Task:
        style = self._styles[len(self._answers)]
        callbacks = {"done": self._answered, "failed": self.fail, "progress": self._report_one}
        return self._lesion.style(style, self._samples, **callbacks)

    def _answered(self, prediction: Prediction) -> None:
        self._answers[name_of(self._styles[len(self._answers)])] = prediction
        if self._wanted and len(self._answers) < len(self._styles):
            self._task = self._ask_next()
        elif self._scan.GetScene() is None:
            self.fail(GeometryError(GONE.format(name=self._scan_name)))
        else:
            self.finish(self._add_to_scene() if self._wanted else None)

    def _add_to_scene(self) -> SceneLesion:
        """One step for undo."""
        shown, model = self._shown_lesion(), Model.of(self._lesion.model)
        with self._lesions.action(f"Outlines of {shown.label}"):
            for name in (CONSENSUS, *(name for name in self._answers if name != CONSENSUS)):
                shown.add(name, self._answers[name], model)
        return shown

    def _shown_lesion(self) -> SceneLesion:
        """The lesion that this place stands for already, or a new one."""
        if not isinstance(self._place, slicer.vtkMRMLNode):
            center = self._lesion.region.place.center
            return self._lesions.at(self._scan, center) or self._lesions.add(self._scan, self._new_place_node())
        known = self._lesions.of_point(self._place)
        if known is not None and known.volume_node is self._scan and self._is_at(known.place):
            return known
        return self._lesions.add(self._scan, self._place)

    def _is_at(self, place: dict) -> bool:
        """Whether a lesion was made exactly where this one was looked for: a point may have been moved since."""
        center = self._lesion.region.place.center
        return np.allclose(Place.of(self._lesion.region.scan, **place).center, center, atol=1e-6)

    def _new_place_node(self) -> "slicer.vtkMRMLMarkupsNode":
        """A point or box in the scene where only its coordinates were given."""
        scene, place = self._scan.GetScene(), self._lesion.region.place
        name = scene.GenerateUniqueName("Lesion")
        if place.low is None:
            node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
            node.AddControlPoint(place.center.tolist())
        else:
            node = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", name)
            node.SetCenter(place.center.tolist())
            node.SetSize((place.high - place.low).tolist())
        return node

    def _report_one(self, made: Progress) -> None:
        self.report(replace(made, share=(len(self._answers) + made.share) / len(self._styles)))

    def _stop(self) -> None:
        self._task.cancel()
