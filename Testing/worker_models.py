"""Small methods that show what a worker does with work: bright balls, slow, greedy and faulty ones.

`command(folder)` runs the worker with these methods and the models in a folder, beside the shipped ones.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from MultiRaterSegLib.checkpoint import save_checkpoint
from MultiRaterSegLib.frame import Frame
from MultiRaterSegLib.method import Expert, Method
from MultiRaterSegLib.methods import METHODS

EXPERTS = tuple(Expert(name, name.title()) for name in ("conservative", "inclusive"))


class Brightness(Method):
    """Readers who outline what is brighter than a level of their own: enough to know where the outline must lie."""

    name, title = "brightness", "Brightness"

    @dataclass(frozen=True)
    class Config:
        pass

    def __init__(self, config, channels, labels, experts):
        super().__init__()
        self.config, self.channels, self.labels, self.experts = config, channels, tuple(labels), tuple(experts)
        self.layer = nn.Identity()
        self.register_buffer("unused", torch.zeros(1))

    def encode(self, image):
        return image

    def sample(self, encoded, noise, style=None):
        own = 0.5 + 0.1 * noise.uniform("level", len(encoded), (1, 1))
        inside = torch.sigmoid(40 * (encoded[None, :, 0] - (own if style is None else style)))
        return torch.stack([1 - inside, inside], 2).expand(len(noise.samples), -1, -1, -1, -1)

    def expert_style(self, encoded, expert):
        return torch.full((1, 1, 1, 1), (0.8, 0.2)[expert])

    def stages(self):
        return ()


class Laborious(Brightness):
    """As a diffusion model on a CPU: one batch takes hours unless it is stopped between two layers."""

    name, title = "laborious", "Laborious"

    def sample(self, encoded, noise, style=None):
        work = torch.rand(200, 200)
        for _ in range(10_000_000):
            work = self.layer(work @ work).clamp(0, 1)
        return super().sample(encoded, noise, style)


class Greedy(Brightness):
    """Runs out of memory with more than three slices or one sample at once."""

    name, title = "greedy", "Greedy"

    def encode(self, image):
        if len(image) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return image

    def sample(self, encoded, noise, style=None):
        if len(noise.samples) > 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")
        return super().sample(encoded, noise, style)


class Faulty(Brightness):
    """Has a bug, and prints."""

    name, title = "faulty", "Faulty"

    def encode(self, image):
        print("a library prints to standard output")
        return image

    def sample(self, encoded, noise, style=None):
        raise IndexError("index 7 is out of range")


KINDS = (Brightness, Laborious, Greedy, Faulty)
METHODS.update({kind.name: kind for kind in KINDS})  # importing this module makes their checkpoints loadable


def make_method(kind: type[Brightness]) -> Brightness:
    return kind(kind.Config(), 1, ("background", "nodule"), EXPERTS)


def save_models(folder: Path) -> Path:
    """One file a method, named after it."""
    for kind in KINDS:
        facts = {"modality": "CT", "trained_for": "chest CT"}
        save_checkpoint(folder / f"{kind.name}.safetensors", make_method(kind), Frame(), facts)
    return folder


def command(folder: Path) -> list[str]:
    here = Path(__file__).resolve().parent
    code = f"import sys; sys.path[:0] = {[str(here.parent), str(here)]}; import worker_models; worker_models.run()"
    return [sys.executable, "-c", code, str(folder)]


def run() -> None:
    """The worker's process: see command."""
    from MultiRaterSegLib.worker.__main__ import main

    os.environ["MULTIRATERSEG_MODELS"] = sys.argv[1]
    main(["--device", "cpu"])
