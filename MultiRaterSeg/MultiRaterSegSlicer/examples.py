"""What the module brings to try it on: a scene with results, to look at before anything is installed, and the bare scan."""

import json
from pathlib import Path
from typing import NamedTuple

import slicer

from MultiRaterSegLib.errors import VolumeError
from MultiRaterSegLib.resources import resource_path

from .i18n import _
from .nodes import points_from_node
from .scene.spots import jump_to

CATEGORY = "MultiRaterSeg"
SCAN, SCENE, LESION = "SimulatedCT-RealOutlines", "ExampleResult.mrb", "Lesion"
ICON = Path(__file__).resolve().parents[1] / "Resources" / "Icons" / "MultiRaterSeg.png"


class Example(NamedTuple):
    """What came into the scene; nodes holds all of it."""

    volume: "slicer.vtkMRMLScalarVolumeNode"
    segmentations: "tuple[slicer.vtkMRMLSegmentationNode, ...]"
    nodes: "tuple[slicer.vtkMRMLNode, ...]"


def show_example(scene=None) -> Example:
    """Adds the precomputed scene (default: to the application's scene), scan, outlines, map and tables, and shows it.

    It was saved by this module's own code, so everything in the panel works on it but what asks the model anew.
    Raises VolumeError when Slicer cannot read it.
    """
    scene = scene or slicer.mrmlScene
    before = set(_nodes(scene))
    path = resource_path("SampleData", SCENE)
    if not scene.ReadFromMRB(str(path), False):  # False: into the scene that is there
        raise VolumeError(f"Slicer could not read the example scene {path}. Install the extension again.")
    new = tuple(node for node in _nodes(scene) if node not in before)
    volume = next(node for node in new if node.GetName() == SCAN)
    point = next(node for node in new if node.IsA("vtkMRMLMarkupsFiducialNode"))
    _look_at(volume, points_from_node(point)[0])
    return Example(volume, tuple(node for node in new if node.IsA("vtkMRMLSegmentationNode")), new)


def load_sample_data(scene=None) -> "slicer.vtkMRMLScalarVolumeNode":
    """Adds the bundled scan, and a point list with a point on its lesion. No download."""
    scene = scene or slicer.mrmlScene
    volume = _read_volume(scene, resource_path("SampleData", f"{SCAN}.nrrd"))
    about = json.loads(resource_path("SampleData", f"{SCAN}.json").read_text(encoding="utf-8"))
    ras = about["lesion_ras_mm"]
    point = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", LESION)
    point.CreateDefaultDisplayNodes()
    point.AddControlPoint(*ras, LESION)
    _look_at(volume, ras)
    return volume


def register_sample_data() -> None:
    """Puts the scan into Slicer's module Sample Data, in a section of its own."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=_("Simulated CT, real outlines"),
        uris=resource_path("SampleData", f"{SCAN}.nrrd").as_uri(),
        fileNames=f"{SCAN}.nrrd",
        nodeNames=SCAN,
        thumbnailFileName=str(ICON),
        customDownloader=lambda source: [load_sample_data()],
    )


def _nodes(scene) -> list["slicer.vtkMRMLNode"]:
    return [scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes())]


def _read_volume(scene, path: Path) -> "slicer.vtkMRMLScalarVolumeNode":
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(path))
    volume = slicer.vtkMRMLScalarVolumeNode()
    volume.SetName(SCAN)
    if not storage.ReadData(volume):
        raise VolumeError(f"Slicer could not read {path}. Install the extension again.")
    scene.AddNode(volume)
    volume.CreateDefaultDisplayNodes()
    volume.SetAndObserveStorageNodeID(scene.AddNode(storage).GetID())
    _call_it_ct(volume)
    return volume


def _call_it_ct(volume) -> None:
    """Leaves the note that the DICOM browser leaves on what it loads: the model asks for CT."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(volume.GetScene())
    item = hierarchy.GetItemByDataNode(volume) or hierarchy.CreateItem(hierarchy.GetSceneItemID(), volume)
    modality = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMSeriesModalityAttributeName()
    hierarchy.SetItemAttribute(item, modality, "CT")


def _look_at(volume, ras) -> None:
    """Shows the scan in every slice view, at the lesion."""
    scene = volume.GetScene()
    for n in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode")):
        scene.GetNthNodeByClass(n, "vtkMRMLSliceCompositeNode").SetBackgroundVolumeID(volume.GetID())
    jump_to(scene, ras)
