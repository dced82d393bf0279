"""Chest CT simulated around real LIDC-IDRI outlines: every outline is real, every intensity is invented.

The image knows of the readers only the mean of their signed distances and how far they spread: smoothed, displaced by
a random field that grows with the spread, and blurred by it; never one reader's outline, never their order. A result
on these images tests whether a method recovers a real distribution of outlines; it says nothing about real CT.

outlines   the real part: outlines, ratings, spacing, position in the thorax
plane      the pixel lattice of a slice, its random fields, and addressed random numbers
anatomy    what surrounds one nodule: parenchyma, vessels, chest wall, tissue; drawn once for each nodule
scanner    what an acquisition makes of it: blur, noise, HU
scan       slices and volumes from the above

Densities are relative to water: 0 is air (-1000 HU), 1 is water (0 HU).
"""

from .outlines import READERS, OutlinedNodule, read_nodules
from .plane import Plane
from .scan import SimulatedScan, SimulatedVolume
from .scanner import SCANNERS, scanner_of
from .vessels import VesselField

__all__ = [
    "READERS",
    "SCANNERS",
    "OutlinedNodule",
    "Plane",
    "SimulatedScan",
    "SimulatedVolume",
    "VesselField",
    "read_nodules",
    "scanner_of",
]
