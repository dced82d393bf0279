"""segment: from a scan and a place to a folder of results."""

from argparse import Namespace
from pathlib import Path

from ..channels import read_channels
from ..geometry import Volume
from ..io import atomic_folder
from ..lesion_result import LesionResult
from ..predictor import VolumePredictor
from ..report import Report
from ..result_files import write_result
from . import request
from .interruptible import Stop
from .progress import Steps
from .summary import print_summary


def segment(options: Namespace, stop: Stop) -> None:
    """All files of all lesions, or none."""
    reports: dict[Path, Report] = {}
    with atomic_folder(options.out) as folder, stop.unfinished(folder.parent), Steps(stop) as steps:
        steps.step(f"Reading {options.input}")
        volume = read_channels(options.input, options.channel, options.series)
        places = request.places(options, volume.grid)
        steps.step(f"Loading the model {options.model}")
        predictor = VolumePredictor.from_checkpoint(options.model, options.device, options.steps, options.preference)
        styles = request.styles(options, predictor)
        steps.expect(len(places) * (len(styles) + 3))
        for number, place in enumerate(places, 1):
            part = Path(f"L{number}" if len(places) > 1 else "")
            prefix = f"Lesion {number} of {len(places)}: " if len(places) > 1 else ""
            result = outline(predictor, volume, place, styles, options, steps, prefix)
            steps.step(f"{prefix}writing the files")
            (folder / part).mkdir(exist_ok=True)
            reports[Path(options.out) / part] = write_result(folder / part, result, options.save_samples)
    print_summary(reports)


def outline(
    predictor: VolumePredictor,
    volume: Volume,
    place: dict,
    styles: list[request.StyleRequest],
    options: Namespace,
    steps: Steps,
    prefix: str = "",
) -> LesionResult:
    """Looks at one place and asks for every style."""
    lesion = predictor.lesion(volume, **place, seed=options.seed, progress=steps.step(f"{prefix}looking at the slices"))
    consensus = lesion.consensus(options.samples, steps.step(f"{prefix}outlining: consensus"))
    answers = {
        style.name: style.ask(lesion, options.samples, steps.step(f"{prefix}outlining: {style.name}"))
        for style in styles
    }
    return LesionResult.of(lesion, consensus, answers)
