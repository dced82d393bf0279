"""Categorical diffusion: labels are replaced by uniformly random ones, bit by bit, and a model of the clean labels leads back.

Distributions over L labels are tensors [..., L, H, W] that sum to 1 along dimension -3; a state x_t is one-hot. Times run
from 0 (clean) to T (uniform); t and s are int, or int64 [N] for tensors [N, L, H, W].

Sources: Hoogeboom et al., Argmax Flows and Multinomial Diffusion (2021); DiffOSeg, equations 3 to 5. The jump t -> s < t
follows from the same Bayes rule and is in neither.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import Tensor

from ..errors import UnsupportedRequest

Time: TypeAlias = int | Tensor

COSINE_OFFSET = 0.008
LARGEST_BETA = 0.999
SMALLEST = 1e-12
"""Below it a probability counts as this in logarithms."""


@dataclass(frozen=True, eq=False)
class Schedule:
    """keep: float64 [T + 1], the chance that a label is still the clean one at t and not a uniform draw (alpha bar).
    step: float64 [T + 1], the same from t - 1 to t (alpha); step[0] is not used.

    Jumps t -> s need keep[t] = step[t] * keep[t - 1]; `consistent` says whether that holds.
    """

    keep: Tensor
    step: Tensor

    @property
    def steps(self) -> int:
        """T."""
        return len(self.keep) - 1

    @property
    def consistent(self) -> bool:
        return torch.allclose(self.keep[1:], self.step[1:] * self.keep[:-1], rtol=0, atol=1e-9)

    def kept(self, t: Time, like: Tensor) -> float | Tensor:
        """alpha bar_t, ready to meet a tensor [N, L, H, W] like `like`."""
        return _at(self.keep, t, like)

    def kept_since(self, s: Time, t: Time, like: Tensor) -> float | Tensor:
        """The chance to keep a label from s to t > s: alpha bar_t / alpha bar_s; alpha_t where s = t - 1."""
        if isinstance(t, int) and s == t - 1:
            return _at(self.step, t, like)
        ratio = _at(self.keep, t, like) / _at(self.keep, s, like)
        if isinstance(t, int):
            return ratio
        return torch.where((t - s == 1).view(-1, 1, 1, 1), _at(self.step, t, like), ratio)


def cosine_schedule(steps: int) -> Schedule:
    """keep[t] = f(t / T) / f(0), f(u) = cos^2((u + s) / (1 + s) pi / 2): self-consistent, so jumps are exact."""
    keep = _cosine(torch.arange(steps + 1, dtype=torch.float64) / steps)
    keep = keep / keep[0]
    return Schedule(keep, torch.cat([keep[:1], keep[1:] / keep[:-1]]))


def public_cosine_schedule(steps: int) -> Schedule:
    """The published code's: alpha bar lags alpha by a step and is not divided by f(0). For weights trained that way."""
    f = _cosine(torch.arange(steps + 1, dtype=torch.float64) / steps)
    beta = (1 - f[1:] / f[:-1]).clamp(max=LARGEST_BETA)
    one = torch.ones(1, dtype=torch.float64)
    return Schedule(torch.cat([one, f[:-1]]), torch.cat([one, 1 - beta]))


def _cosine(u: Tensor) -> Tensor:
    return torch.cos((u + COSINE_OFFSET) / (1 + COSINE_OFFSET) * math.pi / 2).square()


def _at(values: Tensor, t: Time, like: Tensor) -> float | Tensor:
    if isinstance(t, int):
        return float(values[t])
    return values.to(like.device)[t].to(like.dtype).view(-1, 1, 1, 1)


def forward_step(x: Tensor, t: Time, schedule: Schedule) -> Tensor:
    """q(x_t | x_{t-1})."""
    return _blur(x, _at(schedule.step, t, x))


def marginal(x0: Tensor, t: Time, schedule: Schedule) -> Tensor:
    """q(x_t | x_0); x_0 may be a distribution."""
    return _blur(x0, schedule.kept(t, x0))


def _blur(x: Tensor, keep: float | Tensor) -> Tensor:
    return keep * x + (1 - keep) / x.shape[-3]


def posterior(x_t: Tensor, x0: Tensor, t: Time, s: Time, schedule: Schedule) -> Tensor:
    """q(x_s | x_t, x_0) of one-hot x_0: two Bayes factors, normalised (DiffOSeg, pi in equation 4, for any s < t)."""
    factors = _blur(x_t, schedule.kept_since(s, t, x_t)) * _blur(x0, schedule.kept(s, x_t))
    return factors / factors.sum(-3, keepdim=True)


def posterior_mixture(x_t: Tensor, p0: Tensor, t: Time, s: Time, schedule: Schedule) -> Tensor:
    """sum_c p0[c] q(x_s | x_t, x_0 = c) (equation 4): the reverse kernel of a model that predicts p0.

    With A the factor of x_t and b = alpha bar_s, the posterior of clean label c has the normaliser Z_c = b A_c + (1 - b)/L,
    so the sum over L x L pairs becomes one over L. At s = 0 it is p0 itself.
    """
    a = _blur(x_t, schedule.kept_since(s, t, x_t))
    b = schedule.kept(s, x_t)
    rest = (1 - b) / x_t.shape[-3]
    weighted = p0 / (b * a + rest)  # p0[c] / Z_c
    return a * (b * weighted + rest * weighted.sum(-3, keepdim=True))


def posterior_kl(x_t: Tensor, x0: Tensor, p0: Tensor, t: Time, s: Time, schedule: Schedule) -> Tensor:
    """KL(q(x_s | x_t, x_0) || p(x_s | x_t)) of each pixel, [..., H, W] (equation 5). A soft x_0 is a mixture of clean labels."""
    target = posterior_mixture(x_t, x0, t, s, schedule).clamp(min=SMALLEST)
    model = posterior_mixture(x_t, p0, t, s, schedule).clamp(min=SMALLEST)
    return (target * (target.log() - model.log())).sum(-3)


def draw(p: Tensor, uniform: Tensor) -> Tensor:
    """One-hot draws of p [..., L, H, W] by its inverse distribution function at uniform [..., 1, H, W] in [0, 1).

    Where two distributions meet the same numbers, their draws differ as rarely as they can (two labels: never more often
    than the probabilities themselves differ), which is what keeps neighbouring slices of a sample alike.
    """
    labels = p.shape[-3]
    passed = (uniform >= p.cumsum(-3).narrow(-3, 0, labels - 1)).sum(-3, keepdim=True)
    index = torch.arange(labels, device=p.device).view(-1, 1, 1)
    return (passed == index).to(p.dtype)


def time_grid(steps: int, visits: int, spacing: float = 1.0) -> list[int]:
    """T = t_0 > t_1 > ... > 0 with `visits` evaluations of the model: t_k = T (1 - (k / visits)^spacing), rounded.

    1: evenly. More: finer near T. What is drawn in one jump is drawn pixel by pixel, so few steps are best spent where a
    whole outline is decided, which is while almost everything is still noise. Raises UnsupportedRequest.
    """
    if not 1 <= visits <= steps:
        raise UnsupportedRequest(f"A sample can take 1 to {steps} steps; got {visits}.")
    times = [steps]
    for k in range(1, visits + 1):
        wanted = round(steps * (1 - (k / visits) ** spacing))
        times.append(max(min(wanted, times[-1] - 1), visits - k))
    return times


def ancestral_sample(
    predict: Callable[[Tensor, int], Tensor],
    schedule: Schedule,
    times: Sequence[int],
    uniform: Callable[[int], Tensor],
    labels: int,
) -> Tensor:
    """Walks `times` (from T down to 0) and returns the last prediction of the clean labels, p0 [N, L, H, W].

    predict(x_t, t) -> p0. uniform(t) -> [N, 1, H, W] in [0, 1): what x_t is drawn with. Between two visited times lies one
    jump with the strided posterior, so any number of steps is a valid chain of the same model.
    """
    if not schedule.consistent and any(t - s > 1 for t, s in pairwise(times)):
        raise UnsupportedRequest(
            "Fewer steps than the schedule has need the consistent cosine schedule, not the public code's."
        )
    u = uniform(times[0])
    p = torch.full((len(u), labels, *u.shape[-2:]), 1 / labels, device=u.device)
    for t, s in pairwise(times):
        x = draw(p, u)
        p0 = predict(x, t)
        if s == 0:
            return p0
        p, u = posterior_mixture(x, p0, t, s, schedule), uniform(s)
    raise UnsupportedRequest(f"The visited times must end at 0; got {list(times)}.")
