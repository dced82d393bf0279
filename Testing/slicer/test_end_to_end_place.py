"""From a volume node to the worker and back to a segment: at the right place however the scan lies, or refused.

The thing to find is a ball with a bump on one side, so that no turn or flip of it looks the same. Where it must be found is
worked out in millimetres; where it was found is asked of Slicer.
"""

import numpy as np
import pytest
import SimpleITK
import slicer
import vtk
import worker_models
from MultiRaterSegSlicer.logic import MultiRaterSegLogic
from MultiRaterSegSlicer.worker.client import WorkerClient
from orientations import TILTED, UPRIGHT, affine_of
from scene_cases import everything_in, keep_hierarchy, mask_of
from slicer.util import addVolumeFromArray, arrayFromVTKMatrix, vtkMatrixFromArray

from MultiRaterSegLib.errors import GeometryError

SHAPE = (22, 52, 60)
CENTER_IJK = (33, 22, 10)
RADIUS, BUMP_RADIUS = 6.0, 3.5
BUMP = np.array([4.5, 3.0, 5.5])  # mm from the ball's centre, in the world


@pytest.fixture(scope="module")
def logic(tmp_path_factory):
    models = worker_models.save_models(tmp_path_factory.mktemp("models"))
    logic = MultiRaterSegLogic(WorkerClient(worker_models.command(models)), "brightness")
    logic.models()
    yield logic
    logic.close()


def places(affine: np.ndarray) -> np.ndarray:
    """RAS mm of every voxel: [K, J, I, 3]."""
    ijk = np.moveaxis(np.indices(SHAPE), 0, -1)[..., ::-1]
    return ijk @ affine[:3, :3].T + affine[:3, 3]


def depth(affine: np.ndarray) -> np.ndarray:
    """mm that each voxel lies within the thing (negative: outside)."""
    center = affine[:3, :3] @ CENTER_IJK + affine[:3, 3]
    ball, bump = (np.linalg.norm(places(affine) - at, axis=-1) for at in (center, center + BUMP))
    return np.maximum(RADIUS - ball, BUMP_RADIUS - bump)


class Case:
    """`thing`: the voxels that it fills, bool [K, J, I]."""

    def __init__(self, affine: np.ndarray):
        keep_hierarchy(slicer.mrmlScene)
        self.affine = affine
        self.center = affine[:3, :3] @ CENTER_IJK + affine[:3, 3]
        self.thing = depth(affine) > 0
        values = -800 + 850 * np.clip((depth(affine) + 1) / 2, 0, 1)
        self.scan = addVolumeFromArray(values.astype(np.int16), ijkToRAS=affine, name="CTChest")

    def point(self, at=None):
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "F")
        node.AddControlPoint(self.center if at is None else at)
        return node


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def assert_found(case: Case, shown) -> None:
    node = shown.agreement_node
    assert dice(mask_of(node, "consensus", case.scan), case.thing) > 0.9
    middle = places(case.affine)[case.thing].mean(0)
    assert np.linalg.norm(np.subtract(node.GetSegmentCenterRAS("consensus"), middle)) < 2.5  # of its box, not its mass


def test_a_turned_or_flipped_answer_would_be_noticed():
    thing = depth(affine_of(np.eye(3)))[0:21, 1:44, 7:60] > 0  # the ball's centre in the middle
    for axes in [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]:
        assert dice(thing, np.flip(thing, axes)) < 0.88


def test_found_in_place_in_all_48_orientations_and_tilted_ones(host, logic):
    for axes in [*UPRIGHT, *TILTED[::7]]:
        case = Case(affine_of(axes))
        assert_found(case, logic.consensus(case.scan, case.point(), samples=1))
        host.scene.Clear(False)


@pytest.mark.parametrize("spacing", [(0.5, 0.5, 5.0), (1.4, 0.8, 0.6), (1.0, 1.0, 1.0)])
def test_found_in_place_with_thick_slices_oblong_pixels_and_cubes(host, logic, spacing):
    affine = affine_of(TILTED[9])
    affine[:3, :3] *= np.divide(spacing, (0.7, 0.9, 2.5))
    case = Case(affine)
    assert_found(case, logic.consensus(case.scan, case.point(), samples=1))


@pytest.mark.parametrize("axes", [UPRIGHT[1], TILTED[0]], ids=["left-handed", "tilted"])
def test_found_in_place_in_a_file_that_slicer_loaded(host, logic, tmp_path, axes):
    case = Case(affine_of(axes))
    image = SimpleITK.GetImageFromArray(slicer.util.arrayFromVolume(case.scan))
    image.SetSpacing((0.7, 0.9, 2.5))
    image.SetDirection((np.diag([-1, -1, 1]) @ axes).ravel().tolist())
    image.SetOrigin((np.diag([-1, -1, 1]) @ case.affine[:3, 3]).tolist())
    SimpleITK.WriteImage(image, str(tmp_path / "scan.nrrd"))
    loaded = host.logics["volumes"].AddArchetypeVolume(str(tmp_path / "scan.nrrd"), "loaded", 0)
    shown = logic.consensus(loaded, case.point(), samples=1)
    middle = places(case.affine)[case.thing].mean(0)
    assert np.linalg.norm(np.subtract(shown.agreement_node.GetSegmentCenterRAS("consensus"), middle)) < 2.5
    assert shown.rows[0].volume.median == pytest.approx(case.thing.sum() * 0.7 * 0.9 * 2.5 / 1000, rel=0.2)


def linear(matrix: np.ndarray, name="Registration"):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    node.SetMatrixTransformToParent(vtkMatrixFromArray(matrix))
    return node


def turn_and_shift() -> np.ndarray:
    transform = vtk.vtkTransform()
    transform.Translate(12, -7, 5)
    transform.RotateZ(25)
    transform.RotateX(-10)
    return arrayFromVTKMatrix(transform.GetMatrix())


def warp():
    """A thin-plate spline that moves something."""
    spline = vtk.vtkThinPlateSplineTransform()
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    for point in [(0, 0, 0), (90, 0, 0), (0, 90, 0), (0, 0, 90), (90, 90, 90)]:
        source.InsertNextPoint(point)
        target.InsertNextPoint(point if sum(point) < 200 else (95, 80, 99))
    spline.SetSourceLandmarks(source)
    spline.SetTargetLandmarks(target)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "Warp")
    node.SetAndObserveTransformToParent(spline)
    return node


def test_under_a_linear_transform_refused_and_once_hardened_found_where_it_was_moved_to(host, logic):
    case = Case(affine_of(UPRIGHT[1]))
    case.scan.SetAndObserveTransformNodeID(linear(turn_and_shift()).GetID())
    case.affine = turn_and_shift() @ case.affine
    place = case.point((case.affine @ [*CENTER_IJK, 1])[:3])
    before = everything_in(host.scene)
    with pytest.raises(GeometryError, match="'CTChest' is under transform 'Registration'. Harden the transform"):
        logic.consensus(case.scan, place)
    assert everything_in(host.scene) == before
    case.scan.HardenTransform()
    shown = logic.consensus(case.scan, place, samples=1)
    assert shown.volume_node is case.scan
    assert_found(case, shown)


def test_under_a_warp_refused_and_also_when_it_lies_further_up(host, logic):
    case = Case(affine_of(UPRIGHT[1]))
    place, inner = case.point(), linear(np.eye(4), "nothing")
    for transform in (warp(), inner):
        case.scan.SetAndObserveTransformNodeID(transform.GetID())
        inner.SetAndObserveTransformNodeID(slicer.util.getNode("Warp").GetID())
        before = everything_in(host.scene)
        with pytest.raises(GeometryError, match=f"is under transform '{transform.GetName()}'. Harden"):
            logic.consensus(case.scan, place)
        assert everything_in(host.scene) == before


def test_sheared_axes_are_refused_also_those_that_hardening_made(host, logic):
    sheared = np.eye(4)
    sheared[0, 2] = 0.2
    case = Case(affine_of(UPRIGHT[0]))
    place = case.point()
    case.scan.SetAndObserveTransformNodeID(linear(sheared).GetID())
    case.scan.HardenTransform()
    with pytest.raises(GeometryError, match="its axes are not perpendicular. Resample it first"):
        logic.consensus(case.scan, place)


@pytest.mark.parametrize("kind", ["point", "box"])
@pytest.mark.parametrize("make", [lambda: linear(turn_and_shift()), warp], ids=["linear", "warp"])
def test_a_point_or_box_under_a_transform_counts_where_it_is_seen(host, logic, kind, make):
    case = Case(affine_of(TILTED[3]))
    transform = make()
    to_world, seen = vtk.vtkGeneralTransform(), np.zeros(3)
    transform.GetTransformToWorld(to_world)
    own = to_world.GetInverse().TransformPoint(case.center)
    if kind == "point":
        place = case.point(own)
        place.SetAndObserveTransformNodeID(transform.GetID())
        place.GetNthControlPointPositionWorld(0, seen)
    else:
        place = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "R")
        place.SetCenter(own)
        place.SetSize((18, 18, 18))
        place.SetAndObserveTransformNodeID(transform.GetID())
        place.GetCenterWorld(seen)
    assert np.linalg.norm(seen - case.center) < 0.1
    assert np.linalg.norm(np.subtract(own, case.center)) > 3
    assert_found(case, logic.consensus(case.scan, place, samples=1))
