"""Tables, figures and a methods paragraph for a paper hold the numbers of the results."""

import csv
import io
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medshot.reporting.class_rows import class_findings, class_rows, operating_rows
from medshot.reporting.console import classes_table
from medshot.reporting.figures import file_names, write_figures
from medshot.reporting.methods import methods_paragraph
from medshot.reporting.tables import grids, latex_text, write_table
from medshot.reporting.wording import caveats, percent, write_interval


def test_csv_has_every_number_with_both_intervals(results):
    rows = list(csv.DictReader(io.StringIO(write_table(results, "csv"))))
    found = {(r["task"], r["shots"], r["learner"], r["class"], r["metric"], r["threshold"] != ""): r for r in rows}
    assert len(found) == len(rows)
    expected = {}
    for row in results.rows:
        for name in ("balanced_accuracy", "auroc", "brier", "calibration_error", "difference"):
            expected[row.task, str(row.shots), row.learner, "", name, False] = getattr(row, name)
    for of_class in (*class_rows(results.rows), *operating_rows(results.rows)):
        score = of_class.score
        for name, estimate in of_class.estimates.items():
            key = (score.task, str(score.shots), score.learner, of_class.name, name, of_class.threshold is not None)
            expected[key] = estimate
    for key, estimate in expected.items():
        if estimate is None:
            assert key not in found
            continue
        numbers = [float(found[key][name]) for name in ("value", "low", "high")]
        assert numbers == pytest.approx([estimate.value, *estimate.new_patients], abs=1e-6)
        over_episodes = [float(found[key][name]) for name in ("low_over_episodes", "high_over_episodes")]
        assert over_episodes == pytest.approx(list(estimate.over_episodes), abs=1e-6)
        assert found[key]["episodes"] == "10"


def test_latex_tables_are_balanced_and_hold_every_row(results):
    text = write_table(results, "latex")
    for command in ("table", "tabular"):
        assert text.count(rf"\begin{{{command}}}") == text.count(rf"\end{{{command}}}") == len(grids(results))
    for grid, tabular in zip(grids(results), text.split(r"\end{tabular}"), strict=False):
        (columns,) = re.findall(r"\\begin\{tabular\}\{([lr]+)\}", tabular)
        lines = [line for line in tabular.splitlines() if line.endswith(r" \\")]
        assert len(lines) == 1 + len(grid.rows)
        for line in lines:
            assert len(re.split(r"(?<!\\) & ", line)) == len(columns) == len(grid.header)


@given(st.text())
def test_latex_text_has_no_command_of_the_text_itself(text):
    written = latex_text(text)
    assert "\n" not in written
    plain = re.sub(
        r"\\(?:textbackslash|textasciitilde|textasciicircum|textless|textgreater)\{\}|\\[&%$#_{}]", "", written
    )
    assert not re.search(r"[\\&%$#_{}~^<>]", plain)


def test_tables_in_markdown_have_one_interval_and_all_rows(results):
    text = write_table(results, "markdown")
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == sum(2 + len(grid.rows) for grid in grids(results))
    assert "<script" not in text
    score = results.rows[0].balanced_accuracy
    assert f"{percent(score.value)} ({write_interval(score.new_patients, percent)})" in text


def test_tables_leave_out_what_there_is_none_of(results):
    row = results.rows[0].model_copy(update={"classes": None, "operating_points": None})
    assert len(grids(results)) == 4
    assert len(grids(results.model_copy(update={"rows": [row], "means": []}))) == 1
    assert classes_table(results.model_copy(update={"rows": [row]})) is None


def test_predictive_values_are_left_out_if_no_prevalence_is_stated(results):
    rows = [
        row.model_copy(update={"classes": [replaced(each) for each in row.classes], "operating_points": None})
        for row in results.rows
    ]
    for text in (write_table(results.model_copy(update={"rows": rows}), kind) for kind in ("latex", "markdown")):
        assert "Sensitivity" in text
        assert "PPV" not in text


def replaced(of_class):
    return replace(of_class, prevalence=None)


def test_the_methods_paragraph_names_data_learners_protocol_and_version(results):
    text = methods_paragraph(results)
    for fact in (
        "80 images of 80 patients",
        "40 normal",
        "metal (logistic), meta-trained on other tasks",
        "SHA-256 0123456789ab",
        "10 episodes per task",
        "1 or 5 labelled patients per class",
        "up to 20 other patients",
        "prevalence of 10 %",
        "sensitivity of 95 %",
        "medshot 0.1.0",
        "seed was 4",
        "new patients",
    ):
        assert fact in text, fact
    assert (
        methods_paragraph(results.model_copy(update={"metadata": results.metadata.model_copy(update={"study": None})}))
        is None
    )


def test_what_is_found_is_said_of_few_learners_and_agrees_with_the_numbers(results):
    assert class_findings(results) == []
    few = results.model_copy(update={"rows": [row for row in results.rows if row.learner in ("logistic", "metal")]})
    sentences = class_findings(few)
    rows = [row for row in few.rows if row.shots == 5]
    assert len(sentences) == 3 * len(rows)
    for row in rows:
        for each, point in zip(row.classes, row.operating_points, strict=True):
            share = each.rates.sensitivity
            written = f"{percent(share.value)} % ({write_interval(share.new_patients, percent)}) of {each.name}"
            assert any(written in sentence for sentence in sentences)
            (about,) = (
                sentence
                for sentence in sentences
                if f"95 % of {each.name}" in sentence and f", {row.learner} finds" in sentence and row.task in sentence
            )
            printed = round(100 * point.rates.sensitivity.new_patients[1], 1)
            assert ("less than wanted" in about) == (printed < 95)


def test_figures_are_written_as_svg_and_png(tmp_path, results, rocs):
    write_figures(tmp_path / "figures", results, rocs)
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    stems = ["learning_curve_mean", "learning_curve_chest_script_alert_1_script", "learning_curve_skin_x_red_1_2_red"]
    stems += ["roc_chest_script_alert_1_script", "roc_skin_x_red_1_2_red"]
    assert names == sorted(f"{stem}.{kind}" for stem in stems for kind in ("svg", "png"))
    for name in names:
        content = (tmp_path / "figures" / name).read_bytes()
        if name.endswith("svg"):
            text = content.decode()
            ElementTree.fromstring(text)
            assert "metal" in text
        else:
            image = Image.open(io.BytesIO(content))
            assert image.format == "PNG"
            assert min(image.size) > 400
            assert image.convert("RGB").getpixel((1, 1)) == (255, 255, 255)


def test_one_number_of_shots_has_no_learning_curve(tmp_path, results, rocs):
    rows = [row for row in results.rows if row.shots == 5]
    one = {place: curves for place, curves in rocs.items() if place[1] == 5}
    write_figures(tmp_path / "figures", results.model_copy(update={"rows": rows, "means": []}), one)
    assert {path.name.split("_")[0] for path in (tmp_path / "figures").iterdir()} == {"roc"}


@given(st.lists(st.text(), unique=True, max_size=6))
def test_file_names_are_plain_and_different(tasks):
    names = file_names(tasks)
    assert list(names) == tasks
    assert len({name.lower() for name in names.values()}) == len(tasks)
    assert all(re.fullmatch(r"[A-Za-z0-9_]+", name) for name in names.values())


def test_intervals_that_need_an_explanation_have_one(results):
    assert caveats(results) == []
    row = results.rows[1]
    bound = type(row.difference)(0.0, (-0.02, 0.02), (-0.02, 0.02))
    accuracy = type(row.balanced_accuracy)(0.6, (0.4, 0.8), (0.4, 0.8))
    update = {"difference": bound, "balanced_accuracy": accuracy, "operating_points": None}
    changed = results.model_copy(update={"rows": [row.model_copy(update=update), *results.rows[2:]]})
    alike, few, threshold = caveats(changed)
    assert "right on the same queries" in alike
    assert "limited by the number of episodes (10)" in few
    assert "No threshold is chosen with 1 shot" in threshold
