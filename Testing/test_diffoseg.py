"""What is peculiar to DiffOSeg: what stage I learns from, how stage II starts, styles that mix, steps that can be chosen."""

from copy import deepcopy
from dataclasses import replace
from itertools import combinations

import pytest
import torch
from monai.networks.blocks import SABlock
from phantom import write_phantom
from safetensors.torch import load_file
from tiny_model import TINY_CONFIG, share_of_loss_left, tiny_batch

from MultiRaterSegLib.methods.diffoseg import Config, DiffOSeg, consensus_mask
from MultiRaterSegLib.metrics import Pairs, ged
from MultiRaterSegLib.networks.denoiser import GuidedDiffusionUNet
from MultiRaterSegLib.networks.expert_prompt import ExpertPrompt, PromptSize
from MultiRaterSegLib.noise import Noise
from Training.data.lidc_slices import EXPERTS
from Training.fit import train
from Training.recipe import load_recipe

LABELS = ("background", "nodule")


def size(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def changed(**values) -> DiffOSeg:
    torch.manual_seed(0)
    return DiffOSeg(Config(**{**TINY_CONFIG["diffoseg"], **values}), 1, LABELS, EXPERTS).eval()


def paper_like(**values) -> DiffOSeg:
    """The papers' U-Net, small."""
    return changed(network="unet", denoiser_widths=(8, 8, 8), sampling_steps=2, **values)


def nested(count: int = 4000) -> torch.Tensor:
    """Readers A in B in C in D as masks [count, 4, 1, 4]: the sum over pixels says who is meant."""
    return torch.tril(torch.ones(4, 4))[None, :, None].expand(count, -1, -1, -1)


def shares(reading: str) -> list[float]:
    """How often the target is A, B, C, D, where it is a hard mask."""
    torch.manual_seed(0)
    area = consensus_mask(nested(), reading).sum((1, 2))
    return [(area == k).float().mean().item() for k in (1, 2, 3, 4)]


def test_the_published_unet_has_the_published_number_of_parameters():
    assert size(GuidedDiffusionUNet(1, 2, (32, 32, 64, 96, 128))) == 5_699_138
    prompted = GuidedDiffusionUNet(1, 2, (32, 32, 64, 96, 128), 8, PromptSize())
    assert size(prompted) == 7_283_115  # the public code's with four: 13.1 M, 5.9 M of them prompts of 96 x 96


@pytest.mark.parametrize("prompted", [False, True])
def test_the_published_unet_is_computed_as_monai_computes_it(prompted):
    """Outputs and gradients; MONAI's own way through its layers, with the prompt block hung behind the bottleneck."""
    torch.manual_seed(0)
    ours = GuidedDiffusionUNet(1, 2, (8, 8, 16, 16), 3 if prompted else 0, PromptSize())
    for parameter in ours.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)  # many layers start at zero
    x, image, t = torch.rand(6, 2, 16, 16), torch.rand(3, 1, 16, 16), torch.arange(6) * 40
    code, planes = None, torch.cat([x, image.repeat(2, 1, 1, 1)], 1)
    if prompted:
        code = torch.eye(3).repeat(2, 1)
        planes = torch.cat([planes, code[..., None, None].expand(-1, -1, 16, 16)], 1)
    theirs = deepcopy(ours)
    for module in theirs.modules():
        if isinstance(module, SABlock):
            module.use_flash_attention = False
    if prompted:
        theirs.net.middle_block.register_forward_hook(lambda _module, _given, h: theirs.prompt(h, code))
    found, wanted = ours(x, t, (image,), code), theirs.net(planes, t)
    assert wanted.std() > 0.1
    assert torch.allclose(found, wanted, atol=1e-5)
    with torch.no_grad():  # in parts
        assert torch.allclose(ours(x, t, (image,), code), wanted, atol=1e-5)
    for y in (found, wanted):
        y.square().sum().backward()
    for (name, own), other in zip(ours.named_parameters(), theirs.parameters()):
        assert torch.allclose(own.grad, other.grad, rtol=1e-3, atol=1e-3), name


@pytest.mark.parametrize("make", [changed, paper_like])
def test_loaded_weights_stay_in_the_layout_that_convolutions_want(make):
    method = make()
    method.load_state_dict({name: value.contiguous().clone() for name, value in method.state_dict().items()})
    for denoiser in (method.consensus_denoiser, method.expert_denoiser):
        for name, weight in denoiser.named_parameters():
            assert weight.dim() < 4 or weight.is_contiguous(memory_format=torch.channels_last), name


def test_the_compact_model_is_small_enough_to_ship():
    recipe = load_recipe("diffoseg_compact")
    method = DiffOSeg(recipe.model, 1, LABELS, EXPERTS)
    assert size(method) <= 3.4e6


def majority_by_enumeration() -> list[float]:
    """Of the nested readers: every size of a subset equally often, then every subset of it."""
    found = [0.0] * 4
    for k in range(1, 5):
        subsets = list(combinations(range(4), k))
        for subset in subsets:
            votes = [sum(pixel <= reader for reader in subset) for pixel in range(4)]
            found[sum(2 * vote > k for vote in votes) - 1] += 0.25 / len(subsets)
    return found


def test_targets_of_stage_one_are_drawn_as_each_reading_says():
    assert shares("random_reader") == pytest.approx([0.25] * 4, abs=0.03)
    assert shares("subset_intersection") == pytest.approx([0.625, 0.2083, 0.1042, 0.0625], abs=0.03)  # by enumeration
    assert shares("subset_majority") == pytest.approx(majority_by_enumeration(), abs=0.03)
    assert torch.equal(consensus_mask(nested(), "mean_of_all")[0, 0], torch.tensor([1.0, 0.75, 0.5, 0.25]))
    torch.manual_seed(0)
    last = consensus_mask(nested(), "subset_mean")[:, 0, 3]  # the pixel that D alone marks: 1/k where D is among k
    for k in range(1, 5):
        assert torch.isclose(last, torch.tensor(1 / k)).float().mean() == pytest.approx(k / 16, abs=0.02)


@pytest.mark.parametrize("make", [changed, paper_like])
@torch.no_grad()
def test_stage_two_starts_by_drawing_what_stage_one_draws(make):
    method = make()
    for parameter in method.consensus_denoiser.parameters():
        parameter += 0.05 * torch.randn_like(parameter)  # the U-Net's last layer starts at zero
    encoded, noise = method.encode(tiny_batch().image), Noise(0, samples=2)
    before = method.sample(encoded, noise, method.expert_style(encoded, 3))
    assert not torch.allclose(before, method.sample(encoded, noise))
    method.stages()[1].begin()
    encoded = method.encode(tiny_batch().image)
    for expert in (0, 3):
        drawn = method.sample(encoded, noise, method.expert_style(encoded, expert))
        assert torch.allclose(drawn, method.sample(encoded, noise), atol=1e-5)


def test_the_first_convolution_of_stage_two_carries_its_channels_over():
    method = paper_like()
    method.stages()[1].begin()
    first, second = method.consensus_denoiser.net.conv_in.conv.weight, method.expert_denoiser.net.conv_in.conv.weight
    assert second.shape[1] == first.shape[1] + len(EXPERTS)
    assert torch.equal(second[:, : first.shape[1]], first)
    assert not second[:, first.shape[1] :].any()


@pytest.mark.parametrize("make", [changed, paper_like])
def test_each_stage_learns_and_experts_drift_apart(make):
    method, batch = make(), tiny_batch(images=6)
    method.train()
    for stage in method.stages():
        stage.begin()
        for parameter in method.parameters():
            parameter.requires_grad_(False)
        for parameter in stage.parameters():
            parameter.requires_grad_(True)
        assert share_of_loss_left(stage, batch, 60, 1e-2) < 0.9, stage.name
    with torch.no_grad():
        encoded = method.eval().encode(batch.image)
        smallest, largest = (
            method.sample(encoded, Noise(0, samples=4), method.expert_style(encoded, e))[:, :, 1].sum() for e in (0, 3)
        )
    assert smallest < 0.9 * largest  # readers of 4 and of 7 pixels' radius


def test_a_blind_model_is_never_told_whose_mask_it_draws():
    for make in (changed, paper_like):
        method = make(expert_identity="blind")
        assert size(method.expert_denoiser) == size(method.consensus_denoiser)
        with torch.no_grad():
            encoded = method.encode(tiny_batch().image)
            drawn = [method.sample(encoded, Noise(0, samples=2), method.expert_style(encoded, e)) for e in (0, 3)]
        assert torch.equal(*drawn)
        assert size(make(expert_identity="concatenation")) < size(make(expert_identity="prompt"))


@torch.no_grad()
def test_between_two_experts_their_log_probabilities_are_mixed():
    method = changed(sampling_steps=1)
    encoded, noise = method.encode(tiny_batch().image), Noise(0, samples=2)
    a, b = method.expert_style(encoded, 0), method.expert_style(encoded, 5)
    ends = [method.sample(encoded, noise, style) for style in (a, b)]
    geometric = ends[0] ** 0.7 * ends[1] ** 0.3
    found = method.sample(encoded, noise, method.interpolate(a, b, 0.3))
    assert torch.allclose(found, geometric / geometric.sum(2, keepdim=True), atol=1e-5)


@torch.no_grad()
def test_a_volumes_slices_share_the_noise_and_images_have_their_own():
    method = changed()
    encoded = method.encode(tiny_batch().image[:1].expand(2, -1, -1, -1))
    shared = method.sample(encoded, Noise(0, samples=3))
    assert torch.equal(shared[:, 0], shared[:, 1])
    apart = method.sample(encoded, Noise(0, samples=3, images=[1, 2]))
    assert not torch.allclose(apart[:, 0], apart[:, 1])


@torch.no_grad()
def test_the_image_is_looked_at_once_however_many_samples_are_drawn():
    method, seen = changed(), []
    method.image_network.register_forward_hook(lambda *_: seen.append(1))
    encoded = method.encode(tiny_batch().image)
    method.sample(encoded, Noise(0, samples=3))
    method.sample(encoded, Noise(0, samples=3), method.expert_style(encoded, 0))
    assert len(seen) == 1


@torch.no_grad()
def test_steps_can_be_chosen_after_training():
    method = changed()
    encoded, evaluations = method.encode(tiny_batch().image), []
    method.consensus_denoiser.register_forward_hook(lambda _module, given, _out: evaluations.append(int(given[1][0])))
    for visits, spacing in ((4, 1.0), (2, 2.0), (20, 1.0)):
        evaluations.clear()
        method.config = replace(method.config, sampling_steps=visits, step_spacing=spacing)
        method.sample(encoded, Noise(0, samples=2))
        assert len(evaluations) == visits
        assert evaluations[0] == method.config.time_steps


def test_every_weight_of_a_prompt_is_used():
    prompt = ExpertPrompt(8, 4, PromptSize(width=4, grid=6, attention_blocks=2))
    for parameter in prompt.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
    code = torch.eye(4)[[1, 2]]
    prompt(torch.randn(2, 8, 6, 6, generator=torch.Generator().manual_seed(1)), code).square().sum().backward()
    assert (prompt.components.grad != 0).all()


def test_one_step_draws_more_as_readers_do_after_the_stage_of_few_steps():
    """One step of a plain model draws about the mean outline again and again; after stage three its draws differ."""
    options = {"sampling_steps": 1, "few_steps": (1,), "draws_per_image": 4, "energy_weight": 1.0}
    method, batch = changed(**options).train(), tiny_batch(images=4)
    consensus, _, few_steps = method.stages()
    share_of_loss_left(consensus, batch, 120, 1e-2)
    for parameter in method.parameters():
        parameter.requires_grad_(False)
    for parameter in few_steps.parameters():
        parameter.requires_grad_(True)
    before = {name: value.clone() for name, value in method.image_network.state_dict().items()}

    @torch.no_grad()
    def score() -> float:
        drawn = method.sample(method.encode(batch.image), Noise(0, samples=8, images=range(4)))[:, :, 1] > 0.5
        return sum(ged(Pairs.of(drawn[:, i], batch.masks[i] > 0.5)) for i in range(4)) / 4

    plain = score()
    share_of_loss_left(few_steps, batch, 80, 3e-3)
    assert score() < 0.9 * plain
    assert all(torch.equal(value, before[name]) for name, value in method.image_network.state_dict().items())


def test_only_the_last_evaluation_of_a_short_chain_learns():
    method, batch = changed(few_steps=(3,), draws_per_image=2), tiny_batch()
    denoiser, learning = method.consensus_denoiser, []
    denoiser.register_forward_hook(lambda _module, _given, out: learning.append(out.requires_grad))
    seen = denoiser.look(batch.image, method._features(batch.image))
    ends = method._own_chain(denoiser, seen, None, batch.image, 3)
    assert learning == [False, False, True]
    assert ends.shape == (2, *batch.masks.shape[:1], *batch.masks.shape[2:])


def test_training_starts_stage_two_from_what_stage_one_learned(tmp_path):
    tiny = {
        "data": {"root": write_phantom(tmp_path / "data"), "folds": [0]},
        "frame": {"size": 32, "spacing_mm": 1.4},
        "batches": {"size": 4, "window": 32},
        "model": {"widths": [8, 8, 16, 16], "denoiser_widths": [4, 8, 8, 8], "time_steps": 20, "sampling_steps": 2},
        "stage.consensus": {"steps": 2, "validate_every": 2, "frozen": []},
        "stage.experts": {"steps": 1, "validate_every": 1, "learning_rate": 1e-12, "final_learning_rate": 1e-12},
    }
    changes = [f"{section}.{key}={value}" for section, values in tiny.items() for key, value in values.items()]
    recipe = load_recipe("diffoseg_compact", changes)
    weights = load_file(train(recipe, tmp_path / "run", stages=["consensus", "experts"]))
    first = {name: value for name, value in weights.items() if name.startswith("consensus_denoiser.")}
    assert first
    for name, value in first.items():
        assert torch.allclose(value, weights[name.replace("consensus", "expert")], atol=1e-3), name
