"""Draws a PanelState on the panel's widgets, and what never changes on them. Only what PythonQt offers."""

import qt

from MultiRaterSegLib.segments import BAND_COLORS, BAND_NAMES

from ..scene.map import FOOTER, LABELS, TITLE
from . import dialogs
from .state import Busy, Message, PanelState, Preference, SteerState, Steps
from .table import StyleTable
from .widgets import fill_choices, fill_texts, ramp, swatch
from .words import BANDS, NOT_A_DEVICE

ICONS = {
    "info": qt.QStyle.SP_MessageBoxInformation,
    "warning": qt.QStyle.SP_MessageBoxWarning,
    "error": qt.QStyle.SP_MessageBoxCritical,
}


class Drawing:
    """ui: the widgets by name. What a person is typing, dragging or has opened is left as it is."""

    def __init__(self, ui):
        self.ui = ui
        self.table = StyleTable(ui.stylesTable)
        self._had_result, self._left_open = False, (True, True)
        self._add_legends()
        self._add_words()

    def show(self, state: PanelState) -> None:
        self._show_message(state.message)
        self._show_input(state)
        self._show_consensus(state)
        self._show_styles(state)
        self._show_steer(state)
        self._show_review(state)
        self._show_advanced(state)
        self._open_steps(state.has_result)

    def show_busy(self, busy: Busy | None) -> None:
        self.ui.busyFrame.visible = busy is not None
        if busy is not None:
            self.ui.busyLabel.text = busy.text
            self.ui.progressBar.maximum = 0 if busy.percent is None else 100
            self.ui.progressBar.value = busy.percent or 0

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
        buttons = message.buttons
        ui.messageFirstButton.text = buttons[-1].text
        ui.messageSecondButton.visible = len(buttons) > 1
        if len(buttons) > 1:
            ui.messageSecondButton.text = buttons[-2].text

    def _show_input(self, state: PanelState) -> None:
        ui = self.ui
        ui.firstStartFrame.visible = not state.installed
        fill_choices(ui.modelComboBox, state.models, state.model)
        ui.modelLabel.text = state.model_note
        ui.modelLabel.visible = bool(state.model_note)
        fill_choices(ui.lesionComboBox, state.lesions, state.lesion)
        ui.placePointButton.checked, ui.placeBoxButton.checked = state.placing == "point", state.placing == "box"
        ui.placePointButton.enabled = ui.placeBoxButton.enabled = state.has_volume
        ui.computeOnPlaceCheckBox.checked = state.compute_on_place

    def _show_consensus(self, state: PanelState) -> None:
        ui = self.ui
        ui.samplesSpinBox.value = state.samples
        ui.computeButton.enabled = state.can_compute and not state.busy
        ui.consensusResultFrame.visible = bool(state.consensus)
        ui.consensusLabel.text = state.consensus
        ui.bandsCheckBox.checked = ui.legendFrame.visible = state.bands_shown
        ui.mapCheckBox.checked = state.map_on
        ui.mapLegendFrame.visible = state.map_on
        ui.warningsFrame.visible = bool(state.warnings)
        ui.warningsLabel.text = "\n".join(state.warnings)

    def _show_styles(self, state: PanelState) -> None:
        ui = self.ui
        ui.stylesLabel.text, ui.stylesLabel.visible = state.styles_note, bool(state.styles_note)
        self.table.show(state.rows)
        ui.orderLabel.visible = bool(state.order_note)
        ui.orderLabel.text = state.order_note
        ui.allStylesButton.enabled = state.can_compute and state.styles_left and not state.busy
        ui.tableButton.enabled = state.has_table
        ui.spotsFrame.visible = bool(state.spots)
        fill_texts(ui.spotsList, [spot.text for spot in state.spots], lines=4)

    def _show_steer(self, state: PanelState) -> None:
        ui, steer = self.ui, state.steer
        ui.steerFrame.enabled = state.can_compute and (steer.can_slide or (bool(state.model) and steer.prompt_allowed))
        fill_choices(ui.firstStyleComboBox, steer.styles, steer.first)
        fill_choices(ui.secondStyleComboBox, steer.styles, steer.second)
        for widget in (ui.firstStyleComboBox, ui.secondStyleComboBox, ui.steerSlider):
            widget.enabled = steer.can_slide
        if not ui.steerSlider.sliderDown:
            ui.steerSlider.value = round(100 * steer.position)
        ui.steerValueLabel.text = f"{ui.steerSlider.value} %"
        ui.promptComboBox.enabled = ui.promptButton.enabled = steer.prompt_allowed
        ui.promptComboBox.lineEdit().placeholderText = steer.hint
        self._show_suggestions(steer)
        ui.understoodLabel.visible, ui.understoodLabel.text = bool(steer.understood), steer.understood
        ui.problemLabel.visible, ui.problemLabel.text = bool(steer.problem), steer.problem
        ui.previewLabel.text = steer.preview
        ui.keepButton.enabled, ui.discardButton.enabled = steer.can_keep, steer.can_discard

    def _show_suggestions(self, steer: SteerState) -> None:
        """The list behind the sentence; what is being typed stays."""
        box = self.ui.promptComboBox
        if tuple(box.itemText(n) for n in range(box.count)) != steer.suggestions:
            typed = box.currentText or steer.prompt
            box.clear()
            box.addItems(list(steer.suggestions))
            box.setEditText(typed)

    def _show_review(self, state: PanelState) -> None:
        ui = self.ui
        chosen = ui.contourComboBox.currentIndex
        known = [choice.key for choice in state.contours]
        keep = known[chosen] if 0 <= chosen < len(known) else (known[0] if known else "")
        fill_choices(ui.contourComboBox, state.contours, keep)
        ui.reviewFrame.enabled = bool(state.contours)
        ui.reviewLabel.visible, ui.reviewLabel.text = bool(state.review), state.review
        ui.undoButton.enabled = bool(state.undo)
        ui.undoButton.toolTip = state.undo

    def _show_advanced(self, state: PanelState) -> None:
        ui = self.ui
        self._show_steps(state.steps)
        self._show_preference(state.preference)
        ui.blindCheckBox.checked = state.blind
        ui.addModelButton.enabled = state.installed
        ui.engineLabel.text = state.engine
        fill_texts(ui.historyList, list(state.history))

    def _show_steps(self, steps: Steps | None) -> None:
        """Only where the model draws in steps; a number that is being typed stays."""
        box = self.ui.stepsSpinBox
        self.ui.stepsSpinBoxCaption.visible = box.visible = steps is not None
        if steps is not None:
            box.toolTip = steps.tip
            if (box.value, box.maximum) != (steps.count, steps.most):
                box.maximum = steps.most
                box.value = steps.count

    def _show_preference(self, preference: Preference | None) -> None:
        """Only where the model was aligned; a number that is being typed stays."""
        box = self.ui.preferenceSpinBox
        self.ui.preferenceSpinBoxCaption.visible = box.visible = preference is not None
        if preference is not None:
            box.toolTip = preference.tip
            if box.value != round(preference.value, box.decimals):
                box.value = preference.value

    def _add_legends(self) -> None:
        """Colors beside their words; the map's title, scale and footer."""
        layout = self.ui.legendFrame.layout()
        for name, words in BANDS.items():
            color, text = qt.QLabel(), qt.QLabel(words)
            color.pixmap = swatch(BAND_COLORS[name])
            text.toolTip = BAND_NAMES[name]
            layout.addWidget(color)
            layout.addWidget(text)
        layout.addStretch(1)
        self.ui.mapTitleLabel.text, self.ui.mapFooterLabel.text = TITLE, FOOTER
        self.ui.mapRampLabel.pixmap = ramp(64, 12)
        self.ui.mapLowLabel.text, self.ui.mapMiddleLabel.text, self.ui.mapHighLabel.text = LABELS.values()

    def _add_words(self) -> None:
        self.ui.noticeLabel.text = NOT_A_DEVICE
        icon = self.ui.warningsFrame.style().standardIcon(ICONS["warning"])
        self.ui.warningsIcon.pixmap = icon.pixmap(20, 20)
        self.ui.exportComboBox.addItems([dialogs.format_title(form) for form in dialogs.FORMATS])
