"""A scan in a study, a point on it, and answers of a model that was never asked: masks that can be worked out by hand."""

import numpy as np
import slicer
import vtk
from MultiRaterSegSlicer.nodes import volume_from_node
from MultiRaterSegSlicer.scene.lesions import Lesions, Model
from orientations import UPRIGHT, affine_of, some_voxels
from slicer.util import addVolumeFromArray, vtkMatrixFromArray
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from MultiRaterSegLib.geometry import Grid
from MultiRaterSegLib.prediction import Prediction

SHAPE = (20, 40, 44)
LOW, HIGH = (6, 5, 3), (37, 34, 16)  # i, j, k of the part that was looked at
EXPERTS = ("conservative", "restrained", "generous", "inclusive")
TITLES = {"conservative": "Conservative (smallest)", "inclusive": "Inclusive (largest)", "consensus": "Consensus"}
MODEL = Model("nodule", EXPERTS, EXPERTS, {"trained_for": "balls"})
SENTENCE = 'include the ground-glass "halo": all of it; ~90 % | or more'
WARNING = "This model was trained on single lung nodules in CT. Results here are not meaningful."


def hierarchy_of(scene) -> "slicer.vtkMRMLSubjectHierarchyNode":
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


IN_HIERARCHY = ("vtkMRMLVolumeNode", "vtkMRMLSegmentationNode", "vtkMRMLTableNode", "vtkMRMLMarkupsNode")


@vtk.calldata_type(vtk.VTK_OBJECT)
def _node_added(scene, _event, node):
    if any(node.IsA(kind) for kind in IN_HIERARCHY) and not node.GetHideFromEditors() and not scene.IsImporting():
        hierarchy = hierarchy_of(scene)
        if not hierarchy.GetItemByDataNode(node):
            hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)


@vtk.calldata_type(vtk.VTK_OBJECT)
def _node_goes(scene, _event, node):
    if scene is None or scene.IsClosing():  # the hierarchy goes as well
        return
    if any(node.IsA(kind) for kind in IN_HIERARCHY) and (item := hierarchy_of(scene).GetItemByDataNode(node)):
        hierarchy_of(scene).RemoveItem(item, False, False)


def keep_hierarchy(scene) -> None:
    """What the application's Qt side does (qSlicerSubjectHierarchyPluginLogic): an item for each node that lists show,
    as long as it is in the scene."""
    if not scene.HasObserver(scene.NodeAboutToBeRemovedEvent):
        scene.AddObserver(scene.NodeAddedEvent, _node_added)
        scene.AddObserver(scene.NodeAboutToBeRemovedEvent, _node_goes)


class Case:
    """`scan` lies in a study. Answers are balls round the middle of the part that was looked at."""

    def __init__(self, scene, axes=UPRIGHT[30], name="CTChest", scan=None):
        """scan: a volume of SHAPE that is there already."""
        self.scene = scene
        keep_hierarchy(scene)
        self.scan = scan or addVolumeFromArray(some_voxels(*SHAPE), ijkToRAS=affine_of(axes), name=name)
        self.scan.CreateDefaultDisplayNodes()
        self.study = hierarchy_of(scene).CreateStudyItem(hierarchy_of(scene).GetSceneItemID(), "study")
        hierarchy_of(scene).SetItemParent(hierarchy_of(scene).GetItemByDataNode(self.scan), self.study)
        self.grid = volume_from_node(self.scan).grid
        self.part = self.grid.crop(LOW, HIGH)
        self.center = self.part.center
        self.points = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Lesions")
        self.points.AddControlPoint(self.center)
        self.lesions = Lesions(scene)

    def lesion(self):
        return self.lesions.add(self.scan, self.points, self.points.GetNumberOfControlPoints() - 1)

    def ball(self, radius: float, center=None, grid: Grid | None = None) -> np.ndarray:
        """bool [k, j, i] on the part (or `grid`): voxels nearer than `radius` mm to the middle (or `center`)."""
        return ball(radius, self.center if center is None else center, grid or self.part)

    def answer(self, name: str, *radii: float, center=None, warnings=(), **record) -> Prediction:
        """Samples that are balls of these radii, as an answer of that name."""
        style = "population" if name == "consensus" else "expert" if name in EXPERTS else "prompt"
        asked = {"expert": name} if style == "expert" else {"prompt": name} if style == "prompt" else {}
        made = {
            "software": "MultiRaterSeg 0",
            "model": "prosona_compact",
            "model_sha256": "ab" * 32,
            "method": "test",
            "seed": 7,
        }
        made |= {"samples": len(radii), "place_ras": self.center.tolist(), "style": style, **asked, **record}
        samples = np.stack([self.ball(radius, center) for radius in radii])
        return Prediction(samples, self.part, self.grid, TITLES.get(name, f'"{name}"'), tuple(warnings), made)

    def full(self, mask: np.ndarray) -> np.ndarray:
        """A mask on the part as one on the whole scan."""
        whole = np.zeros(SHAPE, bool)
        whole[LOW[2] : HIGH[2] + 1, LOW[1] : HIGH[1] + 1, LOW[0] : HIGH[0] + 1] = mask
        return whole


def ball(radius: float, center, grid: Grid) -> np.ndarray:
    indices = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), -1)[..., ::-1]
    return np.linalg.norm(grid.to_ras(indices) - center, axis=-1) < radius


def mask_of(node, id_: str, scan) -> np.ndarray:
    """bool [K, J, I]: the segment on the scan's voxels, as Slicer resamples it. Makes no nodes, not even for a moment."""
    image, reference, found = (slicer.vtkOrientedImageData() for _ in range(3))
    to_ras = vtk.vtkMatrix4x4()
    scan.GetIJKToRASMatrix(to_ras)
    reference.SetImageToWorldMatrix(to_ras)
    reference.SetExtent(scan.GetImageData().GetExtent())
    reference.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    node.GetBinaryLabelmapRepresentation(id_, image)
    if image.IsEmpty():
        return np.zeros(scan.GetImageData().GetDimensions()[::-1], bool)
    resample = slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage
    assert resample(image, reference, found, False, False)
    return vtk_to_numpy(found.GetPointData().GetScalars()).reshape(found.GetDimensions()[::-1]) > 0


def places_of(mask: np.ndarray, to_ras: np.ndarray) -> set:
    """Where the true voxels of a mask [K, J, I] lie, RAS mm rounded."""
    ijk = np.argwhere(mask)[:, ::-1]
    return rounded((np.c_[ijk, np.ones(len(ijk))] @ to_ras.T)[:, :3])


def rounded(ras: np.ndarray) -> set:
    """Points [N, 3] to a tenth of a millimetre; moved a little, so that none lies where rounding is a toss-up."""
    return set(map(tuple, (np.round(ras + 0.0123, 1) + 0.0).tolist()))


def paint(case: Case, node, id_: str) -> np.ndarray:
    """Somebody adds a block of voxels to a segment by hand; returns what it is then on the scan's voxels."""
    block = case.grid.crop((2, 2, 2), (4, 4, 3))
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(block.shape[::-1])
    image.SetImageToWorldMatrix(vtkMatrixFromArray(block.affine))
    image.GetPointData().SetScalars(numpy_to_vtk(np.ones(np.prod(block.shape), np.uint8), deep=True))
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert logic.SetBinaryLabelmapToSegment(image, node, id_, logic.MODE_MERGE_MAX, image.GetExtent())
    return mask_of(node, id_, case.scan)


def ids_in(node) -> list[str]:
    return [] if node is None else list(node.GetSegmentation().GetSegmentIDs())


def everything_in(scene, but=()) -> dict[str, object]:
    """All that a person could miss: a line for each node, with its content where it has any. but: nodes left out."""
    found = {}
    for n in range(scene.GetNumberOfNodes()):
        node = scene.GetNthNode(n)
        if node not in but and not node.IsA("vtkMRMLStorageNode"):
            found[node.GetID()] = _content(node)
    return found


def _content(node):
    if node.IsA("vtkMRMLSegmentationNode"):
        segmentation = node.GetSegmentation()
        return [(node.GetName(), *_segment(node, segmentation, id_)) for id_ in segmentation.GetSegmentIDs()]
    if node.IsA("vtkMRMLScalarVolumeNode") and node.GetImageData() is not None:
        return node.GetName(), vtk_to_numpy(node.GetImageData().GetPointData().GetScalars()).tobytes()
    if node.IsA("vtkMRMLTableNode"):
        table = node.GetTable()
        rows, columns = range(table.GetNumberOfRows()), range(table.GetNumberOfColumns())
        return node.GetName(), [[table.GetValue(row, column).ToString() for column in columns] for row in rows]
    if node.GetClassName() == "vtkMRMLScriptedModuleNode":
        return node.GetName(), [(name, node.GetParameter(name)) for name in node.GetParameterNames()]
    return node.GetName()


def _segment(node, segmentation, id_: str) -> tuple:
    """However Slicer stores the mask: what it exports of it on the scan's voxels."""
    segment, scan = segmentation.GetSegment(id_), node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
    mask = mask_of(node, id_, scan)
    look = node.GetDisplayNode().GetSegmentVisibility(id_), node.GetDisplayNode().GetSegmentVisibility2DFill(id_)
    return id_, segment.GetName(), segment.GetColor(), segment.GetTerminology(), look, mask.tobytes()
