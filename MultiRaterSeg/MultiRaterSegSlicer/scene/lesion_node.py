"""What the scene keeps of a lesion.

A hidden node holds what cannot be seen (place, model, every simulated reader) and refers to the nodes that can; so all
of it is saved with the scene, and deleting any of them by hand leaves the rest in order.
"""

import json
from typing import NamedTuple

import slicer

from MultiRaterSegLib.prediction import Prediction

from ..nodes import stored_grid
from .folder import folder_of
from .history import History
from .record import CONSENSUS, Record, on_one_grid, record_from_text, turned

ANSWER = "answer "  # parameters with answers begin with it


class Model(NamedTuple):
    """What the scene needs to know of a model. label: what it outlines. experts: the reader styles it offers, in order.
    ranked: those of them that should grow from first to last. info: its header (trained_for, modality ...)."""

    label: str = "lesion"
    experts: tuple[str, ...] = ()
    ranked: tuple[str, ...] = ()
    info: dict | None = None

    @classmethod
    def of(cls, model) -> "Model":
        """From what the worker says of a model (ModelInfo)."""
        names = tuple(expert.name for expert in model.experts)
        ranked = tuple(expert.name for expert in model.experts if expert.ranked_by != "rater")
        return cls(model.labels[-1], names, ranked, dict(model.info))


class LesionNode:
    """What a lesion is: its label, place, model and answers, and the nodes that show it. Two of these are equal when they
    are the same lesion."""

    def __init__(self, node: "slicer.vtkMRMLScriptedModuleNode", history: History):
        self.node, self.history = node, history

    def __eq__(self, other) -> bool:
        return isinstance(other, LesionNode) and other.node is self.node

    def __hash__(self) -> int:
        return hash(self.node)

    @property
    def label(self) -> str:
        return self.node.GetParameter("label")

    @property
    def place(self) -> dict:
        """Where it was pointed at: {"at": (r, a, s)} or {"box": (low, high)}, RAS mm."""
        return {key: _tuples(value) for key, value in json.loads(self.node.GetParameter("place")).items()}

    @property
    def model(self) -> Model:
        content = json.loads(self.node.GetParameter("model") or "{}")
        return Model(**{key: _tuples(value) for key, value in content.items()})

    def referenced(self, role: str):
        return self.node.GetNodeReference(role)

    @property
    def volume_node(self):
        return self.referenced("scan")

    @property
    def place_node(self):
        return self.referenced("place")

    @property
    def agreement_node(self):
        """The segmentation with the consensus (an outline) and the bands (areas)."""
        return self.referenced("agreement")

    @property
    def styles_node(self):
        """The segmentation with an outline a style."""
        return self.referenced("styles")

    @property
    def map_node(self):
        return self.referenced("map")

    @property
    def numbers_node(self):
        return self.referenced("numbers")

    @property
    def spots_node(self):
        return self.referenced("spots")

    @property
    def own_nodes(self) -> list:
        """Those of the above that there are: what its results made."""
        made = (self.agreement_node, self.styles_node, self.map_node, self.numbers_node, self.spots_node)
        return [node for node in made if node is not None]

    @property
    def edited_nodes(self) -> list["slicer.vtkMRMLSegmentationNode"]:
        """Copies that a person may edit; a segment each."""
        count = self.node.GetNumberOfNodeReferences("edited")
        found = (self.node.GetNthNodeReference("edited", n) for n in range(count))
        return [node for node in found if node is not None and node.GetSegmentation().GetNumberOfSegments()]

    @property
    def folder(self) -> int:
        """Its item in the subject hierarchy; 0 before the first result."""
        return folder_of(self.node.GetScene(), self.node.GetParameter("uid"))

    @property
    def records(self) -> list[Record]:
        """The answers whose segments are there, on one part of the scan: consensus first, then styles as they came."""
        names = (name for name in self.node.GetParameterNames() if name.startswith(ANSWER))
        found = (self.record(name.removeprefix(ANSWER)) for name in names)
        return on_one_grid(sorted((record for record in found if record), key=lambda record: record.order))

    @property
    def names(self) -> list[str]:
        return [record.name for record in self.records]

    def has(self, name: str) -> bool:
        return self.record(name) is not None

    def record(self, name: str) -> Record | None:
        text = self.node.GetParameter(ANSWER + name)
        record = record_from_text(text) if text else None
        if record is None or self.segment(record) is None:
            return None
        scan = stored_grid(self.volume_node)
        return record if scan is None else turned(record, scan)

    def set_record(self, name: str, record: Record | None) -> None:
        self._set_parameter(ANSWER + name, record.to_text() if record else "")

    def prediction(self, name: str) -> Prediction | None:
        """An answer with all its samples, also after the scene was loaded."""
        record = self.record(name)
        return record.prediction if record else None

    def node_of(self, name: str):
        """The segmentation that shows an answer."""
        return self.agreement_node if name == CONSENSUS else self.styles_node

    def segment(self, record: Record) -> "slicer.vtkSegment | None":
        node = self.node_of(record.name)
        return node.GetSegmentation().GetSegment(record.segment) if node is not None else None

    def _set_parameter(self, name: str, value: str) -> None:
        before = self.node.GetParameter(name)
        self.node.SetParameter(name, value) if value else self.node.UnsetParameter(name)
        self.history.on_undo(lambda: self.node.SetParameter(name, before) if before else self.node.UnsetParameter(name))


def _tuples(value):
    """JSON's lists as tuples, also inside of others."""
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
