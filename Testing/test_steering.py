"""What sentences and the slider do, measured on a method whose outlines follow from its level alone."""

import numpy as np
import pytest
import torch
from prepared_slices import write_slices
from threshold_model import EXPERTS, Threshold

from MultiRaterSegLib.checkpoint import Checkpoint
from MultiRaterSegLib.frame import Frame
from Training import evaluate_steering
from Training.data.lidc_slices import LidcSlices
from Training.steering import _properties, measure_pairs, measure_slider

SIZE = 48
FRAME = Frame(size=SIZE, spacing_mm=1.0, percentiles=(0.0, 100.0))
Y, X = np.indices((SIZE, SIZE)) - SIZE / 2 + 0.5


def cone() -> np.ndarray:
    """Brightness falls evenly from 1 in the middle to 0 at 20 pixels."""
    return np.clip(1 - np.hypot(Y, X) / 20, 0, 1)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Six slices of the cone; the readers draw at levels .7, .6, .4 and .3, as the experts at 1 and -1 do in between."""
    masks = np.stack([cone() > level for level in (0.7, 0.6, 0.4, 0.3)])
    path = tmp_path_factory.mktemp("data") / "fold0.npz"
    images, outlines = (np.repeat(one[None], 6, 0) for one in ((cone() * 240).astype(np.uint8), masks))
    return write_slices(path, images, outlines, [f"P{i}" for i in range(6)], spacing_mm=1.0)


@pytest.fixture(scope="module")
def checkpoint():
    method = Threshold(Threshold.Config(spread=0.0), 1, ("background", "nodule"), EXPERTS).eval()
    method.register_parameter("weight", torch.nn.Parameter(torch.zeros(1)))  # tells which device it is on
    return Checkpoint(method=method, frame=FRAME, info={}, name="threshold", sha256="ab")


def right(checkpoint, file, less: str, more: str) -> dict:
    slices = LidcSlices.load([file])
    pair = {"property": "extent", "less": less, "more": more}
    return measure_pairs(checkpoint, slices, slices.subset("four"), [pair], 2)


def test_a_pair_counts_where_the_second_outline_is_larger(checkpoint, file):
    assert right(checkpoint, file, "tight", "generous")["by_property"]["extent"] == {
        "pairs": 1,
        "cases": 6,
        "right": 1.0,
    }
    assert right(checkpoint, file, "generous", "tight")["by_property"]["all"]["right"] == 0


def test_standing_still_and_a_refusal_are_wrong(checkpoint, file):
    assert right(checkpoint, file, "tight", "tighter")["by_property"]["extent"]["right"] == 0
    refused = right(checkpoint, file, "tight", "exclude the vessel")
    assert refused["by_property"]["extent"] == {"pairs": 1, "cases": 6, "right": 0.0}
    assert refused["refused"] == ["exclude the vessel"]


def test_the_slider_s_range_is_measured_against_the_readers(checkpoint, file):
    slices = LidcSlices.load([file])
    found = measure_slider(checkpoint, slices, slices.subset("four"), 2)
    assert found["monotone"] == 1
    # the levels of both ends are those of the first and the last reader
    assert found["range_share"] == pytest.approx(1, abs=0.1)
    assert found["median_range_share"] == pytest.approx(found["range_share"])


def test_a_star_is_rougher_than_a_disc_of_its_area():
    from MultiRaterSegLib.style_targets import regions

    y, x = np.indices((192, 192)) - 95.5
    angle, radius = np.arctan2(y, x), np.hypot(y, x)
    disc, star = radius < 40, radius < 38 * (1 + 0.3 * np.sin(9 * angle))
    found = regions(torch.zeros(2, SIZE, SIZE), torch.zeros(2, 4, SIZE, SIZE))
    measured = _properties(torch.from_numpy(np.stack([disc, star])), found)
    assert measured["extent"].tolist() == [disc.sum(), star.sum()]
    assert measured["roughness"][1] > 1.3 * measured["roughness"][0]
    assert torch.isnan(measured["rim"]).all()  # no halo there, so nothing to measure


def test_the_command_says_that_a_model_is_missing(file, capsys):
    code = evaluate_steering.main(["no_such_model", "--data", str(file), "--pairs", str(file)])
    assert code == 2
    assert "no_such_model" in capsys.readouterr().err
