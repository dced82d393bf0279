"""Make the bundled demonstration scan: a simulated chest CT around one real nodule that four readers outlined.

    python Training/make_sample_scan.py

Writes to Resources/SampleData: SimulatedCT-RealOutlines.nrrd (HU), SimulatedCT-RealOutlines-readers.seg.nrrd (the four
outlines, overlapping) and SimulatedCT-RealOutlines.json (the lesion point, identity, attribution). The outlines are
real, every intensity is invented. The same code makes the same voxels.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from scipy.ndimage import distance_transform_edt  # noqa: E402

from MultiRaterSegLib.geometry import Grid  # noqa: E402
from MultiRaterSegLib.io import NODULE, Segment, write_scalar_volume, write_segmentation  # noqa: E402
from MultiRaterSegLib.io.lps import grid_from_lps  # noqa: E402
from Training.data.simulator import OutlinedNodule, Plane, SimulatedScan, SimulatedVolume, VesselField, read_nodules  # noqa: E402

SAMPLES = PROJECT / "Resources" / "SampleData"
NAME = "SimulatedCT-RealOutlines"

# A poorly marginated, partly solid nodule of 22 mm: its four readers say 3.6 to 7.6 mL. Chosen by eye among several
# nodules and repetitions for a plausible look at the lung window.
NODULE_NUMBER, REPETITION, SCANNER = 808, 57, "standard"
SIZE_PX, SLICES_BEYOND = 160, 10
FIELD = VesselField(reach_mm=62.0, depth_mm=34.0, crowding=1.4)

COLORS = ((0.90, 0.10, 0.29), (0.24, 0.71, 0.29), (0.26, 0.83, 0.96), (1.00, 0.88, 0.10))
ATTRIBUTION = (
    "The outlines and ratings are from LIDC-IDRI (The Cancer Imaging Archive), CC BY 3.0; they were rasterised and "
    "resampled. All intensities are simulated.",
    "Armato SG III et al. The Lung Image Database Consortium (LIDC) and Image Database Resource Initiative (IDRI): a "
    "completed reference database of lung nodules on CT scans. Med Phys 38:915-931, 2011. doi:10.1118/1.3528204",
    "Armato SG III et al. Data From LIDC-IDRI. The Cancer Imaging Archive, 2015. doi:10.7937/K9/TCIA.2015.LO9QL9SX",
    "Clark K et al. The Cancer Imaging Archive. J Digit Imaging 26:1045-1057, 2013. doi:10.1007/s10278-013-9622-7",
    "The authors acknowledge the National Cancer Institute and the Foundation for the National Institutes of Health, "
    "and their critical role in the creation of the free publicly available LIDC/IDRI Database used in this study.",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=SAMPLES, help="folder (default: Resources/SampleData)")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    nodule, volume = simulate_sample()
    grid = grid_of(volume)
    point = lesion_point(volume.masks, grid)
    write_scalar_volume(volume.hu, grid, out / f"{NAME}.nrrd")
    write_segmentation(out / f"{NAME}-readers.seg.nrrd", reader_segments(volume.masks), grid)
    facts = describe(nodule, volume, grid, point)
    (out / f"{NAME}.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    print(f"{out / NAME}.nrrd: {' x '.join(map(str, grid.size_ijk))} voxels; lesion at RAS {point}")
    return 0


def simulate_sample() -> tuple[OutlinedNodule, SimulatedVolume]:
    nodules = read_nodules(SAMPLES / "lidc_outlines.npz")
    nodule = next(nodule for nodule in nodules if nodule.number == NODULE_NUMBER)
    plane = Plane(SIZE_PX, round(nodule.pixel_spacing_mm, 3))
    scan = SimulatedScan(nodule, REPETITION, SCANNER, plane, FIELD)
    return nodule, scan.volume(SLICES_BEYOND, SLICES_BEYOND)


def grid_of(volume: SimulatedVolume) -> Grid:
    """Columns run to the left, rows to the back, slices to the head."""
    return grid_from_lps(volume.hu.shape[::-1], volume.origin_mm, volume.spacing_mm, np.eye(3), NAME)


def lesion_point(masks: np.ndarray, grid: Grid) -> list[float]:
    """RAS mm of the voxel deepest inside what all readers outlined; masks bool [4, K, J, I]."""
    depth = distance_transform_edt(masks.all(0), grid.spacing[::-1])
    voxel = np.unravel_index(depth.argmax(), depth.shape)[::-1]
    return [round(float(x), 2) for x in grid.to_ras(voxel)]


def reader_segments(masks: np.ndarray) -> list[Segment]:
    return [
        Segment(
            id=f"reader_{number}",
            name=f"Reader {number} (real outline)",
            mask=mask,
            color=color,
            terminology=NODULE,
            tags={"Source": "LIDC-IDRI, CC BY 3.0, resampled"},
        )
        for number, (mask, color) in enumerate(zip(masks, COLORS), 1)
    ]


def describe(nodule: OutlinedNodule, volume: SimulatedVolume, grid: Grid, point: list[float]) -> dict:
    milliliters = volume.masks.sum((1, 2, 3)) * grid.voxel_volume_ml
    return {
        "Modality": "CT",
        "title": "Simulated chest CT around real outlines",
        "warning": "The intensities are simulated; only the outlines are real. Not for clinical use.",
        "lesion_ras_mm": point,
        "spacing_mm": [round(float(s), 4) for s in volume.spacing_mm],
        "patient": nodule.patient_id,
        "nodule": nodule.number,
        "fold": nodule.fold,
        "readers_ml": [round(float(v), 2) for v in milliliters],
        "simulation": {"repetition": REPETITION, "scanner": SCANNER},
        "attribution": list(ATTRIBUTION),
    }


if __name__ == "__main__":
    raise SystemExit(main())
