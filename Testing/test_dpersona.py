"""What is peculiar to D-Persona: heads that ask a bank, a frozen stage I, and losses as the paper writes them."""

import pytest
import torch
from tiny_model import share_of_loss_left, tiny_batch, tiny_method

from MultiRaterSegLib.losses import boundary_loss, dice_loss
from MultiRaterSegLib.methods.dpersona import Config, DPersona, QueryHead, by_area
from MultiRaterSegLib.networks.latent import navigate
from MultiRaterSegLib.noise import Noise
from Training.data.lidc_slices import EXPERTS
from Training.fit import StageModule
from Training.recipe import StageSettings


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_heads_have_the_published_size():
    head = QueryHead(channels=16, widths=(32, 16), latent_dim=6, dropout=0.1)
    assert 4 * sum(p.numel() for p in head.parameters()) == 88_128  # the public code's four heads


def test_a_query_may_point_anywhere():
    head = QueryHead(channels=4, widths=(8, 8), latent_dim=6, dropout=0.0)
    queries = head(random(40, 4, 16, 16))
    assert (queries < 0).any()


def test_codes_are_softmax_weighted_means_without_a_scale():
    query, bank = random(2, 3, 6), random(1, 10, 3, 6, seed=1)
    z = navigate(query, bank, scaled=False)
    for s in range(2):
        for b in range(3):
            scores = torch.stack([query[s, b] @ bank[0, k, b] for k in range(10)])
            assert torch.allclose(z[s, b], scores.softmax(0) @ bank[0, :, b], atol=1e-5)


def test_an_experts_sample_is_decoded_from_its_own_head():
    method, image = tiny_method("dpersona"), tiny_batch().image
    noise = Noise(3, samples=2)
    with torch.no_grad():
        encoded = method.encode(image)
        p = method.sample(encoded, noise, method.expert_style(encoded, 5))[:, :, 1]
        latent = method.unet(image)
        bank = latent.prior.place(noise.normal("bank", 3, (20, 6)).movedim(2, 1))
        z = navigate(method.heads[5](latent.features)[None], bank, scaled=False)
        assert torch.allclose(p, method.unet.decode(latent, z).squeeze(2).sigmoid(), atol=1e-5)


def test_interpolation_moves_the_query_in_a_straight_line():
    method, image = tiny_method("dpersona"), tiny_batch().image
    with torch.no_grad():
        encoded = method.encode(image)
        a, b = method.expert_style(encoded, 0), method.expert_style(encoded, 3)
        style = method.interpolate(a, b, 0.25)
        query = (style[..., None] * encoded.queries).sum(-2)[0]
    assert torch.allclose(query, 0.75 * encoded.queries[:, 0] + 0.25 * encoded.queries[:, 3], atol=1e-6)


def test_masks_are_sorted_by_area_for_the_posterior():
    masks = tiny_batch().masks
    assert torch.equal(by_area(masks[:, [2, 0, 3, 1]]), masks)


@torch.no_grad()
def test_stage_1_weighs_its_terms_as_published():
    method = tiny_method("dpersona")
    torch.manual_seed(0)
    terms = method.latent_loss(tiny_batch())
    expected = terms["segmentation"] + 1.0 * terms["kl"] + 0.5 * terms["bound"]
    assert terms["loss"] == pytest.approx(float(expected), rel=1e-5)


@torch.no_grad()
def test_stage_1_bounds_are_those_of_its_own_prior_samples():
    method, batch = tiny_method("dpersona"), tiny_batch()
    torch.manual_seed(4)
    terms = method.latent_loss(batch)
    torch.manual_seed(4)
    latent = method.unet(batch.image)
    torch.randn_like(latent.prior.mean)  # the posterior's draw comes first
    samples = method.unet.decode(latent, latent.prior_samples(10)).squeeze(2)
    inner = torch.stack(list(samples.sigmoid())).min(0).values
    outer = torch.stack(list(samples.sigmoid())).max(0).values
    by_hand = dice_loss(inner, batch.masks.min(1).values) + dice_loss(outer, batch.masks.max(1).values)
    assert terms["bound"] == pytest.approx(float(by_hand), rel=1e-5)
    assert boundary_loss(samples, batch.masks) == pytest.approx(float(by_hand), rel=1e-5)


def test_stage_2_changes_nothing_but_the_heads():
    torch.manual_seed(0)
    method = DPersona(Config(bank_size=8), 1, ("background", "nodule"), EXPERTS[4:])
    stage = method.stages()[1]
    module = StageModule(method, stage, StageSettings(), seed=0)
    method.train()
    module.on_train_epoch_start()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    optimizer = torch.optim.Adam(stage.parameters(), 1e-2)
    stage.loss(tiny_batch(64, 2))["loss"].backward()
    optimizer.step()
    after = method.state_dict()
    moved = {name.split(".")[0] for name, value in before.items() if not torch.equal(value, after[name])}
    assert moved == {"heads"}
    assert any("running_mean" in name for name in before)


def test_a_few_steps_of_each_stage_lower_its_loss():
    method, batch = tiny_method("dpersona").train(), tiny_batch(images=6)
    for stage in method.stages():
        assert share_of_loss_left(stage, batch, 30, 1e-2) < 0.95, stage.name
