"""Gaussian diffusion against MONAI's schedulers, and against what is known in closed form."""

import pytest
import torch
from monai.networks.schedulers import DDIMScheduler, DDPMScheduler

from MultiRaterSegLib.diffusion import gaussian

T = 1000
SCHEDULES = {"linear": "linear_beta", "cosine": "cosine"}
KINDS = {"epsilon": "epsilon", "x0": "sample", "v": "v_prediction"}
ONE = torch.ones(())


def planes(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    clean = torch.randint(2, (3, 1, 8, 8), generator=generator).float() * 2 - 1
    return clean, torch.randn(3, 1, 8, 8, generator=generator)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_are_monais(name):
    ours = gaussian.SCHEDULES[name](T)
    theirs = DDPMScheduler(T, SCHEDULES[name]).alphas_cumprod
    known = theirs > 1e-7  # where single precision still says something
    torch.testing.assert_close(ours[known], theirs[known], rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_noising_and_what_is_predicted_are_monais(kind):
    clean, noise = planes()
    scheduler = DDPMScheduler(T, "linear_beta", prediction_type=KINDS[kind])
    t = torch.tensor([0, 400, 999])
    a = gaussian.linear_schedule(T)[t].view(3, 1, 1, 1)
    noisy = gaussian.diffuse(clean, noise, a)
    torch.testing.assert_close(noisy, scheduler.add_noise(clean, noise, t), rtol=1e-4, atol=1e-5)
    output = gaussian.to_predict(kind, clean, noise, a)
    if kind == "v":
        torch.testing.assert_close(output, scheduler.get_velocity(clean, noise, t), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gaussian.predicted_clean(kind, output, noisy, a), clean, rtol=1e-3, atol=2e-3)
    torch.testing.assert_close(gaussian.noise_given(clean, noisy, a), noise, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("t", [999, 500, 20])
def test_a_ddim_step_is_monais(kind, t):
    noisy, output = planes(1)[1], 0.4 * planes(2)[1]
    scheduler = DDIMScheduler(T, "linear_beta", prediction_type=KINDS[kind], clip_sample=False)
    scheduler.set_timesteps(50)
    schedule = gaussian.linear_schedule(T)
    a, before = schedule[t], schedule[t - 20] if t >= 20 else ONE
    clean = gaussian.predicted_clean(kind, output, noisy, a)
    theirs, their_clean = scheduler.step(output, t, noisy)
    torch.testing.assert_close(clean, their_clean, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(gaussian.ddim_step(clean, noisy, a, before, 0.0, 0.0), theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("eta", [0.5, 1.0])
def test_a_random_ddim_step_is_monais_with_the_same_noise(eta):
    clean, noisy = 0.9 * planes(3)[0], planes(4)[1]
    scheduler = DDIMScheduler(T, "linear_beta", prediction_type="sample")
    scheduler.set_timesteps(20)
    schedule = gaussian.linear_schedule(T)
    theirs, _ = scheduler.step(clean, 600, noisy, eta=eta, generator=torch.Generator().manual_seed(7))
    fresh = torch.randn(clean.shape, generator=torch.Generator().manual_seed(7))
    ours = gaussian.ddim_step(clean, noisy, schedule[600], schedule[550], eta, fresh)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_a_ddpm_step_is_monais_and_that_of_ddim_with_eta_one():
    clean, noisy = 0.9 * planes(3)[0], planes(4)[1]
    scheduler = DDPMScheduler(T, "linear_beta", prediction_type="sample")
    schedule = gaussian.linear_schedule(T)
    for t in (999, 300, 1):
        theirs, _ = scheduler.step(clean, t, noisy, generator=torch.Generator().manual_seed(7))
        fresh = torch.randn(clean.shape, generator=torch.Generator().manual_seed(7))
        ours = gaussian.ddpm_step(clean, noisy, schedule[t], schedule[t - 1], fresh)
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
        same = gaussian.ddim_step(clean, noisy, schedule[t], schedule[t - 1], 1.0, fresh)
        torch.testing.assert_close(ours, same, rtol=1e-3, atol=1e-3)


def test_times_start_at_pure_noise_and_are_evenly_spaced():
    assert gaussian.sampling_times(1000, 1000) == list(range(999, -1, -1))
    assert gaussian.sampling_times(1000, 20) == list(range(999, 0, -50))
    assert gaussian.sampling_times(1000, 1) == [999]
    assert len(set(gaussian.sampling_times(1000, 333))) == 333
    for bad in (0, 1001):
        with pytest.raises(ValueError, match="1 to 1000"):
            gaussian.sampling_times(1000, bad)


@pytest.mark.parametrize(("sampler", "eta", "count"), [("ddim", 0.0, 50), ("ddim", 1.0, 50), ("ddpm", 0.0, 1000)])
def test_samplers_reach_a_two_point_distribution_with_its_own_posterior(sampler, eta, count):
    """y_0 is -1 or 1 with shares 0.3 and 0.7; its mean given y_t is known, so samples must have these shares."""
    schedule = gaussian.cosine_schedule(T)
    generator = torch.Generator().manual_seed(0)

    def predict(noisy, t):
        a = schedule[t]
        return torch.tanh(a.sqrt() * noisy / (1 - a) + 0.5 * torch.log(torch.tensor(0.7 / 0.3)))

    start = torch.randn(20000, generator=generator)
    drawn = gaussian.sample(
        predict, start, schedule, count, sampler, eta, lambda t: torch.randn(20000, generator=generator)
    )
    assert abs(float((drawn > gaussian.THRESHOLD).float().mean()) - 0.7) < 0.02
    assert float((drawn.abs() > 0.9).float().mean()) > 0.85


def test_a_deterministic_walk_asks_for_no_noise():
    def refuse(_t):
        raise AssertionError("noise was asked for")

    start = planes()[1]
    drawn = gaussian.sample(
        lambda noisy, t: torch.zeros_like(noisy), start, gaussian.linear_schedule(T), 5, fresh=refuse
    )
    assert torch.equal(drawn, torch.zeros_like(start))


def test_masks_survive_their_encoding_and_the_threshold_lies_between():
    mask = torch.tensor([0.0, 1.0])
    signal = gaussian.encode_mask(mask)
    assert signal.tolist() == [-1.0, 1.0]
    assert torch.equal(gaussian.decode_mask(signal), mask)
    assert torch.equal(signal > gaussian.THRESHOLD, mask > 0.5)
    assert gaussian.decode_mask(torch.tensor(gaussian.THRESHOLD)) == 0.5
