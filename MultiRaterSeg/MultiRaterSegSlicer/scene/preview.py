"""The one outline that follows the slider: shown at once, kept only when somebody says so."""

import numpy as np

from MultiRaterSegLib import consensus
from MultiRaterSegLib.errors import UnsupportedRequest
from MultiRaterSegLib.geometry import Grid
from MultiRaterSegLib.prediction import Prediction
from MultiRaterSegLib.segments import PREVIEW_COLOR, rgb, terminology_of

from .lesion import SceneLesion
from .lesion_node import Model
from .segments import new_segmentation, put_mask, remove_node, show_filled

NAME, ID = "Preview (not kept)", "preview"


class Preview:
    """Of one lesion. Its node belongs to no lesion's results, is hidden from lists and never saved."""

    def __init__(self, lesion: SceneLesion):
        self.lesion = lesion
        self._node = None
        self._answer: tuple[str, Prediction] | None = None

    @property
    def node(self):
        """The segmentation with the preview alone; None while nothing is shown, or when somebody deleted it."""
        return self._node if self._node is not None and self._node.GetScene() is not None else None

    @property
    def visible(self) -> bool:
        return self.node is not None

    @property
    def can_keep(self) -> bool:
        """Whether the whole lesion is shown, not just a slice of it."""
        return self.visible and self._answer is not None

    def show_mask(self, mask: np.ndarray, grid: Grid) -> None:
        """mask: bool [k, j, i] on `grid`, any part of the scan's voxels; one slice is a grid of thickness 1."""
        self._answer = None
        if self.node is None:
            self._node = self._new_node()
        put_mask(mask, grid, self._node, ID)

    def show(self, name: str, prediction: Prediction) -> None:
        """The whole lesion as `prediction` has it. name: what was asked for, under which it may be kept."""
        self.show_mask(consensus.majority(prediction.samples), prediction.grid)
        self._answer = (name, prediction)

    def keep(self, model: Model | None = None) -> str:
        """Makes an answer of what is shown, with its own name, colour and record; returns its segment's id.

        Raises UnsupportedRequest while only a slice, or nothing, is shown.
        """
        if not self.can_keep:
            raise UnsupportedRequest(
                "There is no preview of the whole lesion to keep. Let the slider rest until it is shown."
            )
        name, prediction = self._answer
        segment = self.lesion.add(name, prediction, model)
        self.clear()
        return segment

    def clear(self) -> None:
        node, self._node, self._answer = self.node, None, None
        if node is not None:
            remove_node(node)

    def _new_node(self):
        node = new_segmentation(NAME, self.lesion.volume_node)
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        node.GetDisplayNode().SetSaveWithScene(False)
        node.GetSegmentation().AddEmptySegment(ID, NAME, rgb(PREVIEW_COLOR))
        node.GetSegmentation().GetSegment(ID).SetTerminology(terminology_of(self.lesion.model.label))
        show_filled(node, ID, False)
        return node
