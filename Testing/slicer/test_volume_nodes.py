"""A volume node becomes the same scan that its file is: every voxel at its place, or a refusal in plain words."""

import numpy as np
import pytest
import SimpleITK
import slicer
import vtk
from MultiRaterSegSlicer.nodes import volume_from_node
from orientations import SPACING, TILT, TILTED, UPRIGHT, affine_of, some_voxels
from slicer.util import addVolumeFromArray

from MultiRaterSegLib.errors import GeometryError, VolumeError
from MultiRaterSegLib.io import read_volume


def write_with_itk(path, axes: np.ndarray, voxels: np.ndarray) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(voxels)
    image.SetSpacing(SPACING)
    image.SetOrigin((13.25, -41.5, 1207.125))
    image.SetDirection(axes.ravel().tolist())
    SimpleITK.WriteImage(image, str(path))
    return image


def test_all_48_orientations_and_tilted_ones_keep_voxels_and_geometry(host):
    for axes in [*UPRIGHT, *TILTED]:
        voxels, affine = some_voxels(), affine_of(axes)
        volume = volume_from_node(addVolumeFromArray(voxels, ijkToRAS=affine, name="scan"))
        assert volume.voxels.dtype == np.int16
        assert np.array_equal(volume.voxels, voxels[None])
        np.testing.assert_allclose(volume.grid.affine, affine, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("suffix", "orientations"), [("nrrd", UPRIGHT), ("nii.gz", TILTED[::5]), ("mha", TILTED[::7])])
def test_a_file_lies_where_itk_says_whether_slicer_or_the_library_reads_it(host, tmp_path, suffix, orientations):
    for n, axes in enumerate(orientations):
        path = tmp_path / f"scan{n}.{suffix}"
        image = write_with_itk(path, axes, some_voxels())
        for volume in (
            volume_from_node(host.logics["volumes"].AddArchetypeVolume(str(path), "scan", 0)),
            read_volume(path),
        ):
            assert_every_voxel_lies_where_itk_says(volume, image)


def assert_every_voxel_lies_where_itk_says(volume, image):
    """Slicer turns left-handed files round on reading, so voxels are compared by their place, not by their index."""
    values = SimpleITK.GetArrayViewFromImage(image)
    k, j, i = np.indices(volume.grid.shape).reshape(3, -1)
    places = volume.grid.to_ras(np.stack([i, j, k], 1))
    there = np.array([image.TransformPhysicalPointToContinuousIndex(p) for p in (places * [-1, -1, 1]).tolist()])
    index = np.rint(there).astype(int)
    assert np.abs(there - index).max() < 1e-4
    assert len(np.unique(index, axis=0)) == values.size
    assert np.array_equal(volume.voxels[0, k, j, i], values[tuple(index.T[::-1])])


REAL_SCANS = [
    "lidc_0001/LIDC-IDRI-0001_ct_uint8_256x256x133.nii.gz",
    "lung_ct/lung1_image.nrrd",
    "brain_mr/brain1_image.nrrd",
    "prostate_mr_dicom/t2_tra",
    "spinal_cord_mr/t2.nii.gz",
    "spinal_cord_mr/t2s.nii.gz",
]


@pytest.mark.parametrize("name", REAL_SCANS)
def test_a_real_scan_is_the_same_through_slicer_and_through_the_library(host, shared, name):
    path = shared / "data" / "volumes" / name
    first = min(path.iterdir()) if path.is_dir() else path
    node = host.logics["volumes"].AddArchetypeVolume(str(first), "scan", 0)
    through_slicer, through_library = volume_from_node(node), read_volume(path)
    ijk = np.random.default_rng(0).integers(0, through_slicer.grid.size_ijk, (20_000, 3))
    there = through_library.grid.to_ijk(through_slicer.grid.to_ras(ijk))
    assert np.abs(there - np.rint(there)).max() < 1e-3
    values = [
        volume.voxels[(0, *np.rint(index).astype(int).T[::-1])]
        for volume, index in [(through_slicer, ijk), (through_library, there)]
    ]
    assert np.array_equal(*values)
    assert through_slicer.voxels.size == through_library.voxels.size


def test_vector_volumes_become_channels(host):
    voxels = some_voxels(4, 5, 6, 3)
    node = addVolumeFromArray(voxels, ijkToRAS=affine_of(UPRIGHT[5]), nodeClassName="vtkMRMLVectorVolumeNode")
    volume = volume_from_node(node)
    assert volume.voxels.shape == (3, 4, 5, 6)
    for channel in range(3):
        assert np.array_equal(volume.voxels[channel], voxels[..., channel])


def test_an_extent_that_begins_elsewhere_than_zero_moves_the_grid(host):
    voxels, affine = some_voxels(), affine_of(TILT)
    node = addVolumeFromArray(voxels, ijkToRAS=affine, name="cropped")
    node.GetImageData().SetExtent(10, 15, -3, 1, 7, 10)
    volume = volume_from_node(node)
    assert volume.grid.shape == (4, 5, 6)
    np.testing.assert_allclose(volume.grid.to_ras([0, 0, 0]), (affine @ [10, -3, 7, 1])[:3], atol=1e-9)


def test_later_edits_of_the_node_do_not_reach_the_volume(host):
    node = addVolumeFromArray(some_voxels(), name="scan")
    volume = volume_from_node(node)
    slicer.util.arrayFromVolume(node)[:] = 7
    assert np.array_equal(volume.voxels[0], some_voxels())


def test_the_volume_is_called_as_in_the_scene_and_knows_its_dicom_modality(host):
    node = addVolumeFromArray(some_voxels(), name="CTChest")
    assert (volume_from_node(node).source, volume_from_node(node).modality) == ("CTChest", "")
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(host.scene)
    item = hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)  # as the DICOM browser does
    hierarchy.SetItemAttribute(item, "DICOM.Modality", "CT")
    assert volume_from_node(node).modality == "CT"


def under_transform(host, node, kind="vtkMRMLLinearTransformNode", shift=0.0):
    transform = host.scene.AddNewNodeByClass(kind, "Registration")
    if shift:
        matrix = vtk.vtkMatrix4x4()
        matrix.SetElement(0, 3, shift)
        transform.SetMatrixTransformToParent(matrix)
    node.SetAndObserveTransformNodeID(transform.GetID())
    return transform


def test_a_transformed_volume_is_refused_until_the_transform_is_hardened(host):
    node = addVolumeFromArray(some_voxels(), ijkToRAS=affine_of(UPRIGHT[0]), name="CTChest")
    under_transform(host, node, shift=5.0)
    with pytest.raises(GeometryError) as refusal:
        volume_from_node(node)
    assert str(refusal.value) == (
        "'CTChest' is under transform 'Registration'. Harden the transform, or segment the untransformed volume."
    )
    node.HardenTransform()
    np.testing.assert_allclose(volume_from_node(node).grid.affine[:3, 3], [-108.25, 41.5, 1207.125])


def test_a_transform_that_moves_nothing_is_no_reason_to_refuse(host):
    node = addVolumeFromArray(some_voxels(), name="CTChest")
    under_transform(host, node)
    assert np.array_equal(volume_from_node(node).voxels[0], some_voxels())


def test_a_transform_further_up_and_a_warp_are_refused_too(host):
    node = addVolumeFromArray(some_voxels(), name="CTChest")
    inner = under_transform(host, node)
    under_transform(host, inner, shift=1.0)
    with pytest.raises(GeometryError, match="Harden"):
        volume_from_node(node)
    under_transform(host, node, kind="vtkMRMLBSplineTransformNode")
    with pytest.raises(GeometryError, match="Harden"):
        volume_from_node(node)


def test_volumes_that_hold_no_scan_are_refused(host):
    nan = some_voxels().astype(np.float32)
    nan[1, 2, 3] = np.nan
    empty = host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "nothing")
    labels = addVolumeFromArray(
        some_voxels().astype(np.uint8), name="labels", nodeClassName="vtkMRMLLabelMapVolumeNode"
    )
    for node, words in [
        (empty, "'nothing' is empty"),
        (labels, "'labels' is a LabelMapVolume"),
        (addVolumeFromArray(some_voxels(1, 5, 6), name="slice"), r"'slice' is a 2-D image \(6 x 5 x 1\)"),
        (addVolumeFromArray(nan, name="holes"), "'holes': 1 of 120 voxels are not finite"),
        (addVolumeFromArray(np.full((4, 5, 6), 3, np.int16), name="flat"), "'flat': every voxel has the value 3"),
    ]:
        with pytest.raises(VolumeError, match=words):
            volume_from_node(node)


def test_sheared_axes_are_refused(host):
    affine = affine_of(np.eye(3))
    affine[0, 2] = 0.4  # a gantry tilt of 9 degrees
    with pytest.raises(GeometryError, match="'tilted': its axes are not perpendicular"):
        volume_from_node(addVolumeFromArray(some_voxels(), ijkToRAS=affine, name="tilted"))
