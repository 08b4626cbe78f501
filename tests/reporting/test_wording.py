"""Numbers keep their value when written, and every comparison is described exactly once."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medshot.evaluation.intervals import Comparison
from medshot.reporting.wording import (
    CLAIMS,
    decimal,
    findings,
    headline,
    name_shots,
    percent,
    points,
    write_difference,
    write_estimate,
)


@given(st.floats(-2, 2))
def test_written_numbers_are_the_numbers_rounded(value):
    assert float(percent(value)) == pytest.approx(100 * value, abs=0.0501)
    assert float(points(value)) == pytest.approx(100 * value, abs=0.0501)
    assert float(decimal(value)) == pytest.approx(value, abs=0.000501)
    assert points(value)[0] in "+-"


def test_there_is_no_negative_zero():
    assert (percent(-1e-9), points(-1e-9), decimal(-1e-9)) == ("0.0", "+0.0", "0.000")


def test_each_comparison_is_described_once_and_agrees_with_its_interval(results):
    sentences = findings(results)
    for row in results.rows:
        if row.difference is None:
            continue
        about = [
            sentence
            for sentence in sentences
            if sentence.startswith(f"{row.learner} ")
            and f"{row.task} (" in sentence
            and str(row.shots) in sentence.split(f"{row.task} (")[1].split(")")[0]
        ]
        assert len(about) == 1
        assert CLAIMS[row.difference.verdict] in about[0]
        low, high = row.difference.new_patients
        assert ("beats" in about[0]) == (low > 0)
        assert ("does worse" in about[0]) == (high < 0)


@given(st.tuples(st.floats(-2, 2), st.floats(-2, 2), st.floats(-2, 2)))
def test_a_verdict_agrees_with_the_printed_interval(numbers):
    low, value, high = sorted(numbers)
    written = write_difference(Comparison(value, (low, high), (low, high)))
    printed = re.fullmatch(r"(\S+) \((\S+) to (\S+)\) (?:[▲▼] )?(\w+)", written)
    ends = [float(printed[2]), float(printed[3])]
    assert (printed[4] == "better") == (ends[0] > 0)
    assert (printed[4] == "worse") == (ends[1] < 0)


def test_learners_that_do_not_beat_the_baseline_are_named(results):
    sentences = " ".join(findings(results))
    assert "proto<b>net is not shown to beat logistic" in sentences
    assert "worse & none does worse than logistic" in sentences
    assert "metal beats logistic" in sentences


def test_means_over_tasks_come_first_with_their_numbers(results):
    sentences = findings(results)
    means = [row for row in results.means if row.difference is not None]
    written = " ".join(sentence for sentence in sentences if sentence.startswith("Over 2 tasks"))
    assert sentences[0].startswith("Over 2 tasks")
    for row in means:
        assert f"{points(row.difference.value)} points" in written


def test_the_headline_counts_comparisons(results):
    verdicts = [row.difference.verdict for row in results.rows if row.learner == "metal"]
    assert verdicts == ["better"] * 4
    assert headline(results).startswith("Better than logistic: metal in 4 of 4 comparisons.")
    without = [row for row in results.rows if row.learner in ("logistic", "worse & none")]
    assert headline(results.model_copy(update={"rows": without})).startswith("None beats logistic.")
    alone = [row for row in results.rows if row.learner == "logistic"]
    assert "nothing to compare" in headline(results.model_copy(update={"rows": alone}))


def test_what_is_undefined_is_a_dash_and_the_baseline_has_no_difference():
    assert write_estimate(None, decimal) == "–"
    assert write_difference(None) == "baseline"


def test_shots_are_listed():
    assert [name_shots(1), name_shots(5), name_shots(1, 5, 10)] == ["1 shot", "5 shots", "1, 5 and 10 shots"]
