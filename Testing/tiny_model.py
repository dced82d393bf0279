"""Small models of every method, with random weights, for tests of what all methods promise."""

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from MultiRaterSegLib.checkpoint import save_checkpoint
from MultiRaterSegLib.errors import RecipeError
from MultiRaterSegLib.frame import Frame
from MultiRaterSegLib.method import Batch, Expert, Method, Stage
from MultiRaterSegLib.methods import METHODS
from MultiRaterSegLib.networks.expert_prompt import PromptSize
from Training.data.lidc_slices import EXPERTS

METHOD_NAMES = [name for name, kind in METHODS.items() if kind.__module__.startswith("MultiRaterSegLib.")]
"""Every method there is; what other tests add to METHODS is left out."""

RATERS = tuple(Expert(name, f"Radiologist {name.upper()}", "rater") for name in ("ada", "ben", "cleo"))
"""Experts that are persons, as where the same readers outlined all images."""

TINY_UNET = {"backbone": "compact", "widths": (8, 16)}
TINY_LATENT_UNET = {**TINY_UNET, "posterior_widths": (8, 16)}
TINY_CONFIG = {
    "harmonizer": {**TINY_LATENT_UNET, "token_dim": 8, "prompt_grid": 4, "bank_size": 20, "bank_size_inference": 20},
    "diffoseg": {
        **TINY_UNET,
        "widths": (8, 8, 16, 16),
        "network": "features",
        "denoiser_widths": (4, 8, 8, 8),
        "time_steps": 20,
        "sampling_steps": 3,
        "loss": "cross_entropy",
        "prompt": PromptSize(width=4, grid=4, attention_blocks=1),
    },
    "dpersona": {**TINY_LATENT_UNET, "query_widths": (8, 8), "bank_size": 20, "bank_size_inference": 20},
    "ambiguous_text_diff": {
        **TINY_UNET,
        "network": "on_features",
        "denoiser_widths": (8,),
        "text_encoder": "words",
        "token_dim": 8,
        "text_tokens": 3,
        "diffusion_steps": 20,
        "sampling_steps": 3,
        "latent_widths": (8, 8),
        "prompt_share": 0.3,
        "expert_share": 0.3,
    },
    "diff_dpo": {"beta": 100.0},
    "prob_unet": TINY_LATENT_UNET,
    "unet_heads": TINY_UNET,
    "unet_single": TINY_UNET,
    "prosona": {
        "backbone": "compact",
        "widths": (8, 16),
        "posterior_widths": (8, 16),
        "text_encoder": "words",
        "bank_size_inference": 20,
        "prompts_per_step": 2,
        "personalise_trains": "all",
        "latent_weight": 1.0,
        "energy_weight": 1.0,
        "population_samples": 3,
    },
}
TINY_CONFIG["diff_dpo"]["aligned"] = TINY_CONFIG["ambiguous_text_diff"]
"""Config values that make a method small; a method without an entry is built with its defaults."""

FRAME = Frame(size=32, spacing_mm=2.0)


def tiny_method(name: str = "prosona", seed: int = 0, experts: Sequence[Expert] = EXPERTS, channels: int = 1) -> Method:
    """The method with random weights, ready for use (eval mode, experts known). Raises RecipeError for experts that it
    cannot learn."""
    torch.manual_seed(seed)
    kind = METHODS[name]
    method = kind(kind.Config(**TINY_CONFIG.get(name, {})), channels, ("background", "nodule"), experts)
    batch = tiny_batch(experts=experts)
    batch = replace(batch, image=batch.image.expand(-1, channels, -1, -1))
    method.stages()[-1].loss(batch)  # fills what training computes once, such as the experts' embeddings
    return method.eval()


def share_of_loss_left(stage: Stage, batch: Batch, steps: int, learning_rate: float) -> float:
    """Trains a stage on one batch; the sum of its last five losses over that of its first five."""
    optimizer = torch.optim.Adam(stage.parameters(), learning_rate)
    losses = []
    for step in range(steps):
        torch.manual_seed(step)
        loss = stage.loss(batch)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return sum(losses[-5:]) / sum(losses[:5])


def tiny_batch(size: int = 32, images: int = 3, seed: int = 0, experts: Sequence[Expert] = EXPERTS) -> Batch:
    """Bright discs that four readers draw tighter or wider, as training would deliver them; the second reader's is preferred
    to the fourth's."""
    generator = torch.Generator().manual_seed(seed)
    yy, xx = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    center = size / 2 + torch.randn(images, 2, generator=generator)
    distance = ((yy - center[:, 0, None, None]) ** 2 + (xx - center[:, 1, None, None]) ** 2).sqrt()
    image = (distance < 6).float() + 0.1 * torch.randn(images, size, size, generator=generator)
    masks = torch.stack([(distance < radius).float() for radius in (4, 5, 6, 7)], 1)
    targets = {expert.name: torch.full((images,), rank % 4) for rank, expert in enumerate(experts)}
    preferred = masks[:, [1, 3]]
    return Batch(image[:, None], masks, targets, torch.arange(images), preferred=preferred)


def save_tiny_model(
    path: Path, name: str = "prosona", experts: Sequence[Expert] = EXPERTS, channels: int = 1, **info
) -> Path:
    """A checkpoint file of a tiny method, as training would write it."""
    facts = {"modality": "CT", "trained_for": "single lung nodules in chest CT", **info}
    return save_checkpoint(path, tiny_method(name, experts=experts, channels=channels), FRAME, facts)


def save_every_method(folder: Path) -> Path:
    """Models `tiny_NAME` of every method, and `named_NAME` of those that can learn persons."""
    for name in METHOD_NAMES:
        save_tiny_model(folder / f"tiny_{name}.safetensors", name)
        with contextlib.suppress(RecipeError):
            save_tiny_model(folder / f"named_{name}.safetensors", name, RATERS)
    return folder


def worker_command(folder: Path) -> list[str]:
    """Runs the worker with the models of a folder, beside the shipped ones."""
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); os.environ['MULTIRATERSEG_MODELS'] = sys.argv[2]; "
        "from MultiRaterSegLib.worker.__main__ import main; main(['--device', 'cpu'])"
    )
    return [sys.executable, "-c", code, str(Path(__file__).resolve().parents[1]), str(folder)]
