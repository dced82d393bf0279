"""How fast a model answers on this machine, and how much memory that takes.

    python Training/benchmark.py prosona_compact --threads 2
    python Training/benchmark.py diffoseg_compact --threads 2 --samples 16 --steps 5
    python Training/benchmark.py --random-weights-of diffoseg_paper --set frame.size=96 --samples 16 --steps 5 --one-slice

A synthetic 512 x 512 x 300 chest-like scan is written and read as a user's would be; one lesion of 40 slices is asked
for 20 samples of the population and of every style. Times are wall seconds, the best of --repeat, and CPU seconds where
it says so (one slice, encoding included, the best of --repeat); run it on an idle machine. Not a test: figures belong
into docs/results.md with the machine they were made on.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from Training.command import command_parser, run_command

SHAPE = (300, 512, 512)
POINT = (-60.0, 10.0, 150.0)


def main(arguments: list[str] | None = None) -> int:
    parser = command_parser(__file__, __doc__)
    parser.add_argument("model", nargs="?", default="prosona_compact")
    parser.add_argument(
        "--random-weights-of", metavar="RECIPE", help="instead of a model: a recipe's network, untrained"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a value of that recipe")
    parser.add_argument("--steps", type=int, help="network evaluations a sample, of a model that samples in steps")
    parser.add_argument("--one-slice", action="store_true", help="leave the scan out")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    return run_command(parser, lambda options: json.dumps(run(options), indent=2), arguments)


def run(options: argparse.Namespace) -> dict:
    """{what: seconds or MB}."""
    return (run_slice if options.one_slice else run_scan)(options)


def run_slice(options: argparse.Namespace) -> dict:
    """{what: CPU seconds of one slice}."""
    import torch

    torch.set_num_threads(options.threads)
    return _slice_figures(_predictor(options), options)


def run_scan(options: argparse.Namespace) -> dict:
    """{what: seconds or MB}."""
    import torch

    from MultiRaterSegLib.io import read_volume

    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chest.nrrd"
        _write_scan(path)
        before = _peak_mb()
        loading, predictor = _timed(lambda: _predictor(options))
        reading, volume = _timed(lambda: read_volume(path))
        encoding, lesion = _best(options.repeat, lambda: predictor.lesion(volume, at=POINT))
        population, _ = _best(options.repeat, lambda: lesion.consensus(options.samples))
        styles, _ = _best(options.repeat, lambda: [lesion.style(name, options.samples) for name in predictor.experts])
        encoded = predictor.method.encode(torch.zeros(1, predictor.method.channels, *[predictor.frame.size] * 2))
        decode, _ = _best(10, lambda: _one_style(predictor, encoded))
    return {
        **_slice_figures(predictor, options),
        "slices": lesion.grid.shape[0],
        "load_model_s": round(loading, 3),
        "read_scan_s": round(reading, 3),
        "encode_s": round(encoding, 3),
        f"population_of_{options.samples}_s": round(population, 3),
        f"{len(predictor.experts)}_styles_of_{options.samples}_s": round(styles, 3),
        "lesion_total_s": round(encoding + population + styles, 3),
        "one_style_on_one_slice_ms": round(1000 * decode, 1),
        "peak_memory_mb": round(_peak_mb()),
        "peak_memory_after_writing_the_scan_mb": round(before),
    }


def _predictor(options: argparse.Namespace):
    """The model, or an untrained network of a recipe."""
    from MultiRaterSegLib.checkpoint import Checkpoint
    from MultiRaterSegLib.predictor import VolumePredictor

    if not options.random_weights_of:
        return VolumePredictor.from_checkpoint(options.model, options.device, options.steps)
    from MultiRaterSegLib.methods import METHODS
    from Training.data.lidc_slices import EXPERTS
    from Training.recipe import load_recipe

    recipe = load_recipe(options.random_weights_of, options.set)
    method = METHODS[recipe.method](recipe.model, 1, ("background", "nodule"), EXPERTS).eval()
    if options.steps:
        method.use_steps(options.steps)
    return VolumePredictor(Checkpoint(method, recipe.frame, {}, f"{recipe.name}, random weights", ""), options.device)


def _slice_figures(predictor, options: argparse.Namespace) -> dict:
    """One slice in the model's frame, alone: as many samples as asked for, a few at once (they fit a cache better)."""
    import torch

    from MultiRaterSegLib.noise import Noise

    method, size = predictor.method, predictor.frame.size
    image = torch.rand(1, method.channels, size, size, generator=torch.Generator().manual_seed(0))

    def cpu_seconds(style: int | None, at_once: int) -> float:
        start = time.process_time()
        with torch.inference_mode():
            encoded = method.encode(image.to(predictor.device))
            told = None if style is None else method.expert_style(encoded, style)
            for first in range(0, options.samples, at_once):
                some = range(first, min(first + at_once, options.samples))
                method.sample(encoded, Noise(0, samples=some, images=[0]), told)
        return time.process_time() - start

    found = {}
    for name, style in (("population", None), *((("one_style", 0),) if method.experts else ())):
        for at_once in (16, 2):
            best = min(cpu_seconds(style, at_once) for _ in range(options.repeat))
            found[f"{options.samples}_samples_of_a_slice_{name}_{at_once}_at_once_cpu_s"] = round(best, 3)
    return {
        "model": predictor.checkpoint.name,
        "parameters": sum(parameter.numel() for parameter in method.parameters()),
        "steps": method.steps,
        "threads": options.threads,
        "frame": size,
        **found,
    }


def _one_style(predictor, encoded):
    """What a slider costs: a style of one encoded slice, decoded."""
    import torch

    from MultiRaterSegLib.noise import Noise

    with torch.inference_mode():
        return predictor.method.sample(encoded, Noise(0, samples=1), predictor.method.expert_style(encoded, 0))


def _write_scan(path: Path) -> None:
    """Lung with a bright ball of 24 mm, slice by slice, so that making it takes little memory."""
    import numpy as np
    import SimpleITK as sitk

    rng = np.random.default_rng(0)
    voxels = np.empty(SHAPE, np.int16)
    yy, xx = np.mgrid[: SHAPE[1], : SHAPE[2]]
    center = np.array([POINT[2], (POINT[1] + 180) / 0.7, (POINT[0] + 180) / 0.7])
    for k in range(SHAPE[0]):
        distance = np.sqrt(((yy - center[1]) * 0.7) ** 2 + ((xx - center[2]) * 0.7) ** 2 + (k - center[0]) ** 2)
        voxels[k] = -850 + rng.normal(0, 30, SHAPE[1:]) + 880 / (1 + np.exp((distance - 12) / 1.0))
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((0.7, 0.7, 1.0))
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))  # LPS directions of RAS axes
    image.SetOrigin((180.0, 180.0, 0.0))
    sitk.WriteImage(image, str(path), useCompression=True)


def _timed(work: Callable):
    start = time.perf_counter()
    value = work()
    return time.perf_counter() - start, value


def _best(repeat: int, work: Callable):
    results = [_timed(work) for _ in range(repeat)]
    return min(seconds for seconds, _ in results), results[-1][1]


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    raise SystemExit(main())
