"""First start on the panel's own widgets: the example, what to install, what lies under Advanced."""

import shutil
from types import SimpleNamespace

import pytest
from MultiRaterSegSlicer.install import installer, packages
from panel_hands import Hands

from MultiRaterSegLib.resources import resource_path


@pytest.fixture
def hands(bridge, monkeypatch):
    return Hands(bridge, monkeypatch).ready()


def test_first_start_offers_the_example_and_the_installation(bridge, monkeypatch):
    hands = Hands(bridge, monkeypatch)
    bridge.do(lambda: hands.logic.lack("torch"))
    hands.settle()
    assert hands.ui.firstStartFrame.visible
    assert hands.ui.showExampleButton.enabled
    assert hands.ui.installButton.enabled
    assert not hands.ui.modelLabel.visible  # what is missing is said once
    assert not hands.ui.messageFrame.visible
    hands.ready()
    assert not hands.ui.firstStartFrame.visible


def test_the_example_is_shown_without_anything_installed(bridge, monkeypatch):
    hands = Hands(bridge, monkeypatch)
    bridge.do(lambda: hands.logic.lack("torch"))
    hands.click("showExampleButton")
    assert hands.cell(0, 0) == "Consensus"
    assert "(" in hands.cell(0, 1)
    assert not hands.ui.reviewButton.collapsed
    assert not hands.ui.steerFrame.enabled  # nothing can be computed
    assert hands.ui.volumeSelector.currentNode().GetName() == "SimulatedCT-RealOutlines"


def test_what_to_install_is_asked_with_sizes_and_a_way_for_offline_machines(bridge, monkeypatch, tmp_path):
    hands = Hands(bridge, monkeypatch)
    bridge.do(lambda: hands.logic.lack("torch"))
    hands.settle()
    monkeypatch.setattr(packages, "missing", list)
    plans = []
    monkeypatch.setattr(installer, "plan", lambda *asked: plans.append(asked) or SimpleNamespace(run=lambda say: None))
    bridge.will_answer("Cancel")
    hands.click("installButton")
    assert plans == []
    for words in ("Install CPU version (about", "MB)", "Install GPU version (about", "GB)", "HTTPS_PROXY"):
        assert words in bridge.dialogs.texts[0]
    for button in ("Install CPU version", "Install GPU version", "From a folder of wheels"):
        bridge.will_answer(button)
        bridge.will_choose_file(tmp_path)
        hands.click("installButton")
    assert plans == [("cpu", None), ("gpu", None), ("cpu", tmp_path)]
    assert hands.logic.restarts == 3


def test_an_installation_that_fails_says_what_to_do_behind_a_proxy(bridge, monkeypatch):
    hands = Hands(bridge, monkeypatch)
    bridge.do(lambda: hands.logic.lack("torch"))
    hands.settle()

    def fail(*_):
        raise installer.InstallError(f"PyTorch could not be installed. {installer.NETWORK_ADVICE}", "pip said no")

    monkeypatch.setattr(installer, "plan", fail)
    bridge.will_answer("Install CPU version", "OK")
    hands.click("installButton")
    assert "HTTPS_PROXY" in bridge.dialogs.texts[-1]
    assert hands.logic.restarts == 0


def test_text_encoders_are_offered_under_advanced(hands, monkeypatch):
    hands.click("advancedButton")
    monkeypatch.setattr(packages, "missing", list)
    hands.bridge.will_answer("Cancel")
    hands.click("encodersButton")
    assert "Install transformers (about" in hands.bridge.dialogs.texts[-1]
    assert "Install open_clip (about" in hands.bridge.dialogs.texts[-1]


def test_a_model_is_added_under_advanced(hands, monkeypatch, tmp_path):
    monkeypatch.setenv("MULTIRATERSEG_MODELS", str(tmp_path / "models"))
    hands.click("advancedButton")
    (tmp_path / "letter.safetensors").write_text("Dear reader")
    hands.bridge.will_choose_file(tmp_path / "letter.safetensors")
    hands.click("addModelButton")
    assert "is not a readable model file" in hands.ui.messageLabel.text
    assert hands.logic.restarts == 0
    shipped = resource_path("Models", "prosona_compact.safetensors")
    shutil.copyfile(shipped, tmp_path / "mine.safetensors")
    hands.bridge.will_choose_file(tmp_path / "mine.safetensors")
    hands.click("addModelButton")
    assert (tmp_path / "models" / "mine.safetensors").read_bytes() == shipped.read_bytes()
    assert (hands.logic.restarts, hands.widget.panel.session.parameters.model) == (1, "mine")
