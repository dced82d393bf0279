"""Going on with less when memory runs out, on a GPU or not."""

from collections.abc import Callable, Sequence

import torch

from .errors import OutOfMemory

RAN_OUT = ("out of memory", "can't allocate memory", "not enough memory")
"""How torch says so in the RuntimeError of a device that has no error class of its own (CPU, MPS)."""


def in_halves(work: Callable[[Sequence], list], items: Sequence) -> list:
    """work(items); where memory does not suffice, work on each half of them, results joined.

    Raises OutOfMemory when not even one item fits.
    """
    try:
        return work(items)
    except (RuntimeError, MemoryError) as error:
        if not _ran_out(error):
            raise
        if len(items) == 1:
            raise OutOfMemory(
                "There is not enough memory, not even for one slice at a time. Close other programs, or use the CPU."
            ) from error
    torch.cuda.empty_cache()  # does nothing where there is no GPU
    half = len(items) // 2
    return [*in_halves(work, items[:half]), *in_halves(work, items[half:])]


def _ran_out(error: BaseException) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return any(words in str(error) for words in RAN_OUT)
