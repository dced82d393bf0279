"""The loaded panel with a scan in the scene, for tests that drive it as a person would."""

import slicer
from panel_fakes import FakeLogic
from scene_cases import Case

CONSENSUS = (4, 5, 6, 7, 8)


class Hands:
    """The loaded module with a scan in the scene and a worker that answers when it is told to."""

    def __init__(self, bridge, monkeypatch, **options):
        self.bridge = bridge
        self.case = Case(bridge.host.scene)
        slicer.mrmlScene.RemoveNode(self.case.points)
        self.logic = FakeLogic(self.case, **options)
        monkeypatch.setattr("MultiRaterSegSlicer.logic.MultiRaterSegLogic", lambda: self.logic)
        self.module = bridge.load("MultiRaterSeg")
        self.widget, self.ui = self.module.widget, self.module.widget.ui

    def ready(self):
        self.bridge.do(self.logic.become_ready)
        self.settle()
        return self

    def settle(self):
        """Until the panel has drawn what happened."""
        self.bridge.do(self.widget.panel.tick)

    def click(self, name):
        widget = getattr(self.ui, name)
        self.ui.scrollArea.ensureWidgetVisible(widget)
        self.bridge.click(widget)
        self.settle()

    def place(self, ras=None):
        self.click("placePointButton")
        self.bridge.place_point(self.case.center if ras is None else ras)
        self.settle()

    def answer(self, name, *radii):
        self.bridge.do(lambda: self.logic.tasks[-1].finish(self.case.answer(name, *radii)))
        self.settle()

    def outline(self):
        self.place()
        self.answer("consensus", *CONSENSUS)
        return self

    def cell(self, row, column):
        return self.ui.stylesTable.item(row, column).text()
