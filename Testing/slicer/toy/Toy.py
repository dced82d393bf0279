"""A small scripted module as Slicer's template has it; the bridge is tested on it."""

import ctk  # noqa: F401
import qt
import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import *  # noqa: F403
from slicer.util import VTKObservationMixin


class Toy(ScriptedLoadableModule):  # noqa: F405
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)  # noqa: F405
        self.parent.title = _("Toy")
        self.parent.categories = ["Testing"]
        self.started = []
        slicer.app.connect("startupCompleted()", lambda: self.started.append(True))


class ToyWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):  # noqa: F405
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)  # noqa: F405
        VTKObservationMixin.__init__(self)
        self.logic = ToyLogic()
        self.heard = []

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)  # noqa: F405
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/Toy.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.ui.computeButton.connect("clicked(bool)", self.onCompute)
        self.ui.askButton.connect("clicked()", self.onAsk)
        self.ui.slider.connect("valueChanged(double)", lambda value: self.heard.append(("slider", value)))
        self.ui.promptLineEdit.connect("returnPressed()", lambda: self.heard.append(self.ui.promptLineEdit.text))
        self.ui.volumeSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onVolume)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, lambda *_: self.heard.append("closing"))
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, lambda *_: self.heard.append("closed"))

    def enter(self):
        self.heard.append("enter")

    def exit(self):
        self.heard.append("exit")

    def cleanup(self):
        self.removeObservers()

    def onVolume(self, node):
        self.ui.computeButton.enabled = node is not None

    def onCompute(self, checked=False):
        self.heard.append("compute")
        self.ui.statusLabel.text = _("Computing")
        qt.QTimer.singleShot(20, self.onComputed)

    def onComputed(self):
        self.ui.statusLabel.text = _("Done")

    def onAsk(self):
        self.heard.append(slicer.util.confirmYesNoDisplay(_("Go on?")))


class ToyLogic(ScriptedLoadableModuleLogic):  # noqa: F405
    pass
