"""Stand-ins for slicer.app, slicer.modules, the main window and the layout manager, on a host's real scene and logics.

Their API is Slicer's (pythonqt_api.toml) as far as a panel calls it; what is not here raises AttributeError.
"""

from types import SimpleNamespace

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from .api import declared
from .mrml_widgets import qMRMLSegmentEditorWidget, qMRMLWidget, qSlicerWidget

SLICE_VIEWS = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}


class qSlicerScriptedLoadableModule(declared("qSlicerScriptedLoadableModule", QtCore.QObject)):
    """A scripted module as the application holds it."""

    representation = None
    own_attributes = ("representation",)

    def widgetRepresentation(self):
        return self.representation

    def logic(self):
        return None  # a scripted module's logic is its widget's


class qSlicerScriptedLoadableModuleWidget(declared("qSlicerScriptedLoadableModuleWidget", qSlicerWidget)):
    """The widget that the application lends a scripted module's panel."""

    def __init__(self, *args):
        super().__init__(*args)
        QtWidgets.QVBoxLayout(self).setContentsMargins(4, 4, 4, 4)
        self._python = None

    def self(self):
        return self._python


class Module:
    """An entry of slicer.modules that is written in C++ in the application."""

    def __init__(self, name: str, logic, representation=None):
        self.name, self._logic, self._representation = name, logic, representation

    def logic(self):
        return self._logic

    def widgetRepresentation(self):
        return self._representation


class qMRMLSliceWidget(declared("qMRMLSliceWidget", qMRMLWidget)):
    """One slice view: real logic and nodes, nothing drawn (Testing/slicer/slice_picture.py draws)."""

    def __init__(self, logic):
        super().__init__()
        self._logic = logic

    def sliceLogic(self):
        return self._logic

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self):
        return self._logic.GetSliceCompositeNode()

    def fitSliceToBackground(self):
        self._logic.FitSliceToBackground()


class qSlicerLayoutManager(declared("qSlicerLayoutManager", QtCore.QObject)):
    """Three slice views."""

    def __init__(self, host):
        super().__init__()
        self._host = host
        self._widgets = {name: qMRMLSliceWidget(host.slice_logic(name, way)) for name, way in SLICE_VIEWS.items()}

    def sliceViewNames(self):
        return tuple(self._widgets)

    def sliceWidget(self, name):
        return self._widgets.get(name)

    def mrmlSliceLogics(self):
        return self._host.application.GetSliceLogics()

    def mrmlScene(self):
        return self._host.scene

    def resetSliceViews(self):
        for widget in self._widgets.values():
            widget.fitSliceToBackground()

    def resetThreeDViews(self):
        """There is no 3-D view."""

    def setLayout(self, layout):
        self.layout = layout


class qSlicerModuleManager(declared("qSlicerModuleManager", QtCore.QObject)):
    def module(self, name):
        return getattr(slicer.modules, name.lower(), None)

    def modulesNames(self):
        return tuple(module.name for module in vars(slicer.modules).values() if hasattr(module, "name"))

    def factoryManager(self):
        return SimpleNamespace(loadedModuleNames=self.modulesNames)


class ModuleSelector(QtCore.QObject):
    """The main window's module menu: leaves one module, enters the next."""

    own_attributes = ("selectedModule",)

    def __init__(self):
        super().__init__()
        self.selectedModule = ""

    def selectModule(self, name):
        for module, step in ((self.selectedModule, "exit"), (name, "enter")):
            representation = slicer.util.getModule(module).widgetRepresentation() if module else None
            if isinstance(representation, qSlicerScriptedLoadableModuleWidget):
                getattr(representation.self(), step, lambda: None)()
        self.selectedModule = name


class MainWindow(QtWidgets.QMainWindow):
    def __init__(self):
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self._selector = ModuleSelector()

    def moduleSelector(self):
        return self._selector


class qSlicerApplication(declared("qSlicerApplication", QtCore.QObject)):
    """slicer.app. The QApplication behind it serves all tests; this one serves one scene."""

    applicationName = "Slicer"

    def __init__(self, host):
        super().__init__()
        self._host = host
        self._temporaryPath = self._cachePath = host.application.GetTemporaryPath()
        self._slicerHome, self._majorVersion, self._minorVersion = str(host.folder), 5, 10
        self._documentationBaseUrl, self._os = "https://slicer.readthedocs.io/en/latest/", "linux"
        self._manager = qSlicerModuleManager()
        self._layout_manager = qSlicerLayoutManager(host)
        self._window = MainWindow()

    def mrmlScene(self):
        return self._host.scene

    def applicationLogic(self):
        return self._host.application

    def moduleLogic(self, name):
        return self._host.application.GetModuleLogic(name)

    def moduleManager(self):
        return self._manager

    def layoutManager(self):
        return self._layout_manager

    def testingEnabled(self):
        return False  # so that dialogs appear and a test answers them as a person would

    def settings(self):
        return QtCore.QSettings()

    userSettings = revisionUserSettings = settings

    def moduleDocumentationUrl(self, name):
        return f"{self.documentationBaseUrl}user_guide/modules/{name.lower()}.html"

    def translate(self, context, text):
        return text

    def pauseRender(self):
        """Nothing is drawn."""

    resumeRender = pauseRender

    # what QApplication has
    def topLevelWidgets(self):
        return [self._window]

    def processEvents(self, *args):
        QtWidgets.QApplication.processEvents(*args)

    def setOverrideCursor(self, cursor):
        QtWidgets.QApplication.setOverrideCursor(cursor)

    def restoreOverrideCursor(self):
        QtWidgets.QApplication.restoreOverrideCursor()

    def clipboard(self):
        return QtWidgets.QApplication.clipboard()

    def keyboardModifiers(self):
        return QtWidgets.QApplication.keyboardModifiers()


class SegmentEditor:
    """Slicer's Segment Editor panel, which is scripted: `editor` is the widget that other modules set."""

    def __init__(self, scene):
        self.parameterSetNode = scene.AddNode(_segment_editor_node())
        self.editor = qMRMLSegmentEditorWidget()
        self.editor.setMRMLScene(scene)
        self.editor.setMRMLSegmentEditorNode(self.parameterSetNode)


def _segment_editor_node():
    node = slicer.vtkMRMLSegmentEditorNode()
    node.SetSingletonTag("SegmentEditor")
    return node


def modules(host) -> SimpleNamespace:
    """slicer.modules: those whose logics the wheel brings, and Segment Editor and Data as panels."""
    entries = {name: Module(name.title(), logic) for name, logic in host.logics.items()}
    representation = qSlicerScriptedLoadableModuleWidget()
    representation._python = SegmentEditor(host.scene)
    entries["segmenteditor"] = Module("SegmentEditor", None, representation)
    entries["data"] = Module("Data", None)
    return SimpleNamespace(**entries)


class SampleDataLogic:
    """Of Slicer's module Sample Data: remembers what modules register, by category."""

    @staticmethod
    def registerCustomSampleDataSource(category="Custom", **source):
        sources = vars(slicer.modules).setdefault("sampleDataSources", {})
        sources.setdefault(category, []).append(SimpleNamespace(**source))


def place_point(ras) -> None:
    """What a click in a slice view does in place mode: the active node gets a point, and placing ends unless it persists."""
    logic = slicer.app.applicationLogic()
    interaction, selection = logic.GetInteractionNode(), logic.GetSelectionNode()
    assert interaction.GetCurrentInteractionMode() == interaction.Place, "The slice views are not in place mode."
    node = slicer.mrmlScene.GetNodeByID(selection.GetActivePlaceNodeID())
    node.AddControlPoint(vtk.vtkVector3d(ras))
    if not interaction.GetPlaceModePersistence():
        interaction.SetCurrentInteractionMode(interaction.ViewTransform)
