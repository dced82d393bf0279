"""From a scan to every style of a lesion: right place, right voxels, the same numbers for the same seed."""

import numpy as np
import pytest
import torch
from tiny_model import FRAME, save_tiny_model, tiny_method

from MultiRaterSegLib.checkpoint import Checkpoint
from MultiRaterSegLib.errors import Cancelled, GeometryError, UnsupportedRequest
from MultiRaterSegLib.geometry import Grid, Volume
from MultiRaterSegLib.knobs import Knobs
from MultiRaterSegLib.lesion_part import part_at_point, parts_in_box
from MultiRaterSegLib.method import Method
from MultiRaterSegLib.predictor import Lesion, VolumePredictor, _outline_warnings

POINT = np.array([12.0, -8.0, 5.0])


class BrightBall(Method):
    """An analytic method: readers differ in the brightness at which they stop. Style = one number added to it."""

    name = "bright_ball"
    title = "Bright ball"

    def __init__(self, experts):
        super().__init__()
        self.config, self.channels, self.labels, self.experts = None, 1, ("background", "ball"), experts

    def encode(self, image):
        return image

    def sample(self, encoded, noise, style=None):
        spread = noise.normal("level", len(encoded), (1,))[..., None, None] * 0.05
        level = 0.5 + spread if style is None else 0.5 - 0.2 * style[..., None, None]
        p = ((encoded - level) * 50).sigmoid().expand(len(noise.samples), -1, 1, -1, -1)
        return torch.cat([1 - p, p], 2)

    def expert_style(self, encoded, expert):
        return torch.tensor([[[-1.0, -0.3, 0.3, 1.0][expert % 4]]])

    def stages(self):
        return ()


@pytest.fixture
def predictor() -> VolumePredictor:
    method = BrightBall(tiny_method().experts).eval()
    return VolumePredictor(Checkpoint(method, FRAME, {"modality": "CT", "trained_for": "balls"}, "ball", "0" * 64))


def ball(affine=None, shape=(24, 60, 50), center=POINT, radius=9.0, modality="CT") -> Volume:
    """A soft bright ball at a RAS point, sampled on any grid."""
    if affine is None:
        affine = np.diag([-1.1, -1.1, 2.0, 1.0])
        affine[:3, 3] = POINT - affine[:3, :3] @ (np.array(shape[::-1]) / 2)
    grid = Grid(shape, affine)
    indices = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), -1)[..., ::-1]
    distance = np.linalg.norm(grid.to_ras(indices) - center, axis=-1)
    voxels = (1000 / (1 + np.exp((distance - radius) / 1.0)) - 800).astype(np.int16)
    return Volume(voxels[None], grid, modality, "ball")


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_the_contour_lies_on_the_lesion_in_the_scans_own_voxels(predictor):
    volume = ball()
    prediction = predictor.consensus(volume, at=POINT, samples=9)
    assert prediction.consensus.shape == volume.grid.shape
    assert dice(prediction.consensus, volume.voxels[0] > -300) > 0.95
    where = np.argwhere(prediction.consensus).mean(0)[::-1]
    assert np.abs(volume.grid.to_ras(where) - POINT).max() < 0.5


ORIENTATIONS = [
    (order, flips)
    for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
    for flips in np.ndindex(2, 2, 2)
]


@pytest.mark.parametrize(("order", "flips"), ORIENTATIONS)
def test_the_answer_is_the_same_however_the_scan_is_stored(predictor, order, flips):
    """The same voxels, axes permuted and flipped: the mask is permuted and flipped with them."""
    volume = ball()
    array_axes = [2 - axis for axis in order][::-1]
    voxels = volume.voxels[0].transpose(array_axes)
    affine = volume.grid.affine[:, [*order, 3]].copy()
    for axis, flip in enumerate(flips):
        if flip:
            voxels = np.flip(voxels, 2 - axis)
            affine[:3, 3] += affine[:3, axis] * (voxels.shape[2 - axis] - 1)
            affine[:3, axis] *= -1
    stored = Volume(np.ascontiguousarray(voxels)[None], Grid(voxels.shape, affine), "CT", "ball")
    expected = predictor.consensus(volume, at=POINT, samples=3).consensus
    got = predictor.consensus(stored, at=POINT, samples=3).consensus
    for axis, flip in enumerate(flips):
        got = np.flip(got, 2 - axis) if flip else got
    assert dice(got.transpose(np.argsort(array_axes)), expected) > 0.98


def test_an_oblique_scan_gets_the_contour_in_the_right_place(predictor):
    angle = 0.35
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-0.9, -0.9, 3.0])
    affine[:3, 3] = POINT - affine[:3, :3] @ np.array([30, 30, 8])
    volume = ball(affine, (16, 60, 60))
    assert dice(predictor.consensus(volume, at=POINT, samples=3).consensus, volume.voxels[0] > -300) > 0.93


def test_styles_nest_and_interpolation_grows_from_one_to_the_other(predictor):
    lesion = predictor.lesion(ball(), at=POINT)
    volumes = [np.median(lesion.style(name, 3).volumes_ml) for name in predictor.experts]
    assert volumes == sorted(volumes)
    between = [np.median(lesion.between("conservative", "inclusive", t, 3).volumes_ml) for t in np.linspace(0, 1, 6)]
    assert between == sorted(between)
    assert between[0] == volumes[0]
    assert between[-1] == volumes[-1]


def test_a_seed_repeats_and_another_differs(predictor):
    volume = ball()
    first, again = (predictor.consensus(volume, at=POINT, samples=6, seed=4).samples for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, predictor.consensus(volume, at=POINT, samples=6, seed=5).samples)
    more = predictor.consensus(volume, at=POINT, samples=25, seed=4).samples
    assert np.array_equal(first, more[:6])


def test_only_the_part_that_was_pointed_at_is_kept(predictor):
    one, other = ball(center=POINT + [14, 0, 0], radius=8), ball(center=POINT - [14, 0, 0], radius=8)
    both = Volume(np.maximum(one.voxels, other.voxels), one.grid, "CT", "two balls")
    found = predictor.consensus(both, at=POINT + [14, 0, 0], samples=3).consensus
    assert dice(found, one.voxels[0] > -300) > 0.9
    box = (POINT + [8, -6, -4], POINT + [20, 6, 4])
    assert dice(predictor.consensus(both, box=box, samples=3).consensus, one.voxels[0] > -300) > 0.9
    across = (POINT - [18, 6, 4], POINT + [18, 6, 4])
    assert predictor.consensus(both, box=across, samples=3).consensus.sum() > 1.8 * found.sum()


def test_parts_are_chosen_by_brute_force_rules():
    grid = Grid((5, 9, 9), np.eye(4))
    mask = np.zeros((5, 9, 9), bool)
    mask[2, 1:3, 1:3] = mask[2, 6:8, 6:8] = True
    assert part_at_point(mask, grid, (1, 1, 2)).sum() == 4
    assert part_at_point(mask, grid, (7.4, 7.4, 2))[2, 7, 7]
    assert not part_at_point(mask, grid, (40, 40, 2)).any()
    assert parts_in_box(mask, grid, (0, 0, 0), (8, 8, 4)).sum() == 8
    assert not parts_in_box(mask, grid, (4, 4, 0), (5, 5, 4)).any()


def test_places_outside_the_scan_are_refused_with_its_extent(predictor):
    with pytest.raises(GeometryError, match=r"outside 'ball', which spans R"):
        predictor.consensus(ball(), at=(900, 0, 0))
    with pytest.raises(GeometryError, match="three numbers"):
        predictor.consensus(ball(), at=(1, 2))
    with pytest.raises(UnsupportedRequest, match="either a point"):
        predictor.consensus(ball())


def test_requests_that_make_no_sense_are_refused(predictor):
    lesion = predictor.lesion(ball(), at=POINT)
    with pytest.raises(UnsupportedRequest, match="from 0"):
        lesion.between("conservative", "inclusive", 1.5)
    with pytest.raises(UnsupportedRequest, match="cannot follow a prompt"):
        lesion.prompt("include the halo")
    with pytest.raises(UnsupportedRequest, match="at least 1"):
        lesion.consensus(0)
    two_channels = Volume(np.zeros((2, 4, 40, 40)), Grid((4, 40, 40), np.eye(4)), "CT", "pair")
    with pytest.raises(UnsupportedRequest, match="2 images"):
        predictor.consensus(two_channels, at=(20, 20, 2))


def test_warnings_are_in_plain_words(predictor):
    assert "not meaningful" in " ".join(predictor.consensus(ball(modality="MR"), at=POINT, samples=2).warnings)
    assert "does not say" in " ".join(predictor.consensus(ball(modality=""), at=POINT, samples=2).warnings)
    assert predictor.consensus(ball(), at=POINT, samples=2).warnings == ()
    assert "edge" in " ".join(predictor.consensus(ball(radius=33.0, shape=(24, 90, 90)), at=POINT, samples=2).warnings)
    flat = ball(
        np.diag([-1.1, -1.1, 14.0, 1.0]) + np.array([[0, 0, 0, 40], [0, 0, 0, 25], [0, 0, 0, -9], [0, 0, 0, 0]]),
        (3, 60, 60),
    )
    assert "slice" in " ".join(predictor.consensus(flat, at=POINT, samples=2).warnings)


@pytest.mark.parametrize(("slices", "advice"), [(12, "end of the scan"), (40, "taller box")])
def test_an_outline_that_reaches_an_end_says_which(predictor, slices, advice):
    """A column through a scan of 24 mm, and through one that is taller than what is looked at."""
    shape = (slices, 60, 50)
    affine = np.diag([-1.1, -1.1, 2.0, 1.0])
    affine[:3, 3] = POINT - affine[:3, :3] @ (np.array(shape[::-1]) / 2)
    i, j = np.meshgrid(np.arange(50), np.arange(60))
    column = 1000 / (1 + np.exp(np.hypot(i - 25, j - 30) * 1.1 - 9.0)) - 800
    voxels = np.broadcast_to(column, shape)[None].astype(np.int16)
    prediction = predictor.consensus(Volume(voxels, Grid(shape, affine), "CT", "column"), at=POINT, samples=10)
    assert advice in " ".join(prediction.warnings)


def test_one_stray_reader_at_the_end_is_no_reason_to_warn(predictor):
    lesion = predictor.lesion(ball(), at=POINT)
    masks = np.zeros((20, *lesion.grid.shape), bool)
    middle = tuple(n // 2 for n in lesion.grid.shape)
    masks[:, 4:-4, middle[1], middle[2]] = True
    masks[0, :, middle[1], middle[2]] = True
    assert _outline_warnings(masks, lesion) == ()
    masks[1, :, middle[1], middle[2]] = True
    assert len(_outline_warnings(masks, lesion)) == 1


def test_cancelling_stops_the_work(predictor):
    with pytest.raises(Cancelled):
        predictor.lesion(ball(), at=POINT, progress=lambda share: share < 0.3)
    seen = []
    Lesion(predictor, ball(), predictor.lesion(ball(), at=POINT).region, 0, seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_a_linear_change_of_units_changes_nothing(predictor):
    volume = ball()
    other = Volume(volume.voxels.astype(np.float32) * 3.7 + 411, volume.grid, "CT", "ball")
    a, b = (predictor.consensus(v, at=POINT, samples=4).samples for v in (volume, other))
    assert (a != b).mean() < 1e-3


def test_a_trained_file_answers_on_a_scan(tmp_path):
    path = save_tiny_model(tmp_path / "tiny.safetensors")
    predictor = VolumePredictor.from_checkpoint(path, "cpu")
    prediction = predictor.prompt(ball(), "tight margins, solid core only", at=POINT, samples=2)
    assert prediction.provenance["model_sha256"] == predictor.checkpoint.sha256
    assert prediction.provenance["prompt"] == "tight margins, solid core only"


def test_the_number_of_steps_of_a_diffusion_model_can_be_chosen_and_is_recorded(tmp_path):
    path = save_tiny_model(tmp_path / "diffusion.safetensors", "diffoseg")
    own, chosen = VolumePredictor.from_checkpoint(path), VolumePredictor.from_checkpoint(path, steps=2)
    predictions = [predictor.consensus(ball(), at=POINT, samples=2) for predictor in (own, chosen)]
    assert [p.provenance["sampling_steps"] for p in predictions] == [3, 2]
    with pytest.raises(UnsupportedRequest, match="1 to 20 steps; got 21"):
        VolumePredictor.from_checkpoint(path, steps=21)
    plain = save_tiny_model(tmp_path / "plain.safetensors", "unet_heads")
    with pytest.raises(UnsupportedRequest, match="cannot be chosen"):
        VolumePredictor.from_checkpoint(plain, steps=2)
    assert "sampling_steps" not in VolumePredictor.from_checkpoint(plain).provenance(0, 1)


def test_the_preference_of_an_aligned_model_can_be_chosen_beside_its_steps_and_is_recorded(tmp_path):
    path = save_tiny_model(tmp_path / "aligned.safetensors", "diff_dpo")
    own, chosen = VolumePredictor.from_checkpoint(path), VolumePredictor.from_checkpoint(path, steps=2, preference=0.25)
    made = [predictor.consensus(ball(), at=POINT, samples=2).provenance for predictor in (own, chosen)]
    assert [Knobs.of(facts) for facts in made] == [Knobs(3, 1.0), Knobs(2, 0.25)]
    assert [facts["preference"] for facts in made] == [1.0, 0.25]
    chosen.use(Knobs(preference=0.0))
    assert chosen.method.knobs == Knobs(3, 0.0)  # the steps are its own again
    chosen.use(Knobs())
    assert chosen.method.knobs == own.method.knobs
    unaligned = save_tiny_model(tmp_path / "unaligned.safetensors", "diffoseg")
    with pytest.raises(UnsupportedRequest, match="DiffOSeg was not aligned"):
        VolumePredictor.from_checkpoint(unaligned, preference=1.0)
    assert "preference" not in VolumePredictor.from_checkpoint(unaligned).provenance(0, 1)
