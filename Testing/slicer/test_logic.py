"""The console's calls: a scan and a point in, segments in place out, and a scene left alone when they fail."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from MultiRaterSegSlicer.logic import MultiRaterSegLogic
from orientations import TILTED, UPRIGHT, affine_of
from slicer.util import addVolumeFromArray, arrayFromSegmentBinaryLabelmap

from MultiRaterSegLib.checkpoint import Checkpoint
from MultiRaterSegLib.errors import Cancelled, GeometryError, UnsupportedRequest
from MultiRaterSegLib.frame import Frame
from MultiRaterSegLib.geometry import Grid
from MultiRaterSegLib.method import Expert, Method
from MultiRaterSegLib.predictor import VolumePredictor

SHAPE = (24, 60, 70)


class Brightness(Method):
    """Readers who outline what is brighter than a level of their own: enough to know where the outline must lie."""

    name, title = "brightness", "Brightness"

    def __init__(self):
        super().__init__()
        self.channels, self.labels = 1, ("background", "nodule")
        self.experts = tuple(Expert(name, name.title()) for name in ("conservative", "inclusive"))

    def encode(self, image):
        return image

    def sample(self, encoded, noise, style=None):
        own = 0.5 + 0.1 * noise.uniform("level", len(encoded), (1, 1))
        inside = torch.sigmoid(40 * (encoded[None, :, 0] - (own if style is None else style)))
        return torch.stack([1 - inside, inside], 2).expand(len(noise.samples), -1, -1, -1, -1)

    def expert_style(self, encoded, expert):
        return torch.full((1, 1, 1, 1), (0.8, 0.2)[expert])

    def stages(self):
        return ()


@dataclass
class Case:
    """A bright ball with a soft edge, 6 mm in radius, somewhere in the scan."""

    axes: np.ndarray

    def __post_init__(self):
        self.grid = Grid(SHAPE, affine_of(self.axes))
        self.center = self.grid.to_ras((38, 27, 11))
        k, j, i = np.indices(SHAPE)
        self.distance = np.linalg.norm(self.grid.to_ras(np.stack([i, j, k], -1)) - self.center, axis=-1)
        values = -800 + 850 * np.clip((7.5 - self.distance) / 3, 0, 1)
        self.scan = addVolumeFromArray(values.astype(np.int16), ijkToRAS=self.grid.affine, name="CTChest")

    def place(self, host, *points):
        node = host.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "F")
        for point in points or [self.center]:
            node.AddControlPoint(point)
        return node

    def radius(self, segmentation, id_: str) -> float:
        """mm of a ball of the same volume, after checking that the mask is a ball around the centre."""
        mask = arrayFromSegmentBinaryLabelmap(segmentation, id_, self.scan).astype(bool)
        reach = self.distance[mask].max()
        assert (mask == (self.distance <= reach)).mean() > 0.999
        return float((mask.sum() * self.grid.voxel_volume_ml * 1000 * 3 / 4 / np.pi) ** (1 / 3))


@pytest.fixture(scope="module")
def logic():
    checkpoint = Checkpoint(Brightness(), Frame(), {"modality": "CT", "trained_for": "chest CT"}, "test", "0" * 64)
    return MultiRaterSegLogic(VolumePredictor(checkpoint))


def nodes_in(host) -> int:
    return host.scene.GetNumberOfNodes()


@pytest.mark.parametrize("axes", [UPRIGHT[30], UPRIGHT[1], TILTED[5]], ids=["right-handed", "left-handed", "tilted"])
def test_consensus_and_styles_surround_the_lesion_that_was_pointed_at(host, logic, axes):
    case = Case(axes)
    segmentation, uncertainty = logic.segment(case.scan, case.place(host), logic.experts, samples=5)
    small, middle, large = (
        case.radius(segmentation, id_) for id_ in ("expert_conservative", "consensus", "expert_inclusive")
    )
    assert 4.5 < small < middle - 0.4 < large - 0.8 < 7.5
    assert uncertainty.GetImageData().GetScalarRange()[0] == 0
    assert 0 < uncertainty.GetImageData().GetScalarRange()[1] <= 50


def test_between_two_styles_lies_between(host, logic):
    case = Case(UPRIGHT[30])
    place = case.place(host)
    halfway, _ = logic.interpolate(case.scan, place, "conservative", "inclusive", 0.5, samples=1)
    ends, _ = logic.segment(case.scan, place, logic.experts, samples=1)
    radius = case.radius(halfway, "between_1")
    assert case.radius(ends, "expert_conservative") + 0.3 < radius < case.radius(ends, "expert_inclusive") - 0.3
    assert halfway.GetSegmentation().GetSegment("between_1").GetName() == "conservative to inclusive, 0.5"


def test_one_expert_comes_with_the_consensus_beside(host, logic):
    case = Case(UPRIGHT[30])
    segmentation, _ = logic.expert(case.scan, case.place(host), "Inclusive", samples=2)
    assert list(segmentation.GetSegmentation().GetSegmentIDs())[:2] == ["consensus", "expert_inclusive"]


def test_a_box_serves_as_well_as_a_point(host, logic):
    case = Case(TILTED[5])
    box = host.scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "R")
    box.SetCenter(case.center)
    box.SetSize((14, 14, 14))
    segmentation, _ = logic.consensus(case.scan, box, samples=2)
    assert 5 < case.radius(segmentation, "consensus") < 7


def test_progress_runs_from_nothing_to_all_without_stepping_back(host, logic):
    case = Case(UPRIGHT[30])
    seen = []
    logic.segment(case.scan, case.place(host), logic.experts, samples=3, progress=seen.append)
    assert seen == sorted(seen)
    assert 0 < seen[0] < 0.5
    assert seen[-1] == 1


def test_cancelling_leaves_the_scene_as_it_was(host, logic):
    case = Case(UPRIGHT[30])
    place, before = case.place(host), nodes_in(host)
    with pytest.raises(Cancelled):
        logic.consensus(case.scan, place, progress=lambda share: share < 0.6)
    assert nodes_in(host) == before


def test_requests_that_cannot_be_met_say_why_and_leave_the_scene_alone(host, logic):
    case = Case(UPRIGHT[30])
    nowhere = case.place(host, (9000, 0, 0))
    two, one = case.place(host, case.center, case.center + 1), case.place(host)
    before = nodes_in(host)
    with pytest.raises(GeometryError, match="outside 'CTChest'"):
        logic.consensus(case.scan, nowhere)
    with pytest.raises(GeometryError, match="holds 2 points"):
        logic.consensus(case.scan, two)
    with pytest.raises(UnsupportedRequest, match="knows no expert 'generous'"):
        logic.expert(case.scan, one, "generous")
    with pytest.raises(UnsupportedRequest, match="cannot follow a prompt"):
        logic.prompt(case.scan, one, "include the halo")
    assert nodes_in(host) == before
