"""What style words mean, measured: extent, rim and roughness of a mask on an image, and masks that have more or less.

Every slot a prompt can fill is tied to something in the readers' masks and the image, so "include the halo" and
"generous" are different requests. All functions work on frame pixels; images are normalised (see Frame).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .expert import Expert
from .text.slots import Slots

HALO_BAND = (0.25, 0.70)
"""Intensities that count as hazy rim, as shares of the way from the surroundings to the lesion's core."""

STRAND_GAP = 3
"""An opening takes the foot of a strand for a part of the lesion; so far may a strand be from the outline that it leaves."""

MIN_PIXELS, MIN_RIM_PIXELS = 12, 4
"""Outlines and rims smaller than this have no roughness or share worth comparing."""


@dataclass(frozen=True)
class Regions:
    """Of each image, [B, H, W] bool: agreed core (majority), disputed union, hazy rim, thin strands leaving the lesion."""

    majority: Tensor
    union: Tensor
    rim: Tensor
    strands: Tensor

    def repeat(self, times: int) -> "Regions":
        """Of [B * times] masks, `times` of each image one after the other."""
        return Regions(*(x.repeat_interleave(times, 0) for x in (self.majority, self.union, self.rim, self.strands)))


def regions(image: Tensor, masks: Tensor) -> Regions:
    """image [B, H, W], masks [B, M, H, W] in {0, 1} (readers; empty ones are left out of the vote) -> Regions."""
    present = masks.amax((2, 3)).sum(1).clamp(min=1)
    majority = masks.sum(1) * 2 >= present[:, None, None]
    union = masks.amax(1) > 0
    majority &= union
    surroundings = _dilate(union, 5) & ~_dilate(union, 2)
    core = _erode(majority, 1)
    core = torch.where(core.any(-1).any(-1)[:, None, None], core, majority)
    low = _masked_quantile(image, surroundings, 0.3)
    high = _masked_quantile(image, core, 0.6)
    level = (image - low) / (high - low).clamp(min=0.05)
    rim = union & (level > HALO_BAND[0]) & (level < HALO_BAND[1])
    bright = ((level > 0.4) & _dilate(majority, 4)) | majority
    protrusions = _protrusions(masks)
    reached = _connected_to(majority, bright | protrusions, 5)
    strands = reached & ((bright & ~_open(bright, 2)) | protrusions)
    return Regions(majority, union, rim, strands)


def with_halo(mask: Tensor, found: Regions) -> Tensor:
    """mask [B, H, W] bool with the rim that any reader included."""
    return mask | found.rim


def without_halo(mask: Tensor, found: Regions) -> Tensor:
    """mask without the rim; where nothing else is left, the mask as it was."""
    core = mask & ~found.rim
    return torch.where(core.any(-1).any(-1)[:, None, None], core, mask)


def with_strands(mask: Tensor, found: Regions) -> Tensor:
    """mask with the thin bright strands and readers' protrusions that leave it, each with what lies between it and the mask
    (up to STRAND_GAP pixels); those that leave another reader's outline only are not of this mask."""
    near = _dilate(mask, STRAND_GAP)
    strands = _connected_to(mask, found.strands | near, STRAND_GAP + 5) & found.strands
    return mask | strands | (near & _dilate(strands, STRAND_GAP))


def smoothed(mask: Tensor, sigma: float = 2.0) -> Tensor:
    """mask [B, H, W] with its outline rounded by a Gaussian of `sigma` pixels, the area kept."""
    blurred = _blur(mask.float(), sigma)
    flat, area = blurred.flatten(1), mask.flatten(1).sum(1)
    ranked = flat.sort(1, descending=True).values
    threshold = ranked.gather(1, (area - 1).clamp(min=0)[:, None]).clamp(min=1e-3)
    return (flat >= threshold).view_as(mask) & (area > 0)[:, None, None]


def rank_said(slots: Slots, experts: Sequence[Expert]) -> Expert | None:
    """The rank of readers that a sentence's extent (and margin and size, which can only change it) stands for."""
    if slots.outline_extent is None:
        return None
    rule = "slice_area" if slots.per_slice else "nodule_volume"
    group = [expert for expert in experts if expert.ranked_by == rule] or list(experts)
    return group[round((slots.outline_extent + 1) / 2 * (len(group) - 1))]


def described(mask: Tensor, slots: Slots, found: Regions) -> Tensor:
    """mask [B, H, W] bool -> [B, H, W] in [0, 1], with what a sentence's halo and spiculation add or remove; a weak word
    mixes the masks before and after."""
    soft = mask.float()
    if slots.halo:
        changed = with_halo(mask, found) if slots.halo > 0 else without_halo(mask, found)
        soft, mask = torch.lerp(soft, changed.float(), abs(slots.halo)), changed
    if slots.spiculation:
        changed = with_strands(mask, found) if slots.spiculation > 0 else smoothed(mask)
        soft = torch.lerp(soft, changed.float(), abs(slots.spiculation))
    return soft


def rim_share(mask: Tensor, rim: Tensor) -> Tensor:
    """Share of the rim inside the mask (or probability map), [..., H, W] -> [...] in [0, 1]."""
    return (mask.float() * rim).sum((-2, -1)) / rim.sum((-2, -1)).clamp(min=1)


def roughness(mask: Tensor) -> Tensor:
    """Isoperimetric ratio, perimeter^2 / (4 pi area), [..., H, W] -> [...]: 1 for a disc, larger when irregular.

    The perimeter is the total variation of the slightly blurred mask, which does not depend on direction.
    """
    shape = mask.shape
    soft = _blur(mask.float().reshape(-1, *shape[-2:]), 0.8)
    dy = F.pad(soft[:, 2:] - soft[:, :-2], (0, 0, 1, 1)) / 2
    dx = F.pad(soft[:, :, 2:] - soft[:, :, :-2], (1, 1, 0, 0)) / 2
    perimeter = (dx.square() + dy.square() + 1e-12).sqrt().sum((-2, -1))
    area = soft.sum((-2, -1)).clamp(min=1)
    return (perimeter.square() / (4 * torch.pi * area)).view(shape[:-2])


def change(slot: str, less: Tensor, more: Tensor, rim: Tensor) -> tuple[Tensor, Tensor]:
    """What a slot's word moves, from one mask or probability map [..., H, W] to another: amount [...], and where it counts.

    extent: log ratio of areas. halo: difference of rim shares (where there is a rim). spiculation: log ratio of
    roughnesses (where both masks are more than a few pixels).
    """
    areas = less.sum((-2, -1)), more.sum((-2, -1))
    drawn = (areas[0] > MIN_PIXELS) & (areas[1] > MIN_PIXELS)
    if slot == "halo":
        has_rim = (rim.sum((-2, -1)) >= MIN_RIM_PIXELS).expand_as(drawn)
        return rim_share(more, rim) - rim_share(less, rim), has_rim
    if slot == "spiculation":
        return roughness(more).log() - roughness(less).log(), drawn
    return (areas[1] + 1).log() - (areas[0] + 1).log(), drawn


def _blur(x: Tensor, sigma: float) -> Tensor:
    radius = int(3 * sigma + 0.5)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype) / sigma) ** 2)
    kernel = kernel / kernel.sum()
    x = F.conv2d(x[:, None], kernel.view(1, 1, 1, -1), padding=(0, radius))
    return F.conv2d(x, kernel.view(1, 1, -1, 1), padding=(radius, 0))[:, 0]


def _dilate(mask: Tensor, radius: int) -> Tensor:
    """Binary dilation by a disc, [..., H, W] bool: a convolution with the disc is positive where it touches the mask."""
    span = torch.arange(-radius, radius + 1, device=mask.device)
    disc = (span[:, None] ** 2 + span[None] ** 2 <= radius**2 + 0.5).float()[None, None]
    touched = F.conv2d(mask.float().reshape(-1, 1, *mask.shape[-2:]), disc, padding=radius)
    return (touched > 0.5).view_as(mask)


def _erode(mask: Tensor, radius: int) -> Tensor:
    return ~_dilate(~mask, radius)


def _open(mask: Tensor, radius: int) -> Tensor:
    return _dilate(_erode(mask, radius), radius)


def _protrusions(masks: Tensor) -> Tensor:
    """What an opening removes from any reader's mask: [B, M, H, W] -> [B, H, W]."""
    masks = masks > 0
    opened = _open(masks, 2)
    kept = opened.any(-1).any(-1)[..., None, None]
    return (masks & ~opened & kept).any(1)


def _connected_to(seed: Tensor, region: Tensor, steps: int) -> Tensor:
    """The part of `region` that can be reached from `seed` in a few single-pixel steps."""
    reached = seed
    for _ in range(steps):
        reached = seed | (_dilate(reached, 1) & region)
    return reached & region & ~seed


def _masked_quantile(image: Tensor, mask: Tensor, q: float) -> Tensor:
    """Quantile of the image inside the mask, per image: [B, 1, 1]; 0 where the mask is empty."""
    values = [torch.quantile(i[m], q) if m.any() else i.new_zeros(()) for i, m in zip(image, mask)]
    return torch.stack(values).view(-1, 1, 1)
