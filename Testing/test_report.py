"""The report's numbers, worked out a second way, and its two files."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from results import PART, SCAN, ball, prediction, result

from MultiRaterSegLib.lesion_result import Look
from MultiRaterSegLib.report import EditedOutline, Report, Review, report_of, write_csv, write_json
from MultiRaterSegLib.segments import colors_of, expert_colors, segments_of


def test_volumes_are_those_of_the_samples():
    outline = report_of(result()).outlines[0]
    volumes = [ball(radius).sum() * 0.8 * 0.8 * 2.0 / 1000 for radius in (5, 6, 7, 8, 9)]
    assert outline.volume_ml.median == pytest.approx(np.median(volumes), abs=1e-4)
    assert outline.volume_ml.p5 == pytest.approx(np.percentile(volumes, 5), abs=1e-4)
    assert outline.volume_ml.p95 == pytest.approx(np.percentile(volumes, 95), abs=1e-4)
    assert outline.outline_ml == pytest.approx(volumes[2], abs=1e-4)


def test_each_style_is_compared_with_the_consensus_and_with_each_other_style():
    report = report_of(result())
    a, b = ball(5), ball(7)
    conservative = report.outlines[1]
    assert conservative.dice_to_consensus == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()), abs=1e-4)
    assert conservative.hd95_to_consensus_mm == pytest.approx(2, abs=0.9)
    assert {(pair.first, pair.second) for pair in report.pairs} == {
        ("expert_conservative", "expert_inclusive"),
        ("expert_conservative", "prompt_3"),
        ("expert_inclusive", "prompt_3"),
    }


def test_outlines_that_one_model_drew_otherwise_are_told_apart():
    made = result()
    drawn = {"sampling_steps": 5, "preference": 1.0}
    alike = {name: style.provenance | drawn for name, style in made.outlines.items()}

    def warnings(**otherwise):
        styles = {name: replace(style, provenance=alike[name]) for name, style in made.styles.items()}
        styles["inclusive"] = replace(styles["inclusive"], provenance=alike["inclusive"] | otherwise)
        consensus = replace(made.consensus, provenance=alike["consensus"])
        found = report_of(replace(made, consensus=consensus, styles=styles)).warnings
        return [warning for warning in found if "were drawn" in warning]

    assert warnings() == []
    [preference] = warnings(preference=0.5)
    assert preference.startswith("These outlines were drawn with different preferences (1.0: Consensus, ")
    assert preference.endswith("; 0.5: Inclusive (largest)).")
    [steps, both] = warnings(preference=0.5, sampling_steps=10)
    assert both == preference
    assert "in different numbers of steps" in steps


def test_outlines_of_several_models_are_told_apart(tmp_path):
    made = result()
    assert not [warning for warning in report_of(made).warnings if "different models" in warning]
    other = made.styles["inclusive"]
    other = replace(other, provenance=other.provenance | {"model": "another"})
    report = report_of(replace(made, styles=made.styles | {"inclusive": other}))
    assert [outline.model for outline in report.outlines] == ["tiny", "tiny", "another", "tiny"]
    [sentence] = [warning for warning in report.warnings if "different models" in warning]
    assert sentence.endswith("another: Inclusive (largest)).")
    write_csv(report, tmp_path / "report.csv")
    with (tmp_path / "report.csv").open(encoding="utf-8-sig") as file:
        assert [row["model"] for row in csv.DictReader(file)] == ["tiny", "tiny", "another", "tiny"]


def test_experts_keep_a_colour_however_many_there_are():
    colors = expert_colors(f"reader {n}" for n in range(12))
    assert list(colors.values())[:2] == ["#56B4E9", "#009E73"]
    assert len(colors) == 12
    assert len(set(list(colors.values())[:9])) == 9


def test_slices_are_disputed_where_styles_differ_most():
    report = report_of(result())
    assert report.disputed_between == "styles"
    k, area = max(enumerate((ball(9) & ~ball(5)).sum((1, 2)) * 0.64), key=lambda item: item[1])
    assert report.disputed_slices[0].area_mm2 == pytest.approx(area, abs=0.01)
    assert report.disputed_slices[0].slice == k + 2 + 1  # the part begins at the scan's third slice
    assert report.disputed_slices[0].s_mm == pytest.approx(-100 + 2.0 * (k + 2))


def test_without_styles_the_samples_are_compared():
    report = report_of(replace(result(), styles={}, ranked=()))
    assert report.disputed_between == "samples"
    assert report.in_usual_order is None
    assert report.pairs == []
    disputed = (ball(9) & ~ball(5)).sum() * 0.8 * 0.8 * 2 / 1000  # 1 or 2 of 5 differ: 20 % or 40 %
    assert report.disputed_ml == pytest.approx(disputed, abs=1e-4)


def test_styles_in_the_wrong_order_are_said_so_in_a_sentence():
    swapped = report_of(result(conservative=(9, 9, 9), inclusive=(5, 5, 5)))
    assert swapped.in_usual_order is False
    [sentence] = [warning for warning in swapped.warnings if "order" in warning]
    assert "Conservative (smallest)" in sentence
    assert "is larger than Inclusive (largest)" in sentence
    assert report_of(result()).in_usual_order is True


def test_nothing_outlined_is_null_not_zero_and_not_an_error():
    outline = report_of(result(conservative=(0, 0, 5))).outlines[1]
    assert (outline.empty_samples, outline.outline_ml) == (2, 0)
    assert outline.longest_diameter_mm is outline.hd95_to_consensus_mm is None
    assert outline.dice_to_consensus == 0


def test_warnings_come_once_and_name_the_styles_they_are_about():
    made = result()
    everywhere, some = "The scan is odd.", "The outline is cut off."
    styles = {name: replace(style, warnings=(everywhere, some)) for name, style in made.styles.items()}
    made = replace(made, styles=styles, consensus=replace(made.consensus, warnings=(everywhere,)))
    warnings = report_of(made, notes=["No DICOM."]).warnings
    titles = 'Conservative (smallest), Inclusive (largest), "tight outline"'
    assert warnings == [everywhere, f"{titles}: {some}", "No DICOM."]


def test_the_json_file_is_the_report(tmp_path):
    report = report_of(result())
    write_json(report, tmp_path / "report.json")
    text = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert Report.model_validate_json(text) == report
    content = json.loads(text)
    assert content["notice"] == "Research use only. Not a medical device."
    assert content["outlines"][3]["request"] == {
        "style": "prompt", "prompt": "tight outline", "understood": "extent tight", "notes": []
    }  # fmt: skip
    assert content["provenance"]["model_sha256"] == "ab" * 32
    assert content["provenance"]["seed"] == 7


def test_a_file_is_named_by_its_checksum_and_a_series_by_its_uid(tmp_path):
    import hashlib

    file = tmp_path / "chest.nrrd"
    file.write_bytes(b"scan")
    made = result()
    scan = report_of(replace(made, volume=replace(made.volume, context={"files": (str(file),), "format": "nrrd"}))).scan
    assert (scan.file_sha256, scan.series_uid) == (hashlib.sha256(b"scan").hexdigest(), None)
    context = {"files": (str(file), str(file)), "format": "dicom", "series_uid": "1.2.3"}
    scan = report_of(replace(made, volume=replace(made.volume, context=context))).scan
    assert (scan.file_sha256, scan.series_uid) == (None, "1.2.3")


def test_the_table_opens_in_excel_with_a_row_an_outline(tmp_path):
    report = report_of(result(prompt="größer, bitte"))
    write_csv(report, tmp_path / "report.csv")
    content = (tmp_path / "report.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")  # without it Excel reads umlauts wrongly
    rows = list(csv.DictReader(content.decode("utf-8-sig").splitlines()))
    assert [row["outline"] for row in rows] == [outline.title for outline in report.outlines]
    assert float(rows[2]["volume_median_ml"]) == report.outlines[2].volume_ml.median
    assert rows[3]["understood_as"] == "extent tight"
    assert rows[0]["dice_to_consensus"] == ""


def test_segments_are_majorities_and_bands_with_their_own_ids_and_colours():
    made = result()
    segments = {segment.id: segment for segment in segments_of(made)}
    assert list(segments) == [
        "consensus", "expert_conservative", "expert_inclusive", "prompt_3",
        "readers_nearly_all", "readers_most", "readers_some",
    ]  # fmt: skip
    assert np.array_equal(segments["consensus"].mask, ball(7))
    assert np.array_equal(segments["expert_inclusive"].mask, ball(9))
    assert np.array_equal(segments["readers_nearly_all"].mask, ball(5))
    assert np.array_equal(segments["readers_some"].mask, ball(9) & ~ball(7))
    assert len({segment.color for segment in segments.values()}) == len(segments)
    assert all(segment.box_in(SCAN) == made.consensus.window for segment in segments.values())
    assert segments["prompt_3"].tags["MultiRaterSeg.understood"] == "extent tight"
    assert "27925004" in segments["consensus"].terminology  # SNOMED CT: nodule


def test_many_styles_still_have_colours_of_their_own():
    made = result()
    experts = {f"r{n}": prediction((5,), f"R{n}", {"style": "expert", "expert": f"r{n}"}, PART) for n in range(9)}
    colors = colors_of(replace(made, styles=experts, ranked=()))
    assert len(set(colors.values())) == 10


def test_an_expert_keeps_its_colour_whichever_styles_are_asked_for():
    made = result()
    offered = ("conservative", "restrained", "generous", "inclusive")
    alone = replace(made, styles={"inclusive": made.styles["inclusive"]}, ranked=(), experts=offered)
    assert colors_of(alone) == {"consensus": "#FFFFFF", "inclusive": "#D55E00"}
    assert colors_of(replace(made, experts=offered))["conservative"] == "#56B4E9"


def test_what_is_shown_already_keeps_its_id_and_colour():
    made = result()
    shown = replace(made, looks={"tight outline": Look("prompt_7", "#123456")})
    assert colors_of(shown)["tight outline"] == "#123456"
    assert "prompt_7" in [segment.id for segment in segments_of(shown)]


def test_reviews_and_edited_copies_stand_in_both_files(tmp_path):
    review = Review(state="flagged", note="leaks into the vessel", when="2026-01-02T03:04:05+00:00")
    copy = EditedOutline(
        title="Mine",
        made_from="Inclusive (largest)",
        changed=True,
        outline_ml=1.25,
        dice_to_consensus=0.5,
        review=review,
    )
    report = report_of(result(), reviews={"inclusive": review}, edited=[copy])
    write_json(report, tmp_path / "report.json")
    write_csv(report, tmp_path / "report.csv")
    assert [outline.review for outline in report.outlines] == [None, None, review, None]
    assert Report.model_validate_json((tmp_path / "report.json").read_text()).edited == [copy]
    rows = list(csv.DictReader((tmp_path / "report.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert (rows[2]["review"], rows[2]["review_note"]) == ("flagged", "leaks into the vessel")
    assert (rows[-1]["outline"], rows[-1]["kind"], rows[-1]["volume_median_ml"]) == ("Mine", "edited by hand", "1.25")
