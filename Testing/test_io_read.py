"""Scans come in where SimpleITK says they lie, in their own type; everything else is refused in one sentence."""

import gzip
import json
import os
import struct

import nibabel
import numpy as np
import pytest
import SimpleITK
from scipy.spatial.transform import Rotation

from MultiRaterSegLib.errors import GeometryError, MultiRaterSegError, VolumeError
from MultiRaterSegLib.io import read_volume

RAS = np.array([-1.0, -1.0, 1.0])
SUFFIXES = [".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd"]


def random_voxels(shape=(5, 6, 7), dtype=np.int16, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 200, shape).astype(dtype)


def write_image(path, voxels, spacing=(1.0, 1.0, 1.0), origin=(0.0, 0.0, 0.0), axes=None, is_vector=False):
    image = SimpleITK.GetImageFromArray(voxels, isVector=is_vector)
    if axes is not None:
        image.SetDirection(axes.ravel().tolist())
        image.SetSpacing(spacing)
        image.SetOrigin(origin)
    SimpleITK.WriteImage(image, str(path), useCompression=not path.name.endswith((".nii", ".mhd")))
    return image


def only_our_sentence(capfd, path, series=None) -> str:
    """The message of the error that reading `path` raises, after checking that nothing else was printed."""
    capfd.readouterr()
    with pytest.raises(MultiRaterSegError) as caught:
        read_volume(path, series)
    printed = capfd.readouterr()
    assert printed.out + printed.err == ""
    message = str(caught.value)
    assert "Traceback" not in message
    assert "ITK" not in message
    assert len(message) > 20
    return message


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("seed", range(8))
def test_any_orientation_lies_where_simpleitk_puts_it(tmp_path, suffix, seed):
    rng = np.random.default_rng(seed)
    axes = Rotation.random(random_state=seed).as_matrix() * rng.choice([-1, 1], 3)  # half of them left-handed
    if seed % 3 == 0:
        axes = np.rint(np.eye(3)[rng.permutation(3)]) * rng.choice([-1, 1], 3)
    spacing, origin = rng.uniform(0.3, 6, 3).tolist(), rng.uniform(-400, 400, 3).tolist()
    voxels = random_voxels(seed=seed)
    path = tmp_path / f"scan{suffix}"
    write_image(path, voxels, spacing, origin, axes)
    volume, image = read_volume(path), SimpleITK.ReadImage(str(path))
    for i, j, k in rng.integers(0, (7, 6, 5), (20, 3)).tolist():
        expected = np.array(image.TransformIndexToPhysicalPoint((i, j, k))) * RAS
        np.testing.assert_allclose(volume.grid.to_ras([i, j, k]), expected, atol=1e-9)
        assert volume.voxels[0, k, j, i] == image[i, j, k]
    np.testing.assert_array_equal(volume.voxels[0], voxels)
    np.testing.assert_allclose(volume.grid.spacing, spacing, rtol=1e-6)
    written = np.array(origin) * RAS
    np.testing.assert_allclose(volume.grid.to_ras([0, 0, 0]), written, atol=1e-4)  # NIfTI: single precision


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.int32, np.float32])
def test_voxels_keep_their_type(tmp_path, suffix, dtype):
    path = tmp_path / f"scan{suffix}"
    write_image(path, random_voxels(dtype=dtype) // 2)
    volume = read_volume(path)
    assert volume.voxels.dtype == dtype
    assert volume.voxels.flags.c_contiguous
    np.testing.assert_array_equal(volume.voxels[0], random_voxels(dtype=dtype) // 2)


@pytest.mark.parametrize(("dtype", "becomes"), [(np.float64, np.float32), (np.int64, np.int32), (np.uint32, np.int32)])
def test_wide_types_become_32_bits(tmp_path, dtype, becomes):
    write_image(tmp_path / "scan.nrrd", random_voxels(dtype=dtype))
    assert read_volume(tmp_path / "scan.nrrd").voxels.dtype == becomes


def test_integers_beyond_32_bits_become_float(tmp_path):
    write_image(tmp_path / "scan.nrrd", random_voxels(dtype=np.int64) * 2**40)
    volume = read_volume(tmp_path / "scan.nrrd")
    assert volume.voxels.dtype == np.float32
    np.testing.assert_array_equal(volume.voxels[0], random_voxels(dtype=np.float32) * 2**40)


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha"])
def test_channels_come_first(tmp_path, suffix):
    voxels = random_voxels((5, 6, 7, 2))
    write_image(tmp_path / f"scan{suffix}", voxels, is_vector=True)
    volume = read_volume(tmp_path / f"scan{suffix}")
    assert volume.voxels.shape == (2, 5, 6, 7)
    np.testing.assert_array_equal(volume.voxels, np.moveaxis(voxels, -1, 0))


def test_nifti_rescaling_is_applied(tmp_path):
    image = nibabel.Nifti1Image(random_voxels(), np.eye(4))
    image.header.set_slope_inter(2, -1024)
    nibabel.save(image, tmp_path / "scan.nii")
    stored = np.asarray(image.dataobj).transpose(2, 1, 0)
    np.testing.assert_allclose(read_volume(tmp_path / "scan.nii").voxels[0], stored * 2.0 - 1024)


@pytest.mark.parametrize(("space", "sign"), [("LPS", [-1, -1, 1]), ("RAS", [1, 1, 1]), ("LAS", [-1, 1, 1])])
def test_nrrd_spaces_are_understood(tmp_path, space, sign):
    names = {"LPS": "left-posterior-superior", "RAS": "right-anterior-superior", "LAS": "left-anterior-superior"}
    voxels = random_voxels()
    header = (
        f"NRRD0004\ntype: short\ndimension: 3\nspace: {names[space]}\nsizes: 7 6 5\n"
        "space directions: (2,0,0) (0,3,0) (0,0,4)\nkinds: domain domain domain\nendian: little\nencoding: raw\n"
        "space origin: (10,20,30)\nmodality:=CT\n\n"
    )
    (tmp_path / "scan.nrrd").write_bytes(header.encode() + voxels.astype("<i2").tobytes())
    volume = read_volume(tmp_path / "scan.nrrd")
    np.testing.assert_allclose(volume.grid.to_ras([1, 1, 1]), np.array([12, 23, 34]) * sign)
    assert volume.modality == "CT"


def test_a_four_dimensional_file_of_one_volume_is_a_volume(tmp_path):
    for suffix in (".nii.gz", ".mha"):
        write_image(tmp_path / f"scan{suffix}", random_voxels((1, 5, 6, 7)))
        np.testing.assert_array_equal(read_volume(tmp_path / f"scan{suffix}").voxels, random_voxels((1, 5, 6, 7)))


def test_the_volume_says_where_it_came_from(tmp_path):
    write_image(tmp_path / "scan.nii.gz", random_voxels())
    (tmp_path / "scan.json").write_text(json.dumps({"Modality": "MR"}))
    volume = read_volume(str(tmp_path / "scan.nii.gz"))
    assert (volume.source, volume.modality) == ("scan.nii.gz", "MR")
    assert volume.context == {"files": (str(tmp_path / "scan.nii.gz"),), "format": "nifti", "notes": ()}


def test_an_unrelated_side_file_is_ignored(tmp_path):
    write_image(tmp_path / "scan.nii.gz", random_voxels())
    (tmp_path / "scan.json").write_text("[1, 2")
    assert read_volume(tmp_path / "scan.nii.gz").modality == ""


@pytest.mark.parametrize("mirrored", [(-1.0, -1, 1, 1), (1.0, 1, -1, 1), (-1.0, 1, 1, 1)])
def test_contradictory_nifti_orientations_follow_simpleitk_and_are_noted(tmp_path, mirrored):
    path = tmp_path / "scan.nii"
    image = nibabel.Nifti1Image(random_voxels(), np.eye(4))
    image.set_sform(np.eye(4), 2)
    image.set_qform(np.diag(mirrored), 1)
    nibabel.save(image, path)
    volume = read_volume(path)
    expected = np.array(SimpleITK.ReadImage(str(path)).TransformIndexToPhysicalPoint((3, 2, 1))) * RAS
    np.testing.assert_allclose(volume.grid.to_ras([3, 2, 1]), expected, atol=1e-5)
    assert "two different orientations" in volume.context["notes"][0]


@pytest.mark.parametrize("seed", range(5))
def test_agreeing_nifti_orientations_are_not_noted(tmp_path, seed):
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3, :3] = Rotation.random(random_state=seed).as_matrix() * rng.choice([-1, 1], 3) * rng.uniform(0.5, 3, 3)
    affine[:3, 3] = rng.uniform(-300, 300, 3)
    image = nibabel.Nifti1Image(random_voxels(), affine)
    image.set_qform(affine, 1)
    nibabel.save(image, tmp_path / "scan.nii")
    volume = read_volume(tmp_path / "scan.nii")
    assert volume.context["notes"] == ()
    np.testing.assert_allclose(volume.grid.affine, affine, atol=1e-4)  # nibabel is the second opinion


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("part", [0.001, 0.3, 0.95, 0.999])
def test_a_truncated_file_is_refused(tmp_path, capfd, suffix, part):
    path = tmp_path / f"scan{suffix}"
    write_image(path, random_voxels((20, 30, 40)))
    body = path if suffix not in (".nhdr", ".mhd") else next(p for p in tmp_path.iterdir() if p != path)
    body.write_bytes(body.read_bytes()[: int(body.stat().st_size * part)])
    message = only_our_sentence(capfd, path)
    assert str(path) in message
    assert "cut short" in message


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_of_another_kind_is_refused(tmp_path, capfd, suffix):
    path = tmp_path / f"scan{suffix}"
    path.write_text("Dear colleague,\nplease find attached the scan.\n" * 50)
    assert "not what its name says" in only_our_sentence(capfd, path)


def test_damage_inside_a_compressed_file_is_noticed(tmp_path, capfd):
    path = tmp_path / "scan.nii.gz"
    write_image(path, random_voxels((20, 30, 40)))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    assert "damaged" in only_our_sentence(capfd, path)


@pytest.mark.parametrize("name", ["letter.txt", "photo.png", "scan", "archive.zip", "scan.seg.nrrd"])
def test_what_is_not_a_scan_is_refused_by_name(tmp_path, capfd, name):
    (tmp_path / name).write_bytes(b"\x00" * 500)
    assert "not a scan" in only_our_sentence(capfd, tmp_path / name)


def test_missing_files_and_empty_folders_are_refused(tmp_path, capfd):
    assert "There is no file or folder" in only_our_sentence(capfd, tmp_path / "nothing.nrrd")
    assert "empty" in only_our_sentence(capfd, tmp_path)
    (tmp_path / "readme.txt").write_text("hello")
    assert "something else" in only_our_sentence(capfd, tmp_path)


def test_a_missing_data_file_is_refused(tmp_path, capfd):
    for suffix in (".nhdr", ".mhd"):
        path = tmp_path / f"scan{suffix}"
        write_image(path, random_voxels())
        next(p for p in tmp_path.iterdir() if p.suffix in (".gz", ".raw", ".zraw")).unlink()
        only_our_sentence(capfd, path)


@pytest.mark.skipif(not hasattr(os, "seteuid") or os.geteuid() != 0, reason="needs root, to lose the right to read")
def test_a_forbidden_file_is_refused(tmp_path, capfd):
    write_image(tmp_path / "scan.nrrd", random_voxels())
    (tmp_path / "scan.nrrd").chmod(0)
    os.seteuid(65534)
    try:
        assert "permission" in only_our_sentence(capfd, tmp_path / "scan.nrrd")
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("suffix", [".nrrd", ".nii", ".nii.gz", ".mha"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_not_numbers_are_counted_and_refused(tmp_path, capfd, suffix, bad):
    voxels = random_voxels(dtype=np.float32)
    voxels[2, 3, 4] = voxels[0, 0, 0] = bad
    write_image(tmp_path / f"scan{suffix}", voxels)
    assert "2 of 210 voxels" in only_our_sentence(capfd, tmp_path / f"scan{suffix}")


def test_a_single_bad_voxel_at_the_end_of_a_big_endian_nifti_is_found(tmp_path, capfd):
    voxels = np.arange(27, dtype=">f4").reshape(3, 3, 3)
    voxels[2, 2, 2] = np.nan
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4), nibabel.Nifti1Header(endianness=">")), tmp_path / "scan.nii.gz")
    assert "1 of 27 voxels" in only_our_sentence(capfd, tmp_path / "scan.nii.gz")


def test_nifti_2_is_refused(tmp_path, capfd):
    nibabel.save(nibabel.Nifti2Image(random_voxels(), np.diag([-1.0, 2, 3, 1])), tmp_path / "scan.nii.gz")
    assert "NIfTI-2" in only_our_sentence(capfd, tmp_path / "scan.nii.gz")


def test_double_precision_beyond_single_is_refused(tmp_path, capfd):
    voxels = random_voxels(dtype=np.float64)
    voxels[0, 0, 0] = 1e300
    write_image(tmp_path / "scan.nrrd", voxels)
    assert "1 of 210 voxels" in only_our_sentence(capfd, tmp_path / "scan.nrrd")


def test_constant_voxels_are_refused_in_any_channel(tmp_path, capfd):
    write_image(tmp_path / "scan.nrrd", np.full((5, 6, 7), 42, np.int16))
    assert "every voxel has the value 42" in only_our_sentence(capfd, tmp_path / "scan.nrrd")
    voxels = random_voxels((5, 6, 7, 2))
    voxels[..., 1] = 0
    write_image(tmp_path / "two.nrrd", voxels, is_vector=True)
    assert "channel 1" in only_our_sentence(capfd, tmp_path / "two.nrrd")


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha"])
def test_a_flat_image_is_refused(tmp_path, capfd, suffix):
    for shape in [(6, 7), (1, 6, 7)]:
        write_image(tmp_path / f"scan{suffix}", random_voxels(shape))
        assert "2-D image" in only_our_sentence(capfd, tmp_path / f"scan{suffix}")


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha"])
def test_a_time_series_is_refused(tmp_path, capfd, suffix):
    write_image(tmp_path / f"scan{suffix}", random_voxels((3, 5, 6, 7)))
    assert "series of 3 volumes" in only_our_sentence(capfd, tmp_path / f"scan{suffix}")


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha"])
@pytest.mark.parametrize("channels", [3, 4])
def test_a_colour_image_is_refused(tmp_path, capfd, suffix, channels):
    write_image(tmp_path / f"scan{suffix}", random_voxels((5, 6, 7, channels), np.uint8), is_vector=True)
    assert "colour image" in only_our_sentence(capfd, tmp_path / f"scan{suffix}")


def test_complex_voxels_are_refused(tmp_path, capfd):
    nibabel.save(nibabel.Nifti1Image(random_voxels().astype(np.complex64), np.eye(4)), tmp_path / "scan.nii")
    assert "complex" in only_our_sentence(capfd, tmp_path / "scan.nii")


def test_a_sheared_scan_is_refused(tmp_path, capfd):
    affine = np.array([[1, 0.2, 0, 0], [0, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1.0]])
    image = nibabel.Nifti1Image(random_voxels(), affine)
    image.header["qform_code"] = 0
    nibabel.save(image, tmp_path / "scan.nii")
    assert "not perpendicular" in only_our_sentence(capfd, tmp_path / "scan.nii")
    header = (
        "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 7 6 5\nendian: little\n"
        "space directions: (1,0,0) (0.2,1,0) (0,0,1)\nkinds: domain domain domain\nencoding: raw\n\n"
    )
    (tmp_path / "scan.nrrd").write_bytes(header.encode() + random_voxels().astype("<i2").tobytes())
    assert "not perpendicular" in only_our_sentence(capfd, tmp_path / "scan.nrrd")


def test_a_scan_without_orientation_is_refused(tmp_path, capfd):
    nibabel.save(nibabel.Nifti1Image(random_voxels(), None), tmp_path / "scan.nii")
    assert "how the patient lies" in only_our_sentence(capfd, tmp_path / "scan.nii")
    header = "NRRD0004\ntype: short\ndimension: 3\nsizes: 7 6 5\nendian: little\nencoding: raw\n\n"
    (tmp_path / "scan.nrrd").write_bytes(header.encode() + random_voxels().astype("<i2").tobytes())
    assert "how the patient lies" in only_our_sentence(capfd, tmp_path / "scan.nrrd")


def test_absurd_sizes_in_a_damaged_header_are_refused(tmp_path, capfd):
    write_image(tmp_path / "scan.nii", random_voxels())
    content = bytearray((tmp_path / "scan.nii").read_bytes())
    content[42:48] = struct.pack("<3h", 32000, 32000, 32000)  # dim[1..3] of the NIfTI-1 header
    (tmp_path / "scan.nii").write_bytes(bytes(content))
    assert "cut short" in only_our_sentence(capfd, tmp_path / "scan.nii")


def test_a_plain_file_named_gz_is_read_or_refused_but_never_wrong(tmp_path):
    write_image(tmp_path / "scan.nii.gz", random_voxels())
    (tmp_path / "scan.nii.gz").write_bytes(gzip.decompress((tmp_path / "scan.nii.gz").read_bytes()))
    np.testing.assert_array_equal(read_volume(tmp_path / "scan.nii.gz").voxels[0], random_voxels())


def test_a_series_is_only_chosen_from_dicom(tmp_path, capfd):
    write_image(tmp_path / "scan.nrrd", random_voxels())
    assert "not DICOM" in only_our_sentence(capfd, tmp_path / "scan.nrrd", series="1")


def test_reading_leaves_standard_error_open(tmp_path, capfd):
    (tmp_path / "scan.mha").write_text("nonsense")
    with pytest.raises(VolumeError):
        read_volume(tmp_path / "scan.mha")
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "modality"),
    [
        ("brain_mr/brain1_image.nrrd", (1, 25, 256, 256), np.int16, ""),
        ("spinal_cord_mr/t2s.nii.gz", (1, 11, 320, 320), np.uint8, ""),
        ("lidc_0001/LIDC-IDRI-0001_ct_uint8_256x256x133.nii.gz", (1, 133, 256, 256), np.uint8, ""),
    ],
)
def test_real_scans_agree_with_simpleitk(shared, name, shape, dtype, modality):
    path = shared / "data" / "volumes" / name
    volume, image = read_volume(path), SimpleITK.ReadImage(str(path))
    assert (volume.voxels.shape, volume.modality) == (shape, modality)
    assert volume.voxels.dtype == SimpleITK.GetArrayViewFromImage(image).dtype == dtype
    corner = tuple(n - 1 for n in image.GetSize())
    expected = np.array(image.TransformIndexToPhysicalPoint(corner)) * RAS
    np.testing.assert_allclose(volume.grid.to_ras(corner), expected, atol=1e-6)


def test_errors_are_of_the_promised_classes(tmp_path):
    with pytest.raises(VolumeError):
        read_volume(tmp_path / "nothing")
    nibabel.save(nibabel.Nifti1Image(random_voxels(), None), tmp_path / "scan.nii")
    with pytest.raises(GeometryError):
        read_volume(tmp_path / "scan.nii")
