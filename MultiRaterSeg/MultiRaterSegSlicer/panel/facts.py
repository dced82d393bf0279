"""What is known of the chosen lesion: read from the scene once after each change, shown many times."""

from dataclasses import dataclass

from MultiRaterSegLib.knobs import Knobs

from ..i18n import _
from ..scene.lesions import SceneLesion
from ..scene.tables import Row
from .state import Choice, SpotRow
from .words import day_words


@dataclass(frozen=True)
class Facts:
    """rows: each outline with its numbers, by name. contours: what can be edited, reviewed and exported (edited copies by
    their node's id). reviews: a line for each decision."""

    rows: dict[str, Row]
    warnings: tuple[str, ...] = ()
    order_note: str = ""
    spots: tuple[SpotRow, ...] = ()
    contours: tuple[Choice, ...] = ()
    reviews: str = ""

    def styles_left(self, model, knobs: Knobs) -> tuple[str, ...]:
        """The reader styles that a model has and did not draw with these knobs; another one may have drawn its own of
        that name."""
        drawn = {name for name, row in self.rows.items() if (row.model, row.knobs) == (model.name, knobs)}
        return tuple(expert.name for expert in model.experts if expert.name not in drawn)

    @classmethod
    def of(cls, lesion: SceneLesion | None) -> "Facts":
        if lesion is None:
            return cls({})
        rows = {row.name: row for row in lesion.rows}
        copies = [(node, node.GetName()) for node in lesion.edited_nodes]
        reviews = [(row.title, row.review) for row in rows.values()]
        reviews += [(title, lesion.review_of(node)) for node, title in copies]
        order = lesion.order_warnings
        return cls(
            rows,
            tuple(warning for warning in lesion.warnings if warning not in order),
            " ".join(order),
            tuple(SpotRow(spot.text, spot.ras) for spot in lesion.spots),
            (
                *(Choice(row.name, row.title) for row in rows.values()),
                *(Choice(node.GetID(), title) for node, title in copies),
            ),
            "\n".join(_review_words(title, review) for title, review in reviews if review is not None and review.state),
        )


def _review_words(title: str, review) -> str:
    state = _("Accepted") if review.state == "accepted" else _("Flagged")
    return " · ".join(part for part in (f"{state}: {title}", day_words(review.when), review.note) if part)
