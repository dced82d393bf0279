"""PySide6 taught to answer as PythonQt does, in place, so that module code written for Slicer runs on it unchanged.

PythonQt shows Qt's properties as Python attributes (`w.text`, `w.enabled = False`), connects signals by their C++
signature (`w.connect("clicked(bool)", f)`) and has `name`, `className()` and `delete()` on every object.
"""

import functools
import inspect
import weakref

from PySide6 import QtCore, QtWidgets

from . import api
from .qt_meta import facts, normalized, qt_classes

STATIC = {"singleShot"}  # QTimer.singleShot is a property and a static method; on the class the method wins
GIVERS = {  # methods that hand out objects that Qt made, which must understand connect("signal(type)", f) too
    QtWidgets.QMenu: ["addAction", "addMenu"],
    QtWidgets.QMessageBox: ["addButton", "button"],
    QtWidgets.QDialogButtonBox: ["addButton", "button"],
    QtWidgets.QTableView: ["horizontalHeader", "verticalHeader"],
    QtWidgets.QAbstractItemView: ["selectionModel", "model"],
    QtWidgets.QLineEdit: ["completer"],
    QtWidgets.QComboBox: ["completer", "lineEdit", "view"],
    QtWidgets.QMainWindow: ["statusBar", "menuBar"],
}


class QtProperty:
    """One Qt property as a Python attribute; on the class itself, whatever PySide6 had there."""

    def __init__(self, name: str, reader, original):
        self.name, self.reader, self.original = name, reader, original

    def __get__(self, instance, owner=None):
        if instance is None:
            return self if self.original is None else self.original
        value = self.reader(instance) if self.reader else QtCore.QObject.property(instance, self.name)
        return tuple(value) if isinstance(value, list) and all(isinstance(v, str) for v in value) else value

    def __set__(self, instance, value):
        setter = getattr(type(instance), f"set{self.name[0].upper()}{self.name[1:]}", None)
        if callable(setter):
            setter(instance, value)
        elif not QtCore.QObject.setProperty(instance, self.name, value):
            raise AttributeError(f"Property '{self.name}' of class '{type(instance).__name__}' is not writable")


def teach() -> None:
    """Change PySide6's classes in this process. Done once; a second call changes nothing."""
    if isinstance(inspect.getattr_static(QtCore.QObject, "objectName"), QtProperty):
        return
    for kind in qt_classes():
        above = [base for base in kind.__mro__[1:] if base in qt_classes()]
        inherited = set(facts(above[0]).properties) if above else set()
        for name in facts(kind).properties:
            if name not in inherited or name in vars(kind):  # also where C++ overrides a getter
                _show_as_attribute(kind, name)
        if "__init__" in vars(kind):
            kind.__init__ = _understanding_strings(kind.__init__)
    for kind, methods in GIVERS.items():
        for method in methods:
            setattr(kind, method, _giving(getattr(kind, method)))
    QtCore.QObject.name = property(lambda o: o.objectName, lambda o, name: o.setObjectName(name))
    QtCore.QObject.className = lambda o: _c_plus_plus_class(type(o)).__name__
    QtCore.QObject.delete = lambda o: o.deleteLater()


def _c_plus_plus_class(kind: type) -> type:
    """Qt's class or the stand-in for Slicer's, not what Python derived from it."""
    return next(base for base in kind.__mro__ if base in qt_classes() or base.__name__ in api.classes())


def _show_as_attribute(kind: type, name: str) -> None:
    own = vars(kind)
    original = own.get(name)
    if isinstance(original, (QtCore.Signal, QtProperty)):
        return
    reader = original if original is not None and name not in STATIC else None
    for prefix in ("is", "has"):
        reader = reader or own.get(f"{prefix}{name[0].upper()}{name[1:]}")
    setattr(kind, name, QtProperty(name, reader, original))


def _understanding_strings(init):
    def __init__(self, *args, **kwargs):
        init(self, *args, **kwargs)
        understand(self)

    return __init__


def _giving(method):
    @functools.wraps(method)
    def give(self, *args, **kwargs):
        given = understand(method(self, *args, **kwargs))
        if isinstance(given, QtCore.QObject):
            vars(given)["_alive"] = given  # Qt owns it; a passing Python name for it must last until `connect` has run
        return given

    return give


def understand(instance):
    """Let this object connect by signature. PySide6 looks `connect` up in C, past the class: only the instance counts."""
    own = getattr(instance, "__dict__", None)
    if isinstance(instance, QtCore.QObject) and own is not None and "connect" not in own:
        me = weakref.ref(instance)
        own["connect"] = lambda *args: _connect(me(), *args)
        own["disconnect"] = lambda *args: _disconnect(me(), *args)
    return instance


def signal_of(instance: QtCore.QObject, signature: str):
    """The signal `name(type, ...)` of an object; AttributeError unless Qt declares it with exactly these types."""
    name, _, rest = signature.partition("(")
    signal = getattr(instance, name.strip(), None)
    types = [t.strip().removeprefix("const ").rstrip("&").strip() for t in rest.rstrip(") ").split(",") if t.strip()]
    if not signature.rstrip().endswith(")") or not isinstance(signal, QtCore.SignalInstance):
        raise AttributeError(f"{instance.className()} has no signal {signature!r}")
    declared = getattr(instance, "signal_signatures", None)
    if declared is not None and f"{name.strip()}({','.join(types)})" not in declared:
        raise AttributeError(f"{instance.className()} has no signal {signature!r}; it has {sorted(declared)}")
    if declared is None and not _has_signal(instance, name.strip(), types):
        raise AttributeError(f"{instance.className()} has no signal {signature!r}")
    overloads = getattr(instance, "signal_overloads", {})
    if (name.strip(), *types) in overloads:
        return signal[overloads[(name.strip(), *types)]]
    python = {"int": int, "bool": bool, "double": float, "QString": str}
    if declared is None and types and all(t in python for t in types):
        return signal[python[types[0]] if len(types) == 1 else tuple(python[t] for t in types)]
    return signal


def _has_signal(instance, name: str, types: list[str]) -> bool:
    return normalized(f"{name}({','.join(types)})") in facts(type(instance)).signals


def _receiver(args):
    """connect(signal, callable) or connect(signal, object, "slot(type)")."""
    return getattr(args[0], args[1].partition("(")[0]) if len(args) == 2 else args[0]


def _connect(instance, signal, *args):
    if not isinstance(signal, str):  # PySide6's own signal.connect(...) comes back here
        return QtCore.QObject.connect(signal, *args)
    slot = _receiver(args)
    if signal.rstrip().endswith("()"):  # "clicked()" brings no argument, although Qt's clicked has one
        slot = vars(instance).setdefault("_bare", {}).setdefault((signal, slot), lambda *_, slot=slot: slot())
    return bool(signal_of(instance, signal).connect(slot))


def _disconnect(instance, signal, *args):
    if not isinstance(signal, str):
        return QtCore.QObject.disconnect(signal, *args)
    if not args:
        return signal_of(instance, signal).disconnect()
    slot = vars(instance).get("_bare", {}).pop((signal, _receiver(args)), _receiver(args))
    return signal_of(instance, signal).disconnect(slot)


def stray_attributes(root: QtWidgets.QWidget) -> set[tuple[str, str, str]]:
    """(class, object name, attribute) set on Qt's widgets below root that no property takes: PythonQt refuses these.

    PySide6 accepts them silently (CPython lets nobody replace its __setattr__), so they are looked for afterwards.
    """
    found = set()
    for widget in [root, *root.findChildren(QtWidgets.QWidget)]:
        allowed = {"connect", "disconnect", *getattr(widget, "own_attributes", ())}
        for name, value in vars(widget).items():
            if name not in allowed and not name.startswith("_") and not isinstance(value, QtCore.SignalInstance):
                found.add((type(widget).__name__, widget.objectName, name))
    return found
