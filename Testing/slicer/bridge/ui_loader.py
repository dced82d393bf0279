"""Loads Qt Designer files with the stand-ins in place of Slicer's widgets; anything that has no stand-in is refused."""

import xml.etree.ElementTree as ElementTree

from PySide6 import QtCore, QtUiTools, QtWidgets

from .ctk_widgets import CTK_WIDGETS
from .mrml_widgets import MRML_WIDGETS
from .pythonqt import signal_of, understand


class UiLoader(QtUiTools.QUiLoader):
    """qt.QUiLoader. A .ui file's <connections> are made in Python, because signals that carry nodes have Python types."""

    def __init__(self, parent=None):
        super().__init__()
        for kind in (*CTK_WIDGETS.values(), *MRML_WIDGETS.values()):
            self.registerCustomWidget(kind)

    def load(self, file, parent=None):
        root = ElementTree.fromstring(bytes(file.readAll()))
        connections = [{e.tag: e.text for e in connection} for connection in root.iterfind("connections/connection")]
        for element in root.findall("connections"):
            root.remove(element)
        used = {widget.get("class") for widget in root.iter("widget")}
        unknown = sorted(k for k in used if k.startswith(("q", "ctk")) and k not in {**CTK_WIDGETS, **MRML_WIDGETS})
        if unknown:
            raise NotImplementedError(
                f"There is no stand-in for {', '.join(unknown)}; write one in Testing/slicer/bridge"
            )
        buffer = QtCore.QBuffer(self)
        buffer.setData(ElementTree.tostring(root))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        widget = super().load(buffer, parent)
        if widget is None:
            raise RuntimeError(f"Qt could not build the .ui file: {self.errorString()}")
        for child in [widget, *widget.findChildren(QtCore.QObject)]:
            understand(child)
            vars(widget).pop(child.objectName, None)  # PySide6 makes children attributes of the root, PythonQt does not
        for connection in connections:
            _connect(widget, **connection)
        widget._loader = self  # the stand-ins' classes must outlive it
        return widget


def _connect(root: QtWidgets.QWidget, sender: str, signal: str, receiver: str, slot: str, **_) -> None:
    def find(name):
        return root if root.objectName == name else root.findChild(QtCore.QObject, name)

    signal_of(find(sender), signal).connect(getattr(find(receiver), slot.partition("(")[0]))
