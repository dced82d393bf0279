"""Small models of every method, with random weights, for tests of what all methods promise."""

from pathlib import Path

import torch

from MultiRaterSegLib.checkpoint import save_checkpoint
from MultiRaterSegLib.frame import Frame
from MultiRaterSegLib.method import Batch, Method, Stage
from MultiRaterSegLib.methods import METHODS
from Training.data.lidc_slices import EXPERTS

TINY_UNET = {"backbone": "compact", "widths": (8, 16)}
TINY_LATENT_UNET = {**TINY_UNET, "posterior_widths": (8, 16)}
TINY_CONFIG = {
    "harmonizer": {**TINY_LATENT_UNET, "token_dim": 8, "prompt_grid": 4, "bank_size": 20, "bank_size_inference": 20},
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


def tiny_method(name: str = "prosona", seed: int = 0) -> Method:
    """The method with random weights, ready for use (eval mode, experts known)."""
    torch.manual_seed(seed)
    kind = METHODS[name]
    method = kind(kind.Config(**TINY_CONFIG.get(name, {})), 1, ("background", "nodule"), EXPERTS)
    method.stages()[-1].loss(tiny_batch())  # fills what training computes once, such as the experts' embeddings
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


def tiny_batch(size: int = 32, images: int = 3, seed: int = 0) -> Batch:
    """Bright discs that four readers draw tighter or wider, as training would deliver them; the second reader's is preferred
    to the fourth's."""
    generator = torch.Generator().manual_seed(seed)
    yy, xx = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    center = size / 2 + torch.randn(images, 2, generator=generator)
    distance = ((yy - center[:, 0, None, None]) ** 2 + (xx - center[:, 1, None, None]) ** 2).sqrt()
    image = (distance < 6).float() + 0.1 * torch.randn(images, size, size, generator=generator)
    masks = torch.stack([(distance < radius).float() for radius in (4, 5, 6, 7)], 1)
    targets = {expert.name: torch.full((images,), rank % 4) for rank, expert in enumerate(EXPERTS)}
    preferred = masks[:, [1, 3]]
    return Batch(image[:, None], masks, targets, torch.arange(images), preferred=preferred)


def save_tiny_model(path: Path, name: str = "prosona", **info) -> Path:
    """A checkpoint file of a tiny method, as training would write it."""
    facts = {"modality": "CT", "trained_for": "single lung nodules in chest CT", **info}
    return save_checkpoint(path, tiny_method(name), FRAME, facts)
