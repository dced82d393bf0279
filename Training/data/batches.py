"""Training batches as a pure function of (seed, step): what is drawn does not depend on what was drawn before.

A crop goes from its native grid to a window of the method's frame in one interpolation: spacing, shift, rotation, flip
and scale are a single affine map. Intensities follow the frame's rule, as in use: one rule for the whole crop, which
shows about what the frame shows, then the window.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import IterableDataset

from MultiRaterSegLib.frame import Frame
from MultiRaterSegLib.method import Batch, Expert

from .negatives import remove_lesion
from .slices import Slices

HEAVIEST_NOISE = 0.25
"""Standard deviation; the displayed range is 1."""


@dataclass(frozen=True)
class Augmentation:
    """shift_mm: largest offset of the lesion from the window's centre, along each axis. rotate: any
    angle and both flips. scale: largest relative change of size. window: chance of a random display window. contrast,
    brightness, gamma, noise, blur_px: largest change of each. heavy_noise: chance of an acquisition far noisier than
    `noise` allows (see `add_heavy_noise`); the rest of a batch does not depend on it."""

    shift_mm: float = 15.0
    rotate: bool = True
    scale: float = 0.15
    window: float = 0.5
    contrast: float = 0.3
    brightness: float = 0.12
    gamma: float = 0.3
    noise: float = 0.05
    blur_px: float = 0.7
    heavy_noise: float = 0.0


@dataclass(frozen=True)
class Mixture:
    """Shares of a batch: slices that all raters outlined, slices that some outlined, and negatives (nothing to find):
    half of them off the lesion, half with the lesion replaced by lung."""

    all_raters: float = 0.5
    some_raters: float = 0.4
    negatives: float = 0.1


@dataclass(frozen=True, eq=False)
class BatchSource:
    """Batches of `slices`, in windows of `window` pixels of the frame. `batch(step)` is pure."""

    slices: Slices
    frame: Frame
    experts: tuple[Expert, ...]
    batch_size: int = 16
    window: int = 80
    seed: int = 0
    augmentation: Augmentation = Augmentation()
    mixture: Mixture = Mixture()

    def batch(self, step: int) -> Batch:
        rng = self._random(step, 0xBA7C)
        rows, negative = self._draw_rows(rng)
        image = self.slices.planes(rows)
        raters = self._raters(rows, rng)
        masks = self._masks(rows, raters)
        off_lesion = negative & (rng.random(len(rows)) < 0.5)
        for i in np.flatnonzero(negative & ~off_lesion):
            image[i] = remove_lesion(image[i], masks[i].any(0), rng)
            masks[i] = False
        image = normalize_as_displayed(torch.from_numpy(image), self.frame, self.augmentation.window, rng)
        image = add_heavy_noise(image, self.augmentation.heavy_noise, self._random(step, 0x9015E))
        affine = self._affine(rng, rows, off_lesion)
        image, masks = to_frame(image, torch.from_numpy(masks.astype(np.float32)), affine, self.window)
        masks = (masks > 0.5).float()
        image = augment_intensity(image, self.augmentation, rng)
        masks, preferred = masks[:, : raters.shape[1]], masks[:, raters.shape[1] :]
        return Batch(
            image,
            masks,
            expert_targets(self.slices, rows, self.experts),
            torch.from_numpy(rows),
            self._texts(rows, raters),
            preferred if preferred.shape[1] else None,
        )

    def _random(self, step: int, purpose: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, step, purpose])))

    def _draw_rows(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Rows, and which of them become negatives. Of slices that some outlined, those of lesions that more raters saw
        are drawn more often (by the square of their number): they tell more about disagreement."""
        shares = np.array([self.mixture.all_raters, self.mixture.some_raters, self.mixture.negatives])
        shares = np.where([len(group) > 0 for group in self._groups], shares, 0)
        kind = rng.choice(3, self.batch_size, p=shares / shares.sum())
        place = rng.random(self.batch_size)
        rows = [self._groups[k][np.searchsorted(self._chances[k], p)] for k, p in zip(kind, place)]
        return np.array(rows), kind == 2

    @cached_property
    def _groups(self) -> list[np.ndarray]:
        outlined = self.slices.areas_px > 0
        everybody, anybody = outlined.all(1), outlined.any(1)
        return [np.flatnonzero(everybody), np.flatnonzero(anybody & ~everybody), np.arange(len(self.slices))]

    @cached_property
    def _chances(self) -> list[np.ndarray]:
        """Cumulative chance of each row of each group, the last one 1."""
        raters = (self.slices.lesion_areas_px > 0).sum(1).astype(float)
        weights = [np.ones(len(rows)) if i != 1 else raters[rows] ** 2 for i, rows in enumerate(self._groups)]
        return [np.cumsum(w)[:-1] / max(w.sum(), 1e-9) if len(w) else w for w in weights]

    def _raters(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """int [B, M]: each rater, or a random one who saw the image in place of one who never did."""
        count = self.slices.packed_masks.shape[1]
        raters = np.tile(np.arange(count), (len(rows), 1))
        if self.slices.present is not None:
            for i, row in enumerate(rows):
                present = np.flatnonzero(self.slices.present[row])
                absent = np.flatnonzero(~self.slices.present[row])
                raters[i, absent] = rng.choice(present, len(absent))
        return raters

    def _masks(self, rows: np.ndarray, raters: np.ndarray) -> np.ndarray:
        """bool [B, M, H, W] of the raters, and behind them the preferred mask and the other one, where there are any."""
        masks = np.take_along_axis(self.slices.masks(rows), raters[..., None, None], 1)
        if self.slices.preferred is None:
            return masks
        pairs = np.unpackbits(self.slices.preferred[rows], axis=-1, count=masks.shape[-1]).astype(bool)
        return np.concatenate([masks, pairs], 1)

    def _texts(self, rows: np.ndarray, raters: np.ndarray) -> tuple[tuple[tuple[str, ...], ...], ...] | None:
        if self.slices.texts is None:
            return None
        return tuple(tuple(self.slices.texts[row, rater] for rater in who) for row, who in zip(rows, raters))

    def _affine(self, rng: np.random.Generator, rows: np.ndarray, off_lesion: np.ndarray) -> np.ndarray:
        """[B, 2, 3]: frame position (x, y) mm from its centre -> crop position mm from its centre."""
        a, n = self.augmentation, len(rows)
        angle = rng.uniform(0, 2 * np.pi, n) if a.rotate else np.zeros(n)
        flip = np.where((rng.random(n) < 0.5) & a.rotate, -1.0, 1.0)
        scale = np.exp(rng.uniform(-a.scale, a.scale, n))
        cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
        linear = np.stack([np.stack([cos * flip, -sin], -1), np.stack([sin * flip, cos], -1)], 1)
        side = self.slices.images.shape[-1]
        spacing = self.slices.spacing_mm[rows, None]
        shift = self.slices.center_px[rows] * spacing + rng.uniform(-1, 1, (n, 2)) * a.shift_mm
        direction = rng.normal(size=(n, 2))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        away = rng.uniform(0.75, 0.95, (n, 1)) * side / 2 * spacing * direction
        shift = np.where(off_lesion[:, None], away, shift)
        matrix = np.concatenate([linear, shift[..., None]], -1)
        matrix[..., :2] *= self.window * self.frame.spacing_mm / (side * spacing[..., None])
        matrix[..., 2] *= 2 / (side * spacing)
        return matrix.astype(np.float32)


def to_frame(image: Tensor, masks: Tensor, theta: np.ndarray, size: int) -> tuple[Tensor, Tensor]:
    """Images [B, C, H, W] (repeated at their border) and masks [B, M, H, W] (0 outside), both -> [B, .., size, size]."""
    grid = F.affine_grid(torch.from_numpy(theta), [len(image), 1, size, size], align_corners=False)
    image = F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)
    masks = F.grid_sample(masks, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return image, masks


def normalize_as_displayed(image: Tensor, frame: Frame, chance: float, rng: np.random.Generator) -> Tensor:
    """Crops [B, C, H, W] -> normalised by the frame's rule, each channel by itself, some of them first cut to a random
    display window."""
    shape = image.shape
    image = image.flatten(0, 1)[:, None]
    n = len(image)
    flat = image.flatten(1)
    low, high = flat.amin(1).view(-1, 1, 1, 1), flat.amax(1).view(-1, 1, 1, 1)
    cut = rng.uniform(0, (0.12, 0.35), (n, 2)) * (rng.random((n, 1)) < chance)
    floor, ceiling = torch.from_numpy(cut.astype(np.float32)).view(n, 2, 1, 1, 1).unbind(1)
    span = high - low
    return frame.normalize(image.clamp(low + floor * span, high - ceiling * span)).view(shape)


def add_heavy_noise(image: Tensor, chance: float, rng: np.random.Generator) -> Tensor:
    """Normalised crops [B, C, H, W], some of them with Gaussian noise of a standard deviation between 0 and a quarter
    of what is displayed (0..1), cut to that range: the noise of `Training.corruptions`. It belongs in native pixels,
    before the window is interpolated, which smooths it as in use."""
    chosen = torch.from_numpy(rng.random(len(image)) < chance)
    if not chosen.any():
        return image
    crops = image[chosen]
    sigma = torch.from_numpy(rng.uniform(0, HEAVIEST_NOISE, (len(crops), 1, 1, 1)).astype(np.float32))
    grain = torch.from_numpy(rng.standard_normal(tuple(crops.shape), np.float32))
    noisy = image.clone()
    noisy[chosen] = (crops + sigma * grain).clamp(0, 1)
    return noisy


def augment_intensity(image: Tensor, a: Augmentation, rng: np.random.Generator) -> Tensor:
    """Normalised windows [B, C, H, W] as other scanners would show them: gamma, contrast, brightness, blur, noise."""
    n = len(image)

    def draw(low: float, high: float) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (n, 1, 1, 1)).astype(np.float32))

    sign = torch.where(image < 0, -1.0, 1.0)
    image = sign * image.abs() ** torch.exp(draw(-a.gamma, a.gamma))
    image = image * (1 + draw(-a.contrast, a.contrast)) + draw(-a.brightness, a.brightness)
    sigma = a.blur_px * float(rng.random())
    if sigma > 0.3 and rng.random() < 0.3:
        image = gaussian_blur(image, sigma)
    grain = torch.from_numpy(rng.standard_normal(image.shape, np.float32))
    return image + grain * draw(0, a.noise)


def gaussian_blur(image: Tensor, sigma: float) -> Tensor:
    """[B, C, H, W], separable Gaussian of `sigma` pixels, edges repeated."""
    radius = max(1, int(3 * sigma + 0.5))
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, dtype=image.dtype) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).to(image.device).expand(image.shape[1], 1, -1)
    groups = image.shape[1]
    image = F.conv2d(F.pad(image, (radius, radius, 0, 0), "replicate"), kernel[:, :, None, :], groups=groups)
    return F.conv2d(F.pad(image, (0, 0, radius, radius), "replicate"), kernel[:, :, :, None], groups=groups)


def expert_targets(slices: Slices, rows: np.ndarray, experts: Sequence[Expert]) -> dict[str, Tensor]:
    """Which rater stands for each expert on each row: {expert name: int64 [B]}.

    Ranks are taken among the raters who outlined something (on the slice, or in the lesion), so that a style says how
    tightly, never whether; with fewer raters than experts the ranks are spread over those present.
    """
    targets = {}
    for rule, areas in (("slice_area", slices.areas_px[rows]), ("nodule_volume", slices.lesion_areas_px[rows])):
        group = [expert for expert in experts if expert.ranked_by == rule]
        order = np.argsort(np.where(areas > 0, areas, -1), axis=1, kind="stable")  # absent raters first
        present = (areas > 0).sum(1)
        for rank, expert in enumerate(group):
            place = np.rint(rank * np.maximum(present - 1, 0) / max(1, len(group) - 1)).astype(int)
            column = areas.shape[1] - present + place
            column = np.minimum(column, areas.shape[1] - 1)
            targets[expert.name] = torch.from_numpy(order[np.arange(len(rows)), column])
    for expert in experts:
        if expert.ranked_by == "rater":
            targets[expert.name] = torch.full((len(rows),), slices.raters.index(expert.name), dtype=torch.long)
    return targets


class BatchStream(IterableDataset):
    """Batches from `start()` on, without end; `start` is asked when iteration begins, so a resumed run continues."""

    def __init__(self, source: BatchSource, start=lambda: 0):
        self.source, self.start = source, start

    def __iter__(self) -> Iterator[Batch]:
        step = self.start()
        while True:
            yield self.source.batch(step)
            step += 1
