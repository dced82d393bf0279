"""What comes with the module: the example scene and the sample scan, usable before anything is installed."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import slicer
import slicerio
from MultiRaterSegSlicer import examples
from MultiRaterSegSlicer.nodes import points_from_node, volume_from_node
from MultiRaterSegSlicer.parameters import Parameters
from MultiRaterSegSlicer.scene.lesions import Lesions
from slicer.util import arrayFromVolume

from MultiRaterSegLib import read_volume
from MultiRaterSegLib.resources import resource_path
from MultiRaterSegLib.suitability import modality_warnings

PROJECT = Path(__file__).resolve().parents[2]
NOT_IN_SLICER = (
    "torch",
    "monai",
    "pydantic",
    "safetensors",
    "einops",
    "matplotlib",
    "rich",
    "slicerio",
    "nrrd",
    "highdicom",
)


@pytest.fixture
def readers() -> np.ndarray:
    """What the four real readers outlined on the scan, bool [reader, K, J, I]."""
    path = resource_path("SampleData", f"{examples.SCAN}-readers.seg.nrrd")
    segmentation = slicerio.read_segmentation(str(path))
    volume = read_volume(resource_path("SampleData", f"{examples.SCAN}.nrrd"))
    voxels = np.zeros((4, *volume.grid.shape), bool)
    offset = np.round(np.linalg.inv(_ras(volume.grid.affine)) @ segmentation["ijkToLPS"][:, 3])[:3].astype(int)
    for n, segment in enumerate(segmentation["segments"]):
        layer = segmentation["voxels"] if segmentation["voxels"].ndim == 3 else segmentation["voxels"][segment["layer"]]
        i, j, k = np.nonzero(layer == segment["labelValue"])
        voxels[n, k + offset[2], j + offset[1], i + offset[0]] = True
    return voxels


def _ras(affine: np.ndarray) -> np.ndarray:
    return np.diag([-1, -1, 1, 1]) @ affine


def test_the_example_brings_the_scan_one_lesion_with_every_style_map_and_tables(host):
    example = examples.show_example(host.scene)
    lesion = Lesions(host.scene).named("L1")
    assert lesion.volume_node is example.volume
    consensus, *styles, sentence = lesion.names
    assert consensus == "consensus"
    assert styles == list(lesion.model.experts)
    assert len(styles) == 4
    assert " " in sentence
    assert lesion.map_node in example.nodes
    assert lesion.numbers_node in example.nodes
    assert len(lesion.spots) > 0
    assert {lesion.agreement_node, lesion.styles_node} == set(example.segmentations)


def test_the_scan_in_the_example_is_the_bundled_one(host):
    example = examples.show_example(host.scene)
    bundled = read_volume(resource_path("SampleData", f"{examples.SCAN}.nrrd"))
    found = volume_from_node(example.volume)
    assert np.array_equal(found.voxels, bundled.voxels)
    assert np.allclose(found.grid.affine, bundled.grid.affine, atol=1e-4)


def test_the_outlines_in_the_example_resemble_what_the_readers_drew(host, readers):
    example = examples.show_example(host.scene)
    consensus = Lesions(host.scene).named("L1").prediction("consensus").consensus
    majority = readers.sum(0) > 2
    dice = 2 * (consensus & majority).sum() / (consensus.sum() + majority.sum())
    assert arrayFromVolume(example.volume).shape == majority.shape
    assert dice > 0.6


def test_the_panel_goes_on_with_the_settings_that_the_example_was_made_with(host):
    example = examples.show_example(host.scene)
    settings = Parameters(host.scene)
    assert settings.volume is example.volume
    assert (settings.samples, settings.lesion) == (20, "L1")


def test_the_example_is_small(host):
    assert resource_path("SampleData", examples.SCENE).stat().st_size < 3e6


def test_the_example_joins_a_scene_with_work_in_it_and_leaves_that_alone(host):
    scan = slicer.util.addVolumeFromArray(np.zeros((3, 4, 5), np.int16), name="mine")
    Parameters(host.scene).volume = scan
    for _ in range(2):
        example = examples.show_example(host.scene)
        assert scan not in example.nodes
        assert len(Lesions(host.scene).all(example.volume)) == 1  # its own, not the one before
        assert Parameters(host.scene).volume is example.volume
    assert host.scene.IsNodePresent(scan)
    assert arrayFromVolume(scan).shape == (3, 4, 5)


def test_the_example_is_shown_at_the_lesion(host):
    logic = host.slice_logic("Red", "Axial")
    example = examples.show_example(host.scene)
    point = points_from_node(next(node for node in example.nodes if node.IsA("vtkMRMLMarkupsFiducialNode")))[0]
    assert logic.GetSliceCompositeNode().GetBackgroundVolumeID() == example.volume.GetID()
    assert logic.GetSliceOffset() == pytest.approx(point[2], abs=0.7)


def test_the_sample_scan_is_known_as_ct_and_has_a_point_on_the_lesion(host, readers):
    volume = examples.load_sample_data(host.scene)
    scan = volume_from_node(volume)
    assert modality_warnings(scan.modality, {"modality": "CT"}) == ()
    (point,) = points_from_node(host.scene.GetFirstNodeByName(examples.LESION))
    i, j, k = np.round((np.linalg.inv(scan.grid.affine) @ [*point, 1])[:3]).astype(int)
    assert readers[:, k, j, i].all()


def test_the_sample_is_registered_in_slicers_sample_data_and_needs_no_download(host, monkeypatch):
    registered = []
    module = ModuleType("SampleData")
    module.SampleDataLogic = type(
        "Logic", (), {"registerCustomSampleDataSource": staticmethod(lambda **source: registered.append(source))}
    )
    monkeypatch.setitem(sys.modules, "SampleData", module)
    examples.register_sample_data()
    (source,) = registered
    assert source["sampleName"] == "Simulated CT, real outlines"
    assert source["uris"].startswith("file:")
    assert Path(source["thumbnailFileName"]).exists()
    (volume,) = source["customDownloader"](None)
    assert host.scene.IsNodePresent(volume)


def test_the_example_needs_nothing_that_slicer_does_not_ship(tmp_path):
    code = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {NOT_IN_SLICER!r}:
            raise ModuleNotFoundError(f"{{name}} is not part of Slicer", name=name)
sys.meta_path.insert(0, Blocked())
from pathlib import Path
from host import Host
from MultiRaterSegSlicer.install import installer
from MultiRaterSegSlicer.scene import lesions
from MultiRaterSegSlicer import examples, logic
host = Host(Path({str(tmp_path)!r})).publish()
example = examples.show_example()
lesion = lesions.Lesions().named("L1")
assert len(lesion.rows) > 4 and lesion.result is not None
"""
    paths = [PROJECT / "Testing" / "slicer", PROJECT / "MultiRaterSeg", PROJECT]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
