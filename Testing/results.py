"""Results made of chosen masks, without any model: what follows a prediction can be worked out by hand."""

import numpy as np

from MultiRaterSegLib.geometry import Grid, Volume
from MultiRaterSegLib.lesion_result import LesionResult
from MultiRaterSegLib.prediction import Prediction

SCAN = Grid((16, 60, 64), np.array([[-0.8, 0, 0, 20], [0, -0.8, 0, 30], [0, 0, 2.0, -100], [0, 0, 0, 1.0]]))
PART = SCAN.crop((8, 6, 2), (55, 53, 13))
TITLES = {"conservative": "Conservative (smallest)", "inclusive": "Inclusive (largest)"}


def ball(radius: float, grid: Grid = PART, center=None) -> np.ndarray:
    """bool [k, j, i]: voxels whose centre is nearer than `radius` mm to `center` (default: the middle)."""
    indices = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), -1)[..., ::-1]
    return np.linalg.norm(grid.to_ras(indices) - (grid.center if center is None else center), axis=-1) < radius


def prediction(radii, title: str, request: dict, grid: Grid = PART, scan: Grid = SCAN, warnings=()) -> Prediction:
    """Samples that are balls of these radii (mm)."""
    made = {
        "software": "MultiRaterSeg 0", "model": "tiny", "model_sha256": "ab" * 32, "method": "test", "device": "cpu",
        "torch": "2", "python": "3", "seed": 7, "samples": len(radii), "place_ras": grid.center.tolist(),
    }  # fmt: skip
    samples = np.stack([ball(radius, grid) for radius in radii])
    return Prediction(samples, grid, scan, title, tuple(warnings), made | request)


def result(
    conservative=(5, 5, 6), inclusive=(9, 9, 10), grid: Grid = PART, scan: Grid = SCAN, prompt="tight outline"
) -> LesionResult:
    """A consensus of radii 5..9, two experts and a sentence, on a bright ball."""
    consensus = prediction((5, 6, 7, 8, 9), "Consensus", {"style": "population"}, grid, scan)
    styles = {
        name: prediction(radii, TITLES[name], {"style": "expert", "expert": name}, grid, scan)
        for name, radii in (("conservative", conservative), ("inclusive", inclusive))
    }
    asked = {"style": "prompt", "prompt": prompt, "understood": "extent tight", "notes": []}
    styles[prompt] = prediction((6, 6, 7), f'"{prompt}"', asked, grid, scan)
    voxels = np.where(ball(8, scan, grid.center), 40, -850).astype(np.int16)
    volume = Volume(voxels[None], scan, "CT", "chest.nrrd")
    return LesionResult(consensus, styles, volume, "nodule", ("conservative", "inclusive"), {"trained_for": "balls"})
