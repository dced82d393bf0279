"""Tests that run inside 3D Slicer, by ctest (py_MultiRaterSegModuleTest). They install nothing and need no torch."""

import unittest

import slicer
from MultiRaterSegSlicer import self_test


class MultiRaterSegModuleTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)

    def test_the_module_is_found_with_its_title_and_category(self):
        module = slicer.modules.multiraterseg
        assert module.title == "MultiRaterSeg"
        assert "Segmentation" in module.categories

    def test_the_panel_opens(self):
        slicer.util.selectModule("MultiRaterSeg")
        assert slicer.modules.multiraterseg.widgetRepresentation() is not None

    def test_the_example_shows_without_installing_anything(self):
        self_test.check_example(self)

    def test_the_sample_scan_is_registered_and_loads(self):
        self_test.check_sample_data(self)

    def test_a_result_by_the_worker(self):
        self_test.check_consensus(self)
