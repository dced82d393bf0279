"""An analytic method whose outlines can be worked out by hand, and a scan for it, to test what follows the model."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from MultiRaterSegLib.checkpoint import save_checkpoint
from MultiRaterSegLib.frame import Frame
from MultiRaterSegLib.geometry import Grid, Volume
from MultiRaterSegLib.method import Expert, Method
from MultiRaterSegLib.methods import METHODS
from MultiRaterSegLib.text import WordsEncoder

FRAME = Frame(size=48, spacing_mm=1.0, percentiles=(0.5, 99.9))
EXPERTS = tuple(
    Expert(name.split(" ")[0].lower(), name)
    for name in ("Conservative (smallest)", "Restrained", "Generous", "Inclusive (largest)")
)


class Threshold(Method):
    """Readers outline what is brighter than their level; a generous one's is lower. Style: how generous, -1..1."""

    name = "threshold"
    title = "Threshold"
    follows_prompts = True

    @dataclass(frozen=True)
    class Config:
        spread: float = 0.04
        per_extent: float = 0.2

    def __init__(self, config, channels, labels, experts):
        super().__init__()
        self.config, self.channels, self.labels, self.experts = config, channels, tuple(labels), tuple(experts)
        self.register_buffer("unused", torch.zeros(1))

    def encode(self, image):
        return image

    def sample(self, encoded, noise, style=None):
        level = 0.5 + self.config.spread * noise.normal("level", len(encoded), (1, 1, 1))
        if style is not None:
            level = level - self.config.per_extent * style[..., None, None]
        inside = ((encoded - level) * 40).sigmoid()
        return torch.cat([1 - inside, inside], 2)

    def expert_style(self, encoded, expert):
        return torch.linspace(-1, 1, len(self.experts))[expert].view(1, 1, 1)

    def prompt_style(self, encoded, prompt):
        return torch.tensor(self.understand(prompt).slots.outline_extent or 0.0).view(1, 1, 1)

    def understand(self, prompt):
        return WordsEncoder().understand(prompt)

    def stages(self):
        return ()


METHODS.setdefault(Threshold.name, Threshold)  # importing this module makes its checkpoints loadable


def save_threshold_model(path: Path, experts=EXPERTS, **info) -> Path:
    method = Threshold(Threshold.Config(), 1, ("background", "nodule"), experts)
    return save_checkpoint(path, method, FRAME, {"modality": "CT", "trained_for": "bright blobs", **info})


def blob(affine=None, shape=(24, 60, 64), center=None, modality="CT", name="blob") -> Volume:
    """A soft bright ellipsoid (half-axes 10, 7, 9 mm along R, A, S) in darkness, in any grid, with a little noise."""
    affine = np.diag([-1.0, -1.0, 2.0, 1.0]) if affine is None else affine
    grid = Grid(shape, affine)
    center = grid.center if center is None else np.asarray(center, float)
    indices = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), -1)[..., ::-1]
    radius = np.linalg.norm((grid.to_ras(indices) - center) / (10, 7, 9), axis=-1)
    noise = np.random.default_rng(0).normal(0, 8, shape)
    voxels = 900 / (1 + np.exp((radius - 1) / 0.12)) - 850 + noise
    return Volume(voxels[None].astype(np.int16), grid, modality, name)
