"""How the panel says numbers and progress."""

from datetime import datetime

from ..i18n import _

NOT_A_DEVICE = _("Research use only. Not a medical device.")
SUGGESTIONS = (
    "include the ground-glass halo",
    "tight outline, solid core only",
    "generous outline",
    "include spiculations",
    "smooth outline, without spiculations",
)

BANDS = {"nearly_all": _("Nearly all ≥90 %"), "most": _("Most 50-90 %"), "some": _("Some 10-50 %")}


def summary_words(summary: str) -> str:
    """How a sentence was understood, for people: 'extent tight, halo left out'."""
    return summary.replace(" +", " " + _("included")).replace(" -", " " + _("left out"))


def volume_words(volume, words: str = "{median} ({low}-{high})") -> str:
    """A VolumeRange in mL with three digits that count: '1.23 (0.98-1.51)', '12.3 (9.8-15.1)'."""
    digits = 2 if volume.median < 10 else 1 if volume.median < 100 else 0
    return words.format(**{name: f"{value:.{digits}f}" for name, value in volume._asdict().items()})


def styles_words(experts) -> str:
    """Where a model's reader styles come from, so that nobody takes them for more. experts: those that it offers."""
    if not experts:
        return _("This model knows no reader styles; its consensus is all there is to see.")
    if experts[0].ranked_by == "rater":
        return _("Learned from the outlines of the readers so named in the training data; they drew none of these.")
    return _("Learned from anonymous readers ranked by size of their outlines; not individual doctors.")


def number_words(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def progress_words(title: str, progress) -> str:
    """A worker's Progress as a line: 'Consensus of L1: 12 of 840 slices of all samples, 4 s left'."""
    text = _("{title}: {done} of {total} slices of all samples").format(
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
