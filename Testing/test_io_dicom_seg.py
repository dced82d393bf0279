"""DICOM SEG: the same masks at the same place, tied to the images they were drawn on, marked as research."""

import shutil
import sys

import numpy as np
import pydicom
import pytest
from dicom_series import write_series
from scipy.spatial.transform import Rotation

from MultiRaterSegLib.errors import GeometryError, UnsupportedRequest, VolumeError
from MultiRaterSegLib.io import LESION, NODULE, Segment, read_volume, write_dicom_seg

highdicom = pytest.importorskip("highdicom", reason='needs the extra "dicom"')

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
PROVENANCE = {"model": "prosona", "version": "0.1.0", "seed": "7"}


@pytest.fixture
def scan(tmp_path):
    """An oblique series whose voxel spacing differs along all axes."""
    voxels = np.random.default_rng(0).integers(0, 1000, (7, 10, 12)).astype(np.int16)
    axes = Rotation.from_euler("xyz", [20, -15, 30], degrees=True).as_matrix()
    write_series(tmp_path / "scan", voxels, (0.6, 0.7, 2.5), (-50, -60, 70), axes, modality="MR")
    return read_volume(tmp_path / "scan")


def overlapping_segments(grid) -> list[Segment]:
    rng = np.random.default_rng(1)
    full = np.zeros(grid.shape, bool)
    full[2:5, 3:8, 2:9] = rng.random((3, 5, 7)) > 0.3
    crop = grid.crop([3, 2, 1], [10, 8, 5])
    return [
        Segment("reader-1", "Conservative (smallest)", full, (0.8, 0.2, 0.1), NODULE, {"Kind": "expert"}),
        Segment("reader-2", "Größe – 結節", rng.random(crop.shape) > 0.6, (0.1, 0.6, 0.9), LESION, grid=crop),
        Segment("reader-3", "Saw nothing", np.zeros(grid.shape, bool), (0.0, 1.0, 0.0)),
    ]


def placed(segment: Segment, grid) -> np.ndarray:
    full = np.zeros(grid.shape, bool)
    full[segment.box_in(grid)] = segment.mask
    return full


def masks_by_position(path, volume) -> np.ndarray:
    """Reads the file with pydicom alone: each frame goes where its position lies in the scan -> bool [S, K, J, I]."""
    seg = pydicom.dcmread(path)
    masks = np.zeros((len(seg.SegmentSequence), *volume.grid.shape), bool)
    frames = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    for frame, groups in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
        position = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float) * [-1, -1, 1]
        i, j, k = volume.grid.to_ijk(position)
        assert (abs(i), abs(j), abs(k - round(k))) < (1e-3, 1e-3, 1e-3)
        number = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        masks[number - 1, round(k)] = frame
        source = groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        assert source == pydicom.dcmread(volume.context["files"][round(k)]).SOPInstanceUID
    return masks


def test_masks_come_back_at_their_place(tmp_path, scan):
    segments = overlapping_segments(scan.grid)
    write_dicom_seg(tmp_path / "s.dcm", segments, scan, PROVENANCE)
    masks = masks_by_position(tmp_path / "s.dcm", scan)
    for mask, segment in zip(masks, segments):
        np.testing.assert_array_equal(mask, placed(segment, scan.grid))


def test_highdicom_reads_the_same_volume(tmp_path, scan):
    segments = overlapping_segments(scan.grid)
    write_dicom_seg(tmp_path / "s.dcm", segments, scan, PROVENANCE)
    volume = highdicom.seg.segread(tmp_path / "s.dcm").get_volume(combine_segments=False)
    array, affine = volume.array, LPS @ volume.affine  # [K', J, I, segments]; (k, j, i) -> RAS
    for n, segment in enumerate(segments):
        found = np.argwhere(array[..., n]) @ affine[:3, :3].T + affine[:3, 3]
        k, j, i = np.nonzero(placed(segment, scan.grid))
        expected = scan.grid.to_ras(np.stack([i, j, k], -1))
        assert len(found) == len(expected)
        order_a, order_b = np.lexsort(np.round(found, 3).T), np.lexsort(np.round(expected, 3).T)
        np.testing.assert_allclose(found[order_a], expected[order_b], atol=1e-3)


def test_it_says_what_it_is_and_where_it_comes_from(tmp_path, scan):
    segments = overlapping_segments(scan.grid)
    write_dicom_seg(tmp_path / "s.dcm", segments, scan, PROVENANCE)
    seg, source = pydicom.dcmread(tmp_path / "s.dcm"), pydicom.dcmread(scan.context["files"][0])
    assert seg.SOPClassUID.name == "Segmentation Storage"
    assert "research use only" in seg.SeriesDescription
    assert seg.ContentLabel == "RESEARCH_ONLY"
    for tag in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert seg[tag].value == source[tag].value
    assert seg.SeriesInstanceUID != source.SeriesInstanceUID
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == source.SeriesInstanceUID
    assert [item.SegmentLabel for item in seg.SegmentSequence] == [segment.name for segment in segments]
    first = seg.SegmentSequence[0]
    algorithm = first.SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("prosona", "0.1.0")
    assert "seed=7" in algorithm.AlgorithmParameters
    assert "Kind=expert" in algorithm.AlgorithmParameters
    assert (first.TrackingID, first.SegmentAlgorithmType) == ("reader-1", "SEMIAUTOMATIC")
    assert first.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    assert first.SegmentedPropertyTypeCodeSequence[0].CodeValue == "27925004"
    color = highdicom.color.CIELabColor.from_dicom_value(first.RecommendedDisplayCIELabValue).to_rgb()
    np.testing.assert_allclose(color, np.array(segments[0].color) * 255, atol=2)


def test_long_names_are_shortened_and_kept_whole_in_the_parameters(tmp_path, scan):
    name = "include the ground-glass halo " * 5
    mask = np.ones(scan.grid.shape, bool)
    write_dicom_seg(tmp_path / "s.dcm", [Segment("a", name, mask, (1, 0, 0))], scan)
    segment = pydicom.dcmread(tmp_path / "s.dcm").SegmentSequence[0]
    assert len(segment.SegmentLabel) <= 64
    assert name.strip() in segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmParameters


def test_endless_tags_stay_within_what_dicom_allows(tmp_path, scan, recwarn):
    tags = {"Prompt": "include the halo " * 2000, "Kind": "prompt"}
    segments = [Segment("a", "A", np.ones(scan.grid.shape, bool), (1, 0, 0), tags=tags)]
    write_dicom_seg(tmp_path / "s.dcm", segments, scan, PROVENANCE)
    segment = pydicom.dcmread(tmp_path / "s.dcm").SegmentSequence[0]
    parameters = segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmParameters
    assert "Kind=prompt" in parameters
    assert len(parameters) <= 10240
    assert not recwarn.list


def test_only_empty_segments_are_still_a_valid_file(tmp_path, scan):
    segments = [Segment(f"{n}", f"{n}", np.zeros(scan.grid.shape, bool), (1, 0, 0)) for n in range(2)]
    write_dicom_seg(tmp_path / "s.dcm", segments, scan)
    assert not masks_by_position(tmp_path / "s.dcm", scan).any()
    assert len(pydicom.dcmread(tmp_path / "s.dcm").SegmentSequence) == 2


def test_anonymised_scans_without_patient_tags_are_accepted(tmp_path, scan):
    for file in scan.context["files"]:
        image = pydicom.dcmread(file)
        for tag in ("PatientID", "PatientName"):
            del image[tag]
        image.save_as(file)
    write_dicom_seg(tmp_path / "s.dcm", overlapping_segments(scan.grid), scan)
    assert pydicom.dcmread(tmp_path / "s.dcm").PatientID == ""


def test_a_scan_that_is_not_dicom_is_refused(tmp_path, scan):
    from MultiRaterSegLib.io import write_scalar_volume

    write_scalar_volume(scan.voxels[0], scan.grid, tmp_path / "scan.nrrd")
    other = read_volume(tmp_path / "scan.nrrd")
    with pytest.raises(VolumeError, match="was not read from DICOM"):
        write_dicom_seg(tmp_path / "s.dcm", overlapping_segments(other.grid), other)


def test_a_scan_that_has_moved_is_refused(tmp_path, scan):
    shutil.rmtree(tmp_path / "scan")
    with pytest.raises(VolumeError, match="no longer there"):
        write_dicom_seg(tmp_path / "s.dcm", overlapping_segments(scan.grid), scan)
    assert not (tmp_path / "s.dcm").exists()


def test_masks_off_the_scan_are_refused(tmp_path, scan):
    with pytest.raises(GeometryError, match="must lie on the scan's voxels"):
        write_dicom_seg(tmp_path / "s.dcm", [Segment("a", "A", np.ones((2, 2, 2), bool), (1, 0, 0))], scan)


def test_without_highdicom_the_extra_is_named(tmp_path, scan, monkeypatch):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(UnsupportedRequest, match=r'pip install "MultiRaterSeg\[dicom\]"'):
        write_dicom_seg(tmp_path / "s.dcm", overlapping_segments(scan.grid), scan)


def test_a_real_prostate_series(tmp_path, shared):
    volume = read_volume(shared / "data" / "volumes" / "prostate_mr_dicom" / "t2_tra")
    k, j, i = np.indices(volume.grid.shape)
    crop = volume.grid.crop([150, 160, 4], [240, 230, 12])
    ball = (((i - 200) * 0.5) ** 2 + ((j - 190) * 0.5) ** 2 + ((k - 9) * 3.0) ** 2) < 12**2
    segments = [
        Segment("ball", "Ball", ball, (0.9, 0.1, 0.1)),
        Segment(
            "noise", "Noise on a crop", np.random.default_rng(0).random(crop.shape) > 0.5, (0.1, 0.9, 0.1), grid=crop
        ),
    ]
    write_dicom_seg(tmp_path / "s.dcm", segments, volume, PROVENANCE)
    masks = masks_by_position(tmp_path / "s.dcm", volume)
    np.testing.assert_array_equal(masks[0], ball)
    np.testing.assert_array_equal(masks[1], placed(segments[1], volume.grid))
