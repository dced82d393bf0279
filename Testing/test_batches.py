"""Training batches: pure in (seed, step), the same geometry and intensities as in use, honest expert targets."""

import numpy as np
import pytest
import torch
from phantom import write_phantom

from MultiRaterSegLib.frame import Frame
from MultiRaterSegLib.geometry import Grid
from MultiRaterSegLib.resample import resample
from Training.corruptions import add_noise
from Training.data.batches import (
    Augmentation,
    BatchSource,
    Mixture,
    add_heavy_noise,
    expert_targets,
    to_frame,
)
from Training.data.lidc_slices import EXPERTS, LidcSlices, load_lidc_slices
from Training.data.negatives import remove_lesion


@pytest.fixture(scope="module")
def slices(tmp_path_factory) -> LidcSlices:
    return LidcSlices.load([write_phantom(tmp_path_factory.mktemp("phantom")) / "fold0.npz"])


@pytest.fixture(scope="module")
def source(slices) -> BatchSource:
    return BatchSource(slices, Frame(), EXPERTS, batch_size=12, window=64, seed=5)


def test_a_batch_depends_on_seed_and_step_alone(source):
    first = source.batch(7)
    source.batch(8)
    again = source.batch(7)
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.masks, again.masks)
    assert torch.equal(first.ids, again.ids)
    assert not torch.equal(first.image, source.batch(8).image)


def test_masks_follow_the_image_through_every_augmentation(slices):
    """The phantom's lesion is bright: after shift, rotation, flip and scale the masks must still lie on it."""
    source = BatchSource(slices, Frame(), EXPERTS, 32, 96, 0, Augmentation(noise=0), Mixture(1, 0, 0))
    batch = source.batch(0)
    for image, masks in zip(batch.image[:, 0], batch.masks):
        inside, outside = masks.amin(0) > 0, masks.amax(0) == 0
        assert image[inside].mean() > image[outside].mean() + 0.3


def test_heavy_noise_changes_the_images_that_it_is_drawn_for_and_nothing_else(slices):
    def batch(chance: float):
        augmentation = Augmentation(heavy_noise=chance)
        return BatchSource(slices, Frame(), EXPERTS, 200, 16, 0, augmentation).batch(3)

    usual, some, every = batch(0.0), batch(0.25), batch(1.0)
    touched = (some.image != usual.image).flatten(1).any(1)
    assert 0.15 < touched.float().mean() < 0.35
    assert (every.image != usual.image).flatten(1).any(1).all()
    for noisy in (some, every):
        assert torch.equal(noisy.masks, usual.masks)
        assert torch.equal(noisy.ids, usual.ids)


def test_heavy_noise_is_that_of_the_evaluation_from_none_to_its_worst():
    gray = torch.full((300, 2, 32, 32), 0.5)
    noisy = add_heavy_noise(gray, 1.0, np.random.default_rng(0))
    worst = add_noise(gray[:1].numpy(), np.random.default_rng(0), 0.25).clip(0, 1).std()
    spread = noisy.flatten(1).std(1)
    assert spread.min() < 0.01
    assert 0.95 * worst < spread.max() < 1.05 * worst
    assert abs(spread.median() - 0.125) < 0.02
    assert noisy.min() == 0
    assert noisy.max() == 1


def test_an_unaugmented_slice_equals_the_line_that_volumes_take(slices):
    """Training's affine sampling and the library's separable resampling agree on one crop."""
    frame = Frame(size=96, spacing_mm=0.7)
    image = torch.from_numpy(slices.images[:1].astype(np.float32))
    scale = frame.field_of_view_mm / (128 * 0.7)
    theta = np.array([[[scale, 0, 0], [0, scale, 0]]], np.float32)
    sampled = to_frame(image[None], image[None], theta, frame.size)[0][0, 0]
    upright = np.diag([-0.7, -0.7, 1.0, 1.0])
    grid = Grid((1, 128, 128), upright)
    moved = resample(image[None], grid, frame.grid_for(grid))[0, 0]
    assert torch.allclose(sampled, moved, atol=0.05)


def test_negatives_outline_nothing_near_the_centre(slices):
    source = BatchSource(slices, Frame(), EXPERTS, 40, 64, mixture=Mixture(0, 0, 1))
    masks = source.batch(0).masks
    assert masks[:, :, 24:40, 24:40].sum() == 0


def test_removing_a_lesion_leaves_something_like_its_surroundings(slices):
    rng = np.random.default_rng(0)
    image, lesion = slices.images[0].astype(np.float32), slices.masks([0])[0].any(0)
    painted = remove_lesion(image, lesion, rng)
    assert painted[lesion].mean() < image[~lesion].mean() + 15 < image[lesion].mean()
    far = ~np.pad(lesion, 8)[8:-8, 8:-8]
    assert np.isfinite(painted[far]).all()


def test_slice_area_experts_are_ranks_among_those_who_outlined_something(slices):
    rows = np.arange(len(slices))
    targets = expert_targets(slices, rows, EXPERTS)
    for row in rows:
        areas = slices.areas_px[row]
        ordered = [areas[int(targets[f"A{rank}"][row])] for rank in (1, 2, 3, 4)]
        assert ordered == sorted(ordered)
        assert min(ordered) > 0
        if (areas > 0).all():
            assert ordered == sorted(areas)


def test_nodule_volume_experts_are_one_reader_along_the_lesion(slices):
    rows = np.arange(len(slices))
    targets = expert_targets(slices, rows, EXPERTS)
    for lesion in np.unique(slices.lesion):
        same = slices.lesion == lesion
        assert len(torch.unique(targets["inclusive"][same])) == 1
        chosen = int(targets["inclusive"][same][0])
        assert slices.lesion_areas_px[same][0, chosen] == slices.lesion_areas_px[same][0].max()


def test_patients_never_share_a_split(tmp_path):
    data = load_lidc_slices(write_phantom(tmp_path, patients=20), (0,))
    training, validation = data.split_patients(0.25, seed=1)
    assert not set(training.slices.patient) & set(validation.slices.patient)
    assert len(training.slices) + len(validation.slices) == len(data.slices)
    assert validation.patients == 5
