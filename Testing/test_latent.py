"""The Gaussians and the decoder against torch.distributions and the tiled form of the paper."""

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from MultiRaterSegLib.methods.prosona import navigate, similarity
from MultiRaterSegLib.networks.latent import DiagonalGaussian, LatentDecoder, probabilities


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_kl_agrees_with_torch_distributions():
    p = DiagonalGaussian(random(5, 6), random(5, 6, seed=1) / 2)
    q = DiagonalGaussian(random(5, 6, seed=2), random(5, 6, seed=3) / 2)
    theirs = kl_divergence(
        Independent(Normal(p.mean, p.log_std.exp()), 1), Independent(Normal(q.mean, q.log_std.exp()), 1)
    )
    assert torch.allclose(p.kl(q), theirs, atol=1e-5)
    assert torch.allclose(p.kl(p), torch.zeros(5), atol=1e-6)


def test_decoder_equals_1x1_convolutions_on_features_with_z_tiled():
    decoder = LatentDecoder(feature_channels=5, latent_dim=3, hidden=7, layers=3, labels=3)
    features, z = random(2, 5, 4, 6), random(4, 2, 3, seed=1)
    first = torch.cat([decoder.from_features.weight, decoder.from_latent.weight], 1)[..., None, None]
    for s in range(4):
        tiled = torch.cat([features, z[s][..., None, None].expand(-1, -1, 4, 6)], 1)
        x = torch.conv2d(tiled, first, decoder.from_features.bias).relu()
        for layer in decoder.hidden:
            x = torch.conv2d(x, layer.weight[..., None, None], layer.bias).relu()
        x = torch.conv2d(x, decoder.out.weight[..., None, None], decoder.out.bias)
        assert torch.allclose(decoder(features, z)[s], x, atol=1e-5)


def test_probabilities_sum_to_one_and_two_labels_are_a_sigmoid():
    logits = random(3, 2, 1, 4, 4)
    p = probabilities(logits)
    assert torch.allclose(p.sum(2), torch.ones(3, 2, 4, 4))
    assert torch.allclose(p[:, :, 1], logits[:, :, 0].sigmoid(), atol=1e-6)


def test_navigate_is_the_softmax_weighted_mean_of_the_bank():
    query, bank = random(2, 3, 6), random(2, 10, 3, 6, seed=1)
    z = navigate(query, bank)
    for s in range(2):
        for b in range(3):
            scores = torch.stack([query[s, b] @ bank[s, k, b] / 6**0.5 for k in range(10)])
            expected = (scores.softmax(0)[:, None] * bank[s, :, b]).sum(0)
            assert torch.allclose(z[s, b], expected, atol=1e-5)


def test_a_large_bank_shifts_the_prior_mean_along_the_query():
    """In the limit the weighted mean is mu + sigma^2 q / sqrt(D): a Gaussian tilted exponentially."""
    prior = DiagonalGaussian(random(1, 6), random(1, 6, seed=1) / 3)
    bank = prior.place(random(1, 200_000, 1, 6, seed=2))
    query = random(1, 1, 6, seed=3) * 0.5
    expected = prior.mean + (2 * prior.log_std).exp() * query[0] / 6**0.5
    assert torch.allclose(navigate(query, bank)[0], expected, atol=0.02)


def test_similarity_is_a_scaled_dot_product():
    query, bank = random(4, 6), random(10, 2, 6, seed=1)
    assert similarity(query, bank)[3, 1, 7] == pytest.approx(float(query[3] @ bank[7, 1] / 6**0.5), rel=1e-5)
