"""Recipes: one TOML file is one experiment. Loaded once, checked, and saved resolved beside the run."""

import dataclasses
import difflib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from MultiRaterSegLib.errors import RecipeError
from MultiRaterSegLib.frame import Frame
from MultiRaterSegLib.methods import METHODS

from .data.batches import Augmentation, Mixture

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class DataSettings:
    """root: folder or file(s) of the data set. folds: those trained on. validation_share: patients of these folds held
    back to choose the best checkpoint. limit: at most so many slices (for smoke tests). preferences: a file of preferred
    masks that Training/preferences.py made; only slices with a pair are then trained on."""

    name: str = "lidc_slices"
    root: str = "data"
    folds: tuple[int, ...] = (0, 1, 2)
    validation_share: float = 0.1
    limit: int | None = None
    preferences: str | None = None


@dataclass(frozen=True)
class BatchSettings:
    """size: images. window: pixels of the frame that each shows, placed at random around the lesion."""

    size: int = 16
    window: int = 80
    augmentation: Augmentation = Augmentation()
    mixture: Mixture = Mixture()


@dataclass(frozen=True)
class StageSettings:
    """steps: optimiser steps. learning_rate falls to `final_learning_rate` by `decay` after a linear warm-up.
    ema: decay of the weight average that is validated and kept. keep: the average with the best score, or the last one.
    gradient_clip: largest norm, 0 = off. validate_every and log_every: steps; 0 = only at the end. validation_slices: at
    most about so many are scored. frozen: modules of the method that stay as they are, such as a U-Net from --backbone-from."""

    steps: int = 1000
    optimizer: Literal["adam", "adamw"] = "adam"
    learning_rate: float = 1e-4
    final_learning_rate: float = 1e-4
    decay: Literal["cosine", "linear"] = "cosine"
    warmup_steps: int = 0
    weight_decay: float = 0.0
    gradient_clip: float = 0.0
    ema: float = 0.999
    keep: Literal["best", "last"] = "best"
    validate_every: int = 0
    validation_slices: int = 600
    frozen: tuple[str, ...] = ()
    log_every: int = 20


@dataclass(frozen=True)
class Recipe:
    """One experiment: the method with its Config, the frame, the data and how each stage is trained."""

    method: str
    name: str = ""
    seed: int = 0
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    data: DataSettings = DataSettings()
    frame: Frame = Frame()
    batches: BatchSettings = BatchSettings()
    model: Any = None
    stage: dict[str, StageSettings] = field(default_factory=dict)


def list_recipes() -> list[Path]:
    return sorted(RECIPES.glob("*.toml"))


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Reads a recipe (a path, or the name of a shipped one); `overrides` are "section.key=value" in TOML's syntax.

    Raises RecipeError for a missing file, bad TOML, an unknown key (with the nearest known one) or a wrong type.
    """
    file = Path(path)
    if not file.is_file():
        file = RECIPES / f"{Path(path).stem}.toml"
    if not file.is_file():
        known = ", ".join(p.stem for p in list_recipes())
        raise RecipeError(f"No recipe '{path}'. Give a .toml file, or one of: {known}.")
    try:
        tree = tomllib.loads(file.read_text())
        for override in overrides:
            _override(tree, override)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{file.name}: not valid TOML: {error}.") from error
    return recipe_from(tree, file.name, file.stem)


def recipe_from(tree: dict, where: str, name: str) -> Recipe:
    """A recipe from its parsed TOML (also from a checkpoint's own record)."""
    tree = {"name": name, **tree}
    if tree.get("method") not in METHODS:
        raise RecipeError(f"{where}: method = {tree.get('method')!r} is unknown. Methods: {', '.join(METHODS)}.")
    recipe = build(Recipe, tree, where)
    return dataclasses.replace(
        recipe, model=build(METHODS[recipe.method].Config, tree.get("model", {}), where, "model")
    )


def build(kind: type, values: dict, where: str, section: str = "") -> Any:
    """A dataclass from a dict, recursively; unknown keys and wrong types are RecipeErrors that name the place."""
    _refuse_unknown_keys(kind, values, where, section)
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in (*([section] if section else []), *first["loc"]))
        raise RecipeError(f"{where}: {key} = {first['input']!r}: {first['msg']}.") from error


def _refuse_unknown_keys(kind: type, values: dict, where: str, section: str) -> None:
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for key, value in values.items():
        if key not in fields:
            nearest = difflib.get_close_matches(key, fields, 1)
            hint = f"Did you mean {nearest[0]}?" if nearest else f"Known: {', '.join(fields)}."
            raise RecipeError(f"{where}: unknown key [{section}] {key}. {hint}")
        inner = f"{section}.{key}".strip(".")
        if dataclasses.is_dataclass(fields[key].type) and isinstance(value, dict):
            _refuse_unknown_keys(fields[key].type, value, where, inner)
        elif key == "stage" and isinstance(value, dict):
            for stage, settings in value.items():
                _refuse_unknown_keys(StageSettings, settings, where, f"stage.{stage}")


def _override(tree: dict, assignment: str) -> None:
    path, equals, text = assignment.partition("=")
    if not equals:
        raise RecipeError(f"--set {assignment}: expected key=value, for example --set stage.latent.steps=100.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text  # a bare word is a string
    *sections, key = path.strip().split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
    tree[key] = value
