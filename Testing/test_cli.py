"""The command line: what is asked for comes out, whole or not at all, and every mistake is answered in one line."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import slicerio
from dicom_series import write_series
from threshold_model import blob, save_threshold_model

from MultiRaterSegLib.__main__ import main
from MultiRaterSegLib.io import read_volume, write_scalar_volume
from MultiRaterSegLib.predictor import VolumePredictor

PROJECT = Path(__file__).resolve().parents[1]
FILES = {"segmentation.seg.nrrd", "uncertainty.nrrd", "overview.png", "report.json", "report.csv"}
SCAN = blob()
POINT = ",".join(f"{value:g}" for value in SCAN.grid.center)  # begins with a minus sign


def save_scan(folder: Path) -> str:
    """SCAN as a file of a CT."""
    path = folder / "chest.nrrd"
    write_scalar_volume(SCAN.voxels[0], SCAN.grid, path)
    path.with_suffix(".json").write_text('{"Modality": "CT"}')
    return str(path)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return str(save_threshold_model(tmp_path_factory.mktemp("models") / "bright.safetensors"))


@pytest.fixture(scope="module")
def scan(tmp_path_factory) -> str:
    return save_scan(tmp_path_factory.mktemp("scans"))


@pytest.fixture(scope="module")
def done(scan, model, tmp_path_factory) -> Path:
    """A finished run that several tests look at."""
    out = tmp_path_factory.mktemp("run") / "out"
    request = ["--prompt", "tight outline", "--between", "conservative", "inclusive", "0.5", "--save-samples"]
    assert main(["segment", scan, str(out), "--at", POINT, "--model", model, "--samples", "5", *request]) == 0
    return out


def visible(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def test_help_and_mistakes_are_answered_without_loading_anything_heavy():
    code = (
        "import sys\n"
        "from MultiRaterSegLib.__main__ import main\n"
        "try: main(['segment', '--help'])\n"
        "except SystemExit: pass\n"
        "print('heavy:', sorted({'torch', 'numpy', 'matplotlib', 'SimpleITK', 'rich'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert shown.endswith("heavy: []\n")
    assert "Research use only. Not a medical device." in shown


def test_one_lesion_gives_the_promised_files(done):
    assert visible(done) == FILES | {"samples"}


def test_masks_are_what_the_library_predicts(done, model):
    segments = slicerio.read_segmentation(str(done / "segmentation.seg.nrrd"))
    lesion = VolumePredictor.from_checkpoint(model, "cpu").lesion(SCAN, at=SCAN.grid.center)
    expected = {"consensus": lesion.consensus(5).consensus, "expert_inclusive": lesion.style("inclusive", 5).consensus}
    for id_, mask in expected.items():
        [segment] = [one for one in segments["segments"] if one["id"] == id_]
        voxels = segments["voxels"][segment.get("layer", 0)] if segments["voxels"].ndim == 4 else segments["voxels"]
        assert np.array_equal(voxels == segment["labelValue"], mask.transpose(2, 1, 0)), id_
    names = [segment["name"] for segment in segments["segments"]]
    assert names[:3] == ["Consensus", "Conservative (smallest)", "Restrained"]
    assert '"tight outline"' in names
    assert "Nearly all include (>=90 %)" in names


def test_the_uncertainty_map_lies_on_the_scans_voxels(done, model):
    found = read_volume(done / "uncertainty.nrrd")
    lesion = VolumePredictor.from_checkpoint(model, "cpu").lesion(SCAN, at=SCAN.grid.center)
    assert found.grid.same_as(SCAN.grid)
    assert np.allclose(found.voxels[0], lesion.consensus(5).uncertainty, atol=1e-4)  # multiples of 20 %
    assert 0 < found.voxels.max() <= 50


def test_saved_samples_are_every_readers_mask_on_the_part_that_was_looked_at(done, model):
    image = SimpleITK.ReadImage(str(done / "samples" / "consensus.nrrd"))
    prediction = VolumePredictor.from_checkpoint(model, "cpu").consensus(SCAN, at=SCAN.grid.center, samples=5)
    assert np.array_equal(np.moveaxis(SimpleITK.GetArrayFromImage(image), -1, 0), prediction.samples)
    left, back, up = image.TransformIndexToPhysicalPoint((0, 0, 0))
    assert (-left, -back, up) == pytest.approx(tuple(prediction.grid.to_ras((0, 0, 0))))
    assert len(visible(done / "samples")) == 7


def test_the_report_tells_how_a_sentence_was_understood_and_what_made_the_result(done, model):
    report = json.loads((done / "report.json").read_text(encoding="utf-8"))
    kinds = [outline["kind"] for outline in report["outlines"]]
    assert kinds == ["consensus", "expert", "expert", "expert", "expert", "prompt", "between"]
    assert report["outlines"][5]["request"]["understood"] == "extent tight"
    assert report["outlines"][6]["request"]["t"] == 0.5
    assert report["scan"]["file_sha256"]
    assert report["provenance"]["model"] == "bright"
    assert report["in_usual_order"] is True
    medians = [outline["volume_ml"]["median"] for outline in report["outlines"][1:5]]
    assert medians == sorted(medians)


def test_standard_output_is_a_short_table_and_progress_a_line_a_step(scan, model, tmp_path, capfd):
    quick = ["--model", model, "--samples", "2", "--experts", "inclusive"]
    assert main(["segment", scan, str(tmp_path), f"--at={POINT}", *quick]) == 0
    table, progress = capfd.readouterr()
    assert re.search(r"Inclusive \(largest\) +\d+\.\d\d +\d+\.\d\d-\d+\.\d\d", table)
    assert str(tmp_path) in table
    assert "Research use only. Not a medical device." in table
    assert len(progress.splitlines()) == 6
    assert "\x1b" not in table + progress


def test_several_points_give_a_folder_each_and_negative_ones_are_points(scan, model, tmp_path):
    quick = ["--model", model, "--samples", "2", "--experts", "none"]
    assert main(["segment", scan, str(tmp_path), "--at", POINT, "--at", POINT, *quick]) == 0
    assert visible(tmp_path) == {"L1", "L2"}
    assert visible(tmp_path / "L2") == FILES


def test_a_box_can_point_too(scan, model, tmp_path):
    low, high = SCAN.grid.center - 12, SCAN.grid.center + 12
    (tmp_path / "box.json").write_text(json.dumps({"min_ras": low.tolist(), "max_ras": high.tolist()}))
    quick = ["--model", model, "--samples", "3", "--experts", "none"]
    assert main(["segment", scan, str(tmp_path / "out"), "--roi", str(tmp_path / "box.json"), *quick]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["outlines"][0]["volume_ml"]["median"] == pytest.approx(4 / 3 * np.pi * 10 * 7 * 9 / 1000, rel=0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"INPUT": "missing.nrrd"}, "missing.nrrd"),
        ({"--at": "900,0,0"}, "outside the scan"),
        ({"--at": "1,2"}, "three numbers"),
        ({"--model": "unheard_of"}, "unheard_of"),
        ({"--experts": "careful"}, "careful"),
        ({"--prompt": "what is for dinner"}, "cannot be followed"),
        ({"--between": ("conservative", "inclusive", "3")}, "from 0"),
        ({"--samples": "0"}, "at least 1"),
        ({"--device": "abacus"}, "abacus"),
    ],
    ids=lambda value: next(iter(value), "") if isinstance(value, dict) else "",
)
def test_a_mistake_is_one_line_on_standard_error_and_leaves_nothing(change, message, scan, model, tmp_path, capfd):
    options = {"--at": POINT, "--model": model, "--samples": "2"} | change
    arguments = ["segment", options.pop("INPUT", scan), str(tmp_path / "out")]
    for name, value in options.items():
        arguments += [name, *value] if isinstance(value, tuple) else [name, value]
    try:
        code = main(arguments)
    except SystemExit as stop:  # argparse's own way
        code = stop.code
    last = capfd.readouterr().err.splitlines()[-1]
    assert code == 2
    assert last.startswith("error: ")
    assert message in last
    assert list(tmp_path.iterdir()) == []


def test_a_failure_while_writing_leaves_earlier_results_as_they_were(scan, model, tmp_path, monkeypatch):
    quick = ["segment", scan, str(tmp_path), "--at", POINT, "--model", model, "--samples", "2", "--experts", "none"]
    assert main(quick) == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}

    def fails(path, result):
        raise RuntimeError("no room")

    monkeypatch.setattr("MultiRaterSegLib.result_files.write_overview", fails)
    with pytest.raises(RuntimeError, match="no room"):
        main([*quick, "--seed", "1"])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT as a terminal on Linux and macOS does")
@pytest.mark.parametrize("moment", ["Loading", "Outlining: consensus", "Writing"])
def test_ctrl_c_stops_at_once_and_leaves_nothing(moment, scan, model, tmp_path):
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell in the background had it ignored
        "sys.path.insert(0, 'Testing')\n"
        "import threshold_model, MultiRaterSegLib.result_files as files\n"
        "slow = lambda *rest: (time.sleep(30), 1)[1]\n"  # stands for native code that hears nothing
        f"if {moment!r} == 'Writing': files.write_uncertainty = slow\n"
        "from MultiRaterSegLib.__main__ import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    request = ["segment", scan, str(tmp_path / "out"), f"--at={POINT}", "--model", model, "--samples", "5000"]
    if moment == "Writing":
        request[-1] = "2"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *request], cwd=PROJECT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    for line in process.stderr:
        if moment in line:
            break
    time.sleep(0.3)
    pressed = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    took = time.monotonic() - pressed
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1] == "Stopped; nothing was written."
    assert took < 20  # under half a second on a free machine; what is interrupted would go on for longer than this
    assert list(tmp_path.iterdir()) == []


def test_a_dicom_series_comes_back_as_dicom_seg(model, tmp_path):
    pydicom = pytest.importorskip("pydicom")
    pytest.importorskip("highdicom")
    series, at = dicom_scan(tmp_path)
    quick = ["--model", model, "--samples", "2", "--experts", "none"]
    assert main(["segment", str(series), str(tmp_path / "out"), f"--at={at}", *quick]) == 0
    made = pydicom.dcmread(tmp_path / "out" / "segmentation.dcm")
    assert made.Modality == "SEG"
    assert len(made.SegmentSequence) == 4
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["scan"]["series_uid"] == made.ReferencedSeriesSequence[0].SeriesInstanceUID


def test_without_highdicom_everything_else_is_written_and_it_is_said(model, tmp_path, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    series, at = dicom_scan(tmp_path)
    quick = ["--model", model, "--samples", "2", "--experts", "none"]
    assert main(["segment", str(series), str(tmp_path / "out"), f"--at={at}", *quick]) == 0
    assert visible(tmp_path / "out") == FILES
    sentence = json.loads((tmp_path / "out" / "report.json").read_text())["warnings"][-1]
    assert "highdicom" in sentence
    assert sentence in capfd.readouterr().out


def dicom_scan(tmp_path) -> tuple[Path, str]:
    """The blob as DICOM, and its middle."""
    volume = blob(np.diag([-1.0, -1.0, 2.0, 1.0]))
    write_series(tmp_path / "series", volume.voxels[0], spacing=(1.0, 1.0, 2.0), origin=(0.0, 0.0, 0.0))
    return tmp_path / "series", ",".join(f"{value:g}" for value in volume.grid.center)


def test_the_demo_runs_on_the_bundled_scan(model, tmp_path):
    assert main(["demo", str(tmp_path), "--model", model, "--samples", "2"]) == 0
    assert visible(tmp_path) == FILES


def test_models_can_be_installed_listed_and_removed(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MULTIRATERSEG_MODELS", str(tmp_path))
    assert main(["models", "install", model, "--sha256", "00"]) == 2
    assert main(["models", "install", model]) == 0
    capsys.readouterr()
    assert main(["models"]) == 0
    listed = capsys.readouterr().out
    assert "bright\n" in listed
    assert "bright blobs" in listed
    assert re.search(r"SHA-256 +[0-9a-f]{64}", listed)
    assert main(["models", "remove", "bright"]) == 0
    assert list(tmp_path.iterdir()) == []
    assert main(["models", "remove", "bright"]) == 2


def test_a_file_that_is_no_model_is_not_installed(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MULTIRATERSEG_MODELS", str(tmp_path / "models"))
    (tmp_path / "fake.safetensors").write_bytes(b"nothing")
    assert main(["models", "install", str(tmp_path / "fake.safetensors")]) == 2
    assert "not a readable model file" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()
