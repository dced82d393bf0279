"""What the panel does, without its widgets: each press, each answer, each error as a sentence."""

import numpy as np
import pytest
import slicer
from MultiRaterSegSlicer.panel.presenter import Panel
from MultiRaterSegSlicer.panel.words import volume_words
from panel_fakes import FakeLogic, FakeWindow, model
from scene_cases import EXPERTS, Case

from MultiRaterSegLib.agreement import VolumeRange
from MultiRaterSegLib.errors import GeometryError, UnsupportedRequest

CONSENSUS = (4, 5, 6, 7, 8)
NOT_MEANINGFUL = "This model was trained on single lung nodules in CT. Results here are not meaningful."


class Desk:
    """A panel with a scan chosen; `click` is a click in a slice view while placing."""

    def __init__(self, scene, ready=True, **options):
        self.case = Case(scene)
        self.case.points.RemoveAllControlPoints()
        self.logic, self.window = FakeLogic(self.case, **options), FakeWindow()
        self.panel = Panel(self.logic, self.window)
        self.panel.choose_volume(self.case.scan)
        if ready:
            self.panel.opened()
            self.logic.become_ready()

    @property
    def state(self):
        self.panel.tick()
        return self.window.state

    @property
    def task(self):
        return self.logic.tasks[-1]

    @property
    def lesion(self):
        return self.panel.session.lesion

    def click(self, ras=None):
        ras = self.case.center if ras is None else ras
        self.panel.places.stop()
        self.panel.pointing.placed(self.case.points, self.case.points.AddControlPoint(ras))

    def answer(self, name, *radii, **options):
        self.task.finish(self.case.answer(name, *radii, **options))

    def outline(self):
        self.click()
        self.answer("consensus", *CONSENSUS)

    def press(self, text):
        next(button for button in self.state.message.buttons if button.text == text).press()

    def row(self, name):
        return next(row for row in self.state.rows if row.name == name)

    def nodes(self):
        return {(node.GetClassName(), node.GetName()) for node in slicer.util.getNodesByClass("vtkMRMLDisplayableNode")}


@pytest.fixture
def desk(host):
    return Desk(host.scene)


def test_without_a_volume_placing_says_what_to_do(host):
    desk = Desk(host.scene)
    desk.panel.choose_volume(None)
    desk.panel.place_point(True)
    assert desk.state.message.text == "Choose a volume first."
    assert not desk.state.has_volume


def test_a_click_is_a_lesion_and_its_consensus_starts(desk):
    desk.click()
    assert desk.state.lesion == "L1"
    assert [task.asked for task in desk.logic.tasks] == [("consensus", 20)]
    assert desk.state.busy
    assert desk.case.points.GetNthControlPointLabel(0) == "L1"


def test_the_consensus_waits_for_compute_where_that_is_wanted(desk):
    desk.panel.set_compute_on_place(False)
    desk.panel.set_samples(50)
    desk.click()
    assert desk.logic.tasks == []
    desk.panel.compute()
    assert desk.task.asked == ("consensus", 50)


def test_progress_counts_slices_and_time_left(desk):
    desk.click()
    desk.task.report(120, 840, 3.6)
    assert desk.window.busy.text == "Consensus of L1: 120 of 840 slices of all samples, 4 s left"
    assert desk.window.busy.percent == 14
    desk.task.report(400, 840, 600)
    assert desk.window.busy.text.endswith("10 min left")


def test_the_consensus_arrives_with_its_numbers_and_steps_open(desk):
    assert not desk.state.has_result
    desk.outline()
    assert desk.state.has_result
    assert not desk.state.busy
    assert desk.window.busy is None
    ml = desk.lesion.prediction("consensus").volumes_ml
    low, high = np.percentile(ml, (5, 95))
    assert desk.row("consensus").volume == f"{np.median(ml):.2f} ({low:.2f}-{high:.2f})"
    assert desk.row("consensus").shown
    assert desk.state.bands_shown
    assert not desk.state.map_on
    assert desk.state.spots[0].text.startswith("Slice")


def test_cancel_leaves_the_scene_as_it_was(desk):
    before = desk.nodes()
    desk.click()
    desk.panel.cancel()
    assert desk.state.message.text == "Cancelled. Consensus of L1 was not added."
    assert not desk.state.busy
    assert desk.nodes() == before


def test_cancel_while_the_model_loads_computes_nothing_later(host):
    desk = Desk(host.scene, ready=False)
    desk.panel.opened()
    desk.click()
    assert desk.window.busy.percent is None
    desk.panel.cancel()
    desk.logic.become_ready()
    assert desk.logic.tasks == []
    assert desk.window.busy is None


def test_a_click_before_the_model_is_there_is_computed_when_it_is(host):
    desk = Desk(host.scene, ready=False)
    desk.click()
    assert desk.logic.client.state == "starting"
    desk.logic.become_ready()
    assert desk.task.asked == ("consensus", 20)


def test_a_style_is_computed_without_a_consensus_then_hidden_and_shown(desk):
    desk.panel.set_compute_on_place(False)
    desk.click()
    desk.panel.tick_row("conservative", True)
    assert desk.row("conservative").volume == "computing…"
    desk.answer("conservative", 5)
    row = desk.row("conservative")
    assert (row.color, row.shown, row.dice) == ("#56B4E9", True, "")
    desk.panel.tick_row("conservative", False)
    assert not desk.row("conservative").shown
    desk.panel.tick_row("conservative", True)
    assert len(desk.logic.tasks) == 1
    assert desk.row("conservative").shown


def test_all_styles_come_one_after_the_other_and_cancel_stops_the_rest(desk):
    desk.outline()
    desk.panel.all_styles()
    assert desk.task.asked[0] == EXPERTS[0]
    desk.answer("conservative", 5)
    assert desk.task.asked[0] == EXPERTS[1]
    desk.panel.cancel()
    assert len(desk.logic.tasks) == 3
    assert desk.lesion.names == ["consensus", "conservative"]


def test_sizes_out_of_order_are_said(desk):
    desk.outline()
    for name, radius in (("conservative", 8), ("inclusive", 5)):
        desk.panel.tick_row(name, True)
        desk.answer(name, radius)
    assert "not in their usual order" in desk.state.order_note
    assert desk.state.order_note not in desk.state.warnings


def test_a_second_point_on_a_lesion_is_asked_about(desk):
    desk.outline()
    desk.click(np.array(desk.case.center) + [2, 0, 0])
    assert desk.state.message.text == "This place lies on L1, which is outlined already. Is it another lesion?"
    desk.press("Same as L1")
    assert (desk.state.lesion, desk.case.points.GetNumberOfControlPoints()) == ("L1", 1)
    desk.click(np.array(desk.case.center) + [2, 0, 0])
    desk.press("Another lesion")
    assert desk.state.lesion == "L2"
    assert [choice.title for choice in desk.state.lesions] == ["L1", "L2"]


def test_a_point_outside_the_scan_is_refused_and_taken_back(desk):
    desk.click((500, 500, 500))
    assert desk.state.message.text == "This place is outside 'CTChest'."
    assert desk.case.points.GetNumberOfControlPoints() == 0
    assert desk.state.lesions == ()


def test_a_moved_scan_is_refused_with_the_reason(desk):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Registration")
    moved = slicer.vtkMRMLTransformNode
    matrix = slicer.util.vtkMatrixFromArray(np.diag([1.0, 1, 1, 1]) + np.eye(4, k=3) * 9)
    assert isinstance(transform, moved)
    transform.SetMatrixTransformToParent(matrix)
    desk.case.scan.SetAndObserveTransformNodeID(transform.GetID())
    desk.click()
    assert "under transform 'Registration'" in desk.state.message.text
    assert desk.case.points.GetNumberOfControlPoints() == 0


def test_an_unsuitable_scan_is_asked_about_and_cancel_takes_the_point_back(host):
    desk = Desk(host.scene, warning=NOT_MEANINGFUL)
    desk.click()
    assert desk.state.message.text == NOT_MEANINGFUL
    assert [button.text for button in desk.state.message.buttons] == ["Cancel", "Try anyway"]
    desk.press("Cancel")
    assert (desk.logic.tasks, desk.state.lesions, desk.state.message) == ([], (), None)
    assert desk.case.points.GetNumberOfControlPoints() == 0


def test_try_anyway_is_asked_once_and_the_warning_stays_with_the_result(host):
    desk = Desk(host.scene, warning=NOT_MEANINGFUL)
    desk.click()
    desk.press("Try anyway")
    desk.answer("consensus", *CONSENSUS, warnings=(NOT_MEANINGFUL,))
    assert NOT_MEANINGFUL in desk.state.warnings
    desk.panel.tick_row("inclusive", True)
    assert desk.task.asked[0] == "inclusive"
    assert desk.state.message is None


def test_all_styles_of_an_unsuitable_scan_are_asked_about_once(host):
    desk = Desk(host.scene, warning=NOT_MEANINGFUL)
    desk.panel.set_compute_on_place(False)
    desk.click()
    desk.panel.all_styles()
    assert desk.logic.tasks == []
    desk.press("Try anyway")
    for name in EXPERTS:
        assert desk.task.asked[0] == name
        desk.answer(name, 6)


def test_steering_on_an_unsuitable_scan_is_asked_about_too(host):
    desk = Desk(host.scene, warning=NOT_MEANINGFUL)
    desk.panel.set_compute_on_place(False)
    desk.click()
    desk.panel.steer.slide(0.3)
    assert (desk.logic.previews, desk.state.message) == ([], None)
    desk.panel.steer.rest()
    assert desk.state.message.text == NOT_MEANINGFUL
    desk.press("Cancel")
    assert desk.state.lesion == "L1"
    desk.panel.steer.say("include the halo")
    assert desk.logic.tasks == []
    desk.press("Try anyway")
    assert desk.task.asked[0] == "include the halo"


def test_nothing_installed_is_calm_until_something_is_computed(host):
    desk = Desk(host.scene, ready=False)
    desk.panel.opened()
    desk.logic.lack("torch")
    assert not desk.state.installed
    assert desk.state.message is None
    desk.click()
    desk.press("Install…")
    assert desk.window.installs == 1
    desk.panel.installed()
    desk.logic.become_ready()
    assert desk.state.installed


def test_a_lost_worker_is_said_restarted_and_harms_nothing(desk):
    desk.outline()
    before = desk.nodes()
    desk.panel.tick_row("inclusive", True)
    desk.logic.crash()
    assert "ended unexpectedly" in desk.state.message.text
    assert desk.state.message.details == "Killed"
    assert not desk.state.busy
    assert desk.nodes() == before
    desk.press("Restart")
    assert desk.logic.restarts == 1
    desk.logic.become_ready()
    desk.panel.tick_row("inclusive", True)
    desk.answer("inclusive", 7)
    assert desk.row("inclusive").computed


def test_computing_after_a_crash_restarts_the_worker_by_itself(desk):
    desk.click()
    desk.logic.crash()
    desk.panel.compute()
    assert desk.logic.restarts == 1
    desk.logic.become_ready()
    assert len(desk.logic.tasks) == 2


def test_what_was_said_of_a_lost_worker_goes_when_there_is_another_and_nothing_else_does(desk):
    desk.click()
    for say, left in [(lambda: None, None), (lambda: desk.panel.session.say("Something else."), "Something else.")]:
        desk.logic.crash()
        say()
        desk.logic.become_ready()
        assert (desk.state.message and desk.state.message.text) == left


def test_an_error_of_the_worker_is_shown_as_its_sentence(desk):
    desk.click()
    desk.task.fail(UnsupportedRequest("The scan has 3 channels; balls reads 1."))
    assert (desk.state.message.kind, desk.state.message.text) == ("error", "The scan has 3 channels; balls reads 1.")
    desk.logic.error = GeometryError("The scan is gone.")
    desk.panel.session._remotes.clear()
    desk.panel.compute()
    assert desk.state.message.text == "The scan is gone."
    assert not desk.state.busy


def test_a_bug_keeps_its_traceback(desk):
    desk.click()
    with pytest.raises(ZeroDivisionError):
        desk.task.fail(ZeroDivisionError("a bug"))


def test_undo_removes_what_came_last(desk):
    desk.outline()
    desk.panel.tick_row("inclusive", True)
    desk.answer("inclusive", 7)
    assert "inclusive" in desk.state.undo.lower()
    desk.panel.undo()
    assert desk.lesion.names == ["consensus"]
    assert not desk.row("inclusive").computed
    assert desk.state.message.text.startswith("Undone: ")
    assert "nclusive" in desk.state.message.text


def test_the_map_comes_and_goes_with_its_switch_and_follows_new_results(desk, host):
    view = host.slice_logic("Red", "Axial").GetSliceCompositeNode()
    desk.panel.show_map(True)
    desk.outline()
    assert view.GetForegroundVolumeID() == desk.lesion.map_node.GetID()
    desk.panel.show_map(False)
    assert view.GetForegroundVolumeID() is None
    assert not desk.state.map_on


def test_the_bands_can_be_hidden(desk):
    desk.outline()
    desk.panel.show_bands(False)
    assert not desk.state.bands_shown


def test_a_box_is_a_lesion_too(desk):
    box = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Box")
    box.SetCenter(*desk.case.center)
    box.SetSize(20, 20, 20)
    desk.panel.choose_box(box)
    assert desk.lesion.place["box"]
    assert desk.state.lesions[0].title == "L1 · box"
    desk.panel.choose_box(box)
    assert len(desk.state.lesions) == 1


def test_closing_the_scene_forgets_what_is_computed(desk, host):
    desk.click()
    task = desk.task
    desk.panel.scene_closing()
    host.scene.Clear(False)
    desk.panel.scene_opened()
    assert task.finished
    assert (desk.state.has_volume, desk.state.busy, desk.state.lesions) == (False, False, ())
    assert desk.window.busy is None


def test_a_new_panel_continues_where_the_scene_is(desk):
    desk.panel.set_samples(40)
    desk.outline()
    desk.panel.steer.choose("inclusive", "conservative")
    window = FakeWindow()
    again = Panel(desk.logic, window)
    again.tick()
    assert (window.state.lesion, window.state.samples) == ("L1", 40)
    assert window.state.rows[0].volume
    assert (window.state.steer.first, window.state.steer.second) == ("inclusive", "conservative")


def test_a_blind_review_hides_results_until_they_are_revealed(desk):
    desk.panel.set_blind(True)
    desk.outline()
    assert not any(row.computed for row in desk.state.rows)
    assert (desk.state.consensus, desk.state.spots, desk.state.contours) == ("", (), ())
    assert not desk.lesion.agreement_node.GetDisplayVisibility()
    desk.press("Reveal")
    assert desk.row("consensus").computed
    assert desk.lesion.agreement_node.GetDisplayVisibility()


def test_a_blind_review_is_of_every_lesion_and_ends_with_its_switch(desk, host):
    view = host.slice_logic("Red", "Axial").GetSliceCompositeNode()
    desk.panel.show_map(True)
    desk.outline()
    desk.click(desk.case.center + [0, 0, 13])
    desk.answer("consensus", 4, 5, center=desk.case.center + [0, 0, 13])
    shown = [lesion.agreement_node for lesion in desk.panel.session.lesions.all()]
    desk.panel.set_blind(True)
    assert [node.GetDisplayVisibility() for node in shown] == [0, 0]
    assert view.GetForegroundVolumeID() is None
    desk.press("Reveal")
    assert [node.GetDisplayVisibility() for node in shown] == [0, 1]
    desk.panel.set_blind(False)
    assert [node.GetDisplayVisibility() for node in shown] == [1, 1]
    assert view.GetForegroundVolumeID() == desk.lesion.map_node.GetID()


def test_accepting_is_noted_with_the_persons_words(desk):
    desk.outline()
    desk.panel.decide("consensus", "accepted", "looks right")
    assert desk.state.review.startswith("Accepted: Consensus · ")
    assert desk.state.review.endswith(" · looks right")


def test_edit_a_copy_opens_the_editor_on_it_and_lists_it(desk):
    desk.outline()
    desk.panel.review.edit("consensus")
    copy = desk.window.edited
    assert copy.GetSegmentation().GetNumberOfSegments() == 1
    assert desk.state.contours[-1].key == copy.GetID()
    desk.panel.decide(copy.GetID(), "flagged", "")
    assert f"Flagged: {copy.GetName()}" in desk.state.review


def test_export_says_where_and_errors_say_why(desk, tmp_path):
    desk.outline()
    desk.panel.export("nrrd", tmp_path / "out.seg.nrrd")
    assert desk.state.message.text == f"Exported: {tmp_path / 'out.seg.nrrd'}"
    assert (tmp_path / "out.seg.nrrd").is_file()
    desk.panel.export("nrrd", tmp_path / "missing" / "out.seg.nrrd")
    assert desk.state.message.kind == "error"
    assert "SlicerRT" in desk.panel.review.unavailable("rtstruct")


def test_the_table_and_a_spot_can_be_opened(desk, host):
    desk.outline()
    desk.panel.open_table()
    assert desk.window.table is desk.lesion.numbers_node
    view = host.slice_logic("Red", "Axial").GetSliceNode()
    spot = desk.state.spots[0]
    desk.panel.go_to(spot.ras)
    assert view.GetSliceToRAS().GetElement(2, 3) == pytest.approx(spot.ras[2], abs=1e-3)


def test_the_other_volume_has_its_own_lesions(desk, host):
    desk.outline()
    other = Case(host.scene, name="CTOther")
    desk.panel.choose_volume(other.scan)
    assert (desk.state.lesions, desk.state.lesion, desk.state.has_result) == ((), "", False)
    desk.panel.choose_volume(desk.case.scan)
    assert desk.state.lesion == "L1"


def test_the_model_says_what_it_was_trained_for_and_is_grey_where_it_follows_no_sentences(host):
    desk = Desk(host.scene, models=(model(), model("plain", follows_prompts=False)))
    assert [choice.title for choice in desk.state.models] == ["Prosona_Compact · balls in CT", "Plain · balls in CT"]
    assert [choice.grey for choice in desk.state.models] == [False, True]
    assert (desk.state.model, desk.state.model_note) == ("prosona_compact", "")
    desk.panel.choose_model("plain")
    assert desk.state.model_note == "This model does not follow sentences."
    assert not desk.state.steer.prompt_allowed
    desk.panel.choose_model("gone")
    assert desk.state.model_note.startswith("'gone' is not installed here.")


def test_volumes_have_the_digits_that_count():
    volumes = VolumeRange(0.88, 0.3, 2.031), VolumeRange(12.34, 9.96, 15), VolumeRange(104.2, 99.6, 140)
    assert [volume_words(volume) for volume in volumes] == ["0.88 (0.30-2.03)", "12.3 (10.0-15.0)", "104 (100-140)"]
