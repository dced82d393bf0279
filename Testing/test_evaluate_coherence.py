"""Whether a sample is one reader along the slices, measured on models whose answer is known."""

import numpy as np
import pytest
import torch
from phantom import write_phantom
from tiny_model import save_tiny_model

from MultiRaterSegLib.checkpoint import load_checkpoint
from Training import evaluate_coherence
from Training.data.lidc_slices import LidcSlices


def test_likeness_is_dice_and_two_empty_masks_are_alike():
    masks = torch.zeros(3, 2, 4, 4, dtype=torch.bool)
    masks[0, :, :2] = True  # the same
    masks[1, 0, :2], masks[1, 1, 1:3] = True, True  # 4 of 8 and 8 pixels shared
    assert evaluate_coherence.likeness(masks) == pytest.approx((1 + 0.5 + 1) / 3)


def test_neighbours_are_consecutive_slices_of_one_nodule(tmp_path):
    slices = LidcSlices.load([write_phantom(tmp_path) / "fold0.npz"])
    pairs = evaluate_coherence.neighbours(slices, np.arange(len(slices)))
    assert len(pairs) == 8 * 2  # eight nodules of three slices
    for first, second in pairs:
        assert slices.patient[first] == slices.patient[second]
        assert slices.slice_index[second] == slices.slice_index[first] + 1


def test_samples_of_a_diffusion_model_follow_the_shared_noise(tmp_path):
    """Untrained weights with a first evaluation's scale: what is drawn is mostly noise, and shared noise is the same."""
    checkpoint = load_checkpoint(save_tiny_model(tmp_path / "model.safetensors", "diffoseg"))
    slices = LidcSlices.load([write_phantom(tmp_path) / "fold0.npz"])
    with torch.no_grad():
        checkpoint.method.consensus_denoiser.out.bias.zero_()
        checkpoint.method.consensus_denoiser.out.weight *= 20
    shared, apart, readers, kept = evaluate_coherence.pair_likeness(checkpoint, slices, (0, 1), 4, seed=0)
    assert shared > apart + 0.1
    assert kept >= 0.999
    assert 0.5 < readers <= 1


def test_the_command_prints_its_table(tmp_path, capsys):
    model = save_tiny_model(tmp_path / "model.safetensors", "diffoseg")
    data = write_phantom(tmp_path) / "fold0.npz"
    arguments = [str(model), "--data", str(data), "--subset", "all", "--every", "6", "--samples", "2", "--steps", "2"]
    assert evaluate_coherence.main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert "3 pairs of slices" in capsys.readouterr().out
    assert "shared minus own" in (tmp_path / "out/coherence.md").read_text()
