"""The fifth step on the panel's own widgets: edit, decide, export; and the blind review."""

import pytest
import slicer
from MultiRaterSegSlicer.export import lesion as export
from panel_hands import Hands


@pytest.fixture
def hands(bridge, monkeypatch):
    return Hands(bridge, monkeypatch).ready()


def test_edit_a_copy_opens_segment_editor_on_it_alone(hands):
    hands.outline()
    hands.click("editButton")
    editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
    copy = editor.segmentationNode()
    assert copy.GetName() == "L1 Edited Consensus"
    assert copy.GetSegmentation().GetNumberOfSegments() == 1
    assert editor.sourceVolumeNode() is hands.case.scan


def test_a_decision_is_written_down_with_its_note(hands):
    hands.outline()
    hands.bridge.type_text(hands.ui.noteLineEdit, "spiky")
    hands.click("flagButton")
    assert hands.ui.reviewLabel.text.startswith("Flagged: Consensus · ")
    assert hands.ui.reviewLabel.text.endswith(" · spiky")
    assert hands.ui.noteLineEdit.text == ""


def test_export_asks_where_and_says_it(hands, tmp_path):
    hands.outline()
    hands.bridge.will_choose_file(tmp_path / "out.seg.nrrd")
    hands.click("exportButton")
    assert hands.ui.messageLabel.text == f"Exported: {tmp_path / 'out.seg.nrrd'}"
    hands.bridge.choose(hands.ui.exportComboBox, "DICOM RTSTRUCT")
    hands.click("exportButton")
    assert "SlicerRT" in hands.ui.messageLabel.text


def test_a_report_and_a_missing_dicom_exporter(hands, monkeypatch, tmp_path):
    hands.outline()
    hands.bridge.choose(hands.ui.exportComboBox, "Report (JSON or CSV)")
    hands.bridge.will_choose_file(tmp_path / "report.csv")
    hands.click("exportButton")
    assert (tmp_path / "report.csv").read_text(encoding="utf-8-sig").startswith("outline,")
    monkeypatch.setattr(export, "dicom_exporter", lambda: "")
    hands.bridge.choose(hands.ui.exportComboBox, "DICOM SEG")
    hands.click("exportButton")
    assert "DICOM SEG needs" in hands.ui.messageLabel.text


def test_blind_review_shows_no_result(hands):
    hands.ui.advancedButton.collapsed = False
    hands.settle()
    hands.click("blindCheckBox")
    hands.outline()
    assert hands.cell(0, 1) == ""
    hands.click("messageFirstButton")
    assert hands.cell(0, 1)
