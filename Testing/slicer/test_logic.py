"""The console's calls: a scan and a point in, segments in place out, and a scene left alone when they fail."""

import os
import signal
from dataclasses import dataclass

import numpy as np
import pytest
import slicer
import worker_models
from MultiRaterSegSlicer import nodes
from MultiRaterSegSlicer.logic import MultiRaterSegLogic
from MultiRaterSegSlicer.worker.client import WorkerClient
from orientations import TILTED, UPRIGHT, affine_of
from scene_cases import keep_hierarchy
from slicer.util import addVolumeFromArray, arrayFromSegmentBinaryLabelmap, arrayFromVolume

from MultiRaterSegLib.errors import Cancelled, GeometryError, UnsupportedRequest, VolumeError, WorkerError
from MultiRaterSegLib.geometry import Grid
from MultiRaterSegLib.predictor import VolumePredictor

SHAPE = (24, 60, 70)


@dataclass
class Case:
    """A bright ball with a soft edge, 6 mm in radius, somewhere in the scan."""

    axes: np.ndarray

    def __post_init__(self):
        keep_hierarchy(slicer.mrmlScene)
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

    def radius(self, shown, id_: str) -> float:
        """mm of a ball of the same volume, after checking that the mask is a ball around the centre."""
        node = shown.agreement_node if id_ == "consensus" else shown.styles_node
        mask = arrayFromSegmentBinaryLabelmap(node, id_, self.scan).astype(bool)
        reach = self.distance[mask].max()
        assert (mask == (self.distance <= reach)).mean() > 0.999
        return float((mask.sum() * self.grid.voxel_volume_ml * 1000 * 3 / 4 / np.pi) ** (1 / 3))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return worker_models.save_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def logic(models):
    logic = MultiRaterSegLogic(WorkerClient(worker_models.command(models)), "brightness")
    logic.models()  # waits until it is ready, so that each test runs alone too
    yield logic
    logic.close()


def nodes_in(host) -> int:
    return host.scene.GetNumberOfNodes()


@pytest.mark.parametrize("axes", [UPRIGHT[30], UPRIGHT[1], TILTED[5]], ids=["right-handed", "left-handed", "tilted"])
def test_consensus_and_styles_surround_the_lesion_that_was_pointed_at(host, logic, axes):
    case = Case(axes)
    shown = logic.segment(case.scan, case.place(host), logic.experts, samples=5)
    small, middle, large = (case.radius(shown, id_) for id_ in ("expert_conservative", "consensus", "expert_inclusive"))
    assert 4.5 < small < middle - 0.4 < large - 0.8 < 7.5
    assert shown.map_node.GetImageData().GetScalarRange()[0] == 0
    assert 0 < shown.map_node.GetImageData().GetScalarRange()[1] <= 50


def test_between_two_styles_lies_between_and_joins_them_in_the_lesion_of_that_point(host, logic):
    case = Case(UPRIGHT[30])
    place = case.place(host)
    ends = logic.segment(case.scan, place, logic.experts, samples=1)
    halfway = logic.interpolate(case.scan, place, "conservative", "inclusive", 0.5, samples=1)
    assert halfway == ends
    assert halfway.names == ["consensus", "conservative", "inclusive", "conservative to inclusive, 0.5"]
    radius = case.radius(halfway, "between_1")
    assert case.radius(ends, "expert_conservative") + 0.3 < radius < case.radius(ends, "expert_inclusive") - 0.3


def test_one_expert_comes_with_the_consensus_and_undo_takes_both_back(host, logic):
    case = Case(UPRIGHT[30])
    place, before = case.place(host), nodes_in(host)
    assert logic.expert(case.scan, place, "Inclusive", samples=2).names == ["consensus", "inclusive"]
    ends = logic.interpolate(case.scan, place, "CONSERVATIVE", "Inclusive", 0, samples=2)
    assert ends.names == ["consensus", "inclusive", "conservative to inclusive, 0"]
    assert nodes_in(host) > before
    assert [logic.lesions.undo(), logic.lesions.undo()]
    assert not [lesion for lesion in logic.lesions.all() if lesion.names]


def test_a_box_and_bare_coordinates_serve_as_well_as_a_point(host, logic):
    case = Case(TILTED[5])
    box = host.scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "R")
    box.SetCenter(case.center)
    box.SetSize((14, 14, 14))
    boxed = logic.consensus(case.scan, box, samples=2)
    assert 5 < case.radius(boxed, "consensus") < 7
    assert logic.consensus(case.scan, tuple(case.center), samples=2) == boxed
    elsewhere = Case(TILTED[5])
    corners = (case.center - 7, case.center + 7)
    for place in (tuple(case.center), corners):
        shown = logic.consensus(elsewhere.scan, place, samples=2)
        assert 5 < elsewhere.radius(shown, "consensus") < 7
    assert shown.label != boxed.label


def test_progress_runs_from_nothing_to_all_without_stepping_back(host, logic):
    case = Case(UPRIGHT[30])
    seen = []
    logic.segment(case.scan, case.place(host), logic.experts, samples=3, progress=seen.append)
    assert seen == sorted(seen)
    assert 0 <= seen[0] < 1
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


def test_the_answer_is_the_one_that_the_library_gives_in_this_process(host, logic, models):
    case = Case(TILTED[5])
    lesion = logic.lesion(case.scan, case.place(host))
    assert lesion.part.voxels.size < np.prod(SHAPE)
    own = VolumePredictor.from_checkpoint(models / "brightness.safetensors", "cpu")
    expected = own.lesion(nodes.volume_from_node(case.scan), at=case.center)
    for style in (None, "inclusive", ("conservative", "inclusive", 0.25)):
        got, wanted = lesion.style(style, 5).wait(), expected.ask(style, 5)
        assert wanted.samples.any()
        assert np.array_equal(got.samples, wanted.samples)
        assert np.array_equal(got.consensus, wanted.consensus)
        assert (got.title, got.warnings, got.provenance) == (wanted.title, wanted.warnings, wanted.provenance)
    result = lesion.result(got, {"inclusive": got})
    assert (result.label, result.ranked, result.experts) == ("nodule", ("inclusive",), ("conservative", "inclusive"))


def test_models_and_their_experts_are_listed(logic):
    names = [model.name for model in logic.models()]
    assert names[0] == "prosona_compact"
    assert {"brightness", "laborious"} <= set(names)
    assert logic.experts == ["conservative", "inclusive"]


def test_a_scan_of_another_kind_is_said_to_be_unsuitable(host, logic):
    assert "check that it is CT" in logic.unsuitable(Case(UPRIGHT[30]).scan)
    logic.models()
    assert "chest CT" in logic.unsuitable(Case(UPRIGHT[30]).scan, "brightness")


def test_a_preview_is_a_slice_of_the_answer(host, logic):
    case = Case(TILTED[5])
    lesion = logic.lesion(case.scan, case.place(host))
    whole = lesion.style("inclusive", 8).wait()
    seen = logic.preview(case.scan, case.place(host), "inclusive", case.center)
    assert seen.mask.any()
    assert np.array_equal(seen.mask, whole.consensus[seen.grid.window_in(whole.reference)])
    assert logic.previews_while_dragging()
    with pytest.raises(GeometryError, match="too far from the lesion"):
        logic.preview(case.scan, case.place(host), "inclusive", case.center + 1000 * case.axes[:, 2])


def test_sentences_are_understood_or_not(logic):
    read = logic.understand("tighter, without the halo", "prosona_compact")
    assert read.summary == "extent tight, halo -"
    assert not read.error
    assert "names nothing that a reader style can change" in logic.understand("banana", "prosona_compact").error
    assert "cannot follow a sentence" in logic.understand("tighter").error
    for suggestion in read.suggestions:
        assert not logic.understand(suggestion, "prosona_compact").error


def test_with_callbacks_nothing_waits_and_the_nodes_come_while_pumping(host, logic):
    case, answers, progress = Case(UPRIGHT[30]), [], []
    place, before = case.place(host), nodes_in(host)
    pending = logic.segment(case.scan, place, logic.experts, samples=2, done=answers.append, progress=progress.append)
    assert nodes_in(host) == before
    pending.wait()
    assert answers == [pending.result]
    assert progress[-1].share == 1
    assert progress[-1].slices_total == progress[-1].slices_done
    assert answers[0].names == ["consensus", "conservative", "inclusive"]


def test_cancelling_a_slow_model_leaves_the_scene_and_the_worker_in_order(host, logic):
    case, failed = Case(UPRIGHT[30]), []
    place, before = case.place(host), nodes_in(host)
    pending = logic.consensus(case.scan, place, model="laborious", failed=failed.append)
    logic.client.pump_until(lambda: pending.progress is not None)
    pending.cancel()
    with pytest.raises(Cancelled):
        pending.wait()
    assert failed == [pending.error]
    assert nodes_in(host) == before
    assert case.radius(logic.consensus(case.scan, place, samples=1), "consensus") > 4


def test_a_scan_edited_or_removed_while_it_is_looked_at_harms_nothing(host, logic):
    case = Case(UPRIGHT[30])
    place, before = case.place(host), logic.lesion(case.scan, case.place(host)).consensus(2).wait()
    lesion = logic.lesion(case.scan, place)
    pending = logic.consensus(case.scan, place, samples=2, failed=lambda error: None)
    arrayFromVolume(case.scan)[:] = 0
    slicer.mrmlScene.RemoveNode(case.scan)
    case.scan.SetAndObserveImageData(None)
    count = nodes_in(host)
    assert np.array_equal(lesion.consensus(2).wait().samples, before.samples)
    with pytest.raises(GeometryError, match="'CTChest' was removed from the scene"):
        pending.wait()
    assert nodes_in(host) == count


def test_only_voxels_around_the_lesion_must_be_usable(host, logic):
    case = Case(UPRIGHT[30])
    voxels = arrayFromVolume(case.scan).astype(np.float32)
    voxels[0, 0, 0] = np.nan
    far = addVolumeFromArray(voxels, ijkToRAS=case.grid.affine, name="far")
    logic.lesion(far, case.place(host))
    voxels[11, 27, 38] = np.nan
    near = addVolumeFromArray(voxels, ijkToRAS=case.grid.affine, name="near")
    with pytest.raises(VolumeError, match="not finite"):
        logic.lesion(near, case.place(host))


def test_a_killed_worker_is_a_message_and_the_next_call_starts_another(host, logic):
    case = Case(UPRIGHT[30])
    place, before = case.place(host), nodes_in(host)
    pending = logic.consensus(case.scan, place, model="laborious", failed=lambda error: None)
    logic.client.pump_until(lambda: pending.progress is not None)
    os.kill(logic.client.pid, signal.SIGKILL)
    with pytest.raises(WorkerError, match="ended by signal 9"):
        pending.wait()
    assert nodes_in(host) == before
    assert case.radius(logic.consensus(case.scan, place, samples=1), "consensus") > 4
