"""What can be turned on a model before it draws: plain values, which travel to a process without torch."""

from dataclasses import asdict, dataclass, replace

RECORDED = {"steps": "sampling_steps", "preference": "preference"}
"""The knobs, as the provenance of a result calls them."""


@dataclass(frozen=True)
class Knobs:
    """steps: network evaluations a sample. preference: of an aligned model, from 0 (it draws as its reference did) to 1 (as
    alignment left it). None: of a model, that it has no such knob; of what somebody asks for, the model's own value."""

    steps: int | None = None
    preference: float | None = None

    @classmethod
    def of(cls, provenance: dict) -> "Knobs":
        """What a result was drawn with."""
        return cls(**{name: provenance.get(key) for name, key in RECORDED.items()})

    @property
    def provenance(self) -> dict:
        """As a result records them; what the model does not have is left out."""
        return {RECORDED[name]: value for name, value in self._turned.items()}

    def over(self, own: "Knobs") -> "Knobs":
        """These, and the model's own where nothing is asked for."""
        return replace(own, **self._turned)

    @property
    def _turned(self) -> dict:
        return {name: value for name, value in asdict(self).items() if value is not None}


OWN = Knobs()
"""Everything as the model has it."""
