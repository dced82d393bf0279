"""One slice of one style, quickly: the contour that follows a slider before the whole lesion is worked out."""

import time
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from .asked_style import AskedStyle
from .consensus import majority
from .errors import UnsupportedRequest
from .geometry import Grid
from .lesion_part import REACH_MM
from .noise import Noise
from .predictor import Lesion
from .resample import resample

SAMPLES = 8
"""Simulated readers whose majority is shown; the first of those that the whole lesion gets."""


@dataclass(frozen=True, eq=False)
class Preview:
    """mask: bool [k, j, i] on `grid`, one voxel thick across the slices. slice_index: of the scan, along that axis.
    seconds: what decoding it took."""

    mask: np.ndarray
    grid: Grid
    slice_index: int
    title: str
    seconds: float


class Previewer:
    """Previews of one lesion; a slice is encoded when it is first asked for."""

    def __init__(self, lesion: Lesion):
        self.lesion = lesion
        self._encoded: dict[int, object] = {}
        self._outlined: np.ndarray | None = None

    def remember(self, samples: np.ndarray) -> None:
        """Masks [S, k, j, i] of an answer: later previews show the parts of a slice that belong to it."""
        outlined = samples.any(0)
        self._outlined = outlined if self._outlined is None else self._outlined | outlined

    @torch.inference_mode()
    def preview(self, style: AskedStyle, slice_index: int, samples: int = SAMPLES) -> Preview:
        """The majority of some simulated readers on one stored slice of the scan, in its voxels.

        style: as in Lesion.ask. Raises UnsupportedRequest for a slice that was not looked at, or no samples.
        """
        region, method = self.lesion.region, self.lesion.predictor.method
        if samples < 1:
            raise UnsupportedRequest(f"The number of samples must be at least 1; got {samples}.")
        grid, row = region.slice_grid(slice_index), region.frame_row(slice_index)
        encoded = self._encode(row)
        begun = time.perf_counter()
        noise = Noise(self.lesion.seed, samples=range(samples))
        values = 1 - method.sample(encoded, noise, self.lesion.resolve(style))[:, :, 0]  # [S, 1, H, W]
        native = resample(values, _row_of(region.frame_grid, row), grid, outside=0.0).cpu().numpy()
        mask = self._lesion_part(majority(native > 0.5), slice_index)
        return Preview(mask, grid, slice_index, self.lesion.title_of(style), time.perf_counter() - begun)

    def _encode(self, row: int):
        if row not in self._encoded:
            image = self.lesion.image[row : row + 1].to(self.lesion.predictor.device)
            self._encoded[row] = self.lesion.predictor.method.encode(image)
        return self._encoded[row]

    def _lesion_part(self, mask: np.ndarray, slice_index: int) -> np.ndarray:
        """The parts of one slice that touch what was outlined on it or near it before; all where nothing was."""
        if self._outlined is None or not self._outlined.any():
            return mask
        axis = 2 - self.lesion.region.across
        at = slice_index - self.lesion.region.slices[0]
        near = max(1, int(REACH_MM / self.lesion.grid.spacing[self.lesion.region.across]))
        known = self._outlined.take(range(max(0, at - near), min(self._outlined.shape[axis], at + near + 1)), axis)
        parts, _ = ndimage.label(mask, np.ones((3, 3, 3)))
        touched = np.unique(parts[known.any(axis, keepdims=True)])
        return np.isin(parts, touched[touched > 0])


def _row_of(frame_grid: Grid, row: int) -> Grid:
    low, high = np.array([0, 0, row]), np.array([*(frame_grid.size_ijk[:2] - 1), row])
    return frame_grid.crop(low, high)
