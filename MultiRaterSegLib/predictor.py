"""The straight line from volume to volume: crop, frame, encode once, style, sample, back to native voxels."""

import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import __version__
from .checkpoint import Checkpoint, load_checkpoint
from .errors import Cancelled, GeometryError, UnsupportedRequest
from .frame import Frame, upright_axes
from .geometry import Grid, Volume, resample
from .lesion_part import part_at_point, parts_in_box
from .method import Method, Style
from .noise import Noise
from .prediction import Prediction

DEPTH_MM = 40.0
"""Slices looked at around a point, in all; lesions of 30 mm fit with room to see where they end."""

SLICES_PER_BATCH = 8
PLANES_PER_BATCH = {"cpu": 16}  # samples x slices decoded at once: 16 fit a CPU's cache, 160 take three times as long
PLANES_PER_BATCH_GPU = 640

Progress = Callable[[float], bool | None]
"""Called with the share done, 0..1; returning False cancels."""


class VolumePredictor:
    """A model ready for scans. `lesion(...)` encodes a place once; every style of it is then cheap."""

    def __init__(self, checkpoint: Checkpoint, device: str = "cpu"):
        self.checkpoint, self.device = checkpoint, torch.device(device)
        self.method: Method = checkpoint.method.to(self.device).eval()
        self.frame: Frame = checkpoint.frame

    @classmethod
    def from_checkpoint(cls, name_or_path: str | Path = "prosona_compact", device: str = "auto") -> "VolumePredictor":
        """A shipped or installed model by name, or a file. device: "auto", "cpu", "cuda", "cuda:1", "mps"."""
        device = choose_device(device)
        return cls(load_checkpoint(name_or_path, device), device)

    @property
    def experts(self) -> list[str]:
        """Names of the reader styles offered for use: those along a lesion where the model has them."""
        known = self.method.experts
        kinds = {expert.ranked_by for expert in known}
        shown = "rater" if "rater" in kinds else "nodule_volume" if "nodule_volume" in kinds else "slice_area"
        return [expert.name for expert in known if expert.ranked_by == shown]

    def lesion(self, volume: Volume, at=None, box=None, seed: int = 0, progress: Progress | None = None) -> "Lesion":
        """Looks at one place of the scan. at: RAS mm of a point in the lesion. box: its (low, high) RAS corners instead.

        Raises GeometryError when the place is outside the scan, UnsupportedRequest when the channels do not fit.
        """
        if volume.voxels.shape[0] != self.method.channels:
            raise UnsupportedRequest(
                f"'{volume.source}' has {volume.voxels.shape[0]} channels; {self.checkpoint.name} reads {self.method.channels}."
            )
        return Lesion(self, volume, Place.of(volume, at, box), seed, progress)

    def consensus(self, volume: Volume, at=None, box=None, samples: int = 20, seed: int = 0) -> Prediction:
        """The population of readers at one place."""
        return self.lesion(volume, at, box, seed).consensus(samples)

    def expert(self, volume: Volume, name: str, at=None, box=None, samples: int = 20, seed: int = 0) -> Prediction:
        """One reader style by name."""
        return self.lesion(volume, at, box, seed).style(name, samples)

    def prompt(self, volume: Volume, prompt: str, at=None, box=None, samples: int = 20, seed: int = 0) -> Prediction:
        """The outline that a sentence asks for."""
        return self.lesion(volume, at, box, seed).prompt(prompt, samples)

    def interpolate(
        self, volume: Volume, a: str, b: str, t: float, at=None, box=None, samples: int = 20, seed: int = 0
    ) -> Prediction:
        """Between two styles, each an expert's name or a sentence; t = 0 is a, t = 1 is b."""
        return self.lesion(volume, at, box, seed).between(a, b, t, samples)

    def provenance(self, seed: int, samples: int, **request) -> dict:
        """What it takes to make a result again."""
        return {
            "software": f"MultiRaterSeg {__version__}",
            "model": self.checkpoint.name,
            "model_sha256": self.checkpoint.sha256,
            "method": self.method.name,
            "device": str(self.device),
            "torch": torch.__version__,
            "python": platform.python_version(),
            "seed": seed,
            "samples": samples,
            **request,
        }


@dataclass(frozen=True)
class Place:
    """Where to look: the point that the frame is centred on, and the box or point that the lesion must touch (RAS mm)."""

    center: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None

    @classmethod
    def of(cls, volume: Volume, at, box) -> "Place":
        if (at is None) == (box is None):
            raise UnsupportedRequest("Say where the lesion is: either a point (at) or a box, not both.")
        if box is None:
            place = cls(np.asarray(at, float))
        else:
            low, high = np.minimum(*box).astype(float), np.maximum(*box).astype(float)
            place = cls((low + high) / 2, low, high)
        if place.center.shape != (3,) or not np.isfinite(place.center).all():
            raise GeometryError(f"A place is three numbers R, A, S in mm; got {at if box is None else box}.")
        if not volume.grid.contains(place.center):
            raise GeometryError(f"{_place_words(place)} is outside '{volume.source}', {extent_words(volume.grid)}.")
        return place

    def part_of(self, mask: np.ndarray, grid: Grid) -> np.ndarray:
        """The part of the mask [K, J, I] that is this lesion."""
        if self.low is None:
            return part_at_point(mask, grid, self.center)
        return parts_in_box(mask, grid, self.low, self.high)


class Lesion:
    """One place in one scan, encoded once; ask it for any number of styles."""

    def __init__(
        self, predictor: VolumePredictor, volume: Volume, place: Place, seed: int, progress: Progress | None = None
    ):
        self.predictor, self.volume, self.place, self.seed = predictor, volume, place, seed
        self.grid = _look_at(volume.grid, place, predictor.frame)
        self.frame_grid = predictor.frame.grid_for(self.grid, place.center)
        voxels, window = _cut(volume, self.frame_grid)
        image = resample(torch.from_numpy(voxels), window, self.frame_grid)
        self.encoded = self._encode(predictor.frame.normalize(image).movedim(0, 1), progress)  # [K, C, H, W]
        self.modality_warnings = modality_warnings(volume, predictor.checkpoint)

    def consensus(self, samples: int = 20, progress: Progress | None = None) -> Prediction:
        """The population of readers."""
        return self._predict(None, samples, "Consensus", {"style": "population"}, progress)

    def style(self, name: str, samples: int = 20, progress: Progress | None = None) -> Prediction:
        """An expert by name, or the outline that a sentence asks for."""
        titles = {expert.name.lower(): expert.title for expert in self.predictor.method.experts}
        title = titles.get(name.lower(), f'"{name}"')
        return self._predict(self.resolve(name), samples, title, self._describe(name), progress)

    def prompt(self, prompt: str, samples: int = 20, progress: Progress | None = None) -> Prediction:
        """The outline that a sentence asks for."""
        style = self.predictor.method.prompt_style(self.encoded[0], prompt)
        return self._predict(style, samples, f'"{prompt}"', self._describe(prompt), progress)

    def between(self, a: str, b: str, t: float, samples: int = 20, progress: Progress | None = None) -> Prediction:
        """Between two styles, each an expert's name or a sentence; t = 0 is a, t = 1 is b."""
        if not 0 <= t <= 1:
            raise UnsupportedRequest(f"Between two styles, t runs from 0 (the first) to 1 (the second); got {t}.")
        style = self.predictor.method.interpolate(self.resolve(a), self.resolve(b), t)
        request = {"style": "between", "first": self._describe(a), "second": self._describe(b), "t": t}
        return self._predict(style, samples, f"{a} to {b}, {t:g}", request, progress)

    def resolve(self, name: str) -> Style:
        """The style of an expert's name or a sentence. Raises UnsupportedRequest for neither."""
        method = self.predictor.method
        names = [expert.name.lower() for expert in method.experts]
        if name.lower() in names:
            return method.expert_style(self.encoded[0], names.index(name.lower()))
        return method.prompt_style(self.encoded[0], name)

    def _describe(self, name: str) -> dict:
        """How a style's name was understood, for the record."""
        if name.lower() in [expert.name.lower() for expert in self.predictor.method.experts]:
            return {"style": "expert", "expert": name.lower()}
        understood = self.predictor.method.understand(name)
        return {"style": "prompt", "prompt": name, "understood": understood.summary(), "notes": list(understood.notes)}

    @torch.inference_mode()
    def _predict(
        self, style: Style | None, samples: int, title: str, request: dict, progress: Progress | None
    ) -> Prediction:
        if samples < 1:
            raise UnsupportedRequest(f"The number of samples must be at least 1; got {samples}.")
        masks = np.empty((samples, *self.grid.shape), bool)
        planes = PLANES_PER_BATCH.get(self.predictor.device.type, PLANES_PER_BATCH_GPU)
        done = 0
        for chosen in _chunks(samples, max(1, planes // SLICES_PER_BATCH)):
            values = torch.cat([self._decode(encoded, chosen, style) for encoded in self.encoded], 1)  # [s, K, H, W]
            native = resample(values, self.frame_grid, self.grid, outside=0.0).cpu().numpy()
            for n, value in zip(chosen, native):
                masks[n] = self.place.part_of(value > 0.5, self.grid)
            done += len(chosen)
            _report(progress, done / samples)
        warnings = (*self.modality_warnings, *_outline_warnings(masks, self))
        provenance = self.predictor.provenance(self.seed, samples, place_ras=self.place.center.tolist(), **request)
        return Prediction(masks, self.grid, self.volume.grid, title, warnings, provenance)

    def _decode(self, encoded, chosen: Sequence[int], style: Style | None) -> Tensor:
        """Lesion probability [s, slices, H, W] of some samples; halves the batch when memory runs out."""
        noise = Noise(self.seed, samples=chosen)
        try:
            return 1 - self.predictor.method.sample(encoded, noise, style)[:, :, 0]
        except torch.OutOfMemoryError:
            if len(chosen) == 1:
                raise
            half = len(chosen) // 2
            torch.cuda.empty_cache()
            return torch.cat([self._decode(encoded, part, style) for part in (chosen[:half], chosen[half:])])

    @torch.inference_mode()
    def _encode(self, image: Tensor, progress: Progress | None) -> list:
        encoded = []
        for chosen in _chunks(len(image), SLICES_PER_BATCH):
            encoded.append(self.predictor.method.encode(image[list(chosen)].to(self.predictor.device)))
            _report(progress, (chosen[-1] + 1) / len(image))
        return encoded


def choose_device(name: str) -> str:
    """ "auto" is the best there is; anything else must exist. Raises UnsupportedRequest."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UnsupportedRequest(f"Device '{name}' cannot be used here ({error}). Use --device cpu.") from error
    return name


def extent_words(grid: Grid) -> str:
    """Where a scan lies, for messages: "which spans R -170..170, A ..., S ... mm"."""
    corners = grid.to_ras(
        [[i, j, k] for i in (0, grid.shape[2] - 1) for j in (0, grid.shape[1] - 1) for k in (0, grid.shape[0] - 1)]
    )
    spans = [f"{axis} {low:.0f}..{high:.0f}" for axis, low, high in zip("RAS", corners.min(0), corners.max(0))]
    return f"which spans {', '.join(spans)} mm"


def modality_warnings(volume: Volume, checkpoint: Checkpoint) -> tuple[str, ...]:
    """A sentence when the scan is not of the kind the model was trained on, or does not say what it is."""
    trained, purpose = checkpoint.info.get("modality", ""), checkpoint.info.get("trained_for", "other scans")
    if not trained or volume.modality == trained:
        return ()
    if volume.modality:
        return (
            f"This model was trained on {purpose}; this scan is {volume.modality}. Results here are not meaningful.",
        )
    return (
        f"This model was trained on {purpose}. The file does not say what kind of scan it is: check that it is {trained}.",
    )


def _outline_warnings(masks: np.ndarray, lesion: Lesion) -> tuple[str, ...]:
    """Plain words about outlines [S, k, j, i] that the reader of the result should not take at face value."""
    anybody = masks.any(0)
    if not anybody.any():
        return ("No simulated reader outlined anything here. Point at the middle of the lesion.",)
    found = []
    order, _ = upright_axes(lesion.grid.affine[:3, :3] / lesion.grid.spacing)
    slices = anybody.any(tuple(2 - axis for axis in order[:2]))
    if slices.sum() < 3:
        covered = "1 slice" if slices.sum() == 1 else f"{slices.sum()} slices"
        found.append(f"The outline covers only {covered}; volumes and 3-D distances are unreliable.")
    if slices[[0, -1]].any() and len(slices) > 1:
        found.append("The outline reaches the first or last slice that was looked at. Give a taller box with --roi.")
    if _at_frame_edge(anybody, lesion):
        field = lesion.predictor.frame.field_of_view_mm
        found.append(
            f"The outline touches the edge of the {field:.0f} mm field that the model sees; it may be cut off."
        )
    return tuple(found)


def _at_frame_edge(mask: np.ndarray, lesion: Lesion) -> bool:
    """Whether the mask comes within a pixel and a half of the frame's edge (in its plane)."""
    where = lesion.frame_grid.to_ijk(lesion.grid.to_ras(np.argwhere(mask)[:, ::-1]))[:, :2]
    return bool((where < 1).any() or (where > lesion.predictor.frame.size - 2).any())


def _look_at(scan: Grid, place: Place, frame: Frame) -> Grid:
    """The part of the scan to answer for: the frame's field in the plane, DEPTH_MM (or the box and a margin) across."""
    order, _ = upright_axes(scan.affine[:3, :3] / scan.spacing)
    half = np.full(3, frame.field_of_view_mm / 2 - frame.spacing_mm)
    middle = scan.to_ijk(place.center)
    reach = half / scan.spacing
    across = order[2]
    reach[across] = DEPTH_MM / 2 / scan.spacing[across]
    if place.low is not None:
        corners = scan.to_ijk(np.array(np.meshgrid(*zip(place.low, place.high))).reshape(3, -1).T)
        reach[across] = np.ptp(corners[:, across]) / 2 + 2
    return scan.crop(np.ceil(middle - reach), np.floor(middle + reach))


def _cut(volume: Volume, frame_grid: Grid) -> tuple[np.ndarray, Grid]:
    """The scan's voxels around the frame as float32, with a margin for interpolation: a scan is large, a lesion small."""
    ends = [(0, n - 1) for n in frame_grid.size_ijk]
    corners = volume.grid.to_ijk(frame_grid.to_ras(np.array(np.meshgrid(*ends)).reshape(3, -1).T))
    grid = volume.grid.crop(np.floor(corners.min(0)) - 2, np.ceil(corners.max(0)) + 2)
    low = np.rint(volume.grid.to_ijk(grid.to_ras([0, 0, 0]))).astype(int)[::-1]
    part = volume.voxels[(slice(None), *(slice(a, a + n) for a, n in zip(low, grid.shape)))]
    return np.ascontiguousarray(part, np.float32), grid


def _place_words(place: Place) -> str:
    point = ", ".join(f"{value:.1f}" for value in place.center)
    return f"The point R, A, S = {point} mm" if place.low is None else f"The middle of the box, R, A, S = {point} mm,"


def _chunks(count: int, size: int) -> Iterator[range]:
    return (range(start, min(start + size, count)) for start in range(0, count, size))


def _report(progress: Progress | None, share: float) -> None:
    if progress is not None and progress(share) is False:
        raise Cancelled("Cancelled; nothing was written.")
