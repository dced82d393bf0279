"""What all parts of the panel share: the scene's lesions, the settings, the chosen lesion and model, the message."""

from collections.abc import Callable
from dataclasses import asdict

import slicer

from MultiRaterSegLib.errors import MultiRaterSegError, WorkerError
from MultiRaterSegLib.knobs import OWN, Knobs

from ..i18n import _
from ..parameters import Parameters
from ..scene.lesions import Lesions, Model, SceneLesion
from ..scene.preview import Preview
from .state import Button, Message


class Session:
    """One scene in the panel. `on_change` is called whenever something that the panel shows may have changed."""

    def __init__(self, logic, on_change: Callable[[], None]):
        self.logic, self.changed = logic, on_change
        self.message: Message | None = None
        self.revealed: set[str] = set()
        self.read_scene()

    def read_scene(self) -> None:
        """Begins anew with what the scene holds now."""
        self.scene = slicer.mrmlScene
        self.lesions, self.parameters = Lesions(self.scene), Parameters(self.scene)
        self.message, self._remotes, self._preview = None, {}, None
        self.revealed.clear()
        if renamed := self.lesions.tell_apart():
            pairs = ", ".join(
                _("{former} is {label}").format(former=former, label=label) for former, label in renamed.items()
            )
            self.message = Message(
                "info", _("Added lesions have new numbers: {pairs}.").format(pairs=pairs), (self.close_button(),)
            )

    @property
    def volume(self) -> "slicer.vtkMRMLVolumeNode | None":
        return self.parameters.volume

    @property
    def lesion(self) -> SceneLesion | None:
        """The chosen lesion, if it lies in the chosen volume."""
        lesion = self.lesions.named(self.parameters.lesion)
        volume = self.volume
        return lesion if lesion is not None and volume is not None and lesion.volume_node is volume else None

    @property
    def models(self) -> tuple:
        """What the worker offers; () before it is ready."""
        hello = self.logic.client.hello
        return hello.models if hello is not None else ()

    @property
    def model(self):
        """The chosen model, or the worker's own choice where the chosen one is not installed; None before it is ready."""
        known = {model.name: model for model in self.models}
        hello = self.logic.client.hello
        return known.get(self.parameters.model) or (known.get(hello.default_model) if hello else None)

    @property
    def knobs(self) -> Knobs:
        """What the chosen model draws with: what was chosen for it, else its own."""
        model = self.model
        if model is None:
            return OWN
        own = {name: value for name, value in asdict(model.knobs).items() if value is not None}
        return Knobs(**{name: getattr(self.parameters, name).get(model.name, value) for name, value in own.items()})

    @property
    def scene_model(self) -> Model:
        return Model.of(self.model)

    @property
    def preview(self) -> Preview | None:
        """The preview of the chosen lesion; the one of another lesion goes."""
        lesion = self.lesion
        if self._preview is not None and (lesion is None or self._preview[0] != lesion.label):
            self._preview[1].clear()
            self._preview = None
        if self._preview is None and lesion is not None:
            self._preview = (lesion.label, Preview(lesion))
        return self._preview[1] if self._preview else None

    @property
    def hidden(self) -> bool:
        """Blind review: the chosen lesion's results stay out of sight until the person has decided or asks."""
        lesion = self.lesion
        return self.parameters.blind_review and lesion is not None and lesion.label not in self.revealed

    def remote(self, lesion: SceneLesion, model, knobs: Knobs):
        """The lesion as the worker knows it; made once for a place, a model and its knobs. Raises the library's errors."""
        place, seed = lesion.place, self.parameters.seed
        key = (lesion.label, model.name, repr(place), seed, knobs)
        if key not in self._remotes:
            self._remotes = {k: v for k, v in self._remotes.items() if k[0] != lesion.label}
            self._remotes[key] = self.logic.lesion(lesion.volume_node, place, model, seed, knobs)
        return self._remotes[key]

    def say(self, text: str, kind: str = "info", *buttons: Button, details: str = "") -> None:
        """A message with its answers; the default is to close it."""
        self.message = Message(kind, text, buttons or (self.close_button(),), details)
        self.changed()

    def quiet(self) -> None:
        """Takes the message away."""
        if self.message is not None:
            self.message = None
            self.changed()

    def fail(self, error: Exception) -> None:
        """Shows an error that a person can act on; anything else is a bug and keeps its traceback."""
        if not isinstance(error, MultiRaterSegError):
            raise error
        self.say(str(error), "error", details=error.log if isinstance(error, WorkerError) else "")

    def close_button(self) -> Button:
        return Button(_("Close"), self.quiet)
