"""The models that ship, on the bundled scan and on real ones: they find the lesion, in order, whatever the window; and their
cards say what they are. Whatever lies in Resources/Models is held to the same promises."""

import json
import re
from itertools import pairwise

import numpy as np
import pytest
import SimpleITK as sitk
import slicerio
from safetensors import safe_open

from MultiRaterSegLib.geometry import Volume
from MultiRaterSegLib.io import read_volume
from MultiRaterSegLib.knobs import Knobs
from MultiRaterSegLib.predictor import DEFAULT_MODEL, VolumePredictor
from MultiRaterSegLib.resources import model_files, resource_path

DEMO = "SimulatedCT-RealOutlines"
SHIPPED = sorted(path.stem for path in resource_path("Models").glob("*.safetensors"))
LARGEST_MB = 7.0


@pytest.fixture(scope="module", params=SHIPPED)
def predictor(request) -> VolumePredictor:
    found = VolumePredictor.from_checkpoint(resource_path("Models", f"{request.param}.safetensors"), "cpu")
    if found.method.steps:
        found.use(Knobs(steps=5))  # half of what ships: nearly as good (docs/diffusion.md) and half the time
    return found


@pytest.fixture
def name(predictor) -> str:
    return predictor.checkpoint.name


@pytest.fixture
def card(name) -> str:
    return resource_path("Models", f"{name}.md").read_text(encoding="utf-8")


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
    volumes = [np.median(lesion.style(expert, 5).volumes_ml) for expert in predictor.experts]
    assert all(a < b for a, b in pairwise(volumes))


WINDOWS = {
    "lung": (-1350, 150),
    "wide": (-1000, 400),
    "bone and all": (-1024, 3071),
    "narrow": (-1100, 100),
    "lung on a byte": (-1000, 300),
}


@pytest.fixture(scope="module")
def outline(predictor, demo) -> np.ndarray:
    """Of the bundled scan as it is."""
    volume, point = demo
    return predictor.consensus(volume, at=point, samples=10).consensus


@pytest.mark.parametrize("window", WINDOWS)
def test_another_display_window_of_the_scan_gives_the_same_contour(predictor, demo, outline, window):
    volume, point = demo
    low, high = WINDOWS[window]
    shown = np.clip((volume.voxels - float(low)) / (high - low) * 255, 0, 255)
    other = Volume(shown.astype(np.uint8 if "byte" in window else np.float32), volume.grid, "CT", window)
    assert dice(predictor.consensus(other, at=point, samples=10).consensus, outline) >= 0.9


def test_words_move_the_contour(predictor, demo):
    if not predictor.method.follows_prompts:
        pytest.skip("follows no sentences")
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


@pytest.mark.parametrize("scan", REAL)
def test_real_scans_of_every_kind_keep_their_geometry(predictor, shared, tmp_path, scan):
    """Through the command line's own writer; SimpleITK compares the written grid with the scan's."""
    from MultiRaterSegLib.io import write_scalar_volume

    path = shared / "data/volumes" / scan
    volume = read_volume(path)
    point = volume.grid.center
    if REAL[scan]:
        label = read_volume(shared / "data/volumes" / REAL[scan])
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


def test_it_says_what_it_was_trained_on(predictor):
    info = predictor.checkpoint.info
    assert info["modality"] == "CT"
    assert "nodule" in info["trained_for"]
    assert list(info["recipe"]["data"]["folds"]) == [0, 1, 2]


def test_the_card_belongs_to_these_weights(predictor, name, card):
    assert card.startswith(f"# Model card: {name}\n")
    assert f"SHA-256 `{predictor.checkpoint.sha256}`" in card
    millions = sum(parameter.numel() for parameter in predictor.method.parameters()) / 1e6
    assert f"{millions:.1f} million parameters" in card
    assert predictor.method.title in card


def test_the_card_says_for_what_from_what_and_how(predictor, card):
    assert "**Research use only. Not a medical device.**" in card
    assert "CC BY 3.0" in card  # the licence of LIDC-IDRI
    recipe = re.search(r"`(Training/recipes/\w+\.toml)`, seed (\d+)", card)
    assert resource_path("..", recipe[1]).is_file()
    assert int(recipe[2]) == predictor.checkpoint.info["recipe"]["seed"]
    for heading in ("What it is for", "Data and licence", "Recipe", "Figures", "Limits"):
        assert f"\n## {heading}\n" in card


def test_weights_are_half_precision_and_small(name, card):
    path = resource_path("Models", f"{name}.safetensors")
    with safe_open(str(path), "np") as file:
        kinds = {str(file.get_slice(key).get_dtype()) for key in file.keys()}  # noqa: SIM118 (not a dict)
    assert "F16" in kinds
    assert not kinds & {"F32", "F64", "BF16"}
    megabytes = path.stat().st_size / 1e6
    assert megabytes < LARGEST_MB
    assert f"half precision, {megabytes:.1f} MB" in card


def test_the_guide_and_the_readme_say_when_to_choose_it(predictor, name):
    guide = resource_path("..", "docs", "user_guide.md").read_text(encoding="utf-8")
    [row] = re.findall(rf"^\| `{name}` .*$", guide, re.MULTILINE)
    _, _, method, sentences, styles, *_ = (cell.strip() for cell in row.split("|"))
    assert method.split()[0] == predictor.method.title
    assert sentences == ("yes" if predictor.method.follows_prompts else "no")
    assert styles == ("yes" if predictor.experts else "no")
    readme = resource_path("..", "README.md").read_text(encoding="utf-8")
    assert f"(Resources/Models/{name}.md)" in readme


def test_every_card_has_its_model_and_the_default_one_is_there():
    assert sorted(path.stem for path in resource_path("Models").glob("*.md")) == SHIPPED
    assert DEFAULT_MODEL in SHIPPED
    assert set(SHIPPED) <= set(model_files())
