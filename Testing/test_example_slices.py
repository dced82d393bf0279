"""The picture of example slices: which are chosen, and what is seen of them."""

import numpy as np
import pytest
from planted_models import FRAME, Planted
from prepared_slices import write_discs

from Training.data.lidc_slices import LidcSlices
from Training.example_slices import Shown, _window, example_rows, plot_examples
from Training.slice_predictions import Sampling, predict_slices


@pytest.fixture(scope="module")
def slices(tmp_path_factory):
    return LidcSlices.load([write_discs(tmp_path_factory.mktemp("data") / "fold0.npz")])


def test_examples_are_chosen_by_the_readers(slices):
    rows = np.arange(3, 14)
    chosen = example_rows(slices, rows)
    masks = slices.masks(rows).reshape(len(rows), 4, -1).astype(int)
    shared = masks @ masks.transpose(0, 2, 1)
    area = masks.sum(2)
    differ = 1 - (shared / (area[:, :, None] + area[:, None] - shared)).mean((1, 2))
    ranks = [int((differ < differ[row - 3]).sum()) for row in chosen]
    assert ranks == [2, 5, 8]


def test_a_window_shows_every_outline_and_lies_inside_the_image():
    for x, y, size in ((0, 0, 3), (60, 55, 4), (10, 30, 30), (2, 2, 60)):
        drawn = np.zeros((64, 64), bool)
        drawn[y : y + size, x : x + size] = True
        seen = drawn[_window(drawn)]
        assert seen.sum() == drawn.sum()
        assert seen.shape[0] == seen.shape[1] <= 64
        assert seen.shape[0] >= min(2 * size, 64)
    assert np.zeros((64, 64))[_window(np.zeros((64, 64), bool))].shape == (64, 64)


def test_models_with_and_without_styles_are_drawn(slices, tmp_path):
    models = []
    for label, experts in (("perfect", ("A1", "A3")), ("empty", ())):
        method = Planted(label, experts)
        predictions = list(predict_slices(method, FRAME, slices, [4, 9], Sampling(4, (0,), 1)))
        models.append(Shown(label, predictions, [int(name[1]) - 1 for name in experts]))
    plot_examples(tmp_path / "examples.png", slices, [4, 9], models)
    assert (tmp_path / "examples.png").read_bytes().startswith(b"\x89PNG")
