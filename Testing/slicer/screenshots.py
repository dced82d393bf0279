"""Makes the pictures of the Slicer module: the panel in its states, and the slice views with outlines, bands and map.

    python Testing/slicer/screenshots.py [FOLDER]            (or: make screenshots)

The panel is the module's own widget and .ui on the PySide6 bridge, its worker and the shipped model are the real ones,
the scan is the bundled one. The slice views are Slicer's slice logic and displayable managers without its window.
"""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT), str(PROJECT / "MultiRaterSeg")]

import slicer  # noqa: E402
from bridge import Bridge, Loaded  # noqa: E402
from host import Host  # noqa: E402
from slice_picture import SlicePicture  # noqa: E402

OUT = PROJECT / "docs" / "pictures"
PATIENCE = 300  # s, for a consensus on a busy machine
SENTENCE = "include the halo, purple"
WITHOUT_TORCH = (
    "import sys, runpy; sys.modules['torch'] = None; runpy.run_module('MultiRaterSegLib.worker', run_name='__main__')"
)
STRIP = 40  # pixels, for the words below the slice views
VIEWS = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}


class Studio:
    """The panel in front of the camera."""

    def __init__(self, bridge: Bridge, module: Loaded, folder: Path):
        self.bridge, self.folder = bridge, folder
        self.panel, self.widget, self.ui = module.panel, module.widget, module.widget.ui
        self.cameras = [SlicePicture(bridge.host, view, way, (480, 480)) for view, way in VIEWS.items()]

    def shoot(self, name: str, show: str | None = None) -> None:
        """slicer_panel_<name>.png, 400 x 900; scrolled so that the widget `show` is in it."""
        self.panel.resize(400, 900)
        self.bridge.pump(0.1)
        area = self.ui.scrollArea
        bar = area.verticalScrollBar()
        bar.setValue(0 if show is None else getattr(self.ui, show).mapTo(area.widget(), self._corner()).y() - 4)
        self.bridge.screenshot(self.panel, self.folder / f"slicer_panel_{name}.png")

    @staticmethod
    def _corner():
        import qt

        return qt.QPoint(0, 0)

    def wait(self, condition, seconds: float = PATIENCE) -> None:
        self.bridge.wait_until(condition, seconds)

    def has(self, name: str) -> bool:
        """Whether this outline of the lesion has arrived and is shown in the table."""
        return name in self.widget.panel.facts.rows and not self.busy

    @property
    def busy(self) -> bool:
        return self.ui.busyFrame.isVisible()


@contextmanager
def studio(folder: Path, command: list[str] | None = None) -> Iterator[Studio]:
    """The module on an empty scene; command: another way to start the worker."""
    with tempfile.TemporaryDirectory() as temporary, Bridge(Host(Path(temporary))) as bridge:
        if command:
            _start_workers_with(command)
        yield Studio(bridge, bridge.load("MultiRaterSeg"), folder)


def _start_workers_with(command: list[str]) -> None:
    from MultiRaterSegSlicer.worker import client

    original = client.WorkerClient.__init__

    def make(self, *args, **kwargs):
        original(self, command, **kwargs)
        client.WorkerClient.__init__ = original

    client.WorkerClient.__init__ = make


def first_start(folder: Path) -> None:
    """PyTorch is not there: the worker's import of it fails."""
    with studio(folder, [sys.executable, "-c", WITHOUT_TORCH]) as s:
        s.wait(lambda: s.widget.logic.client.state == "failed")
        s.shoot("first_start")
        dialog(s)
        s.bridge.click(s.ui.showExampleButton)
        s.wait(lambda: s.has("consensus"))
        s.shoot("example")


def dialog(s: Studio) -> None:
    """What to install, as in a Slicer that has nothing of it."""
    from MultiRaterSegSlicer.install import packages

    missing, packages.missing = packages.missing, list
    s.bridge.dialogs.photograph(s.folder / "slicer_dialog_install.png")
    s.bridge.will_answer("Cancel")
    s.bridge.click(s.ui.installButton)
    packages.missing = missing


def workflow(folder: Path) -> None:
    """A person's way through the panel, and what the slice views show on it."""
    with studio(folder) as s:
        s.wait(lambda: s.widget.logic.client.state == "ready")
        s.shoot("empty")
        consensus(s)
        styles(s)
        slice_views(s)
        steer(s)
        review(s)
        warning(s)
        error(s)


def consensus(s: Studio) -> None:
    from MultiRaterSegSlicer.examples import load_sample_data
    from MultiRaterSegSlicer.nodes import points_from_node

    s.bridge.do(load_sample_data)
    point_list = slicer.util.getNode("Lesion")
    s.ras = points_from_node(point_list)[0]
    slicer.mrmlScene.RemoveNode(point_list)  # the person places the point
    scan = slicer.util.getNode("SimulatedCT-RealOutlines")
    scan.GetDisplayNode().AutoWindowLevelOff()
    scan.GetDisplayNode().SetWindowLevel(1500, -500)
    s.bridge.do(lambda: s.ui.volumeSelector.setCurrentNode(scan))
    s.bridge.click(s.ui.placePointButton)
    s.bridge.place_point(s.ras)
    s.wait(lambda: s.ui.progressBar.value >= 30 or s.has("consensus"))
    s.shoot("computing")
    s.wait(lambda: s.has("consensus"))


def styles(s: Studio) -> None:
    s.bridge.click(s.ui.allStylesButton)
    s.wait(lambda: not s.busy and not s.widget.panel.jobs.busy)
    s.bridge.pump(0.3)
    s.shoot("result")


def slice_views(s: Studio) -> None:
    from MultiRaterSegLib.segments import BAND_COLORS, BAND_NAMES

    lesion, consensus = s.widget.panel.session.lesion, ("Consensus", "#FFFFFF")
    lesion.set_visible("bands", False)
    views(s, "outlines", [(row.title, row.color) for row in lesion.rows])
    for name in lesion.names:
        lesion.set_visible(name, name == "consensus")
    lesion.set_visible("bands", True)
    views(s, "bands", [consensus, *((BAND_NAMES[name], color) for name, color in BAND_COLORS.items())])
    lesion.set_visible("bands", False)
    s.bridge.click(s.ui.mapCheckBox)
    views(s, "map", [consensus], 72)
    s.bridge.click(s.ui.mapCheckBox)
    for name in (*lesion.names, "bands"):
        lesion.set_visible(name, True)


def views(s: Studio, name: str, colors: list[tuple[str, str]], width_mm: float = 48) -> None:
    """slicer_slices_<name>.png: axial, sagittal and coronal side by side around the lesion; below, what a color means."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    for camera in s.cameras:
        camera.look_at(s.ras, width_mm)
    row = np.concatenate([camera.pixels() for camera in s.cameras], 1)
    picture = Image.new("RGB", (row.shape[1], row.shape[0] + STRIP), "#202020")
    picture.paste(Image.fromarray(row))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(20)
    for n, way in enumerate(VIEWS.values()):
        draw.text((n * row.shape[1] // len(VIEWS) + 8, 6), way, "white", font)
    x, middle = 10, row.shape[0] + STRIP // 2
    for words, color in colors:
        draw.rectangle((x, middle - 8, x + 16, middle + 8), color, "white")
        draw.text((x + 24, middle), words, "white", font, anchor="lm")
        x += 24 + round(draw.textlength(words, font)) + 28
    picture.save(s.folder / f"slicer_slices_{name}.png", optimize=True)


def steer(s: Studio) -> None:
    s.bridge.drag(s.ui.steerSlider, 75)
    s.wait(lambda: s.ui.keepButton.isEnabled())
    s.bridge.type_text(s.ui.promptComboBox.lineEdit(), SENTENCE)
    s.bridge.click(s.ui.promptButton)
    s.wait(lambda: s.ui.problemLabel.isVisible() and s.ui.keepButton.isEnabled() and not s.busy)
    s.shoot("steer")
    s.bridge.click(s.ui.keepButton)


def review(s: Studio) -> None:
    s.bridge.type_text(s.ui.noteLineEdit, "Vessel left out")
    s.bridge.click(s.ui.acceptButton)
    s.bridge.click(s.ui.advancedButton)
    s.shoot("review", show="steerButton")
    s.bridge.click(s.ui.advancedButton)


def warning(s: Studio) -> None:
    """A scan of another modality."""
    scan = slicer.util.getNode("SimulatedCT-RealOutlines")
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    modality = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMSeriesModalityAttributeName()
    before = hierarchy.GetItemAttribute(hierarchy.GetItemByDataNode(scan), modality)
    hierarchy.SetItemAttribute(hierarchy.GetItemByDataNode(scan), modality, "MR")
    s.bridge.click(s.ui.computeButton)
    s.wait(lambda: s.ui.messageFrame.isVisible(), 30)
    s.shoot("warning")
    s.bridge.click(s.ui.messageSecondButton)
    s.wait(lambda: not s.ui.messageFrame.isVisible(), 10)
    hierarchy.SetItemAttribute(hierarchy.GetItemByDataNode(scan), modality, before)


def error(s: Studio) -> None:
    """The worker is killed."""
    os.kill(s.widget.logic.client.pid, signal.SIGKILL)
    s.wait(lambda: s.ui.messageFrame.isVisible(), 30)
    s.shoot("error")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=OUT, help="where the pictures go (docs/pictures)")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    first_start(folder)
    workflow(folder)
    for path in sorted(folder.glob("slicer_*.png")):
        sys.stdout.write(f"{path} {path.stat().st_size / 1000:.0f} kB\n")


if __name__ == "__main__":
    main()
