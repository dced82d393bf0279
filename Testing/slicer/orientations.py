"""Every way a scan may lie: 48 upright orientations (24 of them left-handed) and as many tilted ones, anisotropic."""

from itertools import permutations, product

import numpy as np
from scipy.spatial.transform import Rotation

SPACING = (0.7, 0.9, 2.5)
UPRIGHT = [np.eye(3)[:, order] * signs for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]
TILT = Rotation.from_euler("xyz", [11, -23, 37], degrees=True).as_matrix()
TILTED = [TILT @ axes for axes in UPRIGHT]


def affine_of(axes: np.ndarray, origin=(-113.25, 41.5, 1207.125)) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = axes * SPACING
    affine[:3, 3] = origin
    return affine


def some_voxels(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(-1000, 1000, shape or (4, 5, 6)).astype(np.int16)
