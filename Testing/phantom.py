"""A small prepared data set made on the spot: bright discs in noise, four readers who draw them tighter or wider."""

from pathlib import Path

import numpy as np
from prepared_slices import write_slices


def write_phantom(folder: Path, patients: int = 8, slices: int = 3, seed: int = 0) -> Path:
    """Writes fold0.npz in the format of Training/prepare.py; every third nodule is outlined by two readers only."""
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[:128, :128]
    rows = []
    for patient in range(patients):
        radius, center = rng.uniform(5, 11), 63.5 + rng.uniform(-3, 3, 2)
        readers = rng.permutation([-2.0, -0.7, 0.7, 2.0])
        for index in range(slices):
            distance = np.hypot(yy - center[0], xx - center[1])
            image = 40 + 150 / (1 + np.exp((distance - radius) / 1.5)) + rng.normal(0, 6, (128, 128))
            masks = np.stack([distance < radius + r for r in readers])
            if patient % 3 == 2:
                masks[:2] = False
            rows.append((image.clip(0, 255).astype(np.uint8), masks, f"P{patient:03d}", index))
    folder.mkdir(parents=True, exist_ok=True)
    images, masks, patient, index = zip(*rows)
    thickness = np.full(len(rows), 1.25, np.float32)
    write_slices(folder / "fold0.npz", np.stack(images), np.stack(masks), patient, index, slice_thickness_mm=thickness)
    return folder
