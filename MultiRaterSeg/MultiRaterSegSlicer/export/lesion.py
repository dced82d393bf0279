"""A lesion leaves Slicer: .seg.nrrd, DICOM SEG, RTSTRUCT, report. What is written is what the segments are now, edits
included. Files are whole or not there, and an existing one is replaced only when the caller says so."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import slicer

from MultiRaterSegLib.errors import MultiRaterSegError, UnsupportedRequest, VolumeError
from MultiRaterSegLib.io.dicom_seg import write_dicom_seg as write_with_library
from MultiRaterSegLib.io.write import atomic_folder, moved_into_place

from ..scene.lesion import SceneLesion
from ..scene.record import CONSENSUS
from ..scene.segments import remove_node
from .dicom import collected, dicom_scan, segments_on
from .report import report_of_lesion

DICOM_SEG_PLUGIN, RTSTRUCT_PLUGIN = "DICOMSegmentationPlugin", "DicomRtImportExportPlugin"


def dicom_exporter() -> str:
    """What would write DICOM SEG here, for people: Slicer's own exporter or highdicom; "" when there is neither."""
    if DICOM_SEG_PLUGIN in _plugins():
        return "QuantitativeReporting"
    try:
        import highdicom  # noqa: F401
    except ImportError:
        return ""
    return "highdicom"


def rtstruct_exporter() -> str:
    """What would write RTSTRUCT here, for people; "" when SlicerRT is not installed."""
    return "SlicerRT" if RTSTRUCT_PLUGIN in _plugins() else ""


def write_nrrd(lesion: SceneLesion, path: str | Path, names: Sequence[str] | None = None, overwrite=False) -> Path:
    """Slicer's .seg.nrrd with names, colours, terminology and tags, on the part of the scan's voxels that is outlined.
    names: answers to write; None: all, bands and edited copies too."""
    path = _free(Path(path), overwrite, ".seg.nrrd")
    scene = slicer.vtkMRMLScene()  # of its own: the person's scene shows nothing of this
    node = collected(lesion, names, scene, bands=names is None)
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.CropToMinimumExtentOn()  # all voxels of a chest CT: seconds in which the window stands still
    scene.AddNode(storage)
    with moved_into_place(path) as unfinished:
        storage.SetFileName(str(unfinished))
        if not storage.WriteData(node):
            raise RuntimeError(f"Slicer could not write '{path.name}'")
    return path


def write_dicom_seg(
    lesion: SceneLesion, folder: str | Path, names: Sequence[str] | None = None, overwrite=False
) -> list[Path]:
    """DICOM SEG that refers to the scan's series, by Slicer's exporter where it is installed, else by highdicom. names:
    answers; None: all, and edited copies. Empty outlines are left out, since DICOM viewers refuse them.

    Raises UnsupportedRequest when neither is there or it fails, VolumeError when the scan did not come from DICOM files.
    """
    path = _free(Path(folder) / f"{_file_name(lesion)} SEG.dcm", overwrite)
    scan = dicom_scan(_scan_of(lesion))
    if DICOM_SEG_PLUGIN not in _plugins():
        with _explained("highdicom"):
            write_with_library(path, segments_on(lesion, names, scan.grid), scan, _facts(lesion))
        return [path]
    with _beside_scan(lesion, names) as node, tempfile.TemporaryDirectory() as work:
        _export_with(DICOM_SEG_PLUGIN, [node], Path(work))
        made = next(Path(work).rglob("*.dcm"), None)
        if made is None:
            raise UnsupportedRequest(
                f"{DICOM_SEG_PLUGIN} wrote no file for {lesion.label}. Slicer's error log says why."
            )
        with moved_into_place(path) as unfinished:
            shutil.move(made, unfinished)
    _tell_dicom_browser(path)
    return [path]


def write_rtstruct(
    lesion: SceneLesion, folder: str | Path, names: Sequence[str] | None = None, overwrite=False
) -> list[Path]:
    """RTSTRUCT, with the scan's images that it refers to, through SlicerRT. names as in `write_dicom_seg`.

    Raises UnsupportedRequest when SlicerRT is not installed or fails.
    """
    if not rtstruct_exporter():
        raise UnsupportedRequest(
            "RTSTRUCT is written by the SlicerRT extension, which is not installed. Install it with the Extensions Manager."
        )
    target, scan = _free(Path(folder) / f"{_file_name(lesion)} RTSTRUCT", overwrite), _scan_of(lesion)
    with _beside_scan(lesion, names) as node, atomic_folder(target) as work:
        _export_with(RTSTRUCT_PLUGIN, [scan, node], work)
        if not any(work.iterdir()):
            raise UnsupportedRequest(
                f"{RTSTRUCT_PLUGIN} wrote no file for {lesion.label}. Slicer's error log says why."
            )
    return sorted(target.rglob("*.dcm"))


def write_report(lesion: SceneLesion, path: str | Path, overwrite=False) -> Path:
    """The numbers, warnings, reviews and provenance as .json or .csv, by the ending of the name.

    Raises UnsupportedRequest without a consensus, which everything is compared with.
    """
    path = _free(Path(path), overwrite, ".json", ".csv")
    if not lesion.has(CONSENSUS):
        raise UnsupportedRequest(
            f"A report compares outlines with the consensus. Compute the consensus of {lesion.label} first."
        )
    from MultiRaterSegLib.report import write_csv, write_json  # here: it needs packages that Slicer does not bring

    write: Callable = write_csv if path.suffix.lower() == ".csv" else write_json
    with moved_into_place(path) as unfinished:
        write(report_of_lesion(lesion), unfinished)
    return path


def _plugins() -> dict[str, type]:
    """Slicer's DICOM plugins by name; those of extensions too, when they are installed."""
    return getattr(slicer.modules, "dicomPlugins", {})


def _free(path: Path, overwrite: bool, *endings: str) -> Path:
    path = path.expanduser()
    if endings and not path.name.lower().endswith(endings):
        raise UnsupportedRequest(f"'{path.name}': the name must end in {' or '.join(endings)}.")
    if path.exists() and not overwrite:
        raise UnsupportedRequest(f"'{path}' exists already. Choose another name, or allow it to be replaced.")
    if not path.parent.is_dir():
        raise UnsupportedRequest(f"The folder '{path.parent}' does not exist. Choose one that does.")
    return path


def _file_name(lesion: SceneLesion) -> str:
    """ "CTChest L1", without what file systems refuse."""
    scan = lesion.volume_node.GetName() if lesion.volume_node is not None else lesion.node.GetParameter("source")
    return "".join(letter if letter.isalnum() or letter in " ._-" else "_" for letter in f"{scan} {lesion.label}")


def _scan_of(lesion: SceneLesion) -> "slicer.vtkMRMLVolumeNode":
    if lesion.volume_node is None:
        raise VolumeError(f"The scan of {lesion.label} was deleted, and DICOM refers to it. Export as NRRD.")
    return lesion.volume_node


@contextmanager
def _beside_scan(lesion: SceneLesion, names) -> Iterator["slicer.vtkMRMLSegmentationNode"]:
    """The outlines in a node of the scene beside the scan, as Slicer's exporters want it; for a moment."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(lesion.node.GetScene())
    node = collected(lesion, names, lesion.node.GetScene(), bands=False, empty=False)
    try:
        item = hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
        scan = hierarchy.GetItemByDataNode(lesion.volume_node)
        hierarchy.SetItemParent(item, hierarchy.GetItemParent(scan) if scan else hierarchy.GetSceneItemID())
        yield node
    finally:
        hierarchy.RemoveItem(hierarchy.GetItemByDataNode(node), False, False)
        remove_node(node)


def _export_with(plugin: str, nodes, folder: Path) -> None:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(nodes[0].GetScene())
    with _explained(plugin):
        exporter, chosen = _plugins()[plugin](), []
        for node in nodes:
            found = exporter.examineForExport(hierarchy.GetItemByDataNode(node))
            if not found:
                raise UnsupportedRequest(f"{plugin} cannot export '{node.GetName()}'.")
            found[0].directory = str(folder)
            chosen.append(found[0])
        if refusal := exporter.export(chosen):
            raise UnsupportedRequest(f"{plugin}: {refusal}")


@contextmanager
def _explained(writer: str) -> Iterator[None]:
    """Whatever another program's writer raises becomes a sentence."""
    try:
        yield
    except MultiRaterSegError:
        raise
    except Exception as error:
        raise UnsupportedRequest(
            f"{writer} could not write the file ({type(error).__name__}: {error}). Export as NRRD instead."
        ) from error


def _tell_dicom_browser(path: Path) -> None:
    """Slicer's exporter has entered the file into the browser's database where it wrote it; now it is here."""
    if (database := getattr(slicer, "dicomDatabase", None)) is not None:
        database.insert(str(path))


def _facts(lesion: SceneLesion) -> dict[str, str]:
    made = lesion.records[0].prediction.provenance
    return {"model": made["model"], "version": made["software"], "model_sha256": made["model_sha256"]}
