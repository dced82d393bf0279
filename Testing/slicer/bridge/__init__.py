"""Slicer's Python surroundings without the application: `qt`, `ctk`, slicer.app and the widgets, for tests of the panel.

MRML is Slicer's own; everything in this package is a stand-in on PySide6. PythonQt itself is not here, so that a panel
works on this bridge is no proof that it works in Slicer; that it fails here is a good sign that it fails there.
"""

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


from .session import Bridge, Loaded

__all__ = ["Bridge", "Loaded"]
