"""What is peculiar to ProSona: both stages learn, words become targets."""

import copy
import math
from dataclasses import replace

import torch
from tiny_model import TINY_CONFIG, share_of_loss_left, tiny_batch, tiny_method

from MultiRaterSegLib.methods.prosona import Config, ProSona, _described_mask
from MultiRaterSegLib.noise import Noise
from MultiRaterSegLib.style_targets import regions
from MultiRaterSegLib.text import Slots
from Training.data.lidc_slices import EXPERTS


def test_a_few_steps_of_each_stage_lower_its_loss():
    method = tiny_method().train()
    batch = tiny_batch(images=6)
    for stage in method.stages():
        assert share_of_loss_left(stage, batch, 25, 5e-3) < 0.9, stage.name


def test_the_paper_trains_only_the_mlp_in_stage_two():
    method = ProSona(
        Config(backbone="compact", widths=(8, 16), text_encoder="words"), 1, ("background", "nodule"), EXPERTS
    )
    trained = {id(p) for p in method.stages()[1].parameters()}
    assert trained == {id(p) for p in method.query.parameters()}


def test_the_paper_recipe_builds_its_resnet_34_through_monai():
    config = Config(text_encoder="words")
    method = ProSona(config, 1, ("background", "nodule"), EXPERTS).eval()
    count = sum(p.numel() for p in method.backbone.parameters())
    assert 23e6 < count < 26e6  # D-Persona's backbone: 24.4 M
    with torch.inference_mode():
        p = method.sample(method.encode(torch.zeros(1, 1, 128, 128)), Noise(0, samples=2))
    assert p.shape == (2, 1, 2, 128, 128)


def test_slots_become_masks_made_of_what_readers_drew():
    batch = tiny_batch()
    found = regions(batch.image[:, 0], batch.masks)

    def area(**slots) -> torch.Tensor:
        return _described_mask(batch, EXPERTS, Slots(**slots), found).sum((1, 2))

    readers = batch.masks.sum((2, 3))
    assert torch.equal(area(extent=-1.0), readers[:, 0])
    assert torch.equal(area(extent=1.0), readers[:, 3])
    assert torch.equal(area(margin=-1.0), readers[:, 0])
    assert torch.equal(area(extent=1.0, per_slice=True), readers[:, 3])
    assert (area(halo=-1.0) <= area(halo=-0.3)).all()
    assert (area(halo=-0.3) <= area()).all()
    assert (area() <= area(halo=1.0)).all()


def test_a_low_temperature_samples_a_narrower_prior_and_leaves_styles_alone():
    method = tiny_method()
    cool = copy.deepcopy(method)
    cool.config = replace(method.config, sampling_temperature=0.5)
    noise = Noise(3, samples=6)
    with torch.no_grad():
        encoded = method.encode(tiny_batch().image)
        narrow = replace(encoded.prior, log_std=encoded.prior.log_std - math.log(2))
        expected = method.sample(replace(encoded, prior=narrow), noise)
        assert torch.allclose(cool.sample(encoded, noise), expected, atol=1e-6)
        assert not torch.allclose(method.sample(encoded, noise), expected, atol=1e-4)
        style = method.expert_style(encoded, 0)
        assert torch.equal(cool.sample(encoded, noise, style), method.sample(encoded, noise, style))


def test_contrast_is_only_among_prompts_of_experts():
    method = tiny_method()
    assert TINY_CONFIG["prosona"]["text_encoder"] == "words"
    owners = {prompt.expert for prompt in method._prompts if prompt.expert in method._expert_names}
    assert owners == set(method._expert_names)
    counts = [sum(prompt.expert == name for prompt in method._prompts) for name in owners]
    assert min(counts) >= 2  # several sentences an expert, or M would be the identity


def test_opposites_that_already_differ_enough_cost_nothing_and_the_wrong_way_round_costs_most():
    method = tiny_method()
    disc = torch.linspace(-1, 1, 32)
    distance = (disc[:, None] ** 2 + disc[None] ** 2).sqrt()[None]
    small, large = (20 * (radius - distance) for radius in (0.3, 0.6))
    less, more = (next(i for i, p in enumerate(method._prompts) if p.slots == Slots(extent=e)) for e in (-1.0, 1.0))
    pair, rim = [("extent", less, more)], torch.zeros(1, 32, 32, dtype=torch.bool)
    right = method._steering_loss(torch.stack([small, large]), pair, rim)
    same = method._steering_loss(torch.stack([small, small]), pair, rim)
    wrong = method._steering_loss(torch.stack([large, small]), pair, rim)
    assert right == 0
    assert 0 < same < wrong
