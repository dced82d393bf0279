"""Cells and rows of the Markdown tables."""

from collections.abc import Sequence

from .bootstrap import Estimate


def cell(estimate: Estimate | None, percent: bool = False, signed: bool = False, interval: bool = True) -> str:
    """ "12.3 (11.9 to 12.8)"; percent: of a fraction, two decimals instead of four. A dash for what is not defined."""
    if estimate is None or estimate.value != estimate.value:
        return "–"
    form = ("+" if signed else "") + (".2f" if percent else ".4f")
    value, low, high = (format(x * (100 if percent else 1), form) for x in estimate)
    return f"{value} ({low} to {high})" if interval else value


def table(title: str, rows: Sequence[Sequence[str]], note: str = "") -> list[str]:
    """Lines of a section; the first row is the heading. No lines where there is no second row."""
    if len(rows) < 2:
        return []
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [f"## {title}", "", *([note, ""] if note else []), lines[0], "|" + "---|" * len(rows[0]), *lines[1:], ""]
