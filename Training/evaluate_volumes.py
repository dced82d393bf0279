"""The whole line on volumes: nodules stacked from prepared slices, segmented in 3-D as a user would.

    python Training/evaluate_volumes.py prosona_compact --data fold2.npz

Each nodule's crops become a small scan (its pixel spacing and slice thickness; LIDC crops end where the outlines end),
and the predictor is pointed at the middle of the readers' majority mask. Reported: Dice of the consensus with the
majority (>= 2 readers) in 3-D, and how often the four styles' volumes come out in order. Writes volumes.json.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from Training.evaluation_options import data_options, run_on_slices


def main(arguments: list[str] | None = None) -> int:
    parser = data_options(__file__, __doc__, "nodule")
    parser.add_argument("model", help="a model by name, a .safetensors file or a run folder")
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--min-slices", type=int, default=3, help="nodules with fewer slices are left out")
    parser.add_argument("--readers", type=int, default=4, help="at least so many readers outlined the nodule")
    parser.add_argument("--out", type=Path, default=Path("runs/volumes"))
    return run_on_slices(parser, run, arguments)


def run(options: argparse.Namespace) -> str:
    """Measures, writes the file and returns the summary."""
    result = measure(options)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "volumes.json").write_text(json.dumps(result, indent=2))
    return json.dumps({name: value for name, value in result.items() if name != "nodules"}, indent=2)


def measure(options: argparse.Namespace) -> dict:
    """Segments every nodule; the summary and one row a nodule."""
    import numpy as np
    from rich.progress import track

    from MultiRaterSegLib.predictor import VolumePredictor
    from Training.chosen_slices import data_names, load_slices
    from Training.nodule_volumes import nodule_rows, stacked

    predictor = VolumePredictor.from_checkpoint(options.model)
    slices = load_slices(options)
    nodules = nodule_rows(slices, options.min_slices, options.readers)[:: options.every]
    rows = []
    for number in track(range(len(nodules)), "nodules", transient=True):
        volume, majority, point = stacked(slices, nodules[number])
        lesion = predictor.lesion(volume, at=point)
        consensus = lesion.consensus(options.samples).consensus
        styles = [float(np.median(lesion.style(name, 3).volumes_ml)) for name in predictor.experts]
        overlap = 2 * (consensus & majority).sum() / max(1, consensus.sum() + majority.sum())
        rows.append(
            {
                "patient": str(slices.patient[nodules[number][0]]),
                "slices": len(nodules[number]),
                "majority_ml": float(majority.sum() * volume.grid.voxel_volume_ml),
                "dice": float(overlap),
                "style_ml": styles,
                "ordered": bool(np.all(np.diff(styles) >= 0)),
            }
        )
    dice = np.array([row["dice"] for row in rows])
    return {
        "model": predictor.checkpoint.name,
        "model_sha256": predictor.checkpoint.sha256,
        "data": data_names(options),
        "count": len(rows),
        "consensus_dice": float(dice.mean()),
        "consensus_dice_median": float(np.median(dice)),
        "missed": float((dice < 0.1).mean()),
        "styles_in_order": float(np.mean([row["ordered"] for row in rows])),
        "nodules": rows,
    }


if __name__ == "__main__":
    raise SystemExit(main())
