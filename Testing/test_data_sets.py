"""Data sets from files: the public PNG folders become prepared folds, and a CSV of any images becomes slices."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from PIL import Image

from MultiRaterSegLib.errors import DataError
from Training.data.folds import assign_folds
from Training.data.image_table import load_image_table, ranked_experts
from Training.data.lidc_slices import LidcSlices
from Training.prepare import main, prepare

PROJECT = Path(__file__).resolve().parents[1]


def write_png(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def export_slice(root: Path, patient: str, nodule: int, number: int, image: np.ndarray, masks: np.ndarray) -> None:
    """The public layout; image uint8 [128, 128], masks bool [4, 128, 128]."""
    folder = root / patient / f"nodule-{nodule}"
    write_png(folder / "images" / f"slice-{number}.png", image)
    for reader, mask in enumerate(masks):
        write_png(folder / f"mask-{reader}" / f"slice-{number}.png", mask.astype(np.uint8) * 255)


@pytest.fixture
def pngs(tmp_path) -> Path:
    """Five patients with one nodule of two slices, numbered 9 and 10 (which sort differently as text)."""
    rng = np.random.default_rng(0)
    for patient in range(5):
        for number in (10, 9):
            image = rng.integers(0, 256, (128, 128), dtype=np.uint8)
            masks = np.zeros((4, 128, 128), bool)
            masks[:3, 40 : 60 + patient, 50:70] = True
            export_slice(tmp_path / "png", f"P{patient}", 0, number, image, masks)
    return tmp_path / "png"


def test_exported_rows_come_back_bit_for_bit(tmp_path, shared):
    with np.load(shared / "data" / "lidc_slices" / "fold0.npz") as archive:
        fold = {key: archive[key][:60] for key in archive.files}
    masks = np.unpackbits(fold["mask_bits"], axis=-1).astype(bool)
    for row in range(60):
        identity = (fold["patient"][row], int(fold["nodule"][row]), int(fold["slice"][row]))
        export_slice(tmp_path / "png", *identity, fold["image"][row], masks[row])
    prepare(tmp_path / "png", tmp_path / "out", folds=2)
    parts = [np.load(tmp_path / "out" / f"fold{n}.npz") for n in range(2)]
    assert set(parts[0].files) == set(fold)
    assert not set(parts[0]["patient"]) & set(parts[1]["patient"])
    made = {key: np.concatenate([part[key] for part in parts]) for key in fold}
    back = np.lexsort((made["slice"], made["nodule"], made["patient"]))
    there = np.lexsort((fold["slice"], fold["nodule"], fold["patient"]))
    for key in ("image", "mask_bits", "patient", "nodule", "slice"):
        np.testing.assert_array_equal(made[key][back], fold[key][there])
        assert made[key].dtype.kind == fold[key].dtype.kind
    for key in ("ratings", "pixel_spacing_mm", "slice_thickness_mm"):
        assert made[key].dtype == fold[key].dtype
    assert not made["ratings"].any()
    assert np.isnan(made["pixel_spacing_mm"]).all()


def test_slices_ascend_and_patients_keep_together(pngs, tmp_path):
    counts = prepare(pngs, tmp_path / "out", folds=2)
    assert sorted(counts) == [(2, 4), (3, 6)]
    slices = LidcSlices.load([tmp_path / "out" / f"fold{n}.npz" for n in range(2)])
    assert slices.slice_index.tolist() == [9, 10] * 5
    assert (slices.areas_px > 0).sum(1).tolist() == [3] * 10


def test_excluded_patients_are_left_out(pngs, tmp_path):
    (tmp_path / "list.txt").write_text("P1\nP3\nunknown\n")
    prepare(pngs, tmp_path / "out", folds=1, exclude=tmp_path / "list.txt")
    assert set(np.load(tmp_path / "out" / "fold0.npz")["patient"]) == {"P0", "P2", "P4"}


def test_spacing_comes_from_its_table(pngs, tmp_path):
    (tmp_path / "s.csv").write_text("patient,pixel_spacing_mm,slice_thickness_mm\nP0,0.625,\nP2,0.7,2.5\n")
    prepare(pngs, tmp_path / "out", folds=1, spacing=tmp_path / "s.csv")
    made = np.load(tmp_path / "out" / "fold0.npz")
    np.testing.assert_allclose(made["pixel_spacing_mm"][::2], [0.625, np.nan, 0.7, np.nan, np.nan])
    np.testing.assert_allclose(made["slice_thickness_mm"][::2], [np.nan, np.nan, 2.5, np.nan, np.nan])


def break_missing_mask(nodule: Path) -> None:
    (nodule / "mask-2" / "slice-10.png").unlink()


def break_size(nodule: Path) -> None:
    write_png(nodule / "mask-1" / "slice-9.png", np.zeros((64, 128), np.uint8))


def break_values(nodule: Path) -> None:
    write_png(nodule / "mask-0" / "slice-9.png", np.arange(128, dtype=np.uint8)[None].repeat(128, 0))


def break_color(nodule: Path) -> None:
    write_png(nodule / "images" / "slice-9.png", np.zeros((128, 128, 3), np.uint8))


def break_name(nodule: Path) -> None:
    (nodule / "images" / "slice-9.png").rename(nodule / "images" / "nine.png")


def break_file(nodule: Path) -> None:
    (nodule / "images" / "slice-9.png").write_bytes(b"not a picture")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_missing_mask, r"mask-2.slice-10.png' is missing \(1 of 2"),
        (break_size, "mask-1.slice-9.png' has 128 x 64 pixels"),
        (break_values, "mask-0.slice-9.png' is not a mask: it holds the values 0, 1, 2"),
        (break_color, "images.slice-9.png' is a colour image"),
        (break_name, "nine.png': expected a name like slice-0.png"),
        (break_file, "images.slice-9.png' cannot be read"),
    ],
)
def test_a_damaged_folder_is_named_and_nothing_is_written(pngs, tmp_path, damage, message):
    damage(pngs / "P3" / "nodule-0")
    with pytest.raises(DataError, match=message):
        prepare(pngs, tmp_path / "out", folds=2)
    assert not list(tmp_path.glob("out/*.npz"))


def test_no_patients_and_too_many_folds_are_explained(pngs, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="No patients in"):
        prepare(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(DataError, match="There is no folder"):
        prepare(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(DataError, match="5 patients cannot be dealt to 6 folds"):
        prepare(pngs, tmp_path / "out", folds=6)


def test_the_command_says_what_is_wrong_in_one_line(tmp_path, capsys):
    assert main([str(tmp_path / "nowhere"), str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith("prepare.py: There is no folder")


def test_help_needs_no_heavy_library():
    code = "import sys; from Training.prepare import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "sys.exit(any(name in sys.modules for name in ('torch', 'SimpleITK', 'numpy')))"
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode() or "a heavy library was imported"
    assert time.monotonic() - started < 60


def test_folds_depend_on_the_patients_only():
    names = [f"P{n}" for n in range(21)]
    folds = assign_folds(names * 3, 4, seed=5)
    assert folds == assign_folds(reversed(names), 4, seed=5)
    assert folds != assign_folds(names, 4, seed=6)
    assert sorted(np.bincount(list(folds.values())).tolist()) == [5, 5, 5, 6]


# Tables of images ----------------------------------------------------------------------------------------------------


@pytest.fixture
def scan() -> tuple[np.ndarray, np.ndarray]:
    """Upright voxels float32 [12, 40, 48], and a mask of slices 5..7."""
    image = np.random.default_rng(1).normal(-800, 100, (12, 40, 48)).astype(np.float32)
    mask = np.zeros(image.shape, bool)
    mask[5:8, 10:18, 20:30] = True
    return image, mask


def save(path: Path, voxels: np.ndarray, code: str = "LPS") -> None:
    """Upright voxels (LPS) at 0.8 x 0.8 x 2.5 mm, stored with their axes in the given order and directions."""
    image = SimpleITK.GetImageFromArray(voxels.astype(np.uint8) if voxels.dtype == bool else voxels)
    image.SetSpacing((0.8, 0.8, 2.5))
    image.SetOrigin((-30.0, 12.0, 100.0))
    SimpleITK.WriteImage(SimpleITK.DICOMOrient(image, code), str(path), True)


def table(folder: Path, *lines: str) -> Path:
    path = folder / "table.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(("suffix", "code"), [("nrrd", "LPS"), ("nii.gz", "RAS"), ("nrrd", "PIR")])
def test_a_volume_becomes_its_own_upright_pixels(tmp_path, scan, suffix, code):
    image, mask = scan
    save(tmp_path / f"ct.{suffix}", image, code)
    save(tmp_path / f"a.{suffix}", mask, code)
    save(tmp_path / f"nothing.{suffix}", np.zeros_like(mask), code)
    header = "image,patient,mask_anna,mask_ben,mask_carl"
    path = table(tmp_path, header, f"ct.{suffix},p1,a.{suffix},,nothing.{suffix}")
    data = load_image_table(path, (0,))
    slices = data.slices
    assert slices.images.shape == (5, 128, 128)  # three outlined, one beyond each end
    assert slices.images.dtype == np.float32
    top, left = (
        64 - 14,
        64 - 25,
    )  # the lesion's centre, between rows 13|14 and columns 24|25, comes to the crop's centre
    np.testing.assert_array_equal(slices.images[:, top : top + 40, left : left + 48], image[4:9])
    np.testing.assert_array_equal(slices.masks(slice(None))[:, 0, top : top + 40, left : left + 48], mask[4:9])
    np.testing.assert_array_equal(slices.images[:, 0, left : left + 48], image[4:9, 0])  # beyond the scan: its edge
    assert slices.areas_px[:, 0].tolist() == [0, 80, 80, 80, 0]
    assert slices.present.tolist() == [[True, False, True]] * 5
    assert slices.spacing_mm == pytest.approx(0.8)


def test_stable_raters_are_the_experts_and_anonymous_ones_are_ranked(tmp_path, scan):
    image, mask = scan
    save(tmp_path / "ct.nrrd", image)
    save(tmp_path / "a.nrrd", mask)
    path = table(tmp_path, "image,patient,mask_anna,mask_ben,mask_3", "ct.nrrd,p1,a.nrrd,a.nrrd,a.nrrd")
    stable = load_image_table(path, (0,)).experts
    assert [(expert.name, expert.ranked_by) for expert in stable] == [
        ("anna", "rater"),
        ("ben", "rater"),
        ("3", "rater"),
    ]
    ranked = load_image_table(path, (0,), experts="ranks").experts
    assert ranked == ranked_experts(3)
    assert [expert.name for expert in ranked] == ["conservative", "rank_2", "inclusive", "A1", "A2", "A3"]


def test_pictures_of_one_lesion_count_on(tmp_path, scan):
    image, mask = scan
    for number in (5, 6):
        write_png(tmp_path / f"{number}.png", (image[number].clip(-1000, -600) + 1000).astype(np.uint16))
        write_png(tmp_path / f"m{number}.png", mask[number].astype(np.uint8) * 255)
    write_png(tmp_path / "none.png", np.zeros((40, 48), np.uint8))
    path = table(
        tmp_path,
        "image,patient,mask_1,mask_2,lesion,spacing",
        "5.png,p1,m5.png,none.png,left,0.25",
        "6.png,p1,m6.png,,left,0.25",
    )
    slices = load_image_table(path, (0,), experts="ranks").slices
    assert slices.slice_index.tolist() == [0, 1]
    assert len(np.unique(slices.lesion)) == 1
    assert slices.areas_px.tolist() == [[80, 0], [80, 0]]
    assert slices.present.tolist() == [[True, True], [True, False]]
    assert slices.spacing_mm.tolist() == [0.25, 0.25]
    assert slices.images.max() > 300  # 16 bits, not cut to 8


def test_a_large_lesion_widens_all_crops(tmp_path):
    image = np.random.default_rng(2).normal(size=(3, 200, 200)).astype(np.float32)
    mask = np.zeros(image.shape, bool)
    mask[1, 20:170, 30:60] = True
    save(tmp_path / "ct.nrrd", image)
    save(tmp_path / "a.nrrd", mask)
    slices = load_image_table(table(tmp_path, "image,patient,mask_1", "ct.nrrd,p1,a.nrrd"), (0,)).slices
    assert slices.images.shape == (3, 192, 192)
    assert slices.areas_px.max() == mask.sum()


def test_folds_come_from_the_table_or_are_dealt_by_patient(tmp_path, scan):
    image, mask = scan
    save(tmp_path / "ct.nrrd", image)
    save(tmp_path / "a.nrrd", mask)
    rows = [f"ct.nrrd,p{n},a.nrrd" for n in range(8)]
    dealt = table(tmp_path, "image,patient,mask_1", *rows)
    parts = [set(load_image_table(dealt, (fold,)).slices.patient) for fold in range(4)]
    assert [len(part) for part in parts] == [2, 2, 2, 2]
    assert len(set.union(*parts)) == 8
    given = table(tmp_path, "image,patient,mask_1,fold", *[f"{row},{n // 4}" for n, row in enumerate(rows)])
    assert set(load_image_table(given, (1,)).slices.patient) == {"p4", "p5", "p6", "p7"}


HEADER = "image,patient,mask_1,mask_2,fold,spacing"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["picture,patient,mask_1", "x,p,y"], "line 1: the header lacks image"),
        (["image,patient", "x,p"], "line 1: the header lacks mask_1"),
        (["image,patient,mask_1,age", "x,p,y,3"], "unknown or doubled columns: .'age'."),
        ([HEADER], "no rows"),
        ([HEADER, "ct.nrrd,,a.nrrd,,,"], "line 2: the patient is blank"),
        ([HEADER, "ct.nrrd,p1,,,,"], "line 2: every mask is blank"),
        ([HEADER, "ct.nrrd,p1,a.nrrd,,0,", "ct.nrrd,p1,gone.nrrd,,0,"], "line 3: mask_1 'gone.nrrd' does not exist"),
        ([HEADER, "ct.nrrd,p1,a.nrrd,,x,"], "line 2: fold is 'x'"),
        ([HEADER, "ct.nrrd,p1,a.nrrd,,0,-3"], "line 2: spacing is '-3'"),
        ([HEADER, "ct.nrrd,p1,a.nrrd,,0,", "ct.nrrd,p1,a.nrrd,,1,"], "line 3: patient 'p1' is in fold 1 here, but in"),
        ([HEADER, "ct.nrrd,p1,a.nrrd,,5,"], "no rows in fold 0"),
        ([HEADER, "ct.nrrd,p1,a.nrrd,short.nrrd,0,"], "line 2: the masks do not lie on one grid: 'short.nrrd'"),
        ([HEADER, "ct.nrrd,p1,short.nrrd,,0,"], "line 2: the masks do not lie on the image"),
        ([HEADER, "ct.nrrd,p1,ct.nrrd,,0,"], "line 2: 'ct.nrrd' is not one mask: it holds the values"),
        ([HEADER, "ct.nrrd,p1,table.csv,,0,"], "line 2: 'table.csv' cannot be read"),
        ([HEADER, "ct.nrrd,p1,empty.nrrd,,0,"], "line 2: nobody outlined anything"),
        ([HEADER, "gray.png,p1,gray.png,,0,"], "line 2: 'gray.png' does not say how large its pixels are"),
        ([HEADER, "gray.png,p1,color.png,,0,0.7"], "line 2: 'color.png' is a colour image"),
    ],
)
def test_a_wrong_table_is_explained_with_its_line(tmp_path, scan, lines, message):
    image, mask = scan
    save(tmp_path / "ct.nrrd", image)
    save(tmp_path / "a.nrrd", mask)
    save(tmp_path / "short.nrrd", mask[:9])
    save(tmp_path / "empty.nrrd", np.zeros_like(mask))
    write_png(tmp_path / "gray.png", np.eye(32, dtype=np.uint8))
    write_png(tmp_path / "color.png", np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(DataError, match=message):
        load_image_table(table(tmp_path, *lines), (0,))


def test_a_table_that_is_not_there_is_explained(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        load_image_table(tmp_path / "gone.csv", (0,))
