"""The MultiRaterSeg module of 3D Slicer: what Slicer asks of a module, and nothing that the panel can do itself."""

import slicer
from MultiRaterSegSlicer.logic import MultiRaterSegLogic
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

__all__ = ["MultiRaterSeg", "MultiRaterSegLogic", "MultiRaterSegTest", "MultiRaterSegWidget"]


class MultiRaterSeg(ScriptedLoadableModule):
    """How the module presents itself."""

    def __init__(self, parent):
        super().__init__(parent)
        parent.title = _("MultiRaterSeg")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = []
        parent.contributors = ["The MultiRaterSeg authors"]
        parent.helpText = _(
            "Outlines a lesion as several readers would: the consensus and where readers disagree, single reader styles, "
            "and what you ask for in words. Research use only. Not a medical device."
        )
        parent.acknowledgementText = _(
            "Trained on outlines of the LIDC-IDRI database (The Cancer Imaging Archive, CC BY 3.0)."
        )
        slicer.app.connect("startupCompleted()", _register_sample_data)


class MultiRaterSegWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel in Slicer's window: made, entered, left and closed with its scene."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.window = None

    def setup(self):
        from MultiRaterSegSlicer.panel.window import PanelWindow

        super().setup()
        widget = slicer.util.loadUI(self.resourcePath("UI/MultiRaterSeg.ui"))
        self.layout.addWidget(widget)
        self.ui = slicer.util.childWidgetVariables(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.logic = MultiRaterSegLogic()
        self.window = PanelWindow(self.ui, self.logic)
        self._observe_scene()

    @property
    def panel(self):
        return self.window.panel

    def enter(self):
        """The worker starts when the module is first opened: the model is there when the point is."""
        self.panel.opened()

    def exit(self):
        """Placing ends; what is being computed goes on."""
        self.panel.places.stop()

    def cleanup(self):
        self.removeObservers()
        self.window.close()

    def _observe_scene(self):
        scene, panel = slicer.mrmlScene, self.panel
        self.addObserver(scene, scene.StartCloseEvent, lambda *_caller: panel.scene_closing())
        self.addObserver(scene, scene.EndCloseEvent, lambda *_caller: panel.scene_opened())
        self.addObserver(scene, scene.EndImportEvent, lambda *_caller: panel.scene_opened())


class MultiRaterSegTest(ScriptedLoadableModuleTest):
    """Runs inside Slicer: "Reload and Test"."""

    def runTest(self):
        from MultiRaterSegSlicer.self_test import run

        run(self)


def _register_sample_data():
    from MultiRaterSegSlicer.examples import register_sample_data

    register_sample_data()
