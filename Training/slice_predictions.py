"""What a model draws on single slices, in their native pixels: crop -> frame -> method -> crop."""

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from MultiRaterSegLib.errors import DataError
from MultiRaterSegLib.frame import UPRIGHT, Frame
from MultiRaterSegLib.geometry import Grid
from MultiRaterSegLib.method import Method, Style
from MultiRaterSegLib.noise import Noise
from MultiRaterSegLib.resample import resample

from .data.slices import Slices

SLICES_PER_BATCH = 8
PLANES_PER_BATCH = {
    "cpu": 16,
    "cuda": 512,
}  # samples x slices drawn at once; 16 fit a CPU's cache, 160 take 3 x as long


@dataclass(frozen=True)
class Sampling:
    """samples: how many of the population are drawn. seeds: one set of samples each. expert_samples: probabilities that
    are averaged for an expert's one mask."""

    samples: int = 50
    seeds: tuple[int, ...] = (0, 1, 2)
    expert_samples: int = 10


@dataclass(frozen=True, eq=False)
class SlicePrediction:
    """row: in the data set. samples: bool [seeds, S, H, W]. experts: float32 [seeds, E, H, W], mean probability of each
    expert's samples; E is 0 where the model has no experts by slice area."""

    row: int
    samples: np.ndarray
    experts: np.ndarray


@torch.inference_mode()
def predict_slices(
    method: Method, frame: Frame, slices: Slices, rows: Sequence[int], sampling: Sampling
) -> Iterator[SlicePrediction]:
    """Every slice as an image of its own: encoded once, normalised alone, its noise addressed by its row."""
    experts = slice_experts(method)
    device = next(method.parameters()).device
    for start in range(0, len(rows), SLICES_PER_BATCH):
        chosen = [int(row) for row in rows[start : start + SLICES_PER_BATCH]]
        native = [native_grid(slices, row) for row in chosen]
        images = [frame_image(slices.images[row], grid, frame) for row, grid in zip(chosen, native)]
        encoded = method.encode(torch.stack(images).to(device))
        styles = [method.expert_style(encoded, expert) for expert in experts]
        samples = [[] for _ in chosen]
        means = [[] for _ in chosen]
        for seed in sampling.seeds:
            drawn = _draw(method, encoded, Noise(seed, samples=sampling.samples, images=chosen), None)
            noise = Noise(seed, samples=sampling.expert_samples, images=chosen)
            expert = [_draw(method, encoded, noise, style).mean(0) for style in styles]
            for i, grid in enumerate(native):
                samples[i].append(to_native(drawn[:, i], frame, grid) > 0.5)
                stack = [to_native(mean[i], frame, grid) for mean in expert]
                means[i].append(np.stack(stack) if stack else np.zeros((0, *grid.shape[1:]), np.float32))
        for i, row in enumerate(chosen):
            yield SlicePrediction(row, np.stack(samples[i]), np.stack(means[i]))


def slice_experts(method: Method) -> list[int]:
    """The experts that stand for the papers' A1..A4: ranks of area on each slice, smallest first."""
    return [i for i, expert in enumerate(method.experts) if expert.ranked_by == "slice_area"]


def native_grid(slices: Slices, row: int) -> Grid:
    """The crop's own pixels, upright, centred on the origin; one slice, 1 mm thick."""
    height, width = slices.images.shape[1:]
    spacing = float(slices.spacing_mm[row])
    affine = np.eye(4)
    affine[:3, :3] = UPRIGHT * np.array([spacing, spacing, 1.0])
    return Grid((1, height, width), affine)


def frame_image(image: np.ndarray, grid: Grid, frame: Frame) -> Tensor:
    """[H, W] on its grid -> [1, size, size] as the method sees it, normalised as a lesion of one slice."""
    values = torch.from_numpy(np.asarray(image, np.float32))[None, None]
    return frame.normalize(resample(values, grid, frame.grid_for(grid)))[0]


def to_native(probability: Tensor, frame: Frame, grid: Grid) -> np.ndarray:
    """Probabilities [..., size, size] of the frame -> float32 [..., H, W] of the crop; 0 outside the frame."""
    values = resample(probability.unsqueeze(-3), frame.grid_for(grid), grid, outside=0.0)
    return values.squeeze(-3).cpu().numpy()


def _draw(method: Method, encoded, noise: Noise, style: Style | None) -> Tensor:
    """Lesion probability [S, B, H, W]; the parts are addressed, so their size changes nothing."""
    planes = PLANES_PER_BATCH.get(next(method.parameters()).device.type, PLANES_PER_BATCH["cuda"])
    count = max(1, planes // len(noise.images))
    parts = [noise.samples[start : start + count] for start in range(0, len(noise.samples), count)]
    return torch.cat([method.sample(encoded, noise.select(part), style)[:, :, 1] for part in parts])


class PredictionFile:
    """Writes predictions as they come, so that a whole fold need not fit in memory. A context manager.

    The npz holds, of the first seed: `samples` uint8 [N, S, H, W], `experts` uint8 [N, E, H, W] (A1, the smallest,
    first), and `index` int64 [N], rows of the data file. It appears under its name only when it is complete.
    """

    def __init__(self, path: Path, rows: Sequence[int]):
        if not path.parent.is_dir():
            raise DataError(f"The folder '{path.parent}' for --save-predictions does not exist. Make it first.")
        self.path, self.rows = path, np.asarray(rows, np.int64)
        self.partial = path.with_name(path.name + ".partial")
        self.experts: list[np.ndarray] = []

    def __enter__(self) -> "PredictionFile":
        self.archive = zipfile.ZipFile(self.partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self.stream = self.archive.open("samples.npy", "w", force_zip64=True)
        return self

    def add(self, prediction: SlicePrediction) -> None:
        """The next row's prediction."""
        samples = prediction.samples[0].astype(np.uint8)
        if not self.experts:
            header = {"descr": "|u1", "fortran_order": False, "shape": (len(self.rows), *samples.shape)}
            np.lib.format.write_array_header_2_0(self.stream, header)
            self.width = samples.shape[-1]
        self.stream.write(samples.tobytes())
        self.experts.append(np.packbits(prediction.experts[0] > 0.5, axis=-1))

    def __exit__(self, kind, *_) -> None:
        self.stream.close()
        if kind is None:
            experts = np.unpackbits(np.stack(self.experts), axis=-1, count=self.width)
            for name, array in (("experts", experts), ("index", self.rows)):
                with self.archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, array)
        self.archive.close()
        if kind is None:
            self.partial.replace(self.path)
        else:
            self.partial.unlink()
