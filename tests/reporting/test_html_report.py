"""The report is one self-contained, escaped page whose numbers and pictures are those of the results."""

import base64
import io
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
from PIL import Image

from medshot.errors import StorageError
from medshot.evaluation.results import Results
from medshot.reporting.class_rows import class_columns, class_findings, class_rows, name_class, operating_rows
from medshot.reporting.examples import SIDE, gallery, thumbnail
from medshot.reporting.html import report_html, write_report
from medshot.reporting.methods import methods_paragraph
from medshot.reporting.plots import FAINT, INK, forest_drawing, learner_colours
from medshot.reporting.wording import COLUMNS, DISCLAIMER, decimal, headline

REACHING_OUT = {"script", "link", "iframe", "object", "embed", "base", "form"}


class Page(HTMLParser):
    """The addresses and handlers of a page, and the cells of its tables."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.handlers, self.rows, self.words = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.handlers += [name for name, _ in attributes if name.startswith("on")]
        self.addresses += [value for name, value in attributes if name in ("src", "srcset", "href")]
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append("")

    def handle_data(self, data):
        self.words.append(data)
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += f" {data}"


@pytest.fixture(scope="module")
def text(tmp_path_factory, results, examples, reliability, rocs):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, results, examples, reliability, rocs)
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def decode(address):
    kind, content = address.removeprefix("data:").split(";base64,")
    return kind, base64.b64decode(content)


def numbers(cell):
    return [float(number) for number in re.findall(r"[+-]?\d+\.\d+", cell)]


def test_names_are_escaped(text, page):
    assert "<script" not in text
    assert "<i>nodule" not in text
    assert "<b>net" not in text
    assert "chest &lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert any("<i>nodule</i>" in words for words in page.words)
    assert page.handlers == []


def test_the_page_is_self_contained(text, page):
    assert not REACHING_OUT & set(page.tags)
    assert page.addresses
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert "://" not in text
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text


def test_plots_reach_for_nothing_outside(page):
    plots = [content for kind, content in map(decode, page.addresses) if kind == "image/svg+xml"]
    # light and dark: for the means a forest and a learning curve; for each of two tasks the same and four reliability
    # curves; for each of two numbers of shots the rates, the rates at thresholds, and the ROC curves of two classes
    assert len(plots) == 2 * (2 + 2 * (2 + 4 + 2 * 4))
    for plot in plots:
        for element in ElementTree.fromstring(plot).iter():
            for name, value in element.attrib.items():
                if name.endswith("href"):
                    assert value.startswith("#")


def test_numbers_on_the_page_are_those_of_the_results(page, results):
    rows = (*results.means, *results.rows)
    shown = [row for row in page.rows if row][: len(rows)]
    for cells, row in zip(shown, rows, strict=True):
        assert cells[0].strip() == row.learner
        for column, cell in zip(COLUMNS, cells[1:], strict=False):
            estimate = getattr(row, column.field)
            scale = 100 if column.field == "balanced_accuracy" else 1
            expected = [scale * value for value in (estimate.value, *estimate.new_patients, *estimate.over_episodes)]
            assert numbers(cell) == pytest.approx(expected, abs=0.0501 if scale == 100 else 0.000501)
        if row.difference is not None:
            change = row.difference
            expected = [100 * value for value in (change.value, *change.new_patients, *change.over_episodes)]
            assert numbers(cells[5]) == pytest.approx(expected, abs=0.0501)
            assert change.verdict in cells[6]


def test_numbers_by_class_on_the_page_are_those_of_the_results(page, results):
    tables = [row for row in page.rows if row][len(results.means) + len(results.rows) :]
    for task in dict.fromkeys(row.task for row in results.rows):
        for shots in (5, 1):
            scores = [row for row in results.rows if (row.task, row.shots) == (task, shots)]
            for rows, place in ((class_rows(scores), 3), (operating_rows(scores), 4)):
                for row in rows:
                    cells = tables.pop(0)
                    assert (cells[0].strip(), cells[1].strip()) == (row.score.learner, name_class(row))
                    for column, cell in zip(class_columns(rows), cells[place:], strict=True):
                        found, scale = row.estimates[column.field], 1 if column.field == "auroc" else 100
                        expected = [scale * each for each in (found.value, *found.new_patients, *found.over_episodes)]
                        assert numbers(cell) == pytest.approx(expected, abs=0.0501 if scale == 100 else 0.000501)
            for score in scores:
                for counts in score.confusion:
                    cells = tables.pop(0)
                    assert [int(re.match(r"\s*[\d.]+ %\s+(\d+)", cell)[1]) for cell in cells] == counts
                    assert sum(numbers(cell)[0] for cell in cells) == pytest.approx(100, abs=0.2)
    assert not tables


def test_the_page_has_a_methods_paragraph_and_says_what_is_found(page, results):
    words = " ".join(page.words)
    assert methods_paragraph(results) in words
    alone = results.model_copy(update={"rows": [row for row in results.rows if row.learner == "logistic"], "means": []})
    for sentence in class_findings(alone):
        assert sentence in " ".join(Page(report_html(alone, [], {})).words)


def test_older_results_have_a_page_without_numbers_by_class(results):
    absent = {"images": None, "classes": None, "confusion": None, "operating_points": None}
    rows = [row.model_copy(update=absent) for row in results.rows]
    older = results.model_copy(update={"rows": rows, "metadata": results.metadata.model_copy(update={"study": None})})
    older = Results.from_json(older.to_json())
    assert "classes" not in older.to_json()["rows"][0]
    text = report_html(older, [], {(row.task, row.shots): {} for row in older.rows})
    assert "By class" not in text
    assert "Methods" not in text


def test_the_page_has_the_disclaimer_the_headline_and_the_metadata(page, results):
    words = " ".join(page.words)
    made = results.metadata
    for fact in (DISCLAIMER, headline(results), made.command, made.machine, made.date, *made.notes):
        assert fact in words


def test_the_calibration_error_beside_a_curve_is_that_of_the_table(page, results, reliability):
    words = " ".join(page.words)
    for (task, shots), curves in reliability.items():
        for learner, curve in curves.items():
            (row,) = (row for row in results.rows if (row.task, row.shots, row.learner) == (task, shots, learner))
            assert curve.error == pytest.approx(row.calibration_error.value, abs=1e-12)
            assert f"ECE {decimal(curve.error)}" in words


def test_results_read_back_from_json_give_the_same_page(results):
    assert report_html(Results.from_json(results.to_json()), [], {}) == report_html(results, [], {})


def test_the_gallery_sorts_correct_from_wrong(examples):
    example = examples[0]
    shown = gallery(example, "logistic")
    assert shown.learner == "metal"
    correct = example.probabilities["metal"].argmax(axis=1) == example.query_labels
    assert (len(shown.correct), len(shown.wrong)) == (correct.sum(), (~correct).sum())
    confidences = [card.prediction.probability for card in shown.correct]
    assert confidences == sorted(confidences, reverse=True)
    for card in (*shown.correct, *shown.wrong):
        assert sum(value for _, value in card.bars) == pytest.approx(1)
        assert {other.learner for other in card.others} == set(example.probabilities) - {"metal"}
        for prediction in (card.prediction, *card.others):
            assert prediction.correct == (prediction.predicted == card.truth)
    assert [len(pictures) for _, pictures in shown.support] == [5, 5]


def test_the_baseline_alone_can_be_shown(examples):
    assert gallery(examples[1], "logistic").learner == "logistic"


def test_small_pictures_are_shown_as_they_are(examples):
    image = examples[0].query_images[0]
    kind, content = decode(thumbnail(image))
    assert kind == "image/png"
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), image)


def test_large_pictures_shrink_and_keep_their_shape(examples):
    _, content = decode(thumbnail(examples[1].query_images[0]))
    assert Image.open(io.BytesIO(content)).size == (SIDE * 2 // 3, SIDE)


def test_plots_leave_the_settings_of_the_reader_alone(results):
    before = dict(matplotlib.rcParams)
    colours = learner_colours(["logistic", "metal", "proto<b>net", "worse & none"], "logistic")
    assert len(set(colours.values())) == 4
    forest_drawing(results.rows, colours).plot()
    assert dict(matplotlib.rcParams) == before


def test_a_plot_differs_between_light_and_dark_pages_in_nothing_but_ink(results):
    plot = forest_drawing(results.means, dict.fromkeys((row.learner for row in results.means), "#000000")).plot()
    light, dark = (decode(each)[1].decode() for each in (plot.light, plot.dark))
    assert INK in light
    assert FAINT in light
    assert INK not in dark
    assert FAINT not in dark
    assert re.sub("#[0-9a-f]{6}", "", light) == re.sub("#[0-9a-f]{6}", "", dark)


def test_names_in_plots_may_have_dollars_and_any_script(results):
    row = results.rows[0].model_copy(update={"learner": "$a$ 皮膚 <b>"})
    plot = forest_drawing([row], {row.learner: "#000000"}).plot()
    assert "$a$ 皮膚 &lt;b&gt;" in decode(plot.light)[1].decode()


def test_a_report_that_cannot_be_written_is_an_error(tmp_path, results):
    with pytest.raises(StorageError, match=r"report\.html"):
        write_report(tmp_path / "nowhere" / "report.html", results.model_copy(update={"means": []}), [], {})
