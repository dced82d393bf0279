"""The model that ships, on the bundled scan and on real ones: it finds the lesion, in order, whatever the window."""

import json
from itertools import pairwise

import numpy as np
import pytest
import SimpleITK as sitk
import slicerio

from MultiRaterSegLib.geometry import Volume
from MultiRaterSegLib.io import read_volume
from MultiRaterSegLib.predictor import VolumePredictor
from MultiRaterSegLib.resources import model_files, resource_path

DEMO = "SimulatedCT-RealOutlines"


@pytest.fixture(scope="module")
def predictor() -> VolumePredictor:
    return VolumePredictor.from_checkpoint("prosona_compact", "cpu")


@pytest.fixture(scope="module")
def demo() -> tuple[Volume, np.ndarray]:
    """The bundled scan and its lesion's RAS point."""
    about = json.loads(resource_path("SampleData", f"{DEMO}.json").read_text())
    volume = read_volume(resource_path("SampleData", f"{DEMO}.nrrd"))
    return Volume(volume.voxels, volume.grid, "CT", volume.source), np.array(about["lesion_ras_mm"])


@pytest.fixture(scope="module")
def readers() -> np.ndarray:
    """The four readers' outlines of the bundled scan's lesion: bool [4, K, J, I]."""
    segmentation = slicerio.read_segmentation(str(resource_path("SampleData", f"{DEMO}-readers.seg.nrrd")))
    voxels = segmentation["voxels"]
    layers = voxels if voxels.ndim == 4 else voxels[None]
    masks = [layers[s.get("layer", 0)] == s["labelValue"] for s in segmentation["segments"]]
    return np.stack(masks).transpose(0, 3, 2, 1)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / max(1, a.sum() + b.sum())


def test_the_consensus_agrees_with_the_readers_as_they_agree_with_each_other(predictor, demo, readers):
    volume, point = demo
    prediction = predictor.consensus(volume, at=point, samples=20)
    majority = readers.sum(0) >= 2
    among = np.mean([dice(readers[i], readers[j]) for i in range(4) for j in range(i)])
    assert dice(prediction.consensus, majority) > among - 0.1
    disputed = readers.any(0) & ~readers.all(0)
    settled = ~readers.any(0) | readers.all(0)
    assert prediction.uncertainty[disputed].mean() > 5 * prediction.uncertainty[settled].mean()


def test_reader_styles_come_out_in_order(predictor, demo):
    volume, point = demo
    lesion = predictor.lesion(volume, at=point)
    volumes = [np.median(lesion.style(name, 5).volumes_ml) for name in predictor.experts]
    assert all(a < b for a, b in pairwise(volumes))


WINDOWS = {
    "lung": (-1350, 150),
    "wide": (-1000, 400),
    "bone and all": (-1024, 3071),
    "narrow": (-1100, 100),
    "lung on a byte": (-1000, 300),
}


@pytest.mark.parametrize("window", WINDOWS)
def test_another_display_window_of_the_scan_gives_the_same_contour(predictor, demo, window):
    volume, point = demo
    low, high = WINDOWS[window]
    shown = np.clip((volume.voxels - float(low)) / (high - low) * 255, 0, 255)
    other = Volume(shown.astype(np.uint8 if "byte" in window else np.float32), volume.grid, "CT", window)
    original = predictor.consensus(volume, at=point, samples=10).consensus
    assert dice(predictor.consensus(other, at=point, samples=10).consensus, original) >= 0.9


def test_words_move_the_contour(predictor, demo):
    volume, point = demo
    lesion = predictor.lesion(volume, at=point)
    tight = np.median(lesion.prompt("tight margins, solid core only", 3).volumes_ml)
    generous = np.median(lesion.prompt("inclusive, take in everything with the ground-glass halo", 3).volumes_ml)
    assert tight < generous


REAL = {
    "lung_ct/lung1_image.nrrd": "lung_ct/lung1_label.nrrd",
    "brain_mr/brain1_image.nrrd": "brain_mr/brain1_label.nrrd",
    "spinal_cord_mr/t2.nii.gz": None,
    "spinal_cord_mr/t2s.nii.gz": None,
    "lidc_0001/LIDC-IDRI-0001_ct_uint8_256x256x133.nii.gz": "lidc_0001/LIDC-IDRI-0001_nodule_rater1.nii.gz",
    "prostate_mr_dicom/t2_tra": None,
}


@pytest.mark.parametrize("name", REAL)
def test_real_scans_of_every_kind_keep_their_geometry(predictor, shared, tmp_path, name):
    """Through the command line's own writer; SimpleITK compares the written grid with the scan's."""
    from MultiRaterSegLib.io import write_scalar_volume

    path = shared / "data/volumes" / name
    volume = read_volume(path)
    point = volume.grid.center
    if REAL[name]:
        label = read_volume(shared / "data/volumes" / REAL[name])
        point = label.grid.to_ras(np.argwhere(label.voxels[0] > 0).mean(0)[::-1])
    prediction = predictor.consensus(volume, at=point, samples=3)
    assert prediction.consensus.shape == volume.grid.shape
    write_scalar_volume(prediction.uncertainty, volume.grid, tmp_path / "uncertainty.nrrd")
    written = sitk.ReadImage(str(tmp_path / "uncertainty.nrrd"))
    if path.is_dir():
        source = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(path)))
    else:
        source = sitk.ReadImage(str(path))
    assert written.GetSize() == source.GetSize()
    assert np.allclose(written.GetOrigin(), source.GetOrigin(), atol=1e-3)
    assert np.allclose(written.GetSpacing(), source.GetSpacing(), atol=1e-4)
    assert np.allclose(written.GetDirection(), source.GetDirection(), atol=1e-4)


def test_the_shipped_model_says_what_it_is(predictor):
    info = predictor.checkpoint.info
    assert info["modality"] == "CT"
    assert "nodule" in info["trained_for"]
    assert info["recipe"]["data"]["folds"] == (0, 1, 2) or info["recipe"]["data"]["folds"] == [0, 1, 2]
    card = resource_path("Models", "prosona_compact.md").read_text()
    assert predictor.checkpoint.sha256 in card


def test_shipped_weights_stay_small():
    sizes = [path.stat().st_size for path in resource_path("Models").glob("*.safetensors")]
    assert sizes
    assert max(sizes) < 8e6
    assert "prosona_compact" in model_files()
