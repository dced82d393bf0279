"""The probabilistic U-Net (Kohl et al. 2018) as one block: what Prob. U-Net, D-Persona and the Harmonizer share.

p(y | x) = integral of p(y | x, z) p(z | x) dz: a U-Net gives features and, at its bottleneck, the prior of a latent code z;
a posterior network sees annotations too (training only); a small decoder turns (features, z) into a mask.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .backbone import Adjust, BackboneConfig, make_backbone, unchanged
from .latent import DiagonalGaussian, GaussianHead, LatentDecoder, PosteriorNet


@dataclass(frozen=True)
class LatentUNetConfig(BackboneConfig):
    """Sizes of the probabilistic U-Net; the defaults are D-Persona's (posterior, D = 6, three hidden 1x1 layers)."""

    posterior_widths: tuple[int, ...] = (16, 32, 64, 128, 256)
    latent_dim: int = 6
    decoder_hidden: int = 16
    decoder_layers: int = 3


@dataclass(frozen=True)
class Encoded:
    """features [B, F, H, W] and the prior over z, [B, D]: all that sampling needs of a slice."""

    features: Tensor
    prior: DiagonalGaussian

    def prior_samples(self, count: int) -> Tensor:
        """[count, B, D] by torch's random numbers, for training."""
        return self.prior.place(torch.randn(count, *self.prior.mean.shape, device=self.prior.mean.device))


class LatentUNet(nn.Module):
    """annotations: how many masks the posterior sees at once."""

    def __init__(self, config: LatentUNetConfig, channels: int, labels: int, annotations: int = 1):
        super().__init__()
        c = config
        self.backbone = make_backbone(c, channels)
        self.prior = GaussianHead(self.backbone.bottleneck_channels, c.latent_dim)
        self.posterior = PosteriorNet(channels + annotations, c.posterior_widths, c.latent_dim)
        features = self.backbone.feature_channels
        self.decoder = LatentDecoder(features, c.latent_dim, c.decoder_hidden, c.decoder_layers, labels)

    def forward(self, image: Tensor, adjust: Adjust = unchanged) -> Encoded:
        """[B, C, H, W] -> features and prior; `adjust` may change the bottleneck and every decoder level."""
        features, bottleneck = self.backbone(image, adjust)
        return Encoded(features, self.prior(bottleneck))

    def decode(self, encoded: Encoded, z: Tensor) -> Tensor:
        """z [S, B, D] -> logits [S, B, L-1, H, W] of the labels after background."""
        return self.decoder(encoded.features, z)
