"""The deterministic U-Net under every probabilistic method: image -> full-resolution features and a bottleneck."""

from collections.abc import Sequence

import torch
from monai.networks.nets import FlexibleUNet
from torch import Tensor, nn
from torch.nn import functional as F


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
        self.down = nn.ModuleList(ConvBlock(i, o) for i, o in zip([channels_in, *widths[:-1]], widths))
        self.up = nn.ModuleList(ConvBlock(o + i, o) for i, o in zip(widths[1:], widths[:-1]))
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[B, C, H, W] -> features [B, widths[0], H, W], bottleneck [B, widths[-1], h, w]."""
        skips = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else F.avg_pool2d(x, 2))
            skips.append(x)
        x = bottleneck = self.dropout(skips.pop())
        for block in reversed(self.up):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = block(torch.cat([skips.pop(), x], 1))
        return x, bottleneck


class ResNetUNet(nn.Module):
    """MONAI's U-Net with a ResNet encoder (the papers: ResNet-34), its head replaced by `feature_channels` features."""

    def __init__(self, channels_in: int, name: str = "resnet34", feature_channels: int = 16, pretrained: bool = False):
        super().__init__()
        self.net = FlexibleUNet(channels_in, feature_channels, name, pretrained=pretrained, spatial_dims=2)
        self.feature_channels = feature_channels
        with torch.no_grad():
            self.bottleneck_channels = self.net.eval().encoder(torch.zeros(1, channels_in, 64, 64))[-1].shape[1]
        self.train()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[B, C, H, W] -> features [B, feature_channels, H, W], bottleneck [B, 512, H/32, W/32]."""
        pyramid = self.net.encoder(x)
        return self.net.segmentation_head(self.net.decoder(pyramid, self.net.skip_connect)), pyramid[-1]
