"""Names come from files: whatever stands in them is shown as text, in tables, boxes and films."""

import numpy as np
import pytest

from vadlib import book
from vadlib.show import pictures

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
