"""What an acquisition makes of the anatomy: blur by the focal spot and the pixel, correlated noise, HU."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.fft import irfft2, rfft2

from .plane import Plane, random_field, random_from, unit_variance


@dataclass(frozen=True)
class Scanner:
    """blur_mm: in-plane FWHM. noise_hu: standard deviation at 1.25 mm slices. noise_cutoff: cycles/mm. edge_boost: of
    the reconstruction kernel. streak: excess of noise in one direction. bias_hu: constant offset."""

    blur_mm: float
    noise_hu: float
    noise_cutoff: float
    edge_boost: float = 0.0
    streak: float = 0.0
    bias_hu: float = 0.0


SCANNERS = {
    "standard": Scanner(blur_mm=1.05, noise_hu=24, noise_cutoff=0.42),
    "smooth": Scanner(blur_mm=1.45, noise_hu=13, noise_cutoff=0.28, bias_hu=6),
    "sharp": Scanner(blur_mm=0.80, noise_hu=55, noise_cutoff=0.65, edge_boost=0.45, bias_hu=-5),
    "lowdose_streak": Scanner(1.15, noise_hu=48, noise_cutoff=0.45, edge_boost=0.05, streak=2.5, bias_hu=10),
}
SHARES = (0.40, 0.25, 0.20, 0.15)


def scanner_of(scan: int) -> str:
    """Each scan keeps one scanner (invented: the outlines come without)."""
    return str(random_from("scanner", scan).choice(list(SCANNERS), p=SHARES))


def acquire(
    density: np.ndarray, plane: Plane, scanner: Scanner, pixel_mm: float, noise_scale: float, rng: np.random.Generator
) -> np.ndarray:
    """Density on the plane -> HU int16 [size, size], in -1024..3071.

    pixel_mm: native pixel spacing, which sets the aperture and the Nyquist limit of the noise. noise_scale: 1 at the
    scanner's nominal noise.
    """
    transfer, noise = _response(plane, scanner, round(pixel_mm, 4))
    sigma_hu = scanner.noise_hu * noise_scale * np.exp(rng.normal(0, 0.12))
    hu = irfft2(rfft2(density.astype(np.float32)) * transfer, s=density.shape) * 1000 - 1000
    hu = hu + random_field(rng, noise) * sigma_hu + scanner.bias_hu
    return np.clip(np.round(hu), -1024, 3071)[plane.kept].astype(np.int16)


@lru_cache(maxsize=256)
def _response(plane: Plane, scanner: Scanner, pixel_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """(modulation transfer function, noise spectrum of unit variance), in the layout of a real 2-D FFT."""
    frequency = plane.radial_frequency
    sigma_mm = np.sqrt((scanner.blur_mm / 2.355) ** 2 + pixel_mm**2 / 12)
    bump = (frequency / 0.35) ** 2
    transfer = np.exp(-2 * (np.pi * sigma_mm * frequency) ** 2) * (1 + scanner.edge_boost * bump * np.exp(1 - bump))
    noise = np.sqrt(frequency) * np.exp(-((frequency / scanner.noise_cutoff) ** 2.5))  # a ramp filter's noise
    noise = noise / (1 + np.exp((frequency - 1 / (2 * pixel_mm)) / 0.05))
    if scanner.streak:
        rows, columns = plane.frequency
        angle = np.arctan2(rows, columns + 1e-9)
        noise = noise * np.sqrt(1 + scanner.streak * np.exp(-(((np.abs(angle) - np.pi / 2) / 0.35) ** 2)))
    return transfer.astype(np.float32), unit_variance(noise, plane)
