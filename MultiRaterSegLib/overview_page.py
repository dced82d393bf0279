"""The page that the overview is drawn on: dark, and measured in inches."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BACKGROUND, TEXT, QUIET, AMBER = "#0E1013", "#F2F4F6", "#9AA3AC", "#FFC857"
PANEL, GAP, GUTTER, SIDEBAR, HEADER, FOOTER, LINE = 2.45, 0.05, 0.42, 3.75, 0.95, 0.42, 0.21


class Page:
    """A dark page measured in inches from its upper left corner: columns of three panels, and a bar at the right."""

    def __init__(self, columns: int, notes: int):
        from matplotlib.figure import Figure

        self.width = GUTTER + columns * (PANEL + GAP) + SIDEBAR
        self.height = HEADER + 3 * (PANEL + GAP) + FOOTER + LINE * notes
        self.figure = Figure(figsize=(self.width, self.height), facecolor=BACKGROUND)
        self.sidebar = GUTTER + columns * (PANEL + GAP) + 0.2

    def axes(self, x: float, y: float, width: float, height: float) -> "Axes":
        bottom = 1 - (y + height) / self.height
        axes = self.figure.add_axes((x / self.width, bottom, width / self.width, height / self.height))
        axes.set_axis_off()
        return axes

    def panel(self, column: int, row: int) -> "Axes":
        return self.axes(GUTTER + column * (PANEL + GAP), HEADER + row * (PANEL + GAP), PANEL, PANEL)

    def text(self, x: float, y: float, words: str, size: float = 10, color: str = TEXT, **style) -> None:
        style = {"va": "top", "parse_math": False} | style
        self.figure.text(x / self.width, 1 - y / self.height, words, fontsize=size, color=color, **style)
