"""DiffOSeg: consensus and experts by categorical diffusion (Zhang et al. 2025; paper and public code).

A mask is noised by replacing labels by uniformly random ones; a network learns to say from (x_t, t, image) what the clean mask
is. Stage I ("consensus") learns it from consensus masks of random groups of readers and is what the population is drawn
from. Stage II ("experts") starts as a copy of it, is told whose mask to draw (a one-hot code and the prompt block), and
learns from that expert's masks.

    x_t ~ alpha_bar_t z + (1 - alpha_bar_t) / L,    L = KL(q(x_{t-1} | x_t, z) || p(x_{t-1} | x_t, image[, expert]))     (3-5)

Where paper and public code disagree, or leave something open, and what we chose (fields of Config):
* `consensus`, what stage I learns from. The paper: the mean of a random subset's masks; as a soft label, since equation 3 may be
  fed with one. The public code truncates it, so its target is the subset's intersection. Also: the subset's majority, one
  reader at random, the mean of all (the paper's Table 3). A subset: its size k uniform in 1..M, then its members.
* `schedule`: self-consistent cosine; the public code's (alpha bar a step late) can be chosen, but cannot skip steps.
* Fewer steps: the public code applies one-step posteriors at distant times. We jump with the strided posterior (in neither).
* The last step gives p0 itself, so a sample is its most probable mask; the first state is uniform labels, not a Gaussian.
* `loss`: "kl" is equation 5 for the step t -> t - 1. "cross_entropy" of p0 with the clean mask has the same optimum and lets
  every noise level count. Both are means over pixels (the public code sums them: the same but for scale).
* `network`: "unet" is the papers' (no part of it depends on the image alone); "features" runs the library's U-Net once an image
  and a small denoiser for each sample and step. Its U-Net is trained by stage I (unless frozen) and fixed later.
* Prompt block: one, after the bottleneck, as in the public code; a prompt grid of 8 (the code's 96 is resized to 8 by taking
  four values of 144); group norm, no dropout; it passes features unchanged at first, so that stage II starts as stage I
  does. The public code leaves the first layer of stage II random; we carry its channels over, the experts' start at zero.
* `expert_identity`, the paper's Table 4: "blind", "concatenation", "prompt". In "features" the code joins the time's.
* `draws_per_image`: masks and times drawn for each image of a batch, since seeing the image costs most.
* `few_steps`: a third stage that teaches the network to draw well in so few steps, see `few_steps_loss`. Not in the paper;
  () = there is none.

A style is the weight of each expert, one-hot for an expert. Mixed codes were never trained, so between two experts their
log p0 are mixed at each step. Noise is one uniform number a pixel and step, shared along a volume's slices.

Preference alignment (diff_dpo) moves the population's denoiser, that of stage I: pairs are drawn from the population. The
experts' stays as stage II left it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..diffusion.categorical import (
    ancestral_sample,
    cosine_schedule,
    draw,
    marginal,
    posterior_kl,
    public_cosine_schedule,
    time_grid,
)
from ..errors import RecipeError, UnsupportedRequest
from ..knobs import Knobs
from ..losses import energy_distance
from ..method import Abilities, Batch, Expert, Method, Stage, Style
from ..networks.backbone import BackboneConfig, ImageLevels
from ..networks.denoiser import Denoiser, FeatureDenoiser, GuidedDiffusionUNet
from ..networks.expert_prompt import PromptSize
from ..noise import Noise


@dataclass(frozen=True)
class Config(BackboneConfig):
    """The paper's numbers (section 3.1). time_steps: T. sampling_steps: evaluations a sample;
    step_spacing: 1 = evenly over T, more = finer near T (see time_grid). energy_weight: in the third stage.

    backbone, widths: of the image network of "features". denoiser_widths: at full, 1/2, 1/4, ... resolution.
    """

    backbone: Literal["compact"] = "compact"
    network: Literal["unet", "features"] = "unet"
    denoiser_widths: tuple[int, ...] = (32, 32, 64, 96, 128)
    time_steps: int = 250
    sampling_steps: int = 250
    step_spacing: float = 1.0
    schedule: Literal["cosine", "public_cosine"] = "cosine"
    loss: Literal["kl", "cross_entropy"] = "kl"
    consensus: Literal["subset_mean", "subset_majority", "subset_intersection", "random_reader", "mean_of_all"] = (
        "subset_mean"
    )
    expert_identity: Literal["prompt", "concatenation", "blind"] = "prompt"
    prompt: PromptSize = field(default_factory=PromptSize)
    draws_per_image: int = 1
    few_steps: tuple[int, ...] = ()
    energy_weight: float = 0.1

    def __post_init__(self):
        if self.few_steps and self.draws_per_image < 2:
            raise RecipeError("draws_per_image: the stage of few steps compares sets of draws; it needs at least 2.")


@dataclass(frozen=True, eq=False)
class Encoded:
    """Of B slices the image [B, C, H, W], what the image network made of it (nothing for "unet"), and what the denoisers
    of the population and of the experts made of both."""

    image: Tensor
    features: tuple[Tensor, ...]
    population: tuple[Tensor, ...]
    experts: tuple[Tensor, ...]


class DiffOSeg(Method):
    name: ClassVar[str] = "diffoseg"
    title: ClassVar[str] = "DiffOSeg"
    Config: ClassVar[type] = Config
    not_in_weights: ClassVar[tuple[str, ...]] = ("schedule", "time_steps")

    def __init__(self, config: Config, channels: int, labels: Sequence[str], experts: Sequence[Expert]):
        super().__init__()
        self.config, self.channels = config, channels
        self.labels, self.experts = tuple(labels), tuple(experts)
        self.image_network = ImageLevels(config, channels, 4) if config.network == "features" else None
        self.consensus_denoiser = self._denoiser(0)
        self.expert_denoiser = self._denoiser(0 if config.expert_identity == "blind" else len(experts))
        make_schedule = cosine_schedule if config.schedule == "cosine" else public_cosine_schedule
        self.schedule = make_schedule(config.time_steps)

    def _denoiser(self, experts: int) -> Denoiser:
        c = self.config
        prompt = c.prompt if c.expert_identity == "prompt" else None
        if self.image_network is None:
            return GuidedDiffusionUNet(self.channels, len(self.labels), c.denoiser_widths, experts, prompt)
        seen = self.image_network.level_channels
        return FeatureDenoiser(len(self.labels), seen, c.denoiser_widths, experts, prompt)

    # -- use ----------------------------------------------------------------------------------------------------------

    @classmethod
    def abilities(cls, config: Config) -> Abilities:
        if config.schedule == "public_cosine":  # no step of it can be skipped
            return Abilities(False)
        return Abilities(False, Knobs(config.sampling_steps), config.time_steps)

    def encode(self, image: Tensor) -> Encoded:
        features = self._features(image)
        seen = (net.look(image, features) for net in (self.consensus_denoiser, self.expert_denoiser))
        return Encoded(image, features, *seen)

    def _features(self, image: Tensor) -> tuple[Tensor, ...]:
        return () if self.image_network is None else self.image_network(image)

    def sample(
        self, encoded: Encoded, noise: Noise, style: Style | None = None, denoiser: Denoiser | None = None
    ) -> Tensor:
        """denoiser: another one in place of the population's (see DiffDPO); experts are drawn as ever."""
        population, seen = self.consensus_denoiser, encoded.population if style is None else encoded.experts
        if denoiser is not None and style is None:
            population, seen = denoiser, denoiser.look(encoded.image, encoded.features)
        batch, size, device = len(encoded.image), encoded.image.shape[-2:], encoded.image.device
        if style is not None:
            style = style.to(device).expand(len(noise.samples), batch, -1).flatten(0, 1)

        def uniform(t: int) -> Tensor:
            u = noise.uniform(f"labels at {t}", batch, (1, *size)).to(device)
            return u.expand(-1, batch, -1, -1, -1).flatten(0, 1)  # [S * B, 1, H, W]

        def predict(x: Tensor, t: int) -> Tensor:
            time = torch.full((len(x),), t, device=device)
            if style is None:
                return population(x, time, seen).softmax(1)
            return self._expert_prediction(x, time, seen, style)

        times = self._times(self.config.sampling_steps)
        p0 = ancestral_sample(predict, self.schedule, times, uniform, len(self.labels))
        return p0.unflatten(0, (-1, batch))

    def _times(self, visits: int) -> list[int]:
        return time_grid(self.config.time_steps, visits, self.config.step_spacing)

    def _expert_prediction(self, x: Tensor, time: Tensor, seen: tuple[Tensor, ...], style: Tensor) -> Tensor:
        """p0 of experts mixed by their weights [N, E] in the logarithm: one evaluation for each expert that takes part."""
        parts = int((style != 0).sum(-1).max())
        weights, chosen = style.topk(max(parts, 1))
        log_p0 = 0.0
        for weight, index in zip(weights.unbind(1), chosen.unbind(1)):
            code = F.one_hot(index, len(self.experts)).to(style)
            log_p0 = log_p0 + weight[:, None, None, None] * self.expert_denoiser(x, time, seen, code).log_softmax(1)
        return log_p0.softmax(1)

    def expert_style(self, encoded: Encoded | None, expert: int) -> Style:
        """[1, 1, E], the weight of each expert's prediction."""
        device = next(self.parameters()).device
        return F.one_hot(torch.tensor(expert, device=device), len(self.experts)).float()[None, None]

    # -- training -----------------------------------------------------------------------------------------------------

    def stages(self) -> tuple[Stage, ...]:
        seen = () if self.image_network is None else (self.image_network,)
        both = (self.consensus_denoiser, self.expert_denoiser)
        stages = (
            Stage("consensus", self.consensus_loss, (*seen, self.consensus_denoiser)),
            Stage("experts", self.expert_loss, (self.expert_denoiser,), "experts", self._start_stage_two),
        )
        return (*stages, Stage("few_steps", self.few_steps_loss, both, "experts")) if self.config.few_steps else stages

    @torch.no_grad()
    def _start_stage_two(self) -> None:
        self.expert_denoiser.start_from(self.consensus_denoiser)

    def consensus_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Stage I (section 2.1)."""
        seen = self.consensus_denoiser.look(batch.image, self._features(batch.image))
        return self._denoising_loss(self.consensus_denoiser, self._consensus_masks(batch), seen)

    def expert_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Stage II (section 2.2): on each image experts drawn at random and the masks that stand for them."""
        with torch.no_grad():
            features = self._features(batch.image)
        seen = self.expert_denoiser.look(batch.image, features)
        index = self._draw_experts(batch, self.config.draws_per_image)
        masks = self._expert_masks(batch, index)
        return self._denoising_loss(self.expert_denoiser, masks.flatten(0, 1), seen, self._codes(index))

    def few_steps_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Few steps that draw as readers do, for the population or for an expert (half of the batches each).

        Pixels of a jump are drawn independently, so after few of them the network meets masks that no reader ever draws. Here
        it learns on these: it walks its own short chain, and the ends, as a set, are compared with the readers' masks by the
        energy distance, which is least when they are distributed alike. Labels that were drawn pass no gradient, so it is the
        chain's last evaluation that learns. The loss of the former stages stays beside it: the network remains a denoiser for
        any number of steps.
        """
        with torch.no_grad():
            features = self._features(batch.image)
        if torch.rand(()) < 0.5:
            denoiser, code = self.consensus_denoiser, None
            drawn, readers = self._consensus_masks(batch), batch.masks
        else:
            denoiser, index = self.expert_denoiser, self._draw_experts(batch, 1).expand(self.config.draws_per_image, -1)
            code, masks = self._codes(index), self._expert_masks(batch, index)
            drawn, readers = masks.flatten(0, 1), masks[:1].movedim(0, 1)
        seen = denoiser.look(batch.image, features)
        denoising = self._denoising_loss(denoiser, drawn, seen, code)["loss"]
        visits = self.config.few_steps[int(torch.randint(len(self.config.few_steps), ()))]
        energy = energy_distance(self._own_chain(denoiser, seen, code, batch.image, visits), readers)
        return {"loss": denoising + self.config.energy_weight * energy, "denoising": denoising, "energy": energy}

    def _own_chain(
        self, denoiser: Denoiser, seen: tuple[Tensor, ...], code: Tensor | None, image: Tensor, visits: int
    ) -> Tensor:
        """Lesion probability [K, B, H, W] at the end of chains of `visits` steps; gradients from the last one."""
        count, times = len(image) * self.config.draws_per_image, self._times(visits)

        def predict(x: Tensor, t: int) -> Tensor:
            with torch.set_grad_enabled(t == times[-2]):
                return denoiser(x, torch.full((count,), t, device=x.device), seen, code).softmax(1)

        def uniform(_t: int) -> Tensor:
            return torch.rand(count, 1, *image.shape[-2:], device=image.device)

        p0 = ancestral_sample(predict, self.schedule, times, uniform, len(self.labels))
        return p0[:, 1].unflatten(0, (-1, len(image)))

    def _consensus_masks(self, batch: Batch) -> Tensor:
        """[K * B, H, W]: K readings of each image's masks."""
        return torch.cat(
            [consensus_mask(batch.masks, self.config.consensus) for _ in range(self.config.draws_per_image)]
        )

    def _draw_experts(self, batch: Batch, draws: int) -> Tensor:
        """[draws, B]: which experts."""
        return torch.randint(len(self.experts), (draws, len(batch.image)), device=batch.image.device)

    def _expert_masks(self, batch: Batch, index: Tensor) -> Tensor:
        """index [K, B] -> the masks that stand for these experts, [K, B, H, W]."""
        masks = torch.stack([batch.expert_mask(expert.name) for expert in self.experts])  # [E, B, H, W]
        return masks[index, torch.arange(masks.shape[1], device=index.device)]

    def _codes(self, index: Tensor) -> Tensor:
        """index [K, B] -> one-hot [K * B, E]."""
        return F.one_hot(index.flatten(), len(self.experts)).float()

    def _denoising_loss(
        self, denoiser: Denoiser, masks: Tensor, seen: tuple[Tensor, ...], code: Tensor | None = None
    ) -> dict[str, Tensor]:
        """masks [N, H, W] of the label after background, soft or hard; N = draws x images, draws first."""
        masks = masks[:, None]
        return {"loss": self._error(denoiser, masks, self.draw_noising(masks), seen, code).mean()}

    def _error(
        self,
        denoiser: Denoiser,
        masks: Tensor,
        noising: tuple[Tensor, Tensor],
        seen: tuple[Tensor, ...],
        code: Tensor | None = None,
    ) -> Tensor:
        """[N]: equation 5, or cross-entropy, on masks [N, 1, H, W]; the mean over each one's pixels."""
        x0, (time, uniform) = torch.cat([1 - masks, masks], 1), noising
        x_t = draw(marginal(x0, time, self.schedule), uniform)
        log_p0 = denoiser(x_t, time, seen, code).log_softmax(1)
        if self.config.loss == "cross_entropy":
            return -(x0 * log_p0).sum(1).mean((1, 2))
        return posterior_kl(x_t, x0, log_p0.exp(), time, time - 1, self.schedule).mean((1, 2))

    # -- what preference alignment asks for (`Denoises` in diff_dpo.py) ------------------------------------------------

    @property
    def denoiser(self) -> Denoiser:
        """The population's, which alignment moves; not that of the experts."""
        return self.consensus_denoiser

    def draw_noising(self, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Times [N] from 1 to T and uniform noise for masks [N, 1, H, W], by torch's random numbers."""
        times = torch.randint(1, self.config.time_steps + 1, (len(masks),), device=masks.device)
        return times, torch.rand_like(masks)

    def denoising_error(
        self,
        encoded: Encoded,
        masks: Tensor,
        noising: tuple[Tensor, Tensor],
        style: Style | None = None,
        denoiser: Denoiser | None = None,
    ) -> Tensor:
        """[B]: how badly the population's denoiser tells the clean masks [B, 1, H, W] from noised ones. Raises
        UnsupportedRequest for a style: experts are not aligned."""
        if style is not None:
            raise UnsupportedRequest(f"{self.title} is aligned as the population of readers; leave the expert out.")
        denoiser = denoiser or self.denoiser
        return self._error(denoiser, masks, noising, denoiser.look(encoded.image, encoded.features))


def consensus_mask(masks: Tensor, reading: str) -> Tensor:
    """z^c of equation 3 from the readers' masks [B, M, H, W]: [B, H, W] in [0, 1], by torch's random numbers."""
    images, raters = masks.shape[:2]
    if reading == "mean_of_all":
        return masks.mean(1)
    largest = 1 if reading == "random_reader" else raters
    size = torch.randint(1, largest + 1, (images, 1), device=masks.device)
    rank = torch.rand(images, raters, device=masks.device).argsort(1).argsort(1)
    chosen = (rank < size).to(masks)  # w in {0, 1}^M
    mean = torch.einsum("bm,bmhw->bhw", chosen, masks) / size[..., None]
    if reading == "subset_majority":
        return (mean > 0.5).to(masks)
    if reading == "subset_intersection":
        return (mean > 1 - 0.5 / raters).to(masks)
    return mean
