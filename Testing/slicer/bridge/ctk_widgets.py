"""Stand-ins for the CTK widgets of a segmentation panel. Their API is CTK's (pythonqt_api.toml); the behaviour is ours."""

from PySide6 import QtCore, QtWidgets

from .api import declared

Qt = QtCore.Qt


class ctkCollapsibleButton(declared("ctkCollapsibleButton", QtWidgets.QAbstractButton, collapsedHeight=8)):
    """A header to click on; the children below it show while it is checked."""

    def __init__(self, *args):
        text = [arg for arg in args if isinstance(arg, str)]
        super().__init__(*[arg for arg in args if not isinstance(arg, str)])
        self.setText("".join(text))
        self.setCheckable(True)
        self.setChecked(True)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Preferred, QtWidgets.QSizePolicy.Policy.Preferred)
        self.setContentsMargins(0, self._header(), 0, 0)
        self._hidden_by_owner = set()
        self.toggled.connect(self._toggled)

    def _header(self) -> int:
        return self.fontMetrics().height() + 8

    def _on_collapsed(self, collapsed):
        self.setChecked(not collapsed)

    def _toggled(self, open_):
        self._collapsed = not open_
        children = [c for c in self.children() if isinstance(c, QtWidgets.QWidget)]
        if not open_:
            self._hidden_by_owner = {c for c in children if c.isHidden()}
        for child in children:
            child.setVisible(open_ and child not in self._hidden_by_owner)
        self.setMaximumHeight(16777215 if open_ else self._header() + self.collapsedHeight)
        self.updateGeometry()
        self.contentsCollapsed.emit(not open_)

    def childEvent(self, event):
        if event.type() == QtCore.QEvent.Type.ChildAdded and event.child().isWidgetType() and not self.isChecked():
            event.child().setVisible(False)
        super().childEvent(event)

    def sizeHint(self):
        head = QtCore.QSize(self.fontMetrics().horizontalAdvance(self.text) + 40, self._header())
        if not self.isChecked():
            return head + QtCore.QSize(0, self.collapsedHeight)
        return QtWidgets.QWidget.sizeHint(self).expandedTo(head)

    def minimumSizeHint(self):
        open_ = self.isChecked() and self.layout() is not None
        return self.layout().minimumSize() if open_ else self.sizeHint()

    def hitButton(self, position):
        return position.y() <= self._header()

    def paintEvent(self, _):
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, self.width, self._header())
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonBevel, option)
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QtCore.QRect(6, self._header() // 2 - 5, 10, 10)
        Primitive = QtWidgets.QStyle.PrimitiveElement
        painter.drawPrimitive(
            Primitive.PE_IndicatorArrowDown if self.isChecked() else Primitive.PE_IndicatorArrowRight, arrow
        )
        painter.drawText(option.rect.adjusted(22, 0, -4, 0), Qt.AlignmentFlag.AlignVCenter, self.text)


class qMRMLCollapsibleButton(ctkCollapsibleButton):
    pass


class ctkCollapsibleGroupBox(declared("ctkCollapsibleGroupBox", QtWidgets.QGroupBox, collapsedHeight=14)):
    """A group box whose check mark shows and hides what is in it."""

    def __init__(self, *args):
        super().__init__(*args)
        self.setCheckable(True)
        self.toggled.connect(self._toggled)

    def _on_collapsed(self, collapsed):
        self.setChecked(not collapsed)

    def _toggled(self, open_):
        self._collapsed = not open_
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                child.setVisible(open_)
        self.setMaximumHeight(16777215 if open_ else self.fontMetrics().height() + self.collapsedHeight)


class ctkDoubleSlider(
    declared("ctkDoubleSlider", QtWidgets.QWidget, maximum=99.0, singleStep=1.0, pageStep=10.0, tracking=True)
):
    """A slider over real numbers: a QSlider that counts single steps."""

    def __init__(self, *args):
        orientation = next((arg for arg in args if isinstance(arg, Qt.Orientation)), Qt.Orientation.Vertical)
        super().__init__(*[arg for arg in args if not isinstance(arg, Qt.Orientation)])
        self._slider = QtWidgets.QSlider(orientation, self)
        self._orientation = orientation
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider)
        self._slider.valueChanged.connect(self._moved_to)
        self._slider.sliderMoved.connect(lambda step: self.sliderMoved.emit(self._real(step)))
        self._slider.sliderPressed.connect(self.sliderPressed)
        self._slider.sliderReleased.connect(self.sliderReleased)
        self._set_range()

    def _real(self, step: int) -> float:
        return min(self.maximum, self.minimum + step * self.singleStep)

    def _set_range(self, _=None):
        self._slider.setRange(0, round((self.maximum - self.minimum) / self.singleStep))
        self._slider.setPageStep(max(1, round(self.pageStep / self.singleStep)))
        self.value = min(max(self.value, self.minimum), self.maximum)
        self.rangeChanged.emit(self.minimum, self.maximum)

    _on_minimum = _on_maximum = _on_singleStep = _on_pageStep = _set_range

    def _on_tracking(self, on):
        self._slider.setTracking(on)

    def _on_orientation(self, orientation):
        self._slider.setOrientation(orientation)

    def _on_value(self, value):
        self._value = min(max(float(value), self.minimum), self.maximum)
        self._sliderPosition = self._value
        blocked = self._slider.blockSignals(True)
        self._slider.setValue(round((self._value - self.minimum) / self.singleStep))
        self._slider.blockSignals(blocked)
        self.valueChanged.emit(self._value)

    def _on_sliderPosition(self, position):
        self.value = position

    def _moved_to(self, step):
        self.value = self._real(step)

    def setValue(self, value):
        self.value = float(value)

    def setOrientation(self, orientation):
        self.orientation = orientation


class ctkSliderWidget(
    declared(
        "ctkSliderWidget",
        QtWidgets.QWidget,
        maximum=99.0,
        singleStep=1.0,
        pageStep=10.0,
        decimals=2,
        tracking=True,
        spinBoxVisible=True,
    )
):
    """A slider and a spin box that show one value."""

    def __init__(self, *args):
        super().__init__(*args)
        self._slider = ctkDoubleSlider(Qt.Orientation.Horizontal)
        self._spin_box = QtWidgets.QDoubleSpinBox()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider)
        layout.addWidget(self._spin_box)
        self._dragging = False
        self._slider.sliderPressed.connect(self._start)
        self._slider.sliderReleased.connect(self._stop)
        self._slider.valueChanged.connect(self._moved_to)
        self._spin_box.valueChanged.connect(self.setValue)
        self._configure()

    def _configure(self, _=None):
        for part in (self._slider, self._spin_box):
            blocked = part.blockSignals(True)
            part.minimum, part.maximum, part.singleStep = self.minimum, self.maximum, self.singleStep
            part.blockSignals(blocked)
        self._slider.pageStep = self.pageStep
        self._spin_box.setDecimals(self.decimals)
        self._spin_box.setPrefix(self.prefix)
        self._spin_box.setSuffix(self.suffix)
        self._spin_box.setVisible(self.spinBoxVisible)
        self.value = min(max(self.value, self.minimum), self.maximum)

    _on_minimum = _on_maximum = _on_singleStep = _on_pageStep = _on_decimals = _configure
    _on_prefix = _on_suffix = _on_spinBoxVisible = _configure

    def _start(self):
        self._dragging, self._before = True, self.value

    def _stop(self):
        self._dragging = False
        if not self.tracking and self.value != self._before:
            self.valueChanged.emit(self.value)

    def _moved_to(self, value):
        self.value = value

    def _on_value(self, value):
        self._value = min(max(float(value), self.minimum), self.maximum)
        for part in (self._slider, self._spin_box):
            blocked = part.blockSignals(True)
            part.setValue(self._value)
            part.blockSignals(blocked)
        (self.valueIsChanging if self._dragging and not self.tracking else self.valueChanged).emit(self._value)

    def setValue(self, value):
        self.value = float(value)

    def setSpinBoxVisible(self, visible):
        self.spinBoxVisible = visible

    def reset(self):
        self.value = 0.0


class ctkComboBox(declared("ctkComboBox", QtWidgets.QComboBox)):
    """A combo box that says what to choose while nothing is chosen."""

    def _on_defaultText(self, text):
        self.setPlaceholderText(text)
        self.defaultTextChanged.emit(text)

    def _on_currentUserDataAsString(self, text):
        self.setCurrentIndex(self.findData(text))
        self.currentUserDataAsStringChanged.emit(text)

    def setCurrentUserDataAsString(self, text):
        self.currentUserDataAsString = text


class ctkPathLineEdit(
    declared("ctkPathLineEdit", QtWidgets.QWidget, filters=0x007, showBrowseButton=True, showHistoryButton=True)
):
    """A line for a path, with a button that asks for a file or folder."""

    Dirs, Files, Drives, NoSymLinks, AllEntries = 0x001, 0x002, 0x004, 0x008, 0x007
    Readable, Writable, Executable, Hidden, NoDotAndDotDot, ShowDirsOnly = 0x010, 0x020, 0x040, 0x100, 0x1000, 0x1

    def __init__(self, *args):
        super().__init__(*args)
        self._combo = QtWidgets.QComboBox()
        self._combo.setEditable(True)
        self._combo.setMinimumContentsLength(12)
        self._button = QtWidgets.QToolButton()
        self._button.setText("...")
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo, 1)
        layout.addWidget(self._button)
        self._combo.editTextChanged.connect(self.setCurrentPath)
        self._button.clicked.connect(self.browse)

    def _on_showBrowseButton(self, visible):
        self._button.setVisible(visible)

    def _on_currentPath(self, path):
        self._combo.setEditText(path)
        self.validInputChanged.emit(QtCore.QFileInfo(path).exists())
        self.currentPathChanged.emit(path)

    def setCurrentPath(self, path):
        self.currentPath = path

    def browse(self):
        if self.filters & self.Files:
            path = QtWidgets.QFileDialog.getOpenFileName(self, self.label, self.currentPath)[0]
        else:
            path = QtWidgets.QFileDialog.getExistingDirectory(self, self.label, self.currentPath)
        self.currentPath = path or self.currentPath

    def addCurrentPathToHistory(self):
        if self.currentPath and self._combo.findText(self.currentPath) < 0:
            self._combo.insertItem(0, self.currentPath)

    def retrieveHistory(self):
        """Nothing was remembered before the test."""


class ctkFittedTextBrowser(QtWidgets.QTextBrowser):
    """A text browser as high as its text."""

    def heightForWidth(self, width):
        document = self.document().clone()
        document.setTextWidth(width - 2 * self.frameWidth())
        return round(document.size().height()) + 2 * self.frameWidth()

    def sizeHint(self):
        return QtCore.QSize(QtWidgets.QTextBrowser.sizeHint(self).width(), self.heightForWidth(self.width))

    minimumSizeHint = sizeHint


class ctkMessageBox(declared("ctkMessageBox", QtWidgets.QMessageBox)):
    """A message box that can offer not to show again."""

    def _on_dontShowAgainVisible(self, visible):
        self.setCheckBox(QtWidgets.QCheckBox("Don't show this message again") if visible else None)

    def _on_dontShowAgainSettingsKey(self, key):
        self.dontShowAgainVisible = bool(key)

    def setDontShowAgain(self, on):
        self.dontShowAgain = on


CTK_WIDGETS = {
    kind.__name__: kind
    for kind in (
        ctkCollapsibleButton,
        ctkCollapsibleGroupBox,
        ctkDoubleSlider,
        ctkSliderWidget,
        ctkComboBox,
        ctkPathLineEdit,
        ctkFittedTextBrowser,
        ctkMessageBox,
    )
}
__all__ = [*CTK_WIDGETS, "CTK_WIDGETS", "qMRMLCollapsibleButton"]
