"""One DICOM series becomes one volume; what is missing, doubled, tilted, mixed or damaged is named."""

import numpy as np
import pydicom
import pytest
import SimpleITK
from dicom_series import PerSlice, write_series
from scipy.spatial.transform import Rotation
from test_io_read import only_our_sentence

from MultiRaterSegLib.io import read_volume

RAS = np.array([-1.0, -1.0, 1.0])


def random_voxels(shape=(6, 9, 8), dtype=np.int16, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 3000, shape).astype(dtype)


def simpleitk_series(files) -> SimpleITK.Image:
    return SimpleITK.ReadImage([str(file) for file in files])


@pytest.mark.parametrize("seed", range(10))
def test_any_orientation_lies_where_simpleitk_puts_it(tmp_path, seed):
    rng = np.random.default_rng(seed)
    axes = Rotation.random(random_state=seed).as_matrix()  # DICOM stacks are right-handed: k is the normal
    spacing = rng.uniform(0.4, 5, 3)
    voxels = random_voxels(seed=seed)
    files = write_series(tmp_path, voxels, spacing, rng.uniform(-300, 300, 3), axes)
    volume, image = read_volume(tmp_path), simpleitk_series(files)
    np.testing.assert_array_equal(volume.voxels[0], voxels)
    np.testing.assert_allclose(volume.grid.spacing, spacing, rtol=1e-5)
    for corner in [(0, 0, 0), (7, 0, 0), (0, 8, 0), (0, 0, 5), (7, 8, 5)]:
        expected = np.array(image.TransformIndexToPhysicalPoint(corner)) * RAS
        np.testing.assert_allclose(volume.grid.to_ras(corner), expected, atol=1e-3)
    assert volume.context["files"] == tuple(str(file) for file in files)


def test_slices_are_sorted_along_the_normal_whatever_their_names_and_numbers(tmp_path):
    voxels = random_voxels()
    files = write_series(tmp_path, voxels, InstanceNumber=PerSlice([3, 1, 2, 6, 5, 4]))
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.voxels[0], voxels)
    assert volume.context["files"] == tuple(map(str, files))


def test_the_volume_knows_its_series(tmp_path):
    write_series(tmp_path, random_voxels(), uid="1.2.3.4", modality="MR", description="T2 tra")
    volume = read_volume(tmp_path)
    assert (volume.modality, volume.source) == ("MR", "T2 tra")
    assert volume.context["series_uid"] == "1.2.3.4"
    assert volume.context["format"] == "dicom"
    assert volume.context["study_uid"]


@pytest.mark.parametrize(
    ("slope", "intercept", "dtype"), [(1, -1024, np.int16), (2, -500, np.int16), (0.5, 0.25, np.float32)]
)
def test_rescaling_is_applied_in_a_compact_type(tmp_path, slope, intercept, dtype):
    voxels = random_voxels(dtype=np.uint16)
    write_series(tmp_path, voxels, RescaleSlope=slope, RescaleIntercept=intercept)
    volume = read_volume(tmp_path)
    assert volume.voxels.dtype == dtype
    np.testing.assert_allclose(volume.voxels[0], voxels * float(slope) + intercept)


def test_each_slice_has_its_own_rescaling_as_in_pet(tmp_path):
    slopes = [1, 0.5, 2, 3.25, 0.125, 1]
    voxels = random_voxels()
    write_series(tmp_path, voxels, modality="PT", RescaleSlope=PerSlice(slopes))
    volume = read_volume(tmp_path)
    assert volume.voxels.dtype == np.float32
    np.testing.assert_allclose(volume.voxels[0], voxels * np.array(slopes)[:, None, None])


def test_compressed_slices_are_decoded(tmp_path):
    voxels = random_voxels((4, 10, 8), np.uint16)
    for file in write_series(tmp_path, voxels):
        image = pydicom.dcmread(file)
        image.compress(pydicom.uid.RLELossless)
        image.save_as(file)
    np.testing.assert_array_equal(read_volume(tmp_path).voxels[0], voxels)


def test_a_single_file_stands_for_its_series(tmp_path):
    voxels = random_voxels()
    files = write_series(tmp_path, voxels)
    write_series(tmp_path, random_voxels(seed=1), description="Other")
    np.testing.assert_array_equal(read_volume(files[2]).voxels[0], voxels)


def test_a_file_without_suffix_and_sub_folders_are_found(tmp_path):
    voxels = random_voxels()
    for file in write_series(tmp_path / "ST0" / "SE0", voxels):
        file.rename(file.with_suffix(""))
    (tmp_path / "readme.txt").write_text("hello")
    (tmp_path / "DICOMDIR").write_bytes(b"\x00" * 10)
    np.testing.assert_array_equal(read_volume(tmp_path).voxels[0], voxels)


def test_objects_that_are_not_images_are_passed_over(tmp_path):
    voxels = random_voxels()
    write_series(tmp_path, voxels)
    write_series(tmp_path, random_voxels((1, 9, 8)), description="Dose", Modality="RTDOSE")
    write_series(tmp_path, random_voxels((1, 9, 8)), description="Mask", Modality="SEG")
    np.testing.assert_array_equal(read_volume(tmp_path).voxels[0], voxels)


class TestSeveralSeries:
    @pytest.fixture
    def folder(self, tmp_path):
        write_series(tmp_path, random_voxels(seed=1), uid="1.2.840.11", description="Thin", number=2)
        write_series(tmp_path, random_voxels((4, 9, 8), seed=2), uid="1.2.840.12", description="Thick", number=10)
        write_series(tmp_path, random_voxels(seed=3), uid="1.3.5", description="", number=7, modality="MR")
        return tmp_path

    def test_are_listed(self, folder, capfd):
        lines = only_our_sentence(capfd, folder).splitlines()
        assert "holds 3 DICOM series" in lines[0]
        assert "--series" in lines[0]
        assert lines[1:] == [
            "  1. Thin, CT, 6 files, 1.2.840.11",
            "  2. (no description), MR, 6 files, 1.3.5",
            "  3. Thick, CT, 4 files, 1.2.840.12",
        ]

    @pytest.mark.parametrize(
        ("series", "seed"), [("1", 1), ("2", 3), ("3", 2), ("1.2.840.12", 2), ("1.3", 3), ("1.2.840.11", 1)]
    )
    def test_one_is_chosen_by_number_uid_or_its_beginning(self, folder, series, seed):
        shape = (4, 9, 8) if seed == 2 else (6, 9, 8)
        np.testing.assert_array_equal(read_volume(folder, series).voxels[0], random_voxels(shape, seed=seed))

    @pytest.mark.parametrize(("series", "count"), [("1.2", "2"), ("9", "none"), ("0", "none"), ("Thin", "none")])
    def test_an_unclear_choice_is_refused_with_the_list(self, folder, capfd, series, count):
        message = only_our_sentence(capfd, folder, series)
        assert f"'{series}' fits {count} of the 3" in message
        assert "1. Thin" in message

    def test_a_uid_that_begins_another_is_still_itself(self, tmp_path):
        write_series(tmp_path, random_voxels(seed=1), uid="1.2.3", description="A")
        write_series(tmp_path, random_voxels(seed=2), uid="1.2.3.4", description="B")
        np.testing.assert_array_equal(read_volume(tmp_path, "1.2.3").voxels[0], random_voxels(seed=1))


class TestSlices:
    @pytest.mark.parametrize("gone", [1, 3, 4])
    def test_a_missing_one_is_named_by_its_neighbours(self, tmp_path, capfd, gone):
        files = write_series(tmp_path, random_voxels())
        files[gone].unlink()
        message = only_our_sentence(capfd, tmp_path)
        assert "1 slice is missing" in message
        assert files[gone - 1].name in message
        assert files[gone + 1].name in message

    def test_several_missing_ones_are_counted(self, tmp_path, capfd):
        files = write_series(tmp_path, random_voxels((9, 9, 8)))
        files[3].unlink()
        files[4].unlink()
        assert "2 slices are missing" in only_our_sentence(capfd, tmp_path)

    def test_a_duplicated_one_is_named(self, tmp_path, capfd):
        files = write_series(tmp_path, random_voxels())
        files[2].with_name("copy.dcm").write_bytes(files[2].read_bytes())
        message = only_our_sentence(capfd, tmp_path)
        assert "copy.dcm" in message
        assert files[2].name in message
        assert "same place" in message

    def test_two_time_points_in_one_series_are_refused(self, tmp_path, capfd):
        write_series(tmp_path, random_voxels(), uid="1.2.3", description="early")
        write_series(tmp_path, random_voxels(), uid="1.2.3", description="late")
        assert "time points" in only_our_sentence(capfd, tmp_path)

    def test_uneven_spacing_is_refused(self, tmp_path, capfd):
        positions = PerSlice([[0, 0, z] for z in (0, 2, 4, 6, 8.7, 11.4)])
        write_series(tmp_path, random_voxels(), ImagePositionPatient=positions)
        assert "not evenly spaced (2.00 to 2.70 mm apart)" in only_our_sentence(capfd, tmp_path)

    def test_rounded_positions_are_accepted(self, tmp_path):
        positions = PerSlice([[0, 0, round(0.625 * k, 2)] for k in range(40)])
        write_series(tmp_path, random_voxels((40, 9, 8)), ImagePositionPatient=positions)
        assert read_volume(tmp_path).grid.spacing[2] == pytest.approx(0.625, abs=2e-3)

    def test_gantry_tilt_is_refused(self, tmp_path, capfd):
        tilt = np.tan(np.radians(15))
        positions = PerSlice([[0, 5.0 * k * tilt, 5.0 * k] for k in range(6)])
        write_series(tmp_path, random_voxels(), ImagePositionPatient=positions)
        assert "gantry tilt of 15.0 degrees" in only_our_sentence(capfd, tmp_path)

    def test_one_of_another_orientation_is_named(self, tmp_path, capfd):
        files = write_series(tmp_path, random_voxels())
        image = pydicom.dcmread(files[4])
        image.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
        image.save_as(files[4])
        message = only_our_sentence(capfd, tmp_path)
        assert "different orientations" in message
        assert files[4].name in message

    def test_one_of_another_size_is_named(self, tmp_path, capfd):
        files = write_series(tmp_path, random_voxels(), uid="1.2.3")
        odd = write_series(tmp_path, random_voxels((1, 5, 8)), uid="1.2.3", description="odd", origin=(0, 0, 99))
        message = only_our_sentence(capfd, tmp_path)
        assert "differ in size" in message
        assert odd[0].name in message or files[0].name in message

    def test_other_pixel_spacing_is_refused(self, tmp_path, capfd):
        write_series(tmp_path, random_voxels(), PixelSpacing=PerSlice([[1, 1]] * 5 + [[1, 2]]))
        assert "pixel spacing" in only_our_sentence(capfd, tmp_path)

    @pytest.mark.parametrize("tag", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
    def test_one_without_a_place_is_named(self, tmp_path, capfd, tag):
        files = write_series(tmp_path, random_voxels())
        image = pydicom.dcmread(files[3])
        delattr(image, tag)
        image.save_as(files[3])
        message = only_our_sentence(capfd, tmp_path)
        assert tag in message
        assert files[3].name in message

    def test_a_single_one_is_a_flat_image(self, tmp_path, capfd):
        file = write_series(tmp_path, random_voxels((1, 9, 8)))[0]
        assert "2-D image" in only_our_sentence(capfd, tmp_path)
        assert "2-D image" in only_our_sentence(capfd, file)

    def test_the_first_or_last_may_be_cut_off_by_export(self, tmp_path):
        """Nothing in the positions tells; the scan is simply shorter."""
        files = write_series(tmp_path, random_voxels())
        files[0].unlink()
        assert read_volume(tmp_path).voxels.shape == (1, 5, 9, 8)


@pytest.mark.parametrize("part", [0.1, 0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("which", [0, 3, 5])
def test_a_truncated_slice_is_named(tmp_path, capfd, part, which):
    files = write_series(tmp_path, random_voxels((6, 30, 30)))
    files[which].write_bytes(files[which].read_bytes()[: int(files[which].stat().st_size * part)])
    message = only_our_sentence(capfd, tmp_path)
    assert files[which].name in message
    assert "cut short" in message or "damaged" in message or "has no" in message


def test_every_cut_of_the_last_slice_is_noticed(tmp_path, capfd):
    """Where the cut falls decides which tags survive; none may make the scan one slice shorter in silence."""
    files = write_series(tmp_path, random_voxels((3, 4, 4)))
    content = files[2].read_bytes()
    for length in range(132, len(content) - 1, 3):
        files[2].write_bytes(content[:length])
        assert files[2].name in only_our_sentence(capfd, tmp_path), length


def test_colour_and_multi_frame_are_refused(tmp_path, capfd):
    write_series(tmp_path / "rgb", random_voxels(), SamplesPerPixel=3, PhotometricInterpretation="RGB")
    assert "colour" in only_our_sentence(capfd, tmp_path / "rgb")
    write_series(tmp_path / "palette", random_voxels(), PhotometricInterpretation="PALETTE COLOR")
    assert "colour" in only_our_sentence(capfd, tmp_path / "palette")
    write_series(tmp_path / "enhanced", random_voxels((1, 9, 8)), NumberOfFrames=20)
    assert "multi-frame" in only_our_sentence(capfd, tmp_path / "enhanced")


def test_constant_slices_are_refused(tmp_path, capfd):
    write_series(tmp_path, np.full((4, 9, 8), 7, np.int16))
    assert "every voxel has the value 7" in only_our_sentence(capfd, tmp_path)


def test_the_real_series_agrees_with_simpleitk(shared):
    folder = shared / "data" / "volumes" / "prostate_mr_dicom" / "t2_tra"
    volume = read_volume(folder)
    names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    image = SimpleITK.ReadImage(names)
    np.testing.assert_array_equal(volume.voxels[0], SimpleITK.GetArrayFromImage(image))
    assert (volume.modality, volume.voxels.dtype, volume.context["files"]) == ("MR", np.uint16, names)
    for corner in [(0, 0, 0), (383, 383, 18)]:
        expected = np.array(image.TransformIndexToPhysicalPoint(corner)) * RAS
        np.testing.assert_allclose(volume.grid.to_ras(corner), expected, atol=1e-4)
