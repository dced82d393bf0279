"""Any data set with several raters: a CSV of images and masks (NIfTI, NRRD, MetaImage, PNG; 2-D or 3-D) into slices.

    image,patient,mask_anna,mask_ben,spacing
    ct/p1.nrrd,p1,ct/p1_anna.nrrd,ct/p1_ben.nrrd,
    us/p2.png,p2,us/p2_anna.png,,0.2

Slices are crops around what the raters outlined, upright as in use, at the image's own pixel spacing and with its own
intensities. Of a 3-D image all axial slices from the lowest to the highest outline are taken, and one beyond each end.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from rich.progress import track

from MultiRaterSegLib.errors import DataError, MultiRaterSegError
from MultiRaterSegLib.frame import Frame
from MultiRaterSegLib.geometry import Grid, Volume
from MultiRaterSegLib.method import Expert
from MultiRaterSegLib.resample import resample

from .image_file import describe, read_image, read_mask
from .slices import Slices
from .table_file import Row, read_table
from .training_data import TrainingData

SMALLEST_CROP_PX = 128
AROUND_PX = 16
BEYOND = 1
"""Slices beyond each end of a 3-D lesion: there is nothing to outline there."""

SAME_PLACE_MM = 1e-2


@dataclass(frozen=True)
class Outlined:
    """A row's lesion: `target` covers it and BEYOND slices at each end; extent_px: its larger side in the plane."""

    row: Row
    target: Grid
    spacing_mm: float
    extent_px: int


def load_image_table(
    root: Path, folds: tuple[int, ...], experts: Literal["raters", "ranks"] = "raters"
) -> TrainingData:
    """root: the CSV (columns: see `read_table`). experts: "raters" where a column is one person throughout, who becomes
    an expert by name; "ranks" where raters are anonymous, ranked by area as those of LIDC are.

    Raises DataError, with the table's line, for what is missing or does not fit together.
    """
    table = read_table(root)
    rows = [row for row in table.rows if row.fold in folds]
    if not rows:
        raise DataError(f"'{root}' has no rows in fold {', '.join(map(str, folds))}.")
    lesions = [_locate(row) for row in track(rows, "Finding the lesions", transient=True)]
    needed = max(lesion.extent_px + 2 * AROUND_PX for lesion in lesions)
    size = max(SMALLEST_CROP_PX, -(-needed // 32) * 32)
    parts = [_cut_out(lesion, size, table.raters) for lesion in track(lesions, "Reading images", transient=True)]
    named = tuple(Expert(name, f"Rater {name}", "rater") for name in table.raters)
    return TrainingData(
        Slices.concatenate(_count_on(parts)),
        named if experts == "raters" else ranked_experts(len(table.raters)),
        description=f"images like those of {root.stem}",
    )


def ranked_experts(count: int) -> tuple[Expert, ...]:
    """Ranks by area among `count` anonymous raters: along the lesion for use, and A1, A2, ... on each slice."""
    titles = {"conservative": "Conservative (smallest)"}
    titles |= {f"rank_{n}": f"Rank {n} of {count}" for n in range(2, count)}
    titles |= {"inclusive": "Inclusive (largest)"} if count > 1 else {}
    along = [Expert(name, title) for name, title in titles.items()]
    return (*along, *(Expert(f"A{n}", f"A{n} by area on each slice", "slice_area") for n in range(1, count + 1)))


def _locate(row: Row) -> Outlined:
    """Reads the masks of a row and keeps where they are."""
    masks = _masks(row)
    grid = masks[0].grid
    union = np.any([mask.voxels[0] for mask in masks], axis=0)
    slice_axis = int(np.abs(grid.affine[2, :3] / grid.spacing).argmax())
    in_plane = [axis for axis in range(3) if axis != slice_axis]
    low, high = _bounds(union, row)
    spacing = float(grid.spacing[in_plane].min())
    extent = int(np.ceil(((high - low + 1) * grid.spacing)[in_plane].max() / spacing))
    for axis in in_plane:
        if (high[axis] - low[axis]) % 2 == 0:  # an even extent keeps the crop on the image's own pixels
            low[axis], high[axis] = (low[axis] - 1, high[axis]) if low[axis] else (low[axis], high[axis] + 1)
    low[slice_axis] -= BEYOND
    high[slice_axis] += BEYOND
    return Outlined(row, grid.crop(low, high), spacing, extent)


def _masks(row: Row) -> list[Volume]:
    """The masks that there are, all on one grid."""
    masks = [_read(read_mask, path, row) for path in row.masks if path is not None]
    for mask in masks[1:]:
        if not mask.grid.same_as(masks[0].grid, SAME_PLACE_MM):
            raise DataError(
                f"{row.where}: the masks do not lie on one grid: '{mask.source}' has {describe(mask.grid)}, "
                f"'{masks[0].source}' has {describe(masks[0].grid)}. Export all masks on the image's grid."
            )
    return masks


def _bounds(union: np.ndarray, row: Row) -> tuple[np.ndarray, np.ndarray]:
    """First and last voxel (i, j, k) that somebody outlined; the middle of a 2-D image without any."""
    if union.any():
        found = np.argwhere(union)[:, ::-1]
        return found.min(0), found.max(0)
    if union.shape[0] > 1:
        raise DataError(f"{row.where}: nobody outlined anything in this 3-D image. Leave the row out.")
    middle = np.array(union.shape[::-1]) // 2
    return middle, middle.copy()


def _cut_out(lesion: Outlined, size: int, raters: tuple[str, ...]) -> Slices:
    """The crops of one row, `size` pixels wide."""
    row = lesion.row
    image, drawn = _read(read_image, row.image, row), _masks(row)
    if not image.grid.same_as(drawn[0].grid, SAME_PLACE_MM):
        raise DataError(
            f"{row.where}: the masks do not lie on the image: they have {describe(drawn[0].grid)}, "
            f"'{image.source}' has {describe(image.grid)}. Export them on the image's grid."
        )
    crop = Frame(size, lesion.spacing_mm).grid_for(lesion.target)
    pixels = resample(torch.from_numpy(image.voxels[0].astype(np.float32)), image.grid, crop).numpy()
    present = np.array([path is not None for path in row.masks])
    masks = np.zeros((len(raters), *crop.shape), bool)
    stack = torch.from_numpy(np.concatenate([mask.voxels for mask in drawn]).astype(np.float32))
    masks[present] = resample(stack, image.grid, crop, outside=0.0).numpy() > 0.5
    count = len(pixels)
    return Slices(
        images=pixels,
        packed_masks=np.packbits(masks, axis=-1).swapaxes(0, 1),
        patient=np.full(count, row.patient),
        nodule=np.full(count, row.lesion),
        slice_index=np.arange(count),
        spacing_mm=np.full(count, lesion.spacing_mm),
        present=np.tile(present, (count, 1)),
        raters=raters,
    )


def _count_on(parts: list[Slices]) -> list[Slices]:
    """Several rows of one lesion (2-D images of it) get consecutive slice numbers."""
    counted, used = [], {}
    for part in parts:
        lesion = (str(part.patient[0]), str(part.nodule[0]))
        start = used.get(lesion, 0)
        counted.append(replace(part, slice_index=part.slice_index + start))
        used[lesion] = start + len(part)
    return counted


def _read(reader, path: Path, row: Row) -> Volume:
    try:
        return reader(path, row.spacing_mm)
    except MultiRaterSegError as error:
        raise DataError(f"{row.where}: {error}") from error
