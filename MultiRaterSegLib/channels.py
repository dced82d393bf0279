"""A scan of several images, for models that read more than one: the sequences of an MR examination, as channels."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from .errors import GeometryError
from .geometry import Volume
from .io import read_volume
from .resample import resample


def read_channels(first: str | Path, others: Sequence[str | Path] = (), series: str | None = None) -> Volume:
    """The first image with the others as further channels, in this order, on its voxels. series: of the first one.

    An image on other voxels of the same examination is interpolated; its context's notes say so. Raises the errors of
    read_volume, and GeometryError for an image that is turned against the first.
    """
    scan = read_volume(first, series)
    return stack([scan, *(read_volume(path) for path in others)])


def stack(images: Sequence[Volume]) -> Volume:
    """As read_channels, from volumes."""
    scan, *others = images
    if not others:
        return scan
    notes = [note for image in images for note in image.context.get("notes", ())]
    notes += [
        f"'{image.source}' lies on other voxels than '{scan.source}' and was interpolated there."
        for image in others
        if not image.grid.same_as(scan.grid)
    ]
    voxels = np.concatenate([scan.voxels, *(_on_voxels_of(scan, image) for image in others)])
    context = {**scan.context, "notes": tuple(notes)}
    if context.get("format") != "dicom":  # there they are the slices that a DICOM result refers to
        context["files"] = tuple(file for image in images for file in image.context.get("files", ()))
    return replace(scan, voxels=voxels, source=" + ".join(image.source for image in images), context=context)


def _on_voxels_of(scan: Volume, image: Volume) -> np.ndarray:
    if image.grid.same_as(scan.grid):
        return image.voxels
    try:
        moved = resample(torch.from_numpy(image.voxels.astype(np.float32)), image.grid, scan.grid)
    except GeometryError as error:
        raise GeometryError(
            f"'{image.source}' is turned against '{scan.source}'. Resample it onto the voxels of that one first."
        ) from error
    return moved.numpy()
