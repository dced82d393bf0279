"""What comes out: simulated readers' masks of one lesion, in the scan's own voxels."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from . import consensus
from .geometry import Grid


@dataclass(frozen=True, eq=False)
class Prediction:
    """Simulated readers' masks of one lesion in one style (or of the population of readers).

    samples: bool [S, k, j, i] on `grid`, the part of the scan that was looked at; all other voxels are outside.
    reference: the scan's grid. Arrays the properties return are [K, J, I] in the scan's voxels.
    """

    samples: np.ndarray
    grid: Grid
    reference: Grid
    title: str
    warnings: tuple[str, ...] = ()
    provenance: dict = field(default_factory=dict)

    @cached_property
    def consensus(self) -> np.ndarray:
        """Voxels that more than half of the samples include: bool [K, J, I]."""
        return self.placed(consensus.majority(self.samples))

    @cached_property
    def uncertainty(self) -> np.ndarray:
        """Percent of simulated readers who disagree with the majority: float32 [K, J, I] in 0..50."""
        return self.placed(consensus.disagreement(self.samples))

    @cached_property
    def bands(self) -> dict[str, np.ndarray]:
        """bool [K, J, I] for nearly_all (>= 90 % of readers), most (50-90 %) and some (10-50 %)."""
        return {name: self.placed(mask) for name, mask in consensus.bands(self.samples).items()}

    @cached_property
    def volumes_ml(self) -> np.ndarray:
        """Volume of each sample in mL: float [S]."""
        return np.array([np.count_nonzero(mask) for mask in self.samples]) * self.grid.voxel_volume_ml

    def labels(self, sample: int) -> np.ndarray:
        """One simulated reader's mask: bool [K, J, I]."""
        return self.placed(self.samples[sample])

    def placed(self, values: np.ndarray) -> np.ndarray:
        """Values [k, j, i] on `grid` in the voxels of the whole scan, 0 elsewhere."""
        full = np.zeros(self.reference.shape, values.dtype)
        full[self.window] = values
        return full

    @property
    def window(self) -> tuple[slice, slice, slice]:
        """Where `grid` lies in the reference: slices along k, j, i."""
        return self.grid.window_in(self.reference)
