"""Stand-in for slicer.ScriptedLoadableModule, which the slicer-core wheel does not bring: the four base classes.

Ours, from Slicer's documentation of what they offer to modules: `parent`, `layout`, `resourcePath`, `developerMode`,
`getParameterNode` and `runTest`. The developer section (Reload & Test) is left out.
"""

import unittest
from pathlib import Path

import slicer

__all__ = [
    "ScriptedLoadableModule",
    "ScriptedLoadableModuleLogic",
    "ScriptedLoadableModuleTest",
    "ScriptedLoadableModuleWidget",
]


class ScriptedLoadableModule:
    """Describes a module to the application; `parent` is its qSlicerScriptedLoadableModule."""

    def __init__(self, parent):
        self.parent = parent
        self.moduleName = type(self).__name__

    def resourcePath(self, filename: str) -> str:
        return str(Path(self.parent.path).parent / "Resources" / filename)

    def getDefaultModuleDocumentationLink(self, docPage: str = "") -> str:
        return (
            f"<p>See the <a href='{slicer.app.moduleDocumentationUrl(self.moduleName)}{docPage}'>documentation</a>.</p>"
        )


class ScriptedLoadableModuleWidget:
    """A module's panel; `layout` is the layout of the widget that the application gave it."""

    def __init__(self, parent=None):
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = False
        self.parent = parent
        self.layout = parent.layout()

    def resourcePath(self, filename: str) -> str:
        return str(Path(slicer.util.modulePath(self.moduleName)).parent / "Resources" / filename)

    def setup(self) -> None:
        """Modules call it first; the application's own adds the developer section."""

    def cleanup(self) -> None:
        """Called when the application closes the module."""


class ScriptedLoadableModuleLogic:
    """A module's computations. One parameter node a scene, unless isSingletonParameterNode is False."""

    def __init__(self, parent=None):
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self):
        nodes = self.getAllParameterNodes()
        return nodes[0] if nodes else slicer.mrmlScene.AddNode(self.createParameterNode())

    def getAllParameterNodes(self) -> list:
        nodes = slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode")
        return [node for node in nodes if node.GetAttribute("ModuleName") == self.moduleName]

    def createParameterNode(self):
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        if self.isSingletonParameterNode:
            node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """A module's own test, run inside the application."""

    def runTest(self, msec: int = 100) -> None:
        raise NotImplementedError(f"{type(self).__name__} has no runTest")

    def delayDisplay(self, message: str, msec: int = 0) -> None:
        slicer.util.delayDisplay(message, 0)
