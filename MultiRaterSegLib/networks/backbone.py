"""The deterministic U-Net under every probabilistic method: image -> full-resolution features and a bottleneck."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from monai.networks.nets import FlexibleUNet
from torch import Tensor, nn
from torch.nn import functional as F

Adjust: TypeAlias = Callable[[int, Tensor], Tensor]
"""(level, features [B, C, h, w]) -> features: level 0 is the bottleneck, 1, 2, ... what each decoder block gives."""

DECODER_CHANNELS = (256, 128, 64, 32, 16)
"""Of the ResNet's decoder, deepest first (MONAI's and D-Persona's)."""


@dataclass(frozen=True)
class BackboneConfig:
    """The U-Net: "resnet34" with `feature_channels` features (D-Persona, ProSona), or "compact" with `widths`."""

    backbone: Literal["resnet34", "compact"] = "resnet34"
    widths: tuple[int, ...] = (32, 48, 96, 160, 256)
    feature_channels: int = 16
    dropout: float = 0.0


def make_backbone(config: BackboneConfig, channels: int) -> "CompactUNet | ResNetUNet":
    """A U-Net for images of `channels` channels."""
    if config.backbone == "compact":
        return CompactUNet(channels, config.widths, config.dropout)
    return ResNetUNet(channels, config.backbone, config.feature_channels)


def unchanged(_level: int, features: Tensor) -> Tensor:
    """Adjusts nothing."""
    return features


class ConvBlock(nn.Module):
    """Two 3x3 convolutions with group norm and SiLU, and a residual path."""

    def __init__(self, channels_in: int, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels_in, channels, 3, padding=1, bias=False),
            nn.GroupNorm(8, channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.GroupNorm(8, channels),
        )
        self.skip = nn.Identity() if channels_in == channels else nn.Conv2d(channels_in, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(self.layers(x) + self.skip(x))


class CompactUNet(nn.Module):
    """A residual U-Net. widths: channels at 1, 1/2, 1/4, ... resolution; H and W must divide by 2**(len(widths)-1)."""

    def __init__(self, channels_in: int, widths: Sequence[int], dropout: float = 0.0):
        super().__init__()
        self.feature_channels, self.bottleneck_channels = widths[0], widths[-1]
        self.level_channels = tuple(reversed(widths))  # bottleneck first, as Adjust counts
        self.down = nn.ModuleList(ConvBlock(i, o) for i, o in zip([channels_in, *widths[:-1]], widths))
        self.up = nn.ModuleList(ConvBlock(o + i, o) for i, o in zip(widths[1:], widths[:-1]))
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor, adjust: Adjust = unchanged) -> tuple[Tensor, Tensor]:
        """[B, C, H, W] -> features [B, widths[0], H, W], bottleneck [B, widths[-1], h, w]."""
        skips = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else F.avg_pool2d(x, 2))
            skips.append(x)
        x = bottleneck = adjust(0, self.dropout(skips.pop()))
        for level, block in enumerate(reversed(self.up), 1):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = adjust(level, block(torch.cat([skips.pop(), x], 1)))
        return x, bottleneck


class ImageLevels(nn.Module):
    """A U-Net of which the features of the last `levels` levels are wanted, coarse to fine, the last at full resolution."""

    def __init__(self, config: BackboneConfig, channels: int, levels: int):
        super().__init__()
        self.backbone = make_backbone(config, channels)
        self.level_channels = self.backbone.level_channels[-levels:]

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """[B, C, H, W] -> [B, level_channels[0], H / 2**(levels - 1), ...], ..., [B, level_channels[-1], H, W]."""
        found = []

        def keep(_level: int, features: Tensor) -> Tensor:
            found.append(features)
            return features

        self.backbone(image, keep)
        return tuple(found[-len(self.level_channels) :])


class ResNetUNet(nn.Module):
    """MONAI's U-Net with a ResNet encoder (the papers: ResNet-34), its head replaced by `feature_channels` features."""

    def __init__(self, channels_in: int, name: str = "resnet34", feature_channels: int = 16, pretrained: bool = False):
        super().__init__()
        self.net = FlexibleUNet(
            channels_in,
            feature_channels,
            name,
            pretrained=pretrained,
            decoder_channels=DECODER_CHANNELS,
            spatial_dims=2,
        )
        self.feature_channels = feature_channels
        with torch.no_grad():
            self.bottleneck_channels = self.net.eval().encoder(torch.zeros(1, channels_in, 64, 64))[-1].shape[1]
        self.level_channels = (self.bottleneck_channels, *DECODER_CHANNELS)
        self.train()

    def forward(self, x: Tensor, adjust: Adjust = unchanged) -> tuple[Tensor, Tensor]:
        """[B, C, H, W] -> features [B, feature_channels, H, W], bottleneck [B, 512, H/32, W/32]."""
        *skips, x = self.net.encoder(x)
        x = bottleneck = adjust(0, x)
        for level, block in enumerate(self.net.decoder.blocks, 1):
            skip = skips[-level] if level <= self.net.skip_connect else None
            x = adjust(level, block(x, skip))
        return self.net.segmentation_head(x), bottleneck
