"""Running out of memory halves the batch, changes nothing in the answer, and ends in a sentence when nothing is left."""

import numpy as np
import pytest
import torch
from threshold_model import blob
from worker_models import Brightness, Greedy, make_method

from MultiRaterSegLib.checkpoint import Checkpoint
from MultiRaterSegLib.errors import OutOfMemory
from MultiRaterSegLib.frame import Frame
from MultiRaterSegLib.memory import in_halves
from MultiRaterSegLib.predictor import VolumePredictor


def predictor(kind) -> VolumePredictor:
    return VolumePredictor(Checkpoint(make_method(kind).eval(), Frame(), {}, kind.name, "0" * 64))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), RuntimeError(
    "[enforce fail at alloc_cpu.cpp:124] data. DefaultCPUAllocator: not enough memory: you tried to allocate 1 byte"
), RuntimeError("MPS backend out of memory")])  # fmt: skip
def test_work_that_does_not_fit_is_done_in_parts(error):
    sizes = []

    def work(items):
        sizes.append(len(items))
        if len(items) > 2:
            raise error
        return [sum(items)]

    assert sum(in_halves(work, range(7))) == sum(range(7))
    assert sizes == [7, 3, 1, 2, 4, 2, 2]


def test_what_this_torch_says_when_memory_runs_out_is_understood():
    def work(items):
        if len(items) > 1:
            torch.empty(1 << 55, dtype=torch.uint8)  # more than any machine has: refused at once
        return items

    assert in_halves(work, [1, 2, 3]) == [1, 2, 3]


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    def work(items):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        in_halves(work, range(4))


def test_what_does_not_even_fit_alone_is_said_in_a_sentence():
    def work(items):
        raise MemoryError

    with pytest.raises(OutOfMemory, match="not enough memory"):
        in_halves(work, range(4))


def test_a_lesion_gets_the_same_samples_from_less_memory():
    volume = blob()
    greedy, plain = (predictor(kind).lesion(volume, at=volume.grid.center) for kind in (Greedy, Brightness))
    assert len(greedy.encoded) > len(plain.encoded)
    assert np.array_equal(greedy.consensus(6).samples, plain.consensus(6).samples)
