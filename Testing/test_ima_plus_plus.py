"""IMA++ on small files in its layout: colour, two to five outlines, texts from metadata, patients kept together."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_model import TINY_CONFIG

from MultiRaterSegLib.errors import DataError
from MultiRaterSegLib.frame import Frame
from MultiRaterSegLib.methods.ambiguous_text_diff import AmbiguousTextDiff, Config
from MultiRaterSegLib.noise import Noise
from Training.data import DATASETS
from Training.data.batches import BatchSource
from Training.data.ima_plus_plus import IMAGES, MASKS, load_ima_plus_plus, mask_text

EVERY_FOLD = (0, 1, 2, 3)
LESION = {
    "age_approx": "40",
    "sex": "female",
    "anatom_site_general": "posterior torso",
    "benign_malignant": "benign",
    "diagnosis_1": "Benign",
    "diagnosis_2": "Benign melanocytic proliferations",
    "diagnosis_3": "Nevus",
    "diagnosis_4": "Nevus, Dysplastic",
}


@pytest.fixture
def ima(tmp_path):
    """Six images of four patients, 2 to 5 annotators and the two made masks each; images of two shapes."""
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    rng = np.random.default_rng(0)
    masks, images = [], []
    for k in range(6):
        name, shape = f"ISIC_{k:07d}", ((120, 160), (256, 256))[k % 2]
        yy, xx = np.mgrid[: shape[0], : shape[1]] / np.array(shape)[:, None, None] - 0.5
        pixels = np.where(np.hypot(yy, xx)[..., None] < 0.3, (120, 70, 40), (220, 180, 160)) + rng.normal(
            0, 5, (*shape, 3)
        )
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / "images" / f"{name}.JPG", "JPEG")
        people = [(f"A{a:02d}", "T1" if a % 2 else "T3", "S1" if a < 2 else "S2") for a in range(2 + k % 4)]
        for a, (annotator, tool, skill) in enumerate([*people, ("ST", "ST", "ST"), ("MV", "MV", "MV")]):
            file = f"{name}_{annotator}_{tool}_{skill}_{a:024d}.png"
            mask = np.hypot(yy, xx) < 0.22 + 0.03 * a
            Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "masks" / file)
            masks.append(
                {
                    "ISIC_id": name,
                    "img_filename": f"{name}.jpg",
                    "seg_filename": file,
                    "annotator": annotator,
                    "tool": tool,
                    "skill_level": skill,
                    "mskObjectID": a,
                    "mask_md5": "",
                }
            )
        images.append({"isic_id": name, "patient_id": f"IP_{k % 4}" if k else "", "lesion_id": "", **LESION})
    for file, rows in ((MASKS, masks), (IMAGES, images)):
        with (tmp_path / file).open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return tmp_path


def test_images_have_three_channels_and_as_many_raters_as_saw_them(ima):
    data = load_ima_plus_plus(ima, EVERY_FOLD)
    slices = data.slices
    assert (data.channels, slices.channels, len(slices)) == (3, 3, 6)
    assert sorted(slices.present.sum(1)) == [2, 2, 3, 3, 4, 5]
    masks = slices.masks(np.arange(6))
    assert np.array_equal(masks.any((2, 3)), slices.present)
    for row in range(6):
        smallest = masks[row, 0].mean()
        assert smallest == pytest.approx(np.pi * 0.22**2, rel=0.03)  # a circle in units of the image's sides
        red = slices.planes([row])[0, 0]
        assert red[masks[row, 0]].mean() < 150 < red[~masks[row].any(0)].mean()


def test_made_consensus_masks_are_no_opinions_unless_asked_for(ima):
    people = load_ima_plus_plus(ima, EVERY_FOLD).slices.present.sum()
    everything = DATASETS["ima_plus_plus_consensus"](ima, EVERY_FOLD).slices.present.sum()
    assert everything == people + 2 * 6


def test_patients_are_in_one_fold_and_folds_share_none(ima):
    parts = [set(load_ima_plus_plus(ima, (fold,)).slices.patient) for fold in EVERY_FOLD if _has(ima, fold)]
    assert sum(map(len, parts)) == len(set().union(*parts))
    assert sum(len(load_ima_plus_plus(ima, (fold,)).slices) for fold in EVERY_FOLD if _has(ima, fold)) == 6


def _has(root, fold) -> bool:
    try:
        return len(load_ima_plus_plus(root, (fold,)).slices) > 0
    except DataError:
        return False


def test_metadata_become_sentences_and_blanks_are_not_mentioned():
    assert mask_text(LESION, {"tool": "T3", "skill_level": "S2"}) == (
        "The patient is a 40-year-old female.",
        "The dermoscopic image shows a benign lesion.",
        "The lesion is on the posterior torso.",
        "The diagnosis is Benign melanocytic proliferations, Nevus, Nevus, Dysplastic.",
        "The annotation was performed by a novice.",
        "The annotation was performed with an autofill tool.",
    )
    assert mask_text({}, {"tool": "T2", "skill_level": ""}) == ()
    assert mask_text({"sex": "male"}, {"tool": "T2", "skill_level": ""}) == ("The patient is a male.",)


def test_colour_and_five_raters_train_and_sample(ima):
    data = load_ima_plus_plus(ima, EVERY_FOLD)
    source = BatchSource(data.slices, Frame(32, 4.0), data.experts, batch_size=4, window=32)
    batch = source.batch(0)
    assert batch.image.shape == (4, 3, 32, 32)
    assert batch.masks.shape[1] == 5
    assert all(sentence for texts in batch.texts for text in texts for sentence in text)
    torch.manual_seed(0)
    method = AmbiguousTextDiff(Config(**TINY_CONFIG["ambiguous_text_diff"]), 3, data.labels, data.experts)
    method.loss(batch)["loss"].backward()
    with torch.no_grad():
        p = method.sample(
            method.encode(batch.image), Noise(0, samples=2), method.text_style([[t[0] for t in batch.texts]])
        )
    assert p.shape == (2, 4, 2, 32, 32)


def test_what_is_missing_is_named(ima):
    next((ima / "masks").glob("*A00*")).unlink()
    with pytest.raises(DataError, match="Complete the download"):
        load_ima_plus_plus(ima, EVERY_FOLD)
    (ima / IMAGES).unlink()
    with pytest.raises(DataError, match=IMAGES):
        load_ima_plus_plus(ima, EVERY_FOLD)
