"""Models whose quality is known beforehand, on slices whose image is the number of readers who marked each pixel (see
prepared_slices.write_discs)."""

import numpy as np
import torch
from prepared_slices import SIZE, SPACING_MM
from torch import nn

from MultiRaterSegLib.frame import Frame
from MultiRaterSegLib.method import Expert, Method

FRAME = Frame(size=SIZE, spacing_mm=float(np.float32(SPACING_MM)), percentiles=(0.0, 100.0))  # the data's own grid
LEVELS = torch.tensor([0.85, 0.6, 0.4, 0.15])  # between the five grey levels that 0..4 readers give: A1 .. A4


class Planted(Method):
    """kind "perfect": a sample is a reader, drawn at random, and an expert is the reader of its rank. "overconfident":
    every sample and expert is the majority, at probability 1. "empty": nothing, ever. "blurred": half a probability on
    all that anybody marked. `experts`: names of those it has."""

    name, title = "planted", "Planted"

    def __init__(self, kind: str, experts: tuple[str, ...] = ("A1", "A2", "A3", "A4")):
        super().__init__()
        self.kind, self.config, self.channels, self.labels = kind, None, 1, ("background", "nodule")
        self.experts = tuple(Expert(name, name, "slice_area") for name in experts)
        self.weights = nn.Parameter(torch.zeros(3))

    def encode(self, image):
        return image[:, 0]

    def sample(self, encoded, noise, style=None):
        shape = (len(noise.samples), len(encoded))
        drawn = LEVELS[(noise.uniform("reader", len(encoded), ()) * 4).long()] if style is None else style.expand(shape)
        lesion = {
            "perfect": lambda: (encoded[None] > drawn[:, :, None, None]).float(),
            "overconfident": lambda: (encoded[None] > 0.5).float().expand(*shape, *encoded.shape[1:]),
            "empty": lambda: torch.zeros(*shape, *encoded.shape[1:]),
            "blurred": lambda: 0.5 * (encoded[None] > 0.1).float().expand(*shape, *encoded.shape[1:]),
        }[self.kind]()
        return torch.stack([1 - lesion, lesion], 2)

    def expert_style(self, encoded, expert):
        return LEVELS[int(self.experts[expert].name[1]) - 1].view(1, 1)

    def stages(self):
        return ()
