"""The verified API of Slicer's own C++ classes, and base classes for stand-ins that can offer no more than it.

`pythonqt_api.toml` is the list; `declared("ctkSliderWidget", QWidget)` gives a Qt class that has exactly its properties
and signals. A property stores its value and then calls `_on_<name>(value)`, where the stand-in gives it meaning.
"""

import tomllib
from functools import cache
from pathlib import Path

from PySide6 import QtCore, QtGui, QtWidgets

from .qt_meta import facts

PATH = Path(__file__).with_name("pythonqt_api.toml")
SIMPLE = {
    "bool": (bool, False),
    "int": (int, 0),
    "double": (float, 0.0),
    "QString": (str, ""),
    "QStringList": ("QStringList", ()),
}
OTHER = {"QColor": (QtGui.QColor, QtGui.QColor()), "QIcon": (QtGui.QIcon, QtGui.QIcon())}
ENUMS = {
    "Qt::Alignment": (QtCore.Qt.AlignmentFlag, QtCore.Qt.AlignmentFlag.AlignLeft),
    "Qt::Orientation": (QtCore.Qt.Orientation, QtCore.Qt.Orientation.Vertical),
    "Qt::TextElideMode": (QtCore.Qt.TextElideMode, QtCore.Qt.TextElideMode.ElideNone),
    "QFrame::Shape": (QtWidgets.QFrame.Shape, QtWidgets.QFrame.Shape.NoFrame),
    "QFrame::Shadow": (QtWidgets.QFrame.Shadow, QtWidgets.QFrame.Shadow.Plain),
    "QSlider::TickPosition": (QtWidgets.QSlider.TickPosition, QtWidgets.QSlider.TickPosition.NoTicks),
    "QComboBox::SizeAdjustPolicy": (
        QtWidgets.QComboBox.SizeAdjustPolicy,
        QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToContents,
    ),
}
SIGNAL_TYPES = {"bool": bool, "int": int, "double": float, "QString": str}


@cache
def classes() -> dict[str, dict]:
    """Class name -> base, header, properties (name -> C++ type), signals, methods, constants."""
    empty = {"properties": {}, "signals": [], "methods": [], "constants": [], "returns": {}}
    return {name: empty | entry for name, entry in tomllib.loads(PATH.read_text()).items()}


def members(name: str) -> set[str]:
    """Every attribute that Slicer's class of this name adds to its Qt base class, inherited ones included."""
    found = set()
    while name in classes():
        entry = classes()[name]
        signals = (signature.partition("(")[0] for signature in entry["signals"])
        found |= {*entry["properties"], *entry["methods"], *entry["constants"], *signals}
        name = entry["base"]
    return found


def declared(name: str, base: type, **defaults) -> type:
    """A Qt class with the properties and signals of Slicer's class `name`; `defaults` are values that differ from 0."""
    entry = classes()[name]
    body = {prop: _property(prop, kind, defaults) for prop, kind in entry["properties"].items()}
    overloads = dict(getattr(base, "signal_overloads", {}))
    for signal, signatures in _by_name(entry["signals"]).items():
        types = list(signatures.values())
        body[signal] = QtCore.Signal(*types[0]) if len(types) == 1 else QtCore.Signal(*types)
        overloads |= {
            (signal, *cpp): types[0] if len(types) == 1 else types for cpp, types in signatures.items() if types
        }
    own = {signature.replace(" ", "") for signature in entry["signals"]}
    body |= {
        "signal_overloads": overloads,
        "signal_signatures": own | getattr(base, "signal_signatures", facts(base).signals),
    }
    return type(base)(f"{name}Api", (base,), body)


def _property(name: str, kind: str, defaults: dict) -> QtCore.Property:
    key, (qt, default) = f"_{name}", {**SIMPLE, **OTHER, **ENUMS}.get(kind.removesuffix(" readonly"), (int, 0))
    default = defaults.get(name, default)

    def read(self):
        value = vars(self).get(key, default)
        return tuple(value) if kind == "QStringList" else value

    def write(self, value):
        if read(self) != value:
            vars(self)[key] = value
            getattr(self, f"_on_{name}", lambda _: None)(value)

    return QtCore.Property(qt, read, None if kind.endswith("readonly") else write)


def _by_name(signatures: list[str]) -> dict[str, dict[tuple, tuple]]:
    """Signal name -> C++ argument types -> Python argument types; the first signature is the one `signal` alone means."""
    found: dict[str, dict] = {}
    for signature in signatures:
        name, _, rest = signature.rstrip(")").partition("(")
        types = tuple(t for t in rest.split(",") if t)
        found.setdefault(name, {})[types] = tuple(SIGNAL_TYPES.get(t, object) for t in types)
    return found
