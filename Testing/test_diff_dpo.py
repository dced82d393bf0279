"""Preference alignment: pairs by Dice, a loss that starts at ln 2, a reference that never moves, and a knob between them."""

import math
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from phantom import write_phantom
from safetensors.torch import load_file
from test_diffoseg import changed
from tiny_model import FRAME, TINY_CONFIG, save_tiny_model, tiny_batch, tiny_method

from MultiRaterSegLib.checkpoint import load_checkpoint, save_checkpoint
from MultiRaterSegLib.errors import CheckpointError, DataError, RecipeError, UnsupportedRequest
from MultiRaterSegLib.method import Method
from MultiRaterSegLib.methods import METHODS, diffoseg
from MultiRaterSegLib.methods.diff_dpo import Config, DiffDPO
from MultiRaterSegLib.noise import Noise
from Training.data.lidc_slices import EXPERTS, load_lidc_described
from Training.data.preferred import save_preferences, with_preferences
from Training.data.slices import slice_keys
from Training.export_model import export
from Training.fit import train
from Training.preferences import STRATEGIES, choose, make_pairs
from Training.recipe import StageSettings, build, load_recipe
from Training.slice_predictions import SlicePrediction
from Training.start import start_from

PROJECT = Path(__file__).resolve().parents[1]
REFERENCE = "ambiguous_text_diff"
LABELS = ("background", "nodule")
DENOISER = {"ambiguous_text_diff": "denoiser.", "diffoseg": "consensus_denoiser."}
"""Where in a reference lies what is aligned; of DiffOSeg it is the population's."""

any_reference = pytest.mark.parametrize("reference", DENOISER)


def squares(*sides: int) -> np.ndarray:
    """Nested squares with a common corner, bool [n, 12, 12]."""
    masks = np.zeros((len(sides), 12, 12), bool)
    for mask, side in zip(masks, sides):
        mask[:side, :side] = True
    return masks


def unaligned(reference: str = REFERENCE, beta: float = 100.0) -> DiffDPO:
    torch.manual_seed(0)
    return DiffDPO(Config(reference, TINY_CONFIG[reference], beta), 1, LABELS, EXPERTS).eval()


def aligned_a_little(steps: int = 5, reference: str = REFERENCE) -> DiffDPO:
    method = unaligned(reference)
    stage = method.stages()[0]
    optimizer = torch.optim.SGD(stage.parameters(), 1.0)
    for step in range(steps):
        torch.manual_seed(step)
        loss = stage.loss(tiny_batch())["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return method


# -- pairs ---------------------------------------------------------------------------------------------------------------


def test_mean_dice_prefers_the_compromise_and_best_rater_an_imitation():
    readers = squares(3, 5, 7, 9)
    candidates = squares(3, 6, 11, 0)
    assert choose(candidates, readers, STRATEGIES["mean_dice"])[0] == 1
    assert choose(candidates, readers, STRATEGIES["best_rater"]) == (0, 3)
    dice = [np.mean([2 * min(c, r) ** 2 / (c * c + r * r) for r in (3, 5, 7, 9)]) for c in (3, 6, 11, 0)]
    assert choose(candidates, readers, STRATEGIES["mean_dice"]) == (int(np.argmax(dice)), int(np.argmin(dice)))


def test_ties_give_no_pair_and_the_first_of_equals_is_taken():
    assert choose(squares(0, 0, 0, 0), squares(0, 4, 4, 4), STRATEGIES["mean_dice"]) is None
    assert choose(squares(3, 3), squares(0, 0, 0, 0), STRATEGIES["best_rater"]) is None
    assert choose(squares(5, 3, 5, 3), squares(5, 5, 5, 5), STRATEGIES["mean_dice"]) == (0, 1)


def test_an_empty_candidate_wins_where_most_readers_drew_nothing():
    readers = squares(0, 0, 0, 4)
    assert choose(squares(4, 0), readers, STRATEGIES["mean_dice"]) == (1, 0)
    assert choose(squares(4, 0), readers, STRATEGIES["best_rater"]) is None  # both imitate somebody perfectly


def test_a_stochastic_run_chooses_among_the_candidates_of_two_runs_of_other_noise(tmp_path, monkeypatch):
    """The first run's are those of best_rater; here only the second one's last candidate is any good."""
    slices = load_lidc_described(write_phantom(tmp_path), (0,)).slices
    row = int(np.flatnonzero((slices.areas_px > 0).all(1))[0])
    masks, asked = slices.masks([row])[0], []
    right, none = masks[0], np.zeros_like(masks[0])

    def predict(_method, _frame, _slices, rows, sampling):
        asked.append(sampling)
        runs = np.stack([[none, none], [none, right]])[: len(sampling.seeds)]
        yield SlicePrediction(rows[0], runs, None, None)

    monkeypatch.setattr("Training.slice_predictions.predict_slices", predict)
    checkpoint = SimpleNamespace(method=None, frame=FRAME)
    made = make_pairs(checkpoint, slices, [row], ["best_rater", "stochastic_run"], candidates=2, seed=7)
    assert (asked[0].samples, asked[0].seeds) == (2, (7, 8))
    assert len(made["best_rater"][0]) == 0
    [pair] = made["stochastic_run"][1]
    assert np.array_equal(pair, [right, none])
    make_pairs(checkpoint, slices, [row], ["best_rater"], candidates=2)
    assert len(asked[1].seeds) == 1


def test_pairs_reach_the_batch_through_the_same_geometry_as_the_readers_masks(tmp_path):
    from MultiRaterSegLib.frame import Frame
    from Training.data.batches import BatchSource

    data = load_lidc_described(write_phantom(tmp_path / "data"), (0,))
    chosen = np.flatnonzero((data.slices.areas_px > 0).all(1))[:5]
    masks = data.slices.masks(chosen)
    save_preferences(tmp_path / "pairs.npz", slice_keys(data.slices, chosen)[::-1], masks[::-1, [2, 0]], "a test")
    with_pairs = with_preferences(data, tmp_path / "pairs.npz")
    assert with_pairs.slices.paired_rows.tolist() == chosen.tolist()
    training = with_pairs.rows(with_pairs.slices.paired_rows)
    batch = BatchSource(training.slices, Frame(), EXPERTS, batch_size=6, window=64).batch(0)
    outlined = batch.masks.sum((1, 2, 3)) > 0
    assert torch.equal(batch.preferred[:, 0], batch.masks[:, 2])
    assert torch.equal(batch.preferred[:, 1], batch.masks[:, 0])
    assert outlined.any()
    with pytest.raises(DataError, match=r"preferences\.py"):
        with_preferences(data, tmp_path / "nowhere.npz")
    save_preferences(tmp_path / "others.npz", np.array(["X/0/0"]), masks[:1, :2], "a test")
    with pytest.raises(DataError, match="other slices"):
        with_preferences(data, tmp_path / "others.npz")


# -- the loss ------------------------------------------------------------------------------------------------------------


@any_reference
@pytest.mark.parametrize("beta", [1.0, 5000.0])
def test_before_the_first_step_the_loss_is_ln_2_whatever_beta_is(beta, reference):
    terms = unaligned(reference, beta).train().align_loss(tiny_batch())
    assert terms["loss"].item() == pytest.approx(math.log(2), abs=1e-6)
    assert terms["difference"] == 0


def test_the_loss_is_that_of_errors_with_the_same_time_and_noise_for_both():
    method, batch = aligned_a_little(), tiny_batch()
    with torch.no_grad():
        torch.manual_seed(3)
        loss = float(method.align_loss(batch)["loss"])
        torch.manual_seed(3)
        noising = method.policy.draw_noising(batch.preferred[:, :1])
        encoded = method.encode(batch.image)
        error = {
            (which, k): method.policy.denoising_error(
                encoded, batch.preferred[:, k : k + 1], noising, denoiser=denoiser
            )
            for which, denoiser in (("policy", method.policy.denoiser), ("reference", method.reference))
            for k in (0, 1)
        }
    winner = error["policy", 0] - error["reference", 0]
    loser = error["policy", 1] - error["reference", 1]
    expected = -np.log(1 / (1 + np.exp(100.0 * (winner - loser).double().numpy()))).mean()
    assert loss == pytest.approx(expected, rel=1e-4)
    assert loss != pytest.approx(math.log(2), abs=1e-4)


@any_reference
def test_alignment_lowers_the_error_of_winners_against_that_of_losers(reference):
    before, after = unaligned(reference), aligned_a_little(15, reference)
    scores = []
    for method in (before, after):
        torch.manual_seed(99)
        with torch.no_grad():
            scores.append(float(method.align_loss(tiny_batch(images=3))["loss"]))
    assert scores[1] < scores[0]


@any_reference
def test_the_reference_and_whatever_sees_the_image_never_move(reference):
    untouched, method = unaligned(reference).state_dict(), aligned_a_little(reference=reference)
    moved = {name for name, value in method.state_dict().items() if not torch.equal(value, untouched[name])}
    assert moved
    assert all(name.startswith(f"policy.{DENOISER[reference]}") for name in moved)


def test_without_pairs_it_is_said_where_they_come_from(tmp_path):
    data = write_phantom(tmp_path / "data")
    recipe = load_recipe("diff_dpo_compact", [f"data.root={data}", "data.folds=[0]"])
    with pytest.raises(RecipeError, match=r"preferences\.py"):
        train(recipe, tmp_path / "run", start=lambda method: {"all_weights": ""})
    assert not (tmp_path / "run").exists()


def test_a_file_that_every_run_has_cannot_hold_anothers_weights(tmp_path):
    best = save_tiny_model(tmp_path / "best.safetensors", REFERENCE)
    with pytest.raises(DataError, match="name of its own"):
        export(best, tmp_path / "x.safetensors", share=best)
    named = save_tiny_model(tmp_path / "named.safetensors", REFERENCE)
    assert "needs named.safetensors beside it" in export(best, tmp_path / "x.safetensors", share=named)


# -- use -----------------------------------------------------------------------------------------------------------------


@any_reference
def test_the_knob_goes_from_the_references_samples_to_the_aligned_ones(reference):
    before, method = unaligned(reference).policy, aligned_a_little(reference=reference)
    encoded, noise = method.encode(tiny_batch().image), Noise(0, samples=2)
    with torch.no_grad():
        reference = before.sample(before.encode(tiny_batch().image), noise)
        drawn = []
        for preference in (0, 0.5, 1):
            method.preference = preference
            drawn.append(method.sample(encoded, noise))
        aligned = method.policy.sample(encoded, noise)
    assert torch.equal(drawn[0], reference)
    assert torch.equal(drawn[2], aligned)
    assert not torch.equal(drawn[1], reference)
    assert not torch.equal(drawn[1], aligned)
    half = method.denoiser_at(0.5).state_dict()
    for name, value in half.items():
        middle = (method.reference.state_dict()[name] + method.policy.denoiser.state_dict()[name]) / 2
        torch.testing.assert_close(value, middle)


def test_the_knobs_are_kept_with_the_model_and_can_be_turned_in_a_file(tmp_path):
    method, out = aligned_a_little(), tmp_path / "reference.safetensors"
    path = save_checkpoint(tmp_path / "m.safetensors", method, FRAME, {"modality": "CT"}, half=False)
    assert load_checkpoint(path).method.preference == 1
    export(path, out, preference=0.0, steps=2, guidance=1.5)
    turned = load_checkpoint(out)
    assert turned.info["modality"] == "CT"
    assert (turned.method.preference, turned.method.steps) == (0.0, 2)
    assert turned.method.policy.config.guidance == 1.5
    method.use_steps(2)
    encoded, noise = method.encode(tiny_batch().image), Noise(0, samples=2)
    with torch.no_grad():
        reference = method.policy.sample(encoded, noise, denoiser=method.reference)
        torch.testing.assert_close(turned.method.sample(encoded, noise), reference, atol=0.02, rtol=0)  # float16
    with pytest.raises(UnsupportedRequest, match="0 .* to 1"):
        export(path, tmp_path / "x.safetensors", preference=1.5)
    with pytest.raises(DataError, match="preference"):
        export(save_tiny_model(tmp_path / "p.safetensors", REFERENCE), tmp_path / "x.safetensors", preference=0.5)


def test_what_fits_and_was_made_with_another_objective_is_no_reference(tmp_path):
    reference = save_checkpoint(tmp_path / "reference.safetensors", unaligned().policy, FRAME, {})
    aligned = save_checkpoint(tmp_path / "aligned.safetensors", aligned_a_little(), FRAME, {})
    for path in (reference, aligned):
        for name, value in {"schedule": "cosine", "prediction": "x0", "diffusion_steps": 30}.items():
            other = DiffDPO(Config(REFERENCE, {**TINY_CONFIG[REFERENCE], name: value}), 1, LABELS, EXPERTS)
            with pytest.raises(RecipeError, match=f"^{name} = .*{value}.*was made with"):
                start_from(other, path)
        freely = {**TINY_CONFIG[REFERENCE], "sampling_steps": 2, "neutral_share": 0.2, "guidance": 2.0}
        start_from(DiffDPO(Config(REFERENCE, freely), 1, LABELS, EXPERTS), path)
    method = tiny_method(REFERENCE)
    method.config = replace(method.config, schedule="cosine")
    with pytest.raises(RecipeError, match="schedule"):
        start_from(method, reference)


def test_a_key_that_the_reference_does_not_have_is_refused():
    with pytest.raises(RecipeError, match="AmbiguousTextDiff has no sampling_step"):
        DiffDPO(Config(REFERENCE, {**TINY_CONFIG[REFERENCE], "sampling_step": 5}), 1, LABELS, EXPERTS)


def test_an_aligned_model_can_leave_its_references_weights_to_the_references_file(tmp_path):
    method = aligned_a_little()
    reference = save_checkpoint(tmp_path / "reference.safetensors", unaligned().policy, FRAME, {})
    whole = save_checkpoint(tmp_path / "whole.safetensors", method, FRAME, {"modality": "CT"})
    little = tmp_path / "little.safetensors"
    export(whole, little, share=reference)
    assert little.stat().st_size < whole.stat().st_size / 2
    expected, found = load_checkpoint(whole), load_checkpoint(little)
    assert found.info["modality"] == "CT"
    for name, value in expected.method.state_dict().items():
        assert torch.equal(value, found.method.state_dict()[name]), name
    method = DiffDPO(replace(method.config, preference=0.5), 1, LABELS, EXPERTS)
    start_from(method, little)
    assert torch.equal(method.reference.enter.weight, expected.method.reference.enter.weight)
    save_checkpoint(reference, aligned_a_little().policy, FRAME, {})
    with pytest.raises(CheckpointError, match=r"reference\.safetensors' is another version"):
        load_checkpoint(little)
    reference.unlink()
    with pytest.raises(CheckpointError, match="not installed"):
        load_checkpoint(little)


@dataclass(frozen=True)
class FlipsConfig:
    chance: float = 0.2


class Flips(Method):
    """A diffusion of another kind: labels are flipped by chance, and a network tells which they were."""

    name, title, Config = "flips", "Flips", FlipsConfig

    def __init__(self, config, channels, labels, experts):
        super().__init__()
        self.config, self.channels, self.labels, self.experts = config, channels, tuple(labels), ()
        self.denoiser = torch.nn.Conv2d(1 + channels, 1, 3, padding=1)

    def encode(self, image):
        return image

    def draw_noising(self, masks):
        return torch.rand_like(masks) < self.config.chance

    def denoising_error(self, encoded, masks, noising, style=None, denoiser=None):
        seen = torch.where(noising, 1 - masks, masks)
        logits = (denoiser or self.denoiser)(torch.cat([encoded, seen], 1))
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, masks, reduction="none").mean((1, 2, 3))

    def sample(self, encoded, noise, style=None, denoiser=None):
        start = (noise.uniform("flips", len(encoded), (1, *encoded.shape[-2:])) < 0.5).float().flatten(0, 1)
        image = encoded.repeat(len(noise.samples), 1, 1, 1)
        p = (denoiser or self.denoiser)(torch.cat([image, start], 1)).sigmoid().unflatten(0, (-1, len(encoded)))
        return torch.cat([1 - p, p], 2)

    def stages(self):
        return ()


def test_a_diffusion_of_another_kind_is_aligned_the_same_way(monkeypatch):
    monkeypatch.setitem(METHODS, "flips", Flips)
    method = DiffDPO(Config(method="flips", aligned={"chance": 0.3}, beta=50.0), 1, LABELS, EXPERTS)
    assert method.align_loss(tiny_batch())["loss"].item() == pytest.approx(math.log(2), abs=1e-6)
    optimizer = torch.optim.SGD(method.stages()[0].parameters(), 0.5)
    losses = []
    for step in range(20):
        torch.manual_seed(step)
        loss = method.align_loss(tiny_batch())["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.95 * math.log(2)
    with torch.no_grad():
        p = method.sample(method.encode(tiny_batch().image), Noise(0, samples=2, images=[1, 2, 3]))
    assert p.shape == (2, 3, 2, 32, 32)


def test_only_methods_that_denoise_can_be_aligned():
    with pytest.raises(RecipeError, match="ambiguous_text_diff"):
        DiffDPO(Config(method="unet_heads"), 1, LABELS, EXPERTS)
    with pytest.raises(RecipeError, match=r"aligned\.draws"):
        DiffDPO(Config(aligned={"draws": "many"}), 1, LABELS, EXPERTS)
    with pytest.raises(RecipeError, match="preference"):
        DiffDPO(Config(aligned=TINY_CONFIG[REFERENCE], preference=2.0), 1, LABELS, EXPERTS)


def test_a_diffoseg_is_aligned_as_its_population_and_its_experts_stay():
    before, method = unaligned("diffoseg").policy, aligned_a_little(reference="diffoseg")
    encoded, noise = method.encode(tiny_batch().image), Noise(0, samples=2)
    style = method.expert_style(encoded, 2)
    with torch.no_grad():
        assert torch.equal(method.sample(encoded, noise, style), before.sample(encoded, noise, style))
        assert not torch.equal(method.sample(encoded, noise), before.sample(encoded, noise))
    with pytest.raises(UnsupportedRequest, match="population"):
        method.policy.denoising_error(encoded, tiny_batch().masks[:, :1], None, style)


@pytest.mark.parametrize("loss", ["kl", "cross_entropy"])
def test_the_error_that_aligns_a_diffoseg_is_that_of_its_first_stage(loss, monkeypatch):
    method, batch = changed(loss=loss), tiny_batch()
    monkeypatch.setattr(diffoseg, "consensus_mask", lambda masks, _reading: masks[:, 1])
    torch.manual_seed(5)
    trained_with = method.consensus_loss(batch)["loss"]
    torch.manual_seed(5)
    noising = method.draw_noising(batch.masks[:, 1:2])
    errors = method.denoising_error(method.encode(batch.image), batch.masks[:, 1:2], noising)
    torch.testing.assert_close(errors.mean(), trained_with)
    alone = method.encode(batch.image[2:])
    last = method.denoising_error(alone, batch.masks[2:, 1:2], tuple(part[2:] for part in noising))
    torch.testing.assert_close(errors[2:], last)


@pytest.mark.parametrize(
    ("reference", "alignment"),
    [
        ("ambiguous_text_diff_compact", "diff_dpo_compact"),
        ("ambiguous_text_diff_paper", "diff_dpo_paper"),
        ("diffoseg_compact", "diff_dpo_diffoseg_compact"),
    ],
)
def test_recipes_align_what_the_reference_recipes_train(reference, alignment):
    reference, alignment = load_recipe(reference), load_recipe(alignment)
    assert alignment.model.method == reference.method
    assert build(type(reference.model), alignment.model.aligned, "recipe") == reference.model
    assert alignment.frame == reference.frame
    assert alignment.data.name == reference.data.name
    assert alignment.data.folds == reference.data.folds


def undecided(method: Method) -> dict:
    """Takes the bias towards background away that DiffOSeg starts with: two steps would leave nothing to choose from."""
    if method.name == "diffoseg":
        torch.nn.init.zeros_(method.consensus_denoiser.out.bias)
    return {}


@pytest.mark.parametrize(("reference", "alignment"), [(REFERENCE, "diff_dpo"), ("diffoseg", "diff_dpo_diffoseg")])
def test_from_reference_to_pairs_to_an_aligned_model(tmp_path, reference, alignment):
    """The printed commands, on a tiny model made on the spot."""
    data = write_phantom(tmp_path / "data")
    tiny = [
        "frame.size=32",
        "frame.spacing_mm=1.4",
        "batches.size=4",
        "batches.window=32",
        f"data.root={data}",
        "data.folds=[0]",
    ]
    few = StageSettings(steps=2, validate_every=2, validation_slices=2, learning_rate=1e-3)
    recipe = load_recipe(f"{reference}_compact", tiny)
    model = type(recipe.model)(**TINY_CONFIG[reference])
    recipe = replace(recipe, model=model, stage=dict.fromkeys(recipe.stage, few))
    trained = train(recipe, tmp_path / "reference", start=undecided)
    pairs = tmp_path / "pairs"
    command = [sys.executable, str(PROJECT / "Training/preferences.py"), str(trained), "--root", str(data)]
    made = subprocess.run(
        [*command, "--every", "1", "--strategy", "mean_dice", "stochastic_run", "--out", str(pairs)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    recipe = load_recipe(f"{alignment}_compact", [*tiny, f"data.preferences={pairs / 'stochastic_run.npz'}"])
    recipe = replace(
        recipe, model=Config(reference, TINY_CONFIG[reference]), stage={"align": replace(few, learning_rate=0.1)}
    )
    with pytest.raises(RecipeError, match="--start-from"):
        train(recipe, tmp_path / "aligned")
    aligned = train(recipe, tmp_path / "aligned", start=partial(start_from, path=trained))
    before, after = load_file(str(trained)), load_file(str(aligned))
    moving = {name for name in before if name.startswith(DENOISER[reference])}
    for name, value in before.items():
        kept = f"reference.{name.removeprefix(DENOISER[reference])}" if name in moving else f"policy.{name}"
        assert torch.equal(value, after[kept]), name
    assert any(not torch.equal(before[name], after[f"policy.{name}"]) for name in moving)
