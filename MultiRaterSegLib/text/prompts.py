"""Sentences to train with: each with its slots and, where it stands for one, the reader style."""

import tomllib
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from fractions import Fraction
from importlib import resources

from .slots import Slots


@dataclass(frozen=True)
class TrainingPrompt:
    """expert: the name of the reader style that the sentence means ("conservative", "A1" ...), or None."""

    text: str
    slots: Slots
    expert: str | None = None


def training_prompts() -> list[TrainingPrompt]:
    """All sentences of prompts.toml in the file's order; the first one of an expert is its canonical one."""
    text = resources.files(__package__).joinpath("prompts.toml").read_text(encoding="utf-8")
    return [
        TrainingPrompt(sentence, _slots(group["slots"]), group.get("expert"))
        for group in tomllib.loads(text)["group"]
        for sentence in group["sentences"]
    ]


def opposites(prompts: Sequence[TrainingPrompt], slot: str) -> list[tuple[list[int], list[int]]]:
    """Sentences that differ in the sign of one slot and in nothing else: ([those with less], [those with more]) each."""
    groups: dict[tuple, tuple[list[int], list[int]]] = {}
    for index, prompt in enumerate(prompts):
        value = getattr(prompt.slots, slot)
        if value:
            same_but_for_sign = replace(prompt.slots, **{slot: abs(value)})
            groups.setdefault(astuple(same_but_for_sign), ([], []))[int(value > 0)].append(index)
    return [group for group in groups.values() if all(group)]


def _slots(table: dict[str, str | bool]) -> Slots:
    """{"extent": "-1/3", "per_slice": true} -> Slots; fractions keep thirds exact."""
    return Slots(**{name: float(Fraction(v)) if isinstance(v, str) else v for name, v in table.items()})
