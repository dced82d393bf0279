"""DiffOSeg's plug-in prompt block: learned prompts steer features towards what one expert would draw (section 2.2)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class PromptSize:
    """components: N of equation 6. width: channels of a prompt and of the layers that enhance it; 0 = as the features.
    grid: its side, resized to the features'; the public code's 96 for features of 8 leaves most weights without a gradient.
    attention_blocks: channel attention blocks in a row."""

    components: int = 5
    width: int = 0
    grid: int = 8
    attention_blocks: int = 3


class ExpertPrompt(nn.Module):
    """Features F_1 [N, C, h, w] and experts one-hot [N, E] -> F_{1,i}, the same shape (equations 6 and 7)."""

    def __init__(self, channels: int, experts: int, size: PromptSize):
        super().__init__()
        width = size.width or channels
        self.components = nn.Parameter(torch.rand(size.components, width, size.grid, size.grid))  # P_c
        self.choose = nn.Linear(channels, size.components)
        self.smooth = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.enhance = nn.Sequential(
            *_enhance_block(channels + width, width),
            *_enhance_block(width, width),
            nn.Conv2d(width, experts, 3, padding=1),
        )
        self.modulate = nn.Sequential(*(ChannelAttention(channels + 1) for _ in range(size.attention_blocks)))
        self.merge = nn.Conv2d(channels + 1, channels, 1)
        with torch.no_grad():  # F_1 passes unchanged at first: stage II starts as stage I
            self.merge.weight.copy_(torch.eye(channels, channels + 1)[..., None, None])
            self.merge.bias.zero_()

    def forward(self, features: Tensor, expert: Tensor) -> Tensor:
        share = self.choose(features.mean((2, 3))).softmax(-1)  # lambda [N, components]
        prompt = torch.einsum("nk,kchw->nchw", share, self.components)
        prompt = F.interpolate(prompt, features.shape[-2:], mode="bilinear", align_corners=False)
        modulated = self.smooth(prompt)  # P_m
        maps = self.enhance(torch.cat([features, modulated], 1))  # P_b [N, E, h, w]
        own = (maps * expert[:, :, None, None]).sum(1, keepdim=True)  # P_b[i]
        return self.merge(self.modulate(torch.cat([features, own], 1)))


def _enhance_block(channels_in: int, channels: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(channels_in, channels, 3, padding=1, bias=False),
        nn.GroupNorm(4, channels),
        nn.LeakyReLU(0.01),
    )


class ChannelAttention(nn.Module):
    """x + two convolutions whose channels are weighted by what their means say (channel attention block)."""

    def __init__(self, channels: int, reduction: int = 4):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.PReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        )
        self.weigh = nn.Sequential(
            nn.Conv2d(channels, channels // reduction, 1), nn.ReLU(), nn.Conv2d(channels // reduction, channels, 1)
        )
        nn.init.zeros_(self.body[-1].weight)  # unchanged at first

    def forward(self, x: Tensor) -> Tensor:
        change = self.body(x)
        return x + change * self.weigh(change.mean((2, 3), keepdim=True)).sigmoid()
