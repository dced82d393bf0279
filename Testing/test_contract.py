"""What every method promises, held for each entry of METHODS without knowing it."""

import pytest
import torch
from tiny_model import FRAME, METHOD_NAMES, save_tiny_model, tiny_batch, tiny_method

from MultiRaterSegLib.checkpoint import load_checkpoint
from MultiRaterSegLib.errors import UnsupportedRequest
from MultiRaterSegLib.knobs import Knobs
from MultiRaterSegLib.method import Abilities
from MultiRaterSegLib.noise import Noise

pytestmark = pytest.mark.parametrize("name", METHOD_NAMES)


@pytest.fixture(autouse=True)
def _no_grad():
    with torch.no_grad():
        yield


def some_styles(method, encoded) -> dict:
    styles = {expert.name: method.expert_style(encoded, i) for i, expert in enumerate(method.experts)}
    if method.follows_prompts:
        styles["prompt"] = method.prompt_style(encoded, "include the ground-glass halo")
    return styles


def styled(name):
    """The method, where it can be asked for a style; Prob. U-Net only knows the population."""
    method = tiny_method(name)
    if not method.experts:
        pytest.skip(f"{name} has no reader styles")
    return method


def test_samples_are_probabilities_over_labels(name):
    method = tiny_method(name)
    encoded = method.encode(tiny_batch().image)
    for style in (None, *some_styles(method, encoded).values()):
        p = method.sample(encoded, Noise(0, samples=range(4)), style)
        assert p.shape == (4, 3, len(method.labels), 32, 32)
        assert torch.allclose(p.sum(2), torch.ones(4, 3, 32, 32), atol=1e-5)
        assert p.min() >= 0


def test_what_it_can_do_is_known_from_its_config_and_true(name):
    method = tiny_method(name)
    said = method.abilities(method.config)
    assert said[:2] == (method.follows_prompts, method.knobs)
    if said.knobs.steps is None:
        assert said == Abilities(method.follows_prompts)
        with pytest.raises(UnsupportedRequest, match=f"{method.title} takes cannot be chosen"):
            method.use_steps(2)
        return
    for steps in (0, said.most_steps + 1):
        with pytest.raises(UnsupportedRequest, match=f"1 to {said.most_steps} steps; got {steps}"):
            method.use_steps(steps)
    encoded, noise = method.encode(tiny_batch().image), Noise(0, samples=range(2))
    drawn = {}
    for steps in (1, said.knobs.steps, said.most_steps):
        method.use_steps(steps)
        assert method.steps == steps
        drawn[steps] = method.sample(encoded, noise)
    assert len({float(p.sum((0, 1, 3, 4))[1]) for p in drawn.values()}) == 3


def test_the_preference_is_a_choice_where_the_method_was_aligned(name):
    method = tiny_method(name)
    own = method.preference
    if own is None:
        with pytest.raises(UnsupportedRequest, match=f"{method.title} was not aligned"):
            method.use(Knobs(preference=0.5))
        return
    for preference in (-0.1, 1.1, float("nan")):
        with pytest.raises(UnsupportedRequest, match=f"0 .* to 1 .*; got {preference}"):
            method.use(Knobs(preference=preference))
    assert method.knobs == Knobs(method.steps, own)
    with torch.no_grad():
        for weight in method.policy.denoiser.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    encoded, noise = method.encode(tiny_batch().image), Noise(0, samples=range(2))
    drawn = {}
    for preference in (0, 0.5, 1):
        method.use(Knobs(preference=preference))
        assert method.abilities(method.config).knobs == method.knobs == Knobs(method.steps, preference)
        drawn[preference] = method.sample(encoded, noise)
    assert len({float(p.sum((0, 1, 3, 4))[1]) for p in drawn.values()}) == 3


def test_sampling_is_repeatable_and_does_not_depend_on_the_batch(name):
    method, batch = tiny_method(name), tiny_batch()
    together = method.encode(batch.image)
    for style_name in (None, *[expert.name for expert in method.experts[:1]]):
        style = some_styles(method, together).get(style_name)
        noise = Noise(1, samples=range(5), images=[4, 5, 6])
        whole = method.sample(together, noise, style)
        assert torch.equal(whole, method.sample(together, noise, style))
        alone = method.encode(batch.image[2:])
        style = some_styles(method, alone).get(style_name)
        part = method.sample(alone, noise.select(samples=[3, 4], images=slice(2, 3)), style)
        assert torch.allclose(part, whole[3:, 2:], atol=1e-5)


def test_samples_of_the_population_differ(name):
    method = tiny_method(name)
    p = method.sample(method.encode(tiny_batch().image), Noise(0, samples=range(2)))
    assert not torch.allclose(p[0], p[1])


def test_interpolation_starts_and_ends_exactly_at_its_styles(name):
    method = styled(name)
    encoded = method.encode(tiny_batch().image)
    a, b, *_ = some_styles(method, encoded).values()
    assert torch.equal(method.interpolate(a, b, 0.0), a)
    assert torch.equal(method.interpolate(a, b, 1.0), b)
    noise = Noise(0, samples=range(2))
    ends = [method.sample(encoded, noise, style) for style in (a, b)]
    middle = method.sample(encoded, noise, method.interpolate(a, b, 0.5))
    assert not torch.equal(middle, ends[0])
    assert not torch.equal(middle, ends[1])


def test_styles_are_noise_free_and_one_for_each_sample_is_allowed(name):
    method = styled(name)
    encoded = method.encode(tiny_batch().image)
    first, second, *_ = some_styles(method, encoded).values()
    assert torch.equal(first, method.expert_style(encoded, 0))
    both = torch.cat([first, second])
    p = method.sample(encoded, Noise(0, samples=range(2)), both)
    assert torch.allclose(p[:1], method.sample(encoded, Noise(0, samples=[0]), first), atol=1e-6)
    assert torch.allclose(p[1:], method.sample(encoded, Noise(0, samples=[1]), second), atol=1e-6)


def test_unknown_experts_and_prompts_are_refused_with_what_is_known(name):
    method = tiny_method(name)
    known = method.experts[0].name if method.experts else "no reader styles"
    with pytest.raises(UnsupportedRequest, match=known):
        method.expert_index("nobody")
    with pytest.raises(UnsupportedRequest):
        method.prompt_style(None, "outline the liver")


def test_a_checkpoint_gives_the_same_samples_back(name, tmp_path):
    path = save_tiny_model(tmp_path / "model.safetensors", name)
    checkpoint = load_checkpoint(path)
    original = tiny_method(name)
    image = tiny_batch().image
    noise = Noise(0, samples=range(3))
    restored = checkpoint.method.sample(checkpoint.method.encode(image), noise)
    assert torch.allclose(
        restored, original.sample(original.encode(image), noise), atol=0.02
    )  # weights travel as float16
    assert checkpoint.frame == FRAME
    assert checkpoint.method.experts == original.experts


def test_every_stage_trains_its_modules_and_nothing_else(name):
    method = tiny_method(name)
    for stage in method.stages():
        with torch.enable_grad():
            method.zero_grad()
            torch.manual_seed(0)
            terms = stage.loss(tiny_batch())
            terms["loss"].backward()
        assert torch.isfinite(terms["loss"])
        trained = {id(p) for p in stage.parameters()}
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in method.parameters() if id(p) in trained)
        before = {n: v.clone() for n, v in method.state_dict().items()}
        optimizer = torch.optim.SGD(stage.parameters(), 0.1)
        optimizer.step()
        names = {n for n, p in method.named_parameters() if id(p) in trained}
        for key, value in method.state_dict().items():
            assert key in names or torch.equal(value, before[key]), key
