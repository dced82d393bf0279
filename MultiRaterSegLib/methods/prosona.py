"""ProSona: prompt-guided personalisation in the latent space of a probabilistic U-Net (2025).

Stage 1 ("latent") learns a space of plausible outlines: a U-Net gives features, two heads on its encoder give the prior
N(mu, sigma) of a latent code z, a posterior network sees one reader's outline, and a small decoder turns (features, z)
into a mask. Stage 2 ("personalise") navigates it: a sentence is embedded by a frozen text encoder, an MLP turns it into a
query, the query is compared with a bank of prior samples, and their softmax-weighted mean is the z of that style.

    z_prompt = sum_k softmax_k(query . z_k / sqrt(D)) z_k,   z_k ~ N(mu(x), sigma(x)),   k = 1..K      (section 2.2)

Experts are sentences too ("conservative segmentation"), so expert, prompt and interpolation share one path.

What the paper leaves open, and what we chose (every choice is a Config field where both readings make sense):
* Posterior: one random annotation (the paper's text) or all of them (D-Persona): `posterior_sees`.
* L_bound is printed as Dice; it must be the Dice loss. K is used both there and for the bank.
* Weights of L_KL and L_bound are not printed: 1, as the formula reads, in the paper recipe.
* E in L_text: the frozen CLIP embedding has nothing to train, so E is the MLP's normalised hidden layer.
* R in L_sim: raw scores centred over k and l2-normalised, one P x P matrix an image; softmax profiles are positive and
  could never be told apart by a logistic loss.
* P: several paraphrases an annotator, or M would be the identity and L_text had no positive pairs.
* What stage 2 trains: `personalise_trains` = "mlp" (the text's reading), "decoder" or "all". With more than the MLP,
  stage 1's loss is kept beside (`latent_weight`), or the population of readers would drift.
* At use, a larger bank (`bank_size_inference`) makes a style repeatable; D-Persona does the same.

Ours, off in the paper recipe: `energy_weight` (energy distance between samples and readers, a proper score that
calibrates the diversity), `marginal_weight` (the samples' mean against the share of readers, pixel by pixel),
cross-entropy beside Dice, targets for words beyond size (halo, spiculation, smoothness), measured on the readers' masks
and the image (see style_targets), and `steering_weight`: a sentence and its opposite, on the same image, must differ in
the measured property by a margin. Samples of the population are a low-discrepancy sequence (Noise.spread), and
may be drawn closer to the prior's mean than it says (`sampling_temperature`), as generative models often are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import RecipeError
from ..losses import boundary_loss, cross_entropy, dice_loss, energy_distance, marginal_loss, pairwise_contrast
from ..method import Batch, Expert, Method, Stage, Style
from ..networks.backbone import CompactUNet, ResNetUNet
from ..networks.latent import DiagonalGaussian, GaussianHead, LatentDecoder, PosteriorNet, navigate, probabilities
from ..noise import Noise
from ..style_targets import Regions, change, described, rank_said, regions
from ..text import Slots, TrainingPrompt, Understanding, make_text_encoder, opposites, training_prompts

STEERED = {"extent": 0.3, "halo": 0.4, "spiculation": 0.3}
"""Slots whose opposites are compared in training, and by how much full-strength ones should differ (see `change`)."""

SHARPNESS = 4.0


@dataclass(frozen=True)
class Config:
    """The paper's numbers (section 3), except where marked (ours) in the recipes."""

    backbone: Literal["resnet34", "compact"] = "resnet34"
    widths: tuple[int, ...] = (32, 48, 96, 160, 256)
    feature_channels: int = 16
    dropout: float = 0.0
    posterior_widths: tuple[int, ...] = (16, 32, 64, 128, 256)
    posterior_sees: Literal["one", "all"] = "one"
    latent_dim: int = 6
    bank_size: int = 10
    bank_size_inference: int = 10
    decoder_hidden: int = 16
    decoder_layers: int = 3
    text_encoder: str = "clip"
    text_path: str | None = None
    query_hidden: int = 64
    segmentation_loss: Literal["dice", "dice_ce"] = "dice"
    kl_weight: float = 1.0
    bound_weight: float = 1.0
    energy_weight: float = 0.0
    population_samples: int = 10
    text_weight: float = 0.5
    similarity_weight: float = 1.0
    temperature: float = 0.2
    personalise_trains: Literal["mlp", "decoder", "all"] = "mlp"
    latent_weight: float = 0.0
    prompts_per_step: int = 0
    opposites_per_step: int = 0
    steering_weight: float = 0.0
    marginal_weight: float = 0.0
    experts_per_step: int = 8
    sampling_temperature: float = 1.0
    """Of the prior's standard deviation when the population is sampled; training uses 1."""


@dataclass(frozen=True)
class Encoded:
    """features [B, F, H, W] and the prior over z, [B, D]: all that sampling needs of a slice."""

    features: Tensor
    prior: DiagonalGaussian


class ProSona(Method):
    name: ClassVar[str] = "prosona"
    title: ClassVar[str] = "ProSona"
    follows_prompts: ClassVar[bool] = True
    Config: ClassVar[type] = Config

    def __init__(
        self, config: Config, channels: int, labels: Sequence[str], experts: Sequence[Expert], raters: int = 4
    ):
        super().__init__()
        self.config, self.channels = config, channels
        self.labels, self.experts = tuple(labels), tuple(experts)
        c = config
        if c.backbone == "compact":
            self.backbone = CompactUNet(channels, c.widths, c.dropout)
        else:
            self.backbone = ResNetUNet(channels, c.backbone, c.feature_channels)
        self.prior = GaussianHead(self.backbone.bottleneck_channels, c.latent_dim)
        annotations = raters if c.posterior_sees == "all" else 1
        self.posterior = PosteriorNet(channels + annotations, c.posterior_widths, c.latent_dim)
        features = self.backbone.feature_channels
        self.decoder = LatentDecoder(features, c.latent_dim, c.decoder_hidden, c.decoder_layers, len(labels))
        self.text = make_text_encoder(c.text_encoder, c.text_path)
        self.query = QueryMLP(self.text.dim, c.query_hidden, c.latent_dim)
        # Kept with the weights: experts work where the text encoder's own weights are not installed.
        self.register_buffer("expert_embeddings", torch.zeros(len(experts), self.text.dim))

    # -- use ----------------------------------------------------------------------------------------------------------

    def encode(self, image: Tensor) -> Encoded:
        features, bottleneck = self.backbone(image)
        return Encoded(features, self.prior(bottleneck))

    def sample(self, encoded: Encoded, noise: Noise, style: Style | None = None) -> Tensor:
        batch, dim = encoded.prior.mean.shape
        if style is None:
            z = encoded.prior.place(self.config.sampling_temperature * noise.spread("latent", batch, dim))
        else:
            bank = noise.normal("bank", batch, (self.config.bank_size_inference, dim)).movedim(2, 1)  # [S, K, B, D]
            z = navigate(style, encoded.prior.place(bank))
        return probabilities(self.decoder(encoded.features, z))

    def expert_style(self, encoded: Encoded | None, expert: int) -> Style:
        return self.query(self.expert_embeddings[expert][None, None])

    def prompt_style(self, encoded: Encoded | None, prompt: str) -> Style:
        self.understand(prompt)  # refuses what no slot can carry
        return self.query(self.text.embed([prompt]).to(self.expert_embeddings)[None])

    @property
    def text_identity(self) -> dict:
        return self.text.identity()

    def understand(self, prompt: str) -> Understanding:
        return self.text.understand(prompt)

    # -- training -----------------------------------------------------------------------------------------------------

    def stages(self) -> tuple[Stage, ...]:
        trains = {
            "mlp": (self.query,),
            "decoder": (self.query, self.decoder),
            "all": (self.query, self.decoder, self.backbone, self.prior, self.posterior),
        }
        latent = (self.backbone, self.prior, self.posterior, self.decoder)
        return (
            Stage("latent", self.latent_loss, latent),
            Stage("personalise", self.personalise_loss, trains[self.config.personalise_trains], "experts"),
        )

    def latent_loss(self, batch: Batch) -> dict[str, Tensor]:
        """L_stage1 = L_seg + L_KL + L_bound (section 2.1), with our optional energy distance."""
        return self._latent_loss(batch, self.encode(batch.image))

    def personalise_loss(self, batch: Batch) -> dict[str, Tensor]:
        """L_stage2 = L_seg + alpha L_text + beta L_sim (section 2.3)."""
        c = self.config
        self._embed_experts()
        encoded = self.encode(batch.image)
        found = regions(batch.image[:, 0], batch.masks)
        pairs = self._draw_opposites()
        queries, targets = self._styles(batch, found, pairs)
        bank = self._bank(encoded)  # [1, K, B, D]
        logits = self.decoder(encoded.features, navigate(queries, bank)).squeeze(2)
        terms = {"segmentation": self._segmentation_loss(logits, targets)}
        terms["text"], terms["similarity"] = self._contrast(bank[0])
        loss = terms["segmentation"] + c.text_weight * terms["text"] + c.similarity_weight * terms["similarity"]
        if pairs:
            terms["steering"] = self._steering_loss(logits[-2 * len(pairs) :], pairs, found.rim)
            loss = loss + c.steering_weight * terms["steering"]
        if c.latent_weight:
            latent = self._latent_loss(batch, encoded)
            loss = loss + c.latent_weight * latent.pop("loss")
            terms |= {f"latent_{name}": value for name, value in latent.items()}
        return {"loss": loss, **terms}

    def _latent_loss(self, batch: Batch, encoded: Encoded) -> dict[str, Tensor]:
        c = self.config
        annotation = batch.random_rater()
        seen = annotation if c.posterior_sees == "one" else batch.masks
        posterior = self.posterior(batch.image, seen)
        z = posterior.place(torch.randn_like(posterior.mean))[None]
        z_prior = encoded.prior.place(torch.randn(c.population_samples, *posterior.mean.shape, device=z.device))
        logits = self.decoder(encoded.features, torch.cat([z, z_prior])).squeeze(2)  # [1 + S, B, H, W]
        samples = logits[1:].sigmoid()
        terms = {
            "segmentation": self._segmentation_loss(logits[:1], annotation.movedim(1, 0)),
            "kl": posterior.kl(encoded.prior).mean(),
            "bound": boundary_loss(logits[1:], batch.masks),
            "energy": energy_distance(samples, batch.masks),
            "marginal": marginal_loss(samples, batch.masks),
        }
        weights = {
            "segmentation": 1.0,
            "kl": c.kl_weight,
            "bound": c.bound_weight,
            "energy": c.energy_weight,
            "marginal": c.marginal_weight,
        }
        return {"loss": sum(weights[name] * value for name, value in terms.items()), **terms}

    def _segmentation_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        loss = dice_loss(logits.sigmoid(), target)
        if self.config.segmentation_loss == "dice_ce":
            loss = loss + 10 * cross_entropy(logits, target)  # lesions fill about 1 % of a slice
        return loss

    def _bank(self, encoded: Encoded) -> Tensor:
        batch, dim = encoded.prior.mean.shape
        noise = torch.randn(1, self.config.bank_size, batch, dim, device=encoded.features.device)
        return encoded.prior.place(noise)

    def _styles(self, batch: Batch, found: Regions, pairs: Sequence[tuple[str, int, int]]) -> tuple[Tensor, Tensor]:
        """Queries [N, 1, D] and their target masks [N, B, H, W]: some experts, one between two, some prompts, and the
        two sentences of each pair of opposites at the end."""
        everybody = torch.randperm(len(self.experts))[: self.config.experts_per_step].tolist()
        queries = [self.query(self.expert_embeddings[e][None]) for e in everybody]
        targets = [batch.expert_mask(self.experts[e].name) for e in everybody]
        if self.config.prompts_per_step or pairs:
            query, target = self._between_experts(batch)
            queries, targets = [*queries, query], [*targets, target]
            prompts = torch.randint(len(self._prompts), (self.config.prompts_per_step,)).tolist()
            for index in [*prompts, *(index for _, less, more in pairs for index in (less, more))]:
                queries.append(self.query(self._prompt_embeddings[index][None].to(batch.image.device)))
                targets.append(_described_mask(batch, self.experts, self._prompts[index].slots, found))
        return torch.stack(queries), torch.stack(targets)

    def _draw_opposites(self) -> list[tuple[str, int, int]]:
        """Pairs of training sentences that say the opposite about one slot: (slot, less, more)."""
        pairs = []
        for _ in range(self.config.opposites_per_step):
            slot = _pick(STEERED)
            less, more = _pick(self._opposites[slot])
            pairs.append((slot, _pick(less), _pick(more)))
        return pairs

    def _steering_loss(self, logits: Tensor, pairs: Sequence[tuple[str, int, int]], rim: Tensor) -> Tensor:
        """How far opposites fall short of their margin: logits [2 P, B, H, W], less before more -> scalar.

        Maps are sharpened, since what counts is where the outline runs, not how sure the map is. A weak word owes a
        part of the margin only.
        """
        maps = (SHARPNESS * logits).sigmoid()
        short = []
        for (slot, less, more), (low, high) in zip(pairs, maps.unflatten(0, (-1, 2))):
            said = [getattr(self._prompts[index].slots, slot) for index in (less, more)]
            amount, counts = change(slot, low, high, rim)
            wanted = STEERED[slot] * (said[1] - said[0]) / 2
            short.append((F.relu(wanted - amount) * counts).sum() / counts.sum().clamp(min=1))
        return torch.stack(short).mean()

    def _between_experts(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """A query on the line from the first to the last expert of a group, and the mean mask of its neighbours."""
        rule = self.experts[int(torch.randint(len(self.experts), ()))].ranked_by
        group = [e for e, expert in enumerate(self.experts) if expert.ranked_by == rule]
        t = float(torch.rand(()))
        ends = self.query(self.expert_embeddings[[group[0], group[-1]]])
        place = t * (len(group) - 1)
        below = min(int(place), len(group) - 2)
        masks = [batch.expert_mask(self.experts[group[i]].name) for i in (below, below + 1)]
        return torch.lerp(ends[:1], ends[1:], t), torch.lerp(*masks, place - below)

    def _contrast(self, bank: Tensor) -> tuple[Tensor, Tensor]:
        """L_text on the MLP's hidden layer and L_sim on similarity profiles with bank [K, B, D] (section 2.3)."""
        chosen = [p for p, prompt in enumerate(self._prompts) if prompt.expert in self._expert_names]
        chosen = [chosen[i] for i in torch.randperm(len(chosen))[:24].tolist()]
        owner = torch.tensor([self._expert_names.index(self._prompts[p].expert) for p in chosen], device=bank.device)
        same = owner[:, None] == owner[None]
        embedding = self._prompt_embeddings[chosen].to(bank)
        scores = similarity(self.query(embedding), bank).movedim(0, 1)  # [B, P, K]
        profiles = scores - scores.mean(-1, keepdim=True)
        tau = self.config.temperature
        hidden = self.query.hidden(embedding)
        return pairwise_contrast(hidden, same, tau), pairwise_contrast(profiles, same, tau)

    @cached_property
    def _expert_names(self) -> list[str]:
        return [expert.name for expert in self.experts]

    @cached_property
    def _prompts(self) -> list[TrainingPrompt]:
        return training_prompts()

    @cached_property
    def _opposites(self) -> dict[str, list[tuple[list[int], list[int]]]]:
        return {slot: opposites(self._prompts, slot) for slot in STEERED}

    @cached_property
    def _prompt_embeddings(self) -> Tensor:
        return self.text.embed([prompt.text for prompt in self._prompts])

    def _embed_experts(self) -> None:
        """Each expert is its first sentence among the training prompts."""
        if bool(self.expert_embeddings.any()):
            return
        first = {p.expert: i for i, p in reversed(list(enumerate(self._prompts))) if p.expert}
        if unsaid := [name for name in self._expert_names if name not in first]:
            raise RecipeError(
                f"ProSona's experts are sentences, and none speaks of {', '.join(unsaid)}. Train it on experts that are "
                "ranks (image_table_ranked, say); a method that learns raters by name takes these."
            )
        rows = [self._prompt_embeddings[first[name]] for name in self._expert_names]
        self.expert_embeddings.copy_(torch.stack(rows))


class QueryMLP(nn.Module):
    """Text embedding [..., d] -> query [..., D] (section 2.2, the two-layer MLP)."""

    def __init__(self, text_dim: int, hidden: int, latent_dim: int):
        super().__init__()
        self.first = nn.Linear(text_dim, hidden)
        self.second = nn.Linear(hidden, latent_dim)

    def hidden(self, embedding: Tensor) -> Tensor:
        return F.gelu(self.first(embedding))

    def forward(self, embedding: Tensor) -> Tensor:
        return self.second(self.hidden(embedding))


def similarity(query: Tensor, bank: Tensor) -> Tensor:
    """query [N, D], bank [K, B, D] -> scores s_k = query . z_k / sqrt(D), [N, B, K] (section 2.2)."""
    return torch.einsum("nd,kbd->nbk", query, bank) / bank.shape[-1] ** 0.5


def _pick(choices):
    """One of them (of a dictionary, one of its keys), by torch's random numbers."""
    choices = list(choices)
    return choices[int(torch.randint(len(choices), ()))]


def _described_mask(batch: Batch, experts: Sequence[Expert], slots: Slots, found: Regions) -> Tensor:
    """[B, H, W] in [0, 1]: the mask that a sentence's slots describe, made of what the readers drew.

    Extent (and margin and size, which can only change it) picks the reader at that rank, else the majority; halo and
    spiculation then add or remove what was measured on the image. A weak word mixes the masks before and after.
    """
    expert = rank_said(slots, experts)
    return described(found.majority if expert is None else batch.expert_mask(expert.name) > 0.5, slots, found)
