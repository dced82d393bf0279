"""How the panel says numbers and progress."""

from datetime import datetime

from ..i18n import _

NOT_A_DEVICE = "Research use only. Not a medical device."
SUGGESTIONS = (
    "include the ground-glass halo",
    "tight margins, solid core only",
    "generous margins",
    "include spiculations",
    "smooth outline without spiculations",
)


def volume_words(volume) -> str:
    """A VolumeRange in mL: '1.23 (0.98-1.51)'."""
    return f"{volume.median:.2f} ({range_words(volume)})"


def range_words(volume) -> str:
    return f"{volume.low:.2f}-{volume.high:.2f}"


def number_words(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def progress_words(title: str, progress) -> str:
    """A worker's Progress as a line: 'Consensus of L1: 12 of 840 slices, 4 s left'."""
    text = _("{title}: {done} of {total} slices").format(
        title=title, done=progress.slices_done, total=progress.slices_total
    )
    if progress.seconds_left is None:
        return text
    return text + ", " + time_left_words(progress.seconds_left)


def time_left_words(seconds: float) -> str:
    if seconds < 90:
        return _("{count} s left").format(count=max(1, round(seconds)))
    return _("{count} min left").format(count=round(seconds / 60))


def day_words(when: str) -> str:
    """An ISO time as the day and minute where the person is."""
    return datetime.fromisoformat(when).astimezone().strftime("%Y-%m-%d %H:%M") if when else ""
