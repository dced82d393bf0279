"""A worker without torch that starts at once: bright voxels are the lesion, and some styles are accidents.

"die" ends it, "freeze" stops it as a debugger would, "garbage" writes what no protocol knows, "slow" works for a minute.
"""

import os
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from MultiRaterSegLib.errors import UnsupportedRequest
from MultiRaterSegLib.expert import Expert
from MultiRaterSegLib.frame import Frame
from MultiRaterSegLib.geometry import Grid, Volume
from MultiRaterSegLib.region import Place, Region
from MultiRaterSegLib.worker.model_info import ModelInfo

FRAME = Frame(size=40, spacing_mm=1.0)
EXPERTS = [asdict(Expert(name, name.title())) for name in ("conservative", "inclusive")]
INFO = {"method": "quick", "labels": ["background", "nodule"], "channels": 1, "experts": EXPERTS, "frame": asdict(FRAME),
        "modality": "CT", "trained_for": "bright things"}  # fmt: skip
ACCIDENTS = ("die", "freeze", "garbage", "slow")
LEVELS = {None: 0.0, "conservative": 300.0, "inclusive": -300.0, "include the halo": -200.0} | dict.fromkeys(
    ACCIDENTS, 0.0
)


class Session:
    def __init__(self):
        self.lesions = {}
        self.immediate = {"understand": lambda header: ({"problem": "", "summary": header["sentence"], "notes": [],
                                                         "not_understood": [], "suggestions": []}, ())}  # fmt: skip

    def hello(self) -> dict:
        models = [ModelInfo.of("quick", INFO, "Quick", True).to_json()]
        facts = {"version": "0", "torch": "none", "python": "3", "device": "cpu", "unusable": {"odd": "'odd' is odd."}}
        return {**facts, "models": models, "default_model": "quick"}

    def answer(self, job):
        if job.header["op"] in self.immediate:  # it was asked before there was a session
            return self.immediate[job.header["op"]](job.header)
        wanted, style = job.header["lesion"], job.header["style"]
        if wanted["key"] not in self.lesions:
            if not job.arrays:
                return {"need": "voxels"}, ()
            self.lesions[wanted["key"]] = self.look(wanted, job.arrays[0])
        region, values = self.lesions[wanted["key"]]
        if style in ACCIDENTS:
            getattr(self, style)(job)
        level = level_of(style)
        if job.header["op"] == "preview":
            grid = region.slice_grid(job.header["slice"])
            mask = (values > level)[grid.window_in(region.grid)]
            return {"title": str(style), "slice": job.header["slice"], "seconds": 0.01, "grid": described(grid)}, [mask]
        samples = self.draw(job, values, level)
        made = {"place_ras": region.place.center.tolist(), "samples": len(samples), **asked(style)}
        reply = {"title": str(style), "warnings": [], "provenance": made}
        return {**reply, "grid": described(region.grid)}, [samples]

    def look(self, wanted: dict, voxels: np.ndarray):
        scan, part = (Grid(tuple(wanted[n]["shape"]), np.array(wanted[n]["affine"])) for n in ("scan", "part"))
        region = Region.around(Place.of(scan, wanted.get("at"), wanted.get("box")), scan, FRAME)
        return region, Volume(voxels, part).voxels[0][region.grid.window_in(part)]

    def draw(self, job, values: np.ndarray, level: float) -> np.ndarray:
        count = job.header["samples"]
        step = job.step("Outlining", count, before=0)
        samples = np.empty((count, *values.shape), bool)
        for n in range(count):
            samples[n] = values > level + 10 * n
            time.sleep(0.002)
            step((n + 1) / count)
            job.check()
        return samples

    def die(self, job):
        print("the last words", file=sys.stderr, flush=True)
        os._exit(7)

    def freeze(self, job):
        os.kill(os.getpid(), signal.SIGSTOP)

    def garbage(self, job):
        os.write(sink.fileno(), b"Segmentation fault? No, just words.\n" * 10)

    def slow(self, job):
        for _ in range(6000):
            time.sleep(0.01)
            job.check()


def level_of(style) -> float:
    """The intensity above which it outlines."""
    if isinstance(style, list):
        first, second, t = style
        return (1 - t) * level_of(first) + t * level_of(second)
    if style not in LEVELS:
        raise UnsupportedRequest(f"'{style}' is not known.")
    return LEVELS[style]


def asked(style) -> dict:
    """How a style is written down."""
    if isinstance(style, list):
        return {"style": "between", "first": asked(style[0]), "second": asked(style[1]), "t": style[2]}
    if style is None:
        return {"style": "population"}
    known = any(style == expert["name"] for expert in EXPERTS)
    return {"style": "expert", "expert": style} if known else {"style": "prompt", "prompt": style}


def described(grid: Grid) -> dict:
    return {"shape": grid.shape, "affine": grid.affine.tolist()}


def command() -> list[str]:
    here = Path(__file__).resolve().parent
    code = f"import sys; sys.path[:0] = {[str(here.parent), str(here)]}; import quick_worker; quick_worker.run()"
    return [sys.executable, "-c", code]


def run() -> None:
    from MultiRaterSegLib.worker.__main__ import take_pipes
    from MultiRaterSegLib.worker.server import Server

    global sink
    source, sink = take_pipes()
    Server(source, sink).run(Session)
