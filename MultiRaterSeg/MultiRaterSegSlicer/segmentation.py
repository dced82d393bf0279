"""Consensus and styles of one lesion, asked one after the other, then put into the scene together."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import slicer

from MultiRaterSegLib.asked_style import AskedStyle, name_of
from MultiRaterSegLib.errors import GeometryError
from MultiRaterSegLib.prediction import Prediction

from . import nodes
from .worker_task import Pending, Progress, Task

if TYPE_CHECKING:
    from .remote_lesion import RemoteLesion

Answer = tuple[slicer.vtkMRMLSegmentationNode, slicer.vtkMRMLScalarVolumeNode]
GONE = "'{name}' was removed from the scene in the meantime, so its outlines were dropped."


class Segmentation(Pending):
    """Its result are the nodes that it made; until then, and when it fails, the scene is as it was."""

    def __init__(
        self,
        lesion: "RemoteLesion",
        scan: slicer.vtkMRMLVolumeNode,
        styles: Sequence[AskedStyle],
        samples: int,
        **callbacks,
    ):
        super().__init__(lesion.client, **callbacks)
        self._lesion, self._scan, self._samples = lesion, scan, samples
        self._styles = [*dict.fromkeys(styles), None]  # consensus last: a style that cannot be followed fails at once
        self._answers: dict[str, Prediction] = {}
        self._name = scan.GetName()
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
            self.fail(GeometryError(GONE.format(name=self._name)))
        else:
            self.finish(self._add_to_scene() if self._wanted else None)

    def _add_to_scene(self) -> Answer:
        consensus = self._answers.pop(name_of(None))
        return nodes.add_result_to_scene(self._lesion.result(consensus, self._answers), self._scan)

    def _report_one(self, made: Progress) -> None:
        self.report(replace(made, share=(len(self._answers) + made.share) / len(self._styles)))

    def _stop(self) -> None:
        self._task.cancel()
