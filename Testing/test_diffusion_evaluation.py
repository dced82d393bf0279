"""The commands that measure text-guided diffusion, on tiny models made on the spot."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from phantom import write_phantom
from test_diff_dpo import squares
from tiny_model import FRAME, save_tiny_model, tiny_method

from MultiRaterSegLib.checkpoint import save_checkpoint
from MultiRaterSegLib.errors import DataError
from MultiRaterSegLib.noise import Noise
from MultiRaterSegLib.style_targets import roughness
from Training.control import CONTRADICTIONS, _finer, at_matched_area, change, large_enough
from Training.data.lidc_slices import LidcSlices
from Training.diffusion_plot import PANELS, Row, curves, plot_curves
from Training.diffusion_settings import Setting, adjusted, score_samples
from Training.evaluate_control import main as evaluate_control
from Training.evaluate_diffusion import main as evaluate_diffusion
from Training.slice_predictions import draw_lesion


@pytest.fixture
def data(tmp_path) -> Path:
    return write_phantom(tmp_path / "data", patients=3, slices=2) / "fold0.npz"


def disc(radius: float, wobble: float = 0.0, size: int = 96, turn: float = 0.0) -> torch.Tensor:
    """A soft disc whose radius goes up and down twelve times."""
    yy, xx = np.mgrid[:size, :size] - (size - 1) / 2
    edge = radius * (1 + wobble * np.cos(12 * (np.arctan2(yy, xx) - turn)))
    return torch.from_numpy(1 / (1 + np.exp(np.hypot(yy, xx) - edge))).float()


def test_empty_masks_are_opinions_in_every_figure():
    readers = squares(0, 0, 6, 6)
    right = score_samples(squares(0, 6, 0, 6), readers, [4])[4]
    assert right["ged_dice"] == pytest.approx(0)
    assert right["ci"] == 1
    assert right["empty"] == 0.5
    full = score_samples(squares(6, 6, 6, 6), readers, [2, 4])[4]
    assert full["ged_dice"] == pytest.approx(2 * 0.5 - 0 - 0.5)
    assert full["dice_max"] == 0.5
    assert full["diversity_agreement"] == pytest.approx(0.5)
    assert full["dice_mean"] == 0.5


def test_a_setting_changes_a_copy_and_refuses_what_a_method_does_not_have():
    method = tiny_method("ambiguous_text_diff")
    quick = adjusted(method, Setting(sampler="ddpm", steps=2))
    assert (quick.config.sampler, quick.config.sampling_steps) == ("ddpm", 2)
    assert method.config.sampling_steps == 3
    aligned = adjusted(tiny_method("diff_dpo"), Setting(steps=2, preference=0.5))
    assert (aligned.policy.config.sampling_steps, aligned.preference) == (2, 0.5)
    with pytest.raises(DataError, match="preference"):
        adjusted(method, Setting(preference=0.5))
    with pytest.raises(DataError, match="text"):
        adjusted(tiny_method("diffoseg"), Setting(text="median"))
    with pytest.raises(DataError, match="steps"):
        adjusted(tiny_method("prosona"), Setting(steps=2))


@torch.no_grad()
def test_each_sample_keeps_its_own_style_however_many_are_drawn_at_once():
    method = tiny_method("ambiguous_text_diff")
    encoded = method.encode(torch.randn(1, 1, 32, 32))
    style = torch.randn(20, 1, 3, 8)
    noise = Noise(0, samples=20, images=[5])
    together = method.sample(encoded, noise, style)[:, :, 1]
    torch.testing.assert_close(draw_lesion(method, encoded, noise, style), together, atol=1e-5, rtol=0)


def test_the_grid_of_settings_is_scored_with_intervals_and_differences(tmp_path, data, capsys):
    model = save_tiny_model(tmp_path / "m.safetensors", "ambiguous_text_diff")
    deaf = save_tiny_model(tmp_path / "deaf.safetensors", "diffoseg")
    options = ["--data", str(data), "--text", "neutral", "median", "readers", "--steps", "2", "--samples", "1", "4"]
    assert evaluate_diffusion([f"tiny={model}", f"no text={deaf}", *options, "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out/table.md").read_text()
    assert text.count("tiny, ") == 6 + 5 + 3  # figures, differences to the first, seconds
    assert text.count("no text, ") == 2 + 2 + 1  # a model without text is drawn once
    assert "median text, 2 steps, 4 samples" in text
    assert (tmp_path / "out/curves.png").is_file()  # by the number of samples
    with np.load(tmp_path / "out/per_slice.npz") as kept:
        assert kept["tiny, neutral text, 2 steps, 4 samples/ci"].shape == (3,)
        moved = np.mean(kept["no text, 2 steps, 4 samples/ci"] - kept["tiny, neutral text, 2 steps, 1 samples/ci"])
    assert any(
        line.startswith("| no text, 2 steps, 4 samples") and f"{moved:+.4f}" in line for line in text.splitlines()
    )
    capsys.readouterr()
    assert evaluate_diffusion([str(model), *options, "--preference", "1", "--out", str(tmp_path / "out")]) == 2
    assert "preference" in capsys.readouterr().err


def test_two_runs_are_two_rows_called_by_their_folders_and_no_two_are_alike(tmp_path, data, capsys):
    for name in ("first", "second"):
        save_checkpoint(tmp_path / name / "best.safetensors", tiny_method("ambiguous_text_diff"), FRAME, {})
    runs, out = [str(tmp_path / name) for name in ("first", "second")], tmp_path / "out"
    options = ["--data", str(data), "--limit", "1", "--samples", "1", "--steps", "1", "--out", str(out)]
    assert evaluate_diffusion([*runs, *options]) == 0
    with np.load(out / "per_slice.npz") as kept:
        assert {key.split(",")[0] for key in kept if key != "patient"} == {"first", "second"}
    capsys.readouterr()
    assert evaluate_diffusion([runs[0], f"first={runs[1]}", *options]) == 2
    assert "Two models are called 'first'" in capsys.readouterr().err


def test_numbers_that_make_no_sense_are_refused_before_anything_is_loaded(capsys):
    for command, option in (
        (evaluate_diffusion, "--samples"),
        (evaluate_diffusion, "--limit"),
        (evaluate_control, "--samples"),
    ):
        with pytest.raises(SystemExit):
            command(["nowhere", "--data", "none.npz", option, "0"])
        assert "from 1 up" in capsys.readouterr().err


def test_images_of_another_number_of_channels_are_refused(tmp_path, data, capsys):
    method = tiny_method("ambiguous_text_diff", channels=3)
    model = save_checkpoint(tmp_path / "colour.safetensors", method, FRAME, {})
    for command in (evaluate_diffusion, evaluate_control):
        assert command([str(model), "--data", str(data), "--samples", "1", "--out", str(tmp_path / "out")]) == 2
        assert "3 channel(s)" in capsys.readouterr().err


def row_of(model="m", samples=4, ged=0.5, **setting):
    figures = {name: np.full(3, ged) for name in (*PANELS, "empty")}
    return Row(model, Setting(**setting), samples, figures)


def test_a_curve_holds_what_is_alike_but_for_one_number_in_ascending_order():
    rows = [row_of(steps=steps, samples=n) for steps in (20, 5) for n in (4, 16)]
    rows += [row_of(steps=5, text="median"), row_of("other model", samples=16)]
    by_steps = curves(rows, "steps")
    assert {name: [(r.setting.steps, r.samples) for r in line] for name, line in by_steps.items()} == {
        "m, neutral text": [(5, 16), (20, 16)]
    }
    by_samples = curves(rows, "samples")
    assert {name: [r.samples for r in line] for name, line in by_samples.items()} == {
        "m, neutral text, 20 steps": [4, 16],
        "m, neutral text, 5 steps": [4, 16],
    }
    assert curves(rows, "preference") == {}


def test_curves_are_drawn_only_where_there_are_some(tmp_path):
    patient = np.array(["a", "b", "b"])
    assert not plot_curves(tmp_path / "none.png", [row_of(), row_of("other")], patient, "title")
    assert not (tmp_path / "none.png").exists()
    assert plot_curves(tmp_path / "curves.png", [row_of(steps=5), row_of(steps=20, ged=0.4)], patient, "title")
    assert (tmp_path / "curves.png").stat().st_size > 5000


def test_roughness_is_compared_at_the_same_area_and_area_by_itself():
    smooth, rough, large = disc(20)[None], disc(20, 0.15)[None], disc(30)[None]
    matched, plain, area = (CONTRADICTIONS[name] for name in ("roughness at matched area", "roughness", "area"))
    assert change(plain, smooth, rough) > 0.1
    assert change(matched, smooth, rough) > 0.1
    assert change(area, smooth, large) == pytest.approx(2 * np.log(1.5), rel=0.05)
    assert abs(change(matched, smooth, large)) < 0.05
    first, second = at_matched_area(smooth[0], large[0])
    assert first.sum() == second.sum()
    assert (second & (large[0] > 0.9)).sum() == second.sum()
    assert np.isnan(change(area, smooth, torch.zeros(1, 96, 96)))


def test_samples_that_are_rough_in_different_places_are_rough_each_but_not_in_their_mean():
    smooth = disc(20).expand(8, -1, -1)
    turned = torch.stack([disc(20, 0.15, turn=k * np.pi / 48) for k in range(8)])  # half a period in all
    matched = CONTRADICTIONS["roughness at matched area"]
    each = CONTRADICTIONS["roughness at matched area, each sample"]
    alone = change(matched, smooth[:1], turned[:1])
    assert change(each, smooth, turned) == pytest.approx(alone, rel=0.1)
    assert change(matched, smooth, turned) < 0.3 * alone
    empty = torch.cat([torch.zeros(1, 96, 96), turned[1:]])
    assert change(each, smooth, empty) == pytest.approx(alone, rel=0.1)  # a sample without a contour is left out


@pytest.mark.parametrize("wobble", [0.0, 0.08, 0.15])
def test_roughness_is_that_of_the_outline_as_a_polygon(wobble):
    angle = np.linspace(0, 2 * np.pi, 20000)
    edge = 20 * (1 + wobble * np.cos(12 * angle))
    x, y = edge * np.cos(angle), edge * np.sin(angle)
    perimeter = np.hypot(np.diff(x), np.diff(y)).sum()
    area = abs(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2
    measured = float(roughness(_finer(disc(20, wobble)[None])[0] > 0.5))
    assert measured == pytest.approx(perimeter**2 / (4 * np.pi * area), rel=0.04)


def test_control_is_measured_and_shown(tmp_path, data):
    model = save_tiny_model(tmp_path / "m.safetensors", "ambiguous_text_diff")
    slices = LidcSlices.load([data])
    union = slices.masks(np.arange(len(slices))).any(1).sum((1, 2))
    assert large_enough(slices).tolist() == np.flatnonzero(union >= 100).tolist()
    few = replace(slices, packed_masks=np.zeros_like(slices.packed_masks))
    assert len(large_enough(few)) == 0
    options = ["--data", str(data), "--samples", "2", "--pictures", "1", "--out", str(tmp_path / "out")]
    assert evaluate_control([str(model), *options, "--guidance", "2"]) == 0
    assert "marked spiculation" in (tmp_path / "out/control.md").read_text()
    assert all((tmp_path / f"out/{name}.png").stat().st_size > 5000 for name in ("roughness", "area"))
    deaf = save_tiny_model(tmp_path / "deaf.safetensors", "prob_unet")
    assert evaluate_control([str(deaf), *options]) == 2
