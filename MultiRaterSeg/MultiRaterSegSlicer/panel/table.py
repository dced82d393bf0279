"""The outlines of a lesion as rows: a tick shows, hides or computes; colour and name side by side; numbers."""

from collections.abc import Sequence

import qt

from ..i18n import _
from .state import StyleRow
from .widgets import swatch

ROW = 20  # pixels: one line


class StyleTable:
    """Fills a QTableWidget. Rows follow the PanelState's."""

    def __init__(self, table: "qt.QTableWidget"):
        self._table = table
        self._rows: tuple[StyleRow, ...] | None = None
        table.setColumnCount(4)
        table.setHorizontalHeaderLabels([_("Outline"), _("mL\n(5-95 %)"), _("Dice"), _("HD95\nmm")])
        table.verticalHeader().setVisible(False)
        table.verticalHeader().setDefaultSectionSize(ROW)
        header = table.horizontalHeader()
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        for column in (1, 2, 3):
            header.setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.setSelectionMode(qt.QAbstractItemView.NoSelection)
        table.setVerticalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOff)
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.tabKeyNavigation = False
        table.horizontalHeaderItem(1).setToolTip(
            _("Volume: the median of the simulated readers, and their 5-95 % range")
        )
        table.horizontalHeaderItem(2).setToolTip(_("Overlap with the consensus, 0 to 1"))
        table.horizontalHeaderItem(3).setToolTip(_("Distance to the consensus' outline, mm (95th percentile)"))

    def ticked(self, row: int) -> bool:
        return self._table.item(row, 0).checkState() == qt.Qt.Checked

    def show(self, rows: Sequence[StyleRow]) -> None:
        if rows == self._rows and all(self.ticked(n) == row.shown for n, row in enumerate(rows)):
            return
        self._rows = rows
        self._table.setRowCount(len(rows))
        for n, row in enumerate(rows):
            self._table.setItem(n, 0, _name_cell(row))
            for column, text in enumerate((row.volume, row.dice, row.hd95), 1):
                self._table.setItem(n, column, _number_cell(text))
        self._table.setFixedHeight(self._table.horizontalHeader().sizeHint.height() + ROW * len(rows) + 4)
        self._table.setVisible(bool(rows))


def _name_cell(row: StyleRow) -> "qt.QTableWidgetItem":
    cell = qt.QTableWidgetItem(row.title)
    cell.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable)
    cell.setCheckState(qt.Qt.Checked if row.shown else qt.Qt.Unchecked)
    cell.setIcon(qt.QIcon(swatch(row.color)))
    cell.setToolTip(row.title if row.computed else _("{title}: tick to compute").format(title=row.title))
    return cell


def _number_cell(text: str) -> "qt.QTableWidgetItem":
    cell = qt.QTableWidgetItem(text)
    cell.setFlags(qt.Qt.ItemIsEnabled)
    cell.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
    return cell
