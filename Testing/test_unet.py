"""Plain U-Nets: heads that learn their own reader, a population made of them, and networks that share nothing."""

import pytest
import torch
from tiny_model import TINY_CONFIG, tiny_batch, tiny_method

from MultiRaterSegLib.methods import METHODS
from MultiRaterSegLib.noise import Noise
from Training.data.lidc_slices import EXPERTS

KINDS = ("unet_heads", "unet_single")


def four_styles(kind: str):
    torch.manual_seed(0)
    config = METHODS[kind].Config(**TINY_CONFIG[kind], ranked_by="slice_area")
    return METHODS[kind](config, 1, ("background", "nodule"), EXPERTS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_population_is_every_style_equally_often(kind):
    method, image = four_styles(kind).eval(), tiny_batch().image
    with torch.no_grad():
        encoded = method.encode(image)
        styles = torch.cat([method.sample(encoded, Noise(0), method.expert_style(encoded, e)) for e in range(4)])
        for images in (None, (5, 6, 7)):
            drawn = method.sample(encoded, Noise(1, samples=16, images=images))
            same = torch.isclose(drawn[:, None], styles[None], atol=1e-6).flatten(3).all(-1)  # [S, E, B]
            assert torch.equal(same.sum(0), torch.full((4, 3), 4))


@pytest.mark.parametrize("kind", KINDS)
def test_all_samples_of_one_style_are_its_only_mask(kind):
    method, image = four_styles(kind).eval(), tiny_batch().image
    with torch.no_grad():
        encoded = method.encode(image)
        p = method.sample(encoded, Noise(0, samples=3), method.expert_style(encoded, 2))
        assert torch.equal(p[0], p[2])
        assert torch.allclose(p[0, :, 1], encoded[:, 2, 0].sigmoid(), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_between_two_styles_logits_are_mixed(kind):
    method, image = four_styles(kind).eval(), tiny_batch().image
    with torch.no_grad():
        encoded = method.encode(image)
        a, b = method.expert_style(encoded, 0), method.expert_style(encoded, 3)
        p = method.sample(encoded, Noise(0), method.interpolate(a, b, 0.25))[0, :, 1]
        assert torch.allclose(p.logit(), 0.75 * encoded[:, 0, 0] + 0.25 * encoded[:, 3, 0], atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_only_styles_of_the_chosen_kind_are_learned(kind):
    assert [expert.name for expert in four_styles(kind).experts] == ["A1", "A2", "A3", "A4"]
    assert tiny_method(kind).experts == EXPERTS


def test_single_u_nets_share_nothing_and_heads_share_all_but_a_layer():
    for kind, expected in (("unet_single", {1}), ("unet_heads", {0})):
        method = four_styles(kind)
        logits = method.encode(tiny_batch().image)
        logits[:, 1].sum().backward()
        reached = {n for n, net in enumerate(method.networks) if any(p.grad.any() for p in net.backbone.parameters())}
        assert reached == expected
    sizes = [sum(p.numel() for p in four_styles(kind).parameters()) for kind in KINDS]
    assert sizes[1] - sizes[0] == 3 * sum(
        p.numel() for p in four_styles("unet_heads").networks[0].backbone.parameters()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_styles_learn_their_own_readers(kind):
    method, batch = four_styles(kind).train(), tiny_batch(images=6)
    (stage,) = method.stages()
    optimizer = torch.optim.Adam(stage.parameters(), 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        stage.loss(batch)["loss"].backward()
        optimizer.step()
    with torch.no_grad():
        areas = (method.eval().encode(batch.image)[:, :, 0] > 0).sum((2, 3)).float().mean(0)
    wanted = batch.masks.sum((2, 3)).mean(0)  # A1..A4 are the readers 0..3 of the batch
    assert torch.allclose(areas, wanted, rtol=0.2)
