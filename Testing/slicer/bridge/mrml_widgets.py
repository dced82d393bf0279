"""Stand-ins for the qMRML and qSlicer widgets of a segmentation panel, on the real MRML scene.

Their API is Slicer's (pythonqt_api.toml); the behaviour is ours, from the headers' descriptions.
"""

import weakref

import shiboken6
import slicer
import vtk
from PySide6 import QtGui, QtWidgets

from .api import declared
from .ctk_widgets import ctkSliderWidget, qMRMLCollapsibleButton

_OBSERVED: list[tuple[vtk.vtkObject, int]] = []


def forget_observations() -> None:
    """End every widget's observation, before its scene goes: VTK sends events even while Python collects garbage."""
    for subject, tag in _OBSERVED:
        subject.RemoveObserver(tag)
    _OBSERVED.clear()


def observe(subject: vtk.vtkObject, event, method) -> int:
    """Call a widget's method on a VTK event for as long as the widget lives, as CTK's connections do."""
    weak = weakref.WeakMethod(method)

    def call(*args):
        alive = weak()
        if alive is not None and shiboken6.isValid(alive.__self__):
            alive(*args)

    tag = subject.AddObserver(event, call)
    _OBSERVED.append((subject, tag))
    return tag


class _WithScene:
    """What every MRML widget does with its scene."""

    _scene = None

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


class qMRMLWidget(_WithScene, declared("qMRMLWidget", QtWidgets.QWidget)):
    @staticmethod
    def pixmapFromIcon(icon):
        return icon.pixmap(16, 16)


class qSlicerWidget(_WithScene, declared("qSlicerWidget", QtWidgets.QWidget)):
    pass


class qMRMLSliderWidget(declared("qMRMLSliderWidget", ctkSliderWidget)):
    _scene = None

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        self._scene = scene

    def setQuantity(self, quantity):
        self.quantity = quantity

    def setUnitAwareProperties(self, flags):
        self.unitAwareProperties = flags


class qMRMLNodeComboBox(
    declared(
        "qMRMLNodeComboBox",
        QtWidgets.QWidget,
        showChildNodeTypes=True,
        addEnabled=True,
        removeEnabled=True,
        selectNodeUponCreation=True,
        noneDisplay="None",
    )
):
    """Lists the scene's nodes of the given types; disabled without a scene. A QComboBox draws it."""

    def __init__(self, *args):
        super().__init__(*args)
        self._scene = self._node = None
        self._ids, self._tags, self._attributes = [], [], []
        self._combo = QtWidgets.QComboBox()
        self._combo.setMinimumContentsLength(8)
        self._combo.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        self._combo.activated.connect(self._activated)
        self.setEnabled(False)

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        self._forget_scene()
        self._scene = scene
        if scene is not None:
            for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent):
                self._tags.append(observe(scene, event, self._scene_changed))
            for event in (scene.EndCloseEvent, scene.EndImportEvent, scene.EndBatchProcessEvent):
                self._tags.append(observe(scene, event, self._refresh))
        self.setEnabled(scene is not None)
        self._refresh()

    def _forget_scene(self, *_):
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._tags = []

    def _scene_changed(self, scene, event):
        if not scene.IsBatchProcessing():
            self._refresh()

    def _refresh(self, *_):
        nodes = [n for n in self._scene.GetNodes() if self._fits(n)] if self._scene else []
        known = set(self._ids)
        entries = [(self.noneDisplay, "")] * self.noneEnabled + [(n.GetName(), n.GetID()) for n in nodes]
        self._ids = [node_id for _, node_id in entries]
        self._combo.blockSignals(True)
        self._combo.clear()
        self._combo.addItems([text or "" for text, _ in entries])
        self._combo.blockSignals(False)
        self._select(self._node if self._node in nodes else None)
        for node in nodes:
            if node.GetID() not in known:
                self.nodeAdded.emit(node)

    _on_nodeTypes = _on_hideChildNodeTypes = _on_showHidden = _on_showChildNodeTypes = _refresh
    _on_noneEnabled = _on_noneDisplay = _refresh

    def _fits(self, node) -> bool:
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        if any(node.IsA(kind) for kind in self.hideChildNodeTypes):
            return False
        if self.showChildNodeTypes and not any(node.IsA(kind) for kind in self.nodeTypes):
            return False
        if not self.showChildNodeTypes and node.GetClassName() not in self.nodeTypes:
            return False
        return all(
            node.GetAttribute(name) is not None if value is None else node.GetAttribute(name) == value
            for kind, name, value in self._attributes
            if node.IsA(kind)
        )

    def _select(self, node):
        node_id = node.GetID() if node is not None else ""
        self._combo.blockSignals(True)
        self._combo.setCurrentIndex(self._ids.index(node_id) if node_id in self._ids else -1)
        self._combo.blockSignals(False)
        if node is not self._node:
            self._node, self._currentNodeID = node, node_id
            self.currentNodeChanged[object].emit(node)
            self.currentNodeChanged[bool].emit(node is not None)
            self.currentNodeIDChanged.emit(node_id)

    def _activated(self, index):
        self.setCurrentNodeID(self._ids[index])
        self.nodeActivated.emit(self._node)

    def _on_currentNodeID(self, node_id):
        node = self._scene.GetNodeByID(node_id) if self._scene and node_id in self._ids and node_id else None
        self._currentNodeID = node.GetID() if node is not None else ""
        self._select(node)

    def currentNode(self):
        return self._node

    def currentNodeId(self):
        return self.currentNodeID

    def setCurrentNode(self, node):
        self.setCurrentNodeID(node if isinstance(node, str) else node.GetID() if node is not None else "")

    def setCurrentNodeID(self, node_id):
        self.currentNodeID = node_id or ""

    def setCurrentNodeIndex(self, index):
        nodes = [node_id for node_id in self._ids if node_id]
        self.setCurrentNodeID(nodes[index] if 0 <= index < len(nodes) else "")

    def nodeCount(self):
        return len([node_id for node_id in self._ids if node_id])

    def nodeFromIndex(self, index):
        nodes = [node_id for node_id in self._ids if node_id]
        return self._scene.GetNodeByID(nodes[index]) if 0 <= index < len(nodes) else None

    def addAttribute(self, node_type, name, value=None):
        self._attributes.append((node_type, name, value))
        self._refresh()

    def removeAttribute(self, node_type, name):
        self._attributes = [entry for entry in self._attributes if entry[:2] != (node_type, name)]
        self._refresh()

    def addNode(self, node_type=None):
        node_type = node_type or self.nodeTypes[0]
        base = self.baseName or node_type.removeprefix("vtkMRML").removesuffix("Node")
        node = self._scene.AddNewNodeByClass(node_type, self._scene.GenerateUniqueName(base))
        for kind, name, value in self._attributes:
            if node.IsA(kind):
                node.SetAttribute(name, value or "")
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self):
        if self._node is not None:
            self._scene.RemoveNode(self._node)


class qMRMLTableView(_WithScene, declared("qMRMLTableView", QtWidgets.QTableView)):
    """Shows a table node."""

    def __init__(self, *args):
        super().__init__(*args)
        self._table_node = None
        self._tag = None
        self.setModel(QtGui.QStandardItemModel(self))

    def mrmlTableNode(self):
        return self._table_node

    def setMRMLTableNode(self, node):
        if self._table_node is not None:
            self._table_node.RemoveObserver(self._tag)
        self._table_node = node
        if node is not None:
            self._tag = observe(node, vtk.vtkCommand.ModifiedEvent, self._fill)
        self._fill()

    def _fill(self, *_):
        model = self.model()
        model.clear()
        table = self._table_node.GetTable() if self._table_node is not None else vtk.vtkTable()
        names = [table.GetColumnName(c) or "" for c in range(table.GetNumberOfColumns())]
        model.setHorizontalHeaderLabels(names)
        for row in range(table.GetNumberOfRows()):
            model.appendRow([QtGui.QStandardItem(table.GetValue(row, c).ToString()) for c in range(len(names))])

    def tableModel(self):
        return self.model()


class qSlicerMarkupsPlaceWidget(
    declared(
        "qSlicerMarkupsPlaceWidget",
        qSlicerWidget,
        buttonsVisible=True,
        deleteAllControlPointsOptionVisible=True,
        unsetLastControlPointOptionVisible=True,
        unsetAllControlPointsOptionVisible=True,
    )
):
    """A button that puts the slice views into place mode for one markups node."""

    ShowPlaceMultipleMarkupsOption, HidePlaceMultipleMarkupsOption = 0, 1
    ForcePlaceSingleMarkup, ForcePlaceMultipleMarkups = 2, 3

    def __init__(self, *args):
        super().__init__(*args)
        self._node = None
        self._interaction_tag = None
        self._place = QtWidgets.QToolButton()
        self._place.setText("Place")
        self._place.setCheckable(True)
        self._delete = QtWidgets.QToolButton()
        self._delete.setText("Delete")
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._place)
        layout.addWidget(self._delete)
        self._place.clicked.connect(self.setPlaceModeEnabled)
        self._delete.clicked.connect(lambda _: self.deleteLastPoint())

    def setMRMLScene(self, scene):
        if self._interaction_tag is not None:
            self.interactionNode().RemoveObserver(self._interaction_tag)
        super().setMRMLScene(scene)
        if scene is not None:
            node = self.interactionNode()
            self._interaction_tag = observe(node, node.InteractionModeChangedEvent, self._update)
        self._update()

    def interactionNode(self):
        return slicer.app.applicationLogic().GetInteractionNode()

    def selectionNode(self):
        return slicer.app.applicationLogic().GetSelectionNode()

    def currentNode(self):
        return self._node

    currentMarkupsNode = currentMarkupsFiducialNode = currentNode

    def setCurrentNode(self, node):
        if self.placeModeEnabled:
            self.setPlaceModeEnabled(False)
        self._node = node
        self._update()

    def _update(self, *_):
        interaction = self.interactionNode()
        active = self._node is not None and self.selectionNode().GetActivePlaceNodeID() == self._node.GetID()
        placing = active and interaction.GetCurrentInteractionMode() == interaction.Place
        self._currentNodeActive = active
        self._place.setEnabled(self._node is not None)
        self._place.setChecked(placing)
        if vars(self).get("_placeModeEnabled", False) != placing:
            self._placeModeEnabled = placing
            self.activeMarkupsPlaceModeChanged.emit(placing)

    def _on_placeModeEnabled(self, on):
        self._placeModeEnabled = not on  # _update finds out what really came of it
        self.setPlaceModeEnabled(on)

    def setPlaceModeEnabled(self, on):
        interaction = self.interactionNode()
        if self._node is None:
            self._placeModeEnabled = False
            return
        if on:
            self.selectionNode().SetReferenceActivePlaceNodeClassName(self._node.GetClassName())
            self.selectionNode().SetActivePlaceNodeID(self._node.GetID())
            persistent = self.placeMultipleMarkups == self.ForcePlaceMultipleMarkups or (
                self.placeModePersistency and self.placeMultipleMarkups != self.ForcePlaceSingleMarkup
            )
            interaction.SetPlaceModePersistence(int(persistent))
            interaction.SetCurrentInteractionMode(interaction.Place)
        else:
            interaction.SetCurrentInteractionMode(interaction.ViewTransform)
        self._update()

    def _on_buttonsVisible(self, visible):
        self._place.setVisible(visible)
        self._delete.setVisible(visible)

    def placeButton(self):
        return self._place

    def deleteButton(self):
        return self._delete

    def deleteLastPoint(self):
        if self._node is not None and self._node.GetNumberOfControlPoints():
            self._node.RemoveNthControlPoint(self._node.GetNumberOfControlPoints() - 1)

    def deleteAllPoints(self):
        if self._node is not None:
            self._node.RemoveAllControlPoints()


class qMRMLSegmentEditorWidget(declared("qMRMLSegmentEditorWidget", qMRMLWidget)):
    """Remembers in a real vtkMRMLSegmentEditorNode what it was opened on; it has no effects."""

    _editor_node = None

    def mrmlSegmentEditorNode(self):
        return self._editor_node

    def setMRMLSegmentEditorNode(self, node):
        self._editor_node = node

    def segmentationNode(self):
        return self._editor_node.GetSegmentationNode()

    def setSegmentationNode(self, node):
        self._editor_node.SetAndObserveSegmentationNode(node)

    def sourceVolumeNode(self):
        return self._editor_node.GetSourceVolumeNode()

    def setSourceVolumeNode(self, node):
        self._editor_node.SetAndObserveSourceVolumeNode(node)

    def currentSegmentID(self):
        return self._editor_node.GetSelectedSegmentID() or ""

    def setCurrentSegmentID(self, segment_id):
        self._editor_node.SetSelectedSegmentID(segment_id)


MRML_WIDGETS = {
    kind.__name__: kind
    for kind in (
        qMRMLWidget,
        qSlicerWidget,
        qMRMLCollapsibleButton,
        qMRMLSliderWidget,
        qMRMLNodeComboBox,
        qMRMLTableView,
        qSlicerMarkupsPlaceWidget,
        qMRMLSegmentEditorWidget,
    )
}
