"""Whether a model was made for a scan; where it was not, the person decides once."""

from collections.abc import Callable

from ..i18n import _
from ..scene.lesions import SceneLesion
from .session import Session
from .state import Button


class Suitability:
    """Stands before everything that is asked of the worker."""

    def __init__(self, session: Session):
        self.session = session
        self._insisted: set[tuple[str, str]] = set()

    def warning(self, lesion: SceneLesion) -> str:
        """Why results would mean little, as a sentence; "" where nothing speaks against it or the person insisted."""
        return "" if self._pair(lesion) in self._insisted else self._unsuitable(lesion)

    def then(self, lesion: SceneLesion, go: Callable[[], None], give_up: Callable[[], None] = lambda: None) -> None:
        """Goes on at once, or after the person insists."""
        warning = self.warning(lesion)
        if not warning:
            go()
            return

        def insist() -> None:
            self._insisted.add(self._pair(lesion))
            self.session.quiet()
            go()

        def cancel() -> None:
            self.session.quiet()
            give_up()

        self.session.say(warning, "warning", Button(_("Cancel"), cancel), Button(_("Try anyway"), insist))

    def _pair(self, lesion: SceneLesion) -> tuple[str, str]:
        return lesion.volume_node.GetID(), self.session.model.name

    def _unsuitable(self, lesion: SceneLesion) -> str:
        return self.session.logic.unsuitable(lesion.volume_node, self.session.model)
