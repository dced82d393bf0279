"""Gaussian diffusion: schedules, what a network may predict, and DDPM and DDIM as functions over a callable.

y_t = sqrt(a_t) y_0 + sqrt(1 - a_t) noise, where a_t in (0, 1) is the schedule's product of (1 - beta) up to t = 0..T-1.
Sources: Ho et al., Denoising Diffusion Probabilistic Models (2020); Song et al., Denoising Diffusion Implicit Models
(2021); Nichol and Dhariwal (2021) for the cosine schedule; Salimans and Ho (2022) for v.
"""

import math
from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from torch import Tensor

Prediction: TypeAlias = Literal["epsilon", "x0", "v"]
"""What the network's output stands for: the noise, the clean signal, or v = sqrt(a) noise - sqrt(1 - a) clean."""

THRESHOLD = 0.0
"""Between the two values -1 and 1 that `encode_mask` gives; masks of {0, 1} would be cut at 0.5."""


def linear_schedule(steps: int = 1000, first: float = 1e-4, last: float = 0.02) -> Tensor:
    """a_t [steps] float32; beta grows evenly from `first` to `last`."""
    beta = torch.linspace(first, last, steps, dtype=torch.float64)
    return torch.cumprod(1 - beta, 0).float()


def cosine_schedule(steps: int = 1000, offset: float = 0.008, largest: float = 0.999) -> Tensor:
    """a_t [steps] float32, a squared cosine of time; beta is cut at `largest`."""
    time = torch.arange(steps + 1, dtype=torch.float64) / steps
    curve = torch.cos((time + offset) / (1 + offset) * math.pi / 2) ** 2
    return torch.cumprod((curve[1:] / curve[:-1]).clamp(min=1 - largest), 0).float()


SCHEDULES: dict[str, Callable[[int], Tensor]] = {"linear": linear_schedule, "cosine": cosine_schedule}


def encode_mask(mask: Tensor) -> Tensor:
    """{0, 1} -> {-1, 1}, shares between them alike."""
    return 2 * mask - 1


def decode_mask(signal: Tensor) -> Tensor:
    """[-1, 1] -> [0, 1]: p > 0.5 is signal > THRESHOLD."""
    return (signal + 1) / 2


def diffuse(clean: Tensor, noise: Tensor, a: Tensor) -> Tensor:
    """y_t from y_0 and standard normal noise; a broadcasts against them."""
    return a.sqrt() * clean + (1 - a).sqrt() * noise


def to_predict(kind: Prediction, clean: Tensor, noise: Tensor, a: Tensor) -> Tensor:
    """What a network of this kind should put out."""
    if kind == "epsilon":
        return noise
    return clean if kind == "x0" else a.sqrt() * noise - (1 - a).sqrt() * clean


def predicted_clean(kind: Prediction, output: Tensor, noisy: Tensor, a: Tensor) -> Tensor:
    """y_0 that the network's output stands for."""
    if kind == "epsilon":
        return (noisy - (1 - a).sqrt() * output) / a.sqrt()
    return output if kind == "x0" else a.sqrt() * noisy - (1 - a).sqrt() * output


def noise_given(clean: Tensor, noisy: Tensor, a: Tensor) -> Tensor:
    """The noise that lies between y_0 and y_t."""
    return (noisy - a.sqrt() * clean) / (1 - a).sqrt()


def sampling_times(total: int, count: int) -> list[int]:
    """`count` of the times 0..total-1, evenly spaced, latest first. The latest is always total - 1, where the process
    starts from pure noise; from the earliest one leaps to the clean signal. Raises ValueError for a bad count."""
    if not 1 <= count <= total:
        raise ValueError(f"{count} sampling steps of a process of {total}; give 1 to {total}.")
    return [round(total * (count - k) / count) - 1 for k in range(count)]


def ddim_step(clean: Tensor, noisy: Tensor, a: Tensor, before: Tensor, eta: float, fresh: Tensor | float) -> Tensor:
    """From y_t to an earlier y_s, a_s = `before` (1: the clean signal): equations 12 and 16 of DDIM.

    eta 0 is deterministic; eta 1 with neighbouring times is DDPM's posterior step. fresh: standard normal noise.
    """
    deviation = eta * ((1 - before) / (1 - a) * (1 - a / before)).sqrt()
    direction = (1 - before - deviation**2).clamp(min=0).sqrt() * noise_given(clean, noisy, a)
    return before.sqrt() * clean + direction + deviation * fresh


def ddpm_step(clean: Tensor, noisy: Tensor, a: Tensor, before: Tensor, fresh: Tensor | float) -> Tensor:
    """A draw of q(y_{t-1} | y_t, y_0), equation 7 of DDPM with the smaller of its two variances."""
    beta = 1 - a / before
    mean = (before.sqrt() * beta * clean + (1 - beta).sqrt() * (1 - before) * noisy) / (1 - a)
    return mean + ((1 - before) / (1 - a) * beta).sqrt() * fresh


def sample(
    predict: Callable[[Tensor, int], Tensor],
    start: Tensor,
    schedule: Tensor,
    count: int,
    sampler: Literal["ddim", "ddpm"] = "ddim",
    eta: float = 0.0,
    fresh: Callable[[int], Tensor] | None = None,
) -> Tensor:
    """Walks from pure noise `start` to a clean signal in `count` steps.

    predict(noisy, t) -> the clean signal; it is cut to [-1, 1]. fresh(t): standard normal noise of start's shape for the
    step that leaves t, asked for only where noise is added (ddpm, or eta > 0). ddpm takes steps of the thinned process.
    """
    noisy, a_of = start, schedule.to(start)
    *times, last = sampling_times(len(schedule), count)
    for t, earlier in zip(times, [*times[1:], last]):
        a, before = a_of[t], a_of[earlier]
        clean = predict(noisy, t).clamp(-1, 1)
        added = fresh(t).to(start) if sampler == "ddpm" or eta > 0 else 0.0
        if sampler == "ddpm":
            noisy = ddpm_step(clean, noisy, a, before, added)
        else:
            noisy = ddim_step(clean, noisy, a, before, eta, added)
    return predict(noisy, last).clamp(-1, 1)
