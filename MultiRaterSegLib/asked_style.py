"""What can be asked of a lesion, by value. No torch here."""

from typing import TypeAlias

AskedStyle: TypeAlias = str | tuple[str, str, float] | None
"""An expert's name or a sentence; (first, second, t) for what lies between two of these; None for the population."""


def name_of(style: AskedStyle) -> str:
    """What a result calls it: "consensus", the name or sentence itself, or "a to b, 0.3"."""
    if style is None:
        return "consensus"
    return style if isinstance(style, str) else "{} to {}, {:g}".format(*style)
