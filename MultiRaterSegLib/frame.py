"""How a method sees a scan: slices of fixed size and spacing, upright, with one intensity rule.

The same frame serves training and use. Slices are kept as acquired; only the plane is resampled.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .errors import GeometryError
from .geometry import Grid

if TYPE_CHECKING:
    from torch import Tensor

# Radiological display: columns run to the patient's left, rows to the back, slices to the head.
UPRIGHT = np.array([[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]])  # RAS directions of i, j, k


@dataclass(frozen=True)
class Frame:
    """size: pixels (height = width). spacing_mm: pixel spacing. percentiles: the two intensities that become 0 and 1."""

    size: int = 96
    spacing_mm: float = 0.65
    percentiles: tuple[float, float] = (0.5, 99.5)

    @property
    def field_of_view_mm(self) -> float:
        return self.size * self.spacing_mm

    def grid_for(self, target: Grid, center=None) -> Grid:
        """The frame's grid around `target`: its axes permuted and flipped upright, its own slice positions, the plane
        centred on `center` (RAS mm; default: the target's centre) with the frame's size and spacing."""
        axes = target.affine[:3, :3] / target.spacing  # RAS direction of i, j, k, a column each
        order, signs = upright_axes(axes)
        slices = target.shape[2 - order[2]]
        steps = axes[:, order] * signs * np.array([self.spacing_mm, self.spacing_mm, target.spacing[order[2]]])
        size = np.array([self.size, self.size, slices])
        middle = target.to_ijk(target.center if center is None else center)
        middle[order[2]] = (slices - 1) / 2  # slices stay where they were acquired
        affine = np.eye(4)
        affine[:3, :3] = steps
        affine[:3, 3] = target.to_ras(middle) - steps @ ((size - 1) / 2)
        return Grid((slices, self.size, self.size), affine)

    def normalize(self, values: "Tensor") -> "Tensor":
        """Intensities [C, K, H, W] in any unit -> float32 with the two percentiles at 0 and 1, clipped to [-0.5, 1.5].

        One pair of percentiles a channel for the whole lesion, so slices stay comparable and any linear change of
        units cancels. Raises GeometryError when a channel is constant there.
        """
        import torch  # here, because 3D Slicer's own process uses frames as geometry and has no torch

        flat = values.flatten(1).float()
        flat = flat[:, :: max(1, flat.shape[1] // 200_000)]  # a fair sample is enough for a percentile
        low, high = torch.quantile(flat, torch.tensor(self.percentiles, device=flat.device) / 100, dim=1)
        if bool((high <= low).any()):
            raise GeometryError(
                "The scan is constant around this point; there is nothing to outline. Choose another place."
            )
        low, high = low.view(-1, 1, 1, 1), high.view(-1, 1, 1, 1)
        return ((values.float() - low) / (high - low)).clamp(-0.5, 1.5)


def upright_axes(axes: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Which axis of a grid runs most along left, back and head (a permutation), and its sign."""
    along = UPRIGHT.T @ axes  # [upright axis, grid axis]
    order = [-1, -1, -1]
    scores = np.abs(along).copy()
    for _ in range(3):  # the clearest match first, so that oblique scans still give a permutation
        wanted, axis = np.unravel_index(scores.argmax(), scores.shape)
        order[wanted] = int(axis)
        scores[wanted, :] = scores[:, axis] = -1
    return order, np.sign(along[range(3), order])
