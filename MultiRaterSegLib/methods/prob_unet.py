"""Prob. U-Net: a probabilistic U-Net for segmentation of ambiguous images (Kohl et al. 2018). The common baseline.

A U-Net gives features, the prior N(mu(x), sigma(x)) of a latent code z sits on its bottleneck, a posterior network sees
one reader's mask as well, and a small decoder of 1x1 convolutions turns (features, z) into a mask. Drawing z from the
prior draws a plausible reader. It has no reader styles.

Where we differ and why:
* The evidence lower bound is per image: cross-entropy summed over pixels, plus beta KL. We divide all of it by the number
  of pixels: the same optimum, with a scale that does not depend on the size of the image.
* The prior is a head on the U-Net's own bottleneck, not a second encoder of the image (fewer parameters, the same for all
  our methods); its log sigma is bounded. Normalisation is by groups.
* Samples of the population are a low-discrepancy sequence (Noise.spread).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..losses import cross_entropy
from ..method import Batch, Expert, Method, Stage, Style
from ..networks.latent import probabilities
from ..networks.latent_unet import Encoded, LatentUNet, LatentUNetConfig
from ..noise import Noise


@dataclass(frozen=True)
class Config(LatentUNetConfig):
    """kl_weight: beta of Kohl et al., equation 4 (1: the plain bound)."""

    kl_weight: float = 1.0


class ProbUNet(Method):
    name: ClassVar[str] = "prob_unet"
    title: ClassVar[str] = "Prob. U-Net"
    Config: ClassVar[type] = Config

    def __init__(self, config: Config, channels: int, labels: Sequence[str], _experts: Sequence[Expert] = ()):
        super().__init__()
        self.config, self.channels = config, channels
        self.labels, self.experts = tuple(labels), ()
        self.unet = LatentUNet(config, channels, len(labels))

    def encode(self, image: Tensor) -> Encoded:
        return self.unet(image)

    def sample(self, encoded: Encoded, noise: Noise, style: Style | None = None) -> Tensor:
        z = encoded.prior.place(noise.spread("latent", *encoded.prior.mean.shape))  # section 2, equation 1
        return probabilities(self.unet.decode(encoded, z))

    def stages(self) -> tuple[Stage, ...]:
        return (Stage("latent", self.latent_loss, (self.unet,)),)

    def latent_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Equation 4 divided by the number of pixels: E_q [cross-entropy] + beta KL(q(z | x, y) || p(z | x))."""
        encoded = self.unet(batch.image)
        annotation = batch.random_rater()
        posterior = self.unet.posterior(batch.image, annotation)
        z = posterior.place(torch.randn_like(posterior.mean))[None]
        logits = self.unet.decode(encoded, z).squeeze(2)  # [1, B, H, W]
        terms = {
            "cross_entropy": cross_entropy(logits, annotation.movedim(1, 0)),
            "kl": posterior.kl(encoded.prior).mean(),
        }
        pixels = annotation[0].numel()
        return {"loss": terms["cross_entropy"] + self.config.kl_weight * terms["kl"] / pixels, **terms}
