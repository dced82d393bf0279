"""The panel's widgets: what a press does. Only what PythonQt offers."""

import qt
import slicer

from MultiRaterSegLib.errors import MultiRaterSegError

from . import dialogs, views
from .drawing import Drawing
from .presenter import Panel
from .state import Busy, PanelState

PUMP_MS, REST_MS, READ_MS = 30, 350, 300


class PanelWindow:
    """The loaded .ui and its Panel. `ui`: the widgets by name (slicer.util.childWidgetVariables)."""

    def __init__(self, ui, logic):
        self.ui = ui
        self._is_drawing, self.state = False, PanelState()
        self._layout_before_table: int | None = None
        self._drawing = Drawing(ui)
        self.panel = Panel(logic, self)
        self._connect()
        self._pump, self._rest, self._read = qt.QTimer(), qt.QTimer(), qt.QTimer()
        self._start_timers()
        self.show_busy(None)
        self.panel.show_changes()

    def close(self) -> None:
        for timer in (self._pump, self._rest, self._read):
            timer.stop()
        self.panel.close()

    # -- Window, as the Panel knows it

    def show(self, state: PanelState) -> None:
        self._is_drawing, self.state = True, state
        try:
            self._drawing.show(state)
            self.ui.volumeSelector.setCurrentNode(self.panel.session.volume)
        finally:
            self._is_drawing = False

    def show_busy(self, busy: Busy | None) -> None:
        self._drawing.show_busy(busy)

    def open_editor(self, node) -> None:
        views.open_segment_editor(node, self.panel.session.volume)

    def show_table(self, node) -> None:
        self._layout_before_table = views.toggle_table(node, self._layout_before_table)

    def install(self) -> None:
        if dialogs.install():
            self.panel.installed()

    def _install_encoders(self) -> None:
        if dialogs.install_encoders():
            self.panel.installed()

    def _add_model(self) -> None:
        try:
            path = dialogs.add_model()
        except MultiRaterSegError as error:
            self.panel.session.fail(error)
            return
        if path is not None:
            self.panel.installed()
            self.panel.choose_model(path.stem)

    # -- wiring

    def _connect(self) -> None:
        ui, panel = self.ui, self.panel
        ui.messageFirstButton.connect("clicked(bool)", lambda _on: self._answer(-1))
        ui.messageSecondButton.connect("clicked(bool)", lambda _on: self._answer(-2))
        ui.showExampleButton.connect("clicked(bool)", self._show_example)
        ui.exampleButton.connect("clicked(bool)", self._show_example)
        ui.installButton.connect("clicked(bool)", lambda _on: self.install())
        ui.manageButton.connect("clicked(bool)", lambda _on: self.install())
        ui.addModelButton.connect("clicked(bool)", lambda _on: self._add_model())
        ui.encodersButton.connect("clicked(bool)", lambda _on: self._install_encoders())
        ui.volumeSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._by_person(panel.choose_volume))
        ui.boxSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._by_person(panel.choose_box))
        ui.modelComboBox.connect("activated(int)", lambda n: panel.choose_model(self.state.models[n].key))
        ui.lesionComboBox.connect("activated(int)", lambda n: panel.choose_lesion(self.state.lesions[n].key))
        ui.placePointButton.connect("clicked(bool)", panel.place_point)
        ui.placeBoxButton.connect("clicked(bool)", panel.place_box)
        ui.computeOnPlaceCheckBox.connect("clicked(bool)", panel.set_compute_on_place)
        ui.samplesSpinBox.connect("valueChanged(int)", self._by_person(panel.set_samples))
        ui.computeButton.connect("clicked(bool)", lambda _on: panel.compute())
        ui.cancelButton.connect("clicked(bool)", lambda _on: panel.cancel())
        ui.bandsCheckBox.connect("clicked(bool)", panel.show_bands)
        ui.mapCheckBox.connect("clicked(bool)", panel.show_map)
        ui.stylesTable.connect("cellChanged(int,int)", self._row_ticked)
        ui.allStylesButton.connect("clicked(bool)", lambda _on: panel.all_styles())
        ui.tableButton.connect("clicked(bool)", lambda _on: panel.open_table())
        ui.spotsList.connect("currentRowChanged(int)", self._by_person(self._go_to))
        ui.spotsList.connect("itemClicked(QListWidgetItem*)", lambda _item: self._go_to(ui.spotsList.currentRow))
        self._connect_steer()
        self._connect_review()

    def _connect_steer(self) -> None:
        ui, steer = self.ui, self.panel.steer
        ui.firstStyleComboBox.connect("activated(int)", lambda _n: self._choose_ends())
        ui.secondStyleComboBox.connect("activated(int)", lambda _n: self._choose_ends())
        ui.steerSlider.connect("valueChanged(int)", self._by_person(self._slide))
        ui.steerSlider.connect("sliderReleased()", self._rest_now)
        ui.promptComboBox.connect("editTextChanged(QString)", self._by_person(lambda _text: self._read.start()))
        ui.promptComboBox.lineEdit().connect("returnPressed()", self._say)
        ui.promptButton.connect("clicked(bool)", lambda _on: self._say())
        ui.keepButton.connect("clicked(bool)", lambda _on: steer.keep())
        ui.discardButton.connect("clicked(bool)", lambda _on: steer.discard())

    def _connect_review(self) -> None:
        ui, panel = self.ui, self.panel
        ui.editButton.connect("clicked(bool)", lambda _on: panel.review.edit(self._contour()))
        ui.acceptButton.connect("clicked(bool)", lambda _on: self._decide("accepted"))
        ui.flagButton.connect("clicked(bool)", lambda _on: self._decide("flagged"))
        ui.exportButton.connect("clicked(bool)", lambda _on: self._export())
        ui.undoButton.connect("clicked(bool)", lambda _on: panel.undo())
        ui.stepsSpinBox.connect("valueChanged(int)", self._by_person(lambda count: panel.turn("steps", count)))
        turned = self._by_person(lambda value: panel.turn("preference", value))
        ui.preferenceSpinBox.connect("valueChanged(double)", turned)
        ui.blindCheckBox.connect("clicked(bool)", panel.set_blind)
        ui.restartButton.connect("clicked(bool)", lambda _on: panel.engine.restart())
        ui.historyList.connect("itemActivated(QListWidgetItem*)", lambda item: self._say(item.text()))

    def _by_person(self, call):
        """A slot for signals that are also sent when the panel itself changes a widget: then nothing is called."""
        return lambda value: None if self._is_drawing else call(value)

    def _start_timers(self) -> None:
        self._pump.setInterval(PUMP_MS)
        self._pump.connect("timeout()", self.panel.tick)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.connect("timeout()", self.panel.steer.rest)
        self._read.setSingleShot(True)
        self._read.setInterval(READ_MS)
        self._read.connect("timeout()", lambda: self.panel.steer.read(self.ui.promptComboBox.currentText))
        self._pump.start()

    # -- presses

    def _answer(self, which: int) -> None:
        self.state.message.buttons[which].press()

    def _row_ticked(self, row: int, _column: int) -> None:
        if not self._is_drawing:
            self.panel.tick_row(self.state.rows[row].name, self._drawing.table.ticked(row))

    def _go_to(self, row: int) -> None:
        if 0 <= row < len(self.state.spots):
            self.panel.go_to(self.state.spots[row].ras)

    def _choose_ends(self) -> None:
        styles = self.state.steer.styles
        first, second = self.ui.firstStyleComboBox.currentIndex, self.ui.secondStyleComboBox.currentIndex
        self.panel.steer.choose(styles[first].key, styles[second].key)

    def _slide(self, value: int) -> None:
        self.ui.steerValueLabel.text = f"{value} %"
        self.panel.steer.slide(value / 100)
        self._rest.start()

    def _rest_now(self) -> None:
        if self._rest.active:
            self._rest.stop()
            self.panel.steer.rest()

    def _say(self, sentence: str | None = None) -> None:
        self._read.stop()
        self.panel.steer.say(self.ui.promptComboBox.currentText if sentence is None else sentence)

    def _contour(self) -> str:
        return self.state.contours[self.ui.contourComboBox.currentIndex].key

    def _decide(self, decision: str) -> None:
        self.panel.decide(self._contour(), decision, self.ui.noteLineEdit.text.strip())
        self.ui.noteLineEdit.text = ""

    def _export(self) -> None:
        form = dialogs.FORMATS[self.ui.exportComboBox.currentIndex]
        reason = self.panel.review.unavailable(form)
        if reason:
            self.panel.session.say(reason, "warning")
            return
        path = dialogs.ask_where(form, self.panel.session)
        if path is not None:
            with slicer.util.WaitCursor():
                self.panel.export(form, path)

    def _show_example(self, _on: bool) -> None:
        from ..examples import show_example

        show_example()
        self.panel.read_scene()
