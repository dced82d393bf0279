"""What is written is what was computed, on the scan's own voxels, whole or not at all."""

import os

import numpy as np
import pytest
import SimpleITK
import slicerio
from scipy.spatial.transform import Rotation

from MultiRaterSegLib.errors import GeometryError, VolumeError
from MultiRaterSegLib.geometry import Grid
from MultiRaterSegLib.io import (
    LESION,
    NODULE,
    Segment,
    atomic_folder,
    read_volume,
    write_label_volume,
    write_scalar_volume,
    write_segmentation,
)

RAS = np.array([-1.0, -1.0, 1.0])
SUFFIXES = [".nrrd", ".nii.gz", ".nii", ".mha"]


def oblique_grid(seed=0, shape=(7, 9, 8)) -> Grid:
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    axes = Rotation.random(random_state=seed).as_matrix() * rng.choice([-1, 1], 3)  # half of them left-handed
    affine[:3, :3] = axes * rng.uniform(0.4, 4, 3)
    affine[:3, 3] = rng.uniform(-200, 200, 3)
    return Grid(shape, affine)


def assert_on_grid(image: SimpleITK.Image, grid: Grid, atol: float) -> None:
    assert image.GetSize() == tuple(grid.size_ijk)
    for corner in [(0, 0, 0), *(np.diag(grid.size_ijk - 1)).tolist(), (grid.size_ijk - 1).tolist()]:
        point = np.array(image.TransformIndexToPhysicalPoint([int(n) for n in corner])) * RAS
        np.testing.assert_allclose(point, grid.to_ras(corner), atol=atol)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("seed", range(4))
def test_scalar_volumes_keep_values_and_place(tmp_path, suffix, seed):
    grid = oblique_grid(seed)
    values = np.random.default_rng(seed).normal(size=grid.shape).astype(np.float32)
    write_scalar_volume(values, grid, tmp_path / f"map{suffix}")
    image = SimpleITK.ReadImage(str(tmp_path / f"map{suffix}"))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), values)
    assert_on_grid(image, grid, atol=1e-9 if ".nii" not in suffix else 2e-3)  # NIfTI: single precision
    again = read_volume(tmp_path / f"map{suffix}")
    assert again.grid.same_as(grid, tolerance_mm=1e-9 if ".nii" not in suffix else 1e-3)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("dtype", "stored"), [(bool, np.uint8), (np.int64, np.uint8), (np.uint8, np.uint8)])
def test_label_volumes_take_the_smallest_type(tmp_path, suffix, dtype, stored):
    grid = oblique_grid()
    labels = np.random.default_rng(0).integers(0, 2, grid.shape).astype(dtype)
    write_label_volume(labels, grid, tmp_path / f"labels{suffix}")
    back = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / f"labels{suffix}")))
    assert back.dtype == stored
    np.testing.assert_array_equal(back, labels)


def test_many_labels_take_16_bits(tmp_path):
    grid = oblique_grid()
    labels = np.arange(np.prod(grid.shape)).reshape(grid.shape)
    write_label_volume(labels, grid, tmp_path / "labels.nrrd")
    np.testing.assert_array_equal(
        SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "labels.nrrd"))), labels
    )


@pytest.mark.parametrize("labels", [np.full((7, 9, 8), -1), np.full((7, 9, 8), 70000), np.zeros((7, 9, 8), np.float32)])
def test_what_is_no_label_is_refused(tmp_path, labels):
    with pytest.raises(ValueError, match="Labels must be integers"):
        write_label_volume(labels, oblique_grid(), tmp_path / "labels.nrrd")


def test_wrong_shapes_names_and_folders_are_refused_and_leave_nothing(tmp_path):
    grid = oblique_grid()
    with pytest.raises(GeometryError, match="voxels must be"):
        write_scalar_volume(np.zeros((8, 9, 7), np.float32), grid, tmp_path / "map.nrrd")
    with pytest.raises(VolumeError, match="must end in"):
        write_scalar_volume(np.zeros(grid.shape, np.float32), grid, tmp_path / "map.png")
    with pytest.raises(VolumeError, match="the folder does not exist"):
        write_scalar_volume(np.zeros(grid.shape, np.float32), grid, tmp_path / "no" / "map.nrrd")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    grid = oblique_grid()
    write_scalar_volume(np.ones(grid.shape, np.float32), grid, tmp_path / "map.nrrd")
    before = (tmp_path / "map.nrrd").read_bytes()

    def half_written(image, name, **options):
        with open(name, "w") as file:
            file.write("half")
        raise RuntimeError("disk full")

    monkeypatch.setattr(SimpleITK, "WriteImage", half_written)
    with pytest.raises(VolumeError, match="disk full"):
        write_scalar_volume(np.zeros(grid.shape, np.float32), grid, tmp_path / "map.nrrd")
    assert [path.name for path in tmp_path.iterdir()] == ["map.nrrd"]
    assert (tmp_path / "map.nrrd").read_bytes() == before


def overlapping_segments(grid: Grid) -> list[Segment]:
    rng = np.random.default_rng(5)
    crop = grid.crop([1, 2, 1], [6, 6, 4])
    return [
        Segment("reader-1", "Conservative (smallest)", rng.random(grid.shape) > 0.7, (0.1, 0.2, 0.3), NODULE),
        Segment(
            "reader-2", "Inclusive (largest)", rng.random(grid.shape) > 0.3, (0.9, 0.8, 0.7), LESION, {"Kind": "a"}
        ),
        Segment("empty", "Saw nothing", np.zeros(grid.shape, bool), (1.0, 0.0, 0.0)),
        Segment("crop", "On a crop", rng.random(crop.shape) > 0.5, (0.0, 1.0, 0.0), grid=crop),
    ]


def full_mask(segment: Segment, grid: Grid) -> np.ndarray:
    """Independent of the writer: every voxel of the crop is placed by its RAS position."""
    if segment.grid is None:
        return segment.mask
    full = np.zeros(grid.shape, bool)
    k, j, i = np.nonzero(segment.mask)
    place = np.rint(grid.to_ijk(segment.grid.to_ras(np.stack([i, j, k], -1)))).astype(int)
    full[place[:, 2], place[:, 1], place[:, 0]] = True
    return full


@pytest.mark.parametrize("seed", range(4))
def test_a_segmentation_comes_back_through_slicerio(tmp_path, seed):
    grid = oblique_grid(seed)
    segments = overlapping_segments(grid)
    write_segmentation(tmp_path / "s.seg.nrrd", segments, grid)
    back = slicerio.read_segmentation(str(tmp_path / "s.seg.nrrd"))
    np.testing.assert_allclose(np.diag([-1, -1, 1, 1]) @ back["ijkToLPS"], grid.affine, atol=1e-12)
    assert len(back["segments"]) == len(segments)
    for segment, info in zip(segments, back["segments"]):
        assert (info["id"], info["name"]) == (segment.id, segment.name)
        np.testing.assert_allclose(info["color"], segment.color)
        assert info.get("tags", {}) == segment.tags
        assert info["terminology"]["category"][:2] == ["SCT", "49755003"]
        assert info["terminology"]["type"][1] == ("27925004" if segment.terminology == NODULE else "52988006")
        mask = slicerio.segment_mask(back, segment.id).transpose(2, 1, 0)
        np.testing.assert_array_equal(mask, full_mask(segment, grid))


def test_simpleitk_sees_the_same_layers_and_place(tmp_path):
    grid = oblique_grid(1)
    segments = overlapping_segments(grid)
    write_segmentation(tmp_path / "s.seg.nrrd", segments, grid)
    image = SimpleITK.ReadImage(str(tmp_path / "s.seg.nrrd"))
    assert_on_grid(image, grid, atol=1e-9)
    layers = SimpleITK.GetArrayFromImage(image)
    for n, segment in enumerate(segments):
        layer, label = (int(image.GetMetaData(f"Segment{n}_{key}")) for key in ("Layer", "LabelValue"))
        np.testing.assert_array_equal(layers[..., layer] == label, full_mask(segment, grid))


def test_segments_that_do_not_overlap_share_a_layer(tmp_path):
    grid = oblique_grid()
    masks = [np.zeros(grid.shape, bool) for _ in range(3)]
    for n, mask in enumerate(masks):
        mask[n] = True
    write_segmentation(
        tmp_path / "s.seg.nrrd", [Segment(f"{n}", f"{n}", m, (1, 0, 0)) for n, m in enumerate(masks)], grid
    )
    image = SimpleITK.ReadImage(str(tmp_path / "s.seg.nrrd"))
    assert image.GetNumberOfComponentsPerPixel() == 1
    np.testing.assert_array_equal(
        SimpleITK.GetArrayFromImage(image)[:3], np.arange(1, 4)[:, None, None] * np.ones((9, 8))
    )


def test_text_in_any_language_is_kept_and_separators_cannot_break_the_file(tmp_path):
    grid = oblique_grid()
    segments = overlapping_segments(grid)[:1]
    tags = {"Prompt": "Größe: tight | margins\n結節", "A:B": "c"}
    segments = [Segment("läsion", "結節 – Läsion", segments[0].mask, (1, 0, 0), NODULE, tags)]
    write_segmentation(tmp_path / "s.seg.nrrd", segments, grid)
    header = (tmp_path / "s.seg.nrrd").read_bytes().split(b"\n\n")[0].decode("utf-8")
    assert "Segment0_Name:=結節 – Läsion\n" in header
    assert "Segment0_ID:=läsion\n" in header
    assert "|Prompt:Größe: tight / margins 結節|A B:c|" in header
    voxels = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "s.seg.nrrd")))
    np.testing.assert_array_equal(voxels == 1, segments[0].mask)
    assert [path.name for path in tmp_path.iterdir()] == ["s.seg.nrrd"]


def test_masks_off_the_grid_and_doubled_ids_are_refused(tmp_path):
    grid = oblique_grid()
    mask = np.zeros(grid.shape, bool)
    shifted = Grid((3, 3, 3), grid.crop([0, 0, 0], [2, 2, 2]).affine + 0.3 * np.eye(4)[:, 3:] @ np.eye(4)[3:])
    beyond = Grid((3, 3, 3), grid.crop([7, 8, 6], [7, 8, 6]).affine)
    for own, array in [(None, mask[1:]), (shifted, mask[:3, :3, :3]), (beyond, mask[:3, :3, :3])]:
        with pytest.raises(GeometryError, match="must lie on the scan's voxels"):
            write_segmentation(tmp_path / "s.seg.nrrd", [Segment("a", "A", array, (1, 0, 0), grid=own)], grid)
    with pytest.raises(ValueError, match="different ids"):
        write_segmentation(tmp_path / "s.seg.nrrd", [Segment("a", "A", mask, (1, 0, 0))] * 2, grid)
    assert list(tmp_path.iterdir()) == []


class TestAtomicFolder:
    def write(self, out, files: dict[str, str]):
        with atomic_folder(out) as folder:
            for name, text in files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text)

    def content(self, out) -> dict[str, str]:
        return {str(p.relative_to(out)): p.read_text() for p in out.rglob("*") if p.is_file() and p.name[0] != "."}

    def test_files_appear_together_at_the_end(self, tmp_path):
        out = tmp_path / "a" / "out"
        with atomic_folder(out) as folder:
            (folder / "one.txt").write_text("1")
            assert not out.exists()
        assert self.content(out) == {"one.txt": "1"}
        assert [p.name for p in tmp_path.iterdir()] == ["a"]

    def test_unrelated_files_stay_and_earlier_results_are_replaced_as_a_set(self, tmp_path):
        (tmp_path / "mine.txt").write_text("mine")
        self.write(tmp_path, {"report.json": "old", "expert 3.nrrd": "old", "slices/1.png": "old"})
        self.write(tmp_path, {"report.json": "new", "slices/2.png": "new"})
        assert self.content(tmp_path) == {"mine.txt": "mine", "report.json": "new", "slices/2.png": "new"}

    @pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError, MemoryError, SystemExit])
    def test_any_failure_leaves_the_folder_as_it_was(self, tmp_path, failure):
        self.write(tmp_path / "out", {"report.json": "old"})

        def interrupted():
            with atomic_folder(tmp_path / "out") as folder:
                (folder / "report.json").write_text("new")
                raise failure

        with pytest.raises(failure):
            interrupted()
        assert self.content(tmp_path / "out") == {"report.json": "old"}
        assert not [p for p in tmp_path.rglob("*") if "unfinished" in p.name]

    def test_a_failure_in_a_new_folder_leaves_no_folder(self, tmp_path):
        def interrupted():
            with atomic_folder(tmp_path / "a" / "out"):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("existing", [True, False])
    @pytest.mark.parametrize("fails_at", range(1, 8))
    def test_a_failure_while_moving_puts_everything_back(self, tmp_path, monkeypatch, existing, fails_at):
        out, replace, calls = tmp_path / "out", os.replace, []
        if existing:
            self.write(out, {"a": "old", "b": "old", "only old": "old"})
            (out / "mine").write_text("mine")
        before = self.content(out)

        def failing(source, target):
            calls.append(source)
            if len(calls) == fails_at:
                raise OSError(28, "No space left on device")
            replace(source, target)

        monkeypatch.setattr(os, "replace", failing)
        moves = 3 + (4 if existing else 0)  # two new files and their list; three old ones and theirs
        if fails_at > moves:
            self.write(out, {"a": "new", "c": "new"})
            return
        with pytest.raises(VolumeError, match="no space left"):
            self.write(out, {"a": "new", "c": "new"})
        assert self.content(out) == before
        assert out.exists() == existing

    def test_a_file_in_the_way_is_explained(self, tmp_path):
        (tmp_path / "out").write_text("a file")
        with pytest.raises(VolumeError, match="is a file"):
            self.write(tmp_path / "out", {})
        with pytest.raises(VolumeError, match="cannot be written"):
            self.write(tmp_path / "out" / "below", {})
        assert (tmp_path / "out").read_text() == "a file"

    @pytest.mark.skipif(
        not hasattr(os, "seteuid") or os.geteuid() != 0, reason="needs root, to lose the right to write"
    )
    def test_a_forbidden_folder_is_explained(self, tmp_path):
        tmp_path.chmod(0o755)
        os.seteuid(65534)
        try:
            with pytest.raises(VolumeError, match="no permission"):
                self.write(tmp_path / "out", {})
        finally:
            os.seteuid(0)

    def test_a_manifest_cannot_reach_outside(self, tmp_path):
        (tmp_path / "precious").write_text("precious")
        self.write(tmp_path / "out", {"a": "1"})
        manifest = next(p for p in (tmp_path / "out").iterdir() if p.name.startswith("."))
        manifest.write_text(f"../precious\n{tmp_path / 'precious'}\n")
        self.write(tmp_path / "out", {"a": "2"})
        assert (tmp_path / "precious").read_text() == "precious"
