"""What the papers print, set beside a comparison as context; printed.toml holds it with its sources."""

import tomllib
from pathlib import Path

from .markdown_table import table

PRINTED = Path(__file__).parent / "printed.toml"


def printed_sections(data: str) -> list[str]:
    """What the papers print for this data set, each table with its source."""
    tree = tomllib.loads(PRINTED.read_text())
    lines = []
    for printed in tree["sets"]:
        if printed["data"] == data:
            rows = [
                ["", *printed["columns"]],
                *([str(value) if value != "" else "–" for value in row] for row in printed["rows"]),
            ]
            note = "Context only, not comparable: other crops and folds, matched Dice. " + printed.get("note", "")
            lines += table(f"Printed: {tree['sources'][printed['source']]}", rows, note.strip())
    return lines
