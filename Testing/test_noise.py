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


def test_spread_draws_have_an_address_too():
    among = Noise(3, samples=range(8), images=[10, 11, 12]).spread("latent", 3, 6)
    alone = Noise(3, samples=[5], images=[11]).spread("latent", 1, 6)
    assert torch.equal(alone, among[5:6, 1:2])
    assert among.shape == (8, 3, 6)
    others = [
        Noise(4, samples=[5], images=[11]).spread("latent", 1, 6),
        Noise(3, lesion=1, samples=[5], images=[11]).spread("latent", 1, 6),
        Noise(3, samples=[5], images=[11]).spread("other", 1, 6),
        Noise(3, samples=[5]).spread("latent", 40, 6),
    ]
    assert not any(torch.equal(alone, other) for other in others)


def test_each_spread_draw_is_standard_normal_whatever_its_number():
    draws = Noise(0, samples=range(5), images=range(1500)).spread("latent", 1500, 2)
    assert (draws.mean(1).abs() < 0.1).all()
    assert ((draws.std(1) - 1).abs() < 0.1).all()


def test_means_over_few_spread_draws_are_closer_to_the_truth_than_those_over_independent_ones():
    def error(draws: torch.Tensor) -> float:
        return float(((draws.mean(0)).square().mean() + (draws.square().mean(0) - 1).square().mean()).sqrt())

    noise = Noise(0, samples=range(16), images=range(200))
    assert error(noise.spread("latent", 200, 6)) < 0.6 * error(noise.normal("latent", 200, (6,)))
