"""Data sets in the layouts that others published: LIDC as lidc_attributes.pkl, NPC-170 as HDF5."""

import io
import json
import pickle
import pickletools
from pathlib import Path

import numpy as np
import pytest
import torch

from MultiRaterSegLib.__main__ import main as command_line
from MultiRaterSegLib.errors import DataError
from MultiRaterSegLib.frame import Frame
from MultiRaterSegLib.geometry import Grid
from MultiRaterSegLib.io import write_scalar_volume
from MultiRaterSegLib.model_file import read_info
from Training import evaluate, train
from Training.data import DATASETS
from Training.data.batches import BatchSource
from Training.data.lidc_attributes import dpersona_folds, load_lidc_attributes
from Training.data.npc_170 import load_npc_170, patient_and_slice
from Training.data.plain_pickle import read_plain_pickle

h5py = pytest.importorskip("h5py")

# LIDC ----------------------------------------------------------------------------------------------------------------


def lidc_record(patient: int, seed: int, shape=(128, 128)) -> dict:
    rng = np.random.default_rng(seed)
    masks = [np.zeros(shape, np.uint8) for _ in range(4)]
    for rank, mask in enumerate(rng.permutation(4)):
        masks[mask][50 : 60 + rank, 40:70] = 1
    return {
        "image": rng.integers(0, 256, shape).astype(np.uint8),
        "masks": masks,
        "series_uid": f"1.3.6.{patient}_series_{seed}",
        "alpha": np.zeros(shape, np.uint8),
    }


@pytest.fixture
def lidc(tmp_path) -> tuple[Path, dict]:
    """Nine patients with two slices each, as MedicalMatting stores them."""
    records = {f"{n:04d}_{k}": lidc_record(n, 2 * n + k) for n in range(9) for k in range(2)}
    path = tmp_path / "lidc_attributes.pkl"
    path.write_bytes(pickle.dumps(records))
    return path, records


def test_lidc_slices_come_back_bit_for_bit_and_every_fold_once(lidc):
    path, records = lidc
    seen = []
    for fold in range(4):
        data = load_lidc_attributes(path.parent, (fold,))
        for row, key in enumerate(data.slices.nodule):
            np.testing.assert_array_equal(data.slices.images[row], records[key]["image"])
            np.testing.assert_array_equal(data.slices.masks([row])[0], np.array(records[key]["masks"]) > 0)
            assert data.slices.patient[row] == records[key]["series_uid"].split("_")[0]
        seen += data.slices.nodule.tolist()
    assert sorted(seen) == sorted(records)
    assert [e.name for e in data.experts if e.ranked_by == "slice_area"] == ["A1", "A2", "A3", "A4"]


def test_lidc_folds_are_those_of_dpersona():
    """numpy's global generator with seed 1337, then runs of 3, 2, 2, 2 of nine patients."""
    patients = [f"p{n}" for n in (4, 4, 1, 8, 0, 0, 2, 3, 7, 5, 6)]
    expected = ["p4", "p1", "p8", "p0", "p2", "p3", "p7", "p5", "p6"]
    state = np.random.get_state()
    np.random.seed(1337)
    np.random.shuffle(expected)
    np.random.set_state(state)
    found = dpersona_folds(patients)
    assert [found[p] for p in expected] == [0, 0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_pickle_protocol_and_kind_of_array_is_read(tmp_path, protocol):
    rng = np.random.default_rng(0)
    value = {
        "bytes": rng.integers(0, 256, (3, 5), np.uint8),
        "bool": rng.random((2, 2, 3)) < 0.5,
        "columns": np.asfortranarray(rng.normal(size=(4, 3))),
        "big_endian": rng.integers(-9, 9, (4,)).astype(">i2"),
        "number": np.float64(0.1),
        "nested": [(1, "text", None), [2.5, True]],
    }
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(value, protocol))
    found = read_plain_pickle(tmp_path / "x.pkl")
    for name in ("bytes", "bool", "columns", "big_endian"):
        np.testing.assert_array_equal(found[name], value[name])
    assert found["columns"].dtype == np.float64
    assert (found["number"], found["nested"]) == (0.1, value["nested"])


def test_names_of_numpy_1_are_read(tmp_path):
    """numpy 2 writes numpy._core; files of numpy 1 say numpy.core."""
    content = pickle.dumps(np.arange(6).reshape(2, 3), 2)
    assert b"numpy._core" in content
    (tmp_path / "x.pkl").write_bytes(content.replace(b"numpy._core", b"numpy.core"))
    np.testing.assert_array_equal(read_plain_pickle(tmp_path / "x.pkl"), [[0, 1, 2], [3, 4, 5]])


class Malicious:
    """What a hostile file would hold: a call that the reader is asked to make."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def hostile(tmp_path: Path) -> dict[str, object]:
    mark = str(tmp_path / "mark")
    return {
        "builtins.open": Malicious(open, mark, "w"),
        "builtins.eval": Malicious(eval, f"open({mark!r}, 'w')"),
        "numpy.save": Malicious(np.save, mark, np.zeros(1)),
        "inside an array": np.array([Malicious(open, mark, "w")], object),
    }


@pytest.mark.parametrize("kind", ["builtins.open", "builtins.eval", "numpy.save", "inside an array"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_malicious_pickle_is_refused_and_nothing_is_run(tmp_path, kind, protocol):
    record = lidc_record(0, 0) | {"image": hostile(tmp_path)[kind]}
    path = tmp_path / "lidc_attributes.pkl"
    path.write_bytes(pickle.dumps({"0": record}, protocol))
    with pytest.raises(DataError, match="not a plain data file"):
        load_lidc_attributes(path, (0,))
    assert not list(tmp_path.glob("mark*"))
    pickle.loads(path.read_bytes())  # the attack itself works
    assert list(tmp_path.glob("mark*"))


def test_a_name_reached_through_an_allowed_one_is_refused(tmp_path):
    content = pickle.dumps(np.ndarray, 4).replace(b"\x8c\x07ndarray", b"\x8c\x0bndarray.max")
    pickletools.dis(content, io.StringIO())  # well-formed
    (tmp_path / "x.pkl").write_bytes(content)
    with pytest.raises(DataError, match=r"numpy\.ndarray\.max"):
        read_plain_pickle(tmp_path / "x.pkl")


def test_an_array_that_claims_more_than_its_bytes_is_refused(tmp_path):
    content = pickle.dumps(np.zeros((3, 7), np.uint8), 2)
    assert content.count(b"K\x03K\x07\x86") == 1
    (tmp_path / "x.pkl").write_bytes(content.replace(b"K\x03K\x07\x86", b"K\xffK\xff\x86"))
    with pytest.raises(DataError, match="damaged"):
        read_plain_pickle(tmp_path / "x.pkl")


def test_crops_of_other_sizes_are_padded_and_scaled(tmp_path):
    record = lidc_record(0, 0, (64, 32))
    record["masks"] = [np.ones((64, 32), np.uint8)] * 4
    (tmp_path / "lidc_attributes.pkl").write_bytes(pickle.dumps({"0": record}))
    slices = load_lidc_attributes(tmp_path, (0,)).slices
    assert slices.images.shape == (1, 128, 128)
    expected = np.zeros((128, 128), bool)
    expected[:, 32:96] = True
    np.testing.assert_array_equal(slices.masks([0])[0, 2], expected)
    assert not slices.images[0, :, :30].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"masks": None, "series_uid": None}, "lacks masks, series_uid"),
        ({"masks": [np.zeros((128, 128))] * 3}, "4 masks of one size"),
        ({"image": np.zeros((64, 128))}, "4 masks of one size"),
        ({"image": np.full((128, 128), 300.0)}, "Expected 0 to 255"),
        ({"masks": [np.full((128, 128), 0.5)] * 4}, "other values than 0 and 1"),
    ],
)
def test_a_wrong_lidc_record_is_named(tmp_path, change, message):
    record = {k: v for k, v in (lidc_record(0, 0) | change).items() if v is not None}
    (tmp_path / "lidc_attributes.pkl").write_bytes(pickle.dumps({"0017_3": record}))
    with pytest.raises(DataError, match=f"'0017_3'.*{message}"):
        load_lidc_attributes(tmp_path, (0,))


def test_missing_and_damaged_pickles_are_explained(tmp_path, lidc):
    with pytest.raises(DataError, match="cannot be read"):
        load_lidc_attributes(tmp_path / "gone.pkl", (0,))
    lidc[0].write_bytes(lidc[0].read_bytes()[:5000])
    with pytest.raises(DataError, match="damaged"):
        load_lidc_attributes(lidc[0], (0,))
    lidc[0].write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(DataError, match="dict of slices"):
        load_lidc_attributes(lidc[0], (0,))


# NPC-170 -------------------------------------------------------------------------------------------------------------


def write_h5(path: Path, shape: tuple[int, ...], seed: int, empty: int = 0, **replaced) -> dict[str, np.ndarray]:
    """The public names; the first `empty` slices show nothing."""
    rng = np.random.default_rng(seed)
    arrays = {name: rng.normal(100, 20, shape).astype(np.float32) for name in ("t1", "t1c", "t2")}
    for rank in range(4):
        label = np.zeros(shape, np.uint8)
        label[..., 30 : 40 + 2 * rank, 20:50] = 1
        arrays[f"label_a{rank + 1}"] = label
    for name in arrays:
        arrays[name][:empty] = 0
    arrays |= replaced
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            if array is not None:
                file[name] = array
    return arrays


@pytest.fixture
def npc(tmp_path) -> Path:
    """Two training patients of two slices, one validation and one test volume."""
    for patient in (1, 2):
        for number in (9, 10):
            write_h5(tmp_path / "training_2d" / f"Sample_{patient:03d}_slice_{number}.h5", (128, 128), number)
    write_h5(tmp_path / "validation" / "Sample_101.h5", (5, 128, 128), 1, empty=2)
    write_h5(tmp_path / "testing" / "Sample_121.h5", (2, 64, 256), 2)
    return tmp_path


def test_npc_slices_and_volumes_become_three_channel_slices(npc):
    data = load_npc_170(npc, (0, 1))
    slices = data.slices
    assert slices.images.shape == (4 + 3, 3, 128, 128)
    assert (data.channels, data.modality, slices.channels) == (3, "MR", 3)
    assert slices.patient.tolist() == ["Sample_001"] * 2 + ["Sample_002"] * 2 + ["Sample_101"] * 3
    assert slices.slice_index.tolist() == [9, 10, 9, 10, 2, 3, 4]
    with h5py.File(npc / "validation" / "Sample_101.h5") as file:
        np.testing.assert_array_equal(slices.images[4, 1], file["t1c"][2])
        np.testing.assert_array_equal(slices.masks([6])[0, 3], file["label_a4"][4] > 0)


def test_npc_raters_are_persons_in_their_own_order(npc):
    data = load_npc_170(npc, (0,))
    assert [(e.name, e.ranked_by) for e in data.experts] == [(f"a{n}", "rater") for n in (1, 2, 3, 4)]
    source = BatchSource(data.slices, Frame(size=128, spacing_mm=1.0), data.experts, batch_size=4, window=64)
    batch = source.batch(0)
    assert batch.image.shape == (4, 3, 64, 64)
    assert torch.isfinite(batch.image).all()
    assert {name: index.tolist() for name, index in batch.targets.items()} == {f"a{n + 1}": [n] * 4 for n in range(4)}


def test_npc_slices_of_other_sizes_are_zoomed_by_nearest_neighbours(npc):
    slices = load_npc_170(npc, (2,)).slices
    with h5py.File(npc / "testing" / "Sample_121.h5") as file:
        t2, label = file["t2"][0], file["label_a1"][0]
    assert np.isin(slices.images[0, 2], t2).all()
    assert slices.areas_px[0, 0] == pytest.approx(label.sum(), rel=0.1)


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("Sample_007_slice_12", ("Sample_007", 12)),
        ("Sample_007_12", ("Sample_007", 12)),
        ("case12-slice003", ("case12", 3)),
        ("Sample_121", ("Sample_121", 0)),
    ],
)
def test_patient_and_slice_come_from_the_file_name(stem, expected):
    assert patient_and_slice(stem) == expected


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"t2": None, "label_a3": None}, "lacks t2, label_a3"),
        ({"t2": np.zeros((3, 3))}, "arrays of one size"),
        ({"label_a2": np.full((128, 128), 2)}, "other values than 0 and 1"),
    ],
)
def test_a_wrong_npc_file_is_named(tmp_path, replaced, message):
    write_h5(tmp_path / "training_2d" / "Sample_001_slice_1.h5", (128, 128), 0, **replaced)
    with pytest.raises(DataError, match=f"Sample_001_slice_1.h5'.*{message}"):
        load_npc_170(tmp_path, (0,))


def test_missing_npc_files_and_folds_are_explained(tmp_path):
    with pytest.raises(DataError, match="No .h5 files"):
        load_npc_170(tmp_path, (0,))
    with pytest.raises(DataError, match="0 .training_2d."):
        load_npc_170(tmp_path, (3,))
    write_h5(tmp_path / "testing" / "x.h5", (2, 128, 128), 0, empty=2)
    with pytest.raises(DataError, match="every image is constant"):
        load_npc_170(tmp_path, (2,))
    (tmp_path / "testing" / "x.h5").write_bytes(b"not HDF5")
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        load_npc_170(tmp_path, (2,))


def test_a_scanner_left_out_of_training_has_a_data_set_of_its_own():
    assert {"lidc_attributes", "npc_170", "simulated_without_sharp"} <= set(DATASETS)


# From the file to the table ------------------------------------------------------------------------------------------

TINY = (
    *("frame.size=32", "frame.spacing_mm=4.0", "batches.size=2", "batches.window=32", "precision='32-true'"),
    *("data.folds=[0]", "data.validation_share=0.5", "model.widths=[8,16]", "model.posterior_widths=[8,16]"),
    *("stage.latent.steps=1", "stage.latent.validate_every=1"),
    *("stage.personalise.steps=1", "stage.personalise.validate_every=1"),
)


def trained(folder: Path, data_set: str, *more: str) -> int:
    settings = [part for value in (*TINY, f"data.name={data_set}", f"data.root={folder}") for part in ("--set", value)]
    return train.main(["prosona_compact", "--out", str(folder / "run"), *settings, *more])


@pytest.mark.parametrize(
    ("layout", "data_set", "stages", "fold", "readers"),
    [
        ("lidc", "lidc_attributes", ("latent", "personalise"), 3, ["A1", "A2", "A3", "A4"]),
        ("npc", "npc_170", ("latent",), 2, ["a1", "a2", "a3", "a4"]),
    ],
)
def test_a_model_is_trained_and_scored_on_each_layout(
    request, tmp_path, layout, data_set, stages, fold, readers, capsys
):
    request.getfixturevalue(layout)
    assert trained(tmp_path, data_set, "--stages", *stages) == 0, capsys.readouterr().err
    data = ["--data-set", data_set, "--root", tmp_path, "--folds", fold, "--subset", "all"]
    drawn = ["--samples", 4, "--seeds", 0, "--expert-samples", 1, "--out", tmp_path / "out"]
    assert evaluate.main([str(value) for value in (tmp_path / "run", *data, *drawn)]) == 0, capsys.readouterr().err
    table = json.loads((tmp_path / "out" / "table.json").read_text())
    assert table["about"]["trained_on"] == []
    assert [n.removeprefix("matched_") for n in table["figures"]["experts"] if n.startswith("matched_")] == readers
    assert table["about"]["slices"] == {"lidc": 4, "npc": 2}[layout]


# From NPC-170 to an outline ---------------------------------------------------------------------------------------------

FEW_STEPS = ("steps=3", "validate_every=3", "warmup_steps=1")
SMALL = ("widths=[8,16]", "backbone='compact'")
SMALL_LATENT = (*SMALL, "posterior_widths=[8,16]")
NAMED_READERS = {
    "harmonizer_compact": (("latent", "personalise"), (*SMALL_LATENT, "token_dim=8", "prompt_grid=4")),
    "dpersona_compact": (("latent", "personalise"), (*SMALL_LATENT, "query_widths=[8,8]")),
    "unet_heads_compact": (("styles",), SMALL),
}


@pytest.mark.parametrize("recipe", NAMED_READERS)
def test_a_radiologist_of_npc_outlines_a_new_examination_of_three_sequences(recipe, npc, tmp_path, capsys):
    stages, model = NAMED_READERS[recipe]
    settings = [*TINY[:7], *(f"model.{value}" for value in model), "data.name='npc_170'", f"data.root='{npc}'"]
    settings += [f"stage.{stage}.{value}" for stage in stages for value in FEW_STEPS]
    run = tmp_path / "run"
    command = [recipe, "--out", str(run), *(part for value in settings for part in ("--set", value))]
    assert train.main(command) == 0, capsys.readouterr().err

    data = ["--data-set", "npc_170", "--root", npc, "--folds", 1, "--subset", "all", "--out", tmp_path / "table"]
    drawn = ["--samples", 4, "--seeds", 0, "--expert-samples", 1]
    assert evaluate.main([str(value) for value in (run, *data, *drawn)]) == 0, capsys.readouterr().err
    figures = json.loads((tmp_path / "table" / "table.json").read_text())["figures"]["experts"]
    assert {f"matched_a{n}" for n in (1, 2, 3, 4)} <= set(figures)
    said = read_info(run / "best.safetensors")
    assert said["recipe"]["data"]["name"] == "npc_170"
    assert str(npc) not in json.dumps(said)  # folders of whoever trained it

    first, second, third = examination(npc, tmp_path)
    place = ["--at=-35,-35,4", "--samples", "2", "--model", str(run), "--experts", "A3"]
    assert command_line(["segment", first, str(tmp_path / "out"), *place]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: 't1.nrrd' holds 1 image; the model best reads 3 together (T1, T1 with contrast, T2). "
        "Give the others with --channel, in this order."
    )
    sequences = ["--channel", second, "--channel", third]
    assert command_line(["segment", first, str(tmp_path / "out"), *sequences, *place]) == 0, capsys.readouterr().err
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [outline["title"] for outline in report["outlines"]] == ["Consensus", "Radiologist A3"]
    assert report["label"] == "tumour"
    assert report["scan"]["source"] == "t1.nrrd + t1c.nrrd + t2.nrrd"
    assert report["in_usual_order"] is None
    assert "nasopharyngeal" in report["provenance"]["trained_for"]


def examination(npc: Path, folder: Path) -> list[str]:
    """The three sequences of a volume that no training saw, as files of their own."""
    with h5py.File(npc / "testing" / "Sample_121.h5") as file:
        stacks = {name: np.repeat(np.asarray(file[name]), 6, 0) for name in ("t1", "t1c", "t2")}
    grid = Grid(next(iter(stacks.values())).shape, np.diag([-1.0, -1.0, 1.0, 1.0]))
    for name, voxels in stacks.items():
        write_scalar_volume(voxels, grid, folder / f"{name}.nrrd")
        (folder / f"{name}.json").write_text('{"Modality": "MR"}')
    return [str(folder / f"{name}.nrrd") for name in stacks]


def test_raters_that_no_sentence_speaks_of_are_refused_by_prosona(npc, capsys):
    assert trained(npc, "npc_170") == 2
    assert "none speaks of a1, a2, a3, a4" in capsys.readouterr().err
