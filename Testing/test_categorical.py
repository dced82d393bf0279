"""Categorical diffusion against brute-force Bayes on small alphabets, and against values of the published code."""

import json
from pathlib import Path

import pytest
import torch

from MultiRaterSegLib.diffusion.categorical import (
    ancestral_sample,
    cosine_schedule,
    draw,
    forward_step,
    marginal,
    posterior,
    posterior_kl,
    posterior_mixture,
    public_cosine_schedule,
    time_grid,
)
from MultiRaterSegLib.errors import UnsupportedRequest

VECTORS = json.loads((Path(__file__).parent / "data" / "diffusion_vectors.json").read_text())
LABELS, STEPS = 3, 6
SCHEDULE = cosine_schedule(STEPS)


def pixel(p) -> torch.Tensor:
    """[1, L, 1, 1]."""
    return torch.as_tensor(p, dtype=torch.float64).view(1, -1, 1, 1)


def one_hot(label: int, labels: int = LABELS) -> torch.Tensor:
    return pixel(torch.eye(labels, dtype=torch.float64)[label])


def transition(t: int) -> torch.Tensor:
    """[L, L] of one step: rows x_{t-1}, columns x_t. Kept with chance alpha_t, else any label."""
    alpha = SCHEDULE.keep[t] / SCHEDULE.keep[t - 1]
    return alpha * torch.eye(LABELS, dtype=torch.float64) + (1 - alpha) / LABELS


def chain(s: int, t: int) -> torch.Tensor:
    """[L, L] from s to t, the single steps multiplied."""
    product = torch.eye(LABELS, dtype=torch.float64)
    for step in range(s + 1, t + 1):
        product = product @ transition(step)
    return product


def by_bayes(x0: int, t: int, s: int) -> torch.Tensor:
    """[L (x_t), L (x_s)] = q(x_s | x_t, x_0) from the chain's joint distribution."""
    joint = chain(0, s)[x0][:, None] * chain(s, t)  # [x_s, x_t]
    return (joint / joint.sum(0)).T


PAIRS = [(t, s) for t in range(1, STEPS + 1) for s in range(t)]


def test_marginals_are_the_single_steps_composed():
    for t in range(1, STEPS + 1):
        state = one_hot(1)
        for step in range(1, t + 1):
            state = forward_step(state, step, SCHEDULE)
        assert torch.allclose(marginal(one_hot(1), t, SCHEDULE), state)
        assert torch.allclose(state.flatten(), chain(0, t)[1])
    assert torch.allclose(marginal(one_hot(1), STEPS, SCHEDULE), torch.full((1, 3, 1, 1), 1 / 3, dtype=torch.float64))


@pytest.mark.parametrize(("t", "s"), PAIRS)
def test_posteriors_of_any_jump_are_those_of_bayes(t, s):
    for x0 in range(LABELS):
        for x_t in range(LABELS):
            found = posterior(one_hot(x_t), one_hot(x0), t, s, SCHEDULE).flatten()
            assert torch.allclose(found, by_bayes(x0, t, s)[x_t], atol=1e-12)


def test_a_jump_is_its_single_steps_composed():
    """q(x_s | x_t, x_0) = sum over x_m of q(x_s | x_m, x_0) q(x_m | x_t, x_0)."""
    for x0 in range(LABELS):
        composed = torch.eye(LABELS, dtype=torch.float64)
        for step in range(STEPS, 1, -1):
            rows = [posterior(one_hot(x), one_hot(x0), step, step - 1, SCHEDULE).flatten() for x in range(LABELS)]
            composed = composed @ torch.stack(rows)
        jump = [posterior(one_hot(x), one_hot(x0), STEPS, 1, SCHEDULE).flatten() for x in range(LABELS)]
        assert torch.allclose(composed, torch.stack(jump), atol=1e-12)


@pytest.mark.parametrize(("t", "s"), PAIRS)
def test_the_mixture_is_the_sum_over_clean_labels(t, s):
    p0 = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    for x_t in range(LABELS):
        expected = sum(p0[c] * posterior(one_hot(x_t), one_hot(c), t, s, SCHEDULE) for c in range(LABELS))
        assert torch.allclose(posterior_mixture(one_hot(x_t), pixel(p0), t, s, SCHEDULE), expected, atol=1e-12)
    if s == 0:
        assert torch.allclose(expected.flatten(), p0)


def test_times_may_differ_from_image_to_image():
    t, s = torch.tensor([1, 4, 6, 6]), torch.tensor([0, 3, 2, 5])
    x = torch.cat([one_hot(k % 3) for k in range(4)])
    p0 = torch.rand(4, 3, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64).softmax(1)
    together = posterior_mixture(x, p0, t, s, SCHEDULE)
    for k in range(4):
        alone = posterior_mixture(x[k : k + 1], p0[k : k + 1], int(t[k]), int(s[k]), SCHEDULE)
        assert torch.allclose(together[k : k + 1], alone)


@pytest.mark.parametrize("row", VECTORS["rows"], ids=lambda row: f"t={row['t']}")
def test_the_public_schedule_gives_the_published_codes_values(row):
    schedule, t = public_cosine_schedule(VECTORS["T"]), row["t"]
    assert 1 - schedule.step[t] == pytest.approx(row["beta_t"], abs=2e-7)
    assert schedule.keep[t] == pytest.approx(row["cumalpha_t(code)"], abs=2e-7)
    assert marginal(one_hot(1, 2), t, schedule)[0, 1].item() == pytest.approx(row["q(x_t=1|x0=1)"], abs=2e-7)
    for x in (0, 1):
        for x0 in (0, 1):
            found = posterior(one_hot(x, 2), one_hot(x0, 2), t, t - 1, schedule)[0, 1].item()
            assert found == pytest.approx(row[f"theta_post P(x_t-1=1|x_t={x},x0={x0})"], abs=1e-3, rel=2e-3)
        mixed = posterior_mixture(one_hot(x, 2), pixel([0.7, 0.3]), t, t - 1, schedule)[0, 1].item()
        assert mixed == pytest.approx(row[f"theta_post_prob P(x_t-1=1|x_t={x},p0=0.3)"], abs=1e-3)


def test_only_the_consistent_schedule_can_jump():
    assert cosine_schedule(250).consistent
    public = public_cosine_schedule(250)
    assert not public.consistent
    assert (public.keep[1:] - public.step[1:].cumprod(0)).abs().max() == pytest.approx(0.0062, abs=1e-4)
    noise = torch.rand(1, 1, 2, 2)
    with pytest.raises(UnsupportedRequest, match="consistent"):
        ancestral_sample(lambda x, t: x, public, [250, 125, 0], lambda t: noise, 2)
    assert ancestral_sample(lambda x, t: x, public, list(range(250, -1, -1)), lambda t: noise, 2).shape == (1, 2, 2, 2)


def test_kl_is_zero_for_the_truth_and_the_textbook_sum_otherwise():
    x_t, x0, p0 = one_hot(0), one_hot(2), pixel([0.2, 0.5, 0.3])
    assert posterior_kl(x_t, x0, x0, 5, 4, SCHEDULE).item() == pytest.approx(0, abs=1e-12)
    q = by_bayes(2, 5, 4)[0]
    p = sum(weight * by_bayes(c, 5, 4)[0] for c, weight in enumerate([0.2, 0.5, 0.3]))
    expected = sum(q[k] * torch.log(q[k] / p[k]) for k in range(LABELS))
    assert posterior_kl(x_t, x0, p0, 5, 4, SCHEDULE).item() == pytest.approx(expected.item(), rel=1e-9)


def test_the_kl_of_a_soft_label_is_least_at_that_label():
    soft = pixel([0.25, 0.75])
    shares = torch.linspace(0.05, 0.95, 19)
    for x in (0, 1):
        losses = [posterior_kl(one_hot(x, 2), soft, pixel([1 - p, p]), 3, 2, cosine_schedule(6)).item() for p in shares]
        assert shares[losses.index(min(losses))] == pytest.approx(0.75)


def test_draws_follow_their_distribution_and_alike_distributions_draw_alike():
    uniform = torch.rand(1, 1, 200, 200, generator=torch.Generator().manual_seed(0))
    p = torch.tensor([0.2, 0.5, 0.3]).view(1, 3, 1, 1).expand(1, 3, 200, 200)
    x = draw(p, uniform)
    assert torch.equal(x.sum(1), torch.ones(1, 200, 200))
    assert torch.allclose(x.mean((0, 2, 3)), torch.tensor([0.2, 0.5, 0.3]), atol=0.01)
    near = torch.tensor([0.5, 0.5]).view(1, 2, 1, 1), torch.tensor([0.53, 0.47]).view(1, 2, 1, 1)
    first, second = (draw(q.expand(1, 2, 200, 200), uniform) for q in near)
    assert (first != second).any(1).float().mean() == pytest.approx(0.03, abs=0.005)


@pytest.mark.parametrize("visits", [1, 2, 5, STEPS])
def test_any_number_of_steps_samples_the_same_pixel_distribution(visits):
    """With the exact p0 of a pixel of known label shares, every chain returns those shares."""
    shares = torch.tensor([0.1, 0.6, 0.3], dtype=torch.float64)
    generator = torch.Generator().manual_seed(visits)

    def exact(x: torch.Tensor, t: int) -> torch.Tensor:
        likelihood = torch.stack([(marginal(one_hot(c), t, SCHEDULE) * x).sum(1) for c in range(LABELS)], 1)
        joint = shares.view(1, -1, 1, 1) * likelihood
        return joint / joint.sum(1, keepdim=True)

    p0 = ancestral_sample(
        exact,
        SCHEDULE,
        time_grid(STEPS, visits),
        lambda t: torch.rand(1, 1, 150, 150, generator=generator, dtype=torch.float64),
        LABELS,
    )
    assert torch.allclose(p0.mean((0, 2, 3)), shares, atol=0.012)  # 22,500 draws: three standard errors are .01


def test_visited_times_are_even_or_finer_near_the_noise_and_refused_where_there_are_not_so_many():
    assert time_grid(250, 5) == [250, 200, 150, 100, 50, 0]
    assert time_grid(250, 250) == list(range(250, -1, -1))
    assert time_grid(250, 1) == [250, 0]
    assert time_grid(250, 5, 2.0) == [250, 240, 210, 160, 90, 0]
    assert time_grid(250, 250, 2.0) == list(range(250, -1, -1))
    assert time_grid(6, 5, 3.0) == [6, 5, 4, 3, 2, 0]  # times stay distinct
    for wrong in (0, 251):
        with pytest.raises(UnsupportedRequest, match="1 to 250"):
            time_grid(250, wrong)
