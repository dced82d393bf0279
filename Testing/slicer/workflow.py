"""The whole workflow on the real panel, worker, model and scan, as a person would go through it; measures what is felt.

    python Testing/slicer/workflow.py [REPORT.json]

Prints one JSON object: seconds of each step, how long the event loop stood still, what the scene held, whether torch was
imported. The widgets stand on the bridge, not in Slicer itself.
"""

import json
import os
import signal
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
PATIENCE = 300  # seconds for steps of the worker: a limit for broken code, not a measurement

# This folder is called `slicer` too: the package is imported before anything else of ours.
sys.path[:] = [folder for folder in sys.path if Path(folder or ".").resolve() not in (HERE, HERE.parent)]
import slicer  # noqa: E402

sys.path[:0] = [str(PROJECT), str(PROJECT / "MultiRaterSeg"), str(HERE)]
from bridge import Bridge  # noqa: E402
from host import Host  # noqa: E402
from MultiRaterSegSlicer import examples  # noqa: E402


class Workflow:
    """One person at the panel. `seconds` and `found` are what there is to report."""

    def __init__(self, folder: Path, samples: int = 10):
        self.folder, self.samples = folder, samples
        (folder / "host").mkdir()
        self.host = Host(folder / "host").publish()
        self.bridge = Bridge(self.host)
        self.seconds: dict[str, float] = {}
        self.found: dict[str, object] = {}

    def run(self) -> dict:
        self.open()
        with self.bridge.watchdog() as heartbeat:
            for step in (
                self.cancel,
                self.consensus,
                self.styles,
                self.views,
                self.slider,
                self.sentence,
                self.review,
                self.lost_worker,
                self.second_lesion,
            ):
                step()
            self.found["longest_block_s"] = round(heartbeat.longest_block, 3)
        self.reload()
        self.found["torch_imported"] = [name for name in ("torch", "monai") if name in sys.modules]
        self.bridge.close()
        return {"seconds": self.seconds, **self.found}

    # -- steps

    def open(self) -> None:
        """The module is opened on the demo scan; the worker loads the model meanwhile."""
        self.scan = examples.load_sample_data()
        self.point = self.point_on_lesion()
        with self.timed("module opens, worker ready"):
            self.module = self.bridge.load("MultiRaterSeg")
            self.panel, self.ui = self.module.widget.panel, self.module.widget.ui
            self.wait(lambda: self.panel.session.models)
        self.bridge.do(lambda: self.ui.volumeSelector.setCurrentNode(self.scan))
        self.ui.samplesSpinBox.value = self.samples
        self.look = self.scan.GetDisplayNode().GetWindow(), self.scan.GetDisplayNode().GetLevel()

    def cancel(self) -> None:
        """A point, and Cancel in the middle: nothing new is in the scene."""
        before = self.visible_nodes()
        self.place(self.point)
        self.wait(lambda: self.ui.progressBar.value > 0)
        with self.timed("cancel"):
            self.press("cancelButton")
            self.wait(lambda: not self.panel.jobs.busy)
        self.found["left_by_cancel"] = sorted(self.visible_nodes() - before)

    def consensus(self) -> None:
        with self.timed("consensus"):
            self.press("computeButton")
            self.wait(lambda: "consensus" in self.panel.facts.rows)
        self.found["lesion"] = self.panel.session.lesion.label
        self.found["consensus_ml"] = self.ml("consensus")
        self.found["warnings"] = list(self.panel.facts.warnings)

    def styles(self) -> None:
        with self.timed("four styles"):
            self.press("allStylesButton")
            self.wait(lambda: len(self.panel.facts.rows) == 5 and not self.panel.jobs.busy)
        names = [expert.name for expert in self.panel.session.model.experts]
        self.found["styles_ml"] = [self.ml(name) for name in names]
        self.found["order_note"] = self.panel.facts.order_note
        self.found["table_rows"] = self.panel.session.lesion.numbers_node.GetNumberOfRows()

    def views(self) -> None:
        """The map comes and goes; a spot moves the views; the scan's window and level stay."""
        view = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
        self.press("mapCheckBox")
        self.found["map_in_front"] = view.GetForegroundVolumeID() == self.panel.session.lesion.map_node.GetID()
        self.press("mapCheckBox")
        self.found["map_gone"] = view.GetForegroundVolumeID() is None
        self.show("spotsList")
        self.bridge.click_cell(self.ui.spotsList, 0)
        slice_node = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
        gap = slice_node.GetSliceToRAS().GetElement(2, 3) - self.panel.facts.spots[0].ras[2]
        self.found["jumped_within_mm"] = round(abs(gap), 3)

    def slider(self) -> None:
        """Slices while the slider moves, the whole lesion when it rests, then kept."""
        steer = self.panel.steer
        self.show("steerSlider")
        with self.timed("slice follows the slider"):
            self.bridge.drag(self.ui.steerSlider, 80, release=False)
            self.wait(lambda: steer.state.preview)
        self.found["slice_words"] = steer.state.preview
        client = self.panel.logic.client
        self.found["slice_decode_s"] = round(client.preview_seconds[self.panel.session.model.name], 3)
        with self.timed("whole lesion after the slider"):
            self.bridge.do(lambda: self.ui.steerSlider.setSliderDown(False))
            self.wait(lambda: steer.state.can_keep)
        self.press("keepButton")

    def sentence(self) -> None:
        steer = self.panel.steer
        line = self.ui.promptComboBox.lineEdit()
        self.show("promptComboBox")
        self.bridge.type_text(line, "tighter, purple\n")
        self.wait(lambda: steer.state.problem)
        self.found["not_understood"] = steer.state.problem
        self.press("discardButton" if steer.state.can_discard else "keepButton", when_enabled=True)
        with self.timed("sentence to whole lesion"):
            self.bridge.type_text(line, "include the ground-glass halo\n")
            self.wait(lambda: steer.state.can_keep and not self.panel.jobs.busy)
        self.found["understood"] = steer.state.understood
        self.press("keepButton")
        self.found["kept"] = list(self.panel.session.lesion.names)
        self.press("undoButton")
        self.found["after_undo"] = list(self.panel.session.lesion.names)

    def review(self) -> None:
        self.press("editButton")
        self.found["edited"] = [node.GetName() for node in self.panel.session.lesion.edited_nodes]
        self.show("noteLineEdit")
        self.bridge.type_text(self.ui.noteLineEdit, "plausible")
        self.press("acceptButton")
        self.found["review"] = self.panel.facts.reviews
        self.bridge.will_choose_file(self.folder / "lesion.seg.nrrd")
        self.press("exportButton")
        self.found["exported"] = (self.folder / "lesion.seg.nrrd").is_file()

    def lost_worker(self) -> None:
        """kill -9 while it computes; a message, a button, and the scene as it was."""
        before = self.visible_nodes()
        self.press("computeButton")
        self.wait(lambda: self.ui.progressBar.value > 0)
        with self.timed("lost worker is said"):
            os.kill(self.panel.logic.client.pid, signal.SIGKILL)
            self.wait(lambda: self.ui.messageFrame.visible)
        self.found["lost"] = self.ui.messageLabel.text
        self.found["changed_by_loss"] = sorted(self.visible_nodes() ^ before)
        with self.timed("worker restarted"):
            self.press("messageFirstButton")
            self.wait(lambda: self.panel.logic.client.state == "ready")

    def second_lesion(self) -> None:
        """A second point on the same lesion is asked about; as another lesion it is computed by the new worker."""
        self.place((self.point[0] + 1, *self.point[1:]))
        self.found["asked"] = self.ui.messageLabel.text
        with self.timed("click to contour, new worker"):
            self.press("messageSecondButton")
            self.wait(lambda: "consensus" in self.panel.facts.rows and not self.panel.jobs.busy)
        self.found["lesions"] = [choice.title for choice in self.module.widget.window.state.lesions]
        look = self.scan.GetDisplayNode().GetWindow(), self.scan.GetDisplayNode().GetLevel()
        self.found["window_level_kept"] = look == self.look

    def reload(self) -> None:
        """Saved and opened again: the same numbers and settings."""
        before = self.panel.facts.rows["consensus"].volume, self.panel.session.parameters.samples
        self.bridge.save_and_reload(self.folder / "scene.mrb")
        self.settle()
        after = self.panel.facts.rows["consensus"].volume, self.panel.session.parameters.samples
        self.found["reloaded_alike"] = before == after

    # -- hands and eyes

    def point_on_lesion(self):
        node = self.host.scene.GetFirstNodeByName(examples.LESION)
        return tuple(node.GetNthControlPointPositionWorld(0))

    def place(self, ras) -> None:
        self.press("placePointButton")
        self.bridge.place_point(ras)
        self.settle()

    def press(self, name: str, when_enabled: bool = False) -> None:
        widget = getattr(self.ui, name)
        self.show(name)
        if not when_enabled or widget.enabled:
            self.bridge.click(widget)
            self.settle()

    def show(self, name: str) -> None:
        self.ui.scrollArea.ensureWidgetVisible(getattr(self.ui, name))

    def settle(self) -> None:
        self.bridge.do(self.panel.tick)

    def wait(self, condition) -> None:
        self.bridge.wait_until(condition, PATIENCE)
        self.settle()

    def ml(self, name: str) -> float:
        return round(self.panel.facts.rows[name].volume.median, 3)

    def visible_nodes(self) -> set[str]:
        nodes = slicer.util.getNodesByClass("vtkMRMLDisplayableNode")
        return {node.GetName() for node in nodes if not node.GetHideFromEditors()}

    @contextmanager
    def timed(self, name: str):
        begun = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - begun, 2)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        report = json.dumps(Workflow(Path(folder)).run(), indent=1, ensure_ascii=False)
    sys.stdout.write(report + "\n")
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(report, encoding="utf-8")


if __name__ == "__main__":
    main()
