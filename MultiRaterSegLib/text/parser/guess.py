"""The forgiving reading: unknown words are passed over, and a slot is filled where all that remains is one-sided.

What the strict reading takes from a bare mention ('halo' alone asks for it) is no evidence here: an unknown word may
stand over it. Of what contradicts itself, requests count before descriptions.
"""

from collections.abc import Sequence

from .evidence import Evidence


def weigh(statements: Sequence[Evidence]) -> tuple[dict[str, float], bool]:
    """{slot: value} of what is one-sided, and whether any slot was not."""
    values, torn = {}, False
    for slot in dict.fromkeys(item.slot for item in statements):
        found = [item for item in statements if item.slot == slot and not item.bare and item.value]
        firm = [item for item in found if not item.weak] or found
        if len({item.value > 0 for item in firm}) > 1:
            firm = [item for item in firm if not item.described] or firm
        signs = {item.value > 0 for item in firm}
        torn = torn or len(signs) > 1
        if len(signs) == 1:
            degrees = [item.degree for item in firm if item.degree is not None]
            size = sum(degrees) / len(degrees) if degrees else 1.0
            values[slot] = size if firm[0].value > 0 else -size
    return values, torn
