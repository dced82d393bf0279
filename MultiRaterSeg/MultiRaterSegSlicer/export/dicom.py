"""What an exporter gets: a lesion's outlines in one segmentation, or as segments on the voxels of the DICOM files."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pydicom
import slicer

from MultiRaterSegLib.errors import UnsupportedRequest, VolumeError
from MultiRaterSegLib.geometry import Grid, Volume
from MultiRaterSegLib.io import Segment
from MultiRaterSegLib.io.dicom_slices import place_slices
from MultiRaterSegLib.io.segmentation import LESION

from ..nodes import grid_of
from ..scene.lesion import SceneLesion
from ..scene.review import MADE_FROM, NOTE, REVIEW, WHEN
from ..scene.segments import box_around, mask_on, restore, snapshot, tag_of

OFF_LATTICE = 0.05  # voxels that the scene's scan may lie beside its files
FACTS = (
    "kind", "name", "software", "model", "model_sha256", "method", "seed", "samples", "place_ras", "style", "expert",
    "prompt", "understood", "notes", "first", "second", "t", "warnings",
)  # fmt: skip
TAGS = (*(f"MultiRaterSeg.{fact}" for fact in FACTS), MADE_FROM, REVIEW, NOTE, WHEN)

Shown = tuple["slicer.vtkMRMLSegmentationNode", str, str]
"""A segmentation, the id of a segment in it, and the name that it gets in a file."""


def collected(lesion: SceneLesion, names: Sequence[str] | None, scene, bands: bool, empty: bool = True):
    """A new segmentation in `scene` with copies of the outlines as they are now. empty: with those that hold nothing."""
    node = slicer.vtkMRMLSegmentationNode()
    scene.AddNode(node)
    node.SetName(f"{lesion.label} MultiRaterSeg")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(lesion.volume_node)
    for number, (source, id_, title) in enumerate(_shown(lesion, names, bands)):
        former = snapshot(source, id_)
        if former.grid is not None or empty:
            id_ = id_ if node.GetSegmentation().GetSegment(id_) is None else f"{id_}_{number}"
            restore(node, id_, former._replace(index=number))
            node.GetSegmentation().GetSegment(id_).SetName(title)
    if not node.GetSegmentation().GetNumberOfSegments():
        raise UnsupportedRequest(f"{lesion.label} has nothing to export: all of its outlines are empty.")
    return node


def segments_on(lesion: SceneLesion, names: Sequence[str] | None, grid: Grid) -> list[Segment]:
    """The outlines that hold something, as segments of the library, on crops of `grid`."""
    found: dict[str, Segment] = {}
    for number, (node, id_, title) in enumerate(_shown(lesion, names, bands=False)):
        crop = box_around(node, id_, grid)
        if crop is not None:
            segment = node.GetSegmentation().GetSegment(id_)
            id_in_file = id_ if id_ not in found else f"{id_}_{number}"
            tags = {key: value for key in TAGS if (value := tag_of(segment, key))}
            terminology = segment.GetTerminology() or LESION
            mask = mask_on(node, id_, crop)
            found[id_in_file] = Segment(id_in_file, title, mask, segment.GetColor(), terminology, tags, crop)
    if not found:
        raise UnsupportedRequest(f"{lesion.label} has nothing to export: all of its outlines are empty.")
    return list(found.values())


def dicom_scan(volume_node) -> Volume:
    """The series that the scan was loaded from, on the grid of its files, without voxels: as DICOM SEG refers to it.

    Raises VolumeError when it did not come from DICOM files, when these are gone, or when it lies elsewhere by now.
    """
    name, scene_grid = volume_node.GetName(), grid_of(volume_node)
    files = [Path(file) for file in _files_of(volume_node)]
    gone = [file for file in files if not file.is_file()]
    if gone or not files:
        what = f"'{gone[0]}', one of its files, is gone" if gone else "no DICOM file of it is known"
        raise VolumeError(
            f"'{name}': {what}, so a DICOM SEG has no series to refer to. Load the series with Slicer's DICOM module, "
            "or export as NRRD."
        )
    slices, grid = place_slices([(file, pydicom.dcmread(file, stop_before_pixels=True)) for file in files], name)
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in scene_grid.size_ijk])).reshape(3, -1).T
    there = grid.to_ijk(scene_grid.to_ras(corners))
    if np.abs(there - np.rint(there)).max() > OFF_LATTICE or sorted(grid.shape) != sorted(scene_grid.shape):
        raise VolumeError(
            f"'{name}' no longer lies on the voxels of its DICOM files (it was moved, cropped or resampled). "
            "Export as NRRD, or outline the lesion on the original series."
        )
    first = slices[0][1]
    context = {
        "files": tuple(str(file) for file, _ in slices),
        "format": "dicom",
        "series_uid": first.SeriesInstanceUID,
    }
    voxels = np.broadcast_to(np.int16(0), (1, *grid.shape))
    return Volume(voxels, grid, str(first.Modality), name, context)


def _shown(lesion: SceneLesion, names: Sequence[str] | None, bands: bool) -> Iterator[Shown]:
    """Consensus, styles, bands and edited copies, or the answers of these names."""
    for name in lesion.names if names is None else names:
        node, id_ = lesion.shown(name)
        yield node, id_, node.GetSegmentation().GetSegment(id_).GetName()
    if bands:
        for node, id_ in lesion.shown_by("bands"):
            yield node, id_, node.GetSegmentation().GetSegment(id_).GetName()
    for node in lesion.edited_nodes if names is None else ():
        yield *lesion.shown(node), node.GetName().removeprefix(f"{lesion.label} ")


def _files_of(volume_node) -> list[str]:
    """Files by the DICOM browser's instance UIDs where it knows them, else those that the scan was loaded from."""
    uids = (volume_node.GetAttribute("DICOM.instanceUIDs") or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    if uids and database is not None:
        return [database.fileForInstance(uid) for uid in uids]
    storage = volume_node.GetStorageNode()
    if storage is None:
        return []
    files = [storage.GetFileName(), *(storage.GetNthFileName(n) for n in range(storage.GetNumberOfFileNames()))]
    files = [file for file in dict.fromkeys(files) if file]
    return [file for file in files if not Path(file).is_file() or pydicom.misc.is_dicom(file)]
