"""Every entry of METHODS in the panel: what its models offer is there to press, and nothing else is; by no line of its own.

The models are those that a real worker names; what is asked of it is answered by the test, and once by the worker itself.
"""

import numpy as np
import pytest
from MultiRaterSegSlicer.logic import MultiRaterSegLogic
from MultiRaterSegSlicer.nodes import volume_from_node
from MultiRaterSegSlicer.worker.client import WorkerClient
from orientations import UPRIGHT
from panel_hands import CONSENSUS, Hands
from slicer.util import addVolumeFromArray, arrayFromVolume
from test_logic import Case as RealCase
from test_presenter import Desk
from tiny_model import METHOD_NAMES, RATERS, save_every_method, save_tiny_model, worker_command

from MultiRaterSegLib.errors import UnsupportedRequest
from MultiRaterSegLib.knobs import Knobs
from MultiRaterSegLib.predictor import VolumePredictor

every_method = pytest.mark.parametrize("name", METHOD_NAMES)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = save_every_method(tmp_path_factory.mktemp("models"))
    sequences = ("T1", "T1 with contrast", "T2")
    save_tiny_model(folder / "three_sequences.safetensors", "unet_heads", RATERS, channels=3, sequences=sequences)
    return folder


@pytest.fixture(scope="module")
def logic(models):
    logic = MultiRaterSegLogic(WorkerClient(worker_command(models)))
    logic.models()
    yield logic
    logic.close()


@pytest.fixture
def said(logic):
    """What the worker says of a model by its name; of one that does not exist the test is not for."""
    known = {model.name: model for model in logic.models()}

    def model(name: str):
        if name not in known:
            pytest.skip("cannot learn readers that are persons")
        return known[name]

    return model


def desk_for(host, said, *names: str) -> Desk:
    """A panel whose worker has these models, the first one chosen, with the consensus outlined."""
    desk = Desk(host.scene, models=tuple(said(name) for name in names))
    desk.click()
    desk.task.finish(answer_of(desk, "consensus", *CONSENSUS))
    return desk


def answer_of(desk: Desk, name: str, *radii: float):
    session = desk.panel.session
    return desk.case.answer(name, *radii, model=session.model.name, **session.knobs.provenance)


@every_method
@pytest.mark.parametrize("readers", ["tiny", "named"])
def test_rows_and_all_styles_are_the_experts_that_the_model_offers(name, readers, host, said):
    model = said(f"{readers}_{name}")
    desk = desk_for(host, said, model.name)
    assert desk.state.models[0].title == f"{model.title} · {model.trained_for}"
    assert desk.state.model == model.name
    names = [expert.name for expert in model.experts]
    assert [row.name for row in desk.state.rows] == ["consensus", *names]
    assert [row.title for row in desk.state.rows[1:]] == [expert.title for expert in model.experts]
    assert len({row.color for row in desk.state.rows}) == len(desk.state.rows)
    assert desk.state.styles_left == bool(names)
    asked = len(desk.logic.tasks)
    desk.panel.all_styles()
    for expert in names:
        assert desk.task.asked == (expert, 20)
        desk.task.finish(answer_of(desk, expert, 5))
    assert len(desk.logic.tasks) == asked + len(names)
    assert not desk.state.styles_left


@every_method
@pytest.mark.parametrize("readers", ["tiny", "named"])
def test_what_is_said_of_the_styles_is_true_of_the_model(name, readers, host, said):
    model = said(f"{readers}_{name}")
    note = desk_for(host, said, model.name).state.styles_note
    if not model.experts:
        assert "no reader styles" in note
    else:
        assert ("anonymous readers ranked by size" in note) == (model.experts[0].ranked_by != "rater")
        assert ("the readers so named" in note) == (model.experts[0].ranked_by == "rater")


@every_method
def test_the_slider_runs_between_the_first_and_the_last_expert(name, host, said):
    model = said(f"tiny_{name}")
    desk = desk_for(host, said, model.name)
    steer = desk.state.steer
    assert steer.can_slide == bool(model.experts)
    if model.experts:
        assert (steer.first, steer.second) == (model.experts[0].name, model.experts[-1].name)
        desk.panel.steer.slide(0.3)
        desk.panel.steer.rest()
        assert desk.task.asked[0] == (steer.first, steer.second, 0.3)


@every_method
def test_sentences_can_be_typed_where_the_method_follows_them(name, host, said):
    model = said(f"tiny_{name}")
    state = desk_for(host, said, model.name).state
    assert state.steer.prompt_allowed == model.follows_prompts
    assert state.models[0].grey == (not model.follows_prompts)
    if model.follows_prompts:
        assert state.model_note == ""
        assert state.steer.hint.startswith("Or say it")
    else:
        assert "does not follow sentences" in state.model_note
        assert ("consensus only" in state.model_note) == (not model.experts)
        assert state.steer.hint == "This model does not follow sentences."


@every_method
def test_only_controls_that_do_something_can_be_pressed(name, bridge, monkeypatch, said):
    model = said(f"tiny_{name}")
    hands = Hands(bridge, monkeypatch, models=(model,)).ready()
    hands.place()
    bridge.do(lambda: hands.logic.tasks[-1].finish(hands.case.answer("consensus", *CONSENSUS, model=model.name)))
    hands.settle()
    ui = hands.ui
    for widget in (ui.firstStyleComboBox, ui.secondStyleComboBox, ui.steerSlider, ui.allStylesButton):
        assert widget.enabled == bool(model.experts)
    for widget in (ui.promptComboBox, ui.promptButton):
        assert widget.enabled == model.follows_prompts
    assert ui.stylesTable.rowCount == 1 + len(model.experts)
    assert ui.modelComboBox.currentText.startswith(model.title)
    hands.click("advancedButton")
    for widget in (ui.stepsSpinBox, ui.stepsSpinBoxCaption):
        assert widget.visible == (model.knobs.steps is not None)
    if model.knobs.steps is not None:
        assert (ui.stepsSpinBox.value, ui.stepsSpinBox.maximum) == (model.knobs.steps, model.most_steps)
    for widget in (ui.preferenceSpinBox, ui.preferenceSpinBoxCaption):
        assert widget.visible == (model.knobs.preference is not None)
    if model.knobs.preference is not None:
        assert ui.preferenceSpinBox.value == model.knobs.preference


@every_method
def test_the_console_turns_the_knobs_that_a_method_has(name, host, logic, said, models):
    model, case = said(f"tiny_{name}"), RealCase(UPRIGHT[30])
    place, last = case.place(host), [expert.name for expert in model.experts][-1:]
    if model.knobs.preference is None:
        with pytest.raises(UnsupportedRequest, match=f"{model.title} was not aligned"):
            logic.consensus(case.scan, place, samples=2, model=model.name, preference=1)
    if model.knobs.steps is None:
        nodes = host.scene.GetNumberOfNodes()
        with pytest.raises(UnsupportedRequest, match=f"steps a sample of {model.title} takes cannot be chosen"):
            logic.consensus(case.scan, place, samples=2, model=model.name, steps=2)
        assert host.scene.GetNumberOfNodes() == nodes
        return
    with pytest.raises(UnsupportedRequest, match=f"1 to {model.most_steps} steps; got {model.most_steps + 1}"):
        logic.consensus(case.scan, place, samples=2, model=model.name, steps=model.most_steps + 1)
    turned = {} if model.knobs.preference is None else {"preference": 0.5}
    for knobs in ({"steps": 2, **turned}, {}):
        shown = logic.segment(case.scan, place, last, samples=2, model=model.name, **knobs)
        own = VolumePredictor.from_checkpoint(models / f"{model.name}.safetensors", "cpu", **knobs)
        lesion = own.lesion(volume_from_node(case.scan), at=case.center)
        for record, style in zip(shown.names, (None, *last), strict=True):
            made, expected = shown.prediction(record), lesion.ask(style, 2)
            assert np.array_equal(made.samples, expected.samples)
            assert made.provenance == expected.provenance
        assert [row.knobs for row in shown.rows] == [Knobs(**knobs).over(model.knobs)] * len(shown.rows)
    seen = logic.preview(case.scan, place, None, case.center, model=model.name, steps=2, **turned)
    assert seen.mask.ndim == 3
    logic.client.preview_seconds[model.name, Knobs(2, **turned).over(model.knobs)] = 1.0
    assert not logic.previews_while_dragging(model.name, Knobs(2, **turned))
    assert logic.previews_while_dragging(model.name, Knobs(1, **turned))  # nobody knows yet


@every_method
def test_the_worker_answers_into_the_scene(name, host, logic, said):
    model, case = said(f"tiny_{name}"), RealCase(UPRIGHT[30])
    experts = [expert.name for expert in model.experts]
    between = [(experts[0], experts[-1], 0.5)] if experts else []
    shown = logic.segment(case.scan, case.place(host), [*experts, *between], samples=2, model=model.name)
    made = {record: shown.prediction(record).provenance for record in shown.names}
    assert list(made) == ["consensus", *experts, *(f"{a} to {b}, 0.5" for a, b, _ in between)]
    assert {facts["method"] for facts in made.values()} == {name}
    assert [row.model for row in shown.rows] == [model.name] * len(made)
    for style in (None, *experts[:1], *between):
        assert logic.preview(case.scan, case.place(host), style, case.center, model=model.name).mask.ndim == 3
    if model.follows_prompts:
        assert logic.prompt(case.scan, case.place(host), "tight outline", samples=2, model=model.name)
        ends = "tight outline", experts[-1]
        mixed = logic.interpolate(case.scan, case.place(host), *ends, 0.5, samples=2, model=model.name)
        assert mixed.prediction(f"tight outline to {experts[-1]}, 0.5").provenance["style"] == "between"
    else:
        with pytest.raises(UnsupportedRequest, match="cannot follow a prompt"):
            logic.prompt(case.scan, case.place(host), "tight outline", samples=2, model=model.name)


def test_a_model_of_three_sequences_reads_a_vector_volume_and_says_so_of_another(host, logic):
    case = RealCase(UPRIGHT[30])
    with pytest.raises(UnsupportedRequest) as error:
        logic.consensus(case.scan, case.place(host), model="three_sequences")
    assert str(error.value) == (
        "'CTChest' holds 1 image; the model three_sequences reads 3 together (T1, T1 with contrast, T2). "
        "Choose a vector volume with these as its components, in this order."
    )
    voxels = arrayFromVolume(case.scan)
    three = addVolumeFromArray(
        np.stack([voxels, voxels // 2, -voxels], -1), case.grid.affine, "MR", "vtkMRMLVectorVolumeNode"
    )
    shown = logic.segment(three, case.place(host), ["ada"], samples=2, model="three_sequences")
    assert shown.names == ["consensus", "ada"]
    assert shown.prediction("ada").title == "Radiologist ADA"


# -- several models --------------------------------------------------------------------------------------


def test_models_of_one_method_are_told_apart_by_name(host, said):
    models = [said(name) for name in ("tiny_harmonizer", "named_harmonizer", "tiny_dpersona")]
    what = models[0].trained_for
    assert [choice.title for choice in Desk(host.scene, models=models).state.models] == [
        f"tiny_harmonizer · Harmonizer · {what}",
        f"named_harmonizer · Harmonizer · {what}",
        f"D-Persona · {what}",
    ]


@pytest.fixture
def desk(host, said):
    return desk_for(host, said, "tiny_prosona", "tiny_unet_heads")


def test_another_model_draws_its_own_styles_of_the_same_names(desk):
    desk.panel.tick_row("inclusive", True)
    desk.task.finish(answer_of(desk, "inclusive", 6))
    desk.panel.choose_model("tiny_unet_heads")
    assert desk.row("inclusive").title == "Inclusive (largest) · tiny_prosona"
    assert desk.row("consensus").title == "Consensus · tiny_prosona"
    assert desk.state.styles_left
    desk.panel.all_styles()
    for _ in range(4):
        desk.task.finish(answer_of(desk, desk.task.asked[0], 4))
    assert desk.row("inclusive").title == "Inclusive (largest)"
    assert desk.lesion.prediction("inclusive").provenance["model"] == "tiny_unet_heads"
    assert not desk.state.styles_left
    [warning] = [text for text in desk.state.warnings if "different models" in text]
    assert "tiny_prosona: Consensus; tiny_unet_heads: " in warning
    desk.panel.compute()
    desk.task.finish(answer_of(desk, "consensus", *CONSENSUS))
    assert not [text for text in desk.state.warnings if "different models" in text]


def test_what_another_model_drew_is_hidden_by_its_tick_and_drawn_anew_by_the_next(desk):
    desk.panel.tick_row("inclusive", True)
    desk.task.finish(answer_of(desk, "inclusive", 6))
    desk.panel.choose_model("tiny_unet_heads")
    asked = len(desk.logic.tasks)
    desk.panel.tick_row("inclusive", False)
    assert not desk.row("inclusive").shown
    assert len(desk.logic.tasks) == asked
    desk.panel.tick_row("inclusive", True)
    assert desk.task.asked == ("inclusive", 20)


def test_what_is_under_way_goes_to_the_model_that_was_asked(desk):
    desk.panel.all_styles()
    first = answer_of(desk, "conservative", 4)
    desk.panel.choose_model("tiny_unet_heads")
    desk.task.finish(first)
    assert desk.lesion.model.info["method"] == "prosona"
    assert desk.logic.asked_of[-1] == "tiny_prosona"


def test_a_preview_goes_with_its_model(desk):
    desk.panel.steer.slide(0.3)
    desk.panel.steer.rest()
    desk.task.finish(answer_of(desk, "conservative to inclusive, 0.3", 6))
    assert desk.state.steer.can_keep
    desk.panel.choose_model("tiny_unet_heads")
    assert not desk.state.steer.can_keep
    assert np.isclose(desk.state.steer.position, 0.3)
