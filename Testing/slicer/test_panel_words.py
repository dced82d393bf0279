"""Every text of the panel passes through `_`, so that it can be translated."""

import ast
import re
from pathlib import Path

import pytest

MODULE = Path(__file__).resolve().parents[2] / "MultiRaterSeg"
FILES = [MODULE / "MultiRaterSeg.py", *sorted((MODULE / "MultiRaterSegSlicer" / "panel").glob("*.py"))]
TWO_WORDS = re.compile(r"[A-Za-z]{2,},? [a-z]{2,}")
NAMES = {"not responding", "The MultiRaterSeg authors"}  # a state of the worker; who made it
ENGLISH_ONLY = {"SUGGESTIONS"}  # sentences for the parser, which reads English


def untranslated(tree: ast.AST) -> list[str]:
    """Text constants of two words or more that are no docstrings and no arguments of a translating call."""
    found = []

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return  # a docstring
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("_", "translate"):
            return
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ENGLISH_ONLY:
            return
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and TWO_WORDS.search(node.value) and node.value not in NAMES:
            found.append(f"line {node.lineno}: {node.value}")
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_texts_can_be_translated(path):
    assert untranslated(ast.parse(path.read_text(encoding="utf-8"))) == []


def test_a_bare_text_is_found():
    assert untranslated(ast.parse('"""Two words."""\nlabel.text = f"Place {n} here please"')) == [
        "line 2:  here please"
    ]
