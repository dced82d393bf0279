"""IMA++ (ISIC MultiAnnot++): dermoscopic images in colour, two to five outlines each, by annotators of known skill and tool.

    images/ISIC_0000004.JPG
    masks/ISIC_0000004_A04_T1_S2_545d08aabae47821f8802550.png
    IMAplusplus_multiannotator_subset_seg_metadata.csv   a mask a line: ISIC_id, img_filename, seg_filename, annotator,
                                                         tool (T1 .. T3), skill_level (S1, S2), ...
    IMAplusplus_img_metadata.csv                         an image a line: isic_id, patient_id, age_approx, sex, ...

Abhishek, Kawahara, Hamarneh (2025), as its published code writes it. AmbiguousTextDiff counts four to seven masks: those
are the annotators' and two made from them, STAPLE ("ST") and a majority vote ("MV"), 9,899 in all. Here only people count.
"""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from MultiRaterSegLib.errors import DataError

from .folds import assign_folds
from .image_table import ranked_experts
from .slices import Slices
from .training_data import TrainingData

MASKS = "IMAplusplus_multiannotator_subset_seg_metadata.csv"
IMAGES = "IMAplusplus_img_metadata.csv"
CONSENSUS = ("ST", "MV")
TOOLS = {"T1": "a manual list of points", "T3": "an autofill tool"}
SKILLS = {"S1": "an expert", "S2": "a novice"}
SIZE, FOLDS = 128, 4
SPACING_MM = 1.0
"""Images do not say how large a pixel is; a frame of 128 pixels of 1 mm sees a whole image, as the papers' methods do."""


def load_ima_plus_plus(root: Path, folds: tuple[int, ...], consensus: bool = False) -> TrainingData:
    """root: the folder of the four. folds: 0 to 3, dealt by patient (the papers split images 70/15/15).

    Images become 128 x 128 whatever their shape, as in the papers. consensus: the two made masks count as well. Raises
    DataError for what is missing or does not have this layout.
    """
    about = {row["isic_id"]: row for row in _table(root / IMAGES, ("isic_id",))}
    drawn = defaultdict(list)
    for row in _table(root / MASKS, ("ISIC_id", "img_filename", "seg_filename", "annotator", "tool", "skill_level")):
        if consensus or row["annotator"] not in CONSENSUS:
            drawn[row["ISIC_id"]].append(row)
    patients = {image: _patient(image, about.get(image, {})) for image in drawn}
    fold_of = assign_folds(patients.values(), FOLDS)
    images = [image for image, patient in patients.items() if fold_of[patient] in folds]
    if not images:
        raise DataError(
            f"'{root / MASKS}' has no image in fold {', '.join(map(str, folds))}. Folds are 0 to {FOLDS - 1}."
        )
    most = max(len(drawn[image]) for image in images)
    parts = [_read(root, image, drawn[image], about.get(image, {}), patients[image], most) for image in images]
    return TrainingData(
        Slices.concatenate(parts),
        ranked_experts(2),
        modality="XC",
        description="single skin lesions in dermoscopic photographs",
        channels=3,
    )


def mask_text(image: dict[str, str], mask: dict[str, str]) -> tuple[str, ...]:
    """What the metadata say of the patient, the lesion and how a mask was drawn; blank fields are not mentioned."""
    patient = " ".join(part for part in (_age(image), image.get("sex") or "patient") if part)
    site, nature = image.get("anatom_site_general", ""), image.get("benign_malignant", "")
    diagnosis = [image[f"diagnosis_{k}"] for k in range(2, 6) if image.get(f"diagnosis_{k}")]
    tool = TOOLS.get(mask["tool"])
    sentences = (
        f"The patient is a {patient}." if patient != "patient" else "",
        f"The dermoscopic image shows a {nature} lesion." if nature else "",
        f"The lesion is on the {site}." if site else "",
        f"The diagnosis is {', '.join(diagnosis)}." if diagnosis else "",
        f"The annotation was performed by {SKILLS[mask['skill_level']]}." if mask["skill_level"] in SKILLS else "",
        f"The annotation was performed with {tool}." if tool else "",
    )
    return tuple(sentence for sentence in sentences if sentence)


def _age(image: dict[str, str]) -> str:
    age = image.get("age_approx", "")
    return f"{float(age):.0f}-year-old" if age else ""


def _patient(image: str, about: dict[str, str]) -> str:
    """The patient, else the lesion, else the image itself: what is known to belong together is not torn apart."""
    return about.get("patient_id") or about.get("lesion_id") or image


def _read(root: Path, image: str, rows: list[dict[str, str]], about: dict[str, str], patient: str, most: int) -> Slices:
    """One image with its masks; places up to `most` are raters who never saw it."""
    pixels = _open(root / "images" / f"{Path(rows[0]['img_filename']).stem}.JPG", "RGB")
    masks = np.zeros((most, SIZE, SIZE), bool)
    texts = np.empty((1, most), object)
    for k in range(most):
        texts[0, k] = mask_text(about, rows[k]) if k < len(rows) else ()
    for k, row in enumerate(rows):
        masks[k] = _open(root / "masks" / row["seg_filename"], "L") > 127
    return Slices(
        images=pixels.transpose(2, 0, 1)[None],
        packed_masks=np.packbits(masks, axis=-1)[None],
        patient=np.array([patient]),
        nodule=np.array([image]),
        slice_index=np.zeros(1, int),
        spacing_mm=np.full(1, SPACING_MM),
        present=(np.arange(most) < len(rows))[None],
        texts=texts,
    )


def _open(path: Path, mode: str) -> np.ndarray:
    """uint8 [128, 128] or [128, 128, 3]: each pixel the mean of those that it covers."""
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert(mode).resize((SIZE, SIZE), Image.Resampling.BOX))
    except FileNotFoundError as error:
        raise DataError(f"'{path}' is missing, though the metadata name it. Complete the download.") from error
    except (OSError, UnidentifiedImageError) as error:
        raise DataError(f"'{path}' cannot be read as an image; it is damaged or something else.") from error


def _table(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    if not path.is_file():
        raise DataError(f"No '{path.name}' in '{path.parent}'. Expected IMA++: images, masks, {MASKS} and {IMAGES}.")
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if missing := [name for name in columns if name not in (reader.fieldnames or ())]:
            raise DataError(f"'{path}' lacks the columns {', '.join(missing)}.")
        return list(reader)
