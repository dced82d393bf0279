"""Networks of text-guided Gaussian diffusion: they take noise off a mask, given the image, a time and text tokens; two sizes
with one interface. (Those of categorical diffusion, with experts in place of text, are in denoiser.py.)

prepared = denoiser.prepare(features)            # once for all steps and samples of an image
output = denoiser(noisy, t, prepared, tokens)    # [N, 1, H, W], t [N], prepared of N images, tokens [N, K, D]
"""

from collections.abc import Sequence

import torch
from monai.networks.nets import DiffusionModelUNet
from torch import Tensor, nn
from torch.nn import functional as F

TEXT_LEVELS = 3
"""Text is attended to at the three coarsest resolutions (the papers: 32, 16 and 8 of 128)."""

PATCH = 2
"""The light denoiser sees the mask's pixels in blocks of 2 x 2, as four channels at half the resolution."""


class TextDiffusionUNet(nn.Module):
    """The papers': MONAI's diffusion U-Net on image and noisy mask side by side, self- and cross-attention at the three
    coarsest levels. decoder_only: text is attended to on the way up (and not on the way down) only."""

    def __init__(
        self,
        channels: int,
        widths: Sequence[int],
        blocks: int,
        head_channels: int,
        token_dim: int,
        groups: int = 32,
        decoder_only: bool = False,
    ):
        super().__init__()
        self.net = DiffusionModelUNet(
            spatial_dims=2,
            in_channels=channels + 1,
            out_channels=1,
            num_res_blocks=blocks,
            channels=tuple(widths),
            attention_levels=tuple(level >= len(widths) - TEXT_LEVELS for level in range(len(widths))),
            norm_num_groups=groups,
            num_head_channels=head_channels,
            with_conditioning=True,
            cross_attention_dim=token_dim,
            use_flash_attention=True,
        )
        start_small(self.net.out[-1].conv)
        if decoder_only:
            for block in (*self.net.down_blocks, self.net.middle_block):
                for module in list(block.modules()):
                    if hasattr(module, "attn2"):
                        module.attn2 = NoText()

    def prepare(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """features: the image [N, C, H, W] alone."""
        return tuple(features)

    def forward(self, noisy: Tensor, t: Tensor, prepared: Sequence[Tensor], tokens: Tensor) -> Tensor:
        return self.net(torch.cat([prepared[0], noisy], 1), t, context=tokens)


def start_small(layer: nn.Conv2d) -> None:
    """A last layer that says nearly nothing at first (not quite nothing, or what is before it would not learn at once)."""
    nn.init.normal_(layer.weight, std=1e-2)
    nn.init.zeros_(layer.bias)


class NoText(nn.Module):
    """Stands where cross-attention would be and adds nothing."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return torch.zeros_like(x)


class TextFeatureDenoiser(nn.Module):
    """Light: the image was seen once by a U-Net; what is repeated for every step only joins its features with the noisy
    mask, time and text. MONAI's transformer blocks would cost more than everything else here, so attention to text is
    by itself and attention among pixels is left out.

    feature_channels: of the U-Net's decoder at 1, 1/2, 1/4, 1/8, 1/16 of the resolution. widths: of the denoiser at 1/2,
    1/4, 1/8, 1/16.
    """

    def __init__(
        self, feature_channels: Sequence[int], widths: Sequence[int], token_dim: int, decoder_only: bool = False
    ):
        super().__init__()
        inner = [widths[0], *widths[:-1]]  # width that enters each level
        finest, *coarser = feature_channels
        self.look = nn.ModuleList(nn.Conv2d(c, w, 1) for c, w in zip(coarser, inner))
        self.look_closely = nn.Conv2d(finest, widths[0], PATCH, stride=PATCH)
        self.time = TimeEmbedding(2 * widths[0])
        times = self.time.dim
        self.enter = nn.Conv2d(PATCH**2, widths[0], 3, padding=1)
        self.down = nn.ModuleList(TimedBlock(i, o, times) for i, o in zip(inner, widths))
        self.bottom = TimedBlock(widths[-1], widths[-1], times)
        self.rise = nn.ModuleList(nn.Conv2d(i, o, 1) for i, o in zip(widths[1:], widths[:-1]))
        self.up = nn.ModuleList(TimedBlock(w, w, times) for w in widths[:-1])
        reading = [width if level >= len(widths) - TEXT_LEVELS else 0 for level, width in enumerate(widths)]
        self.read_down = nn.ModuleList(
            TextAttention(w, token_dim) if w and not decoder_only else Skip() for w in reading
        )
        self.read_up = nn.ModuleList(TextAttention(w, token_dim) if w else Skip() for w in reading)
        self.leave = nn.Sequential(nn.GroupNorm(8, widths[0]), nn.SiLU(), nn.Conv2d(widths[0], PATCH**2, 3, padding=1))
        start_small(self.leave[-1])
        self.to(memory_format=torch.channels_last)

    def prepare(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The U-Net's features, finest first -> what is added at each level of the denoiser."""
        finest, *coarser = features
        seen = [look(level) for look, level in zip(self.look, coarser)]
        seen[0] = seen[0] + self.look_closely(finest)
        return tuple(level.contiguous(memory_format=torch.channels_last) for level in seen)

    def forward(self, noisy: Tensor, t: Tensor, prepared: Sequence[Tensor], tokens: Tensor) -> Tensor:
        time = self.time(t)
        x = self.enter(F.pixel_unshuffle(noisy, PATCH).contiguous(memory_format=torch.channels_last))
        skips = []
        for level, (block, read, seen) in enumerate(zip(self.down, self.read_down, prepared)):
            x = x if level == 0 else F.avg_pool2d(x, 2)
            x = read(block(x + seen, time), tokens)
            skips.append(x)
        x = self.read_up[-1](self.bottom(skips.pop(), time), tokens)
        for level in reversed(range(len(self.up))):
            x = F.interpolate(self.rise[level](x), scale_factor=2.0, mode="nearest") + skips.pop()
            x = self.read_up[level](self.up[level](x, time), tokens)
        return F.pixel_shuffle(self.leave(x), PATCH)


class TimedBlock(nn.Module):
    """Two 3x3 convolutions with group norm and SiLU, time added between them, and a residual path (Ho et al.)."""

    def __init__(self, channels_in: int, channels: int, times: int):
        super().__init__()
        self.first = nn.Sequential(
            nn.GroupNorm(8, channels_in), nn.SiLU(), nn.Conv2d(channels_in, channels, 3, padding=1)
        )
        self.time = nn.Linear(times, channels)
        self.second = nn.Sequential(nn.GroupNorm(8, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1))
        self.skip = nn.Identity() if channels_in == channels else nn.Conv2d(channels_in, channels, 1, bias=False)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return self.skip(x) + self.second(self.first(x) + self.time(time)[..., None, None])


class TextAttention(nn.Module):
    """Every place of a map [N, C, h, w] asks the text tokens [N, K, D] and adds what it finds.

    Multi-head attention as ever, multiplied out in another order: there are few tokens and many places, so keys meet the
    query's weights, and values those of the output, before any place does.
    """

    def __init__(self, channels: int, token_dim: int, heads: int = 4):
        super().__init__()
        self.heads = heads
        self.normalize = nn.GroupNorm(8, channels)
        self.query = nn.Conv2d(channels, channels, 1, bias=False)
        self.key_value = nn.Linear(token_dim, 2 * channels, bias=False)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        heads, size = self.heads, x.shape[1] // self.heads
        key, value = self.key_value(tokens).unflatten(-1, (2, heads, size)).unbind(2)  # [N, K, heads, size]
        asked = torch.einsum("nkhs,hsc->nhkc", key, self.query.weight.view(heads, size, -1)) / size**0.5
        told = torch.einsum("nkhs,chs->nhkc", value, self.out.weight.view(-1, heads, size))
        scores = asked.flatten(1, 2) @ self.normalize(x).flatten(2)  # [N, heads K, hw]
        attention = scores.unflatten(1, (heads, -1)).softmax(2).flatten(1, 2)
        found = attention.transpose(1, 2) @ told.flatten(1, 2) + self.out.bias  # [N, hw, C]
        return x + found.transpose(1, 2).unflatten(2, x.shape[-2:])


class Skip(nn.Module):
    """Where no text is read."""

    def forward(self, x: Tensor, _tokens: Tensor) -> Tensor:
        return x


class TimeEmbedding(nn.Module):
    """t [N] -> [N, dim]: sines and cosines of geometrically spaced periods, then a layer."""

    def __init__(self, dim: int, longest: float = 10000.0):
        super().__init__()
        self.dim = dim
        rates = torch.exp(-torch.arange(dim // 2) / (dim // 2) * torch.log(torch.tensor(longest)))
        self.register_buffer("rates", rates, persistent=False)
        self.layer = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim), nn.SiLU())

    def forward(self, t: Tensor) -> Tensor:
        angle = t[:, None].to(self.rates) * self.rates
        return self.layer(torch.cat([angle.sin(), angle.cos()], -1))
