"""U-Net with a head per reader style: the plain baseline that is cheap and hard to beat.

One deterministic U-Net; each expert's logits are a 1x1 convolution of its features; every head is trained on that
expert's masks, with Dice loss and cross-entropy. No latent code, so nothing random is left once a style is chosen.

What we chose:
* The population is the heads themselves: sample n draws one of them, spread evenly (a Sobol sequence cut into as many
  equal parts as there are heads), so that the readers' spread is represented by their styles.
* A sample of one style ignores the noise: all its samples are the same mask.
* A style is the weight of each expert's logits, one-hot for an expert. A mixture of heads was never trained, but logits
  may be mixed: interpolation moves the outline from one style's to the other's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..losses import segmentation_loss
from ..method import Batch, Expert, Method, Stage, Style
from ..networks.backbone import BackboneConfig, make_backbone
from ..networks.latent import probabilities
from ..noise import Noise

EMPTY_LOGIT = -3.0
"""Lesions are small: a head starts from "nothing here"."""


@dataclass(frozen=True)
class Config(BackboneConfig):
    """ranked_by: only the experts of this kind are learned ("slice_area": the papers' A1..A4); "" = all there are."""

    ranked_by: str = ""
    cross_entropy_weight: float = 1.0


class UNetHeads(Method):
    name: ClassVar[str] = "unet_heads"
    title: ClassVar[str] = "U-Net, a head per style"
    Config: ClassVar[type] = Config

    def __init__(self, config: Config, channels: int, labels: Sequence[str], experts: Sequence[Expert]):
        super().__init__()
        self.config, self.channels, self.labels = config, channels, tuple(labels)
        self.experts = tuple(e for e in experts if config.ranked_by in ("", e.ranked_by))
        self.networks = self.make_networks()

    def make_networks(self) -> nn.ModuleList:
        """Networks whose outputs, one after the other, are all experts' logits."""
        return nn.ModuleList([StyledUNet(self.config, self.channels, len(self.labels), len(self.experts))])

    def encode(self, image: Tensor) -> Tensor:
        """[B, C, H, W] -> every expert's logits [B, E, L-1, H, W]."""
        return torch.cat([network(image) for network in self.networks], 1)

    def sample(self, encoded: Tensor, noise: Noise, style: Style | None = None) -> Tensor:
        if style is None:
            style = self.draw_experts(noise, len(encoded)).to(encoded)
        logits = torch.einsum("sbe,belhw->sblhw", style.expand(-1, len(encoded), -1), encoded)
        return probabilities(logits).expand(len(noise.samples), -1, -1, -1, -1)

    def draw_experts(self, noise: Noise, batch: int) -> Style:
        """[S, B or 1, E], one-hot: which expert each sample is."""
        share = torch.special.ndtr(noise.spread("expert", batch, 1)[..., 0])  # uniform in [0, 1]
        count = len(self.experts)
        return F.one_hot((share * count).long().clamp(max=count - 1), count).float()

    def expert_style(self, encoded: Tensor | None, expert: int) -> Style:
        """[1, 1, E], the weight of each expert's logits."""
        device = next(self.parameters()).device
        return F.one_hot(torch.tensor(expert, device=device), len(self.experts)).float()[None, None]

    def stages(self) -> tuple[Stage, ...]:
        return (Stage("styles", self.style_loss, (self.networks,), "experts"),)

    def style_loss(self, batch: Batch) -> dict[str, Tensor]:
        """The mean over experts of Dice loss + cross-entropy with the mask of that expert."""
        targets = torch.stack([batch.expert_mask(expert.name) for expert in self.experts], 1)  # [B, E, H, W]
        return {
            "loss": segmentation_loss(self.encode(batch.image).squeeze(2), targets, self.config.cross_entropy_weight)
        }


class StyledUNet(nn.Module):
    """[B, C, H, W] -> logits [B, styles, L-1, H, W]."""

    def __init__(self, config: BackboneConfig, channels: int, labels: int, styles: int):
        super().__init__()
        self.backbone = make_backbone(config, channels)
        self.heads = nn.Conv2d(self.backbone.feature_channels, styles * (labels - 1), 1)
        nn.init.constant_(self.heads.bias, EMPTY_LOGIT)
        self.styles = styles

    def forward(self, image: Tensor) -> Tensor:
        features, _ = self.backbone(image)
        return self.heads(features).float().unflatten(1, (self.styles, -1))
