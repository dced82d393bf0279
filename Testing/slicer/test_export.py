"""A lesion leaves Slicer: what other programs find in the files, and that no file is half-written or overwritten."""

import csv
import errno
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
import slicer
import slicerio
from MultiRaterSegSlicer.export import lesion as export
from orientations import TILTED, UPRIGHT, affine_of
from scene_cases import (
    MODEL,
    SENTENCE,
    SHAPE,
    Case,
    everything_in,
    hierarchy_of,
    ids_in,
    keep_hierarchy,
    mask_of,
    paint,
    places_of,
    rounded,
)
from scipy.spatial.transform import Rotation

from MultiRaterSegLib.errors import MultiRaterSegError, UnsupportedRequest, VolumeError

sys.path.append(str(Path(__file__).resolve().parents[1]))
from dicom_series import write_series

ALL = ["consensus", "expert_inclusive", "prompt_1"]


def lesion_of(case):
    """A consensus, an expert that was reviewed, a sentence; an edited copy."""
    lesion = case.lesion()
    lesion.add("consensus", case.answer("consensus", 4, 5, 6, 7, 8), MODEL)
    lesion.add("inclusive", case.answer("inclusive", 7, 8, 9))
    lesion.add(SENTENCE, case.answer(SENTENCE, 5))
    lesion.review("inclusive", "flagged", "leaks into the vessel")
    paint(case, lesion.edit_copy(SENTENCE), "prompt_1")
    return lesion


@pytest.mark.parametrize("axes", [UPRIGHT[30], TILTED[0], UPRIGHT[1]], ids=["right-handed", "tilted", "left-handed"])
def test_nrrd_holds_every_outline_band_and_copy_where_it_is_now(host, tmp_path, axes):
    case = Case(host.scene, axes)
    lesion = lesion_of(case)
    before = everything_in(host.scene)
    path = export.write_nrrd(lesion, tmp_path / "lesion.seg.nrrd")
    assert everything_in(host.scene) == before
    content = slicerio.read_segmentation(str(path))
    names = [segment["name"] for segment in content["segments"]]
    assert names[:3] == ["Consensus", "Inclusive (largest)", f'"{SENTENCE}"']
    assert names[3:6] == ["Nearly all include (>=90 %)", "Most (50-90 %)", "Some (10-50 %)"]
    assert names[6].startswith('Edited "include the')
    to_ras = np.diag([-1, -1, 1, 1]) @ content["ijkToLPS"]
    shown = [mask_of(lesion.agreement_node, "consensus", case.scan)]
    shown += [mask_of(lesion.styles_node, id_, case.scan) for id_ in ids_in(lesion.styles_node)]
    shown += [mask_of(lesion.agreement_node, id_, case.scan) for id_ in ids_in(lesion.agreement_node)[1:]]
    shown += [mask_of(lesion.edited_nodes[0], "prompt_1", case.scan)]
    voxels = content["voxels"] if content["voxels"].ndim == 4 else content["voxels"][None]
    for segment, mask in zip(content["segments"], shown, strict=True):
        found = voxels[segment.get("layer", 0)] == segment["labelValue"]
        assert places_of(found.transpose(2, 1, 0), to_ras) == places_of(mask, affine_of(axes)), segment["name"]
    tags = content["segments"][1]["tags"]
    assert (tags["MultiRaterSeg.expert"], tags["MultiRaterSeg.review"]) == ("inclusive", "flagged")
    assert content["segments"][1]["terminology"]["type"][1] == "27925004"


def dicom_case(host, folder, axes=None):
    """A series that Slicer itself loaded."""
    voxels = np.random.default_rng(0).integers(0, 1000, SHAPE).astype(np.int16)
    files = write_series(folder, voxels, (0.7, 0.9, 2.5), (-50, -60, 70), axes, shuffle=False)
    keep_hierarchy(host.scene)
    scan = host.logics["volumes"].AddArchetypeVolume(str(files[0]), "Chest", 0)
    assert scan.GetImageData().GetDimensions() == SHAPE[::-1]
    return Case(host.scene, scan=scan)


def frames_by_place(path) -> dict[str, set]:
    """Reads a DICOM SEG with pydicom alone: where the pixels of each segment lie, RAS mm rounded, by label."""
    seg = pydicom.dcmread(path)
    labels = {int(item.SegmentNumber): item.SegmentLabel for item in seg.SegmentSequence}
    found = {label: set() for label in labels.values()}
    shared = seg.SharedFunctionalGroupsSequence[0]
    rows = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    spacing = np.array(shared.PixelMeasuresSequence[0].PixelSpacing, float)
    for frame, groups in zip(seg.pixel_array.reshape(-1, seg.Rows, seg.Columns), seg.PerFrameFunctionalGroupsSequence):
        origin = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        j, i = np.nonzero(frame)
        lps = origin + np.outer(i, rows[:3] * spacing[1]) + np.outer(j, rows[3:] * spacing[0])
        which = groups if "SegmentIdentificationSequence" in groups else shared  # shared when there is one segment
        label = labels[int(which.SegmentIdentificationSequence[0].ReferencedSegmentNumber)]
        found[label] |= rounded(lps * [-1, -1, 1])
    return found


TURNS = {
    "axial": np.eye(3),
    "feet first": np.diag([-1.0, 1, -1]),
    "tilted": Rotation.from_euler("xyz", [20, -15, 30], degrees=True).as_matrix(),
    "sagittal": np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]]).astype(float),
}


@pytest.mark.parametrize("axes", TURNS.values(), ids=TURNS)
def test_dicom_seg_refers_to_the_series_and_lies_where_slicer_shows_it(host, tmp_path, axes):
    pytest.importorskip("highdicom", reason='needs the extra "dicom"')
    case = dicom_case(host, tmp_path / "scan", axes)
    lesion = lesion_of(case)
    assert export.dicom_exporter() == "highdicom"
    [path] = export.write_dicom_seg(lesion, tmp_path)
    assert path.name == "Chest L1 SEG.dcm"
    seg, files = pydicom.dcmread(path), [pydicom.dcmread(file) for file in (tmp_path / "scan").iterdir()]
    assert seg.Modality == "SEG"
    assert seg.StudyInstanceUID == files[0].StudyInstanceUID
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == files[0].SeriesInstanceUID
    found = frames_by_place(path)
    assert list(found)[:2] == ["Consensus", "Inclusive (largest)"]
    assert len(found) == 4
    to_ras = case.grid.affine
    assert found["Consensus"] == places_of(mask_of(lesion.agreement_node, "consensus", case.scan), to_ras)
    assert found["Inclusive (largest)"] == places_of(mask_of(lesion.styles_node, "expert_inclusive", case.scan), to_ras)
    [edited] = [label for label in found if label.startswith("Edited")]
    assert found[edited] == places_of(mask_of(lesion.edited_nodes[0], "prompt_1", case.scan), to_ras)


def test_dicom_seg_of_chosen_outlines_leaves_out_empty_ones_and_says_when_nothing_is_left(host, tmp_path):
    pytest.importorskip("highdicom", reason='needs the extra "dicom"')
    case = dicom_case(host, tmp_path / "scan")
    lesion = lesion_of(case)
    lesion.add("conservative", case.answer("conservative", 0))
    [path] = export.write_dicom_seg(lesion, tmp_path, ["inclusive", "conservative"])
    assert list(frames_by_place(path)) == ["Inclusive (largest)"]
    with pytest.raises(UnsupportedRequest, match="all of its outlines are empty"):
        export.write_dicom_seg(lesion, tmp_path, ["conservative"], overwrite=True)


def test_dicom_seg_needs_the_series_where_it_was(host, tmp_path):
    lesion = lesion_of(Case(host.scene))
    with pytest.raises(VolumeError, match="no DICOM file of it is known"):
        export.write_dicom_seg(lesion, tmp_path)
    case = dicom_case(host, tmp_path / "scan")
    lesion = lesion_of(case)
    case.scan.SetOrigin(0, 0, 0.4)
    with pytest.raises(VolumeError, match="no longer lies on the voxels of its DICOM files"):
        export.write_dicom_seg(lesion, tmp_path)
    shutil.rmtree(tmp_path / "scan")
    with pytest.raises(VolumeError, match="one of its files, is gone"):
        export.write_dicom_seg(lesion, tmp_path)
    assert list(tmp_path.glob("*.dcm")) == []


class Exporter:
    """A plugin of Slicer's DICOM module as the application runs it: notes what it gets, writes what it is told."""

    refusal, seen, error, writes = "", [], None, True

    def examineForExport(self, item):
        return [SimpleNamespace(item=item, directory=None)]

    def export(self, exportables):
        hierarchy = hierarchy_of(slicer.mrmlScene)
        for exportable in exportables:
            node = hierarchy.GetItemDataNode(exportable.item)
            self.seen.append((node.GetName(), hierarchy.GetItemParent(exportable.item), ids_of(node)))
            if self.writes:
                (Path(exportable.directory) / f"{len(self.seen)}.dcm").write_text(node.GetName())
        if self.error:
            raise self.error
        return self.refusal


def ids_of(node) -> list[str]:
    return ids_in(node) if node.IsA("vtkMRMLSegmentationNode") else []


@pytest.fixture
def plugins(host, monkeypatch):
    """Slicer's exporter and SlicerRT, installed."""
    for name, value in {"seen": [], "refusal": "", "error": None, "writes": True}.items():
        monkeypatch.setattr(Exporter, name, value)
    slicer.modules.dicomPlugins = {"DICOMSegmentationPlugin": Exporter, "DicomRtImportExportPlugin": Exporter}
    return Exporter


def test_slicers_own_exporters_get_the_outlines_in_the_study_and_leave_no_trace(host, plugins, tmp_path, monkeypatch):
    case, entered = dicom_case(host, tmp_path / "scan"), []
    lesion = lesion_of(case)
    monkeypatch.setattr(slicer, "dicomDatabase", SimpleNamespace(insert=entered.append), raising=False)
    before, items = everything_in(host.scene), hierarchy_of(host.scene).GetNumberOfItems()
    assert (export.dicom_exporter(), export.rtstruct_exporter()) == ("QuantitativeReporting", "SlicerRT")
    [seg] = export.write_dicom_seg(lesion, tmp_path, ["consensus", "inclusive"])
    assert seg.read_text() == "L1 MultiRaterSeg"
    assert entered == [str(seg)]
    struct = export.write_rtstruct(lesion, tmp_path)
    assert [file.read_text() for file in struct] == ["Chest", "L1 MultiRaterSeg"]
    segmentations = [(parent, ids) for name, parent, ids in plugins.seen if name != "Chest"]
    assert segmentations[0] == (case.study, ["consensus", "expert_inclusive"])
    assert segmentations[1][1][:3] == ALL
    assert everything_in(host.scene) == before
    assert hierarchy_of(host.scene).GetNumberOfItems() == items


FAILURES = {
    "refusal": ({"refusal": "Referenced volume files were not found."}, "Referenced volume files were not found"),
    "crash": (
        {"error": RuntimeError("encoding failed")},
        r"could not write the file \(RuntimeError: encoding failed\)",
    ),
    "nothing": ({"writes": False}, "wrote no file for L1"),
}


@pytest.mark.parametrize("write", [export.write_dicom_seg, export.write_rtstruct])
@pytest.mark.parametrize(("behaviour", "words"), FAILURES.values(), ids=FAILURES)
def test_an_exporter_that_fails_is_a_sentence_and_leaves_what_was_there(
    host, plugins, tmp_path, monkeypatch, write, behaviour, words
):
    lesion, out = lesion_of(dicom_case(host, tmp_path / "scan")), tmp_path / "out"
    out.mkdir()
    [earlier, *_] = write(lesion, out)
    content = earlier.read_text()
    before, files = everything_in(host.scene), sorted(out.rglob("*"))
    for name, value in behaviour.items():
        monkeypatch.setattr(plugins, name, value)
    with pytest.raises(UnsupportedRequest, match=words):
        write(lesion, out, overwrite=True)
    assert sorted(out.rglob("*")) == files
    assert earlier.read_text() == content
    assert everything_in(host.scene) == before


def test_a_disk_that_is_full_is_a_sentence_and_leaves_no_half_of_a_file(host, tmp_path, monkeypatch):
    lesion = lesion_of(Case(host.scene))
    (tmp_path / "report.json").write_text("precious")

    def half(report, path):
        Path(path).write_text("{")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("MultiRaterSegLib.report.write_json", half)
    with pytest.raises(VolumeError, match="'.*report.json' cannot be written: no space left on device"):
        export.write_report(lesion, tmp_path / "report.json", overwrite=True)
    monkeypatch.setattr(slicer, "vtkMRMLSegmentationStorageNode", StorageThatFails)
    with pytest.raises(VolumeError, match="Slicer could not write 'lesion.seg.nrrd'"):
        export.write_nrrd(lesion, tmp_path / "lesion.seg.nrrd")
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["report.json"]
    assert (tmp_path / "report.json").read_text() == "precious"


class StorageThatFails(slicer.vtkMRMLSegmentationStorageNode):
    def WriteData(self, node):
        Path(self.GetFileName()).write_bytes(b"NRRD0004")
        return 0


def test_what_highdicom_cannot_write_is_a_sentence(host, tmp_path, monkeypatch):
    highdicom = pytest.importorskip("highdicom", reason='needs the extra "dicom"')

    def refuse(*_, **__):
        raise AttributeError("'Dataset' object has no attribute 'FrameOfReferenceUID'")

    monkeypatch.setattr(highdicom.seg, "Segmentation", refuse)
    with pytest.raises(UnsupportedRequest, match="highdicom could not write the file .*FrameOfReferenceUID"):
        export.write_dicom_seg(lesion_of(dicom_case(host, tmp_path / "scan")), tmp_path)
    assert list(tmp_path.glob("*.dcm")) == []


def test_without_its_scan_a_lesion_can_still_be_written_but_not_as_dicom(host, plugins, tmp_path):
    case = Case(host.scene)
    lesion = lesion_of(case)
    shown = mask_of(lesion.agreement_node, "consensus", case.scan)
    host.scene.RemoveNode(case.scan)
    for write in (export.write_dicom_seg, export.write_rtstruct):
        with pytest.raises(VolumeError, match="The scan of L1 was deleted"):
            write(lesion, tmp_path)
    content = slicerio.read_segmentation(str(export.write_nrrd(lesion, tmp_path / "lesion.seg.nrrd")))
    consensus = content["segments"][0]
    found = content["voxels"][consensus["layer"]] == consensus["labelValue"]
    to_ras = np.diag([-1, -1, 1, 1]) @ content["ijkToLPS"]
    assert places_of(found.transpose(2, 1, 0), to_ras) == places_of(shown, case.grid.affine)
    report = json.loads(export.write_report(lesion, tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["edited"][0]["outline_ml"] > 0


def test_without_slicerrt_a_sentence_names_it(host, tmp_path):
    lesion = lesion_of(Case(host.scene))
    assert export.rtstruct_exporter() == ""
    with pytest.raises(UnsupportedRequest, match="SlicerRT extension, which is not installed"):
        export.write_rtstruct(lesion, tmp_path)


def test_the_report_tells_numbers_reviews_and_edits(host, tmp_path):
    case = Case(host.scene)
    lesion = lesion_of(case)
    lesion.review(lesion.edited_nodes[0], "accepted", "mine")
    content = json.loads(export.write_report(lesion, tmp_path / "report.json").read_text(encoding="utf-8"))
    consensus, inclusive, sentence = content["outlines"]
    assert [outline["id"] for outline in content["outlines"]] == ALL
    assert inclusive["color"] == "#D55E00"
    assert inclusive["review"]["note"] == "leaks into the vessel"
    assert sentence["request"]["prompt"] == SENTENCE
    voxel = 0.7 * 0.9 * 2.5 / 1000
    assert consensus["outline_ml"] == pytest.approx(case.ball(6).sum() * voxel, abs=1e-4)
    [edited] = content["edited"]
    assert (edited["changed"], edited["review"]["state"]) == (True, "accepted")
    mask = mask_of(lesion.edited_nodes[0], "prompt_1", case.scan)
    assert edited["outline_ml"] == pytest.approx(mask.sum() * voxel, abs=1e-4)
    rows = list(csv.DictReader(export.write_report(lesion, tmp_path / "r.csv").read_text("utf-8-sig").splitlines()))
    assert [row["review"] for row in rows] == ["", "flagged", "", "accepted"]


def test_the_report_says_what_was_edited_in_place(host, tmp_path):
    case = Case(host.scene)
    lesion = lesion_of(case)
    paint(case, lesion.agreement_node, "consensus")
    content = json.loads(export.write_report(lesion, tmp_path / "report.json").read_text(encoding="utf-8"))
    assert any("Consensus: the outline was edited by hand" in warning for warning in content["warnings"])


def test_existing_files_are_replaced_only_when_told_and_wrong_names_refused(host, tmp_path):
    lesion = lesion_of(Case(host.scene))
    for write, name in [(export.write_nrrd, "a.seg.nrrd"), (export.write_report, "a.json")]:
        path = tmp_path / name
        path.write_text("precious")
        with pytest.raises(UnsupportedRequest, match="exists already"):
            write(lesion, path)
        assert path.read_text() == "precious"
        assert write(lesion, path, overwrite=True).stat().st_size > 500
        with pytest.raises(UnsupportedRequest, match="the name must end in"):
            write(lesion, tmp_path / "a.txt")
        with pytest.raises(UnsupportedRequest, match="does not exist"):
            write(lesion, tmp_path / "no" / name)
    assert sorted(file.name for file in tmp_path.iterdir() if file.is_file()) == ["a.json", "a.seg.nrrd"]


def test_a_report_needs_a_consensus_and_unknown_outlines_are_named(host, tmp_path):
    case = Case(host.scene)
    lesion = case.lesion()
    lesion.add("inclusive", case.answer("inclusive", 5), MODEL)
    with pytest.raises(UnsupportedRequest, match="Compute the consensus of L1 first"):
        export.write_report(lesion, tmp_path / "report.json")
    with pytest.raises(MultiRaterSegError, match="L1 has no result 'generous'. Results: inclusive."):
        export.write_nrrd(lesion, tmp_path / "a.seg.nrrd", ["generous"])
    assert [file for file in tmp_path.iterdir() if file.is_file()] == []
