"""Slices beyond a lesion's ends: the lesion is replaced by lung from nearby, so that "nothing here" is learned too."""

import numpy as np
from scipy import ndimage


def remove_lesion(image: np.ndarray, lesion: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """image [..., H, W] float with `lesion` [H, W] bool painted over by a piece of the same slice, blended at its rim.

    Of many shifted or mirrored copies of the slice, the piece is taken whose surroundings match those of the lesion
    best and that is darkest inside: lung, with its own vessels and noise, not a smooth fill.
    """
    if not lesion.any():
        return image
    hole = ndimage.binary_dilation(lesion, iterations=3)
    ring = ndimage.binary_dilation(hole, iterations=3) & ~hole
    ys, xs = np.nonzero(hole)
    radius = max(np.ptp(ys), np.ptp(xs)) / 2 + 4
    best, best_cost = image, np.inf
    for _ in range(24):
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(1.2, 3.0) * radius
        shift = np.rint([distance * np.sin(angle), distance * np.cos(angle)]).astype(int)
        candidate = ndimage.shift(image, (*[0] * (image.ndim - 2), *shift), order=0, mode="mirror")
        from_lesion = ndimage.shift(lesion.astype(np.uint8), shift, order=0, mode="mirror").astype(bool)
        cost = np.abs(candidate - image)[..., ring].mean() + 0.5 * candidate[..., hole].mean()
        cost += 1e3 * (from_lesion & hole).any()
        if cost < best_cost:
            best, best_cost = candidate, cost
    weight = ndimage.gaussian_filter(ndimage.binary_dilation(lesion, iterations=2).astype(np.float32), 1.5)
    weight = np.maximum(weight, ndimage.binary_dilation(lesion).astype(np.float32))
    return image * (1 - weight) + best * weight
