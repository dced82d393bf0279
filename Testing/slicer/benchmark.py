"""How long a person waits in 3D Slicer: for a contour, a style, a cancel; and the longest time the window stands still.

    python Testing/slicer/benchmark.py [--rounds 5] [--small]

The module's own panel on the bridge, the real worker and the shipped model; the bundled scan inside as much air as a CT of
the chest has voxels (--small: as it is). Seconds on the clock, from the press to what is in the scene; building its nodes
is included. The worker's processor time says what is left where other programs take their share of the machine. Not a
test: the figures belong into docs/slicer_worker.md, with the machine and its load.
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

from workflow import MANY, Workflow, enlarge, examples, replaced  # first: it finds Slicer's packages

REQUIRED = {  # seconds
    "click to contour, worker still starting": 10,
    "click to contour": 10,
    "another style, whole lesion": None,
    "another style, one slice that is encoded": 0.2,
    "another style, the slice shown first": None,
    "cancel": 1,
}
SLIDES, CANCELS = 20, 4  # a round


class Benchmark(Workflow):
    """One person who does the same again and again."""

    def __init__(self, folder: Path, chest: bool):
        super().__init__(folder, samples=20, chest=chest)
        self.times: dict[str, list[float]] = {what: [] for what in REQUIRED}
        self.worked: dict[str, list[float]] = {what: [] for what in REQUIRED}
        self.blocked: dict[str, tuple[float, float]] = {}
        self.memory_mb = 0.0
        self.chance = random.Random(0)
        self.places = 0

    def measure(self, rounds: int) -> None:
        with self.bridge:
            self.first_start()
            for _ in range(rounds):
                for part in self.parts:
                    self.watched(part)
                self.memory_mb = max(self.memory_mb, peak_memory_mb(self.person.client.pid))

    @property
    def parts(self) -> tuple[Callable[[], None], ...]:
        """In this order: the lesion of one is that of the next."""
        return (
            self.first_click,
            self.click,
            self.change_styles,
            self.slide,
            self.stop,
            self.most_readers,
            self.write,
        )

    def watched(self, part: Callable[[], None]) -> None:
        with self.bridge.watchdog() as heartbeat:
            part()
        before = self.blocked.get(part.__name__, (0.0, 0.0))
        now = heartbeat.longest_block, heartbeat.busiest_turn
        self.blocked[part.__name__] = tuple(max(pair) for pair in zip(before, now))

    # -- what a person does

    def first_click(self) -> None:
        """The click comes when the module was only just opened."""
        self.new_scene()
        self.person.client.restart()
        self.timed_click("click to contour, worker still starting")

    def click(self) -> None:
        self.new_scene()
        self.timed_click("click to contour")

    def change_styles(self) -> None:
        for expert in self.panel.session.model.experts:
            with self.timed("another style, whole lesion"):
                self.bridge.do(lambda name=expert.name: self.panel.tick_row(name, True))
                self.person.wait_for(expert.name)

    def slide(self) -> None:
        """Tick by tick, each as soon as the contour of the one before is there."""
        from MultiRaterSegSlicer.scene.preview import Preview

        shown, show_mask = [], Preview.show_mask

        def noted(preview, *arguments):
            show_mask(preview, *arguments)
            shown.append(time.perf_counter())

        slider = self.ui.steerSlider
        self.person.show("steerSlider")
        self.bridge.do(lambda: slider.setSliderDown(True))
        with replaced(Preview, "show_mask", noted):
            for n in range(SLIDES + 1):
                before, begun = len(shown), time.perf_counter()
                self.bridge.do(lambda n=n: slider.setSliderPosition(5 + 4 * n))
                self.bridge.wait_until(lambda before=before: len(shown) > before, 60)
                what = "another style, one slice that is encoded" if n else "another style, the slice shown first"
                self.times[what].append(shown[before] - begun)
        self.person.let_go()
        self.person.wait(lambda: self.panel.steer.state.can_keep and not self.panel.jobs.busy)

    def stop(self) -> None:
        """At random moments, while slices are looked at too."""
        self.person.ask_for(MANY)
        for n in range(CANCELS):
            if n % 2:
                self.new_scene()
                self.person.place(self.next_point())
            else:
                self.person.press("computeButton")
            self.bridge.pump(self.chance.uniform(0, 1.0))
            if self.panel.jobs.busy:
                begun = time.perf_counter()
                self.person.press("cancelButton")
                self.person.wait(lambda: not self.panel.jobs.busy)
                self.times["cancel"].append(time.perf_counter() - begun)
        self.person.ask_for(self.samples)

    def most_readers(self) -> None:
        """The largest answer that a person can ask for."""
        self.person.ask_for(MANY)
        self.person.press("computeButton")
        self.person.wait_for("consensus")
        self.person.ask_for(self.samples)

    def write(self) -> None:
        self.person.press("acceptButton")
        self.bridge.will_choose_file(self.folder / "lesion.seg.nrrd")
        self.person.press("exportButton")

    # -- how

    def new_scene(self) -> None:
        self.bridge.close_scene()
        self.scan = examples.load_sample_data()
        if self.chest:
            enlarge(self.scan)
        self.scan_size = self.scan.GetImageData().GetDimensions()
        self.point = self.point_on_lesion()
        self.person.choose(self.scan)

    def next_point(self) -> tuple[float, float, float]:
        """Beside the former ones, so that the worker does not know the lesion yet."""
        self.places += 1
        return (self.point[0] + 0.05 * self.places, *self.point[1:])

    def timed_click(self, what: str) -> None:
        self.person.press("placePointButton")
        point = self.next_point()
        with self.timed(what):
            self.bridge.place_point(point)
            self.person.wait_for("consensus")

    @contextmanager
    def timed(self, name: str):
        begun, former = time.perf_counter(), self.person.client.pid if hasattr(self, "person") else None
        worked = processor_s(former)
        yield
        now = self.person.client.pid
        self.times.setdefault(name, []).append(time.perf_counter() - begun)
        self.worked.setdefault(name, []).append(processor_s(now) - (worked if now == former else 0))

    def report(self) -> str:
        lines = [
            "| seconds | best | median | longest | required | worker's processor time |",
            "|---|---|---|---|---|---|",
        ]
        for what, required in REQUIRED.items():
            times = self.times[what]
            figures = [f"{value:.3g}" for value in (min(times), statistics.median(times), max(times))]
            worked = f"{statistics.median(self.worked[what]):.2g}" if self.worked[what] else ""
            lines.append(f"| {what} | {' | '.join(figures)} | {required or ''} | {worked} |")
        lines += ["", "| the window stood still at most, s | on the clock | processor time |", "|---|---|---|"]
        lines += [f"| {part} | {wall:.3f} | {own:.3f} |" for part, (wall, own) in self.blocked.items()]
        return "\n".join([*lines, "", f"Peak memory of the worker: {self.memory_mb:.0f} MB"])


def peak_memory_mb(pid: int) -> float:
    """The most that a process has had resident so far; 0 where the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    if not status.is_file():
        return 0.0
    return next(int(line.split()[1]) / 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))


def processor_s(pid: int | None) -> float:
    """What a process has used so far, all threads; 0 where the system does not tell."""
    status = Path(f"/proc/{pid}/stat")
    if not status.is_file():
        return 0.0
    user, system = status.read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def load() -> str:
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    before = load()
    with tempfile.TemporaryDirectory() as folder:
        benchmark = Benchmark(Path(folder), chest=not options.small)
        benchmark.measure(options.rounds)
    voxels = "x".join(str(n) for n in benchmark.scan_size)
    facts = f"{os.cpu_count()} processors, load {before} before and {load()} after, {options.rounds} rounds, {voxels} voxels"
    sys.stdout.write(f"{facts}\n\n{benchmark.report()}\n")


if __name__ == "__main__":
    main()
