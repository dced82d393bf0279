"""One picture of a result: the slices, every style's outline on them, and where simulated readers disagree."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from .agreement import diameters, volume_range
from .consensus import majority
from .knobs import Knobs
from .lesion_result import LesionResult
from .overview_page import AMBER, GAP, GUTTER, HEADER, LINE, PANEL, QUIET, SIDEBAR, TEXT, Page
from .prediction import Prediction
from .report import NOT_A_DEVICE
from .segments import colors_of
from .slice_view import SliceView

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NOT_DISEASE = "Not probability of disease"

DISAGREEMENT_MAP = "plasma"  # perceptually uniform, and its colours stay apart from grey anatomy
FULLY_SHOWN = 25.0  # percent of disagreement from which the overlay has its full strength
OVERLAY_STRENGTH = 0.85

DPI = 125
UPSAMPLING = 8


def write_overview(path: str | Path, result: LesionResult) -> None:
    """A PNG (or PDF, SVG by the ending) about 2000 pixels wide: scan, outlines and disagreement, a column a slice."""
    draw_overview(result).savefig(path, dpi=DPI)


def draw_overview(result: LesionResult) -> "Figure":
    """The picture as a matplotlib figure that belongs to no window (nothing global is touched)."""
    view = SliceView.of(result)
    rows = view.rows()
    warnings = _wrapped_warnings(result, len(rows))
    page = Page(columns=max(3, len(rows)), notes=len(warnings))
    for column, row in enumerate(rows):
        _draw_column(page, view, column, row)
    _draw_row_names(page)
    _draw_header(page, view)
    _draw_legend(page, view)
    _draw_color_bar(page)
    _draw_footer(page, warnings)
    return page.figure


def _draw_column(page: Page, view: SliceView, column: int, row: int) -> None:
    scan, outlines, map_ = (page.panel(column, n) for n in range(3))
    _draw_scan(scan, view, row)
    _draw_scan(outlines, view, row, dimmed=True)
    _draw_scan(map_, view, row, dimmed=True)
    _draw_outlines(outlines, view, row)
    _draw_disagreement(map_, view, row)
    middle = GUTTER + column * (PANEL + GAP) + PANEL / 2
    largest = ", largest" if row == view.main_row else ""
    words = f"{_signed('S', view.position_mm(row))} mm  (slice {view.slice_number(row)}{largest})"
    page.text(middle, HEADER - 0.23, words, 9.5, ha="center")
    if column == 0:
        for axes in (scan, outlines, map_):
            _draw_scale_bar(axes, view)
    _draw_orientation(scan)


def _draw_scan(axes: "Axes", view: SliceView, row: int, dimmed: bool = False) -> None:
    """In its window; dimmed beneath outlines, so that a white line shows on a bright lesion."""
    low, high = view.window
    high = low + (high - low) / (0.65 if dimmed else 1)
    axes.imshow(view.image[row], cmap="gray", vmin=low, vmax=high, extent=_extent(view), interpolation="bicubic")
    left, right, top, bottom = view.field
    axes.set(xlim=(left, right), ylim=(bottom, top))


def _draw_outlines(axes: "Axes", view: SliceView, row: int) -> None:
    """The consensus lies beneath, wider: where a style follows it, its line has a white rim."""
    colors = colors_of(view.result)
    for name, prediction in view.result.outlines.items():
        inside, width = view.inside[name][row], 2.6 if name == "consensus" else 1.2
        if (inside > 0.5).any():
            x, y, fine = _upsampled(inside, view, order=3)
            lines = {"colors": [colors[name]], "linewidths": width, "linestyles": [_dashes(prediction)]}
            axes.contour(x, y, fine, [_middle(len(prediction.samples))], **lines)


def _middle(samples: int) -> float:
    """The share of the samples at which outlines run: between a half and the next larger share that there can be. At voxel
    centres that is exactly the majority's mask, and where samples are evenly split the line does not waver."""
    return (samples // 2 + 0.5) / samples


def _dashes(prediction: Prediction, scale: float = 1.0) -> tuple[float, tuple[float, ...]] | str:
    """Readers' styles and the consensus are drawn solid, what was asked for in words dashed."""
    asked = prediction.provenance.get("style") in ("prompt", "between")
    return (0, (4 * scale, 2 * scale)) if asked else "solid"


def _draw_disagreement(axes: "Axes", view: SliceView, row: int) -> None:
    if not view.disagreement[row].any():
        return
    x, y, percent = _upsampled(view.disagreement[row], view, order=1)
    left, right, top, bottom = (x[0], x[-1], y[0], y[-1])
    axes.imshow(_overlay(percent), extent=(left, right, bottom, top), interpolation="bilinear")
    axes.set(xlim=view.field[:2], ylim=view.field[:1:-1])


def _overlay(percent: np.ndarray) -> np.ndarray:
    """Percent of disagreement [...] -> RGBA [..., 4]: transparent where all agree."""
    from matplotlib import colormaps

    rgba = colormaps[DISAGREEMENT_MAP](np.clip(percent / 50, 0, 1))
    rgba[..., 3] = OVERLAY_STRENGTH * np.clip(percent / FULLY_SHOWN, 0, 1)
    return rgba


def _upsampled(plane: np.ndarray, view: SliceView, order: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x [n], y [m] in mm and values [m, n] between the pixels of a plane [j, i], around what is not zero in it."""
    where = np.argwhere(plane)
    low, high = where.min(0), where.max(0) + 1
    part = np.pad(plane[low[0] : high[0], low[1] : high[1]], 2)
    steps = [np.linspace(0, n - 1, (n - 1) * UPSAMPLING + 1) for n in part.shape]
    fine = ndimage.map_coordinates(part, np.meshgrid(*steps, indexing="ij"), order=order, mode="nearest")
    y, x = (step + start - 2 for step, start in zip(steps, low))
    return x * view.grid.spacing[0], y * view.grid.spacing[1], fine


def _extent(view: SliceView) -> tuple[float, float, float, float]:
    (across, down), (wide, high) = view.grid.spacing[:2], view.grid.size_ijk[:2]
    return -0.5 * across, (wide - 0.5) * across, (high - 0.5) * down, -0.5 * down


def _draw_scale_bar(axes: "Axes", view: SliceView) -> None:
    field = view.field[1] - view.field[0]
    length = max(mm for mm in (1, 2, 5, 10, 20, 50) if mm <= field / 3)
    style = {"transform": axes.transAxes, "color": TEXT, "path_effects": _dark_rim()}
    axes.plot([0.05, 0.05 + length / field], [0.06, 0.06], linewidth=2.5, solid_capstyle="butt", **style)
    axes.text(0.05, 0.085, f"{length} mm", fontsize=8.5, **style)


def _dark_rim() -> list:
    """Keeps white marks readable on bright bone."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=2.5, foreground="#000000B0")]


def _draw_orientation(axes: "Axes") -> None:
    """Radiological: the patient's right on the left of the picture, the front on top."""
    places = {"R": (0.03, 0.5), "L": (0.97, 0.5), "A": (0.5, 0.965), "P": (0.5, 0.03)}
    for letter, (x, y) in places.items():
        style = {"fontsize": 8.5, "color": TEXT, "ha": "center", "va": "center", "path_effects": _dark_rim()}
        axes.text(x, y, letter, transform=axes.transAxes, **style)


def _draw_row_names(page: Page) -> None:
    for row, words in enumerate(("Scan", "Outlines", "Disagreement")):
        y = HEADER + row * (PANEL + GAP) + PANEL / 2
        page.text(GUTTER / 2, y, words, 10.5, QUIET, rotation=90, ha="center", va="center")


def _draw_header(page: Page, view: SliceView) -> None:
    made = view.result.consensus.provenance
    place = ", ".join(_signed(axis, value) for axis, value in zip("RAS", made["place_ras"]))
    page.text(GUTTER, 0.16, f"{view.result.label.capitalize()} at {place} mm", 15, weight="bold")
    page.text(GUTTER, 0.46, view.result.volume.source, 10, QUIET)
    trained = (view.result.info or {}).get("trained_for", "")
    model = f"Model {made['model']}, trained for {trained}" if trained else f"Model {made['model']}"
    page.text(page.width - 0.2, 0.2, model, 10, QUIET, ha="right")
    page.text(page.width - 0.2, 0.46, _drawn(made), 10, QUIET, ha="right")


def _drawn(made: dict) -> str:
    """How the samples were drawn, from their provenance."""
    knobs = Knobs.of(made)
    parts = [f"{made['samples']} simulated readers"]
    parts += [f"in {knobs.steps} steps"] if knobs.steps is not None else []
    parts = [" ".join(parts), f"seed {made['seed']}"]
    return ", ".join(parts + ([f"preference {knobs.preference:g}"] if knobs.preference is not None else []))


def _signed(axis: str, value: float) -> str:
    """ "S −611.5", with a true minus sign."""
    return f"{axis} {value:+.1f}".replace("-", "−")


def _draw_legend(page: Page, view: SliceView) -> None:
    x, y = page.sidebar, HEADER
    page.text(x, y, "Volume: median (5–95 %) of the samples", 9, QUIET)
    page.text(x, y + 0.17, "Outline: longest axial diameter × across it", 9, QUIET)
    entries = [
        (name, prediction, textwrap.wrap(prediction.title, 37, max_lines=2, placeholder="…"))
        for name, prediction in view.result.outlines.items()
    ]
    needed = sum(0.28 + 0.19 * len(title) for _, _, title in entries)
    tighter = min(1, (2 * PANEL - 0.5) / needed)
    y, colors = y + 0.5, colors_of(view.result)
    for name, prediction, title in entries:
        swatch = page.axes(x, y, 0.32, 0.2)
        swatch.axhline(0.5, color=colors[name], linewidth=3, linestyle=_dashes(prediction, 0.5))
        page.text(x + 0.42, y, "\n".join(title), 10.5 * tighter)
        page.text(x + 0.42, y + 0.19 * tighter * len(title), _size_words(prediction), 9.5 * tighter, QUIET)
        y += (0.28 + 0.19 * len(title)) * tighter


def _size_words(prediction: Prediction) -> str:
    volume = volume_range(prediction.volumes_ml)
    words = f"{volume.median:.2f} mL ({volume.low:.2f}–{volume.high:.2f})"
    size = diameters(majority(prediction.samples), prediction.grid, prediction.reference)
    extent = f"{size.longest_mm:.1f} × {size.perpendicular_mm:.1f} mm" if size else "nothing outlined"
    return f"{words}   {extent}"


def _draw_color_bar(page: Page) -> None:
    top = HEADER + 2 * (PANEL + GAP)
    page.text(page.sidebar, top, "Simulated readers who disagree", 10.5)
    page.text(page.sidebar, top + 0.19, "with the majority", 10.5)
    bar_top, length = top + 0.55, PANEL - 1.0
    bar = page.axes(page.sidebar, bar_top, 0.22, length)
    bar.set_facecolor("#808080")
    bar.set_axis_on()
    bar.set(xticks=[], yticks=[])
    bar.imshow(_overlay(np.linspace(50, 0, 200))[:, None], aspect="auto", extent=(0, 1, 0, 50))
    for percent, words in ((0, "0 %   all agree"), (25, "25 %   1 in 4 disagrees"), (50, "50 %   evenly split")):
        page.text(page.sidebar + 0.34, bar_top + length * (1 - percent / 50), words, 9.5, va="center")
    page.text(page.sidebar, top + PANEL - 0.02, NOT_DISEASE, 9.5, QUIET, va="bottom")


def _wrapped_warnings(result: LesionResult, columns: int) -> list[str]:
    characters = int((GUTTER + max(3, columns) * (PANEL + GAP) + SIDEBAR) * 11)
    return [line for warning in result.warnings for line in textwrap.wrap(warning, characters)]


def _draw_footer(page: Page, warnings: list[str]) -> None:
    y = HEADER + 3 * (PANEL + GAP) + 0.1
    for line in warnings:
        page.text(GUTTER, y, line, 10, AMBER)
        y += LINE
    page.text(GUTTER, y + 0.02, NOT_A_DEVICE, 10, QUIET)
