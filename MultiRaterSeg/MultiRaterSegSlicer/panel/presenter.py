"""The panel without its widgets: what each press does, and what is to be seen afterwards."""

from pathlib import Path
from typing import Protocol

from ..i18n import _
from ..scene import map
from ..scene.lesions import SceneLesion
from ..scene.spots import jump_to
from .engine import Engine
from .facts import Facts
from .jobs import Job, Jobs
from .places import Places
from .pointing import Pointing
from .review import Review
from .session import Session
from .show import state_of
from .state import Busy, PanelState
from .steer import Steer
from .suitability import Suitability
from .views import center_of, first_scan


class Window(Protocol):
    """What the panel needs of the widgets."""

    def show(self, state: PanelState) -> None: ...
    def show_busy(self, busy: Busy | None) -> None: ...
    def open_editor(self, node) -> None: ...
    def show_table(self, node) -> None: ...
    def install(self) -> None: ...


class Panel:
    """The five steps for one scene. All calls return at once; `tick` is called by a timer and delivers what came."""

    def __init__(self, logic, window: Window):
        self.logic, self.window = logic, window
        self._stale, self._facts = True, None
        self.session = Session(logic, self._changed)
        self.jobs = Jobs(self.session, window.show_busy)
        self.engine = Engine(self.session, window.show_busy, window.install)
        self.suitability = Suitability(self.session)
        self.steer = Steer(self.session, self.jobs, self.suitability)
        self.review = Review(self.session, window.open_editor)
        self.pointing = Pointing(self.session, self._begin_lesion, lambda lesion: self.choose_lesion(lesion.label))
        self.places = Places(self.pointing.placed, self._changed)
        self._stop_watching = lambda: None
        self.read_scene()

    # -- life

    def opened(self) -> None:
        """The person came to the panel: the worker starts, so that the model is there when the point is."""
        if self.session.volume is None:
            self.choose_volume(first_scan(self.session.scene))
        self.engine.start()
        self._changed()

    def tick(self) -> None:
        """Delivers the worker's answers and shows what changed since."""
        if self._scene_is_new:
            self.read_scene()
        self.places.deliver()
        self.logic.pump()
        self.show_changes()

    def show_changes(self) -> None:
        if self._stale:
            self._stale = False
            self.window.show(state_of(self))

    @property
    def facts(self) -> Facts:
        """Of the chosen lesion, read again only when something in the scene changed."""
        if self._facts is None:
            self._facts = Facts.of(self.session.lesion)
        return self._facts

    def scene_closing(self) -> None:
        """Stops everything; from here on nothing of this scene is touched."""
        self._stop_watching()
        self._stop_watching = lambda: None
        self.places.forget()
        self.steer.forget()
        self.jobs.forget()
        self.engine.forget()

    def scene_opened(self) -> None:
        """A new or loaded scene is there; it is read at the next tick, when Slicer has sorted its nodes."""
        self._scene_is_new = True

    def read_scene(self) -> None:
        """Continues with what the scene holds."""
        self.scene_closing()
        self._scene_is_new = False
        self.session.read_scene()
        self._facts = None
        self._stop_watching = self.session.lesions.observe(self._lesions_changed)
        if self.session.lesion is None:
            self._choose_lesion_of_volume()
        self._changed()

    def close(self) -> None:
        self.scene_closing()
        self.logic.close()

    # -- 1. Input

    def choose_volume(self, node) -> None:
        if node is None or node is not self.session.volume:  # a deleted one is None already
            self.session.parameters.volume = node
            self._choose_lesion_of_volume()

    def choose_model(self, name: str) -> None:
        """Outlines that another one drew stay; the preview goes, as it could not be kept under this one's name."""
        self.session.parameters.model = name
        self.steer.discard()

    def choose_lesion(self, label: str) -> None:
        self._select(label)
        lesion = self.session.lesion
        if lesion is not None:
            jump_to(self.session.scene, center_of(lesion))
        if map.shown_map(self.session.scene):
            self.show_map(True)
        self._changed()

    def place_point(self, on: bool) -> None:
        """Begins or stops placing; the click arrives in `placed`."""
        self._place(on, lambda: self.places.place_point(self.session.parameters.place))

    def place_box(self, on: bool) -> None:
        self._place(on, self.places.place_box)

    def choose_box(self, node) -> None:
        """A box that is in the scene already; its lesion, or a new one."""
        if node is not None:
            self.pointing.chosen(node)

    # -- 2. Consensus and 3. Reader styles

    def set_samples(self, count: int) -> None:
        self.session.parameters.samples = count

    def turn(self, knob: str, value: float) -> None:
        """The chosen model's "steps" or "preference". What was drawn with another value stays, but for the preview: it is
        made anew."""
        chosen = getattr(self.session.parameters, knob)
        setattr(self.session.parameters, knob, {**chosen, self.session.model.name: value})
        self.steer.discard()

    def set_compute_on_place(self, on: bool) -> None:
        self.session.parameters.compute_on_click = on

    def compute(self) -> None:
        """The consensus of the chosen lesion."""
        self._ask_for(None)

    def cancel(self) -> None:
        self.engine.forget()
        self.jobs.cancel()

    def tick_row(self, name: str, on: bool) -> None:
        """Shows or hides an outline; one that the chosen model did not draw yet is computed."""
        model = self.session.model
        to_ask = on and model is not None and name in self._styles_left
        if name in self.facts.rows and not to_ask:
            self.session.lesion.set_visible(name, on)
        elif on:
            self._ask_for(None if name == "consensus" else name)
        self._changed()

    def all_styles(self) -> None:
        """Every reader style that the chosen model did not draw yet, one after the other."""
        self.engine.when_ready(lambda: self._ask_for(*self._styles_left))

    def show_bands(self, on: bool) -> None:
        if self.session.lesion is not None:
            self.session.lesion.set_visible("bands", on)
            self._changed()

    def show_map(self, on: bool) -> None:
        """The continuous map as the foreground, or what was there before."""
        parameters, lesion = self.session.parameters, self.session.lesion
        parameters.map_on = on
        map.hide_map(self.session.scene)
        if on and lesion is not None and lesion.map_node is not None and not self.session.hidden:
            map.show_map(lesion.map_node, parameters.map_opacity)
        self._changed()

    def go_to(self, ras) -> None:
        jump_to(self.session.scene, ras)

    def open_table(self) -> None:
        """The lesion's numbers, or away with them when they are shown."""
        self.window.show_table(self.session.lesion.numbers_node)

    def undo(self) -> None:
        """Removes exactly what the last action made."""
        if self.session.lesions.can_undo:
            undone = _("Undone: {what}.").format(what=self.session.lesions.undo())
            self.session.say(undone)

    # -- 5. Review, Advanced

    def decide(self, key: str, state: str, note: str) -> None:
        self.review.decide(key, state, note)
        self.reveal()

    def export(self, form: str, path: Path) -> None:
        self.review.export(form, path)

    def set_blind(self, on: bool) -> None:
        self.session.parameters.blind_review = on
        self.session.revealed.clear()
        self._show_or_hide_results()

    def reveal(self) -> None:
        """Ends the blind review of the chosen lesion."""
        if self.session.lesion is not None:
            self.session.revealed.add(self.session.lesion.label)
        self._show_or_hide_results()

    def installed(self) -> None:
        """Something was installed: the worker looks again."""
        self.engine.restart()

    # -- how

    @property
    def _styles_left(self) -> tuple[str, ...]:
        return self.facts.styles_left(self.session.model, self.session.knobs)

    def _changed(self) -> None:
        self._stale = True

    def _lesions_changed(self) -> None:
        """A result came or went: what is shown follows."""
        self._facts = None
        if self.session.parameters.blind_review:
            self._show_or_hide_results()
        self.show_map(self.session.parameters.map_on)

    def _show_or_hide_results(self) -> None:
        """Blind review: lesions that were not revealed are out of sight, with their map."""
        blind = self.session.parameters.blind_review
        for lesion in self.session.lesions.all():
            in_sight = not blind or lesion.label in self.session.revealed
            for node in (lesion.styles_node, lesion.agreement_node):
                if node is not None:
                    node.SetDisplayVisibility(in_sight)
        self.show_map(self.session.parameters.map_on)

    def _select(self, label: str) -> None:
        self.steer.discard()
        self.session.parameters.lesion = label
        self._facts = None
        self._changed()

    def _choose_lesion_of_volume(self) -> None:
        volume = self.session.volume
        known = self.session.lesions.all(volume) if volume is not None else []
        self._select(known[-1].label if known else "")

    def _place(self, on: bool, begin) -> None:
        if not on:
            self.places.stop()
        elif self.session.volume is None:
            self.session.say(_("Choose a volume first."), "error")
        else:
            self.session.quiet()
            begin()
        self._changed()

    def _begin_lesion(self, lesion: SceneLesion) -> None:
        self._select(lesion.label)
        if self.session.parameters.compute_on_click:
            self.compute()

    def _ask_for(self, *styles: str | None) -> None:
        """The worker is asked for outlines of the chosen lesion; None: the consensus."""
        lesion = self.session.lesion
        if lesion is None:
            self.session.say(_("Place a point on the lesion first."), "error")
            return
        self.session.quiet()

        def ask() -> None:
            for style in styles:
                self.jobs.ask(self._job(lesion, style))

        def give_up() -> None:
            if self.pointing.take_back(lesion):
                self._choose_lesion_of_volume()

        self.engine.when_ready(lambda: self.suitability.then(lesion, ask, give_up))

    def _job(self, lesion: SceneLesion, style: str | None) -> Job:
        model = self.session.model
        titles = {expert.name: expert.title for expert in model.experts}
        title = _("Consensus") if style is None else titles.get(style, f'"{style}"')
        words = _("{title} of {label}").format(title=title, label=lesion.label)
        return Job(lesion, style, words, model, self.session.knobs)
