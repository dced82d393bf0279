"""The whole workflow on the real panel, worker, model and scan, as a person would go through it; measures what is felt.

    python Testing/slicer/workflow.py [--chest] [REPORT.json]

Prints one JSON object: seconds of each step, how long the event loop stood still, what the scene held, whether torch was
imported. --chest: the scan is as large as one of a whole chest. The widgets stand on the bridge, not in Slicer itself.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]

# This folder is called `slicer` too: the package is imported before anything else of ours.
sys.path[:] = [folder for folder in sys.path if Path(folder or ".").resolve() not in (HERE, HERE.parent)]
import slicer  # noqa: E402

sys.path[:0] = [str(PROJECT), str(PROJECT / "MultiRaterSeg"), str(HERE)]
import numpy as np  # noqa: E402
import vtk  # noqa: E402
from bridge import Bridge  # noqa: E402
from host import Host  # noqa: E402
from MultiRaterSegSlicer import examples  # noqa: E402
from MultiRaterSegSlicer.worker import client as worker_client  # noqa: E402
from person import Person  # noqa: E402
from scene_cases import everything_in  # noqa: E402

MANY = 100  # samples of what is to be interrupted: it must not be finished before
CHEST = (320, 512, 512)  # voxels [k, j, i] of a CT of the chest
WITHOUT_TORCH = (
    "import sys, runpy; sys.modules['torch'] = None; runpy.run_module('MultiRaterSegLib.worker', run_name='__main__')"
)


class Workflow:
    """One person at the panel. `seconds`, `turns` and `found` are what there is to report."""

    def __init__(self, folder: Path, samples: int = 10, chest: bool = False):
        self.folder, self.samples, self.chest = folder, samples, chest
        (folder / "host").mkdir()
        self.host = Host(folder / "host").publish()
        self.bridge = Bridge(self.host)
        self.seconds: dict[str, float] = {}
        self.turns: dict[str, dict[str, float]] = {}
        self.found: dict[str, object] = {}

    def run(self) -> dict:
        steps = (
            self.first_start, self.open_scan, self.cancel, self.consensus, self.styles, self.views, self.slider,
            self.sentence, self.review, self.lost_worker, self.second_lesion, self.close_scene, self.reload,
        )  # fmt: skip
        with self.bridge, waiting_noticed() as waits:
            for step in steps:
                with self.bridge.watchdog() as heartbeat:
                    step()
                turn = {"blocked_s": heartbeat.longest_block, "processor_s": heartbeat.busiest_turn}
                self.turns[step.__name__] = {name: round(value, 3) for name, value in turn.items()}
        self.found["waits"] = waits
        self.found["imported"] = [name for name in ("torch", "monai") if name in sys.modules]
        return {"seconds": self.seconds, "turns": self.turns, **self.found}

    # -- steps

    def first_start(self) -> None:
        """torch is missing: the example shows all the same; then it is installed and the worker starts."""
        with replaced(worker_client, "worker_command", lambda: [sys.executable, "-c", WITHOUT_TORCH]):
            self.person = person = Person(self.bridge, self.bridge.load("MultiRaterSeg"))
            self.panel, self.ui = person.panel, person.ui
            person.wait(lambda: self.ui.firstStartFrame.visible)
        person.press("showExampleButton")
        self.found["example"] = list(person.rows)
        self.found["first_start"] = self.ui.firstStartLabel.text
        self.bridge.close_scene()
        from MultiRaterSegSlicer.panel import dialogs  # not before the bridge is there: it needs qt

        with replaced(dialogs, "install", lambda: True), self.timed("worker ready"):
            person.press("installButton")
            person.wait(lambda: self.panel.session.models)
        self.found["first_start_over"] = not self.ui.firstStartFrame.visible

    def open_scan(self) -> None:
        self.scan = examples.load_sample_data()
        if self.chest:
            enlarge(self.scan)
        self.point = self.point_on_lesion()
        self.person.choose(self.scan)
        self.person.ask_for(self.samples)
        self.look = self.window_level()

    def cancel(self) -> None:
        """A point, and Cancel in the middle: nothing new is in the scene."""
        person, before = self.person, self.visible_nodes()
        person.ask_for(MANY)
        person.place(self.point)
        person.wait_until_it_computes()
        with self.timed("cancel"):
            person.press("cancelButton")
            person.wait(lambda: not self.panel.jobs.busy)
        self.found["left_by_cancel"] = sorted(self.visible_nodes() - before)
        person.ask_for(self.samples)

    def consensus(self) -> None:
        with self.timed("consensus"):
            self.person.press("computeButton")
            self.person.wait_for("consensus")
        self.found["lesion"] = self.panel.session.lesion.label
        self.found["consensus_ml"] = self.ml("consensus")
        self.found["warnings"] = list(self.panel.facts.warnings)

    def styles(self) -> None:
        names = [expert.name for expert in self.panel.session.model.experts]
        with self.timed("four styles"):
            self.person.press("allStylesButton")
            self.person.wait_for(*names)
        self.found["styles_ml"] = [self.ml(name) for name in names]
        self.found["order_note"] = self.panel.facts.order_note
        self.found["table_rows"] = self.panel.session.lesion.numbers_node.GetNumberOfRows()

    def views(self) -> None:
        """Bands and map come and go; a spot moves the views; the scan's window and level stay."""
        person, lesion = self.person, self.panel.session.lesion
        red = slicer.app.layoutManager().sliceWidget("Red")
        shown = [lesion.visible("bands")]
        for _ in range(2):
            person.press("bandsCheckBox")
            shown.append(lesion.visible("bands"))
        self.found["bands_shown"] = shown
        person.press("mapCheckBox")
        self.found["map_in_front"] = red.mrmlSliceCompositeNode().GetForegroundVolumeID() == lesion.map_node.GetID()
        person.press("mapCheckBox")
        self.found["map_gone"] = red.mrmlSliceCompositeNode().GetForegroundVolumeID() is None
        person.show("spotsList")
        self.bridge.click_cell(self.ui.spotsList, 0)
        gap = red.mrmlSliceNode().GetSliceToRAS().GetElement(2, 3) - self.panel.facts.spots[0].ras[2]
        self.found["jumped_within_mm"] = round(abs(gap), 3)

    def slider(self) -> None:
        """Slices while the slider moves, the whole lesion when it rests, then kept."""
        person, steer, session = self.person, self.panel.steer, self.panel.session
        person.show("steerSlider")
        with self.timed("slice follows the slider"):
            person.slide(80, release=False)
            person.wait(lambda: steer.state.preview)
        self.found["slice_words"] = steer.state.preview
        self.found["slice_decode_s"] = round(person.client.preview_seconds[session.model.name, session.knobs], 3)
        with self.timed("whole lesion after the slider"):
            person.let_go()
            person.wait(lambda: steer.state.can_keep)
        person.press("keepButton")

    def sentence(self) -> None:
        person, steer = self.person, self.panel.steer
        person.say("tighter, purple")
        person.wait(lambda: steer.state.problem and steer.state.can_discard and not self.panel.jobs.busy)
        self.found["not_understood"] = steer.state.problem
        person.press("discardButton")
        with self.timed("sentence to whole lesion"):
            person.say("include the ground-glass halo")
            person.wait(lambda: steer.state.can_keep and not self.panel.jobs.busy)
        self.found["understood"] = steer.state.understood
        person.press("keepButton")
        self.found["kept"] = list(self.panel.session.lesion.names)
        person.press("undoButton")
        self.found["after_undo"] = list(self.panel.session.lesion.names)

    def review(self) -> None:
        person, path = self.person, self.folder / "lesion.seg.nrrd"
        person.press("editButton")
        self.found["edited"] = [node.GetName() for node in self.panel.session.lesion.edited_nodes]
        person.show("noteLineEdit")
        self.bridge.type_text(self.ui.noteLineEdit, "plausible")
        person.press("acceptButton")
        self.found["review"] = self.panel.facts.reviews
        self.bridge.will_choose_file(path)
        with self.timed("export"):
            person.press("exportButton")
        self.found["exported"] = path.is_file()

    def lost_worker(self) -> None:
        """kill -9 while it computes; a message, a button, and the scene as it was."""
        person = self.person
        person.ask_for(MANY)
        before = everything_in(slicer.mrmlScene)
        person.press("computeButton")
        person.wait_until_it_computes()
        with self.timed("lost worker is said"):
            os.kill(person.client.pid, signal.SIGKILL)
            person.wait(lambda: self.ui.messageFrame.visible)
        self.found["lost"] = self.ui.messageLabel.text
        self.found["changed_by_loss"] = differences(before, everything_in(slicer.mrmlScene))
        with self.timed("worker restarted"):
            person.press("messageFirstButton")
            person.wait(lambda: person.client.state == "ready")
        person.ask_for(self.samples)

    def second_lesion(self) -> None:
        """A second point on the same lesion is asked about; as another lesion it is computed by the new worker."""
        person = self.person
        person.place((self.point[0] + 1, *self.point[1:]))
        self.found["asked"] = self.ui.messageLabel.text
        with self.timed("click to contour, new worker"):
            person.press("messageSecondButton")
            person.wait_for("consensus")
        self.found["lesions"] = [choice.title for choice in person.module.widget.window.state.lesions]
        self.found["window_level_kept"] = self.window_level() == self.look

    def close_scene(self) -> None:
        """Saved, then closed while something is computed: what comes later finds no scene to fall into."""
        person = self.person
        self.saved = self.settings_and_numbers()
        slicer.mrmlScene.WriteToMRB(str(self.folder / "scene.mrb"))
        person.ask_for(MANY)
        person.press("computeButton")
        person.wait_until_it_computes()
        self.bridge.close_scene()
        person.settle()
        before = everything_in(slicer.mrmlScene)
        person.wait(lambda: person.client.state == "ready")  # the answer has come, or was called off
        self.found["came_after_closing"] = differences(before, everything_in(slicer.mrmlScene))
        self.found["rows_after_closing"] = list(person.rows)

    def reload(self) -> None:
        """Opened again: the same numbers and settings, and the work goes on."""
        self.bridge.do(lambda: slicer.mrmlScene.ReadFromMRB(str(self.folder / "scene.mrb")))
        self.person.settle()
        self.found["reloaded_alike"] = self.settings_and_numbers() == self.saved
        name = self.panel.session.model.experts[0].name
        self.bridge.do(lambda: self.panel.tick_row(name, True))
        self.person.wait_for(name)
        self.found["goes_on"] = list(self.person.rows)

    # -- eyes

    def point_on_lesion(self):
        node = self.host.scene.GetFirstNodeByName(examples.LESION)
        return tuple(node.GetNthControlPointPositionWorld(0))

    def window_level(self) -> tuple[float, float]:
        return self.scan.GetDisplayNode().GetWindow(), self.scan.GetDisplayNode().GetLevel()

    def settings_and_numbers(self) -> tuple:
        parameters = self.panel.session.parameters
        return self.person.rows["consensus"].volume, parameters.samples, parameters.lesion, list(self.person.rows)

    def ml(self, name: str) -> float:
        return round(self.person.rows[name].volume.median, 3)

    def visible_nodes(self) -> set[str]:
        nodes = slicer.util.getNodesByClass("vtkMRMLDisplayableNode")
        return {node.GetName() for node in nodes if not node.GetHideFromEditors()}

    @contextmanager
    def timed(self, name: str):
        begun = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - begun, 2)


def differences(before: dict, after: dict) -> list[str]:
    """Ids of nodes that came, went or changed; the content of `everything_in`."""
    return sorted(id_ for id_ in before.keys() | after.keys() if before.get(id_) != after.get(id_))


def enlarge(scan) -> None:
    """Air around the bundled scan, until it has as many voxels as a scan of the whole chest."""
    voxels = slicer.util.arrayFromVolume(scan)
    offset = [(whole - part) // 2 for whole, part in zip(CHEST, voxels.shape)]
    chest = np.full(CHEST, -1000, voxels.dtype)
    chest[tuple(slice(low, low + size) for low, size in zip(offset, voxels.shape))] = voxels
    matrix = vtk.vtkMatrix4x4()
    scan.GetIJKToRASMatrix(matrix)
    affine = slicer.util.arrayFromVTKMatrix(matrix)
    affine[:3, 3] -= affine[:3, :3] @ np.array(offset[::-1])
    scan.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(affine))
    slicer.util.updateVolumeFromArray(scan, chest)


@contextmanager
def replaced(module, name: str, value):
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


@contextmanager
def waiting_noticed():
    """What this thread did inside the block that waits for something else: a sleep, a new process, the worker's answer."""
    thread, noticed, on = threading.get_ident(), [], [True]

    def notice(event: str) -> None:
        if on and threading.get_ident() == thread:
            noticed.append(event)

    sys.addaudithook(lambda event, _arguments: event in ("time.sleep", "subprocess.Popen") and notice(event))
    pump_until = worker_client.WorkerClient.pump_until

    def noticed_pump(*arguments, **options):
        notice("WorkerClient.pump_until")
        pump_until(*arguments, **options)

    with replaced(worker_client.WorkerClient, "pump_until", noticed_pump):
        yield noticed
    on.clear()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", nargs="?", type=Path)
    parser.add_argument("--chest", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = json.dumps(Workflow(Path(folder), chest=options.chest).run(), indent=1, ensure_ascii=False)
    sys.stdout.write(report + "\n")
    if options.report:
        options.report.write_text(report, encoding="utf-8")


if __name__ == "__main__":
    main()
