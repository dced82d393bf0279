"""Small drawing pieces of the panel: lists that are only refilled when they changed, colours beside words."""

from collections.abc import Sequence

import qt

from ..scene.map import RAMP
from .state import Choice

SIDE = 14  # pixels of a colour beside its words


def fill_choices(box: "qt.QComboBox", choices: Sequence[Choice], key: str) -> None:
    """Entries and the chosen one; an unchanged list keeps its open popup."""
    titles = [choice.title for choice in choices]
    if [box.itemText(n) for n in range(box.count)] != titles:
        box.clear()
        box.addItems(titles)
        for n, choice in enumerate(choices):
            box.setItemData(n, choice.tip, qt.Qt.ToolTipRole)
            if choice.grey:
                box.setItemData(n, qt.QBrush(qt.QColor("gray")), qt.Qt.ForegroundRole)
    box.setCurrentIndex(next((n for n, choice in enumerate(choices) if choice.key == key), -1))
    box.enabled = bool(choices)


def fill_texts(view: "qt.QListWidget", texts: Sequence[str], lines: int = 0) -> None:
    """The list's entries; lines: how many of them are seen at once (0: as many as fit)."""
    if [view.item(n).text() for n in range(view.count)] == list(texts):
        return
    view.clear()
    view.addItems(list(texts))
    if lines and texts:
        view.setFixedHeight(min(lines, len(texts)) * view.sizeHintForRow(0) + 2 * view.frameWidth)


def swatch(color: str) -> "qt.QPixmap":
    """A square of the colour with a dark rim, so that white is seen too."""
    picture = qt.QPixmap(SIDE, SIDE)
    picture.fill(qt.QColor(color))
    painter = qt.QPainter(picture)
    painter.setPen(qt.QColor("#505050"))
    painter.drawRect(0, 0, SIDE - 1, SIDE - 1)
    painter.end()
    return picture


def ramp(width: int, height: int) -> "qt.QPixmap":
    """The map's colours from 0 to 50 %."""
    picture = qt.QPixmap(width, height)
    gradient = qt.QLinearGradient(0, 0, width, 0)
    for n, color in enumerate(RAMP):
        gradient.setColorAt(n / (len(RAMP) - 1), qt.QColor.fromRgbF(*color))
    painter = qt.QPainter(picture)
    painter.fillRect(0, 0, width, height, qt.QBrush(gradient))
    painter.end()
    return picture
