"""The panel's settings, kept in the scene: typed, checked, saved with it.

Slicer's own parameterNodeWrapper does the same, but only inside the application; this runs wherever MRML does, on the
node that ScriptedLoadableModuleLogic.getParameterNode() makes.
"""

import json
from collections.abc import Callable
from typing import Any

import slicer

from MultiRaterSegLib.errors import UnsupportedRequest

MODULE = "MultiRaterSeg"
PROMPTS_KEPT = 20


class Setting:
    """One value of the node's text parameters, as JSON. accepts: what is allowed, and the words for it."""

    def __init__(self, default: Any, accepts: Callable[[Any], bool], words: str):
        self.default, self.accepts, self.words = default, accepts, words

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, owner: "Parameters | None", kind: type | None = None) -> Any:
        """What is stored; the default when nothing is, or when somebody wrote something else there."""
        if owner is None:
            return self
        try:
            value = _tuples(json.loads(owner.node.GetParameter(self.name)))
        except json.JSONDecodeError:
            return self.default
        return value if self.accepts(value) else self.default

    def __set__(self, owner: "Parameters", value: Any) -> None:
        value = _tuples(value)
        if not self.accepts(value):
            raise UnsupportedRequest(f"The setting '{self.name}' is {self.words}; got {value!r}.")
        owner.node.SetParameter(self.name, json.dumps(value))


class NodeSetting:
    """A reference to a node of the scene, or None. kinds: the classes it may be of."""

    def __init__(self, *kinds: str):
        self.kinds = kinds

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, owner: "Parameters | None", kind: type | None = None):
        return self if owner is None else owner.node.GetNodeReference(self.name)

    def __set__(self, owner: "Parameters", value) -> None:
        if value is not None and not any(value.IsA(kind) for kind in self.kinds):
            raise UnsupportedRequest(
                f"The setting '{self.name}' is a {' or '.join(self.kinds)}; got {value.GetName()}."
            )
        owner.node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)


def _flag(default: bool) -> Setting:
    return Setting(default, lambda value: isinstance(value, bool), "True or False")


def _text(default: str = "") -> Setting:
    return Setting(default, lambda value: isinstance(value, str), "a text")


def _texts() -> Setting:
    def accepts(value) -> bool:
        return isinstance(value, tuple) and all(isinstance(item, str) for item in value)

    return Setting((), accepts, "a list of texts")


def _whole(default: int, low: int, high: int | None = None) -> Setting:
    def accepts(value) -> bool:
        return type(value) is int and low <= value and (high is None or value <= high)

    return Setting(default, accepts, f"a whole number from {low}" + (f" to {high}" if high is not None else " up"))


def _numbers() -> Setting:
    def accepts(value) -> bool:
        return isinstance(value, dict) and all(type(number) is int and number >= 1 for number in value.values())

    return Setting({}, accepts, "a whole number from 1 up for each name")


def _share(default: float) -> Setting:
    return Setting(default, _is_share, "a number from 0 to 1")


def _shares() -> Setting:
    def accepts(value) -> bool:
        return isinstance(value, dict) and all(_is_share(number) for number in value.values())

    return Setting({}, accepts, "a number from 0 to 1 for each name")


def _is_share(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


class Parameters:
    """The settings of one scene. Wrong values raise UnsupportedRequest and change nothing.

    parameters = Parameters()
    parameters.samples = 30
    """

    volume = NodeSetting("vtkMRMLScalarVolumeNode", "vtkMRMLVectorVolumeNode")
    place = NodeSetting("vtkMRMLMarkupsFiducialNode", "vtkMRMLMarkupsROINode")
    lesion = _text()  # "L1"
    model = _text()  # "": the one that the worker calls its default
    samples = _whole(20, 10, 100)
    seed = _whole(0, 0)
    steps = _numbers()  # the knobs that were turned, by model; one that is not named keeps its own value
    preference = _shares()
    styles = _texts()  # experts that are ticked
    slider_first = _text()
    slider_second = _text()
    slider_position = _share(0.5)
    prompt = _text()
    prompt_history = _texts()  # newest first
    map_on = _flag(False)
    map_opacity = _share(0.6)
    blind_review = _flag(False)
    compute_on_click = _flag(True)

    def __init__(self, scene: "slicer.vtkMRMLScene | None" = None):
        """scene: None for the application's. Uses the scene's settings where it has some, else makes default ones."""
        scene = scene if scene is not None else slicer.mrmlScene
        self.node = scene.GetSingletonNode(MODULE, "vtkMRMLScriptedModuleNode") or scene.AddNode(_new_node())

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "node" and name not in SETTINGS:
            raise AttributeError(f"There is no setting '{name}'. Settings: {', '.join(SETTINGS)}.")
        super().__setattr__(name, value)

    def remember_prompt(self, sentence: str) -> None:
        """Puts a sentence at the head of the history, once; the oldest one goes when there are too many."""
        earlier = (known for known in self.prompt_history if known != sentence)
        self.prompt_history = (sentence, *earlier)[:PROMPTS_KEPT]


SETTINGS = {name: value for name, value in vars(Parameters).items() if isinstance(value, Setting | NodeSetting)}


def _new_node() -> "slicer.vtkMRMLScriptedModuleNode":
    node = slicer.vtkMRMLScriptedModuleNode()
    node.SetSingletonTag(MODULE)
    node.SetModuleName(MODULE)
    node.SetName(MODULE)
    node.SetHideFromEditors(True)
    return node


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value
