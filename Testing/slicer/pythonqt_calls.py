"""Every use that the module's code makes of qt, ctk and Slicer's widgets, and whether PythonQt offers it.

Types are followed from the .ui file's widget names, from constructors (`qt.QTimer()`), annotations (`table: "qt.QTableWidget"`)
and what Qt's methods return. `python Testing/slicer/pythonqt_calls.py` prints the list.
"""

import ast
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

import pythonqt_members as members

MODULE = Path(__file__).resolve().parents[2] / "MultiRaterSeg"
UI = "<ui>"  # the type of slicer.util.childWidgetVariables(...)
NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Use:
    """One use: `QPushButton.text` as a 'property', at file:line. wrong: why PythonQt would refuse it, or ''."""

    what: str
    kind: str
    where: str
    wrong: str = ""


@dataclass
class Types:
    """What is known of names here: locals of a function over attributes of its class."""

    ui: dict[str, str]
    names: dict[str, frozenset[str]] = field(default_factory=dict)
    attributes: dict[str, frozenset[str]] = field(default_factory=dict)


def uses_in(module: Path = MODULE) -> list[Use]:
    """Of all Python files of a module (MultiRaterSegLib and tests are not in it) and its .ui files."""
    ui_files = sorted(module.glob("Resources/UI/*.ui"))
    widgets = {name: kind for path in ui_files for name, kind in widgets_of(path).items()}
    found = [use for path in ui_files for use in uses_in_ui(path)]
    for path in sorted([*module.glob("*.py"), *module.glob("MultiRaterSegSlicer/**/*.py")]):
        found += uses_in_code(path.read_text(), path.name, widgets)
    return found


def uses_in_code(source: str, name: str, widgets: dict[str, str]) -> list[Use]:
    reader = _Reader(name, widgets)
    reader.visit(ast.parse(source))
    return reader.uses


def widgets_of(path: Path) -> dict[str, str]:
    """Object name -> class, for widgets, layouts and actions of a .ui file."""
    root = ElementTree.parse(path).getroot()
    named = [e for tag in ("widget", "layout", "action") for e in root.iter(tag) if e.get("name")]
    return {e.get("name"): e.get("class", "QAction") for e in named}


def uses_in_ui(path: Path) -> list[Use]:
    found = []
    for element in ElementTree.parse(path).getroot().iter("widget"):
        kind, name = element.get("class"), element.get("name")
        if not members.is_known(kind):
            found.append(
                Use(kind, "class", path.name, f"{name}: the class {kind} is not in the list of known widgets.")
            )
            continue
        for prop in element.findall("property"):
            dynamic = prop.get("stdset") == "0" or prop.get("name") == "buddy"  # Qt Designer's own
            known = members.member(kind, prop.get("name")) in ("property", "readonly")
            wrong = "" if known or dynamic else f"{name}: {kind} has no property {prop.get('name')}."
            found.append(Use(f"{kind}.{prop.get('name')}", "property", path.name, wrong))
    return found


class _Reader(ast.NodeVisitor):
    def __init__(self, file: str, widgets: dict[str, str]):
        self.file, self.uses, self.types = file, [], Types(widgets)
        self._called: set[int] = set()
        self._stored: set[int] = set()

    # ---- scopes

    def visit_ClassDef(self, node):
        outer, self.types = self.types, Types(self.types.ui, dict(self.types.names))
        for method in sorted(
            (n for n in node.body if isinstance(n, ast.FunctionDef)), key=lambda n: n.name != "__init__"
        ):
            self._learn(method)  # attributes that one method sets are known in the others
        self.generic_visit(node)
        self.types = outer

    def visit_FunctionDef(self, node):
        outer = self.types.names
        self.types.names = dict(outer)
        self._learn(node)
        self.generic_visit(node)
        self.types.names = outer

    def _learn(self, function) -> None:
        for argument in [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]:
            annotated = self._annotated(argument.annotation)
            self.types.names[argument.arg] = frozenset([UI]) if argument.arg == "ui" else annotated
        for node in ast.walk(function):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    self._assign(target, node.value)
            elif isinstance(node, ast.AnnAssign):
                self._bind(node.target, self._annotated(node.annotation))
            elif isinstance(node, (ast.For, ast.comprehension)) and isinstance(node.iter, (ast.Tuple, ast.List)):
                self._bind(node.target, frozenset().union(*(self.type_of(e) for e in node.iter.elts)))

    def _assign(self, target, value) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            for one, its in zip(target.elts, value.elts, strict=True):
                self._bind(one, self.type_of(its))
        else:
            self._bind(target, self.type_of(value))

    def _bind(self, target, types) -> None:
        if isinstance(target, ast.Name):
            self.types.names[target.id] = types
        elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
            self.types.attributes[target.attr] = self.types.attributes.get(target.attr, NOTHING) | types

    def _annotated(self, annotation) -> frozenset[str]:
        if annotation is None:
            return NOTHING
        text = annotation.value if isinstance(annotation, ast.Constant) else ast.unparse(annotation)
        names = [part.strip().rpartition(".")[2] for part in str(text).split("|")]
        return frozenset(n for n in names if n.startswith(("Q", "q", "ctk")) and members.is_known(n))

    # ---- types

    def type_of(self, node) -> frozenset[str]:
        if isinstance(node, ast.Name):
            return self.types.names.get(node.id, NOTHING)
        if isinstance(node, ast.Call):
            return self._type_of_call(node.func)
        if isinstance(node, ast.IfExp):
            return self.type_of(node.body) | self.type_of(node.orelse)
        if not isinstance(node, ast.Attribute):
            return NOTHING
        text = ast.unparse(node)
        if text == "slicer.app":
            return frozenset(["qSlicerApplication"])
        if node.attr == "ui":
            return frozenset([UI])
        if node.attr == "editor" and text.endswith(".self().editor"):
            return frozenset(["qMRMLSegmentEditorWidget"])
        if UI in self.type_of(node.value):
            return frozenset([self.types.ui[node.attr]]) if node.attr in self.types.ui else NOTHING
        if isinstance(node.value, ast.Name) and node.value.id == "self":
            return self.types.attributes.get(node.attr, NOTHING)
        return NOTHING

    def _type_of_call(self, function) -> frozenset[str]:
        if not isinstance(function, ast.Attribute):
            return NOTHING
        if (kind := _class_named(function)) and members.is_known(kind):
            return frozenset([kind])
        owners = self.type_of(function.value)
        return frozenset().union(*(members.returned(owner, function.attr) for owner in owners - {UI}))

    # ---- uses

    def visit_Call(self, node):
        if isinstance(node.func, ast.Attribute):
            self._called.add(id(node.func))
            if node.func.attr in ("connect", "disconnect") and node.args:
                self._check_signal(node)
        self.generic_visit(node)

    def visit_Attribute(self, node):
        if kind := _class_named(node):
            wrong = "" if members.is_known(kind) else f"{kind} is not a class that the list of known widgets has."
            self._note(node, kind, "class", wrong)
        elif (kind := _class_named(node.value)) and members.is_known(kind):
            self._check_on_class(node, kind)
        else:
            for owner in self.type_of(node.value):
                self._check_on_instance(node, owner)
        self.generic_visit(node)

    def _check_on_class(self, node, kind: str) -> None:
        what = members.member(kind, node.attr)
        wrong = {
            None: f"{kind} has no {node.attr}.",
            "enum": f"PythonQt has no scoped enums: write {kind}.<value> without {node.attr}.",
        }.get(what, "")
        self._note(node, f"{kind}.{node.attr}", what or "?", wrong)

    def _check_on_instance(self, node, owner: str) -> None:
        if owner == UI:
            wrong = "" if node.attr in self.types.ui else f"The .ui file has no widget named {node.attr}."
            self._note(node, f"ui.{node.attr}", "widget", wrong)
            return
        what, called = members.member(owner, node.attr), id(node) in self._called
        stored = isinstance(node.ctx, ast.Store)
        wrong = ""
        if what is None:
            wrong = f"{owner} has no {node.attr} that Python can reach."
        elif what in ("constant", "enum") and members.qt_class(owner):
            wrong = f"{node.attr} is an enum value: write it on the class, {owner}.{node.attr}."
        elif called and what in ("property", "readonly"):
            wrong = f"{owner}.{node.attr} is a property: write it without ()."
        elif stored and what != "property":
            wrong = f"{owner}.{node.attr} is a {what} and cannot be set."
        elif not called and not stored and what == "method" and not self._is_handed_on(node):
            wrong = f"{owner}.{node.attr} is a method: write {node.attr}()."
        self._note(node, f"{owner}.{node.attr}", what or "?", wrong)

    def _is_handed_on(self, node) -> bool:
        return id(node) in self._stored

    def generic_visit(self, node):
        for child in ast.iter_child_nodes(node):  # a method as an argument or a value is a slot, not a forgotten call
            if isinstance(node, (ast.Call, ast.keyword, ast.Assign, ast.Dict, ast.Tuple, ast.Lambda)):
                self._stored.add(id(child))
        super().generic_visit(node)

    def _check_signal(self, node) -> None:
        for owner in self.type_of(node.func.value) - {UI}:
            signal = node.args[0]
            if not (isinstance(signal, ast.Constant) and isinstance(signal.value, str)):
                self._note(node, f"{owner}.?", "signal", f"Write the signal of {owner} as a literal string.")
                continue
            wrong = "" if members.has_signal(owner, signal.value) else f"{owner} has no signal {signal.value}."
            self._note(node, f"{owner}.{signal.value}", "signal", wrong)

    def _note(self, node, what: str, kind: str, wrong: str) -> None:
        where = f"{self.file}:{node.lineno}"
        self.uses.append(Use(what, kind, where, f"{where}: {wrong}" if wrong else ""))


def _class_named(node) -> str:
    """'QLabel' for qt.QLabel, ctk.ctkX or slicer.qMRMLX; '' for anything else."""
    if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)):
        return ""
    if node.value.id in ("qt", "ctk") or (node.value.id == "slicer" and node.attr.startswith(("qMRML", "qSlicer"))):
        return node.attr
    return ""


def main() -> None:
    lines: dict[tuple[str, str], list[str]] = {}
    for use in uses_in():
        lines.setdefault((use.what, use.kind), []).append(use.where)
    for (what, kind), places in sorted(lines.items()):
        sys.stdout.write(f"{what:60s} {kind:9s} {', '.join(places[:3])}{' ...' if len(places) > 3 else ''}\n")


if __name__ == "__main__":
    main()
