"""Networks that see a noisy mask and say what the clean one is: (x_t, t, image, expert) -> logits of the labels.

Both kinds look at an image once (`look`) and are then run for every sample and step (`forward`). N = samples x images,
samples first; what `look` gives has one entry an image and meets all its samples.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import pairwise, repeat

import torch
from monai.networks.nets import DiffusionModelUNet
from monai.networks.nets.diffusion_model_unet import get_timestep_embedding
from torch import Tensor, nn
from torch.nn import functional as F

from .expert_prompt import ExpertPrompt, PromptSize

MASKS_AT_ONCE = 4
"""Of the papers' U-Net on a CPU: few enough that maps stay in a cache, enough that laying out the weights pays."""


class Denoiser(nn.Module, ABC):
    """experts: how many it can be told apart; 0 = it is never told."""

    @abstractmethod
    def look(self, image: Tensor, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """image [B, C, H, W] and what an image network made of it, coarse to fine -> what every evaluation reuses."""

    @abstractmethod
    def forward(self, x: Tensor, t: Tensor, seen: tuple[Tensor, ...], expert: Tensor | None = None) -> Tensor:
        """x one-hot [N, L, H, W], t int64 [N], expert one-hot [N, E] -> logits [N, L, H, W]."""

    def start_from(self, other: "Denoiser") -> None:
        """Takes over every weight that the other has under the same name; further input channels start at zero."""
        own, given = self.state_dict(), other.state_dict()
        for name in own.keys() & given.keys():
            if own[name].shape == given[name].shape:
                own[name].copy_(given[name])
            else:
                own[name].zero_()[:, : given[name].shape[1]] = given[name]


class GuidedDiffusionUNet(Denoiser):
    """The papers' U-Net (guided diffusion, through MONAI) on [x_t, image, a plane for each expert], whole at every step.

    widths: channels at 1, 1/2, 1/4, ... resolution; attention at the two coarsest; a group norm's group has one channel at
    the first width. With the published widths and one image channel it has the published 5,699,138 parameters.

    MONAI makes and names the layers; the way through them is written out here, since the prompt block has its place inside
    and since reusing tensors saves a tenth of the time on a CPU.
    """

    def __init__(
        self, channels: int, labels: int, widths: Sequence[int], experts: int = 0, prompt: PromptSize | None = None
    ):
        super().__init__()
        coarse = [level >= len(widths) - 2 for level in range(len(widths))]
        self.net = DiffusionModelUNet(
            spatial_dims=2,
            in_channels=labels + channels + experts,
            out_channels=labels,
            num_res_blocks=2,
            channels=widths,
            attention_levels=coarse,
            num_head_channels=widths[0],
            norm_num_groups=widths[0],
            use_flash_attention=True,
        )
        self.experts = experts
        self.prompt = ExpertPrompt(widths[-1], experts, prompt) if prompt and experts else None
        self.to(memory_format=torch.channels_last)

    def look(self, image: Tensor, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return (image,)

    def forward(self, x: Tensor, t: Tensor, seen: tuple[Tensor, ...], expert: Tensor | None = None) -> Tensor:
        image = seen[0].repeat(len(x) // len(seen[0]), 1, 1, 1)
        planes = [x, image]
        if self.experts:
            planes.append(expert[:, :, None, None].expand(-1, -1, *x.shape[-2:]))
        planes = torch.cat(planes, 1).contiguous(memory_format=torch.channels_last)
        share = MASKS_AT_ONCE if x.device.type == "cpu" and not torch.is_grad_enabled() else len(x)
        codes = repeat(None) if expert is None else expert.split(share)
        return torch.cat([self._evaluate(*part) for part in zip(planes.split(share), t.split(share), codes)])

    def _evaluate(self, planes: Tensor, t: Tensor, expert: Tensor | None) -> Tensor:
        net = self.net
        time = F.silu(net.time_embed(get_timestep_embedding(t, net.block_out_channels[0])))
        h = net.conv_in(planes)
        skips = [h]
        for block in net.down_blocks:
            for residual, attention in _layers(block):
                h = attention(_residual(residual, h, time))
                skips.append(h)
            if block.downsampler is not None:
                h = block.downsampler(h)
                skips.append(h)
        middle = net.middle_block
        h = middle.attention(_residual(middle.resnet_1, h, time))
        h = _residual(middle.resnet_2, h, time)
        if self.prompt is not None:
            h = self.prompt(h, expert)
        for block in net.up_blocks:
            for residual, attention in _layers(block):
                h = attention(_residual(residual, torch.cat([h, skips.pop()], 1), time))
            if block.upsampler is not None:
                h = block.upsampler(h)
        norm, _, conv = net.out
        return conv(F.silu(norm(h), inplace=True))


def _layers(block: nn.Module) -> Iterator[tuple[nn.Module, nn.Module]]:
    """The residual blocks of a level and what follows each: attention, or nothing."""
    return zip(block.resnets, getattr(block, "attentions", (nn.Identity() for _ in block.resnets)))


def _residual(block: nn.Module, x: Tensor, time: Tensor) -> Tensor:
    """MONAI's residual block (up- and downsampling lie outside of ours); time [N, D] after its SiLU."""
    h = block.conv1(F.silu(block.norm1(x), inplace=True))
    h += block.time_emb_proj(time)[:, :, None, None]
    h = block.conv2(F.silu(block.norm2(h), inplace=True))
    h += block.skip_connection(x)
    return h


class Residual(nn.Module):
    """x + two 3x3 convolutions after group norm and SiLU; an embedding scales and shifts between them."""

    def __init__(self, channels: int, embedding: int):
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(4, channels), nn.GroupNorm(4, channels)
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.modulate = nn.Linear(embedding, 2 * channels)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.modulate(embedding)[:, :, None, None].chunk(2, 1)
        h = self.conv1(F.silu(self.norm1(x), inplace=True))
        h = torch.addcmul(shift, self.norm2(h), 1 + scale)
        return x + self.conv2(F.silu(h, inplace=True))


class FeatureDenoiser(Denoiser):
    """A small U-Net on the noisy mask that is told about the image at every level by features computed once.

    Made for few milliseconds on a CPU: the mask enters with 2 x 2 pixels as channels, so that only a thin last layer works
    at full resolution. feature_channels: of the image network's features at 1/8, 1/4, 1/2 and full resolution. widths: of
    the full, 1/2, 1/4 and 1/8 levels. An expert's code joins the time's and so reaches every block.
    """

    def __init__(
        self,
        labels: int,
        feature_channels: Sequence[int],
        widths: Sequence[int],
        experts: int = 0,
        prompt: PromptSize | None = None,
        embedding: int = 32,
    ):
        super().__init__()
        thin, *levels = widths
        self.frequencies = embedding
        self.time = nn.Sequential(nn.Linear(embedding, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.expert = nn.Linear(experts, embedding, bias=False) if experts else None
        self.context = nn.ModuleList(
            nn.Sequential(nn.GroupNorm(1, i), nn.Conv2d(i, o, 1))
            for i, o in zip(feature_channels, (*levels[::-1], thin))
        )
        self.stem = nn.Conv2d(4 * (labels - 1), levels[0], 3, padding=1)
        self.narrow = nn.ModuleList(nn.Conv2d(i, o, 1) for i, o in pairwise(levels))
        self.down = nn.ModuleList(Residual(width, embedding) for width in levels)
        self.widen = nn.ModuleList(nn.Conv2d(i, o, 1) for o, i in pairwise(levels))
        self.up = nn.ModuleList(Residual(width, embedding) for width in levels[:-1])
        self.unfold = nn.Conv2d(levels[0], 4 * thin, 1)
        self.fine = nn.Conv2d(thin, thin, 3, padding=1)
        self.out = nn.Conv2d(thin, labels, 1)
        self.prompt = ExpertPrompt(levels[-1], experts, prompt) if prompt and experts else None
        with torch.no_grad():
            self.out.bias.copy_(torch.tensor([3.0] + [0.0] * (labels - 1)))  # lesions are small: start from background
        self.to(memory_format=torch.channels_last)

    def start_from(self, other: Denoiser) -> None:
        super().start_from(other)
        if self.expert is not None:
            nn.init.zeros_(self.expert.weight)

    def look(self, image: Tensor, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return tuple(layer(f).contiguous(memory_format=torch.channels_last) for layer, f in zip(self.context, features))

    def forward(self, x: Tensor, t: Tensor, seen: tuple[Tensor, ...], expert: Tensor | None = None) -> Tensor:
        code = self.time(get_timestep_embedding(t, self.frequencies))
        if self.expert is not None:
            code = code + self.expert(expert)
        code = F.silu(code)
        *coarse, full = seen
        h = self.stem(F.pixel_unshuffle(2 * x[:, 1:] - 1, 2).contiguous(memory_format=torch.channels_last))
        skips = []
        for level, block in enumerate(self.down):
            if level:
                h = self.narrow[level - 1](F.avg_pool2d(h, 2))
            h = block(_with_image(h, coarse[-1 - level]), code)
            skips.append(h)
        h = skips.pop()
        if self.prompt is not None:
            h = self.prompt(h, expert)
        for level in reversed(range(len(self.up))):
            h = skips.pop() + F.interpolate(self.widen[level](h), scale_factor=2.0)
            h = self.up[level](h, code)
        h = F.silu(_with_image(F.pixel_shuffle(self.unfold(F.silu(h)), 2), full), inplace=True)
        return self.out(F.silu(self.fine(h), inplace=True)).float()


def _with_image(h: Tensor, seen: Tensor) -> Tensor:
    """Adds what is seen in each image [B, ...] to all of its samples [S * B, ...]."""
    return (h.unflatten(0, (-1, len(seen))) + seen).flatten(0, 1)
