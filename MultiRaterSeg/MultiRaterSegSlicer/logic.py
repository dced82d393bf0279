"""What a person asks for, on nodes of the scene: no window, no Qt; for Slicer's Python console and for tests."""

from collections.abc import Sequence

import slicer

from MultiRaterSegLib.errors import GeometryError
from MultiRaterSegLib.lesion_result import LesionResult
from MultiRaterSegLib.prediction import Prediction
from MultiRaterSegLib.predictor import Lesion, Progress, VolumePredictor

from . import nodes

Style = str | tuple[str, str, float]
"""An expert's name, a sentence, or (first, second, t) for what lies between two of these."""
Answer = tuple["slicer.vtkMRMLSegmentationNode", "slicer.vtkMRMLScalarVolumeNode"]


class MultiRaterSegLogic:
    """Outlines one lesion in the styles asked for and adds the answer to the scene. Each call blocks until it is done.

        from MultiRaterSegSlicer.logic import MultiRaterSegLogic
        from MultiRaterSegSlicer.nodes import show_over_scan

        logic = MultiRaterSegLogic()
        scan, lesion = getNode("CTChest"), getNode("F")    # a volume; a point or a box on the lesion
        segmentation, uncertainty = logic.consensus(scan, lesion)
        show_over_scan(uncertainty)
        logic.segment(scan, lesion, logic.experts)         # every reader style side by side
        logic.prompt(scan, lesion, "include the ground-glass halo")
        logic.interpolate(scan, lesion, "conservative", "inclusive", 0.3)

    Every answer holds the consensus too, for comparison. Options of all calls: samples (simulated readers, default 20),
    seed (the same seed gives the same readers), progress (called with the share done, 0..1; returning False cancels,
    which raises Cancelled and leaves the scene as it was).

    Raises the library's errors, complete sentences, for a scan, place or style that cannot be used.
    """

    def __init__(self, predictor: VolumePredictor | None = None):
        """predictor: the model to ask; None loads the shipped one when it is first needed."""
        self._predictor = predictor

    @property
    def predictor(self) -> VolumePredictor:
        if self._predictor is None:
            self._predictor = VolumePredictor.from_checkpoint()
        return self._predictor

    @property
    def experts(self) -> list[str]:
        """Names of the reader styles that the model offers."""
        return self.predictor.experts

    def consensus(self, scan, place, **options) -> Answer:
        """The population of readers: what most of them include, and where they disagree."""
        return self.segment(scan, place, **options)

    def expert(self, scan, place, name: str, **options) -> Answer:
        """One reader style by its name."""
        self.predictor.method.expert_index(name)
        return self.segment(scan, place, [name], **options)

    def prompt(self, scan, place, sentence: str, **options) -> Answer:
        """The outline that a sentence asks for."""
        return self.segment(scan, place, [sentence], **options)

    def interpolate(self, scan, place, first: str, second: str, t: float, **options) -> Answer:
        """Between two styles, each an expert's name or a sentence; t = 0 is the first, t = 1 the second."""
        return self.segment(scan, place, [(first, second, t)], **options)

    def segment(
        self,
        scan: "slicer.vtkMRMLVolumeNode",
        place: "slicer.vtkMRMLMarkupsNode",
        styles: Sequence[Style] = (),
        samples: int = 20,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Answer:
        """Consensus and any number of styles in one go; the lesion is looked at once. place: a point list or a box."""
        steps = len(styles) + 2
        volume = nodes.volume_from_node(scan)
        lesion = self.predictor.lesion(volume, **_place(place), seed=seed, progress=_part(progress, 0, steps))
        consensus = lesion.consensus(samples, _part(progress, 1, steps))
        answers = {
            _name(style): _ask(lesion, style, samples, _part(progress, step, steps))
            for step, style in enumerate(styles, 2)
        }
        return nodes.add_result_to_scene(LesionResult.of(lesion, consensus, answers), scan)


def _place(node) -> dict:
    """The node as `at` or `box` of the predictor."""
    if node.IsA("vtkMRMLMarkupsROINode"):
        return {"box": nodes.roi_from_node(node)}
    points = nodes.points_from_node(node)
    if len(points) > 1:
        raise GeometryError(
            f"'{node.GetName()}' holds {len(points)} points. Give one lesion at a time: a list with a single point."
        )
    return {"at": points[0]}


def _name(style: Style) -> str:
    return style if isinstance(style, str) else "{} to {}, {:g}".format(*style)


def _ask(lesion: Lesion, style: Style, samples: int, progress: Progress | None) -> Prediction:
    if isinstance(style, str):
        return lesion.style(style, samples, progress)
    return lesion.between(*style, samples, progress)


def _part(progress: Progress | None, step: int, steps: int) -> Progress | None:
    """Progress of one step as progress of the whole."""
    return None if progress is None else lambda share: progress((step + share) / steps)
