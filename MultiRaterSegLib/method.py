"""What every method promises: style + image + noise -> mask.

A method implements `encode`, `sample` and the style sources that it has. Consensus, experts, prompts, interpolation,
volumes, uncertainty, metrics and Slicer are written once, for all of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from .errors import RecipeError, UnsupportedRequest
from .expert import Expert
from .knobs import OWN, Knobs
from .noise import Noise

Style: TypeAlias = Tensor
"""[S or 1, B or 1, ...]: noise-free and of fixed size; its meaning is the method's business."""


@dataclass(frozen=True)
class Batch:
    """Training images in the method's frame.

    image: [B, C, H, W] normalised. masks: [B, M, H, W] in {0, 1}, a rater each (an empty mask: that rater outlined
    nothing). targets: {expert name: [B] index into M}, the rater's mask that stands for this expert on this image.

    Only where the data have them: texts[image][rater], what the rater says of the image, a tuple of sentences (it never
    says whether the mask is empty). preferred: [B, 2, H, W], a mask that is preferred to another one.
    """

    image: Tensor
    masks: Tensor
    targets: dict[str, Tensor]
    ids: Tensor
    texts: tuple[tuple[tuple[str, ...], ...], ...] | None = None
    preferred: Tensor | None = None

    def to(self, device) -> "Batch":
        moved = {name: index.to(device) for name, index in self.targets.items()}
        preferred = None if self.preferred is None else self.preferred.to(device)
        return Batch(self.image.to(device), self.masks.to(device), moved, self.ids.to(device), self.texts, preferred)

    def expert_mask(self, expert: str) -> Tensor:
        """[B, H, W]: on each image the mask of the rater who stands for this expert."""
        return self.masks[torch.arange(len(self.masks), device=self.masks.device), self.targets[expert]]

    def random_rater(self) -> Tensor:
        """[B, 1, H, W]: on each image the mask of one rater, drawn by torch's random numbers."""
        images, raters = self.masks.shape[:2]
        device = self.masks.device
        drawn = torch.randint(raters, (images,), device=device)
        return self.masks[torch.arange(images, device=device), drawn][:, None]


@dataclass(frozen=True)
class Stage:
    """One step of a paper's training: what moves and what is minimised.

    loss(batch) -> {name: scalar}; "loss" is minimised, the others are logged. parameters: those that are trained; all
    others, buffers included, stay as they are (the trainer keeps frozen modules in eval mode). judged_by: what chooses
    the best weights, the population of samples or the experts as well. begin: called once before the first step, with
    what the former stages have learned.
    """

    name: str
    loss: Callable[[Batch], dict[str, Tensor]]
    modules: tuple[nn.Module, ...]
    judged_by: Literal["population", "experts"] = "population"
    begin: Callable[[], None] = lambda: None

    def parameters(self) -> Iterable[nn.Parameter]:
        return (p for module in self.modules for p in module.parameters())


class Abilities(NamedTuple):
    """What can be asked of a model. knobs: those that it has, with its own values. most_steps: how many it can take at most;
    None where that cannot be chosen. reads_descriptions: a prompt may also say what the lesion is, in LIDC's terms."""

    follows_prompts: bool
    knobs: Knobs = OWN
    most_steps: int | None = None
    reads_descriptions: bool = False


class Method(nn.Module, ABC):
    """A multi-rater segmentation method. Subclasses are built from (Config, channels, labels, experts)."""

    name: ClassVar[str]
    title: ClassVar[str]
    Config: ClassVar[type]
    follows_prompts: bool = False
    starts_from_another: ClassVar[bool] = False
    """Whether training makes sense only from the weights of another run (train.py --start-from)."""
    learns_from_preferences: ClassVar[bool] = False
    """Whether its batches must have preferred masks (Training/preferences.py)."""
    not_in_weights: ClassVar[tuple[str, ...]] = ()
    """Fields of Config that say what the weights do and leave no trace in their shapes: the schedule, what is predicted."""
    preference: float | None = None
    """Of an aligned method: whether it draws as its reference did (0) or as alignment left it (1), or between them."""
    config: Any
    channels: int
    labels: tuple[str, ...]
    experts: tuple[Expert, ...]

    @classmethod
    def abilities(cls, config: Any) -> Abilities:
        """Of a model with this Config, known before it is built. Where steps can be chosen they are its `sampling_steps`."""
        return Abilities(cls.follows_prompts)

    @abstractmethod
    def encode(self, image: Tensor) -> Any:
        """[B, C, H, W] normalised -> whatever sampling can reuse, computed once a slice."""

    @abstractmethod
    def sample(self, encoded: Any, noise: Noise, style: Style | None = None) -> Tensor:
        """Probabilities [S, B, L, H, W], S = len(noise.samples). style None: draw from the population of readers."""

    @abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """How the paper trains it, in order."""

    def expert_style(self, encoded: Any, expert: int) -> Style:
        """The style of self.experts[expert]."""
        raise UnsupportedRequest(f"{self.title} has no reader styles.")

    def prompt_style(self, encoded: Any, prompt: str) -> Style:
        """The style a sentence describes. Raises UnsupportedRequest for text that it cannot map."""
        raise self._cannot_follow()

    def understand(self, prompt: str) -> Any:
        """How a sentence is read: an object with `.summary()` and `.notes`. Raises UnsupportedRequest as prompt_style."""
        raise self._cannot_follow()

    @property
    def text_identity(self) -> dict | None:
        """Of the frozen text encoder that it needs beside its own weights (TextEncoder.identity); None: it needs none."""
        return None

    @property
    def steps(self) -> int | None:
        """Network evaluations a sample takes where that can be chosen, None where it cannot."""
        return self.abilities(self.config).knobs.steps

    def use_steps(self, steps: int) -> None:
        """From now on a sample takes so many. Raises UnsupportedRequest where it cannot be chosen, or not that many."""
        most = self.abilities(self.config).most_steps
        if most is None:
            raise UnsupportedRequest(f"How many steps a sample of {self.title} takes cannot be chosen; leave it out.")
        if not 1 <= steps <= most:
            raise UnsupportedRequest(f"A sample can take 1 to {most} steps; got {steps}.")
        self.config = replace(self.config, sampling_steps=steps)

    def use_preference(self, preference: float) -> None:
        """From now on it draws so. Raises UnsupportedRequest where it was not aligned, or outside 0..1."""
        raise UnsupportedRequest(f"{self.title} was not aligned, so there is no preference to choose; leave it out.")

    @property
    def knobs(self) -> Knobs:
        """What it draws with now."""
        return Knobs(self.steps, self.preference)

    def use(self, knobs: Knobs) -> None:
        """From now on it draws so; what is None stays as it is. Raises UnsupportedRequest for what cannot be chosen."""
        if knobs.steps is not None:
            self.use_steps(knobs.steps)
        if knobs.preference is not None:
            self.use_preference(knobs.preference)

    def interpolate(self, a: Style, b: Style, t: float) -> Style:
        """Between two styles: t = 0 is exactly a, t = 1 exactly b."""
        return a if t == 0 else b if t == 1 else torch.lerp(a, b, t)

    def start_from(self, weights: dict[str, Tensor], info: dict | None = None) -> None:
        """Takes over what training should start with. info: the header of their file, where it has one.

        Raises RuntimeError when the weights do not fit, RecipeError when they do and stand for something else.
        """
        self.refuse_other_meaning(info)
        self.load_state_dict(weights)

    def refuse_other_meaning(self, info: dict | None) -> None:
        """Raises RecipeError where a header of this method has other values of `not_in_weights`."""
        if info is None or info["method"] != self.name:
            return
        for name in self.not_in_weights:
            theirs, ours = info["config"].get(name), getattr(self.config, name)
            if name in info["config"] and theirs != ours:
                raise RecipeError(f"{name} = {ours!r}, and what training should start from was made with {theirs!r}.")

    def expert_index(self, name: str) -> int:
        """Position of the expert called `name`; raises UnsupportedRequest with the known names."""
        names = [expert.name for expert in self.experts]
        if name.lower() not in [n.lower() for n in names]:
            raise UnsupportedRequest(f"{self.title} knows no expert '{name}'. {self._known_experts()}")
        return [n.lower() for n in names].index(name.lower())

    def _cannot_follow(self) -> UnsupportedRequest:
        return UnsupportedRequest(f"{self.title} cannot follow a prompt. {self._known_experts()}")

    def _known_experts(self) -> str:
        if not self.experts:
            return "It has no reader styles; ask for the consensus."
        return f"It knows experts: {', '.join(expert.name for expert in self.experts)}."
