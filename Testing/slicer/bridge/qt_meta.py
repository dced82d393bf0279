"""What Qt's meta objects say of its classes, read once and first thing: PySide6's view of a class's meta object dies with
the first instance that was asked for it."""

import inspect
from dataclasses import dataclass
from functools import cache

from PySide6 import QtCore, QtGui, QtWidgets

KITS = (QtWidgets, QtGui, QtCore)


@dataclass(frozen=True)
class Facts:
    """properties: name -> whether it can be set; signals: normalized signatures. Inherited ones included."""

    properties: dict[str, bool]
    signals: frozenset[str]


@cache
def qt_classes() -> dict[type, Facts]:
    """Every QObject class of QtCore, QtGui and QtWidgets, bases first."""
    kinds = {
        kind
        for kit in KITS
        for name in dir(kit)  # not vars: PySide6 makes its classes when they are first asked for
        if inspect.isclass(kind := getattr(kit, name)) and issubclass(kind, QtCore.QObject)
    }
    return {kind: _read(kind.staticMetaObject) for kind in sorted(kinds, key=lambda kind: len(kind.__mro__))}


def facts(kind: type) -> Facts:
    """Of the nearest class that is Qt's own."""
    return next(qt_classes()[base] for base in kind.__mro__ if base in qt_classes())


def _read(meta: QtCore.QMetaObject) -> Facts:
    properties = (meta.property(i) for i in range(meta.propertyCount()))
    methods = (meta.method(i) for i in range(meta.methodCount()))
    signals = (m for m in methods if m.methodType() == QtCore.QMetaMethod.MethodType.Signal)
    return Facts(
        {prop.name(): prop.isWritable() for prop in properties},
        frozenset(bytes(signal.methodSignature()).decode() for signal in signals),
    )


def normalized(signature: str) -> str:
    """As Qt writes it: no spaces, no 'const T&'."""
    return bytes(QtCore.QMetaObject.normalizedSignature(signature)).decode()


qt_classes()
