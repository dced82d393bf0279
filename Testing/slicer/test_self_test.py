"""The tests that run inside Slicer are themselves run here, on the stand-in for its surroundings."""

import importlib.util
import sys
import unittest
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import quick_worker
import slicer
from MultiRaterSegSlicer import examples, self_test
from MultiRaterSegSlicer.install import installer
from MultiRaterSegSlicer.worker import client as worker_client

PROJECT = Path(__file__).resolve().parents[2]
IN_SLICER = PROJECT / "MultiRaterSeg" / "Testing" / "Python" / "MultiRaterSegModuleTest.py"


@pytest.fixture
def sample_data(host, monkeypatch):
    """Slicer's SampleData module as far as a registration goes."""
    sources = {}
    monkeypatch.setattr(slicer.modules, "sampleDataSources", sources, raising=False)
    module = ModuleType("SampleData")
    module.SampleDataLogic = SimpleNamespace(
        registerCustomSampleDataSource=lambda category, **source: sources.setdefault(category, []).append(source)
    )
    monkeypatch.setitem(sys.modules, "SampleData", module)
    return sources


@pytest.fixture
def tests_in_slicer():
    """The TestCase that ctest runs inside Slicer."""
    specification = importlib.util.spec_from_file_location(IN_SLICER.stem, IN_SLICER)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.MultiRaterSegModuleTest


def outcome(case: type[unittest.TestCase], name: str) -> unittest.TestResult:
    result = unittest.TestResult()
    case(name).run(result)
    return result


@pytest.mark.parametrize(
    "name",
    ["test_the_example_shows_without_installing_anything", "test_the_sample_scan_is_registered_and_loads"],
)
def test_the_bundled_data_pass_inside_slicer(sample_data, tests_in_slicer, name):
    result = outcome(tests_in_slicer, name)
    assert result.wasSuccessful(), result.failures + result.errors
    assert result.testsRun == 1
    assert not result.skipped


def test_a_broken_example_fails_inside_slicer(sample_data, tests_in_slicer, monkeypatch):
    monkeypatch.setattr(examples, "SCENE", "no such scene.mrb")
    result = outcome(tests_in_slicer, "test_the_example_shows_without_installing_anything")
    assert len(result.errors) == 1


def test_a_result_is_not_asked_for_where_the_packages_are_missing(sample_data, tests_in_slicer, monkeypatch):
    monkeypatch.setattr(installer, "missing", lambda: ("torch",))
    result = outcome(tests_in_slicer, "test_a_result_by_the_worker")
    assert [reason for _, reason in result.skipped] == ["not installed: torch"]


@pytest.mark.slow
def test_a_result_by_the_real_worker_passes_inside_slicer(sample_data, tests_in_slicer):
    result = outcome(tests_in_slicer, "test_a_result_by_the_worker")
    assert result.wasSuccessful(), result.failures + result.errors
    assert not result.skipped


def test_every_test_passes_inside_slicer_on_the_module_itself(bridge, tests_in_slicer, monkeypatch):
    """With a worker that needs no torch."""
    monkeypatch.setattr(worker_client, "worker_command", quick_worker.command)
    module = bridge.load("MultiRaterSeg")
    cases = unittest.TestLoader().loadTestsFromTestCase(tests_in_slicer), module.module.MultiRaterSegTest("runTest")
    result = unittest.TestResult()
    bridge.do(lambda: unittest.TestSuite(cases).run(result))
    assert not result.errors + result.failures
    assert result.testsRun == 6
    assert not result.skipped


def test_reload_and_test_runs_every_check(monkeypatch, host):
    called = []
    for name in ("check_example", "check_sample_data", "check_consensus"):
        monkeypatch.setattr(self_test, name, lambda test, name=name: called.append((name, test)))
    self_test.run("the test case")
    assert called == [(name, "the test case") for name in ("check_example", "check_sample_data", "check_consensus")]
