"""The panel's widgets: draws a PanelState and turns presses into calls of the Panel. Only what PythonQt offers."""

import qt
import slicer

from MultiRaterSegLib.errors import MultiRaterSegError
from MultiRaterSegLib.segments import BAND_COLORS, BAND_NAMES

from ..i18n import _
from ..scene.map import FOOTER, LABELS, TITLE
from . import dialogs, views
from .presenter import Panel
from .state import Busy, Message, PanelState
from .table import StyleTable
from .widgets import fill_choices, fill_texts, ramp, swatch
from .words import BANDS, NOT_A_DEVICE

PUMP_MS, REST_MS, READ_MS = 30, 350, 300
ICONS = {
    "info": qt.QStyle.SP_MessageBoxInformation,
    "warning": qt.QStyle.SP_MessageBoxWarning,
    "error": qt.QStyle.SP_MessageBoxCritical,
}


class PanelWindow:
    """The loaded .ui and its Panel. `ui`: the widgets by name (slicer.util.childWidgetVariables)."""

    def __init__(self, ui, logic):
        self.ui = ui
        self._drawing, self._had_result, self.state = False, False, PanelState()
        self._left_open = True, True
        self._table = StyleTable(ui.stylesTable)
        self._add_legends()
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
        self._drawing, self.state = True, state
        try:
            self._show_message(state.message)
            self._show_input(state)
            self._show_consensus(state)
            self._show_styles(state)
            self._show_steer(state)
            self._show_review(state)
            self._show_advanced(state)
        finally:
            self._drawing = False
        self._open_steps(state.has_result)

    def show_busy(self, busy: Busy | None) -> None:
        self.ui.busyFrame.visible = busy is not None
        if busy is not None:
            self.ui.busyLabel.text = busy.text
            self.ui.progressBar.maximum = 0 if busy.percent is None else 100
            self.ui.progressBar.value = busy.percent or 0

    def open_editor(self, node) -> None:
        views.open_segment_editor(node, self.panel.session.volume)

    def show_table(self, node) -> None:
        views.show_table(node)

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
        ui.computeButton.connect("clicked(bool)", lambda _on: self._compute_or_cancel())
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
        ui.blindCheckBox.connect("clicked(bool)", panel.set_blind)
        ui.restartButton.connect("clicked(bool)", lambda _on: panel.engine.restart())
        ui.historyList.connect("itemActivated(QListWidgetItem*)", lambda item: self._say(item.text()))

    def _by_person(self, call):
        """A slot for signals that are also sent when the panel itself changes a widget: then nothing is called."""
        return lambda value: None if self._drawing else call(value)

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
        buttons = self.state.message.buttons
        buttons[which].press()

    def _compute_or_cancel(self) -> None:
        if self.state.busy:
            self.panel.cancel()
        else:
            self.panel.compute()

    def _row_ticked(self, row: int, _column: int) -> None:
        if not self._drawing:
            self.panel.tick_row(self.state.rows[row].name, self._table.ticked(row))

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
            self.panel.session.say(reason, "warning", self.panel.session.close_button())
            return
        path = dialogs.ask_where(form, self.panel.session)
        if path is not None:
            with slicer.util.WaitCursor():
                self.panel.export(form, path)

    def _show_example(self, _on: bool) -> None:
        from ..examples import show_example

        show_example()
        self.panel.read_scene()

    # -- drawing

    def _open_steps(self, has_result: bool) -> None:
        """Steer and Review are closed while there is no result; with one, they are as the person left them."""
        if has_result == self._had_result:
            return
        self._had_result = has_result
        steps = self.ui.steerButton, self.ui.reviewButton
        if not has_result:
            self._left_open = tuple(not step.collapsed for step in steps)
        for step, left_open in zip(steps, self._left_open):
            step.collapsed = not (has_result and left_open)

    def _show_message(self, message: Message | None) -> None:
        ui = self.ui
        ui.messageFrame.visible = message is not None
        if message is None:
            return
        ui.messageIcon.pixmap = ui.messageFrame.style().standardIcon(ICONS[message.kind]).pixmap(24, 24)
        ui.messageLabel.text = message.text
        ui.messageLabel.toolTip = message.details
        buttons = message.buttons or (self.panel.session.close_button(),)
        ui.messageFirstButton.text = buttons[-1].text
        ui.messageSecondButton.visible = len(buttons) > 1
        if len(buttons) > 1:
            ui.messageSecondButton.text = buttons[-2].text

    def _show_input(self, state: PanelState) -> None:
        ui = self.ui
        ui.firstStartFrame.visible = not state.installed
        ui.volumeSelector.setCurrentNode(self.panel.session.volume)
        fill_choices(ui.modelComboBox, state.models, state.model)
        ui.modelLabel.text = state.model_note
        ui.modelLabel.visible = bool(state.model_note)
        fill_choices(ui.lesionComboBox, state.lesions, state.lesion)
        placing = self.panel.places.placing
        ui.placePointButton.checked, ui.placeBoxButton.checked = placing == "point", placing == "box"
        ui.placePointButton.enabled = ui.placeBoxButton.enabled = state.has_volume
        ui.computeOnPlaceCheckBox.checked = state.compute_on_place

    def _show_consensus(self, state: PanelState) -> None:
        ui = self.ui
        ui.samplesSpinBox.value = state.samples
        ui.computeButton.text = _("Cancel") if state.busy else _("Compute")
        ui.computeButton.enabled = state.busy or state.can_compute
        ui.consensusResultFrame.visible = bool(state.consensus)
        ui.consensusLabel.text = state.consensus
        ui.bandsCheckBox.checked = ui.legendFrame.visible = state.bands_shown
        ui.mapCheckBox.checked = state.map_on
        ui.mapLegendFrame.visible = state.map_on
        ui.warningsFrame.visible = bool(state.warnings)
        ui.warningsLabel.text = "\n".join(state.warnings)

    def _show_styles(self, state: PanelState) -> None:
        ui = self.ui
        self._table.show(state.rows)
        ui.orderLabel.visible = bool(state.order_note)
        ui.orderLabel.text = state.order_note
        ui.allStylesButton.enabled = state.can_compute and not state.busy
        ui.tableButton.enabled = state.has_table
        ui.spotsFrame.visible = bool(state.spots)
        fill_texts(ui.spotsList, [spot.text for spot in state.spots], lines=4)

    def _show_steer(self, state: PanelState) -> None:
        ui, steer = self.ui, state.steer
        ui.steerFrame.enabled = state.can_compute and bool(steer.styles)
        fill_choices(ui.firstStyleComboBox, steer.styles, steer.first)
        fill_choices(ui.secondStyleComboBox, steer.styles, steer.second)
        if not ui.steerSlider.sliderDown:
            ui.steerSlider.value = round(100 * steer.position)
        ui.steerValueLabel.text = f"{ui.steerSlider.value} %"
        ui.promptComboBox.enabled = ui.promptButton.enabled = steer.prompt_allowed
        self._show_suggestions(steer)
        ui.understoodLabel.visible, ui.understoodLabel.text = bool(steer.understood), steer.understood
        ui.problemLabel.visible, ui.problemLabel.text = bool(steer.problem), steer.problem
        ui.previewLabel.text = steer.preview
        ui.keepButton.enabled, ui.discardButton.enabled = steer.can_keep, steer.can_discard

    def _show_suggestions(self, steer) -> None:
        """The list behind the sentence; what is being typed stays."""
        box = self.ui.promptComboBox
        if tuple(box.itemText(n) for n in range(box.count)) != steer.suggestions:
            typed = box.currentText or steer.prompt
            box.clear()
            box.addItems(list(steer.suggestions))
            box.setEditText(typed)

    def _show_review(self, state: PanelState) -> None:
        ui = self.ui
        chosen = self.ui.contourComboBox.currentIndex
        known = [choice.key for choice in state.contours]
        keep = known[chosen] if 0 <= chosen < len(known) else (known[0] if known else "")
        fill_choices(ui.contourComboBox, state.contours, keep)
        ui.reviewFrame.enabled = bool(state.contours)
        ui.reviewLabel.visible, ui.reviewLabel.text = bool(state.review), state.review
        ui.undoButton.enabled = bool(state.undo)
        ui.undoButton.toolTip = state.undo

    def _show_advanced(self, state: PanelState) -> None:
        ui = self.ui
        ui.blindCheckBox.checked = state.blind
        ui.addModelButton.enabled = state.installed
        ui.engineLabel.text = state.engine
        fill_texts(ui.historyList, list(state.history))

    def _add_legends(self) -> None:
        """Colours beside their words, the map's title, scale and footer, the formats to write."""
        layout = self.ui.legendFrame.layout()
        for name, words in BANDS.items():
            color, text = qt.QLabel(), qt.QLabel(words)
            color.pixmap = swatch(BAND_COLORS[name])
            text.toolTip = BAND_NAMES[name]
            layout.addWidget(color)
            layout.addWidget(text)
        layout.addStretch(1)
        self._add_map_legend()
        self.ui.noticeLabel.text = NOT_A_DEVICE
        self.ui.promptComboBox.lineEdit().placeholderText = _("Or say it: include the ground-glass halo")
        icon = self.ui.warningsFrame.style().standardIcon(ICONS["warning"])
        self.ui.warningsIcon.pixmap = icon.pixmap(20, 20)
        self.ui.exportComboBox.addItems([dialogs.format_title(form) for form in dialogs.FORMATS])

    def _add_map_legend(self) -> None:
        self.ui.mapTitleLabel.text, self.ui.mapFooterLabel.text = TITLE, FOOTER
        self.ui.mapRampLabel.pixmap = ramp(64, 12)
        self.ui.mapLowLabel.text, self.ui.mapMiddleLabel.text, self.ui.mapHighLabel.text = LABELS.values()
