"""What "Reload and Test" checks inside Slicer: the bundled data, and a real result where the packages are installed."""

import slicer

from . import examples
from .install import installer


def run(test) -> None:
    """test: a unittest.TestCase, such as the module's ScriptedLoadableModuleTest. Clears the scene."""
    for check in (check_example, check_sample_data, check_consensus):
        slicer.mrmlScene.Clear(0)
        check(test)


def check_example(test) -> None:
    """The example brings a scan and outlines, without the worker."""
    example = examples.show_example()
    assert example.volume.GetImageData().GetDimensions() == (160, 160, 40)
    assert sum(node.GetSegmentation().GetNumberOfSegments() for node in example.segmentations) > 4


def check_sample_data(test) -> None:
    """The scan loads with a point on its lesion."""
    examples.register_sample_data()
    assert slicer.modules.sampleDataSources[examples.CATEGORY]
    examples.load_sample_data()
    point = slicer.util.getNode(examples.LESION)
    assert point.GetNumberOfControlPoints() == 1


def check_consensus(test) -> None:
    """Two simulated readers by the real worker. Skipped where its packages are not installed: a test installs nothing."""
    if lacking := installer.missing():
        test.skipTest(f"not installed: {', '.join(lacking)}")
    from .logic import MultiRaterSegLogic

    volume = examples.load_sample_data()
    logic = MultiRaterSegLogic()
    try:
        shown = logic.consensus(volume, slicer.util.getNode(examples.LESION), samples=2)
        assert shown.agreement_node.GetSegmentation().GetNumberOfSegments() > 0
    finally:
        logic.close()
