"""How long a person waits for the worker process: from the click to the consensus, for a style, for a slider's contour.

    python Training/benchmark_worker.py prosona_compact

The bundled scan is sent over the pipe as 3D Slicer would send it; building the scene's nodes is not included. Wall
seconds, the median of --repeat unless said otherwise; run it on an idle machine. Not a test: figures belong into
docs/slicer_worker.md with the machine they were made on.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

import numpy as np  # noqa: E402

from MultiRaterSegLib.io import read_volume  # noqa: E402
from MultiRaterSegLib.region import Place, Region  # noqa: E402
from MultiRaterSegLib.resources import resource_path  # noqa: E402
from MultiRaterSegLib.worker.model_info import ModelInfo  # noqa: E402
from MultiRaterSegLib.worker.protocol import read_message, write_message  # noqa: E402
from Training.command import command_parser, run_command  # noqa: E402

SAMPLE = "SimulatedCT-RealOutlines"


def main(arguments: list[str] | None = None) -> int:
    parser = command_parser(__file__, __doc__)
    parser.add_argument("model", nargs="?", default="prosona_compact")
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    return run_command(parser, lambda options: json.dumps(run(options), indent=2), arguments)


class Worker:
    """The process at the other end of the pipes."""

    def __init__(self, device: str):
        command = [sys.executable, "-m", "MultiRaterSegLib.worker", "--device", device]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PROJECT)
        self._number = 0

    def models(self) -> dict[str, ModelInfo]:
        """Waits until it is ready."""
        hello, _ = self._read(lambda header: header.get("event") in ("hello", "failed"))
        if hello["event"] == "failed":
            raise SystemExit(hello["message"])
        return {model["name"]: ModelInfo.from_json(model) for model in hello["models"]}

    def send(self, header: dict, arrays=()) -> int:
        self._number += 1
        write_message(self._process.stdin, {"id": self._number, **header}, arrays)
        return self._number

    def reply(self, number: int) -> dict:
        return self._read(lambda header: header.get("id") == number and "progress" not in header)[0]

    def ask(self, header: dict, arrays=()) -> dict:
        reply = self.reply(self.send(header, arrays))
        if "error" in reply:
            raise SystemExit(f"{reply['error']['message']}\n{reply['error']['log']}")
        return reply

    def cancel_after_progress(self, header: dict) -> float:
        """Seconds from cancelling, once it has begun, to the confirmation."""
        number = self.send(header)
        self._read(lambda said: said.get("id") == number)
        begun = time.perf_counter()
        write_message(self._process.stdin, {"id": number, "op": "cancel"})
        self.reply(number)
        return time.perf_counter() - begun

    def end(self) -> None:
        self._process.stdin.close()
        self._process.wait()

    def _read(self, wanted: Callable[[dict], bool]) -> tuple[dict, list]:
        while (message := read_message(self._process.stdout)) is not None:
            if wanted(message[0]):
                return message
        raise SystemExit("The worker ended.")


def run(options: argparse.Namespace) -> dict:
    """{what: seconds}."""
    volume = read_volume(resource_path("SampleData", f"{SAMPLE}.nrrd"))
    facts = json.loads(resource_path("SampleData", f"{SAMPLE}.json").read_text(encoding="utf-8"))
    at = facts["lesion_ras_mm"]

    begun = time.perf_counter()
    worker = Worker(options.device)
    model = worker.models()[options.model]
    started = time.perf_counter() - begun
    region = Region.around(Place.of(volume.grid, at), volume.grid, model.frame)
    ask = {"op": "ask", "samples": options.samples, "style": None, "lesion": _described(model, region, volume, at)}
    voxels = [np.ascontiguousarray(region.cut(volume))]
    worker.ask(ask, voxels)
    first = time.perf_counter() - begun

    anew = [
        _seconds(lambda n=n: worker.ask({**ask, "lesion": {**ask["lesion"], "key": f"again {n}"}}, voxels))
        for n in range(options.repeat)
    ]
    names = [expert.name for expert in model.experts]
    last = {**ask["lesion"], "key": f"again {options.repeat - 1}"}
    ask["lesion"] = last
    styles = [_seconds(lambda name=name: worker.ask({**ask, "style": name})) for name in names * options.repeat]
    preview = {"op": "preview", "lesion": last, "samples": None, "slice": region.slice_at(at)}
    worker.ask({**preview, "style": names[0]})
    between = [[names[0], names[-1], t] for t in np.linspace(0, 1, 20 * options.repeat)]
    previews = [_seconds(lambda style=style: worker.ask({**preview, "style": style})) for style in between]
    slices = [
        _seconds(lambda n=n: worker.ask({**preview, "slice": n, "style": names[0]}))
        for n in region.slices
        if n != preview["slice"]
    ]
    cancels = [worker.cancel_after_progress({**ask, "samples": 1000}) for _ in range(4 * options.repeat)]
    worker.end()
    return {
        "model": model.name,
        "slices": len(region.slices),
        "samples": options.samples,
        "start_worker_s": round(started, 2),
        "click_to_consensus_with_start_s": round(first, 2),
        "click_to_consensus_s": round(statistics.median(anew), 3),
        "style_change_whole_lesion_s": round(statistics.median(styles), 3),
        "preview_one_slice_median_s": round(statistics.median(previews), 4),
        "preview_one_slice_p95_s": round(float(np.percentile(previews, 95)), 4),
        "preview_of_a_new_slice_median_s": round(statistics.median(slices), 4),
        "cancel_median_s": round(statistics.median(cancels), 4),
        "cancel_longest_s": round(max(cancels), 4),
    }


def _described(model: ModelInfo, region: Region, volume, at) -> dict:
    grids = {"scan": region.scan, "part": region.window}
    described = {name: {"shape": list(grid.shape), "affine": grid.affine.tolist()} for name, grid in grids.items()}
    return {
        "key": "first", "model": model.name, "seed": 0, "at": list(at), "modality": volume.modality,
        "source": volume.source, **described,
    }  # fmt: skip


def _seconds(work: Callable) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    raise SystemExit(main())
