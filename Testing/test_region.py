"""The part of a scan around a lesion: enough for the same answer, bit for bit, and slices that are where they say."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from threshold_model import blob
from worker_models import Brightness, make_method

from MultiRaterSegLib.checkpoint import Checkpoint
from MultiRaterSegLib.errors import UnsupportedRequest
from MultiRaterSegLib.frame import Frame
from MultiRaterSegLib.geometry import Grid, Volume
from MultiRaterSegLib.predictor import VolumePredictor
from MultiRaterSegLib.preview import Previewer
from MultiRaterSegLib.region import Place, Region

FRAME = Frame(size=40, spacing_mm=1.3)


@pytest.fixture(scope="module")
def predictor() -> VolumePredictor:
    return VolumePredictor(Checkpoint(make_method(Brightness).eval(), FRAME, {}, "brightness", "0" * 64))


def rotation(seed: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]


AXES = [np.eye(3)[:, list(order)] * sign for order in permutations(range(3)) for sign in ((1, -1, 1), (-1, 1, -1))]
AXES += [rotation(seed) for seed in range(4)]


def scan(axes: np.ndarray, off_center: float = 0) -> Volume:
    affine = np.eye(4)
    affine[:3, :3] = axes * (0.83, 1.17, 2.1)
    affine[:3, 3] = (31.7, -12.3, 100.1)
    grid = Grid((40, 80, 90), affine)
    return blob(affine, grid.shape, grid.to_ras((50.3, 38.2, 19.4)) + off_center)


@pytest.mark.parametrize("number", range(len(AXES)))
def test_the_part_around_a_lesion_gives_what_the_whole_scan_gives(predictor, number):
    volume = scan(AXES[number])
    at = volume.grid.to_ras((50.3, 38.2, 19.4))
    region = Region.around(Place.of(volume.grid, at), volume.grid, FRAME)
    part = replace(volume, voxels=region.cut(volume).copy(), grid=region.window)
    whole = predictor.lesion(volume, at=at, seed=3).consensus(4)
    alone = predictor.lesion(part, at=at, seed=3, scan=volume.grid).consensus(4)
    assert whole.samples.any()
    assert np.array_equal(whole.samples, alone.samples)
    assert np.array_equal(whole.consensus, alone.consensus)
    assert part.voxels.size < volume.voxels.size


@pytest.mark.parametrize("nanometres", [-30, 30])
def test_a_scan_that_was_saved_and_loaded_is_looked_at_in_the_same_voxels(nanometres):
    """Half the depth, 20 mm, is a whole number of these voxels from the point: the last slice is just in or just out."""
    before = Grid((40, 60, 60), np.diag([0.701, 0.701, 1.25, 1.0]))
    moved = np.diag([0.701, 0.701, 1.25, 1.0])
    moved[2, 3] += nanometres * 1e-6
    after, at = Grid(before.shape, moved), before.to_ras((30, 30, 19))
    seen = [Region.around(Place.of(grid, at), grid, FRAME) for grid in (before, after)]
    assert seen[0].slices == seen[1].slices == range(3, 36)
    assert seen[0].grid.shape == seen[1].grid.shape


def test_a_box_and_the_scans_corner_are_cut_exactly_too(predictor):
    volume = scan(AXES[2])
    low, high = volume.grid.to_ras((40, 28, 14)), volume.grid.to_ras((60, 50, 25))
    for place in ({"box": (low, high)}, {"at": volume.grid.to_ras((1, 78, 38))}):
        region = Region.around(Place.of(volume.grid, **place), volume.grid, FRAME)
        part = replace(volume, voxels=region.cut(volume).copy(), grid=region.window)
        whole = predictor.lesion(volume, **place).consensus(2)
        assert np.array_equal(whole.samples, predictor.lesion(part, **place, scan=volume.grid).consensus(2).samples)


@pytest.mark.parametrize("number", range(len(AXES)))
def test_a_preview_is_the_slice_that_the_whole_lesion_gets(predictor, number):
    volume = scan(AXES[number])
    at = volume.grid.to_ras((50.3, 38.2, 19.4))
    lesion = predictor.lesion(volume, at=at)
    previewer, region = Previewer(lesion), lesion.region
    answer = lesion.style("inclusive", 8)
    previewer.remember(answer.samples)
    index = region.slice_at(at)
    seen = previewer.preview("inclusive", index, 8)
    full = np.zeros(volume.grid.shape, bool)
    full[seen.grid.window_in(volume.grid)] = seen.mask
    axis = 2 - region.across
    assert seen.grid.shape[axis] == 1
    assert seen.mask.any()
    assert np.array_equal(full.take(index, axis), answer.consensus.take(index, axis))
    assert full.sum() == seen.mask.sum() == full.take(index, axis).sum()


def test_a_preview_leaves_out_what_is_another_structure(predictor):
    volume = scan(np.eye(3))
    at = volume.grid.to_ras((50.3, 38.2, 19.4))
    volume.voxels[0, 10:30, 53:58, 40:46] = volume.voxels.max()
    lesion = predictor.lesion(volume, at=at)
    previewer = Previewer(lesion)
    index = lesion.region.slice_at(at)
    everything = previewer.preview("inclusive", index).mask.sum()
    previewer.remember(lesion.consensus(2).samples)
    assert previewer.preview("inclusive", index).mask.sum() < everything - 20


def test_a_slice_that_was_not_looked_at_is_refused(predictor):
    volume = scan(np.eye(3))
    region = predictor.lesion(volume, at=volume.grid.to_ras((50, 38, 19))).region
    assert region.slice_at(volume.grid.to_ras((0, 0, 39))) is None
    with pytest.raises(UnsupportedRequest, match=f"choose one of {region.slices[0]}..{region.slices[-1]}"):
        region.slice_grid(region.slices[-1] + 1)
