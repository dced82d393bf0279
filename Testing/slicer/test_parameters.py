"""The panel's settings: typed, checked, and saved with the scene."""

import pytest
from MultiRaterSegSlicer.parameters import SETTINGS, Parameters, Setting
from scene_cases import Case

from MultiRaterSegLib.errors import UnsupportedRequest

CHANGED = {
    "lesion": "L2", "model": "other", "samples": 35, "seed": 12, "steps": {"slow": 5, "größer": 250},
    "preference": {"slow": 0.25, "größer": 1}, "styles": ("inclusive",),
    "slider_first": "conservative", "slider_second": 'include "all", 90 % | more', "slider_position": 0.25,
    "prompt": "größer, bitte", "prompt_history": ("a, b", "c; d"), "map_on": True, "map_opacity": 0.3,
    "blind_review": True, "compute_on_click": False,
}  # fmt: skip


def test_a_new_scene_has_the_defaults(host):
    parameters = Parameters(host.scene)
    assert (parameters.samples, parameters.seed, parameters.model) == (20, 0, "")
    assert (parameters.steps, parameters.preference) == ({}, {})
    assert (parameters.map_on, parameters.compute_on_click, parameters.styles) == (False, True, ())
    assert (parameters.volume, parameters.place) == (None, None)


def test_there_is_one_set_of_settings_a_scene_and_slicer_finds_it(host):
    Parameters(host.scene).samples = 50
    assert Parameters(host.scene).samples == 50
    node = host.scene.GetSingletonNode("MultiRaterSeg", "vtkMRMLScriptedModuleNode")
    assert node.GetModuleName() == "MultiRaterSeg"
    assert host.scene.GetNumberOfNodesByClass("vtkMRMLScriptedModuleNode") == 1


def test_all_settings_survive_saving_and_loading(host, new_host, tmp_path):
    case = Case(host.scene)
    parameters = Parameters(host.scene)
    assert set(CHANGED) == {name for name, setting in SETTINGS.items() if isinstance(setting, Setting)}
    for name, value in CHANGED.items():
        assert value != getattr(parameters, name)
        setattr(parameters, name, value)
    parameters.volume, parameters.place = case.scan, case.points
    assert host.scene.WriteToMRB(str(tmp_path / "case.mrb"))
    scene = new_host().scene
    assert scene.ReadFromMRB(str(tmp_path / "case.mrb"))
    loaded = Parameters(scene)
    assert {name: getattr(loaded, name) for name in CHANGED} == CHANGED
    assert (loaded.volume.GetName(), loaded.place.GetName()) == ("CTChest", "Lesions")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("samples", 9, "a whole number from 10 to 100; got 9"),
        ("samples", 101, "a whole number from 10 to 100"),
        ("samples", True, "a whole number"),
        ("samples", "20", "a whole number"),
        ("seed", -1, "a whole number from 0 up; got -1"),
        ("steps", {"slow": 0}, "a whole number from 1 up for each name; got {'slow': 0}"),
        ("steps", {"slow": 2.0}, "a whole number from 1 up"),
        ("steps", 20, "for each name"),
        ("preference", {"slow": 1.1}, "a number from 0 to 1 for each name; got {'slow': 1.1}"),
        ("preference", {"slow": True}, "a number from 0 to 1 for each name"),
        ("preference", 0.5, "for each name"),
        ("slider_position", 1.01, "a number from 0 to 1"),
        ("slider_position", float("nan"), "a number from 0 to 1"),
        ("map_on", 1, "True or False"),
        ("styles", "inclusive", "a list of texts"),
        ("prompt", None, "a text"),
    ],
)
def test_a_wrong_value_is_refused_and_changes_nothing(host, name, value, words):
    parameters = Parameters(host.scene)
    before = getattr(parameters, name)
    with pytest.raises(UnsupportedRequest, match=words):
        setattr(parameters, name, value)
    assert getattr(parameters, name) == before


def test_a_node_of_the_wrong_kind_and_a_misspelt_setting_are_refused(host):
    case, parameters = Case(host.scene), Parameters(host.scene)
    with pytest.raises(UnsupportedRequest, match="'volume' is a vtkMRMLScalarVolumeNode or .*; got Lesions"):
        parameters.volume = case.points
    with pytest.raises(AttributeError, match="no setting 'sample'"):
        parameters.sample = 20


@pytest.mark.parametrize("stored", ["", "not json", "1000", '"twenty"', "null", "[1]"])
def test_what_cannot_be_read_is_the_default(host, stored):
    parameters = Parameters(host.scene)
    parameters.node.SetParameter("samples", stored)
    assert parameters.samples == 20


def test_a_volume_that_is_deleted_is_none(host):
    case, parameters = Case(host.scene), Parameters(host.scene)
    parameters.volume = case.scan
    host.scene.RemoveNode(case.scan)
    assert parameters.volume is None


def test_prompts_are_remembered_newest_first_each_once(host):
    parameters = Parameters(host.scene)
    for sentence in ["tighter", "include halo", "tighter", *(f"prompt {n}" for n in range(19))]:
        parameters.remember_prompt(sentence)
    assert parameters.prompt_history[:2] == ("prompt 18", "prompt 17")
    assert parameters.prompt_history[-1] == "tighter"
    assert len(parameters.prompt_history) == 20
