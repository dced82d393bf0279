"""demo: the bundled scan, whose lesion is known."""

import json
from argparse import Namespace

from ..resources import resource_path
from .interruptible import Stop
from .segment import segment

SAMPLE = "SimulatedCT-RealOutlines"


def demo(options: Namespace, stop: Stop) -> None:
    """Segments the sample scan at its lesion, in every reader style."""
    scan = resource_path("SampleData", f"{SAMPLE}.nrrd")
    facts = json.loads(resource_path("SampleData", f"{SAMPLE}.json").read_text(encoding="utf-8"))
    point = ",".join(str(value) for value in facts["lesion_ras_mm"])
    options.input, options.channel, options.series, options.at, options.roi = str(scan), [], None, [point], None
    options.experts, options.prompt, options.between, options.save_samples = "all", [], [], False
    segment(options, stop)
