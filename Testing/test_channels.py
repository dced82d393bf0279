"""Several images of one examination as the channels of one scan."""

import numpy as np
import pytest
from threshold_model import blob

from MultiRaterSegLib.channels import read_channels, stack
from MultiRaterSegLib.errors import GeometryError, UnsupportedRequest
from MultiRaterSegLib.geometry import Grid, Volume
from MultiRaterSegLib.io import write_scalar_volume
from MultiRaterSegLib.suitability import check_channels

T1 = blob(shape=(8, 20, 24), modality="MR", name="t1")


def test_images_on_the_same_voxels_are_stacked_as_they_are(tmp_path):
    t2 = T1.voxels[0] * 0.5
    write_scalar_volume(T1.voxels[0], T1.grid, tmp_path / "t1.nrrd")
    write_scalar_volume(t2, T1.grid, tmp_path / "t2.nrrd")
    scan = read_channels(tmp_path / "t1.nrrd", [tmp_path / "t2.nrrd"])
    assert np.array_equal(scan.voxels, np.stack([T1.voxels[0], t2]))
    assert scan.grid.same_as(T1.grid)
    assert scan.source == "t1.nrrd + t2.nrrd"
    assert len(scan.context["files"]) == 2
    assert scan.context["notes"] == ()


def test_an_image_stored_the_other_way_round_lies_where_it_did():
    flipped = np.diag([1.0, -1.0, 2.0, 1.0])
    flipped[0, 3] = T1.grid.to_ras((T1.grid.shape[2] - 1, 0, 0))[0]
    other = Volume(T1.voxels[..., ::-1], Grid(T1.grid.shape, flipped), "MR", "t2")
    scan = stack([T1, other])
    assert np.array_equal(scan.voxels[1], T1.voxels[0])
    assert scan.context["notes"] == ("'t2' lies on other voxels than 't1' and was interpolated there.",)


def test_an_image_turned_against_the_first_is_refused():
    cos, sin = np.cos(0.2), np.sin(0.2)
    turned = np.array([[-cos, -sin, 0, 0], [sin, -cos, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]])
    other = Volume(T1.voxels, Grid(T1.grid.shape, turned), "MR", "t2")
    with pytest.raises(GeometryError, match=r"'t2' is turned against 't1'\. Resample it"):
        stack([T1, other])


def test_one_image_is_itself():
    assert stack([T1]) is T1


def test_the_wrong_number_of_images_is_refused_by_what_the_model_reads():
    named = {"sequences": ["T1", "T2"]}
    check_channels(T1, "mine", 1, {}, "")
    with pytest.raises(UnsupportedRequest) as error:
        check_channels(T1, "mine", 2, named, "Give both.")
    assert str(error.value) == "'t1' holds 1 image; the model mine reads 2 together (T1, T2). Give both."
    with pytest.raises(UnsupportedRequest) as error:
        check_channels(stack([T1, T1]), "mine", 1, {}, "Give both.")
    assert str(error.value) == "'t1 + t1' holds 2 images; the model mine reads one at a time."
