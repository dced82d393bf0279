"""Random numbers with an address: the same for every device, batch size and slice order.

A draw is addressed by (seed, lesion, stream, sample, slice). In a volume the slice is left out, so that sample n is one
coherent opinion along the lesion; slices scored as independent images each have their own.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Noise:
    """samples: which sample numbers to draw (length S). images: None = shared by the whole batch, else an id an image."""

    seed: int = 0
    lesion: int = 0
    samples: Sequence[int] = (0,)
    images: Sequence[int] | None = None

    def __post_init__(self):
        if isinstance(self.samples, int):
            object.__setattr__(self, "samples", range(self.samples))

    def normal(self, stream: str, batch: int, shape: Sequence[int]) -> Tensor:
        """Standard normal draws [S, B, *shape] float32 on the CPU; B = `batch`, or 1 where the batch shares them."""
        return torch.from_numpy(self._draw(stream, batch, lambda rng: rng.standard_normal(tuple(shape), np.float32)))

    def spread(self, stream: str, batch: int, dim: int) -> Tensor:
        """Standard normal draws [S, B, dim] like `normal`, spread evenly over the samples: a scrambled Sobol sequence.

        Each draw alone is standard normal; together they cover the distribution better than independent ones, so that
        means over few samples come closer to those over many (quasi-Monte Carlo). Meant for few dimensions.
        """
        points = 1 + max(map(int, self.samples), default=-1)

        def draw(*address: int) -> Tensor:
            seed = int(_seed_sequence(*address).generate_state(1)[0])
            engine = torch.quasirandom.SobolEngine(dim, scramble=True, seed=seed)
            return torch.special.ndtri(engine.draw(points, dtype=torch.float64).clamp(1e-9, 1 - 1e-9)).float()

        name = zlib.crc32(stream.encode())
        sequences = [draw(self.seed, self.lesion, name, int(image)) for image in self._images(batch)]
        return torch.stack(sequences, 1)[list(map(int, self.samples))]

    def uniform(self, stream: str, batch: int, shape: Sequence[int]) -> Tensor:
        """Uniform draws in [0, 1), [S, B, *shape] float32 on the CPU; B as in `normal`."""
        return torch.from_numpy(self._draw(stream, batch, lambda rng: rng.random(tuple(shape), np.float32)))

    def select(self, samples: Sequence[int] | None = None, images: slice | None = None) -> "Noise":
        """The same noise for some of the samples, or for a part of the batch."""
        chosen = self if samples is None else replace(self, samples=samples)
        if images is not None and chosen.images is not None:
            chosen = replace(chosen, images=chosen.images[images])
        return chosen

    def _draw(self, stream: str, batch: int, draw) -> np.ndarray:
        images = self._images(batch)
        name = zlib.crc32(stream.encode())
        return np.stack(
            [
                np.stack([draw(_generator(self.seed, self.lesion, name, int(n), int(image))) for image in images])
                for n in self.samples
            ]
        )

    def _images(self, batch: int) -> Sequence[int]:
        if self.images is None:
            return (-1,)
        if len(self.images) != batch:
            raise ValueError(f"Noise has ids for {len(self.images)} images but the batch holds {batch}.")
        return self.images


def _generator(*address: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(_seed_sequence(*address)))


def _seed_sequence(*address: int) -> np.random.SeedSequence:
    return np.random.SeedSequence([part & 0xFFFFFFFFFFFFFFFF for part in address])
