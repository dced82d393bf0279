"""A person at the panel: presses, types and looks, through the bridge's mouse and keyboard."""

from bridge import Bridge, Loaded

PATIENCE = 300  # seconds for steps of the worker: a limit for broken code, not a measurement
SECTION = "ctkCollapsibleButton"


class Person:
    """`panel` and `ui` are the module's; every call runs inside the event loop."""

    def __init__(self, bridge: Bridge, module: Loaded):
        self.bridge, self.module = bridge, module
        self.panel, self.ui = module.widget.panel, module.widget.ui

    @property
    def client(self):
        return self.panel.logic.client

    @property
    def rows(self) -> dict:
        """The numbers of the outlines that the chosen lesion has."""
        return self.panel.facts.rows

    def press(self, name: str) -> None:
        self.show(name)
        self.bridge.click(getattr(self.ui, name))
        self.settle()

    def show(self, name: str) -> None:
        """Opens the section that a widget is in, and scrolls to it."""
        widget = getattr(self.ui, name)
        section = widget.parentWidget()
        while section is not None:
            if section.className() == SECTION and section.collapsed:
                self.bridge.click(section)
            section = section.parentWidget()
        self.ui.scrollArea.ensureWidgetVisible(widget)

    def say(self, sentence: str) -> None:
        self.show("promptComboBox")
        self.bridge.type_text(self.ui.promptComboBox.lineEdit(), f"{sentence}\n")
        self.settle()

    def place(self, ras) -> None:
        self.press("placePointButton")
        self.bridge.place_point(ras)
        self.settle()

    def choose(self, scan) -> None:
        """A volume of the selector."""
        self.bridge.do(lambda: self.ui.volumeSelector.setCurrentNode(scan))
        self.settle()

    def ask_for(self, samples: int) -> None:
        self.bridge.do(lambda: setattr(self.ui.samplesSpinBox, "value", samples))

    def slide(self, to: int, release: bool = True) -> None:
        self.show("steerSlider")
        self.bridge.drag(self.ui.steerSlider, to, release=release)

    def let_go(self) -> None:
        self.bridge.do(lambda: self.ui.steerSlider.setSliderDown(False))

    def settle(self) -> None:
        """Until the panel shows what the last press did."""
        self.bridge.do(self.panel.tick)

    def wait(self, condition) -> None:
        self.bridge.wait_until(condition, PATIENCE)
        self.settle()

    def wait_for(self, *names: str) -> None:
        """Until the chosen lesion has these outlines and nothing is computed any more."""
        self.wait(lambda: all(name in self.rows for name in names) and not self.panel.jobs.busy)

    def wait_until_it_computes(self) -> None:
        self.wait(lambda: self.panel.jobs.busy and self.ui.progressBar.value > 0)
