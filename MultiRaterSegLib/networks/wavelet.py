"""The Haar wavelet of images, one level, orthonormal: energy is kept and the inverse is the transpose."""

import torch
from torch import Tensor


def haar_dwt(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """[..., H, W], both even -> LL, LH, HL, HH, each [..., H/2, W/2].

    Of each 2x2 block (a b / c d): LL its sum, LH what differs between rows, HL between columns, HH across the diagonal,
    all divided by 2.
    """
    top, bottom = x.unflatten(-2, (-1, 2)).unbind(-2)  # [..., H/2, W]
    (a, b), (c, d) = (rows.unflatten(-1, (-1, 2)).unbind(-1) for rows in (top, bottom))
    return (a + b + c + d) / 2, (a + b - c - d) / 2, (a - b + c - d) / 2, (a - b - c + d) / 2


def haar_idwt(ll: Tensor, lh: Tensor, hl: Tensor, hh: Tensor) -> Tensor:
    """Four bands [..., H/2, W/2] -> [..., H, W]; undoes haar_dwt."""
    top = torch.stack([ll + lh + hl + hh, ll + lh - hl - hh], -1).flatten(-2)
    bottom = torch.stack([ll - lh + hl - hh, ll - lh - hl + hh], -1).flatten(-2)
    return torch.stack([top, bottom], -2).flatten(-3, -2) / 2
