"""A saved scene that is added to one with lesions of its own: all lesions stay, with numbers that tell them apart."""

import numpy as np
import pytest
import slicer
from MultiRaterSegSlicer.scene.lesions import Lesions
from scene_cases import MODEL, Case, hierarchy_of, keep_hierarchy
from test_presenter import Desk
from test_scene_saved import assert_same_segments, with_everything


@pytest.fixture
def saved(new_host, tmp_path):
    """A file with L1 and L2, and the case that it was made from."""
    case = Case(new_host().scene, name="Earlier")
    with_everything(case)
    case.points.AddControlPoint(case.center + [0, 0, 13])
    case.points.SetNthControlPointLabel(1, "L2")
    case.lesion().add("consensus", case.answer("consensus", 3, 4, 5), MODEL)
    assert case.scene.WriteToMRB(str(tmp_path / "earlier.mrb"))
    return case, str(tmp_path / "earlier.mrb")


def added(scene, path) -> Lesions:
    assert scene.ReadFromMRB(path)
    keep_hierarchy(scene)
    return Lesions(scene)


def test_lesions_that_come_get_the_next_numbers_and_keep_all_else(saved, new_host):
    earlier, path = saved
    mine = Case(new_host().scene, name="Mine")
    own = mine.lesion()
    own.add("consensus", mine.answer("consensus", 6, 7), MODEL)
    lesions = added(mine.scene, path)
    assert lesions.tell_apart() == {"L1": "L3"}
    assert [(one.label, one.volume_node.GetName()) for one in lesions.all()] == [
        ("L1", "Mine"), ("L2", "Earlier"), ("L3", "Earlier")
    ]  # fmt: skip
    assert lesions.named("L1") == own
    came, before = lesions.named("L3"), earlier.lesions.named("L1")
    assert (came.names, came.place, came.rows, came.spots) == (before.names, before.place, before.rows, before.spots)
    for name in before.names:
        assert np.array_equal(came.prediction(name).samples, before.prediction(name).samples)
    for node in (came.node, *came.own_nodes, *came.edited_nodes):
        assert node.GetName().startswith("L3 ")
    came.agreement_node.SetName("L1 Agreement")  # as it was, to compare the rest
    assert_same_segments(earlier, before.agreement_node, came.agreement_node, came.volume_node)
    assert hierarchy_of(mine.scene).GetItemName(came.folder) == "L3"
    assert hierarchy_of(mine.scene).GetItemName(own.folder) == "L1"
    assert lesions.tell_apart() == {}
    assert lesions.add(mine.scan, mine.points).label == "L4"


def test_the_same_scene_twice_is_two_cases(saved, new_host):
    _, path = saved
    scene = new_host().scene
    added(scene, path)
    lesions = added(scene, path)
    assert lesions.tell_apart() == {"L1": "L3", "L2": "L4"}
    assert len({one.node.GetParameter("uid") for one in lesions.all()}) == 4
    assert len({one.folder for one in lesions.all()}) == 4
    hierarchy = hierarchy_of(scene)
    for one in lesions.all():
        assert hierarchy.GetItemName(one.folder) == one.label
        assert {hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) for node in one.own_nodes} == {one.folder}
    first, second = lesions.named("L2"), lesions.named("L4")
    assert first.volume_node is not second.volume_node
    assert [first.place_node.GetNthControlPointLabel(1), second.place_node.GetNthControlPointLabel(1)] == ["L2", "L4"]
    second.remove("consensus")
    assert first.names == ["consensus"]


def test_the_panel_goes_on_with_both_and_says_what_changed(saved, new_host):
    _, path = saved
    desk = Desk(new_host().scene)
    desk.outline()
    mine = desk.case.scan
    assert slicer.mrmlScene.ReadFromMRB(path)
    desk.panel.scene_opened()
    assert desk.state.message.text == "Added lesions have new numbers: L1 is L3."
    for scan, labels in ((mine, ["L1"]), (desk.panel.session.lesions.named("L3").volume_node, ["L2", "L3"])):
        desk.panel.choose_volume(scan)
        assert [choice.key for choice in desk.state.lesions] == labels
        assert desk.lesion.volume_node is scan
        desk.panel.choose_lesion(labels[-1])
        assert desk.row("consensus").computed
    desk.panel.choose_volume(mine)
    desk.panel.pointing.placed(desk.case.points, desk.case.points.AddControlPoint(desk.case.center + [0, 0, 13]))
    assert desk.state.lesion == "L4"
