"""From a point or a box to a lesion: what lies outside is refused, what lies on a known lesion is asked about."""

from collections.abc import Callable

from MultiRaterSegLib.errors import GeometryError, MultiRaterSegError

from ..i18n import _
from ..nodes import grid_of, points_from_node, roi_from_node
from ..scene.lesions import SceneLesion
from .places import BOX
from .session import Session
from .state import Button


class Pointing:
    """What happens to a place that a person gave. `on_new(lesion)`, `on_known(lesion)`: which lesion was meant."""

    def __init__(
        self, session: Session, on_new: Callable[[SceneLesion], None], on_known: Callable[[SceneLesion], None]
    ):
        self.session, self._on_new, self._on_known = session, on_new, on_known

    def placed(self, node, n: int = 0) -> None:
        """node: a point list, of which `n` is the new control point, or a box."""
        try:
            ras = self._inside(node, n)
        except MultiRaterSegError as error:
            _take_back(node, n)
            self.session.fail(error)
            return
        if not node.IsA(BOX):
            self.session.parameters.place = node
        known = self.session.lesions.at(self.session.volume, ras)
        if known is None:
            self._new_lesion(node, n)
        else:
            self._ask(known, node, n)

    def chosen(self, box) -> None:
        """A box that is in the scene already; its lesion, or a new one."""
        known = self.session.lesions.of_box(box)
        if known is not None:
            self._on_known(known)
        elif self.session.volume is not None:
            self.placed(box)

    def take_back(self, lesion: SceneLesion) -> bool:
        """A lesion that nothing was computed for goes, with its point; False when it has results."""
        node = lesion.place_node
        if not self.session.lesions.discard(lesion):
            return False
        if node is not None and not node.IsA(BOX):
            for n in reversed(range(node.GetNumberOfControlPoints())):
                if node.GetNthControlPointLabel(n) == lesion.label:
                    node.RemoveNthControlPoint(n)
        return True

    def _inside(self, node, n: int) -> tuple[float, float, float]:
        """The place, or the middle of the box, RAS mm. Raises GeometryError when no scan is chosen or it lies outside."""
        volume = self.session.volume
        if volume is None:
            raise GeometryError(_("Choose a volume first."))
        if node.IsA(BOX):
            low, high = roi_from_node(node)
            ras = tuple((a + b) / 2 for a, b in zip(low, high))
        else:
            ras = points_from_node(node)[n]
        if not grid_of(volume).contains(ras):
            raise GeometryError(_("This place is outside '{name}'.").format(name=volume.GetName()))
        return ras

    def _ask(self, known: SceneLesion, node, n: int) -> None:
        def same() -> None:
            self.session.quiet()
            _take_back(node, n)
            self._on_known(known)

        def other() -> None:
            self.session.quiet()
            self._new_lesion(node, n)

        text = _("This place lies on {label}, which is outlined already. Is it another lesion?")
        buttons = Button(_("Another lesion"), other), Button(_("Same as {label}").format(label=known.label), same)
        self.session.say(text.format(label=known.label), "warning", *buttons)

    def _new_lesion(self, node, n: int) -> None:
        lesion = self.session.lesions.add(self.session.volume, node, n)
        if not node.IsA(BOX):
            node.SetNthControlPointLabel(n, lesion.label)
        self._on_new(lesion)


def _take_back(node, n: int) -> None:
    """Removes a point that was not wanted; a box stays, it may serve other purposes."""
    if not node.IsA(BOX):
        node.RemoveNthControlPoint(n)
