"""What is peculiar to the Harmonizer: identity at first, equations 2 to 8, and a second phase that moves nothing else."""

import pytest
import torch
from tiny_model import TINY_CONFIG, share_of_loss_left, tiny_batch, tiny_method
from torch.nn import functional as F

from MultiRaterSegLib.methods.harmonizer import (
    ChannelGates,
    Config,
    FrequencyPrompts,
    Harmonizer,
    NoiseHarmonizer,
)
from MultiRaterSegLib.noise import Noise
from Training.data.lidc_slices import EXPERTS
from Training.fit import StageModule
from Training.recipe import StageSettings


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def disturbed(module: torch.nn.Module, scale: float = 0.3) -> torch.nn.Module:
    """With noise on every weight, so that what starts at zero takes part."""
    with torch.no_grad():
        for index, parameter in enumerate(module.parameters()):
            parameter += scale * random(*parameter.shape, seed=index)
    return module


def personaliser(raters: int, components: int = 2) -> FrequencyPrompts:
    return FrequencyPrompts(channels=8, latent_dim=3, raters=raters, components=components, grid=4)


def size(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_parameter_budgets_are_near_the_papers_on_its_backbone(record_property):
    method = Harmonizer(Config(), 1, ("background", "nodule"), EXPERTS[4:])
    found = {name: size(getattr(method, name)) for name in ("unet", "harmonizer", "personaliser")}
    for name, count in found.items():
        record_property(name, count)
    assert found["harmonizer"] == pytest.approx(0.14e6, rel=0.1)  # paper, section 4.2
    assert found["personaliser"] == pytest.approx(0.07e6, rel=0.1)


def test_the_harmonizer_changes_nothing_at_first():
    method, image = tiny_method("harmonizer"), tiny_batch().image
    encoded, penalty = method._harmonized(image)
    plain = method.unet(image)
    assert torch.equal(encoded.features, plain.features)
    assert torch.equal(encoded.prior.mean, plain.prior.mean)
    assert penalty == 0


def test_the_harmonizer_computes_equation_2_pixel_by_pixel():
    harmonizer = disturbed(NoiseHarmonizer((6, 4), tokens=3, dim=5))
    features = random(2, 4, 3, 2)
    change, shift = harmonizer(1, features)
    for b in range(2):
        pixels = features[b].flatten(1).T @ harmonizer.project[1].weight.T  # [HW, D_h]
        keys, values = pixels @ harmonizer.key.weight.T, pixels @ harmonizer.value.weight.T
        found = torch.zeros(5)
        for token in harmonizer.tokens @ harmonizer.query.weight.T:
            attention = torch.stack([token @ key / 5**0.5 for key in keys]).softmax(0)
            found += sum(a * value for a, value in zip(attention, values)) / 3
        hidden = F.gelu(harmonizer.first.weight @ found + harmonizer.first.bias)
        expected = harmonizer.second[1].weight @ hidden + harmonizer.second[1].bias
        assert torch.allclose(torch.cat([change[b], shift[b]]), expected, atol=1e-5)


def test_every_level_is_modulated_and_the_prior_sees_it():
    method, image = tiny_method("harmonizer"), tiny_batch().image
    plain = method.encode(image)
    for level, layer in enumerate(method.harmonizer.second):
        with torch.no_grad():
            layer.bias += 0.5
            changed, penalty = method._harmonized(image)
            layer.bias -= 0.5
        assert not torch.allclose(changed.features, plain.features), level
        assert torch.allclose(changed.prior.mean, plain.prior.mean) == (level > 0)  # the prior sits on the bottleneck
        assert penalty == pytest.approx(0.25 * len(layer.bias), rel=1e-5)  # |gamma - 1|^2 + |beta|^2


def test_tokens_and_attention_are_shared_by_all_levels():
    harmonizer = disturbed(NoiseHarmonizer((6, 4), tokens=3, dim=5))
    for level, channels in enumerate((6, 4)):
        harmonizer.zero_grad()
        torch.cat(harmonizer(level, random(1, channels, 4, 4))).sum().backward()
        for shared in (harmonizer.tokens, *(getattr(harmonizer, n).weight for n in ("query", "key", "value", "first"))):
            assert shared.grad.abs().sum() > 0


def test_a_prompt_is_the_weighted_sum_of_components_of_equation_4():
    module = disturbed(personaliser(raters=2, components=5))
    high, weights = random(2, 6, 4, 4), module.rater_weights[:, None]
    prompt = module.prompt(high, weights)  # the grid is the bands' own: nothing is resized
    for rater in range(2):
        for image in range(2):
            scores = torch.einsum("nc,chw->nhw", module.choose.weight[:, :, 0, 0], high[image])
            share = (scores + module.choose.bias[:, None, None]).softmax(0)
            total = sum(share[n] * module.rater_weights[rater, n, :, None, None] * module.prompts[n] for n in range(5))
            assert torch.allclose(prompt[rater, image], module.smooth(total[None])[0], atol=1e-4)


def test_places_look_the_bank_up_by_scaled_dot_products():
    module = disturbed(personaliser(raters=2))
    context, bank = random(1, 2, 2, 2, 2), random(3, 7, 2, 3, seed=1)
    found = module.look_up(context, bank)
    assert found.shape == (3, 2, 3, 2, 2)
    for s in range(3):
        for b in range(2):
            query = module.query(context[0, b, :, 1, 0])
            scores = torch.stack([query @ module.key(bank[s, k, b]) / 2**0.5 for k in range(7)])
            expected = sum(weight * code for weight, code in zip(scores.softmax(0), bank[s, :, b]))
            assert torch.allclose(found[s, b, :, 1, 0], expected, atol=1e-5)


def test_a_personal_code_depends_on_detail_of_the_features():
    """A checkerboard has only HH: an average before the nonlinearity would not see it."""
    module = disturbed(personaliser(raters=1))
    board = (torch.arange(8)[:, None] + torch.arange(8)) % 2 * 2.0 - 1
    bank, style = random(1, 9, 1, 3), module.rater_weights[:, None]
    flat, detailed = torch.zeros(1, 8, 8, 8), board.expand(1, 8, 8, 8)
    assert not torch.allclose(module(flat, style, bank), module(detailed, style, bank), atol=1e-3)


def test_personal_codes_start_inside_the_bank():
    module = personaliser(raters=2)
    bank = random(1, 9, 2, 3)
    z = module(random(2, 8, 8, 8), module.rater_weights[:, None], bank)
    assert z.shape == (2, 2, 3)
    assert (z <= bank.amax(1) + 1e-5).all()
    assert (z >= bank.amin(1) - 1e-5).all()


def test_raters_together_get_the_codes_they_get_alone():
    module = disturbed(personaliser(raters=3))
    features, bank = random(2, 8, 8, 8), random(3, 9, 2, 3, seed=1)
    together = module(features, module.rater_weights[:, None], bank)
    for r in range(3):
        alone = module(features, module.rater_weights[r][None, None], bank[r : r + 1])
        assert torch.allclose(together[r : r + 1], alone, atol=1e-4)
    shared = module(features, module.rater_weights[:1, None], bank)
    assert torch.allclose(shared[:1], together[:1], atol=1e-4)
    assert not torch.allclose(shared[1:], together[1:], atol=1e-3)


@torch.no_grad()
def test_the_loss_of_phase_1_is_equation_8():
    method = tiny_method("harmonizer")
    disturbed(method.harmonizer, 0.05)
    torch.manual_seed(0)
    terms = method.latent_loss(tiny_batch())
    c = Config()
    assert (c.kl_weight, c.harmonizer_weight, c.energy_weight) == (2e-3, 3e-4, 1.0)  # appendix A
    expected = terms["segmentation"] + 2e-3 * terms["kl"] + 3e-4 * terms["harmonizer"] + 1.0 * terms["energy"]
    assert terms["harmonizer"] > 0
    assert terms["loss"] == pytest.approx(float(expected), rel=1e-5)


def test_phase_1_reaches_the_harmonizer_and_phase_2_the_whole_personaliser():
    method, batch = tiny_method("harmonizer"), tiny_batch()
    disturbed(method.harmonizer, 0.05)
    disturbed(method.personaliser, 0.05)
    for stage, module in zip(method.stages(), (method.harmonizer, method.personaliser)):
        method.zero_grad()
        stage.loss(batch)["loss"].backward()
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


def test_phase_2_changes_nothing_but_the_personaliser():
    """On the ResNet, whose BatchNorm statistics would drift in training mode, through the trainer's own module; neither
    in the network that trains nor in its weight average, which is what is kept."""
    torch.manual_seed(0)
    method = Harmonizer(Config(prompt_grid=8, bank_size=8), 1, ("background", "nodule"), EXPERTS[4:])
    for name, count in method.named_buffers():
        if name.endswith("num_batches_tracked"):
            count += 9973  # as after a first phase
    stage = method.stages()[1]
    module = StageModule(method, stage, StageSettings(), seed=0)
    method.train()
    module.on_train_epoch_start()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    optimizer = torch.optim.AdamW(stage.parameters(), 1e-2, weight_decay=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        stage.loss(tiny_batch(64, 2))["loss"].backward()
        optimizer.step()
        module.average.update_parameters(method)
    personal = {name for name in before if name.startswith("personaliser.")}
    assert any("running_mean" in name for name in before)
    for after in (method.state_dict(), module.average.module.state_dict()):
        assert {name for name, value in before.items() if not torch.equal(value, after[name])} == personal


ABLATIONS = {
    "no harmonizer": {"harmonize": False},
    "no frequency prompts": {"frequency_prompts": False},
    "no GED loss": {"energy_weight": 0.0},
}


def ablated(switch: dict) -> Harmonizer:
    torch.manual_seed(0)
    return Harmonizer(Config(**{**TINY_CONFIG["harmonizer"], **switch}), 1, ("background", "nodule"), EXPERTS)


@pytest.mark.parametrize("what", ABLATIONS)
def test_an_ablated_model_still_learns_both_phases_and_its_raters_differ(what):
    method, batch = ablated(ABLATIONS[what]).train(), tiny_batch()
    disturbed(method.personaliser, 0.1)
    for stage in method.stages():
        method.zero_grad()
        stage.loss(batch)["loss"].backward()
        assert all(parameter.grad is not None for parameter in stage.parameters()), stage.name
    encoded = method.eval().encode(batch.image)
    styles = [method.expert_style(encoded, expert) for expert in range(len(EXPERTS))]
    noise = Noise(0, samples=2)
    drawn = [method.sample(encoded, noise, style) for style in (styles[0], method.interpolate(*styles[:2], 0.5))]
    assert drawn[0].shape == (2, 3, 2, 32, 32)
    assert not torch.equal(*drawn)


def test_ablations_leave_out_what_they_say():
    whole = ablated({})
    assert not any(name.startswith("harmonizer") for name, _ in ablated(ABLATIONS["no harmonizer"]).named_parameters())
    plain = ablated(ABLATIONS["no frequency prompts"])
    assert not any("prompts" in name for name, _ in plain.named_parameters())
    assert size(plain.personaliser) < size(whole.personaliser)
    method, batch = ablated(ABLATIONS["no GED loss"]), tiny_batch()
    terms = {name: term.item() for name, term in method.latent_loss(batch).items()}
    assert terms["loss"] == pytest.approx(terms["segmentation"] + 2e-3 * terms["kl"], rel=1e-5)


def test_without_frequency_prompts_a_rater_only_scales_channels():
    gates = disturbed(ChannelGates(channels=8, latent_dim=3, raters=2))
    features = random(2, 8, 4, 4)
    context, full = gates.recalibrate(features, gates.rater_weights[:, None])
    reduced = torch.einsum("oc,bchw->bohw", gates.reduce.weight[:, :, 0, 0], features)
    for rater in range(2):
        expected = torch.stack([reduced[:, c] * gates.rater_weights[rater, c] for c in range(2)], 1)
        assert torch.allclose(full[rater], expected, atol=1e-5)
    assert context.shape == (2, 2, 2, 2, 2)


def test_a_few_steps_of_each_phase_lower_its_loss_and_raters_drift_apart():
    method, batch = tiny_method("harmonizer").train(), tiny_batch(images=6)
    for stage in method.stages():
        assert share_of_loss_left(stage, batch, 40, 1e-2) < 0.9, stage.name
    with torch.no_grad():
        encoded = method.eval().encode(batch.image)
        smallest, largest = (
            method.sample(encoded, Noise(0, samples=4), method.expert_style(encoded, e))[:, :, 1].sum() for e in (0, 3)
        )
    assert smallest < 0.9 * largest  # readers of 4 and of 7 pixels' radius
