"""What the panel shows, as plain values: the presenter makes them, the widget draws them, tests read them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

Point = tuple[float, float, float]


class Button(NamedTuple):
    """An answer that a message offers."""

    text: str
    press: Callable[[], None]


class Message(NamedTuple):
    """A sentence above the steps, with at most two answers; the last one is the suggested one."""

    kind: Literal["info", "warning", "error"]
    text: str
    buttons: tuple[Button, ...]
    details: str = ""


class Busy(NamedTuple):
    """What is being computed; percent is None where nobody can know."""

    text: str
    percent: int | None = None


class Choice(NamedTuple):
    """An entry of a list: what the program calls it, and what the person reads. grey: it can do less than the others."""

    key: str
    title: str
    tip: str = ""
    grey: bool = False


class StyleRow(NamedTuple):
    """One outline of the lesion. Texts are empty for what is not known. computed: it can be shown and hidden."""

    name: str
    title: str
    color: str
    shown: bool
    computed: bool
    volume: str = ""
    dice: str = ""
    hd95: str = ""
    tip: str = ""


class SpotRow(NamedTuple):
    """A place where styles disagree, RAS mm."""

    text: str
    ras: Point


@dataclass(frozen=True)
class SteerState:
    """The fourth step. styles: what the slider can run between. hint: stands in the empty field for sentences. problem:
    why a sentence cannot be followed, or what of it was not understood. preview: what the preview segment shows, and how
    long it took."""

    styles: tuple[Choice, ...] = ()
    can_slide: bool = False
    first: str = ""
    second: str = ""
    position: float = 0.5
    prompt: str = ""
    prompt_allowed: bool = True
    hint: str = ""
    suggestions: tuple[str, ...] = ()
    understood: str = ""
    problem: str = ""
    preview: str = ""
    can_keep: bool = False
    can_discard: bool = False


class Steps(NamedTuple):
    """Of a model that draws a sample in steps: how many are wanted, and how many there can be at most."""

    count: int
    most: int
    tip: str


class Preference(NamedTuple):
    """Of an aligned model: 0, as it drew before, to 1, as alignment left it."""

    value: float
    tip: str


@dataclass(frozen=True)
class PanelState:
    """Everything that the panel shows, but for the progress of what runs (Busy), which changes many times a second."""

    message: Message | None = None
    installed: bool = True
    placing: Literal["point", "box", ""] = ""
    has_volume: bool = False
    has_result: bool = False
    can_compute: bool = False
    busy: bool = False
    models: tuple[Choice, ...] = ()
    model: str = ""
    model_note: str = ""
    lesions: tuple[Choice, ...] = ()
    lesion: str = ""
    lesion_note: str = ""
    samples: int = 20
    compute_on_place: bool = True
    consensus: str = ""
    warnings: tuple[str, ...] = ()
    map_on: bool = False
    bands_shown: bool = True
    styles_note: str = ""
    styles_left: bool = True
    rows: tuple[StyleRow, ...] = ()
    order_note: str = ""
    spots: tuple[SpotRow, ...] = ()
    has_table: bool = False
    steer: SteerState = SteerState()
    contours: tuple[Choice, ...] = ()
    review: str = ""
    undo: str = ""
    steps: Steps | None = None
    preference: Preference | None = None
    blind: bool = False
    hidden: bool = False
    engine: str = ""
    history: tuple[str, ...] = ()
