"""Names come from files: whatever stands in them is shown as text, in tables, boxes and films."""

import numpy as np
import pytest

from vadlib import book
from vadlib.detector import Scores
from vadlib.show import moving, pictures, report

MARKUP = '<script>alert("x")</script><img src=x onerror=alert(1)>'


@pytest.mark.parametrize(
    "field", ["name", "method", "data", "profile", "protocol", "metric", "term"]
)
def test_tables_of_records_show_markup_as_text(monkeypatch, field):
    plain = ("name", "method", "data", "profile", "protocol", "metric", "term")
    row = dict.fromkeys(plain, "auc") | {"seeds": [0], "stale": False, "mean": 0.5, "sd": None}
    monkeypatch.setattr(book, "results", lambda **where: [row | {field: MARKUP}])
    shown = book.records_table(["name", "term", "data"], ["protocol", "metric"], caption=MARKUP)
    text = shown.to_html()
    assert "<script>" not in text and "<img" not in text and "&lt;script&gt;" in text


def test_films_and_sliders_show_markup_as_text():
    image = np.zeros((16, 16, 3), np.uint8)
    found = pictures.slider([image, image], [MARKUP, "two"], alt=MARKUP).html
    found += pictures.play([image, image], 5, MARKUP, 32).html
    assert "<script>" not in found and "onerror=alert(1)>" not in found
    assert "&lt;script&gt;" in found


@pytest.mark.parametrize("where", ["key", "value", "title"])
def test_boxes_show_markup_as_text(monkeypatch, where):
    shown = []
    monkeypatch.setattr(book, "_in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", lambda page: shown.append(page.data))
    said = dict.fromkeys(("key", "value", "title"), "plain") | {where: MARKUP}
    book.box({said["key"]: said["value"]}, said["title"])
    book._table(("a", "b"), [(said["key"], said["value"])], said["title"])
    for text in shown:
        assert "<script>" not in text and "<img" not in text and "&lt;script&gt;" in text


def test_things_to_move_show_markup_as_text():
    frames, values = np.zeros((4, 16, 16, 3), np.uint8), np.arange(4.0)
    labels = np.array([0, 1, 0, 1])
    series = [Scores(name, values, np.arange(4)) for name in (MARKUP, "two")]
    things = [
        moving.scrubber(frames, values, labels, np.ones((4, 16, 16)), alt=MARKUP),
        moving.threshold([values], [labels], alt=MARKUP),
        moving.protocols({MARKUP: series}, [labels, labels]),
    ]
    for text in (thing.html() for thing in things):
        assert text.count("<script") == 1 and "<img src=x" not in text, "its own data alone"


@pytest.mark.parametrize("field", ["title", "summary", "notices", "why", "fact", "clock"])
def test_a_report_shows_markup_as_text(field):
    said = {k: MARKUP if k == field else "plain" for k in ("title", "why", "fact", "clock")}
    moment = report.Moment(0, 0.0, 1.0, np.zeros((16, 16, 3), np.uint8), clock=said["clock"])
    made = report.Report(
        said["title"],
        [MARKUP if field == "summary" else "plain"],
        [moment],
        np.arange(3.0),
        1.0,
        gaps=[(0.0, 1.0, said["why"])],
        notices=[MARKUP if field == "notices" else "plain"],
        facts={said["fact"]: said["fact"]},
    )
    assert "<script>" not in made.html and "<img src=x" not in made.html
    assert "&lt;script&gt;" in made.html
