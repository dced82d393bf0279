"""The pixel lattice of a slice, random fields on it, and random numbers with an address."""

import zlib
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy.fft import irfft2
from scipy.ndimage import affine_transform


def random_from(*keys: object) -> np.random.Generator:
    """A generator addressed by its keys: the same numbers whatever was drawn before."""
    return np.random.default_rng([zlib.crc32(str(key).encode()) for key in keys])


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors [..., d] scaled to length 1."""
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)


def soft_step(x: np.ndarray) -> np.ndarray:
    """0 far below zero, 1/2 at zero, 1 far above."""
    return 0.5 + 0.5 * np.tanh(x)


@dataclass(frozen=True)
class Plane:
    """An axial lattice around (0, 0) mm; rows run to the patient's back, columns to the left.

    size: pixels that are kept. margin: pixels beyond each edge that are simulated and cut away, because filters and
    random fields are periodic. Arrays "on the plane" have the padded shape [size + 2 margin] * 2.
    """

    size: int = 128
    spacing_mm: float = 0.5
    margin: int = 8

    @property
    def padded(self) -> int:
        return self.size + 2 * self.margin

    @cached_property
    def axis_mm(self) -> np.ndarray:
        """Position of the rows, and of the columns: float32 [padded]."""
        return ((np.arange(self.padded) - (self.padded - 1) / 2) * self.spacing_mm).astype(np.float32)

    @cached_property
    def frequency(self) -> tuple[np.ndarray, np.ndarray]:
        """(row, column) frequency of a real 2-D FFT, cycles/mm: [padded, 1] and [1, padded / 2 + 1]."""
        rows = np.fft.fftfreq(self.padded, self.spacing_mm)[:, None]
        return rows, np.fft.rfftfreq(self.padded, self.spacing_mm)[None]

    @cached_property
    def radial_frequency(self) -> np.ndarray:
        """cycles/mm of a real 2-D FFT: float32 [padded, padded / 2 + 1]."""
        return np.hypot(*self.frequency).astype(np.float32)

    @property
    def kept(self) -> tuple[slice, slice]:
        """The part of a padded array that is kept."""
        inner = slice(self.margin, self.margin + self.size)
        return inner, inner

    @property
    def field_mm(self) -> float:
        """Side of the part that is kept."""
        return self.size * self.spacing_mm

    def place(self, masks: np.ndarray, spacing_mm: float, centre_mm: tuple[float, float]) -> np.ndarray:
        """Masks bool [M, h, w] of the given spacing, their centre at centre_mm (row, column), on the plane: bool [M,
        padded, padded]. Moved by whole pixels where the spacing is the plane's, else interpolated and cut at 1/2."""
        scale = self.spacing_mm / spacing_mm
        shift = np.asarray(centre_mm) / self.spacing_mm
        if scale == 1:
            shift = np.round(shift)
        middle = (np.array(masks.shape[1:]) - 1) / 2
        start = middle - scale * ((self.padded - 1) / 2 + shift)
        planes = [
            affine_transform(m.astype(np.float32), [scale] * 2, start, (self.padded,) * 2, order=1) for m in masks
        ]
        return np.stack(planes) > 0.5


def unit_variance(amplitude: np.ndarray, plane: Plane) -> np.ndarray:
    """A spectrum scaled so that `random_field` has an expected variance of 1."""
    amplitude = amplitude.copy()
    amplitude[0, 0] = 0
    twice = np.full(amplitude.shape, 2.0)  # a real FFT leaves out the mirrored half
    twice[:, 0] = twice[:, -1] = 1
    power = (twice * amplitude * amplitude).sum()
    return (amplitude * (plane.padded**2 / np.sqrt(2 * power))).astype(np.float32)


def random_field(rng: np.random.Generator, spectrum: np.ndarray) -> np.ndarray:
    """A stationary Gaussian field on the plane with the given amplitude spectrum."""
    white = rng.standard_normal((*spectrum.shape, 2), np.float32).view(np.complex64)[..., 0]
    return irfft2(white * spectrum, s=(spectrum.shape[0],) * 2)


@lru_cache(maxsize=32)
def smooth_spectrum(plane: Plane, cutoff: float, order: float) -> np.ndarray:
    """Low-pass spectrum of unit variance: `cutoff` in cycles/mm, falling with `order`."""
    return unit_variance(1 / (1 + (plane.radial_frequency / cutoff) ** 2) ** (order / 2), plane)


class DriftingField:
    """A random field of unit variance that changes smoothly with z: two layers turned into each other."""

    def __init__(self, rng: np.random.Generator, plane: Plane, cutoff: float, order: float, length_mm: float):
        spectrum = smooth_spectrum(plane, cutoff, order)
        self.layers = random_field(rng, spectrum), random_field(rng, spectrum)
        self.length_mm = length_mm

    def at(self, z_mm: float) -> np.ndarray:
        angle = z_mm / self.length_mm
        return np.cos(angle) * self.layers[0] + np.sin(angle) * self.layers[1]
