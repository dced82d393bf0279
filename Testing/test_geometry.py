"""Grids, resampling and frames against SimpleITK and brute force, in all 48 orientations and oblique ones."""

from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK
import torch
from scipy.spatial.transform import Rotation

from MultiRaterSegLib.errors import GeometryError
from MultiRaterSegLib.frame import UPRIGHT, Frame
from MultiRaterSegLib.geometry import Grid, Volume
from MultiRaterSegLib.resample import resample

ORIENTATIONS = [
    np.eye(3)[:, list(order)] * signs for order in permutations(range(3)) for signs in product((-1.0, 1.0), repeat=3)
]  # columns: RAS directions of i, j, k
STRAIGHT = np.eye(3)
PATIENT_SPACING = np.array([0.65, 0.65, 2.5])  # mm along R, A, S
OBLIQUE = [Rotation.from_rotvec(np.array(v)).as_matrix() for v in ((0.2, -0.3, 0.1), (-0.1, 0.25, 0.35))]


def name(axes: np.ndarray) -> str:
    """For example LPS: i runs to the left, j to the back, k to the head."""
    rows = np.abs(axes).argmax(0)
    return "".join(("LR", "PA", "IS")[row][int(axes[row, n] > 0)] for n, row in enumerate(rows))


def make_grid(axes, spacing, size_ijk, origin=(0.0, 0.0, 0.0)) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = axes * np.asarray(spacing)
    affine[:3, 3] = origin
    return Grid(tuple(int(n) for n in size_ijk[::-1]), affine)


def patient_grid(axes: np.ndarray, size_ras=(24, 20, 7), turn=STRAIGHT, origin=(11.0, -7.0, 31.0)) -> Grid:
    """One box of the patient, stored in the orientation `axes` and turned by `turn` as a whole."""
    along = np.abs(axes).argmax(0)
    size = np.array(size_ras)[along]
    spacing = PATIENT_SPACING[along]
    first = -(axes @ (spacing * (size - 1) / 2))  # centred on `origin`
    return make_grid(turn @ axes, spacing, size, turn @ first + origin)


def random_values(grid: Grid, seed=0, dtype=np.float32) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(-1000, 3000, grid.shape).astype(dtype))


def all_centres(grid: Grid) -> np.ndarray:
    """RAS of every voxel [K, J, I, 3], by the affine written out."""
    k, j, i = np.indices(grid.shape)
    return np.einsum("rc,ckji->kjir", grid.affine[:3], np.stack([i, j, k, np.ones_like(i)]).astype(float))


def image_on(grid: Grid, values: np.ndarray) -> SimpleITK.Image:
    """SimpleITK does not mind which world it is in: here it is told RAS."""
    image = SimpleITK.GetImageFromArray(values)
    image.SetOrigin(grid.affine[:3, 3].tolist())
    spacing = np.sqrt((grid.affine[:3, :3] ** 2).sum(0))
    image.SetSpacing(spacing.tolist())
    image.SetDirection((grid.affine[:3, :3] / spacing).ravel().tolist())
    return image


def simpleitk_linear(values: np.ndarray, grid: Grid, to: Grid, outside: float) -> np.ndarray:
    reference = image_on(to, np.zeros(to.shape, np.float32))
    image = image_on(grid, values.astype(np.float32))
    moved = SimpleITK.Resample(image, reference, SimpleITK.Transform(), SimpleITK.sitkLinear, outside)
    return SimpleITK.GetArrayFromImage(moved)


def brute_force(values: np.ndarray, grid: Grid, to: Grid) -> np.ndarray:
    """Every voxel of `to` on its own: triangles as wide as the coarser spacing, the edge repeated."""
    result = np.zeros(to.shape)
    step = np.abs(np.linalg.solve(grid.affine[:3, :3], to.affine[:3, :3])).max(1)  # along each axis of `grid`
    for index in np.ndindex(to.shape):
        ras = to.affine[:3] @ [*index[::-1], 1]
        ijk = np.linalg.solve(grid.affine, [*ras, 1])[:3]
        total = values.astype(float)
        for axis in range(3):  # i is the last dimension that is left
            length, width = total.shape[-1], max(1.0, step[axis])
            position = min(max(ijk[axis], 0), length - 1)
            weights = np.maximum(0, 1 - np.abs(position - np.arange(length)) / width)
            total = total @ (weights / weights.sum())
        result[index] = total
    return result


class TestGrid:
    @pytest.mark.parametrize("axes", ORIENTATIONS, ids=name)
    def test_indices_and_positions_are_inverse(self, axes):
        grid = patient_grid(axes, turn=OBLIQUE[0])
        ijk = np.random.default_rng(0).uniform(-5, 30, (4, 6, 3))
        np.testing.assert_allclose(grid.to_ijk(grid.to_ras(ijk)), ijk, atol=1e-9)
        np.testing.assert_allclose(grid.to_ras([1, 2, 3]), grid.affine[:3] @ [1, 2, 3, 1], atol=1e-12)

    @pytest.mark.parametrize("axes", ORIENTATIONS, ids=name)
    def test_crops_keep_their_voxel_centres(self, axes):
        grid = patient_grid(axes)
        centres, values = all_centres(grid), random_values(grid)
        low, high = np.array([1, 2, 3]), np.array(grid.size_ijk) - [2, 1, 1]
        crop = grid.crop(low, high)
        window = tuple(slice(a, b + 1) for a, b in zip(low[::-1], high[::-1]))
        np.testing.assert_allclose(all_centres(crop), centres[window], atol=1e-12)
        assert torch.equal(resample(values, grid, crop), values[window])

    def test_crops_are_clipped_to_the_grid(self):
        grid = make_grid(np.eye(3), (1, 2, 3), (4, 5, 6))
        assert grid.crop([-3, -3, -3], [99, 99, 99]).same_as(grid)
        assert grid.crop([2, 2, 2], [2, 2, 2]).shape == (1, 1, 1)

    def test_size_centre_and_volume(self):
        grid = make_grid(OBLIQUE[0], (0.5, 0.6, 2.0), (4, 5, 6), (7, 8, 9))
        np.testing.assert_allclose(grid.spacing, [0.5, 0.6, 2.0])
        np.testing.assert_allclose(grid.center, all_centres(grid).reshape(-1, 3).mean(0))
        assert grid.voxel_volume_ml == pytest.approx(0.5 * 0.6 * 2.0 / 1000)
        assert grid.shape == (6, 5, 4)

    @pytest.mark.parametrize("seed", range(5))
    def test_contains_ends_at_the_outer_faces(self, seed):
        grid = make_grid(Rotation.random(random_state=seed).as_matrix(), (0.5, 0.6, 2.0), (4, 5, 6), (70, -80, 90))
        for corner in product(*((-0.5, n - 0.5) for n in (4, 5, 6))):
            assert grid.contains(grid.to_ras(corner))
            for axis in range(3):
                beyond = np.array(corner)
                beyond[axis] += np.sign(beyond[axis]) * 1e-3
                assert not grid.contains(grid.to_ras(beyond))

    @pytest.mark.parametrize(
        ("affine", "shape"),
        [
            (np.zeros((4, 4)), (2, 2, 2)),
            (np.diag([1.0, 0, 1, 1]), (2, 2, 2)),
            (np.array([[1.0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), (2, 2, 2)),
            (np.array([[100.0, 100, 0, 0], [0, 1e-7, 0, 0], [0, 0, 100, 0], [0, 0, 0, 1]]), (2, 2, 2)),
            (np.diag([1.0, np.nan, 1, 1]), (2, 2, 2)),
            (np.diag([1.0, np.inf, 1, 1]), (2, 2, 2)),
            (np.eye(3), (2, 2, 2)),
            (np.eye(4), (2, 2)),
            (np.eye(4), (2, 0, 2)),
        ],
    )
    def test_what_is_no_grid_is_refused(self, affine, shape):
        with pytest.raises(GeometryError):
            Grid(shape, affine)

    def test_microscopic_spacing_is_a_grid(self):
        assert Grid((2, 2, 2), np.diag([1e-4, 1e-4, 1e-4, 1.0])).spacing == pytest.approx([1e-4] * 3)

    def test_a_grid_cannot_be_changed_through_the_array_it_was_made_from(self):
        affine = np.eye(4)
        grid = Grid((2, 2, 2), affine)
        affine[0, 3] = 5
        assert grid.affine[0, 3] == 0
        with pytest.raises(ValueError, match="read-only"):
            grid.affine[0, 3] = 5

    def test_a_volume_must_fill_its_grid(self):
        grid = make_grid(np.eye(3), (1, 1, 1), (4, 5, 6))
        Volume(np.zeros((2, 6, 5, 4)), grid)
        for shape in [(6, 5, 4), (1, 4, 5, 6), (1, 6, 5, 5)]:
            with pytest.raises(GeometryError):
                Volume(np.zeros(shape), grid)


class TestResample:
    @pytest.mark.parametrize("seed", range(12))
    def test_finer_grids_agree_with_simpleitk(self, seed):
        """Any axis order and flips, a shared rotation, spacing at most the source's, partly outside."""
        rng = np.random.default_rng(seed)
        turn = Rotation.random(random_state=seed).as_matrix()
        source = make_grid(
            turn @ ORIENTATIONS[rng.integers(48)], rng.uniform(1, 3, 3), rng.integers(4, 9, 3), (5, -6, 7)
        )
        axes = turn @ ORIENTATIONS[rng.integers(48)]
        along = np.abs(axes.T @ (source.affine[:3, :3] / source.spacing)).argmax(1)
        spacing = source.spacing[along] * rng.uniform(0.3, 1, 3)
        size = rng.integers(9, 18, 3)
        to = make_grid(axes, spacing, size)
        offset = source.center - to.center + rng.uniform(-3, 3, 3)
        to = make_grid(axes, spacing, size, offset)
        values = random_values(source, seed)
        ours = resample(values, source, to, outside=-7.0).numpy()
        theirs = simpleitk_linear(values.numpy(), source, to, outside=-7.0)
        assert (theirs != -7).any()
        assert (theirs == -7).any()
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-2)

    @pytest.mark.parametrize("seed", range(8))
    def test_any_grid_agrees_with_brute_force(self, seed):
        rng = np.random.default_rng(100 + seed)
        turn = Rotation.random(random_state=seed).as_matrix()
        source = make_grid(turn @ ORIENTATIONS[rng.integers(48)], rng.uniform(0.5, 3, 3), rng.integers(3, 8, 3))
        to = make_grid(
            turn @ ORIENTATIONS[rng.integers(48)], rng.uniform(0.5, 6, 3), rng.integers(1, 6, 3), rng.uniform(-3, 9, 3)
        )
        values = random_values(source, seed)
        np.testing.assert_allclose(
            resample(values, source, to).numpy(), brute_force(values.numpy(), source, to), rtol=1e-5, atol=1e-2
        )

    @pytest.mark.parametrize("axes", ORIENTATIONS, ids=name)
    @pytest.mark.parametrize("turn", [STRAIGHT, OBLIQUE[0]], ids=["straight", "oblique"])
    def test_reorientation_is_exact_and_comes_back(self, axes, turn):
        source, to = patient_grid(ORIENTATIONS[0], turn=turn), patient_grid(axes, turn=turn)
        values = random_values(source)
        moved = resample(values, source, to)
        image = SimpleITK.Resample(
            image_on(source, values.numpy()), image_on(to, np.zeros(to.shape, np.float32)), SimpleITK.Transform(),
            SimpleITK.sitkNearestNeighbor,
        )  # fmt: skip
        np.testing.assert_array_equal(moved.numpy(), SimpleITK.GetArrayFromImage(image))
        assert torch.equal(resample(moved, to, source), values)

    @pytest.mark.parametrize("turn", [STRAIGHT, *OBLIQUE], ids=["straight", "oblique a", "oblique b"])
    @pytest.mark.parametrize("ratio", [2, 3, 4])
    def test_coinciding_centres_of_a_finer_grid_are_exact(self, turn, ratio):
        """Zeros beside large values: the smallest leak would show."""
        source = make_grid(turn, (0.7, 0.9, 2.3), (7, 6, 5), (101.3, -57.1, 33.7))
        to = make_grid(turn, source.spacing / ratio, (source.size_ijk - 1) * ratio + 1, source.affine[:3, 3])
        values = random_values(source) * (random_values(source, 1) > 1000)
        assert torch.equal(resample(values, source, to)[::ratio, ::ratio, ::ratio], values)

    @pytest.mark.parametrize("outside", [None, 5.0])
    def test_only_voxels_beyond_the_grid_are_filled(self, outside):
        source = make_grid(OBLIQUE[1], (1, 2, 3), (5, 4, 3))
        to = make_grid(OBLIQUE[1], (0.5, 0.5, 0.5), (26, 26, 26), OBLIQUE[1] @ [-3, -3, -3])
        moved = resample(torch.ones(source.shape), source, to, outside).numpy()
        ijk = np.linalg.solve(source.affine[:3, :3], (all_centres(to) - source.affine[:3, 3]).reshape(-1, 3).T).T
        beyond = ((ijk < -0.5 - 1e-6) | (ijk > source.size_ijk - 0.5 + 1e-6)).any(1).reshape(to.shape)
        assert beyond.any()
        np.testing.assert_allclose(moved, np.where(beyond & (outside is not None), 5.0, 1.0), rtol=1e-6)

    def test_a_grid_wholly_outside_is_filled(self):
        source = make_grid(np.eye(3), (1, 1, 1), (5, 4, 3))
        to = make_grid(np.eye(3), (0.7, 0.7, 0.7), (3, 3, 3), (500, 0, 0))
        assert torch.equal(resample(random_values(source), source, to, outside=-3.0), torch.full((3, 3, 3), -3.0))

    @pytest.mark.parametrize("seed", range(4))
    def test_a_linear_field_is_reproduced_inside(self, seed):
        rng = np.random.default_rng(seed)
        turn, slope = Rotation.random(random_state=seed).as_matrix(), rng.normal(size=3)
        source = make_grid(turn @ ORIENTATIONS[rng.integers(48)], rng.uniform(1, 2, 3), (12, 11, 10))
        to = make_grid(
            source.affine[:3, :3] / source.spacing, source.spacing * 0.61, (8, 8, 8), source.to_ras([2.2] * 3)
        )
        field = torch.from_numpy(all_centres(source) @ slope)
        np.testing.assert_allclose(resample(field, source, to).numpy(), all_centres(to) @ slope, rtol=1e-5, atol=1e-4)

    def test_a_coarser_grid_averages_instead_of_skipping(self):
        """A pattern of single voxels would vanish or explode if the samples were picked."""
        source = make_grid(np.eye(3), (1, 1, 1), (64, 64, 8))
        checker = torch.from_numpy((np.indices(source.shape).sum(0) % 2).astype(np.float32))
        to = make_grid(np.eye(3), (4, 4, 1), (14, 14, 8), (4, 4, 0))
        np.testing.assert_allclose(resample(checker, source, to).numpy(), 0.5, atol=0.05)

    @pytest.mark.parametrize(
        "dtype", ["bool", "uint8", "int8", "uint16", "int16", "int32", "int64", "float16", "float64"]
    )
    @pytest.mark.parametrize("scale", [1.0, 0.5])
    def test_every_type_of_voxel_becomes_float(self, dtype, scale):
        source = make_grid(np.eye(3), (1, 1, 1), (5, 4, 3))
        values = torch.from_numpy(np.random.default_rng(0).integers(0, 100, source.shape).astype(dtype))
        to = make_grid(ORIENTATIONS[20], np.full(3, scale), (4, 4, 4), (1, 1, 1))
        moved = resample(values, source, to)
        assert moved.dtype == torch.float32
        assert moved.is_contiguous()
        np.testing.assert_allclose(moved.numpy(), resample(values.double(), source, to).numpy())

    def test_leading_axes_are_resampled_alike(self):
        source = make_grid(np.eye(3), (1, 1, 1), (5, 4, 3))
        to = make_grid(ORIENTATIONS[17], (0.7, 0.8, 1.9), (4, 5, 6), (3, 3, 2))
        values = torch.randn(2, 3, *source.shape)
        moved = resample(values, source, to, outside=0.0)
        assert moved.shape == (2, 3, 6, 5, 4)
        for n, c in product(range(2), range(3)):
            torch.testing.assert_close(moved[n, c], resample(values[n, c], source, to, outside=0.0))

    def test_single_slices_stay(self):
        source = make_grid(OBLIQUE[0], (1, 1, 5), (5, 4, 1))
        to = make_grid(OBLIQUE[0], (0.5, 0.5, 5), (9, 7, 1))
        values = random_values(source)
        np.testing.assert_allclose(
            resample(values, source, to).numpy(), brute_force(values.numpy(), source, to), rtol=1e-5, atol=1e-2
        )

    def test_the_result_is_a_copy(self):
        grid = make_grid(np.eye(3), (1, 1, 1), (5, 4, 3))
        values = random_values(grid)
        before = values.clone()
        resample(values, grid, grid).zero_()
        assert torch.equal(values, before)

    @pytest.mark.parametrize("degrees", [0.5, 5, 45, 90.5])
    def test_rotated_grids_are_refused(self, degrees):
        source = make_grid(np.eye(3), (1, 1, 1), (50, 50, 50))
        to = make_grid(Rotation.from_euler("z", degrees, degrees=True).as_matrix(), (1, 1, 1), (50, 50, 50))
        with pytest.raises(GeometryError, match="rotated"):
            resample(torch.zeros(source.shape), source, to)

    def test_rounding_of_a_header_is_not_a_rotation(self):
        source = make_grid(OBLIQUE[0], (0.7, 0.7, 2.5), (512, 512, 90), (-180, -200, 50))
        rounded = Grid(source.shape, np.round(source.affine, 7))
        resample(torch.zeros(1, 1, 1).expand(source.shape), source, rounded.crop([100, 100, 10], [120, 120, 12]))


class TestFrame:
    @pytest.mark.parametrize("axes", ORIENTATIONS, ids=name)
    @pytest.mark.parametrize("turn", [STRAIGHT, *OBLIQUE], ids=["straight", "oblique a", "oblique b"])
    def test_every_orientation_is_shown_upright_and_exact(self, axes, turn):
        """Where the scan lies on the frame's grid, its voxels are copied bit for bit, and come back."""
        scan = patient_grid(axes, turn=turn)
        frame = Frame(size=32, spacing_mm=0.65)
        grid = frame.grid_for(scan)
        assert grid.shape == (7, 32, 32)
        np.testing.assert_allclose(grid.affine[:3, :3] / grid.spacing, turn @ UPRIGHT, atol=1e-12)
        np.testing.assert_allclose(grid.spacing, [0.65, 0.65, 2.5])
        values = random_values(scan, dtype=np.int16)
        seen = resample(values, scan, grid, outside=-5000.0)
        upright = patient_grid(UPRIGHT, turn=turn)  # the same box, stored upright: what the frame must show
        expected = np.full(grid.shape, -5000.0, np.float32)
        reference = SimpleITK.Resample(
            image_on(scan, values.numpy()), image_on(upright, np.zeros(upright.shape, np.int16)),
            SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor,
        )  # fmt: skip
        expected[:, 6:26, 4:28] = SimpleITK.GetArrayFromImage(reference)
        np.testing.assert_array_equal(seen.numpy(), expected)
        assert torch.equal(resample(seen, grid, scan), values.float())

    @pytest.mark.parametrize("axes", ORIENTATIONS, ids=name)
    def test_slices_stay_where_they_were_acquired(self, axes):
        scan = patient_grid(axes, turn=OBLIQUE[1])
        grid = Frame(size=16, spacing_mm=1.3).grid_for(scan, center=np.add(scan.center, [2.1, -3.3, 4.4]))
        middle = grid.to_ras(np.stack([np.full(7, 7.5), np.full(7, 7.5), np.arange(7)], -1))
        slice_axis = int(np.abs((OBLIQUE[1].T @ scan.affine[:3, :3])[2]).argmax())
        np.testing.assert_allclose(np.sort(scan.to_ijk(middle)[:, slice_axis]), np.arange(7), atol=1e-9)

    @pytest.mark.parametrize("seed", range(6))
    def test_the_plane_is_centred_on_the_point(self, seed):
        rng = np.random.default_rng(seed)
        scan = patient_grid(ORIENTATIONS[rng.integers(48)], turn=OBLIQUE[seed % 2])
        point = scan.to_ras(rng.uniform(0, 6, 3))
        grid = Frame(size=17, spacing_mm=0.5).grid_for(scan, center=point)
        i, j, _ = grid.to_ijk(point)
        np.testing.assert_allclose((i, j), (8, 8), atol=1e-9)

    @pytest.mark.parametrize("axes", ORIENTATIONS, ids=name)
    def test_a_smooth_field_survives_the_round_trip(self, axes):
        """Frame and back on another spacing: a field linear in space returns to within a tenth of the finer pixel
        (triangles that are widened by no whole number are not quite centred)."""
        scan = patient_grid(axes, turn=OBLIQUE[0])
        grid = Frame(size=64, spacing_mm=0.4).grid_for(scan)
        field = all_centres(grid) @ [1.0, -2.0, 0.5]  # 2.3 units a mm
        back = resample(torch.from_numpy(field), grid, scan)
        ijk = grid.to_ijk(all_centres(scan))
        inside = ((ijk >= 2) & (ijk <= grid.size_ijk - 3))[..., :2].all(-1)
        assert inside.mean() > 0.9
        np.testing.assert_allclose(
            back.numpy()[inside], (all_centres(scan) @ [1.0, -2.0, 0.5])[inside], atol=0.1 * 0.4 * 2.3
        )

    def test_a_mask_keeps_its_volume_through_the_frame(self):
        scan = make_grid(OBLIQUE[0] @ ORIENTATIONS[11], (0.8, 1.0, 0.9), (60, 60, 60), (10, 20, 30))
        ball = (np.linalg.norm(all_centres(scan) - scan.center, axis=-1) < 12).astype(np.float32)
        grid = Frame(size=96, spacing_mm=0.65).grid_for(scan)
        back = resample(resample(torch.from_numpy(ball), scan, grid), grid, scan, outside=0.0) > 0.5
        assert back.sum() == pytest.approx(ball.sum(), rel=0.01)
        overlap = 2 * (back.numpy() & (ball > 0)).sum() / (back.sum().item() + ball.sum())
        assert overlap > 0.99

    def test_normalize_puts_the_percentiles_at_0_and_1(self):
        values = torch.from_numpy(np.random.default_rng(0).normal(300, 50, (2, 4, 20, 20)).astype(np.float32))
        shown = Frame(percentiles=(1, 99)).normalize(values)
        for channel, source in zip(shown, values):
            low, high = np.percentile(source.numpy(), [1, 99])
            expected = np.clip((source.numpy() - low) / (high - low), -0.5, 1.5)
            np.testing.assert_allclose(channel.numpy(), expected, atol=1e-5)

    def test_normalize_does_not_see_the_unit(self):
        values = torch.from_numpy(np.random.default_rng(0).integers(-1000, 2000, (1, 4, 20, 20)).astype(np.int16))
        shown = Frame().normalize(values)
        torch.testing.assert_close(Frame().normalize(values.float() * 0.25 + 77), shown, atol=1e-4, rtol=0)

    def test_normalize_of_a_large_lesion_is_that_of_all_its_voxels(self):
        values = torch.from_numpy(np.random.default_rng(0).gamma(2, 100, (1, 100, 96, 96)).astype(np.float32))
        low, high = np.percentile(values.numpy(), [0.5, 99.5])
        shown = Frame().normalize(values)
        np.testing.assert_allclose(shown.numpy(), np.clip((values.numpy() - low) / (high - low), -0.5, 1.5), atol=0.02)

    def test_a_constant_place_is_refused(self):
        values = torch.rand(2, 3, 8, 8)
        values[1] = 4
        with pytest.raises(GeometryError, match="constant"):
            Frame().normalize(values)
