"""The bridge as a test uses it: makes `qt`, `ctk` and slicer.* importable, loads a module and drives it as a person would."""

import importlib.util
import sys
import time
import types
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import slicer
from PySide6 import QtCore, QtGui, QtTest, QtWidgets

from . import application, pythonqt, scripted
from .ctk_widgets import CTK_WIDGETS
from .dialogs import Dialogs
from .mrml_widgets import MRML_WIDGETS, forget_observations
from .ui_loader import UiLoader
from .watchdog import Heartbeat

MODULES = Path(__file__).resolve().parents[3] / "MultiRaterSeg"


@dataclass
class Loaded:
    """A scripted module in use. panel: the QWidget that it fills; widget: its <Name>Widget; module: its Python module."""

    module: types.ModuleType
    widget: object
    panel: QtWidgets.QWidget


class Bridge:
    """One scene's application. `dialogs` answers modal dialogs; `errors` collects what slots raised."""

    def __init__(self, host):
        self.host = host
        self.errors: list[BaseException] = []
        self._loaded: list[Loaded] = []
        self._heartbeat: Heartbeat | None = None
        self.qt_warnings: list[str] = []
        self._qt_said = QtCore.qInstallMessageHandler(self._note_warning)
        self.qt_application = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
        pythonqt.teach()
        self._install_settings()
        self.dialogs = Dialogs()
        self._install_modules()
        host.publish()
        slicer.app = application.qSlicerApplication(host)
        slicer.modules = application.modules(host)
        self._hook, sys.excepthook = sys.excepthook, self._note_error

    # ---- loading

    def load(self, module: str | Path = "MultiRaterSeg", started: bool = True) -> Loaded:
        """Import a scripted module's file and build its module and widget classes, as the application does."""
        path = Path(module) if str(module).endswith(".py") else MODULES / f"{module}.py"
        name = path.stem
        python = _import(name, path)
        entry = application.qSlicerScriptedLoadableModule()
        entry.name, entry.path, entry.title = name, str(path), name
        entry.description = getattr(python, name)(entry)
        setattr(slicer.modules, name.lower(), entry)
        panel = application.qSlicerScriptedLoadableModuleWidget()
        panel.setMRMLScene(slicer.mrmlScene)
        widget = getattr(python, f"{name}Widget")(panel)
        panel._python, entry.representation = widget, panel
        widget.setup()
        loaded = Loaded(python, widget, panel)
        self._loaded.append(loaded)
        panel.resize(400, 900)
        panel.show()
        if started:
            slicer.app.startupCompleted.emit()
        self.do(lambda: slicer.util.selectModule(name))
        return loaded

    # ---- time

    def do(self, action: Callable[[], object]) -> None:
        """Run the action inside the event loop, as an event of the user's would be."""
        finished = []

        def act():
            try:
                action()
            except Exception as error:
                self.errors.append(error)
            finished.append(True)

        QtCore.QTimer.singleShot(0, act)
        self.wait_until(lambda: finished, seconds=60)

    def pump(self, seconds: float = 0.0) -> None:
        """Run the event loop for this long."""
        end = time.perf_counter() + seconds
        self.wait_until(lambda: time.perf_counter() >= end, seconds + 10)

    def wait_until(self, condition: Callable[[], object], seconds: float = 10.0) -> None:
        """Run the event loop until the condition holds; AssertionError when it does not in time, or when a slot raised."""
        loop, end, seen = QtCore.QEventLoop(), time.perf_counter() + seconds, len(self.errors)
        met = []

        def look():
            if condition():
                met.append(True)
            if met or time.perf_counter() > end or len(self.errors) > seen:
                loop.quit()

        timer = QtCore.QTimer()
        timer.timeout.connect(look)
        timer.start(5)
        QtCore.QTimer.singleShot(0, look)
        with self._counting():
            loop.exec()
        timer.stop()
        if len(self.errors) > seen:
            raise AssertionError(f"A slot raised {self.errors[-1]!r}") from self.errors[-1]
        assert met, f"Nothing came of it within {seconds:g} s."

    @contextmanager
    def watchdog(self, limit: float = 0.2):
        """Measures how long the event loop stands still in this block: `heartbeat.longest_block`, s."""
        with Heartbeat(limit) as self._heartbeat:
            yield self._heartbeat
        self._heartbeat = None

    @contextmanager
    def _counting(self):
        heartbeat = self._heartbeat
        if heartbeat is None:
            yield
            return
        heartbeat.loop_started()
        yield
        heartbeat.loop_ended()

    # ---- a person's hands

    def click(self, widget: QtWidgets.QWidget, position: QtCore.QPoint | None = None) -> None:
        """A mouse click in the middle of a widget that can be seen and used."""
        self._must_be_usable(widget)
        if position is None:
            position = widget.rect.center()
            if isinstance(widget, (QtWidgets.QCheckBox, QtWidgets.QRadioButton)):
                position = QtCore.QPoint(8, position.y())
            if isinstance(widget, CTK_WIDGETS["ctkCollapsibleButton"]):
                position = QtCore.QPoint(position.x(), 6)
        self.do(lambda: QtTest.QTest.mouseClick(widget, QtCore.Qt.MouseButton.LeftButton, pos=position))

    def click_cell(self, table: QtWidgets.QAbstractItemView, row: int, column: int = 0) -> None:
        """A mouse click on one cell of a table or list."""
        self._must_be_usable(table)
        index = table.model().index(row, column)
        table.scrollTo(index)
        centre = table.visualRect(index).center()
        self.do(lambda: QtTest.QTest.mouseClick(table.viewport(), QtCore.Qt.MouseButton.LeftButton, pos=centre))

    def choose(self, combo: QtWidgets.QComboBox, text: str) -> None:
        """Choose an entry of a combo box that can be chosen."""
        self._must_be_usable(combo)
        index = combo.findText(text)
        assert index >= 0, f"{combo.name} has no entry {text!r}: {[combo.itemText(i) for i in range(combo.count)]}"
        enabled = combo.model().flags(combo.model().index(index, 0)) & QtCore.Qt.ItemFlag.ItemIsEnabled
        assert enabled, f"The entry {text!r} of {combo.name} is greyed out."

        def choose():
            combo.setCurrentIndex(index)
            combo.activated.emit(index)

        self.do(choose)

    def type_text(self, widget: QtWidgets.QWidget, text: str) -> None:
        """Replace a line's text, key by key; a newline at the end is Return."""
        self._must_be_usable(widget)

        def type_():
            widget.setFocus()
            widget.selectAll()
            QtTest.QTest.keyClicks(widget, text.removesuffix("\n"))
            if text.endswith("\n"):
                QtTest.QTest.keyClick(widget, QtCore.Qt.Key.Key_Return)

        self.do(type_)

    def drag(
        self, slider: QtWidgets.QWidget, value: float, steps: int = 5, pause: float = 0.02, release: bool = True
    ) -> None:
        """Press a slider, move it in steps and let it go."""
        self._must_be_usable(slider)
        inner = slider if isinstance(slider, QtWidgets.QSlider) else slider.findChild(QtWidgets.QSlider)
        start, per_step = slider.value, getattr(slider, "singleStep", 1) if inner is not slider else 1
        self.do(lambda: inner.setSliderDown(True))
        for i in range(1, steps + 1):
            position = round((start + (value - start) * i / steps - slider.minimum) / per_step) + inner.minimum
            self.do(lambda position=position: inner.setSliderPosition(position))
            self.pump(pause)
        if release:
            self.do(lambda: inner.setSliderDown(False))

    def place_point(self, ras) -> None:
        """A click in a slice view while placing, at this point in RAS mm."""
        self.do(lambda: application.place_point(ras))

    def close_scene(self) -> None:
        """File > Close scene."""
        self.do(lambda: slicer.mrmlScene.Clear(False))

    def save_and_reload(self, path: Path | None = None) -> Path:
        """Save the scene as .mrb, close it and load it again."""
        path = Path(path or self.host.folder / "scene.mrb")
        assert slicer.mrmlScene.WriteToMRB(str(path)), f"The scene could not be written to {path}"
        self.close_scene()
        self.do(lambda: slicer.mrmlScene.ReadFromMRB(str(path)))
        return path

    def will_answer(self, *buttons: str) -> None:
        self.dialogs.will_answer(*buttons)

    def will_choose_file(self, path) -> None:
        self.dialogs.will_choose_file(path)

    def screenshot(self, widget: QtWidgets.QWidget, path, size=(400, 900)) -> Path:
        """A picture of a widget, at this size unless None."""
        if size:
            widget.resize(*size)
        self.pump(0.05)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        assert widget.grab().save(str(path)), f"Qt could not write {path}"
        return Path(path)

    def stray_attributes(self, widget: QtWidgets.QWidget) -> set[tuple[str, str, str]]:
        return pythonqt.stray_attributes(widget)

    def _must_be_usable(self, widget) -> None:
        """Gives the panel the moment that a person takes anyway."""
        end = time.perf_counter() + 0.5
        self.wait_until(lambda: (widget.isVisible() and widget.isEnabled()) or time.perf_counter() > end)
        self._scroll_to(widget)
        name = widget.name or widget.className()
        assert widget.isVisible(), f"{name} cannot be seen."
        assert widget.isEnabled(), f"{name} is greyed out."

    def _scroll_to(self, widget) -> None:
        parent = widget.parentWidget()
        while parent is not None:
            if isinstance(parent, QtWidgets.QScrollArea) and parent.isAncestorOf(widget):
                parent.ensureWidgetVisible(widget)
            parent = parent.parentWidget()

    # ---- the end

    def __enter__(self) -> "Bridge":
        return self

    def __exit__(self, kind, *_) -> None:
        try:
            self.close()
        except AssertionError:
            if kind is None:  # what went wrong first is what counts
                raise

    def close(self) -> None:
        """Close the modules. AssertionError with everything that PythonQt or a person would have stumbled over."""
        troubles = []
        for loaded in self._loaded:
            troubles += [f"{k} {n!r} has no property {a!r}" for k, n, a in pythonqt.stray_attributes(loaded.panel)]
            for step in ("exit", "cleanup"):
                self.do(getattr(loaded.widget, step, lambda: None))
            loaded.panel.hide()
            loaded.panel.setMRMLScene(None)
            loaded.panel.deleteLater()
            sys.modules.pop(loaded.module.__name__)
        forget_observations()
        slicer.mrmlScene.Clear(True)  # as the application does: slice logics that still show a volume crash at exit
        self.qt_application.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete.value)
        sys.excepthook = self._hook
        QtCore.qInstallMessageHandler(self._qt_said)
        troubles += [f"Qt says: {said}" for said in self.qt_warnings]
        troubles += self.dialogs.close() + [f"A slot raised {error!r}" for error in self.errors]
        if troubles:
            raise AssertionError("\n".join(troubles)) from (self.errors or [None])[0]

    def _note_error(self, kind, error, traceback) -> None:
        """PythonQt prints what a slot raises and goes on; here it is remembered for the end of the test."""
        self.errors.append(error.with_traceback(traceback))

    def _note_warning(self, kind, context, text) -> None:
        if kind != QtCore.QtMsgType.QtDebugMsg and "propagateSizeHints" not in text:  # what a screen would be told
            self.qt_warnings.append(text)

    def _install_settings(self) -> None:
        settings = QtCore.QSettings
        settings.setDefaultFormat(settings.Format.IniFormat)
        for scope in (settings.Scope.UserScope, settings.Scope.SystemScope):
            settings.setPath(settings.Format.IniFormat, scope, str(self.host.folder / "settings"))
        QtCore.QCoreApplication.setOrganizationName("tests")
        QtCore.QCoreApplication.setApplicationName("Slicer")

    def _install_modules(self) -> None:
        # The same modules for every test: what the panel imported once must follow.
        qt, ctk = (sys.modules.get(name) or types.ModuleType(name) for name in ("qt", "ctk"))
        for kit in (QtCore, QtGui, QtWidgets):
            vars(qt).update({name: getattr(kit, name) for name in dir(kit) if name.startswith("Q")})
        qt.QUiLoader, qt.QFileDialog = UiLoader, _file_dialog(self.dialogs)
        ctk.__getattr__ = _stand_ins(CTK_WIDGETS, ("ctk",))
        slicer.__getattr__ = _stand_ins({**MRML_WIDGETS, **_classes_of(application)}, ("qMRML", "qSlicer"))
        i18n = types.ModuleType("slicer.i18n")
        i18n.tr, i18n.translate = (lambda text: text), (lambda context, text: text)
        sample_data = types.ModuleType("SampleData")
        sample_data.SampleDataLogic = application.SampleDataLogic
        modules = {
            "SampleData": sample_data,
            "qt": qt,
            "ctk": ctk,
            "slicer.i18n": i18n,
            "slicer.ScriptedLoadableModule": scripted,
        }
        sys.modules.update(modules)
        slicer.i18n, slicer.ScriptedLoadableModule = i18n, scripted


def _import(name: str, path: Path) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _classes_of(module) -> dict[str, type]:
    return {name: kind for name, kind in vars(module).items() if name.startswith(("qSlicer", "qMRML"))}


def _stand_ins(known: dict[str, type], prefixes: tuple[str, ...]):
    """A module's __getattr__: known widgets, a loud failure for unknown ones, AttributeError for the rest."""

    def get(name):
        if name in known:
            return known[name]
        if name.startswith(prefixes):
            raise NotImplementedError(f"There is no stand-in for {name}; write one in Testing/slicer/bridge")
        raise AttributeError(name)

    return get


def _file_dialog(dialogs: Dialogs) -> type:
    """qt.QFileDialog whose questions are answered by the test. PythonQt returns the chosen path alone."""

    class QFileDialog(QtWidgets.QFileDialog):
        @staticmethod
        def getExistingDirectory(*args, **kwargs):
            return dialogs.choose_file()[0]

        getOpenFileName = getSaveFileName = getExistingDirectory

        @staticmethod
        def getOpenFileNames(*args, **kwargs):
            return tuple(path for path in [dialogs.choose_file()[0]] if path)

    return QFileDialog
