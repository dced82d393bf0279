"""What is peculiar to AmbiguousTextDiff: masks from noise, text at three resolutions, a latent term that keeps its meaning."""

import re
from dataclasses import replace

import pytest
import torch
from test_predictor import POINT, ball
from tiny_model import TINY_CONFIG, save_tiny_model, share_of_loss_left, tiny_batch, tiny_method

from MultiRaterSegLib.diffusion import gaussian
from MultiRaterSegLib.errors import RecipeError, UnsupportedRequest
from MultiRaterSegLib.methods.ambiguous_text_diff import AmbiguousTextDiff, Config, LatentTerm
from MultiRaterSegLib.networks.text_denoiser import NoText, TextAttention, TextDiffusionUNet, TextFeatureDenoiser
from MultiRaterSegLib.noise import Noise
from MultiRaterSegLib.predictor import VolumePredictor
from MultiRaterSegLib.text import opposites, training_prompts
from MultiRaterSegLib.text.lidc_terms import statement
from MultiRaterSegLib.text.tokens import Wish, sentence_features
from MultiRaterSegLib.text.words import WordsEncoder
from Training.data.lidc_slices import EXPERTS
from Training.recipe import load_recipe

NAME = "ambiguous_text_diff"
AS_PUBLISHED = {
    **TINY_CONFIG[NAME],
    "network": "concatenated",
    "denoiser_widths": (8, 8, 8, 8),
    "denoiser_blocks": 1,
    "head_channels": 4,
    "norm_groups": 8,
}


def method_with(**changes) -> AmbiguousTextDiff:
    torch.manual_seed(0)
    values = {**TINY_CONFIG[NAME], **changes}
    return AmbiguousTextDiff(Config(**values), 1, ("background", "nodule"), EXPERTS).eval()


def spoken_batch():
    """Three images whose four readers say something else each."""
    batch = tiny_batch()
    said = tuple(tuple((statement("Texture", 1 + r), statement("Margin", 1 + i)) for r in range(4)) for i in range(3))
    return replace(batch, texts=said)


def test_a_few_steps_lower_the_loss():
    method = tiny_method(NAME).train()
    assert share_of_loss_left(method.stages()[0], spoken_batch(), 30, 5e-3) < 0.8


@pytest.mark.parametrize("prediction", ["epsilon", "x0", "v"])
@pytest.mark.parametrize("config", [TINY_CONFIG[NAME], AS_PUBLISHED], ids=["on_features", "concatenated"])
def test_every_prediction_and_network_trains_and_samples(prediction, config):
    method = method_with(**{**config, "prediction": prediction})
    method.loss(spoken_batch())["loss"].backward()
    assert all(p.grad is not None for name, p in method.named_parameters() if name.startswith("denoiser."))
    with torch.no_grad():
        p = method.sample(method.encode(tiny_batch().image), Noise(0, samples=2))
    assert p.shape == (2, 3, 2, 32, 32)
    assert p.min() >= 0
    assert p.max() <= 1


def test_a_network_that_knows_the_noise_has_no_denoising_error_and_returns_the_mask():
    method = method_with(prediction="epsilon", denoising_loss="mse", sampling_steps=20, schedule="cosine")
    mask = tiny_batch().masks[:, 1:2]
    encoded = method.encode(tiny_batch().image)
    t, noise = method.draw_noising(mask)

    class Knows(TextFeatureDenoiser):
        def __init__(self):
            torch.nn.Module.__init__(self)

        def prepare(self, features):
            return features

        def forward(self, noisy, t, prepared, tokens):
            return gaussian.noise_given(gaussian.encode_mask(mask), noisy, method.schedule[t].view(-1, 1, 1, 1))

    with torch.no_grad():
        assert method.denoising_error(encoded, mask, (t, noise), denoiser=Knows()).max() < 1e-4
        drawn = method.sample(encoded, Noise(3, samples=1, images=[7, 8, 9]), denoiser=Knows())
    assert torch.equal(drawn[0, :, 1] > 0.5, mask[:, 0] > 0.5)


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_either_loss_is_least_where_the_clean_mask_is_the_share_of_masks_that_have_a_pixel(loss):
    """So samplers may use either: what they take for the clean mask is the same."""
    method = method_with(prediction="x0", denoising_loss=loss)
    masks = torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0]).view(5, 1, 1, 1)
    noisy, a = torch.zeros(5, 1, 1, 1), torch.full((5, 1, 1, 1), 0.5)
    best = None
    for output in torch.linspace(-3, 3, 601):
        given = output.expand(5, 1, 1, 1)
        error = float(method._error(given, gaussian.encode_mask(masks), noisy, a).mean())
        if best is None or error < best[0]:
            best = (error, float(method._clean(given, noisy, a)[0]))
    assert gaussian.decode_mask(torch.tensor(best[1])) == pytest.approx(0.4, abs=0.01)


def test_cross_entropy_needs_a_network_that_predicts_the_mask():
    with pytest.raises(RecipeError, match="'x0'"):
        method_with(prediction="epsilon", denoising_loss="cross_entropy")
    with pytest.raises(RecipeError, match="at most 1"):
        method_with(denoiser_widths=(8, 8, 8))
    with pytest.raises(RecipeError, match=r"= 1\.3.*at most 1"):
        method_with(expert_share=0.5, prompt_share=0.5, neutral_share=0.3)


@pytest.mark.parametrize(("sampler", "eta"), [("ddpm", 0.0), ("ddim", 1.0)])
def test_random_steps_are_addressed_too(sampler, eta):
    method = method_with(sampler=sampler, eta=eta, sampling_steps=5)
    image = tiny_batch().image
    with torch.no_grad():
        whole = method.sample(method.encode(image), Noise(1, samples=range(4), images=[4, 5, 6]))
        part = method.sample(method.encode(image[1:2]), Noise(1, samples=[2], images=[5]))
        shared = method.sample(method.encode(image[:1].expand(3, -1, -1, -1)), Noise(1, samples=2))
    torch.testing.assert_close(part, whole[2:3, 1:2], atol=1e-5, rtol=0)
    torch.testing.assert_close(shared[:, 0], shared[:, 2], atol=1e-5, rtol=0)  # along a lesion: the same reader


def test_what_a_text_says_changes_the_mask_and_how_many_sentences_there_are_does_not_change_a_styles_size():
    method = tiny_method(NAME)
    short, long = (), tuple(statement("Texture", k) for k in (1, 2, 3, 4, 5))
    with torch.no_grad():
        styles = [method.text_style([[text]]) for text in (short, long)]
        assert styles[0].shape == styles[1].shape == (1, 1, 3, 8)
        together = method.text_style([[short, long]])
        torch.testing.assert_close(together, torch.cat(styles, 1))  # padding is not attended to
        encoded = method.encode(tiny_batch().image)
        drawn = [method.sample(encoded, Noise(0, samples=1), style) for style in (None, *styles)]
    torch.testing.assert_close(drawn[0], drawn[1])  # nothing said is the population
    assert not torch.allclose(drawn[0], drawn[2], atol=1e-6)


@torch.no_grad()
def test_guidance_goes_from_silence_past_the_style_and_leaves_the_population_alone():
    drawn = {}
    for guidance in (0.0, 1.0, 3.0):
        method = method_with(guidance=guidance, sampling_steps=1, prediction="x0", denoising_loss="cross_entropy")
        encoded = method.encode(tiny_batch().image)
        drawn[guidance] = method.sample(encoded, Noise(0, samples=1), method.prompt_style(encoded, "generous"))
        population = method.sample(encoded, Noise(0, samples=1))
    torch.testing.assert_close(drawn[0.0], population)
    logits = {g: p[:, :, 1].logit() for g, p in drawn.items()}
    expected = logits[0.0] + 3 * (logits[1.0] - logits[0.0])
    torch.testing.assert_close(logits[3.0], expected, atol=1e-4, rtol=1e-3)


def test_prompts_may_hold_wishes_and_statements():
    method = tiny_method(NAME)
    read = method.understand("generous outline. The Texture is solid.")
    assert read.slots.extent == 1
    assert read.described == ("The Texture is Solid.",)
    assert "generous" in read.summary()
    assert "Solid" in read.summary()
    with torch.no_grad():
        a, b, c = (
            method.prompt_style(None, p) for p in ("generous outline", "a liberal contour", "The Texture is Solid.")
        )
    assert torch.equal(a, b)  # paraphrases
    assert not torch.equal(a, c)
    with pytest.raises(UnsupportedRequest):
        method.prompt_style(None, "The Texture is Solid. outline the liver")


def test_a_statement_with_a_term_that_lidc_does_not_have_is_answered_with_those_it_has():
    method, terms = tiny_method(NAME), "LIDC's terms for Texture are: Non-Solid/GGO, .*, Solid"
    with pytest.raises(UnsupportedRequest, match=terms):
        method.understand("The Texture is Purple.")
    read = method.understand("The Texture is Purple. tight")
    assert read.slots.extent == -1
    assert re.match(terms, read.notes[-1])
    assert method.understand("The Texture is Solid. tight").notes == method.understand("tight").notes


def test_what_a_data_set_says_is_never_taken_for_a_wish():
    """A diagnosis "large" or a "list of points" asks for nothing; a person who says so does."""
    for said in (
        "The annotation was performed with a manual list of points.",
        "The diagnosis is Solar lentigo, large.",
    ):
        described, asked = sentence_features(said), sentence_features(Wish(said))
        assert not any(described[: WordsEncoder.dim])
        assert any(described[WordsEncoder.dim :])
        assert any(asked[: WordsEncoder.dim])
        assert not any(asked[WordsEncoder.dim :])
    method = tiny_method(NAME)
    with torch.no_grad():
        a, b = (method.text_style([[(sentence,)]]) for sentence in ("generous", Wish("generous")))
        c = method.prompt_style(None, "generous")
    assert not torch.equal(a, b)
    assert torch.equal(b, c)


def test_decoder_only_text_reaches_no_block_on_the_way_down():
    light = TextFeatureDenoiser((8, 8, 8), (8, 8), 8, decoder_only=True)
    assert not list(light.read_down.parameters())
    assert list(light.read_up.parameters())
    net = TextDiffusionUNet(1, (8, 8, 8, 8), 1, 4, 8, 8, decoder_only=True).net
    silent = [m for part in (net.down_blocks, net.middle_block) for m in part.modules() if isinstance(m, NoText)]
    assert len(silent) == 4  # three levels and the middle
    assert not [m for m in net.up_blocks.modules() if isinstance(m, NoText)]


@pytest.mark.parametrize("decoder_only", [True, False])
def test_what_leaves_the_way_down_knows_the_text_only_where_it_is_attended_to_there(decoder_only):
    torch.manual_seed(0)
    net = TextDiffusionUNet(1, (8, 8, 8, 8), 1, 4, 8, 8, decoder_only).net
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.3)  # its attention starts silent
    seen, drawn = [], []
    net.middle_block.register_forward_hook(lambda _m, _i, out: seen.append(out))
    with torch.no_grad():
        for seed in (1, 2):
            torch.manual_seed(seed)
            drawn.append(net(torch.ones(1, 2, 16, 16), torch.zeros(1), context=torch.randn(1, 3, 8)))
    assert torch.equal(seen[0], seen[1]) == decoder_only
    assert not torch.equal(drawn[0], drawn[1])


def test_text_is_attended_to_at_three_resolutions_in_both_directions():
    net = TextDiffusionUNet(1, (8, 8, 8, 8, 8), 1, 4, 8, 8).net
    assert net.attention_levels == (False, False, True, True, True)
    light = load_recipe("ambiguous_text_diff_compact").model
    denoiser = TextFeatureDenoiser(light.widths, light.denoiser_widths, light.token_dim)
    for reading in (denoiser.read_down, denoiser.read_up):
        assert [bool(list(block.parameters())) for block in reading] == [False, True, True, True]


def test_text_attention_is_the_usual_one_multiplied_out_in_another_order():
    torch.manual_seed(0)
    layer = TextAttention(16, token_dim=12, heads=4)
    x, tokens = torch.randn(2, 16, 5, 3), torch.randn(2, 7, 12)
    usual = torch.nn.MultiheadAttention(16, 4, batch_first=True)
    with torch.no_grad():
        usual.in_proj_weight.copy_(torch.cat([layer.query.weight[:, :, 0, 0], torch.eye(16), torch.eye(16)]))
        usual.out_proj.weight.copy_(layer.out.weight[:, :, 0, 0])
        usual.out_proj.bias.copy_(layer.out.bias)
        places = layer.normalize(x).flatten(2).transpose(1, 2)
        found = usual(places, *layer.key_value(tokens).chunk(2, -1))[0]
        torch.testing.assert_close(layer(x, tokens), x + found.transpose(1, 2).view_as(x))


def test_without_text_the_image_takes_its_place_and_there_are_no_styles():
    for config in (TINY_CONFIG[NAME], AS_PUBLISHED):
        method = method_with(**{**config, "text": False})
        assert method.experts == ()
        encoded = method.encode(tiny_batch().image)
        assert encoded.tokens.shape[0] == 3
        method.loss(spoken_batch())["loss"].backward()
        assert (
            method.image_tokens.weight.grad is not None
        )  # 0 at first in MONAI's network, whose attention starts silent
        with pytest.raises(UnsupportedRequest, match="without text"):
            method.prompt_style(encoded, "generous")


def test_training_masks_belong_to_their_texts():
    """A reader's words come with that reader's mask, a rank with the mask of who holds it, silence with anybody's."""
    batch = spoken_batch()
    speaker = {batch.texts[i][r][0]: r for i in range(3) for r in range(4)}
    torch.manual_seed(0)
    only = {"neutral_share": 0.0, "expert_share": 0.0, "prompt_share": 0.0}
    for shares in (only, {**only, "expert_share": 1.0}, {**only, "prompt_share": 1.0}):
        method = method_with(**shares)
        for _ in range(12):
            masks, texts, ranks, _ = method._draw_reader(batch)
            for i, (mask, text, rank) in enumerate(zip(masks, texts, ranks)):
                owners = {r for r in range(4) if torch.equal(mask, batch.masks[i, r])}
                assert {speaker[sentence] for sentence in text if sentence in speaker} <= owners or shares[
                    "prompt_share"
                ]
                if rank >= 0:
                    assert torch.equal(mask, batch.expert_mask(EXPERTS[rank].name)[i])
    silent = method_with(**{**only, "neutral_share": 1.0})
    assert silent._draw_reader(batch)[1] == [(), (), ()]


def test_opposites_are_the_same_in_all_but_a_sentence_and_what_it_asks_for():
    method, batch, seen = method_with(draws=4, opposites=1, denoising_loss="mse"), spoken_batch(), []
    (less, said, _, disputed), (more, opposite, *_) = method._draw_opposites(batch)
    assert not torch.equal(less, more)
    assert (disputed.bool() | (less == more)).all()
    assert 0 < disputed.mean() < 0.5
    assert [text[:-1] for text in said] == [text[:-1] for text in opposite]
    slots = {Wish(prompt.text): prompt.slots for prompt in training_prompts()}
    changed = [name for name, value in vars(slots[said[0][-1]]).items() if value != vars(slots[opposite[0][-1]])[name]]
    assert changed in (["spiculation"], ["halo"])
    method.denoiser.register_forward_pre_hook(lambda _net, inputs: seen.append(inputs))
    torch.manual_seed(0)
    method.loss(batch)
    noisy, t, _, tokens = (x.unflatten(0, (4, 3)) if torch.is_tensor(x) else x for x in seen[0])
    assert torch.equal(t[2], t[3])
    assert not torch.equal(t[0], t[1])
    assert not torch.equal(tokens[2], tokens[3])
    moved = (noisy[2] - noisy[3]).abs() > 1e-6
    assert 0 < moved.float().mean() < 0.2  # where the masks differ and nowhere else: the noise is the same
    with pytest.raises(RecipeError, match="two of draws"):
        method_with(draws=3, opposites=2)


def test_emphasis_weighs_what_opposite_sentences_differ_about(monkeypatch):
    plain, emphatic = (method_with(draws=2, opposites=1, emphasis=e, latent_weight=0.0) for e in (0.0, 4.0))
    batch, errors = spoken_batch(), []
    error = AmbiguousTextDiff._error

    def watched(self, output, clean, noise, a, weight=1.0):
        full = (output - gaussian.to_predict(self.config.prediction, clean, noise, a)).square()
        errors.append((full, clean[:3] != clean[3:]))
        return error(self, output, clean, noise, a, weight)

    monkeypatch.setattr(AmbiguousTextDiff, "_error", watched)
    losses = []
    for method in (plain, emphatic):
        method._opposites = opposites(method._prompts, "halo")[:1]  # strong words: masks differ wherever they may
        torch.manual_seed(1)
        losses.append(method.loss(batch)["loss"].item())
    squares, differ = errors[1]
    assert losses[0] == pytest.approx(squares.mean().item(), rel=1e-5)
    assert losses[1] == pytest.approx((squares * (1 + 4 * torch.cat([differ] * 2))).mean().item(), rel=1e-5)
    assert losses[1] > losses[0]


def test_the_latent_term_keeps_z_informative_and_its_kl_reaches_the_prediction():
    """With the KL alone both networks would ignore the mask; with the reconstruction, z tells small from large."""
    torch.manual_seed(0)
    batch = tiny_batch(images=6)
    term = LatentTerm(1, (8, 16), 2)
    optimizer = torch.optim.Adam(term.parameters(), 1e-2)
    small, large = batch.masks[:, 0:1], batch.masks[:, 3:4]
    images, masks = torch.cat([batch.image] * 2), torch.cat([small, large])
    for _ in range(150):
        kl, reconstruction = term(images, masks, masks, torch.ones(12))
        optimizer.zero_grad()
        (kl + reconstruction).backward()
        optimizer.step()
    with torch.no_grad():
        codes = [term.posterior(batch.image, mask) for mask in (small, large)]
        apart = (codes[0].mean - codes[1].mean).abs().max(1).values / codes[0].log_std.exp().max(1).values
        assert apart.min() > 1
        own = term(batch.image, large, large, torch.ones(6))[0]
        other = term(batch.image, large, small, torch.ones(6))[0]
    assert other > 2 * own
    guess = small.clone().requires_grad_()
    term(batch.image, large, guess, torch.ones(6))[0].backward()
    assert guess.grad.abs().sum() > 0
    assert term(batch.image, large, small, torch.zeros(6))[0] == 0


def test_the_compact_recipe_fits_what_is_shipped_and_the_paper_recipe_has_the_papers_sizes():
    compact, paper = load_recipe("ambiguous_text_diff_compact"), load_recipe("ambiguous_text_diff_paper")
    with torch.device("meta"):
        small = AmbiguousTextDiff(compact.model, 1, ("background", "nodule"), EXPERTS)
        model = replace(paper.model, text_encoder="words")
        large = AmbiguousTextDiff(model, 1, ("background", "nodule"), EXPERTS)
    assert sum(p.numel() for p in small.parameters()) < 3.2e6
    assert 85e6 < sum(p.numel() for p in large.denoiser.parameters()) < 250e6  # without cross-attention: 85.6 M
    assert paper.stage["denoise"].decay == "linear"


def test_a_lesion_in_a_scan_is_asked_by_sentence_rank_and_slider(tmp_path):
    """The line that volumes take knows nothing of this method; neither do the command line and Slicer, which use it."""
    predictor = VolumePredictor.from_checkpoint(save_tiny_model(tmp_path / "m.safetensors", NAME), "cpu")
    lesion = predictor.lesion(ball(), at=POINT)
    asked = [
        lesion.consensus(2),
        lesion.style("inclusive", 2),
        lesion.between("conservative", "smooth and round", 0.5, 2),
    ]
    asked.append(lesion.prompt("generous outline. The Texture is Solid.", 2))
    assert {prediction.samples.shape for prediction in asked} == {asked[0].samples.shape}
    again = predictor.lesion(ball(), at=POINT).prompt("generous outline. The Texture is Solid.", 2)
    assert torch.equal(torch.as_tensor(asked[-1].samples), torch.as_tensor(again.samples))
