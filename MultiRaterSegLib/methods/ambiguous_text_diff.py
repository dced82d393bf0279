"""AmbiguousTextDiff, also AmbiSeg: text-guided Gaussian diffusion of masks (2025; both papers are anonymous, no public code).

A mask y_0 of one reader, drawn at random, is noised to y_t; a U-Net that sees the image, y_t, the time and a text takes
the noise off again:  L = |noise - network(image, y_t, t, text)|^2 + lambda KL(q(z | x, y_0) || p(z | x, y^_0))
(equations 5 to 7), y^_0 the clean mask that the network's output stands for. Samples start from pure noise and walk back
by DDPM or DDIM. Text is attended to at three resolutions; a style is a fixed number of text tokens (see text/tokens.py),
so sentence, reader rank and what lies between two of them share one path, and the population is the text that says nothing.

What the papers leave open, and what we chose:
* Whether text enters encoder and decoder (004) or the decoder alone (003): `text_in`.
* One vector or tokens: tokens. With one vector softmax over one key is 1 and cross-attention no choice at all.
* The KL alone is least where both networks ignore their input. Each has its decoder: z must tell the mask apart
  (`LatentTerm`). At late times y^_0 is useless, so the KL of a draw counts with a_t, the share of signal in y_t.
* Masks are -1 and 1, cut at 0. The papers write [-1, 1] and 0.5; the code they go back to has masks of 0 and 1.
* Their prompts hold each reader's bounding box and volume and so the answer; ours say what readers rated, never whether
  one outlined (Training/data/descriptions.py). A share of images comes without text, for the population.
* Without text (`text` false): what the papers put in its place, features of the image as tokens.

Ours, off in the paper recipe: `network` "on_features" (a U-Net sees the image once, a light denoiser takes the steps),
`prediction` x0 with cross-entropy (its least lies at the same posterior mean; few steps suffice), several `draws` of time,
noise and reader an image, `guidance` beyond 1, and the shares of reader ranks and of sentences that ask for something,
whose targets are made of readers' masks as in ProSona (style_targets): ratings alone say what a nodule is, hardly what an
outline should do. What "spiculated" adds is few pixels, which other readers, times and noise drown out; `opposites` are
pairs of draws in which these are the same and only the sentence and what it asks for differ, and `emphasis` weighs the
pixels that the two sentences can decide: on any reader's mask, not on the drawn one's alone, or what is likely on an image
would no longer be the least of the loss (a model trained so carved spicules where no reader has any).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..diffusion import gaussian
from ..errors import RecipeError, UnsupportedRequest
from ..knobs import Knobs
from ..method import Abilities, Batch, Expert, Method, Stage, Style
from ..networks.backbone import BackboneConfig, make_backbone
from ..networks.latent import LatentDecoder, PosteriorNet
from ..networks.text_denoiser import TextDiffusionUNet, TextFeatureDenoiser
from ..noise import Noise
from ..style_targets import described, rank_said, regions
from ..text import TrainingPrompt, Understanding, opposites, training_prompts
from ..text.tokens import Text, TextTokens, Wish, sentences_of, understand_text


@dataclass(frozen=True)
class Config(BackboneConfig):
    """The papers' numbers (appendix A of both); channel multiples are not printed, these are guided diffusion's.

    expert_share, prompt_share, neutral_share: of the training draws, what has a reader rank, a sentence that asks for
    something, no text; the rest is a random reader with what that reader says of the nodule. These are shares of the draws
    that are not among the pairs of `opposites`, of which each takes two of `draws`. In a pair, pixels that the two
    sentences differ about count 1 + emphasis times.
    """

    network: Literal["concatenated", "on_features"] = "concatenated"
    denoiser_widths: tuple[int, ...] = (128, 128, 256, 384, 512)
    denoiser_blocks: int = 2
    head_channels: int = 64
    norm_groups: int = 32
    text: bool = True
    text_encoder: str = "clinical_bert"
    text_path: str | None = None
    text_in: Literal["encoder_and_decoder", "decoder"] = "encoder_and_decoder"
    token_dim: int = 128
    text_tokens: int = 16
    schedule: Literal["linear", "cosine"] = "linear"
    diffusion_steps: int = 1000
    prediction: gaussian.Prediction = "epsilon"
    denoising_loss: Literal["mse", "cross_entropy"] = "mse"
    latent_weight: float = 1e-3
    latent_dim: int = 6
    latent_widths: tuple[int, ...] = (32, 64, 128, 192)
    draws: int = 1
    opposites: int = 0
    emphasis: float = 0.0
    neutral_share: float = 0.1
    expert_share: float = 0.1
    prompt_share: float = 0.0
    sampler: Literal["ddim", "ddpm"] = "ddim"
    sampling_steps: int = 100
    eta: float = 0.0
    guidance: float = 1.0
    """Of a style when sampling: how far its prediction is followed beyond that of no text; 1, the papers', costs half."""


@dataclass(frozen=True)
class Encoded:
    """What denoising needs of B slices: features [B, C, h, w] finest first (the image alone where the network sees it
    anew in each step), tokens [B, K, D] of the image in place of text (None: there is text), size of the mask."""

    features: tuple[Tensor, ...]
    tokens: Tensor | None
    size: tuple[int, int]


class AmbiguousTextDiff(Method):
    name: ClassVar[str] = "ambiguous_text_diff"
    title: ClassVar[str] = "AmbiguousTextDiff"
    follows_prompts: bool = True
    Config: ClassVar[type] = Config
    not_in_weights: ClassVar[tuple[str, ...]] = (
        "schedule",
        "diffusion_steps",
        "prediction",
        "denoising_loss",
        "head_channels",
        "norm_groups",
    )

    def __init__(self, config: Config, channels: int, labels: Sequence[str], experts: Sequence[Expert]):
        super().__init__()
        c = config
        if c.denoising_loss == "cross_entropy" and c.prediction != "x0":
            raise RecipeError(
                f"denoising_loss = 'cross_entropy' is of masks; prediction is '{c.prediction}', give 'x0'."
            )
        if (shares := c.expert_share + c.prompt_share + c.neutral_share) > 1:
            raise RecipeError(
                f"expert_share + prompt_share + neutral_share = {shares:g}: they are shares of the draws, at most 1 together."
            )
        if 2 * c.opposites > c.draws or (c.opposites and not c.text):
            raise RecipeError(f"opposites = {c.opposites}: each takes two of draws = {c.draws}, and needs text.")
        self.config, self.channels, self.labels = config, channels, tuple(labels)
        self.experts, self.follows_prompts = tuple(experts) if c.text else (), c.text
        self.backbone = make_backbone(c, channels) if c.network == "on_features" else None
        self.denoiser = self._make_denoiser()
        if c.text:
            self.text = TextTokens(c.text_encoder, c.text_path, c.token_dim, c.text_tokens)
            self.expert_tokens = nn.Parameter(torch.randn(len(experts), c.token_dim))
        else:
            patch, seen = (16, channels) if self.backbone is None else (1, self.backbone.bottleneck_channels)
            self.image_tokens = nn.Conv2d(seen, c.token_dim, patch, stride=patch)
        self.latent = LatentTerm(channels, c.latent_widths, c.latent_dim) if c.latent_weight else None
        self.register_buffer("schedule", gaussian.SCHEDULES[c.schedule](c.diffusion_steps), persistent=False)

    def _make_denoiser(self) -> nn.Module:
        c, decoder_only = self.config, self.config.text_in == "decoder"
        if self.backbone is None:
            return TextDiffusionUNet(
                self.channels,
                c.denoiser_widths,
                c.denoiser_blocks,
                c.head_channels,
                c.token_dim,
                c.norm_groups,
                decoder_only,
            )
        levels = self.backbone.level_channels[::-1]
        if len(c.denoiser_widths) >= len(levels):
            raise RecipeError(
                f"denoiser_widths = {c.denoiser_widths}: the U-Net has {len(levels)} resolutions, and the denoiser none at "
                f"the finest. Give at most {len(levels) - 1} widths."
            )
        return TextFeatureDenoiser(levels[: 1 + len(c.denoiser_widths)], c.denoiser_widths, c.token_dim, decoder_only)

    # -- use ----------------------------------------------------------------------------------------------------------

    @classmethod
    def abilities(cls, config: Config) -> Abilities:
        return Abilities(config.text, Knobs(config.sampling_steps), config.diffusion_steps, config.text)

    def encode(self, image: Tensor) -> Encoded:
        features, bottleneck = (image,), image
        if self.backbone is not None:
            levels = []
            self.backbone(image, lambda _level, x: levels.append(x) or x)
            features, bottleneck = tuple(levels[::-1]), levels[0]
        tokens = None if self.config.text else self.image_tokens(bottleneck).flatten(2).transpose(1, 2)
        return Encoded(features, tokens, image.shape[-2:])

    def sample(
        self, encoded: Encoded, noise: Noise, style: Style | None = None, denoiser: nn.Module | None = None
    ) -> Tensor:
        """denoiser: another one of the same kind in place of the method's own (see DiffDPO)."""
        c, denoiser = self.config, denoiser or self.denoiser
        samples, batch = len(noise.samples), len(encoded.features[0])
        tokens = self._tokens(encoded, style, samples)
        silent = self._tokens(encoded, None, samples) if style is not None and c.guidance != 1 else None
        prepared = [torch.cat([x] * samples) for x in denoiser.prepare(encoded.features)]

        def draw(stream: str) -> Tensor:
            drawn = noise.normal(stream, batch, (1, *encoded.size)).to(tokens)
            return drawn.expand(samples, batch, -1, -1, -1).flatten(0, 1)

        def predict(noisy: Tensor, t: int) -> Tensor:
            time = torch.full((len(noisy),), t, device=noisy.device)
            output = denoiser(noisy, time, prepared, tokens)
            if silent is not None:  # classifier-free guidance (Ho and Salimans, 2022)
                output = torch.lerp(denoiser(noisy, time, prepared, silent), output, c.guidance)
            return self._clean(output, noisy, self.schedule[t])

        signal = gaussian.sample(
            predict, draw("mask"), self.schedule, c.sampling_steps, c.sampler, c.eta, lambda t: draw(f"step {t}")
        )
        lesion = gaussian.decode_mask(signal.float()).unflatten(0, (samples, batch))
        return torch.cat([1 - lesion, lesion], 2)

    def expert_style(self, encoded: Encoded | None, expert: int) -> Style:
        """[1, 1, K, D]."""
        self._require_text()
        return self.text.resample([self.expert_tokens[expert][None]])[None]

    def prompt_style(self, encoded: Encoded | None, prompt: str) -> Style:
        self.understand(prompt)  # refuses what no text can say
        return self.text_style([[sentences_of(prompt)]])

    def text_style(self, texts: Sequence[Sequence[Text]]) -> Style:
        """Texts [S or 1][B or 1], each a tuple of sentences of any kind -> [S or 1, B or 1, K, D]."""
        self._require_text()
        return torch.stack([self.text(row) for row in texts])

    @property
    def text_identity(self) -> dict | None:
        return self.text.sentences.identity() if self.config.text else None

    def understand(self, prompt: str) -> Understanding:
        self._require_text()
        return understand_text(prompt)

    # -- training -----------------------------------------------------------------------------------------------------

    def stages(self) -> tuple[Stage, ...]:
        return (Stage("denoise", self.loss, (self,)),)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Equation 5. Each of `draws` has its own reader, text, time and noise; the image is encoded once."""
        c = self.config
        encoded = self.encode(batch.image)
        masks, tokens, weight = self._draw_readers(batch, encoded)
        t, noise = self.draw_noising(masks)
        pairs = c.opposites * len(batch.image)  # the last ones; the second of each sees what the first sees
        t[len(t) - pairs :], noise[len(t) - pairs :] = (x[len(t) - 2 * pairs : len(t) - pairs] for x in (t, noise))
        prepared = [torch.cat([x] * c.draws) for x in self.denoiser.prepare(encoded.features)]
        clean, a = gaussian.encode_mask(masks), self.schedule[t].view(-1, 1, 1, 1)
        noisy = gaussian.diffuse(clean, noise, a)
        output = self.denoiser(noisy, t, prepared, tokens)
        terms = {"denoising": self._error(output, clean, noise, a, weight).mean()}
        if self.latent is not None:
            first = slice(len(batch.image))
            guess = gaussian.decode_mask(self._clean(output, noisy, a)[first].clamp(-1, 1))
            terms["kl"], terms["reconstruction"] = self.latent(batch.image, masks[first], guess, a[first].flatten())
        weighted = terms["denoising"] + c.latent_weight * sum(v for name, v in terms.items() if name != "denoising")
        return {"loss": weighted, **terms}

    def draw_noising(self, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Times [N] and standard normal noise for masks [N, 1, H, W], by torch's random numbers."""
        times = torch.randint(len(self.schedule), (len(masks),), device=masks.device)
        return times, torch.randn_like(masks)

    def denoising_error(
        self,
        encoded: Encoded,
        masks: Tensor,
        noising: tuple[Tensor, Tensor],
        style: Style | None = None,
        denoiser: nn.Module | None = None,
    ) -> Tensor:
        """[B]: how badly noise is taken off masks [B, 1, H, W], the mean of the loss over each image's pixels."""
        denoiser, (t, noise) = denoiser or self.denoiser, noising
        clean, a = gaussian.encode_mask(masks), self.schedule[t].view(-1, 1, 1, 1)
        prepared, tokens = denoiser.prepare(encoded.features), self._tokens(encoded, style, 1)
        return self._error(denoiser(gaussian.diffuse(clean, noise, a), t, prepared, tokens), clean, noise, a)

    def _error(self, output: Tensor, clean: Tensor, noise: Tensor, a: Tensor, weight: Tensor | float = 1.0) -> Tensor:
        """[N], equation 6 for whatever is predicted; weight: of the pixels, [N, 1, H, W]."""
        if self.config.denoising_loss == "cross_entropy":
            error = F.binary_cross_entropy_with_logits(output, gaussian.decode_mask(clean), reduction="none")
        else:
            error = (output - gaussian.to_predict(self.config.prediction, clean, noise, a)).square()
        return (weight * error).mean((1, 2, 3))

    def _clean(self, output: Tensor, noisy: Tensor, a: Tensor) -> Tensor:
        if self.config.denoising_loss == "cross_entropy":
            return gaussian.encode_mask(output.sigmoid())
        return gaussian.predicted_clean(self.config.prediction, output, noisy, a)

    def _tokens(self, encoded: Encoded, style: Style | None, samples: int) -> Tensor:
        """[S * B, K, D]: of a style, of the text that says nothing, or of the image in place of text."""
        if encoded.tokens is not None:
            return encoded.tokens.repeat(samples, 1, 1)
        style = self.text([()])[None] if style is None else style
        return style.expand(samples, len(encoded.features[0]), -1, -1).flatten(0, 1)

    def _require_text(self) -> None:
        if not self.config.text:
            raise UnsupportedRequest(f"{self.title} was trained without text: it knows the population of readers only.")

    # -- what a training draw is about --------------------------------------------------------------------------------

    def _draw_readers(self, batch: Batch, encoded: Encoded) -> tuple[Tensor, Tensor, Tensor]:
        """Masks [draws * B, 1, H, W], tokens [draws * B, K, D] and weights of the pixels, as the masks."""
        drawn = [self._draw_reader(batch) for _ in range(self.config.draws - 2 * self.config.opposites)]
        pairs = [self._draw_opposites(batch) for _ in range(self.config.opposites)]
        drawn += [less for less, _ in pairs] + [more for _, more in pairs]
        masks, disputed = (torch.cat([getattr(d, name) for d in drawn])[:, None] for name in ("mask", "disputed"))
        weight = 1 + self.config.emphasis * disputed
        if encoded.tokens is not None:
            return masks, encoded.tokens.repeat(self.config.draws, 1, 1), weight
        sets = self.text.vectors([text for d in drawn for text in d.texts])
        ranks = [rank for d in drawn for rank in d.ranks]
        sets = [s if rank < 0 else torch.cat([s, self.expert_tokens[rank][None]]) for s, rank in zip(sets, ranks)]
        return masks, self.text.resample(sets), weight

    def _draw_reader(self, batch: Batch) -> "Draw":
        c, images = self.config, torch.arange(len(batch.image), device=batch.image.device)
        kinds = torch.rand(len(images))
        readers = torch.randint(batch.masks.shape[1], (len(images),)).to(images)
        masks = batch.masks[images, readers]
        texts = [self._said(batch, i, int(r)) for i, r in enumerate(readers)]
        ranks = [-1] * len(images)
        if self.experts and c.expert_share:
            rank = int(torch.randint(len(self.experts), ()))
            meant = batch.targets[self.experts[rank].name]
            for i in (kinds < c.expert_share).nonzero().flatten().tolist():
                masks[i], texts[i], ranks[i] = batch.masks[i, meant[i]], self._said(batch, i, int(meant[i]), 0.5), rank
        if self.config.text and c.prompt_share:
            (reader, level), prompt = self._somebody(batch), _pick(self._prompts)
            shares, meant = self._asked(batch, prompt, reader)
            asked = (shares[images, meant] > level).float()
            for i in (
                ((kinds >= c.expert_share) & (kinds < c.expert_share + c.prompt_share)).nonzero().flatten().tolist()
            ):
                masks[i], texts[i] = asked[i], (*self._said(batch, i, int(meant[i]), 0.5), Wish(prompt.text))
        for i in (kinds >= 1 - c.neutral_share).nonzero().flatten().tolist():
            texts[i] = ()
        return Draw(masks, texts, ranks, torch.zeros_like(masks))

    def _said(self, batch: Batch, image: int, reader: int, chance: float = 1.0) -> Text:
        """What the reader says of the image, with that chance: half the time all of it, else some sentences."""
        if batch.texts is None or float(torch.rand(())) >= chance:
            return ()
        said = batch.texts[image][reader]
        if float(torch.rand(())) < 0.5:
            return said
        kept = torch.randperm(len(said))[: int(torch.randint(len(said) + 1, ()))]
        return tuple(said[k] for k in kept.sort().values.tolist())

    def _draw_opposites(self, batch: Batch) -> list["Draw"]:
        """Two: for sentences that differ in the sign of one word and in nothing else."""
        prompts = [self._prompts[_pick(sign)] for sign in _pick(self._opposites)]
        reader, level = self._somebody(batch)
        said = [self._said(batch, i, int(r), 0.5) for i, r in enumerate(reader)]
        asked = [self._asked(batch, prompt, reader) for prompt in prompts]
        disputed = (asked[0][0] != asked[1][0]).any(1).float()
        drawn = []
        for (shares, meant), prompt in zip(asked, prompts):
            mask = (shares[torch.arange(len(meant), device=meant.device), meant] > level).float()
            drawn.append(Draw(mask, [(*text, Wish(prompt.text)) for text in said], [-1] * len(said), disputed))
        return drawn

    def _somebody(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """On each image a reader [B] who outlined something, and a number [B, 1, 1] in [0, 1)."""
        drew = batch.masks.amax((2, 3))
        return torch.multinomial(drew + 1e-6, 1)[:, 0], torch.rand(len(drew), 1, 1, device=drew.device)

    def _asked(self, batch: Batch, prompt: TrainingPrompt, reader: Tensor) -> tuple[Tensor, Tensor]:
        """What a sentence asks for of every reader's mask, [B, M, H, W] in [0, 1], and the reader that is meant: the rank that
        the sentence names, else the one given. Weak words give shares: a mask has the pixels whose share exceeds a level."""
        rank = rank_said(prompt.slots, self.experts)
        reader = reader if rank is None else batch.targets[rank.name]
        if not (prompt.slots.halo or prompt.slots.spiculation):
            return batch.masks, reader
        count = batch.masks.shape[1]
        found = regions(batch.image[:, 0], batch.masks).repeat(count)
        shares = described(batch.masks.flatten(0, 1) > 0.5, prompt.slots, found)
        return shares.unflatten(0, (-1, count)), reader

    @cached_property
    def _prompts(self) -> list[TrainingPrompt]:
        return training_prompts()

    @cached_property
    def _opposites(self) -> list[tuple[list[int], list[int]]]:
        return [pair for slot in ("spiculation", "halo") for pair in opposites(self._prompts, slot)]


class Draw(NamedTuple):
    """On each image a mask [B, H, W], a text, the rank that it stands for (-1: none), and the pixels [B, H, W] that its
    sentence and the opposite one differ about on any reader's mask (0 without one)."""

    mask: Tensor
    texts: list[Text]
    ranks: list[int]
    disputed: Tensor


def _pick(choices: Sequence):
    return choices[int(torch.randint(len(choices), ()))]


class LatentTerm(nn.Module):
    """KL(posterior(image, mask) || prior(image, predicted mask)), equation 7, and what keeps z informative: a decoder of
    the mask from z and a look at the image, trained with the posterior."""

    def __init__(self, channels: int, widths: Sequence[int], dim: int, seen: int = 16):
        super().__init__()
        self.posterior = PosteriorNet(channels + 1, widths, dim)
        self.prior = PosteriorNet(channels + 1, widths, dim)
        self.look = nn.Sequential(
            nn.Conv2d(channels, seen, 5, padding=2), nn.SiLU(), nn.Conv2d(seen, seen, 3, padding=1)
        )
        self.decode = LatentDecoder(seen, dim, seen, 2, 2)

    def forward(self, image: Tensor, mask: Tensor, predicted: Tensor, signal: Tensor) -> tuple[Tensor, Tensor]:
        """image [B, C, H, W], mask and predicted [B, 1, H, W] in [0, 1], signal [B] weighs the KL -> two scalars."""
        posterior, prior = self.posterior(image, mask), self.prior(image, predicted)
        z = posterior.place(torch.randn_like(posterior.mean))[None]
        logits = self.decode(self.look(image), z)[0]
        reconstruction = F.binary_cross_entropy_with_logits(logits, mask, reduction="sum") / len(mask)
        return (signal * posterior.kl(prior)).mean(), reconstruction
