"""Prob. U-Net: the evidence lower bound, samples of its prior, and blocks whose levels can be adjusted."""

import pytest
import torch
from tiny_model import share_of_loss_left, tiny_batch, tiny_method
from torch.distributions import Independent, Normal, kl_divergence
from torch.nn import functional as F

from MultiRaterSegLib.errors import UnsupportedRequest
from MultiRaterSegLib.networks.backbone import CompactUNet, ResNetUNet
from MultiRaterSegLib.noise import Noise


@torch.no_grad()
def test_the_loss_is_the_negative_evidence_lower_bound_per_pixel():
    method, batch = tiny_method("prob_unet"), tiny_batch()
    torch.manual_seed(7)
    loss = method.latent_loss(batch)["loss"]
    torch.manual_seed(7)
    annotation = batch.random_rater()
    encoded = method.encode(batch.image)
    q, p = method.unet.posterior(batch.image, annotation), encoded.prior
    z = q.mean + q.log_std.exp() * torch.randn_like(q.mean)
    logits = method.unet.decode(encoded, z[None])[0]
    per_image = F.binary_cross_entropy_with_logits(logits, annotation, reduction="none").sum((1, 2, 3))
    kl = kl_divergence(Independent(Normal(q.mean, q.log_std.exp()), 1), Independent(Normal(p.mean, p.log_std.exp()), 1))
    assert loss * 32 * 32 == pytest.approx(float((per_image + kl).mean()), rel=1e-4)


def test_samples_decode_the_spread_draws_of_the_prior():
    method, image = tiny_method("prob_unet"), tiny_batch().image
    noise = Noise(5, samples=4)
    with torch.no_grad():
        encoded = method.encode(image)
        z = encoded.prior.mean + encoded.prior.log_std.exp() * noise.spread("latent", 3, 6)
        expected = method.unet.decode(encoded, z).squeeze(2).sigmoid()
        assert torch.allclose(method.sample(encoded, noise)[:, :, 1], expected, atol=1e-5)


def test_it_says_that_it_has_no_reader_styles():
    method = tiny_method("prob_unet")
    with pytest.raises(UnsupportedRequest, match="no reader styles"):
        method.expert_style(None, 0)
    with pytest.raises(UnsupportedRequest, match="ask for the consensus"):
        method.prompt_style(None, "tight margins")


def test_a_few_steps_lower_the_loss():
    method, batch = tiny_method("prob_unet").train(), tiny_batch(images=6)
    (stage,) = method.stages()
    assert share_of_loss_left(stage, batch, 25, 5e-3) < 0.9


@pytest.mark.parametrize("kind", ["compact", "resnet34"])
def test_every_level_of_a_backbone_can_be_adjusted(kind):
    torch.manual_seed(0)
    backbone = CompactUNet(1, (8, 16, 24)) if kind == "compact" else ResNetUNet(1, kind)
    backbone.eval()
    seen: dict[int, int] = {}

    def adjust(level, features):
        seen[level] = features.shape[1]
        return features

    image = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        adjusted, plain = backbone(image, adjust), backbone(image)
    assert tuple(seen.values()) == backbone.level_channels
    assert all(torch.equal(a, b) for a, b in zip(adjusted, plain))


def test_the_resnets_levels_are_run_as_monai_runs_them():
    torch.manual_seed(0)
    backbone = ResNetUNet(1).eval()
    image = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        assert torch.equal(backbone(image)[0], backbone.net(image))
