"""The picture: the right slices, undistorted, outlines where the masks are, and words that do not collide."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.contour import QuadContourSet
from PIL import Image
from results import PART, SCAN, result

from MultiRaterSegLib.geometry import Grid
from MultiRaterSegLib.overview import draw_overview, write_overview
from MultiRaterSegLib.slice_view import LUNG_WINDOW, SliceView, spaced_rows
from MultiRaterSegLib.upright import upright

SAGITTAL = Grid((15, 70, 64), np.array([[0, 0, -3.0, 20], [-0.7, 0, 0, 30], [0, -0.7, 0, -100], [0, 0, 0, 1.0]]))
TILTED = Grid(SCAN.shape, SCAN.affine @ np.array([[0.97, 0, -0.6, 0], [0, 1, 0, 0], [0.1, 0, 0.97, 0], [0, 0, 0, 1.0]]))


@pytest.mark.parametrize(
    ("main", "low", "high", "slices", "expected"),
    [
        (10, 8, 12, 30, [8, 9, 10, 11, 12]),
        (10, 4, 23, 30, [6, 10, 14, 18, 22]),
        (0, 0, 1, 30, [0, 1, 2, 3, 4]),
        (1, 0, 2, 3, [0, 1, 2]),
        (29, 28, 29, 30, [25, 26, 27, 28, 29]),
    ],
)
def test_slices_are_equally_spaced_around_the_lesion(main, low, high, slices, expected):
    assert spaced_rows(main, low, high, slices, 5) == expected


def test_slices_run_from_head_to_feet_with_their_positions():
    view = SliceView.of(result())
    rows = view.rows()
    assert [view.position_mm(row) for row in rows] == sorted((view.position_mm(row) for row in rows), reverse=True)
    assert view.position_mm(view.main_row) == pytest.approx(PART.center[2], abs=1.01)
    assert view.slice_number(0) == 3


def test_upright_turns_any_scan_to_the_radiologists_view():
    values = np.arange(np.prod(SAGITTAL.shape)).reshape(SAGITTAL.shape)
    turned, grid = upright(values, SAGITTAL)
    assert np.array_equal(np.sign(np.diag(grid.affine)[:3]), [-1, -1, 1])
    for k, j, i in ((0, 0, 0), (3, 5, 7), (14, 69, 63)):
        a, b, c = np.rint(grid.to_ijk(SAGITTAL.to_ras((i, j, k)))).astype(int)
        assert turned[c, b, a] == values[k, j, i]


@pytest.mark.parametrize("scan", [SCAN, SAGITTAL, TILTED], ids=["axial", "sagittal", "tilted"])
def test_a_ball_is_as_wide_as_it_is_high(scan):
    figure = draw_overview(result(grid=scan, scan=scan))
    outlines = figure.axes[7]  # middle column, middle row
    widths = [extent for contour in contours(outlines) for extent in [np.ptp(contour, axis=0)]]
    for across, down in widths:
        assert across == pytest.approx(down, abs=1.2 * scan.spacing.max())
    shown = outlines.get_window_extent()
    mm_across, mm_down = np.ptp(outlines.get_xlim()), np.ptp(outlines.get_ylim())
    assert shown.width / mm_across == pytest.approx(shown.height / mm_down)


def contours(axes) -> list[np.ndarray]:
    drawn = [child for child in axes.get_children() if isinstance(child, QuadContourSet)]
    return [path.vertices for one in drawn for path in one.get_paths()]


def test_outlines_separate_the_voxels_inside_from_those_outside():
    from matplotlib.path import Path

    made = result()
    view = SliceView.of(made)
    axes = draw_overview(made).axes[3 * view.rows().index(view.main_row) + 1]
    consensus = Path(contours(axes)[0])
    j, i = np.mgrid[: view.image.shape[1], : view.image.shape[2]]
    centres = np.stack([i.ravel() * 0.8, j.ravel() * 0.8], 1)
    inside = consensus.contains_points(centres).reshape(j.shape)
    assert np.array_equal(inside, view.inside["consensus"][view.main_row] > 0.5)


def test_the_line_does_not_waver_where_the_samples_are_evenly_split():
    """Half of them outline a square, the others only its middle: the outline is the middle's, one closed line."""
    from dataclasses import replace

    made = result()
    samples = np.zeros((4, *made.consensus.samples.shape[1:]), bool)
    samples[:, 3:6, 25:35, 25:35] = True
    samples[:2, 3:6, 15:45, 15:45] = True
    split = replace(made, consensus=replace(made.consensus, samples=samples), styles={}, ranked=())
    view = SliceView.of(split)
    [line] = contours(draw_overview(split).axes[3 * view.rows().index(view.main_row) + 1])
    assert np.ptp(line, axis=0) == pytest.approx([10 * 0.8] * 2, abs=0.8)
    assert (line[0] == line[-1]).all()


def test_a_lung_is_shown_in_a_lung_window_and_other_scans_by_percentiles():
    from dataclasses import replace

    made = result()
    assert SliceView.of(made).window == LUNG_WINDOW
    unknown = replace(made, volume=replace(made.volume, modality=""))
    assert SliceView.of(unknown).window == (-850, 40)


def test_the_field_holds_every_outline_and_stays_where_was_looked():
    view = SliceView.of(result(inclusive=(14, 14, 14)))
    left, right, top, bottom = view.field
    assert right - left == pytest.approx(bottom - top)
    j, i = np.nonzero(view.touched.any(0))
    assert left < i.min() * 0.8
    assert bottom > j.max() * 0.8
    assert left >= -0.4 - 1e-9
    assert right <= (view.image.shape[2] - 0.5) * 0.8 + 1e-9


def test_words_do_not_collide_and_nothing_necessary_is_missing():
    made = result(prompt="a very long sentence about the spiculated margin of this nodule, smooth and generous")
    figure = draw_overview(made)
    figure.canvas.draw()
    boxes = {text.get_text(): text.get_window_extent() for text in figure.texts}
    page = figure.bbox
    for (first, a), (second, b) in combinations(boxes.items(), 2):
        assert not (a.shrunk(0.98, 0.9).overlaps(b.shrunk(0.98, 0.9))), f"{first!r} lies on {second!r}"
    for words, box in boxes.items():
        assert page.contains(box.x0, box.y0), words
        assert page.contains(box.x1, box.y1), words
    everything = "\n".join(boxes)
    for words in ("Consensus", "Inclusive (largest)", "mL", "tiny", "seed 7", "evenly split", "1 in 4 disagrees"):
        assert words in everything
    assert "Not probability of disease" in everything
    assert "Research use only. Not a medical device." in everything


def test_the_picture_is_wide_enough_to_read_and_no_window_is_opened(tmp_path):
    import sys

    write_overview(tmp_path / "overview.png", result())
    with Image.open(tmp_path / "overview.png") as picture:
        assert picture.width >= 1600
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_a_result_without_any_outline_is_still_a_picture():
    figure = draw_overview(result(conservative=(0,), inclusive=(0,)))
    assert len(figure.axes) > 15
