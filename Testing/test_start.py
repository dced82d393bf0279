"""What training can start with: all weights of a former run, or another method's U-Net."""

import hashlib

import pytest
import torch
from safetensors.torch import save_file

from MultiRaterSegLib.errors import CheckpointError, DataError
from MultiRaterSegLib.expert import Expert
from MultiRaterSegLib.methods import METHODS
from Training.start import backbone_from, former_stages_from, start_from

SIZES = {"backbone": "compact", "widths": [8, 8, 16]}


def tiny(name: str, seed: int, **changes):
    torch.manual_seed(seed)
    experts = tuple(Expert(f"A{i + 1}", f"Reader {i + 1}", "slice_area") for i in range(4))
    kind = METHODS[name]
    words = {"text_encoder": "words"} if name == "prosona" else {}
    return kind(kind.Config(**SIZES | words | changes), 1, ("background", "lesion"), experts)


@pytest.fixture
def written(tmp_path):
    def write(method):
        path = tmp_path / f"{method.name}.safetensors"
        save_file({name: value.contiguous().clone() for name, value in method.state_dict().items()}, str(path))
        return path

    return write


@pytest.mark.parametrize("name", ["prob_unet", "unet_single", "prosona"])
def test_the_unet_of_another_method_is_taken_over_and_nothing_else(written, name):
    giver, taker, untouched = tiny("prosona", 1), tiny(name, 2), tiny(name, 2)
    backbone_from(taker, written(giver))
    before = untouched.state_dict()
    within = 0
    for key, value in taker.state_dict().items():
        _, found, after = key.partition("backbone.")
        expected = giver.state_dict()["backbone." + after] if found else before[key]
        within += bool(found)
        assert torch.equal(value, expected), key
    assert within % len(giver.backbone.state_dict()) == 0
    assert within


def test_a_unet_of_other_sizes_and_a_file_without_one_are_refused(written, tmp_path):
    with pytest.raises(DataError, match="same backbone and widths"):
        backbone_from(tiny("prosona", 1, widths=[8, 16, 16]), written(tiny("prosona", 1)))
    save_file({"weight": torch.zeros(2)}, str(tmp_path / "other.safetensors"))
    with pytest.raises(DataError, match="holds no U-Net"):
        backbone_from(tiny("prosona", 1), tmp_path / "other.safetensors")
    (tmp_path / "text.safetensors").write_text("not weights")
    with pytest.raises(DataError, match="cannot be what training starts from"):
        backbone_from(tiny("prosona", 1), tmp_path / "text.safetensors")


def test_weights_of_another_method_are_refused_with_the_other_way(written):
    with pytest.raises(DataError, match="--backbone-from"):
        start_from(tiny("prosona", 1), written(tiny("prob_unet", 1)))


def test_training_starts_from_a_run_or_a_model_by_name_as_every_command_does(written, monkeypatch):
    path = written(tiny("prosona", 1))
    monkeypatch.setenv("MULTIRATERSEG_MODELS", str(path.parent))
    assert start_from(tiny("prosona", 2), path.stem) == start_from(tiny("prosona", 2), path)
    with pytest.raises(CheckpointError, match="No model 'nowhere'"):
        start_from(tiny("prosona", 2), "nowhere")


def test_the_checkpoint_says_which_file_it_started_from(written):
    giver, taker = tiny("prosona", 1), tiny("prosona", 2)
    path = written(giver)
    said = start_from(taker, path)
    assert said == {"all_weights": hashlib.sha256(path.read_bytes()).hexdigest()}
    assert all(torch.equal(value, giver.state_dict()[key]) for key, value in taker.state_dict().items())


def test_what_former_stages_trained_is_taken_over_though_the_later_ones_are_of_another_kind(written):
    sizes = {"network": "features", "denoiser_widths": [8, 8, 8, 16], "widths": [8, 8, 16, 16]}
    giver = tiny("diffoseg", 1, expert_identity="prompt", **sizes)
    taker, untouched = (tiny("diffoseg", 2, expert_identity="blind", **sizes) for _ in range(2))
    said = former_stages_from(taker, written(giver), ["experts"])
    assert list(said) == ["former_stages"]
    for key, value in taker.state_dict().items():
        former = key.startswith(("image_network.", "consensus_denoiser."))
        assert torch.equal(value, (giver if former else untouched).state_dict()[key]), key
    with pytest.raises(DataError, match="that others come before: experts"):
        former_stages_from(taker, written(giver), ["consensus"])
    with pytest.raises(DataError, match="does not hold"):
        former_stages_from(taker, written(tiny("prosona", 1)), ["experts"])
