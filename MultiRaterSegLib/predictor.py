"""The straight line from volume to volume: crop, frame, encode once, style, sample, back to native voxels."""

import platform
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import __version__
from .asked_style import AskedStyle, name_of
from .checkpoint import Checkpoint, load_checkpoint
from .errors import Cancelled, UnsupportedRequest
from .expert import offered
from .frame import Frame
from .geometry import Grid, Volume
from .knobs import Knobs
from .memory import in_halves
from .method import Method, Style
from .noise import Noise
from .prediction import Prediction
from .region import Place, Region
from .resample import resample
from .suitability import check_channels, modality_warnings

DEFAULT_MODEL = "prosona_compact"

SLICES_PER_BATCH = 8
PLANES_PER_BATCH = {"cpu": 16}  # samples x slices decoded at once: 16 fit a CPU's cache, 160 take three times as long
PLANES_PER_BATCH_GPU = 640
MANY = 0.1  # share of simulated readers below which a stray outline is no reason for a warning

Progress = Callable[[float], bool | None]
"""Called with the share done, 0..1; returning False cancels."""


class VolumePredictor:
    """A model ready for scans. `lesion(...)` encodes a place once; every style of it is then cheap."""

    def __init__(self, checkpoint: Checkpoint, device: str = "cpu"):
        self.checkpoint, self.device = checkpoint, torch.device(device)
        self.method: Method = checkpoint.method.to(self.device).eval()
        self.frame: Frame = checkpoint.frame
        self._own = self.method.knobs

    @classmethod
    def from_checkpoint(
        cls,
        name_or_path: str | Path = DEFAULT_MODEL,
        device: str = "auto",
        steps: int | None = None,
        preference: float | None = None,
    ) -> "VolumePredictor":
        """A shipped or installed model by name, or a file. device: "auto", "cpu", "cuda", "cuda:1", "mps".

        steps: network evaluations a sample, of a model that samples in steps. preference: of an aligned model, 0 to 1 (see
        Knobs). None = the model's own choice.
        """
        device = choose_device(device)
        predictor = cls(load_checkpoint(name_or_path, device), device)
        predictor.use(Knobs(steps, preference))
        return predictor

    def use(self, knobs: Knobs) -> None:
        """From now on it draws so; None: the model's own value. Raises UnsupportedRequest for a knob that the model does not
        have, or that does not go so far."""
        self.method.use(knobs.over(self._own))

    @property
    def experts(self) -> list[str]:
        """Names of the reader styles offered for use: those along a lesion where the model has them."""
        return [expert.name for expert in offered(self.method.experts)]

    def lesion(
        self,
        volume: Volume,
        at=None,
        box=None,
        seed: int = 0,
        progress: Progress | None = None,
        scan: Grid | None = None,
    ) -> "Lesion":
        """Looks at one place of the scan. at: RAS mm of a point in the lesion. box: its (low, high) RAS corners instead.
        scan: the grid of the whole scan where `volume` is only the part of it around the lesion (Region.window).

        Raises GeometryError when the place is outside the scan, UnsupportedRequest when the channels do not fit.
        """
        advice = "Give the others with --channel, in this order."
        check_channels(volume, self.checkpoint.name, self.method.channels, self.checkpoint.info, advice)
        scan = scan or volume.grid
        region = Region.around(Place.of(scan, at, box, volume.source), scan, self.frame)
        return Lesion(self, volume, region, seed, progress)

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
            **self.method.knobs.provenance,
            **request,
        }


class Lesion:
    """One place in one scan, encoded once; ask it for any number of styles."""

    def __init__(
        self, predictor: VolumePredictor, volume: Volume, region: Region, seed: int, progress: Progress | None = None
    ):
        """volume: the scan, or a part of it that covers the region's window."""
        self.predictor, self.volume, self.region, self.seed = predictor, volume, region, seed
        voxels = np.ascontiguousarray(region.cut(volume), np.float32)
        image = resample(torch.from_numpy(voxels), region.window, region.frame_grid)
        self.image = predictor.frame.normalize(image).movedim(0, 1)  # [K, C, H, W]
        self.encoded = self._encode(progress)
        self.modality_warnings = modality_warnings(volume.modality, predictor.checkpoint.info)

    @property
    def grid(self) -> Grid:
        """The part of the scan to answer for."""
        return self.region.grid

    def consensus(self, samples: int = 20, progress: Progress | None = None) -> Prediction:
        """The population of readers."""
        return self.ask(None, samples, progress)

    def style(self, name: str, samples: int = 20, progress: Progress | None = None) -> Prediction:
        """An expert by name, or the outline that a sentence asks for."""
        return self.ask(name, samples, progress)

    def prompt(self, prompt: str, samples: int = 20, progress: Progress | None = None) -> Prediction:
        """The outline that a sentence asks for, also where an expert bears that name."""
        style = self.predictor.method.prompt_style(self.encoded[0], prompt)
        return self._predict(style, samples, f'"{prompt}"', self._describe_prompt(prompt), progress)

    def between(self, a: str, b: str, t: float, samples: int = 20, progress: Progress | None = None) -> Prediction:
        """Between two styles, each an expert's name or a sentence; t = 0 is a, t = 1 is b."""
        return self.ask((a, b, t), samples, progress)

    def ask(self, style: AskedStyle, samples: int = 20, progress: Progress | None = None) -> Prediction:
        """Any of these by value. Raises UnsupportedRequest for what the model cannot follow."""
        resolved = self.resolve(style)
        return self._predict(resolved, samples, self.title_of(style), self._describe(style), progress)

    def resolve(self, style: AskedStyle) -> Style | None:
        """What the method is told. Raises UnsupportedRequest for what it cannot follow."""
        method = self.predictor.method
        if style is None:
            return None
        if isinstance(style, str):
            if (expert := self._expert(style)) is None:
                return method.prompt_style(self.encoded[0], style)
            return method.expert_style(self.encoded[0], expert)
        first, second, t = style
        if not 0 <= t <= 1:
            raise UnsupportedRequest(f"Between two styles, t runs from 0 (the first) to 1 (the second); got {t}.")
        return method.interpolate(self.resolve(first), self.resolve(second), t)

    def title_of(self, style: AskedStyle) -> str:
        """What a person reads beside its outline."""
        if style is None:
            return "Consensus"
        if isinstance(style, str):
            expert = self._expert(style)
            return f'"{style}"' if expert is None else self.predictor.method.experts[expert].title
        return name_of(style)

    def _expert(self, name: str) -> int | None:
        """The position of an expert among those the method knows; None for a sentence."""
        names = [expert.name.lower() for expert in self.predictor.method.experts]
        return names.index(name.lower()) if name.lower() in names else None

    def _describe(self, style: AskedStyle) -> dict:
        """How it was understood, for the record."""
        if style is None:
            return {"style": "population"}
        if isinstance(style, str):
            known = self._expert(style) is not None
            return {"style": "expert", "expert": style.lower()} if known else self._describe_prompt(style)
        first, second, t = style
        return {"style": "between", "first": self._describe(first), "second": self._describe(second), "t": t}

    def _describe_prompt(self, prompt: str) -> dict:
        understood = self.predictor.method.understand(prompt)
        return {
            "style": "prompt",
            "prompt": prompt,
            "understood": understood.summary(),
            "notes": list(understood.notes),
        }

    @torch.inference_mode()
    def _predict(
        self, style: Style | None, samples: int, title: str, request: dict, progress: Progress | None
    ) -> Prediction:
        if samples < 1:
            raise UnsupportedRequest(f"The number of samples must be at least 1; got {samples}.")
        region, done = self.region, 0
        masks = np.empty((samples, *self.grid.shape), bool)
        planes = PLANES_PER_BATCH.get(self.predictor.device.type, PLANES_PER_BATCH_GPU)
        for chosen in _chunks(samples, max(1, planes // SLICES_PER_BATCH)):
            parts = []
            for encoded in self.encoded:
                parts.append(self._decode(encoded, chosen, style))
                done += parts[-1].shape[0] * parts[-1].shape[1]
                report(progress, done / (samples * len(self.image)))
            native = resample(torch.cat(parts, 1), region.frame_grid, region.grid, outside=0.0)  # [s, k, j, i]
            for n, value in zip(chosen, native.cpu().numpy()):
                masks[n] = region.place.part_of(value > 0.5, region.grid)
        warnings = (*self.modality_warnings, *_outline_warnings(masks, self))
        provenance = self.predictor.provenance(self.seed, samples, place_ras=region.place.center.tolist(), **request)
        return Prediction(masks, region.grid, region.scan, title, warnings, provenance)

    def _decode(self, encoded, chosen: Sequence[int], style: Style | None) -> Tensor:
        """Lesion probability [s, slices, H, W] of some samples."""

        def decode(some: Sequence[int]) -> list[Tensor]:
            return [1 - self.predictor.method.sample(encoded, Noise(self.seed, samples=some), style)[:, :, 0]]

        return torch.cat(in_halves(decode, chosen))

    @torch.inference_mode()
    def _encode(self, progress: Progress | None) -> list:
        encoded = []
        for chosen in _chunks(len(self.image), SLICES_PER_BATCH):
            encoded.extend(in_halves(self._encode_slices, chosen))
            report(progress, (chosen[-1] + 1) / len(self.image))
        return encoded

    def _encode_slices(self, chosen: Sequence[int]) -> list:
        return [self.predictor.method.encode(self.image[list(chosen)].to(self.predictor.device))]


def choose_device(name: str) -> str:
    """ "auto" is the best there is; anything else must exist. Raises UnsupportedRequest."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UnsupportedRequest(f"Device '{name}' cannot be used here ({error}). Use --device cpu.") from error
    return name


def _outline_warnings(masks: np.ndarray, lesion: Lesion) -> tuple[str, ...]:
    """Plain words about outlines [S, k, j, i] that the reader of the result should not take at face value."""
    anybody = masks.any(0)
    if not anybody.any():
        return ("No simulated reader outlined anything here. Point at the middle of the lesion.",)
    found = []
    slices = masks.any(_in_plane(lesion)).any(0)
    if slices.sum() < 3:
        covered = "1 slice" if slices.sum() == 1 else f"{slices.sum()} slices"
        found.append(f"The outline covers only {covered}; volumes and 3-D distances are unreliable.")
    found.extend(_end_warnings(masks.any(_in_plane(lesion)).mean(0) >= MANY, lesion.region))
    if _at_frame_edge(anybody, lesion):
        field = lesion.predictor.frame.field_of_view_mm
        found.append(
            f"The outline touches the edge of the {field:.0f} mm field that the model sees; it may be cut off."
        )
    return tuple(found)


def _in_plane(lesion: Lesion) -> tuple[int, int]:
    """The two axes of masks [S, k, j, i] along which one slice of the lesion lies."""
    return tuple(3 - axis for axis in range(3) if axis != lesion.region.across)


def _end_warnings(reached: np.ndarray, region: Region) -> list[str]:
    """reached [n]: the slices that were looked at and that enough simulated readers outline."""
    if len(reached) < 2 or not reached[[0, -1]].any():
        return []
    outermost = {0, int(region.scan.size_ijk[region.across]) - 1}
    ends = {index for index, there in ((region.slices[0], reached[0]), (region.slices[-1], reached[-1])) if there}
    if ends <= outermost:
        return ["The outline reaches the end of the scan; the lesion may go on beyond it."]
    return ["The outline reaches the first or last slice that was looked at. Give a taller box with --roi."]


def _at_frame_edge(mask: np.ndarray, lesion: Lesion) -> bool:
    """Whether the mask comes within a pixel and a half of the frame's edge (in its plane)."""
    where = lesion.region.frame_grid.to_ijk(lesion.grid.to_ras(np.argwhere(mask)[:, ::-1]))[:, :2]
    return bool((where < 1).any() or (where > lesion.predictor.frame.size - 2).any())


def _chunks(count: int, size: int) -> Iterator[range]:
    return (range(start, min(start + size, count)) for start in range(0, count, size))


def report(progress: Progress | None, share: float) -> None:
    """Passes the share done on. Raises Cancelled when the answer is False."""
    if progress is not None and progress(share) is False:
        raise Cancelled("Cancelled; nothing was written.")
