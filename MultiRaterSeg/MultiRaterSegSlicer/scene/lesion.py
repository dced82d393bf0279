"""One lesion in the scene, and what can be done with it: answers come and go, are shown, edited, reviewed and counted."""

import json

import numpy as np
import slicer
from slicer.util import arrayFromVolume

from MultiRaterSegLib.errors import GeometryError, UnsupportedRequest
from MultiRaterSegLib.geometry import Grid, Volume
from MultiRaterSegLib.lesion_result import LesionResult, Look
from MultiRaterSegLib.prediction import Prediction

from ..nodes import grid_of
from .answers import put_answer, remove_answer
from .folder import move_into_folder, remove_empty_folder
from .lesion_node import LesionNode, Model
from .numbers import hex_of, rows_of
from .record import CONSENSUS
from .review import edited_copy, restore_review, review_of, set_review
from .segments import free_name, is_as_we_left_it, remove_node
from .spots import SceneSpot, fill_spots, spots_in, spots_of
from .tables import Review, Row, fill_numbers

BANDS = "bands"
PROVENANCE, WARNINGS = "MultiRaterSeg.provenance", "MultiRaterSeg.warnings"  # node attributes, JSON
TABLES = {"numbers": "Numbers", "spots": "Places to look at"}


class SceneLesion(LesionNode):
    """One lesion, L1, L2, ...

    name: always "consensus", or what was asked for (an expert's name, a sentence, "a to b, 0.3").
    """

    def add(self, name: str, prediction: Prediction, model: Model | None = None) -> str:
        """Shows an answer; returns the id of its segment.

        The consensus brings its outline, bands and map (off), a style its outline; tables follow. An answer of that
        name that nobody touched is replaced in place; one that was edited or reviewed stays, the new one beside it.
        Raises GeometryError when the scan was deleted, moved by a transform or resampled since.
        """
        self._check_scan(prediction)
        with self.history.action(f"{prediction.title} of {self.label}"):
            self.history.on_undo(self.refresh)
            if model is not None:
                self._set_parameter("model", json.dumps(model._asdict()))
            segment = put_answer(self, name, prediction)
            self.refresh()
        return segment

    def remove(self, name: str) -> None:
        """Takes an answer away. Segments that somebody edited or reviewed stay, as theirs."""
        record = self.record(name)
        if record is None:
            return
        with self.history.action(f"removing {record.prediction.title} of {self.label}"):
            self.history.on_undo(self.refresh)
            remove_answer(self, record)
            self.refresh()

    @property
    def result(self) -> LesionResult | None:
        """What was answered so far, as the library's reports and files take it; None without a consensus."""
        records = {record.name: record for record in self.records}
        if CONSENSUS not in records:
            return None
        model, population = self.model, records.pop(CONSENSUS).prediction
        looks = {
            name: Look(record.segment, hex_of(self.segment(record).GetColor())) for name, record in records.items()
        }
        styles = {name: record.prediction for name, record in records.items()}
        ranked = tuple(name for name in model.ranked if name in styles)
        return LesionResult(
            population, styles, self._scan(population.reference), model.label, ranked, model.info, model.experts, looks
        )

    @property
    def rows(self) -> list[Row]:
        """The numbers of each answer, consensus first."""
        return rows_of(self, self.records)

    @property
    def spots(self) -> list[SceneSpot]:
        """Where outlines disagree most: slices, then spots; between styles, then between samples; worst first."""
        return spots_in(self.spots_node) if self.spots_node is not None else []

    @property
    def order_warnings(self) -> tuple[str, ...]:
        """A sentence for each pair of ranked styles whose sizes come out the wrong way round."""
        records = {record.name: record.prediction for record in self.records}
        ranked = tuple(name for name in self.model.ranked if name in records)
        if not ranked:
            return ()
        anyone = records[ranked[0]]
        return LesionResult(anyone, records, self._scan(anyone.reference), ranked=ranked).order_warnings

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the person should not take at face value, each sentence once."""
        result = self.result
        if result is not None:
            return result.warnings
        found = (warning for record in self.records for warning in record.prediction.warnings)
        return (*dict.fromkeys(found), *self.order_warnings)

    def visible(self, name: str) -> bool:
        """Whether an answer is shown, or any of the "bands"."""
        return any(node.GetDisplayNode().GetSegmentVisibility(id_) for node, id_ in self.shown_by(name))

    def set_visible(self, name: str, on: bool) -> None:
        for node, id_ in self.shown_by(name):
            node.GetDisplayNode().SetSegmentVisibility(id_, on)

    def edit_copy(self, name: str) -> "slicer.vtkMRMLSegmentationNode":
        """A new segmentation with the answer's contour as it is now, alone, for the Segment Editor.

        Undo takes it away again unless it was edited or reviewed. Raises UnsupportedRequest when there is no such answer.
        """
        source, id_ = self.shown(name)
        title = source.GetSegmentation().GetSegment(id_).GetName()
        with self.history.action(f"the copy of {title} of {self.label}"):
            self.history.on_undo(self.refresh)
            node = edited_copy(source, id_, f"{self.label} Edited {title}", self.volume_node)
            self.node.AddNodeReferenceID("edited", node.GetID())
            self.history.on_undo(lambda: _remove_untouched(node, id_))
            self.refresh()
        return node

    def review(self, what, state: str, note: str = "") -> None:
        """Accepts or flags an outline, with a note. what: an answer's name, or an edited copy's node. state: "accepted",
        "flagged", or "" to take it back. Raises UnsupportedRequest for another state, or when it is not there."""
        node, id_ = self.shown(what)
        before = review_of(node, id_)
        with self.history.action(f"the review of {node.GetSegmentation().GetSegment(id_).GetName()} of {self.label}"):
            self.history.on_undo(self.refresh)
            set_review(node, id_, state, note)
            self.history.on_undo(lambda: restore_review(node, id_, before))
            self.refresh()

    def review_of(self, what) -> Review | None:
        return review_of(*self.shown(what))

    def refresh(self) -> None:
        """Tables, warnings and folder follow what there is; a segmentation or folder that is empty goes away."""
        scene, uid = self.node.GetScene(), self.node.GetParameter("uid")
        if scene is None:
            return
        for node in (self.agreement_node, self.styles_node):
            if node is not None and not node.GetSegmentation().GetNumberOfSegments():
                remove_node(node)
        self._fill_tables()
        if shown := [*self.own_nodes, *self.edited_nodes]:
            move_into_folder(shown, uid, self.label, self.volume_node)
        else:
            remove_empty_folder(scene, uid)
        made = {record.name: record.prediction.provenance for record in self.records}
        for node in self.own_nodes:
            node.SetAttribute(PROVENANCE, json.dumps(made, ensure_ascii=False))
            node.SetAttribute(WARNINGS, json.dumps(self.warnings, ensure_ascii=False))

    def _fill_tables(self) -> None:
        scene, records = self.node.GetScene(), self.records
        for role, name in TABLES.items():
            table = self.referenced(role)
            if not records:
                remove_node(table) if table is not None else None
                continue
            if table is None:
                table = scene.AddNewNodeByClass("vtkMRMLTableNode", free_name(scene, f"{self.label} {name}"))
                self.node.SetNodeReferenceID(role, table.GetID())
            fill_numbers(table, rows_of(self, records)) if role == "numbers" else fill_spots(table, spots_of(records))

    def _check_scan(self, prediction: Prediction) -> None:
        node = self.volume_node
        if node is None:
            raise GeometryError(f"The scan of {self.label} was deleted. Load it again and place a new point.")
        if not grid_of(node).same_as(prediction.reference, tolerance_mm=1e-3):
            raise GeometryError(
                f"'{node.GetName()}' has other voxels than when {self.label} was computed. Compute it again."
            )

    def _scan(self, grid: Grid) -> Volume:
        """The scan as a view of the node's memory; without voxels when the node was deleted."""
        node = self.volume_node
        if node is None or node.GetImageData() is None:
            return Volume(np.broadcast_to(np.int16(0), (1, *grid.shape)), grid, source=self.node.GetParameter("source"))
        voxels = arrayFromVolume(node)
        return Volume(np.moveaxis(voxels, -1, 0) if voxels.ndim == 4 else voxels[None], grid, source=node.GetName())

    def shown(self, what) -> tuple["slicer.vtkMRMLSegmentationNode", str]:
        """The segmentation and segment of an answer's name or of an edited copy."""
        if not isinstance(what, str):
            return what, what.GetSegmentation().GetNthSegmentID(0)
        record = self.record(what)
        if record is None:
            raise UnsupportedRequest(
                f"{self.label} has no result '{what}'. Results: {', '.join(self.names) or 'none'}."
            )
        return self.node_of(what), record.segment

    def shown_by(self, name: str) -> list[tuple["slicer.vtkMRMLSegmentationNode", str]]:
        record = self.record(CONSENSUS if name == BANDS else name)
        if record is None:
            return []
        node, ids = self.node_of(record.name), record.bands.values() if name == BANDS else [record.segment]
        return [(node, id_) for id_ in ids if node.GetSegmentation().GetSegment(id_) is not None]


def _remove_untouched(node, id_: str) -> None:
    if node.GetScene() is not None and is_as_we_left_it(node, id_) and review_of(node, id_) is None:
        remove_node(node)
