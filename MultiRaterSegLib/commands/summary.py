"""What a person wants to know at the end: a short table, what to be wary of, and where the files are."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..report import Outline, Report

COLUMNS = ("outline", "volume mL", "5-95 %", "longest x across mm", "Dice to consensus")
NARROW = 100  # characters where there is no terminal to ask


def print_summary(reports: dict[Path, Report]) -> None:
    """On standard output. reports: by the folder of their files."""
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=NARROW)
    for folder, report in reports.items():
        point = ", ".join(f"{axis} {value:.1f}" for axis, value in zip("RAS", report.place_ras_mm))
        console.print(f"\n{report.label.capitalize()} at {point} mm\n")
        console.print(_table(report))
        for outline in report.outlines:
            if understood := outline.request.get("understood"):
                console.print(f"{outline.title} was understood as: {understood}.", soft_wrap=True)
        for warning in report.warnings:
            console.print(f"Note: {warning}", soft_wrap=True)
        console.print(f"\nFiles: {folder.absolute()}", soft_wrap=True)
    first = next(iter(reports.values()))
    console.print(f"{first.notice} Not probability of disease.")


def _table(report: Report) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for number, name in enumerate(COLUMNS):
        table.add_column(name, justify="left" if number == 0 else "right", no_wrap=number > 0)
    for outline in report.outlines:
        table.add_row(*(Text(cell) for cell in _cells(outline)))
    return table


def _cells(outline: Outline) -> tuple[str, ...]:
    volume, size, overlap = outline.volume_ml, outline.longest_diameter_mm, outline.dice_to_consensus
    return (
        outline.title,
        f"{volume.median:.2f}",
        f"{volume.p5:.2f}-{volume.p95:.2f}",
        "nothing outlined" if size is None else f"{size:.1f} x {outline.perpendicular_mm:.1f}",
        "" if overlap is None else f"{overlap:.2f}",
    )
