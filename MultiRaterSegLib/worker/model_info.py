"""What a model says of itself, in a form that travels to a process without torch."""

from dataclasses import asdict, dataclass

from ..expert import Expert, offered
from ..frame import Frame
from ..knobs import OWN, Knobs


@dataclass(frozen=True)
class ModelInfo:
    """name: what a request calls it. experts: those offered for use. info: the whole header of its file. knobs: those that
    it has, with its own values. most_steps: network evaluations a sample at most; None where there is no choice.
    reads_descriptions: a sentence may also say what the lesion is, in LIDC's terms."""

    name: str
    title: str
    method: str
    modality: str
    trained_for: str
    follows_prompts: bool
    experts: tuple[Expert, ...]
    labels: tuple[str, ...]
    channels: int
    frame: Frame
    info: dict
    knobs: Knobs = OWN
    most_steps: int | None = None
    reads_descriptions: bool = False

    @classmethod
    def of(
        cls,
        name: str,
        info: dict,
        title: str,
        follows_prompts: bool,
        knobs: Knobs = OWN,
        most_steps: int | None = None,
        reads_descriptions: bool = False,
    ) -> "ModelInfo":
        """info: the header of the model's file. title, and what follows: what its method says of itself (Abilities)."""
        return cls(
            name,
            title,
            info["method"],
            info.get("modality", ""),
            info.get("trained_for", ""),
            follows_prompts,
            offered([Expert(**expert) for expert in info["experts"]]),
            tuple(info["labels"]),
            int(info["channels"]),
            Frame(**{**info["frame"], "percentiles": tuple(info["frame"]["percentiles"])}),
            info,
            knobs,
            most_steps,
            reads_descriptions,
        )

    def to_json(self) -> dict:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict) -> "ModelInfo":
        frame = Frame(**{**data["frame"], "percentiles": tuple(data["frame"]["percentiles"])})
        experts = tuple(Expert(**expert) for expert in data["experts"])
        built = {"experts": experts, "labels": tuple(data["labels"]), "frame": frame, "knobs": Knobs(**data["knobs"])}
        return cls(**{**data, **built})
