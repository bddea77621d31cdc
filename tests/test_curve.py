"""Curves: read from a record point by point, and what is said about their last stretch."""

import numpy as np
import pytest

from vadlib.errors import VadError
from vadlib.lab.curve import curve, said
from vadlib.show import plot


def point(share, value, seed=0):
    rows = [("headline", "auc", "score", value), ("headline", "auc", "app", 0.1)]
    return {
        "share": share,
        "samples": 100 * share,
        "flops": 1e12 * share + seed,
        "cpu_s": 1.0,
        "seen": {"total": 0.5},
        "held_out": {"total 1": 9.0, "total 2": 2.0 - share},
        "rows": [
            dict(zip(("protocol", "metric", "term", "value"), row, strict=True)) for row in rows
        ],
    }


def record(*seeds):
    shares = (0.25, 0.5, 1.0)
    runs = [{"curve": [point(s, v, i) for s, v in zip(shares, seed, strict=True)]}
            for i, seed in enumerate(seeds)]  # fmt: skip
    return {"name": "a-row", "runs": runs}


def test_a_curve_holds_every_seed_and_point():
    found = curve(record((0.5, 0.6, 0.7), (0.4, 0.6, 0.8)))
    assert found.values.tolist() == [[0.5, 0.6, 0.7], [0.4, 0.6, 0.8]]
    assert found.shares.tolist() == [0.25, 0.5, 1.0] and found.samples.tolist() == [25, 50, 100]
    assert found.flops.tolist() == [0.25e12 + 0.5, 0.5e12 + 0.5, 1e12 + 0.5]
    assert found.loss[0] == pytest.approx([1.75, 1.5, 1.0])  # of the last of its trainings
    assert (curve(record((0.5, 0.6, 0.7)), term="app").values == 0.1).all()


@pytest.mark.parametrize(
    "seeds, trend",
    [
        ([(0, 0.6, 0.61), (0, 0.6, 0.7)], "rising"),
        ([(0, 0.6, 0.61), (0, 0.6, 0.604)], "unsettled"),
        ([(0, 0.6, 0.604), (0, 0.6, 0.596)], "flat"),
        ([(0, 0.6, 0.59), (0, 0.9, 0.8)], "falling"),
        ([(0, 0.6, 0.5), (0, 0.6, 0.7)], "unsettled"),
    ],
)
def test_the_trend_is_that_of_the_last_stretch_in_every_seed(seeds, trend):
    found = curve(record(*seeds))
    assert found.trend == trend
    text = said(found, "the score")
    assert {"unsettled": "not settled"}.get(trend, trend) in text and "2 seeds" in text


def test_the_sentence_has_the_means_and_the_factor():
    assert "70.0 to 75.0 over the last factor of 2.0" in said(curve(record((0, 0.7, 0.75))), "it")


def test_a_record_without_a_curve_and_an_unknown_term_are_told():
    with pytest.raises(VadError, match="a-row was tested at its end only"):
        curve({"name": "a-row", "runs": [{"seed": 0}]})
    with pytest.raises(VadError, match="no auc of motion"):
        curve(record((0.5, 0.6, 0.7)), term="motion")


def test_the_picture_shows_the_mean_its_band_the_rules_and_the_paper():
    found = curve(record((0.5, 0.6, 0.7), (0.4, 0.6, 0.8)))
    ax = plot.training_curve({"score": (found.flops, found.values)}, {"zero flow": 0.9}, paper=0.97)
    heights = [line.get_ydata() for line in ax.lines]
    assert np.allclose(heights[0], [45, 60, 75]) and ax.get_xscale() == "log"
    assert [h[0] for h in heights[1:]] == pytest.approx([90, 97])
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((40, 80))
