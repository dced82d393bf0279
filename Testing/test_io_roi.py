"""Boxes and points land on the voxels that the user meant, or are refused with the scan's extent."""

import json
from itertools import product

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from MultiRaterSegLib.errors import GeometryError
from MultiRaterSegLib.geometry import Grid
from MultiRaterSegLib.io import parse_point, read_points, read_roi

LPS = np.diag([-1.0, -1.0, 1.0])


@pytest.fixture
def grid() -> Grid:
    """LPS-like axes: i to the left, j to the back, k to the head; 2 x 3 x 4 mm."""
    affine = np.array([[-2.0, 0, 0, 50], [0, -3, 0, 60], [0, 0, 4, -70], [0, 0, 0, 1]])
    return Grid((30, 40, 50), affine)


def oblique_grid(seed: int) -> Grid:
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    axes = Rotation.random(random_state=seed).as_matrix() * rng.choice([-1, 1], 3)
    affine[:3, :3] = axes * rng.uniform(0.5, 3, 3)
    affine[:3, 3] = rng.uniform(-100, 100, 3)
    return Grid((30, 40, 50), affine)


def slicer_roi(path, center, size, axes=None, system="LPS"):
    """As 3D Slicer writes it: center, size and orientation (rows of a matrix whose columns are the box's axes)."""
    axes, flip = np.eye(3) if axes is None else axes, LPS if system == "LPS" else np.eye(3)
    roi = {
        "type": "ROI",
        "coordinateSystem": system,
        "coordinateUnits": "mm",
        "roiType": "Box",
        "center": (flip @ center).tolist(),
        "orientation": (flip @ axes).ravel().tolist(),
        "size": list(size),
        "controlPoints": [{"position": (flip @ center).tolist(), "positionStatus": "defined"}],
    }
    path.write_text(json.dumps({"@schema": "markups-schema-v1.0.3.json#", "markups": [roi]}))
    return path


def test_a_plain_box_touches_these_voxels(tmp_path, grid):
    """R 30..38 is i 6..10; the faces of voxel i lie half a voxel (1 mm) beside its centre at 50 - 2 i."""
    path = tmp_path / "box.json"
    path.write_text(json.dumps({"min_ras": [30.0, 0, -50], "max_ras": [38.0, 12, -38]}))
    low, high = read_roi(path, grid)
    assert (low.tolist(), high.tolist()) == ([6, 16, 5], [10, 20, 8])
    assert grid.crop(low, high).shape == (4, 5, 5)


def test_a_box_on_voxel_faces_takes_no_neighbours(tmp_path, grid):
    path = tmp_path / "box.json"
    path.write_text(json.dumps({"min_ras": [29.0, -1.5, -52], "max_ras": [39.0, 13.5, -36]}))
    low, high = read_roi(path, grid)
    assert (low.tolist(), high.tolist()) == ([6, 16, 5], [10, 20, 8])


@pytest.mark.parametrize("system", ["LPS", "RAS"])
@pytest.mark.parametrize("seed", range(10))
def test_an_oriented_box_gives_its_bounding_box_in_voxels(tmp_path, system, seed):
    """Independent: every voxel with a part inside the box, found by sampling points of the box, lies within, and none
    of the bounds can be drawn in by a voxel."""
    grid, rng = oblique_grid(seed), np.random.default_rng(seed)
    axes = Rotation.random(random_state=seed + 100).as_matrix()
    center, size = grid.center + rng.uniform(-5, 5, 3), rng.uniform(4, 14, 3)
    low, high = read_roi(slicer_roi(tmp_path / "R.mrk.json", center, size, axes, system), grid)
    inside = np.array(list(product(np.linspace(-0.5, 0.5, 41), repeat=3))) * size
    touched = np.rint(grid.to_ijk(center + inside @ axes.T)).astype(int)
    np.testing.assert_array_equal(low, touched.min(0))
    np.testing.assert_array_equal(high, touched.max(0))


def test_both_coordinate_systems_mean_the_same_box(tmp_path, grid):
    axes = Rotation.from_euler("xyz", [10, 20, 30], degrees=True).as_matrix()
    boxes = [
        read_roi(slicer_roi(tmp_path / f"{s}.mrk.json", np.array([10.0, 5, -20]), (20, 14, 16), axes, s), grid)
        for s in ("LPS", "RAS")
    ]
    np.testing.assert_array_equal(boxes[0], boxes[1])


def test_a_file_that_slicer_wrote(tmp_path, grid):
    """Numbers from 3D Slicer 5.12's own writer: center R 10 A 20 S 30, the box turned about two axes."""
    roi = {
        "type": "ROI",
        "coordinateSystem": "LPS",
        "center": [-10.0, -20.0, 29.999999999999996],
        "orientation": [-0.8, 0.576, -0.168, -0.6, -0.768, 0.22400000000000003, 0.0, 0.28, 0.96],
        "size": [40.0, 30.0, 20.0],
    }
    (tmp_path / "R.mrk.json").write_text(json.dumps({"markups": [roi]}))
    low, high = read_roi(tmp_path / "R.mrk.json", grid)
    turned = np.array([[0.8, -0.576, 0.168], [0.6, 0.768, -0.224], [0.0, 0.28, 0.96]])  # RAS, as the node held it
    reach = np.abs(turned) @ np.array([20, 15, 10])
    center = np.array([10, 20, 30])
    faces = grid.to_ijk(np.array([center - reach, center + reach]))
    np.testing.assert_array_equal(low, np.rint(faces.min(0)))
    np.testing.assert_array_equal(high, np.rint(faces.max(0)))


def test_a_box_partly_outside_is_clipped(tmp_path, grid):
    path = slicer_roi(tmp_path / "R.mrk.json", np.array([50.0, 60, -70]), (20, 20, 20))
    low, high = read_roi(path, grid)
    assert low.tolist() == [0, 0, 0]
    assert high.tolist() == [5, 3, 2]  # 10 mm from the first centre: 5 voxels of 2, 3.33 of 3, 2.5 of 4 mm


@pytest.mark.parametrize("offset", [(200, 0, 0), (0, -300, 0), (0, 0, 150), (-80, 0, 0)])
def test_a_box_outside_is_refused_with_the_extent(tmp_path, grid, offset):
    path = slicer_roi(tmp_path / "R.mrk.json", grid.center + offset, (10, 10, 10))
    with pytest.raises(GeometryError) as caught:
        read_roi(path, grid)
    assert "outside the scan, which spans R -49.0 to 51.0, A -58.5 to 61.5, S -72.0 to 48.0 mm" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not a JSON file"),
        ("[1, 2]", "neither markups nor a box"),
        ("{}", "holds no box (no markups)"),
        ('{"markups": [{"type": "Fiducial", "controlPoints": []}]}', "holds no box (Fiducial)"),
        ('{"min_ras": [0, 0, 0], "max_ras": [1, 1]}', "expected 3 numbers"),
        ('{"min_ras": [0, 0, 0], "max_ras": [1, 1, "x"]}', "expected 3 numbers"),
        ('{"min_ras": [0, 0, 0], "max_ras": [1, 1, NaN]}', "expected 3 numbers"),
        ('{"min_ras": [0, 0, 0], "max_ras": [1, 0, 1]}', "is empty"),
        ('{"min_ras": [5, 0, 0], "max_ras": [1, 2, 1]}', "is empty"),
        ('{"markups": [{"type": "ROI", "center": [0, 0, 0], "size": [1, 0, 1]}]}', "is empty"),
        ('{"markups": [{"type": "ROI", "center": [0, 0, 0]}]}', "expected 3 numbers"),
        ('{"markups": [{"type": "ROI", "size": [1, 1, 1], "center": [0, 0, 0], "orientation": [1]}]}', "expected 9"),
        (
            '{"markups": [{"type": "ROI", "size": [1, 1, 1], "center": [0, 0, 0], "coordinateSystem": "IJK"}]}',
            "coordinate system 'IJK'",
        ),
        ('{"markups": "ROI"}', "damaged"),
        ('{"markups": ["ROI"]}', "damaged"),
        ('{"markups": null}', "damaged"),
    ],
)
def test_what_is_no_box_is_explained(tmp_path, grid, content, says):
    (tmp_path / "R.json").write_text(content)
    with pytest.raises(GeometryError) as caught:
        read_roi(tmp_path / "R.json", grid)
    assert says in str(caught.value)


def test_a_missing_or_binary_file_is_explained(tmp_path, grid):
    with pytest.raises(GeometryError, match="cannot be opened"):
        read_roi(tmp_path / "R.json", grid)
    (tmp_path / "R.json").write_bytes(bytes(range(256)))
    with pytest.raises(GeometryError, match="not a JSON file"):
        read_roi(tmp_path / "R.json", grid)


@pytest.mark.parametrize("system", ["LPS", "RAS"])
def test_placed_points_are_read_and_others_left_out(tmp_path, grid, system):
    flip = LPS if system == "LPS" else np.eye(3)
    points = np.array([[10.0, 5, -20], [-4, 8, 9.5], [0, 0, 0]])
    controls = [
        {"position": (flip @ point).tolist(), "positionStatus": status}
        for point, status in zip(points, ("defined", "defined", "preview"))
    ]
    content = {"markups": [{"type": "Fiducial", "coordinateSystem": system, "controlPoints": controls}]}
    (tmp_path / "F.mrk.json").write_text(json.dumps(content))
    np.testing.assert_allclose(read_points(tmp_path / "F.mrk.json", grid), points[:2])


def test_points_outside_or_absent_are_refused(tmp_path, grid):
    def write(position):
        controls = [{"position": position}] if position else []
        (tmp_path / "F.json").write_text(json.dumps({"markups": [{"type": "Fiducial", "controlPoints": controls}]}))
        return tmp_path / "F.json"

    with pytest.raises(GeometryError, match=r"The point R -500.0, A 0.0, S 0.0 lies outside the scan, which spans R"):
        read_points(write([500, 0, 0]), grid)
    with pytest.raises(GeometryError, match="no placed points"):
        read_points(write(None), grid)
    with pytest.raises(GeometryError, match="no placed points"):
        read_points(slicer_roi(tmp_path / "R.mrk.json", grid.center, (5, 5, 5)), grid)


@pytest.mark.parametrize("text", ["34,-12.5,8", "34, -12.5, 8", " 34 -12.5 8 ", "3.4e1,-12.5,+8."])
def test_a_point_in_text(grid, text):
    np.testing.assert_array_equal(parse_point(text, grid), [34, -12.5, 8])


@pytest.mark.parametrize("text", ["", "34", "34,12", "34,12,8,9", "a,b,c", "34,12,nan", "34,,inf", "34;12;8"])
def test_what_is_no_point_is_explained(grid, text):
    with pytest.raises(GeometryError, match=r"three numbers R,A,S in mm, for example 34,-12.5,88"):
        parse_point(text, grid)


def test_a_point_outside_is_refused_with_the_extent(grid):
    with pytest.raises(GeometryError, match=r"spans R -49.0 to 51.0, A -58.5 to 61.5, S -72.0 to 48.0 mm"):
        parse_point("0,0,1000", grid)


@pytest.mark.parametrize("seed", range(5))
def test_a_point_on_the_outer_face_is_inside(seed):
    grid = oblique_grid(seed)
    for corner in product(*((-0.5, n - 0.5) for n in grid.size_ijk)):
        parse_point(",".join(f"{v!r}" for v in grid.to_ras(corner).tolist()), grid)
        beyond = grid.to_ras(np.array(corner) + np.sign(corner) * 0.01)
        with pytest.raises(GeometryError):
            parse_point(",".join(f"{v!r}" for v in beyond.tolist()), grid)
