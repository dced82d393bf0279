"""The probabilistic part of a Prob. U-Net: diagonal Gaussians over z, and the decoder that combines z with features.

Source: Kohl et al., A Probabilistic U-Net for Segmentation of Ambiguous Images (2018), sections 2 and 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LOG_STD_RANGE = 1.5
"""The decoder can undo any scale of z, so nothing else keeps the prior's spread from running away."""


@dataclass(frozen=True)
class DiagonalGaussian:
    """mean, log_std: [B, D]."""

    mean: Tensor
    log_std: Tensor

    def place(self, noise: Tensor) -> Tensor:
        """Standard normal noise [..., B or 1, D] -> draws of this Gaussian [..., B, D]."""
        noise = noise.to(self.mean)
        return self.mean + self.log_std.exp() * noise

    def kl(self, other: "DiagonalGaussian") -> Tensor:
        """KL(self || other) [B], summed over D."""
        ratio = 2 * (self.log_std - other.log_std)
        distance = (self.mean - other.mean).square() * (-2 * other.log_std).exp()
        return 0.5 * (ratio.exp() + distance - 1 - ratio).sum(-1)


class GaussianHead(nn.Module):
    """Feature map [B, C, h, w] -> DiagonalGaussian over D: global average, then a 1x1 convolution (two heads in one)."""

    def __init__(self, channels: int, latent_dim: int):
        super().__init__()
        self.linear = nn.Linear(channels, 2 * latent_dim)
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor) -> DiagonalGaussian:
        mean, log_std = self.linear(features.float().mean((2, 3))).float().chunk(2, -1)
        return DiagonalGaussian(mean, LOG_STD_RANGE * torch.tanh(log_std / LOG_STD_RANGE))


class PosteriorNet(nn.Module):
    """(image, annotation) -> DiagonalGaussian: a small convolutional encoder with its own Gaussian head."""

    def __init__(self, channels_in: int, widths: Sequence[int], latent_dim: int):
        super().__init__()
        layers = []
        for level, (i, o) in enumerate(zip([channels_in, *widths[:-1]], widths)):
            layers += [nn.AvgPool2d(2)] if level else []
            layers += [nn.Conv2d(i, o, 3, padding=1), nn.GroupNorm(8, o), nn.SiLU()]
            layers += [nn.Conv2d(o, o, 3, padding=1), nn.GroupNorm(8, o), nn.SiLU()]
        self.layers = nn.Sequential(*layers)
        self.head = GaussianHead(widths[-1], latent_dim)

    def forward(self, image: Tensor, annotation: Tensor) -> DiagonalGaussian:
        """image [B, C, H, W], annotation [B, A, H, W] in {0, 1}."""
        return self.head(self.layers(torch.cat([image, annotation], 1)))


class LatentDecoder(nn.Module):
    """Features [B, F, H, W] and z [S, B, D] -> logits [S, B, L-1, H, W] of the labels after background (its logit is 0).

    1x1 convolutions on [features, z tiled over the plane] (Kohl et al., Fig. 1; D-Persona's Fcomb). The first layer is
    linear in both, so its two halves are computed apart: the image's part once for all samples, and no tiling. Channels
    lie last, where a 1x1 convolution is a matrix product (several times faster on CPUs).
    """

    def __init__(self, feature_channels: int, latent_dim: int, hidden: int, layers: int, labels: int):
        super().__init__()
        self.from_features = nn.Linear(feature_channels, hidden)
        self.from_latent = nn.Linear(latent_dim, hidden, bias=False)
        self.hidden = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers - 1))
        self.out = nn.Linear(hidden, labels - 1)
        nn.init.constant_(self.out.bias, -3.0)  # lesions are small: start from "nothing here"

    def forward(self, features: Tensor, z: Tensor) -> Tensor:
        from_image = self.from_features(features.permute(0, 2, 3, 1))  # [B, H, W, hidden]
        x = F.relu(from_image + self.from_latent(z)[:, :, None, None], inplace=True)  # [S, B, H, W, hidden]
        for layer in self.hidden:
            x = F.relu(layer(x), inplace=True)
        return self.out(x).float().movedim(-1, 2)


def navigate(query: Tensor, bank: Tensor, scaled: bool = True) -> Tensor:
    """query [S or 1, B or 1, D], bank [S or 1, K, B, D] -> z [S, B, D] = sum_k softmax_k(query . z_k) z_k.

    Scores are divided by sqrt(D) when `scaled` (ProSona section 2.2); D-Persona does not.
    """
    scores = (query[:, None] * bank).sum(-1, keepdim=True)
    if scaled:
        scores = scores / bank.shape[-1] ** 0.5
    return (scores.softmax(1) * bank).sum(1)


def probabilities(logits: Tensor) -> Tensor:
    """Logits [..., L-1, H, W] of the labels after background -> probabilities [..., L, H, W]."""
    return F.pad(logits, (0, 0, 0, 0, 1, 0)).softmax(-3)
