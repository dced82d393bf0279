"""What a member of a Qt, CTK or qMRML class is under PythonQt: property, signal, method, constant, or nothing.

Slicer's classes are looked up in bridge/pythonqt_api.toml; Qt's own in PySide6, which has the same members.
"""

import enum
import inspect
from functools import cache

from bridge import api
from bridge.qt_meta import facts, normalized
from PySide6 import QtCore, QtGui, QtWidgets
from shibokensupport.signature import get_signature

PYTHONQT = {"className", "delete", "connect", "disconnect", "help"}  # on every QObject
NEWER_THAN_QT_5 = {
    "checkStateChanged",
    "labelDrawingMode",
    "setLabelDrawingMode",
}  # Slicer 5.10 and 5.12 are built with Qt 5.15
LAYOUTS = ("QFormLayout", "QGridLayout", "QBoxLayout")  # what a QLayout really is; PythonQt gives the real class


@cache
def qt_class(name: str) -> type | None:
    for kit in (QtWidgets, QtGui, QtCore):
        if inspect.isclass(kind := getattr(kit, name, None)):
            return kind
    return None


def is_known(name: str) -> bool:
    return name in api.classes() or qt_class(name) is not None


def member(name: str, attribute: str) -> str | None:
    """'property', 'readonly', 'signal', 'method', 'constant', 'enum' (a scoped enum class), or None: there is no such thing."""
    while name in api.classes():
        entry = api.classes()[name]
        if attribute in entry["properties"]:
            return "readonly" if entry["properties"][attribute].endswith("readonly") else "property"
        if attribute in entry["methods"]:
            return "method"
        if attribute in entry["constants"]:
            return "constant"
        if attribute in {signature.partition("(")[0] for signature in entry["signals"]}:
            return "signal"
        name = entry["base"]
    kinds = ("QLayout", *LAYOUTS) if name == "QLayout" else (name,)
    return next((what for kind in kinds if (what := _qt_member(qt_class(kind), attribute))), None)


def _qt_member(kind: type, attribute: str) -> str | None:
    if attribute in NEWER_THAN_QT_5:
        return None
    if issubclass(kind, QtCore.QObject):
        if attribute in PYTHONQT:
            return "method"
        if attribute == "name":
            return "property"
        if attribute in facts(kind).properties:
            return "property" if facts(kind).properties[attribute] else "readonly"
    found = getattr(kind, attribute, None)
    if found is None:
        return None
    if isinstance(found, QtCore.Signal):
        return "signal"
    if isinstance(found, enum.Enum):
        return "constant"
    if inspect.isclass(found):
        return "enum" if issubclass(found, enum.Enum) else "constant"
    return "method" if callable(found) else "constant"


def has_signal(name: str, signature: str) -> bool:
    """Whether the class declares the signal with exactly these C++ types."""
    plain = signature.replace(" ", "").replace("const", "").replace("&", "")
    while name in api.classes():
        if plain in {declared.replace(" ", "") for declared in api.classes()[name]["signals"]}:
            return True
        name = api.classes()[name]["base"]
    return normalized(signature) in facts(qt_class(name)).signals


def returned(name: str, method: str) -> frozenset[str]:
    """The Qt or Slicer classes of what a method returns; empty where it is something else or unknown."""
    while name in api.classes():
        if method in api.classes()[name]["returns"]:
            return frozenset([api.classes()[name]["returns"][method]])
        name = api.classes()[name]["base"]
    try:
        signatures = get_signature(inspect.unwrap(getattr(qt_class(name), method)))
    except AttributeError:
        return frozenset()
    signatures = signatures if isinstance(signatures, list) else [signatures]
    return frozenset(found for s in signatures if s is not None for found in _classes_in(s.return_annotation))


def _classes_in(annotation) -> set[str]:
    parts = getattr(annotation, "__args__", None) or [annotation]
    return {
        p.__name__
        for p in parts
        if inspect.isclass(p) and p.__module__.startswith("PySide6") and not issubclass(p, enum.Enum)
    }
