"""The simulated data set: real outlines of allowed patients, addressed randomness, images like the reference ones."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import slicerio
from scipy.ndimage import binary_dilation

from MultiRaterSegLib.errors import DataError
from MultiRaterSegLib.io import read_volume
from Training.data import DATASETS
from Training.data.simulated import (
    BUNDLED,
    PROJECT,
    load_simulated,
    simulate_acquisitions,
    simulate_beyond,
    simulate_nodule,
)
from Training.data.simulator import SCANNERS, OutlinedNodule, Plane, SimulatedScan, read_nodules, scanner_of
from Training.make_sample_scan import NAME, grid_of, simulate_sample
from Training.robustness import CLEAN, acquired_planes

SAMPLES = PROJECT / "Resources" / "SampleData"
PART_SOLID = 808
"""Number of a nodule of 20 slices."""

REFERENCE_CORE_HU, REFERENCE_LUNG_HU = -153.9, -859.0
"""Of the reference simulator on its largest slice: mean where all readers agree, median 4 mm and more from them."""


@pytest.fixture(scope="module")
def nodules() -> list[OutlinedNodule]:
    return read_nodules(PROJECT / BUNDLED)


@pytest.fixture(scope="module")
def nodule(nodules) -> OutlinedNodule:
    return next(nodule for nodule in nodules if nodule.number == PART_SOLID)


def test_outlines_leave_out_held_out_patients_and_the_test_fold(nodules, shared):
    data = shared / "data" / "lidc_slices"
    held_out = set((data / "held_out_patients.txt").read_text().split())
    folds = {p: fold for fold in range(3) for p in np.unique(np.load(data / f"fold{fold}.npz")["patient"]).tolist()}
    assert not held_out & {nodule.patient_id for nodule in nodules}
    assert all(folds[nodule.patient_id] == nodule.fold for nodule in nodules)


def test_every_nodule_was_outlined_by_all_four_readers(nodules):
    assert all((nodule.areas_px.sum(0) > 0).all() for nodule in nodules)


@pytest.mark.parametrize("index", [7, 140, 265, 370])
def test_slices_equal_those_of_the_reference_simulator(nodules, shared, index):
    reference = _reference(shared)
    nodule = nodules[index]
    scan = SimulatedScan(nodule)
    for number in nodule.slice_number[:2].tolist():
        row = np.flatnonzero((reference.z["nodule"] == nodule.number) & (reference.z["slice_k"] == number))[0]
        assert np.abs(scan.slice(number) - reference.image(row)).max() <= 1
        np.testing.assert_array_equal(scan.masks(number), reference.masks(row))


def _reference(shared: Path):
    folder = shared / "reference" / "lidc_outlines"
    spec = importlib.util.spec_from_file_location("lidc_sim", folder / "lidc_sim.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.LidcSim(folder / "lidc_any_rater.npz")


def test_tissue_has_the_reference_hounsfield_units(nodule):
    scan = SimulatedScan(nodule)
    number = int(nodule.slice_number[nodule.largest])
    hu, masks = scan.slice(number).astype(float), scan.masks(number)
    lung = ~binary_dilation(masks.any(0), iterations=8)
    assert hu[masks.all(0)].mean() == pytest.approx(REFERENCE_CORE_HU, abs=0.5)
    assert np.median(hu[lung]) == pytest.approx(REFERENCE_LUNG_HU, abs=0.5)


def test_the_same_address_gives_the_same_slice_in_any_order(nodule):
    one, other = SimulatedScan(nodule), SimulatedScan(nodule)
    low, high = (int(nodule.slice_number[row]) for row in (3, 12))
    first = one.slice(low), one.slice(high)
    second = other.slice(high), other.slice(low)
    np.testing.assert_array_equal(first[0], second[1])
    np.testing.assert_array_equal(first[1], second[0])
    assert np.abs(first[0].astype(int) - SimulatedScan(nodule, repetition=1).slice(low)).mean() > 20


def test_the_image_does_not_know_the_order_of_the_readers(nodule):
    order = [2, 0, 3, 1]
    shuffled = replace(nodule, masks=nodule.masks[:, order], ratings=nodule.ratings[order])
    number = int(nodule.slice_number[nodule.largest])
    difference = np.abs(SimulatedScan(nodule).slice(number) - SimulatedScan(shuffled).slice(number))
    assert difference.max() <= 1


def test_beyond_the_ends_there_is_lung_and_no_nodule(nodule):
    scan = SimulatedScan(nodule)
    middle = np.hypot(*np.mgrid[-63.5:64, -63.5:64]) < 12
    inside = np.median(scan.slice(int(nodule.slice_number[nodule.largest]))[middle])
    outside = [np.median(scan.beyond(steps)[middle]) for steps in (-3, 3)]
    assert inside > -200
    assert max(outside) < -700
    assert not scan.masks(scan.slice_numbers[-1] + 3).any()
    with pytest.raises(ValueError, match="beyond"):
        scan.beyond(0)


def test_beyond_the_ends_the_anatomy_goes_on(nodule):
    """Vessels of a slice go on in the next one: bright pixels coincide far more than with another repetition's."""
    scan, other = SimulatedScan(nodule, scanner="smooth"), SimulatedScan(nodule, 1, "smooth")
    here, next_one, stranger = scan.beyond(3) > -700, scan.beyond(4) > -700, other.beyond(4) > -700
    assert (here & next_one).sum() > 3 * (here & stranger).sum()


def test_negatives_have_empty_masks_and_the_nodules_identity(nodule):
    negatives = simulate_beyond(nodule, steps=2)
    assert len(negatives) == 4
    assert not negatives.areas_px.any()
    assert negatives.patient[0] == nodule.patient_id
    last = int(nodule.slice_number[-1])
    assert negatives.slice_index.tolist()[2:] == [last + 1, last + 2]


def test_a_volume_has_the_outlines_of_its_slices_and_empty_ends(nodule):
    scan = SimulatedScan(nodule, plane=Plane(96, 0.5))
    volume = scan.volume(below=2, above=1)
    assert volume.hu.shape == volume.masks.shape[1:] == (len(nodule.masks) + 3, 96, 96)
    areas = volume.masks.sum((2, 3)).T
    np.testing.assert_array_equal(areas[2:-1], nodule.areas_px)
    assert not areas[:2].any()
    assert not areas[-1:].any()


def test_a_volumes_nodule_is_coherent_along_z(nodule):
    """Where all readers agree, the nodule is solid in neighbouring slices alike: no slice stands out."""
    volume = SimulatedScan(nodule, scanner="smooth", plane=Plane(96, 0.5)).volume(1, 1)
    core = volume.masks.all(0)
    shared = core[:-1] & core[1:]
    jump = np.abs(np.diff(volume.hu.astype(float), axis=0))
    rows = shared.sum((1, 2)) > 50
    assert np.median([jump[k][shared[k]].mean() for k in np.flatnonzero(rows)]) < 120


def test_the_data_set_trains_without_any_download(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the bundled outlines are found from anywhere
    data = load_simulated(Path(BUNDLED), (1,), nodules=2)
    slices = data.slices
    assert slices.images.dtype == np.int16
    assert slices.images.shape[1:] == (128, 128)
    assert slices.masks(slice(None)).any((2, 3)).any(1).all()
    assert data.patients >= 1
    assert 0.4 < slices.spacing_mm.min() <= slices.spacing_mm.max() < 1


def test_a_scanner_can_be_left_out_of_training(nodules):
    """The first nodules of a fold, without those of one scanner; the others stay as they are."""
    fold = [nodule for nodule in nodules if nodule.fold == 1]
    left_out = scanner_of(fold[0].scan)
    expected = next(nodule for nodule in fold if scanner_of(nodule.scan) != left_out)
    slices = DATASETS[f"simulated_without_{left_out}"](Path(BUNDLED), (1,), nodules=1).slices
    assert set(slices.nodule) == {expected.number}
    np.testing.assert_array_equal(slices.images, simulate_nodule(expected).images)


def test_acquisitions_differ_in_the_image_only():
    found = simulate_acquisitions(Path(BUNDLED), (1,), every=10_000)
    assert set(found) == set(SCANNERS)
    first = found["standard"]
    for name, slices in found.items():
        np.testing.assert_array_equal(slices.packed_masks, first.packed_masks)
        np.testing.assert_array_equal(slices.slice_index, first.slice_index)
        assert name == "standard" or (slices.images != first.images).mean() > 0.9
    rough = {name: np.abs(np.diff(slices.images.astype(float))).mean() for name, slices in found.items()}
    assert rough["smooth"] < rough["standard"] < rough["sharp"]
    planes = acquired_planes(found, clean="smooth")
    assert list(planes) == [CLEAN, "standard", "sharp", "lowdose_streak"]
    np.testing.assert_array_equal(planes[CLEAN](0)[0], found["smooth"].images[0])
    np.testing.assert_array_equal(planes["sharp"](0)[0], found["sharp"].images[0])
    with pytest.raises(DataError, match="no scanner 'x'"):
        acquired_planes(found, clean="x")


def test_crops_keep_the_area_of_the_outlines(nodule):
    """At the real pixel spacing instead of the outlines' 0.5 mm."""
    slices = simulate_nodule(nodule)
    expected = nodule.areas_px.sum() * 0.25
    assert slices.areas_px.sum() * slices.spacing_mm[0] ** 2 == pytest.approx(expected, rel=0.02)


def test_missing_outlines_are_explained(tmp_path):
    with pytest.raises(DataError, match="lidc_outlines"):
        load_simulated(tmp_path / "nothing", (0,))
    with pytest.raises(DataError, match="no fold 3"):
        load_simulated(Path(BUNDLED), (3,))


def test_the_bundled_scan_is_what_its_script_makes():
    _, made = simulate_sample()
    bundled = read_volume(SAMPLES / f"{NAME}.nrrd")
    assert bundled.modality == "CT"
    assert bundled.grid.same_as(grid_of(made), tolerance_mm=1e-3)
    assert np.abs(bundled.voxels[0].astype(int) - made.hu).max() <= 1  # libraries differ in the last bit


def test_the_bundled_point_lies_in_what_all_readers_outlined():
    facts = json.loads((SAMPLES / f"{NAME}.json").read_text())
    grid = read_volume(SAMPLES / f"{NAME}.nrrd").grid
    masks = _bundled_readers()
    i, j, k = np.rint(grid.to_ijk(facts["lesion_ras_mm"])).astype(int)
    assert masks.shape == (4, *grid.shape)
    assert masks[:, k, j, i].all()
    assert np.round(masks.sum((1, 2, 3)) * grid.voxel_volume_ml, 2).tolist() == facts["readers_ml"]


def _bundled_readers() -> np.ndarray:
    """bool [4, K, J, I], read by an independent library."""
    content = slicerio.read_segmentation(str(SAMPLES / f"{NAME}-readers.seg.nrrd"))
    voxels = content["voxels"] if content["voxels"].ndim == 4 else content["voxels"][None]
    return np.stack([s["labelValue"] == voxels[s["layer"]].T for s in content["segments"]])


def test_the_bundle_is_small():
    sizes = {path.name: path.stat().st_size / 1e6 for path in SAMPLES.iterdir()}
    assert sizes[f"{NAME}.nrrd"] < 2.5
    assert sizes["lidc_outlines.npz"] < 1.0
