"""Noise has an address: the same numbers whatever the batch, order or number of samples."""

import torch

from MultiRaterSegLib.noise import Noise


def test_a_sample_is_the_same_however_many_are_drawn_beside_it():
    alone = Noise(3, samples=[5]).normal("latent", 1, (6,))
    among = Noise(3, samples=range(8)).normal("latent", 1, (6,))
    assert torch.equal(alone[0], among[5])


def test_images_scored_alone_or_in_a_batch_get_the_same_noise():
    batch = Noise(1, samples=range(4), images=[10, 11, 12]).normal("latent", 3, (2,))
    alone = Noise(1, samples=range(4), images=[12]).normal("latent", 1, (2,))
    assert torch.equal(batch[:, 2:], alone)
    selected = Noise(1, samples=range(4), images=[10, 11, 12]).select(samples=[3], images=slice(1, 2))
    assert torch.equal(selected.normal("latent", 1, (2,)), batch[3:, 1:2])


def test_a_volume_shares_its_noise_along_the_slices():
    assert Noise(0, samples=range(3)).normal("latent", 40, (6,)).shape == (3, 1, 6)


def test_streams_seeds_lesions_samples_and_images_differ():
    draws = [
        Noise(0).normal("a", 1, (4,)),
        Noise(0).normal("b", 1, (4,)),
        Noise(1).normal("a", 1, (4,)),
        Noise(0, lesion=1).normal("a", 1, (4,)),
        Noise(0, samples=[1]).normal("a", 1, (4,)),
        Noise(0, images=[0]).normal("a", 1, (4,)),
    ]
    flat = torch.stack([draw.flatten() for draw in draws])
    assert len(torch.unique(flat, dim=0)) == len(draws)


def test_draws_are_standard_normal():
    draws = Noise(0, samples=range(200), images=range(20)).normal("latent", 20, (6,))
    assert abs(draws.mean()) < 0.02
    assert abs(draws.std() - 1) < 0.02
    uniform = Noise(0, samples=range(200), images=range(20)).uniform("latent", 20, (6,))
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 0.01
