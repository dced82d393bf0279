"""Whose work is whose: what a new result may replace, and what undo takes back."""

import numpy as np
import pytest
from scene_cases import MODEL, SENTENCE, Case, everything_in, ids_in, mask_of, paint
from slicer.util import arrayFromVolume

from MultiRaterSegLib.errors import UnsupportedRequest

BANDS = ["readers_nearly_all", "readers_most", "readers_some"]


def with_everything(case):
    lesion = case.lesion()
    lesion.add("consensus", case.answer("consensus", 4, 5, 6, 7, 8), MODEL)
    lesion.add("inclusive", case.answer("inclusive", 7, 8, 9))
    return lesion


def steps(case, lesion):
    """Every kind of action once."""
    yield lambda: lesion.add("consensus", case.answer("consensus", 5, 6, 7), MODEL)
    yield lambda: lesion.add("inclusive", case.answer("inclusive", 6))
    yield lambda: lesion.add(SENTENCE, case.answer(SENTENCE, 5, 6, 7))
    yield lambda: lesion.edit_copy("inclusive")
    yield lambda: lesion.review("inclusive", "accepted", "looks right")
    yield lambda: lesion.add("inclusive", case.answer("inclusive", 8))
    yield lambda: lesion.remove(SENTENCE)
    yield lambda: lesion.remove("consensus")


def test_undo_takes_back_exactly_the_last_action_step_by_step(host):
    case = Case(host.scene)
    lesion = with_everything(case)
    states = [content(host.scene)]
    for step in steps(case, lesion):
        step()
        states.append(content(host.scene))
        assert states[-1] != states[-2]
    while len(states) > 1:
        states.pop()
        assert case.lesions.undo()
        assert content(host.scene) == states[-1]
    case.lesions.undo()
    case.lesions.undo()
    assert not case.lesions.can_undo
    assert (lesion.names, lesion.folder, lesion.agreement_node, lesion.map_node) == ([], 0, None, None)


def content(scene) -> list[str]:
    """Without the ids of nodes, which are new when a node is made again."""
    kinds = ("vtkMRMLSegmentationNode", "vtkMRMLVolumeNode", "vtkMRMLTableNode", "vtkMRMLScriptedModuleNode")
    nodes = {id_: scene.GetNodeByID(id_) for id_ in everything_in(scene)}
    found = [repr(value) for id_, value in everything_in(scene).items() if any(map(nodes[id_].IsA, kinds))]
    return sorted(found) + sorted(node.GetClassName() for node in nodes.values())


def test_several_results_can_be_one_step(host):
    case = Case(host.scene)
    lesion = with_everything(case)
    with case.lesions.action("All styles of L1"):
        lesion.add("conservative", case.answer("conservative", 4))
        lesion.add("generous", case.answer("generous", 6))
    assert case.lesions.undo_title == "All styles of L1"
    assert case.lesions.undo() == "All styles of L1"
    assert lesion.names == ["consensus", "inclusive"]


def half_way(case, lesion):
    with case.lesions.action("Half"):
        lesion.add("conservative", case.answer("conservative", 4))
        lesion.edit_copy("nothing of that name")


def test_an_action_that_fails_half_way_is_taken_back(host):
    case = Case(host.scene)
    lesion = with_everything(case)
    before = content(host.scene)
    with pytest.raises(UnsupportedRequest):
        half_way(case, lesion)
    assert content(host.scene) == before
    assert case.lesions.undo_title == "Inclusive (largest) of L1"


def test_recomputing_replaces_our_own_result_in_place_and_keeps_name_and_colour_that_were_chosen(host):
    case = Case(host.scene)
    lesion = with_everything(case)
    segment = lesion.styles_node.GetSegmentation().GetSegment("expert_inclusive")
    segment.SetName("My favourite")
    segment.SetColor(0.2, 0.4, 0.6)
    lesion.set_visible("inclusive", False)
    node = lesion.styles_node
    lesion.add("inclusive", case.answer("inclusive", 5))
    assert lesion.styles_node is node
    assert ids_in(node) == ["expert_inclusive"]
    assert np.array_equal(mask_of(node, "expert_inclusive", case.scan), case.full(case.ball(5)))
    assert (segment.GetName(), lesion.rows[1].color) == ("My favourite", "#336699")
    assert not lesion.visible("inclusive")


def test_an_edited_result_is_kept_and_the_new_one_made_beside_it(host):
    case = Case(host.scene)
    lesion = with_everything(case)
    edited = paint(case, lesion.styles_node, "expert_inclusive")
    band = paint(case, lesion.agreement_node, "readers_most")
    assert lesion.rows[1].edited
    lesion.add("inclusive", case.answer("inclusive", 5))
    lesion.add("consensus", case.answer("consensus", 5, 6, 7))
    assert ids_in(lesion.styles_node) == ["expert_inclusive", "expert_inclusive_2"]
    assert ids_in(lesion.agreement_node) == ["consensus", *BANDS, "readers_most_2"]
    assert np.array_equal(mask_of(lesion.styles_node, "expert_inclusive", case.scan), edited)
    assert np.array_equal(mask_of(lesion.agreement_node, "readers_most", case.scan), band)
    assert np.array_equal(mask_of(lesion.styles_node, "expert_inclusive_2", case.scan), case.full(case.ball(5)))
    assert lesion.names == ["consensus", "inclusive"]
    assert not lesion.rows[1].edited


@pytest.mark.parametrize("state", ["accepted", "flagged"])
def test_a_reviewed_result_is_kept_too(host, state):
    case = Case(host.scene)
    lesion = with_everything(case)
    lesion.review("inclusive", state, "as drawn")
    lesion.add("inclusive", case.answer("inclusive", 5))
    assert np.array_equal(mask_of(lesion.styles_node, "expert_inclusive", case.scan), case.full(case.ball(8)))
    assert lesion.record("inclusive").segment == "expert_inclusive_2"


def test_an_edited_map_is_kept(host):
    case = Case(host.scene)
    lesion = with_everything(case)
    first = lesion.map_node
    arrayFromVolume(first)[0, 0, 0] = 50
    lesion.add("consensus", case.answer("consensus", 5, 6, 7))
    assert lesion.map_node is not first
    assert first.GetScene() is host.scene
    case.lesions.undo()
    assert lesion.map_node is first
    assert arrayFromVolume(first)[0, 0, 0] == 50


def test_undo_leaves_what_was_edited_since(host):
    case = Case(host.scene)
    lesion = with_everything(case)
    copy = lesion.edit_copy("inclusive")
    painted = paint(case, copy, "expert_inclusive")
    edited = paint(case, lesion.styles_node, "expert_inclusive")
    case.lesions.undo()
    case.lesions.undo()
    assert copy.GetScene() is host.scene
    assert np.array_equal(mask_of(copy, "expert_inclusive", case.scan), painted)
    assert np.array_equal(mask_of(lesion.styles_node, "expert_inclusive", case.scan), edited)
    assert lesion.names == ["consensus"]


def test_nodes_of_the_person_are_never_touched(host):
    case = Case(host.scene)
    own = host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "L1 Styles")
    own.CreateDefaultDisplayNodes()
    own.SetReferenceImageGeometryParameterFromVolumeNode(case.scan)
    own.GetSegmentation().AddEmptySegment("expert_inclusive", "Inclusive (largest)")
    paint(case, own, "expert_inclusive")
    mine = {own, case.scan, case.points}
    before = [value for id_, value in everything_in(host.scene).items() if host.scene.GetNodeByID(id_) in mine]
    lesion = with_everything(case)
    for step in steps(case, lesion):
        step()
    while case.lesions.undo():
        pass
    assert [value for id_, value in everything_in(host.scene).items() if host.scene.GetNodeByID(id_) in mine] == before
    assert lesion.styles_node is None


def test_a_new_window_has_nothing_to_undo_but_works_on(host):
    from MultiRaterSegSlicer.scene.lesions import Lesions

    case = Case(host.scene)
    with_everything(case)
    lesions = Lesions(host.scene)
    assert not lesions.can_undo
    [lesion] = lesions.all()
    lesion.add("inclusive", case.answer("inclusive", 5))
    assert ids_in(lesion.styles_node) == ["expert_inclusive"]
    lesions.undo()
    assert np.array_equal(mask_of(lesion.styles_node, "expert_inclusive", case.scan), case.full(case.ball(8)))
