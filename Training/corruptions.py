"""What a worse acquisition does to a slice: noise, blur and gamma, at the strengths of the Harmonizer paper's table 5.

The image is brought to 0..1 by its own darkest and brightest pixel (each channel by itself; prepared LIDC crops are
stretched so already), corrupted there in native pixels, and cut to 0..1. The model's own normalisation follows, as in
use, so a change that is linear in intensity changes nothing.
"""

import zlib
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from .data.batches import gaussian_blur

Corruption = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""([C, H, W] in 0..1, random numbers) -> [C, H, W]."""


def add_noise(image: np.ndarray, rng: np.random.Generator, sigma: float) -> np.ndarray:
    return image + sigma * rng.standard_normal(image.shape, np.float32)


def blur(image: np.ndarray, _rng: np.random.Generator, sigma: float) -> np.ndarray:
    """sigma: native pixels."""
    return gaussian_blur(torch.from_numpy(image)[None], sigma)[0].numpy()


def gamma(image: np.ndarray, _rng: np.random.Generator, exponent: float) -> np.ndarray:
    return image**exponent


KINDS: dict[str, dict[str, Corruption]] = {
    "noise": {f"noise {s:g}": partial(add_noise, sigma=s) for s in (0.1, 0.15, 0.25)},
    "blur": {f"blur {s:g}": partial(blur, sigma=s) for s in (1.0, 1.5, 1.75)},
    "gamma": {f"gamma {g:g}": partial(gamma, exponent=g) for g in (0.75, 1.5, 1.75)},
}


def corrupt(image: np.ndarray, corruption: Corruption, key: str) -> np.ndarray:
    """float32 [C, H, W] in any unit -> float32 in 0..1. key: names the slice; its noise is the same for every model."""
    image = image.astype(np.float32)
    low, high = (f(image, axis=(1, 2), keepdims=True) for f in (np.min, np.max))
    unit = (image - low) / np.where(high > low, high - low, 1)
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    return np.clip(corruption(unit, rng), 0, 1).astype(np.float32)
