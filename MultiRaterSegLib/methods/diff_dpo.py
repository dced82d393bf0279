"""TDG-DiffDPO: a trained diffusion model aligned with what Dice prefers (2025, stage 2; anonymous, no public code).

Of the masks that the reference model draws for an image, one is preferred to another by its Dice with the readers
(Training/preferences.py makes the pairs). The denoiser is then trained further, beside its frozen copy, so that its error
falls on winners more than on losers, with the same time and noise for both:

    L = -log sigmoid(-beta D),  D = (e(y+) - e_ref(y+)) - (e(y-) - e_ref(y-))                        (equations 6 and 7)

It is Diffusion-DPO (Wallace et al., 2023) without that paper's factor T w(t). Any method that `Denoises` can be aligned:
AmbiguousTextDiff, and DiffOSeg in the denoiser of its population (stage I; its experts go on drawing as they did).

What the paper leaves open, and what we chose:
* e is the mean over an image's pixels, as in public Diffusion-DPO code, not their sum: with beta 5000 a sum saturates at
  once. The paper has no factor 1/2 either, so its 5000 is that code's 10,000.
* Only the denoiser moves: what sees the image and reads the text stays, so one file holds both models and one preparation
  of a slice serves both.
* Pairs are aligned as they are drawn: as the population, or under the text that says nothing.
* The "preference knob": beta in training, and at use `preference`, which goes straight from the reference's weights (0) to
  the aligned ones (1); the paper only names it.
"""

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, Protocol

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import RecipeError, UnsupportedRequest
from ..method import Abilities, Batch, Expert, Method, Stage, Style
from ..noise import Noise


class Denoises(Protocol):
    """What a method must have to be aligned. masks: [B, 1, H, W] in {0, 1}. `denoiser` None: the method's own."""

    denoiser: nn.Module

    def draw_noising(self, masks: Tensor) -> Any:
        """Time and noise for each mask, by torch's random numbers; another mask of the same shape can take them too."""

    def denoising_error(
        self, encoded: Any, masks: Tensor, noising: Any, style: Style | None = None, denoiser: nn.Module | None = None
    ) -> Tensor:
        """[B]: the loss of its training on these masks, noised so, for each image by itself."""

    def sample(
        self, encoded: Any, noise: Noise, style: Style | None = None, denoiser: nn.Module | None = None
    ) -> Tensor: ...


@dataclass(frozen=True)
class Config:
    """method and aligned: the reference's name and its Config. preference: in [0, 1], used when sampling."""

    method: str = "ambiguous_text_diff"
    aligned: dict[str, Any] = field(default_factory=dict)
    beta: float = 5000.0
    preference: float = 1.0


class DiffDPO(Method):
    name: ClassVar[str] = "diff_dpo"
    title: ClassVar[str] = "TDG-DiffDPO"
    follows_prompts: bool = True  # that of the paper's reference; an instance says what its own does
    Config: ClassVar[type] = Config
    starts_from_another: ClassVar[bool] = True
    learns_from_preferences: ClassVar[bool] = True

    def __init__(self, config: Config, channels: int, labels: Sequence[str], experts: Sequence[Expert]):
        super().__init__()
        if not 0 <= config.preference <= 1:
            raise RecipeError(f"preference = {config.preference}: give 0 (the reference) to 1 (the aligned model).")
        self._recipe, self.channels, self.labels = config, channels, tuple(labels)
        kind, values = _aligned(config)
        self.policy = kind(values, channels, labels, experts)
        self.reference = copy.deepcopy(self.policy.denoiser)
        self.experts, self.follows_prompts = self.policy.experts, self.policy.follows_prompts
        self.preference = config.preference

    @property
    def config(self) -> Config:
        """As made, with the steps, guidance and preference that it draws with now: what a file keeps."""
        return replace(self._recipe, aligned=asdict(self.policy.config), preference=self.preference)

    def start_from(self, weights: dict[str, Tensor], info: dict | None = None) -> None:
        """The weights of the reference: both models start with them. A former alignment's weights go on as they are."""
        if info is not None and info["method"] == self.name:
            info = {"method": info["config"]["method"], "config": info["config"]["aligned"]}
        self.policy.refuse_other_meaning(info)
        if any(name.startswith("reference.") for name in weights):
            self.load_state_dict(weights)
        else:
            self.policy.load_state_dict(weights)
            self.reference.load_state_dict(self.policy.denoiser.state_dict())

    def denoiser_at(self, preference: float) -> nn.Module:
        """Between the reference's denoiser (0) and the aligned one (1): every weight interpolated."""
        if preference in (0, 1):
            return self.policy.denoiser if preference else self.reference
        between = copy.deepcopy(self.reference)
        with torch.no_grad():
            for weight, aligned in zip(between.parameters(), self.policy.denoiser.parameters()):
                weight.lerp_(aligned, preference)
        return between

    # -- use: the reference method's, with the denoiser that the preference asks for -------------------------------------

    @classmethod
    def abilities(cls, config: Config) -> Abilities:
        kind, values = _aligned(config)
        said = kind.abilities(values)
        return said._replace(knobs=replace(said.knobs, preference=config.preference))

    def encode(self, image: Tensor) -> Any:
        return self.policy.encode(image)

    def sample(self, encoded: Any, noise: Noise, style: Style | None = None) -> Tensor:
        return self.policy.sample(encoded, noise, style, denoiser=self.denoiser_at(self.preference))

    @property
    def steps(self) -> int | None:
        return self.policy.steps

    def use_steps(self, steps: int) -> None:
        self.policy.use_steps(steps)

    def use_preference(self, preference: float) -> None:
        if not 0 <= preference <= 1:
            raise UnsupportedRequest(
                f"The preference goes from 0 (as the reference drew) to 1 (as alignment left it); got {preference}."
            )
        self.preference = float(preference)

    def expert_style(self, encoded: Any, expert: int) -> Style:
        return self.policy.expert_style(encoded, expert)

    def prompt_style(self, encoded: Any, prompt: str) -> Style:
        return self.policy.prompt_style(encoded, prompt)

    @property
    def text_identity(self) -> dict | None:
        return self.policy.text_identity

    def understand(self, prompt: str) -> Any:
        return self.policy.understand(prompt)

    def interpolate(self, a: Style, b: Style, t: float) -> Style:
        return self.policy.interpolate(a, b, t)

    # -- training -----------------------------------------------------------------------------------------------------

    def stages(self) -> tuple[Stage, ...]:
        return (Stage("align", self.align_loss, (self.policy.denoiser,)),)

    def align_loss(self, batch: Batch) -> dict[str, Tensor]:
        """Equation 6; "right" is the share of pairs that the policy already tells apart better than the reference."""
        with torch.no_grad():
            encoded = self.policy.encode(batch.image)
        winner, loser = batch.preferred[:, :1], batch.preferred[:, 1:]
        noising = self.policy.draw_noising(winner)
        difference = self._gain(encoded, winner, noising) - self._gain(encoded, loser, noising)  # equation 7
        return {
            "loss": -F.logsigmoid(-self._recipe.beta * difference).mean(),
            "difference": difference.mean(),
            "right": (difference < 0).float().mean(),
        }

    def _gain(self, encoded: Any, masks: Tensor, noising: Any) -> Tensor:
        """[B]: the policy's denoising error on these masks less the reference's."""
        with torch.no_grad():
            known = self.policy.denoising_error(encoded, masks, noising, denoiser=self.reference)
        return self.policy.denoising_error(encoded, masks, noising) - known


def _aligned(config: Config) -> tuple[type[Method], Any]:
    """The method to align and its Config. Raises RecipeError when it does no denoising or its Config is wrong."""
    from . import METHODS

    able = [name for name, kind in METHODS.items() if hasattr(kind, "denoising_error")]
    if config.method not in able:
        raise RecipeError(f"method = '{config.method}' cannot be aligned. Diffusion methods: {', '.join(able)}.")
    kind = METHODS[config.method]
    known = [f.name for f in fields(kind.Config)]
    if unknown := [key for key in config.aligned if key not in known]:
        raise RecipeError(f"aligned: {kind.title} has no {', '.join(unknown)}. Known: {', '.join(known)}.")
    try:
        return kind, TypeAdapter(kind.Config).validate_python(config.aligned)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, ("aligned", *first["loc"])))
        raise RecipeError(f"{place} = {first['input']!r}: {first['msg']}.") from error
