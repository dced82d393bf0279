"""What a model draws on single slices, in their native pixels: crop -> frame -> method -> crop."""

import zipfile
from collections.abc import Callable, Iterator, Sequence
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
    are averaged for an expert's one mask, 0: no expert is drawn."""

    samples: int = 50
    seeds: tuple[int, ...] = (0, 1, 2)
    expert_samples: int = 10


@dataclass(frozen=True, eq=False)
class SlicePrediction:
    """row: in the data set. samples: bool [seeds, S, H, W]. probability: float32 [seeds, H, W], mean of the samples'
    probabilities. experts: float32 [seeds, E, H, W], mean probability of each expert's samples, in the order of
    `experts_and_readers`; E is 0 where no expert of the model stands for a reader of the data."""

    row: int
    samples: np.ndarray
    probability: np.ndarray
    experts: np.ndarray


Planes = Callable[[int], np.ndarray]
"""The image of a row: float32 [C, H, W] in its native pixels."""


@torch.inference_mode()
def predict_slices(
    method: Method,
    frame: Frame,
    slices: Slices,
    rows: Sequence[int],
    sampling: Sampling,
    planes: Planes | None = None,
    style_of: Callable[[Sequence[int]], Style] | None = None,
) -> Iterator[SlicePrediction]:
    """Every slice as an image of its own: encoded once, normalised alone, its noise addressed by its row.

    planes: images to look at instead of the data's own, such as corrupted ones. style_of(rows): the style of the samples,
    [S or 1, rows or 1, ...], instead of the population's."""
    check_channels(method, slices)
    look = planes or (lambda row: slices.planes([row])[0])
    experts = [expert for expert, _ in experts_and_readers(method, slices)] if sampling.expert_samples else []
    device = next(method.parameters()).device
    for start in range(0, len(rows), SLICES_PER_BATCH):
        chosen = [int(row) for row in rows[start : start + SLICES_PER_BATCH]]
        native = [native_grid(slices, row) for row in chosen]
        images = [frame_image(look(row), grid, frame) for row, grid in zip(chosen, native)]
        encoded = method.encode(torch.stack(images).to(device))
        styles = [method.expert_style(encoded, expert) for expert in experts]
        asked = style_of(chosen) if style_of else None
        parts = [
            list(_predict(method, frame, encoded, asked, styles, seed, chosen, native, sampling))
            for seed in sampling.seeds
        ]
        for i, row in enumerate(chosen):
            yield SlicePrediction(row, *(np.stack(arrays) for arrays in zip(*(part[i] for part in parts))))


def check_channels(method: Method, slices: Slices) -> None:
    """Raises DataError for images of another number of channels than the method looks at."""
    if slices.channels != method.channels:
        raise DataError(f"The model takes images of {method.channels} channel(s); the data have {slices.channels}.")


def _predict(method, frame, encoded, asked, styles, seed: int, rows: list[int], native: list[Grid], sampling: Sampling):
    """For each row: samples [S, H, W], probability [H, W], experts [E, H, W] of one seed."""
    drawn = draw_lesion(method, encoded, Noise(seed, samples=sampling.samples, images=rows), asked)
    noise = Noise(seed, samples=sampling.expert_samples, images=rows)
    experts = [draw_lesion(method, encoded, noise, style).mean(0) for style in styles]
    for i, grid in enumerate(native):
        probabilities = to_native(drawn[:, i], frame, grid)
        masks = [to_native(mean[i], frame, grid) for mean in experts]
        none = np.zeros((0, *grid.shape[1:]), np.float32)
        yield probabilities > 0.5, probabilities.mean(0), np.stack(masks) if masks else none


def reader_names(slices: Slices) -> tuple[str, ...]:
    """Of stable raters their names; of anonymous ones their ranks by area on a slice, A1 (smallest), A2, ..."""
    return slices.raters or tuple(f"A{rank}" for rank in range(1, slices.packed_masks.shape[1] + 1))


def experts_and_readers(method: Method, slices: Slices) -> list[tuple[int, int]]:
    """Which expert of the model stands for which reader of the data (as `reader_names` has them), by reader."""
    rule = "rater" if slices.raters else "slice_area"
    known = {expert.name: i for i, expert in enumerate(method.experts) if expert.ranked_by == rule}
    return [(known[name], reader) for reader, name in enumerate(reader_names(slices)) if name in known]


def native_grid(slices: Slices, row: int) -> Grid:
    """The crop's own pixels, upright, centred on the origin; one slice, 1 mm thick."""
    height, width = slices.images.shape[-2:]
    spacing = float(slices.spacing_mm[row])
    affine = np.eye(4)
    affine[:3, :3] = UPRIGHT * np.array([spacing, spacing, 1.0])
    return Grid((1, height, width), affine)


def frame_image(image: np.ndarray, grid: Grid, frame: Frame) -> Tensor:
    """[C, H, W] on its grid -> [C, size, size] as the method sees it, normalised as a lesion of one slice."""
    values = torch.from_numpy(np.asarray(image, np.float32))[:, None]
    return frame.normalize(resample(values, grid, frame.grid_for(grid)))[:, 0]


def to_native(probability: Tensor, frame: Frame, grid: Grid) -> np.ndarray:
    """Probabilities [..., size, size] of the frame -> float32 [..., H, W] of the crop; 0 outside the frame."""
    values = resample(probability.unsqueeze(-3), frame.grid_for(grid), grid, outside=0.0)
    return values.squeeze(-3).cpu().numpy()


def draw_lesion(method: Method, encoded, noise: Noise, style: Style | None) -> Tensor:
    """Lesion probability [S, B, H, W]; the parts are addressed, so their size changes nothing."""
    planes = PLANES_PER_BATCH.get(next(method.parameters()).device.type, PLANES_PER_BATCH["cuda"])
    count = max(1, planes // len(noise.images))
    starts = range(0, len(noise.samples), count)
    each = style is not None and len(style) > 1  # a style for each sample

    def draw(part: slice) -> Tensor:
        return method.sample(encoded, noise.select(noise.samples[part]), style[part] if each else style)[:, :, 1]

    return torch.cat([draw(slice(start, start + count)) for start in starts])


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
