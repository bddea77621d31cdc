"""The eye chart: settings and their films, records of them, and thresholds read from AUCs."""

import importlib.util
from statistics import NormalDist

import numpy as np
import pytest

from vadlib import papers
from vadlib.__main__ import main
from vadlib.data import plaza
from vadlib.errors import VadError
from vadlib.lab import eyechart, records, run
from vadlib.measure import threshold as measure
from vadlib.measure.intervals import Interval
from vadlib.show import eyechart as show


def made(aucs, at=(0.0, 0.25, 0.5, 0.75, 1.0), spread=0.03):
    """A curve of given AUCs, each known to within a spread."""
    rng = np.random.default_rng(0)
    points = [Interval(a, a - 0.06, a + 0.06, a + spread * rng.standard_normal(200)) for a in aucs]
    return measure.Curve("motion", np.array(at), points)


def true_auc(at, middle, width=0.15):
    return 0.5 + 0.5 * np.array([NormalDist(middle, width).cdf(x) for x in at])


# --- thresholds ----------------------------------------------------------------------------------

psignifit = pytest.mark.skipif(
    importlib.util.find_spec("psignifit") is None, reason="psignifit (GPL-3) is not installed"
)


@psignifit
@pytest.mark.parametrize("middle", [0.3, 0.5, 0.7])
def test_a_threshold_is_where_the_function_passes_75(middle):
    curve = made(true_auc((0.0, 0.25, 0.5, 0.75, 1.0), middle))
    found = measure.threshold(curve)
    assert found.at == pytest.approx(middle, abs=0.06) and found.low < middle < found.high
    assert f"{found.at:.2f}" in found.words


@psignifit
def test_more_answers_make_a_narrower_interval():
    aucs = true_auc((0.0, 0.25, 0.5, 0.75, 1.0), 0.5)
    wide, narrow = (measure.threshold(made(aucs, spread=s)) for s in (0.08, 0.02))
    assert narrow.high - narrow.low < 0.7 * (wide.high - wide.low)


@psignifit
def test_who_is_blind_or_sees_all_is_told_in_words():
    blind = measure.threshold(made([0.5, 0.52, 0.49, 0.51, 0.5]))
    assert blind.at is None and blind.words == "not up to 1"
    always = measure.threshold(made([0.97, 0.98, 0.99, 0.99, 0.99]))
    assert always.at is None and always.words == "at all tried"


@psignifit
def test_a_condition_is_borne_up_to_a_setting():
    at = (0.0, 5.0, 10.0, 15.0, 20.0)
    curve = made(1.5 - true_auc(at, 10, 3), at)
    found = measure.threshold(curve, falls=True)
    assert found.at == pytest.approx(10, abs=1.5)
    steady = measure.threshold(made([0.95, 0.94, 0.96, 0.95, 0.95], at), falls=True)
    assert steady.words == "bears all, up to 20"
    never = measure.threshold(made([0.5, 0.51, 0.5, 0.49, 0.5], at), falls=True)
    assert never.words == "not at any"


def test_an_auc_is_worth_as_many_answers_as_its_spread_says():
    answers = 50
    draws = np.random.default_rng(1).binomial(answers, 0.8, 4000) / answers
    auc = Interval(0.8, 0.7, 0.9, draws)
    assert measure.worth(auc, 6) == pytest.approx(answers, rel=0.1)
    sure = Interval(1.0, 1.0, 1.0, np.ones(10))
    assert measure.worth(sure, 6) == 6  # never wrong in six videos, and no more than that


def test_too_few_videos_or_settings_make_no_curve():
    scores = [[np.arange(4.0)] * 6] * 3
    labels = [[np.array([0, 0, 1, 1])] * 6] * 3
    with pytest.raises(VadError, match="3 settings"):
        measure.curve("motion", [0, 0.5, 1], scores, labels)
    with pytest.raises(VadError, match="profile standard"):
        measure.curve("motion", [0, 0.2, 0.5, 1], [s[:5] for s in [*scores, scores[0]]],
                      [y[:5] for y in [*labels, labels[0]]])  # fmt: skip


def test_a_missing_psignifit_is_named_with_its_licence(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(measure.importlib, "import_module", missing)
    with pytest.raises(VadError, match="psignifit") as error:
        measure.threshold(made([0.5, 0.6, 0.8, 0.9, 1.0]))
    assert "GPL" in error.value.remedy


@pytest.mark.parametrize("ends", [None, float("nan")])
def test_a_fit_that_does_not_converge_is_told(monkeypatch, ends):
    class Broken:
        def psignifit(self, *args, **kw):
            if ends is None:
                raise np.linalg.LinAlgError("singular")
            return self

        def proportion_correct(self, x):
            return ends

    monkeypatch.setattr(measure.importlib, "import_module", lambda name: Broken())
    with pytest.raises(VadError, match="motion does not converge"):
        measure.threshold(made([0.5, 0.6, 0.8, 0.9, 1.0]))


def test_a_twin_leaves_nothing_but_the_anomaly_to_tell():
    """Scores that differ from video to video, and rise by a step where something is abnormal."""
    rng = np.random.default_rng(2)
    labels = [np.array([0] * 4 + [1] * 4)] * 8
    scenes = [100 * rng.random() + np.zeros(8) for _ in labels]  # each scene has its own level
    at = [0.0, 0.3, 0.6, 1.0]
    rows = [[scene + step * y for scene, y in zip(scenes, labels, strict=True)] for step in at]
    plain, twin = (make("motion", at, rows, [labels] * 4, 50) for make in
                   (measure.curve, measure.twin_curve))  # fmt: skip
    assert twin.values.tolist() == [0.5, 1, 1, 1] and plain.values.max() < 0.75

    # an abnormal half against its twin by counting pairs, in a setting given out of order
    rows[1][0] = np.array([9, 9, 9, 9, 0.0, 1, 2, 3])
    rows[0][0] = np.array([0, 0, 0, 0, 1.0, 1, 2, 5])
    told = [(a > b) + 0.5 * (a == b) for a in (0, 1, 2, 3) for b in (1, 1, 2, 5)]
    order = [2, 0, 3, 1]
    mixed = measure.twin_curve(
        "motion", [at[i] for i in order], [rows[i] for i in order], [labels] * 4, 50
    )
    assert mixed.values[1] == pytest.approx((np.mean(told) + 7) / 8)
    assert mixed.auc[1].low < mixed.values[1] <= mixed.auc[1].high
    unseen = [[*labels[:-1], np.zeros(8, int)], *[labels] * 3]  # one film in which nothing shows
    fewer = measure.twin_curve("motion", at, rows, unseen, 50)
    assert fewer.values[0] == 0.5 and fewer.values[1] == pytest.approx(mixed.values[1])
    rows[2][3] = rows[2][3][:7]
    with pytest.raises(VadError, match="differ in length"):
        measure.twin_curve("motion", at, rows, [labels] * 4, 50)


# --- films and records ---------------------------------------------------------------------------


def test_every_setting_is_one_that_plaza_can_film():
    for point in eyechart.points("kinds"):
        assert 0 <= point.value <= plaza.MOST[point.dial]
    for point in eyechart.points("conditions"):
        plaza.turned("clear", **{point.dial: point.value})
    for sweep in eyechart.SWEEPS:
        assert all(eyechart.point_of(f"{p.label} 03") == p for p in eyechart.points(sweep))
        counts = [
            sum(p.dial == d for p in eyechart.points(sweep)) for d in eyechart.known_dials(sweep)
        ]
        assert min(counts) >= measure.FEWEST_POINTS


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A chart of two kinds, filmed small, in a folder of its own."""
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("VADLIB_HOME", str(tmp_path))
    monkeypatch.setattr(eyechart, "SIZES", {"standard": (32, 48)})
    few = [eyechart.Point("colour", e) for e in (0.0, 0.5, 1.0)]
    more = [eyechart.Point("motion", e) for e in (0.0, 0.3, 0.6, 1.0)]
    monkeypatch.setattr(eyechart, "points", lambda sweep: few + more)
    return papers.chart("frame-index")


def test_a_chart_leaves_a_record_from_which_its_curves_are_read(small, monkeypatch):
    monkeypatch.setattr(eyechart.Chart, "load", lambda self, split, seed=0: [])
    record = run.reproduce(small, [0], "cpu", lambda text: None)
    values = {r["metric"]: r["mean"] for r in record["results"] if r["term"] == "score"}
    assert "auc, motion at 0.3" in values and len(values) == 8
    (curve,) = eyechart.curves(small, 0, ["motion"], draws=20)
    assert curve.at.tolist() == [0.0, 0.3, 0.6, 1.0]
    assert [values[f"auc, motion at {x:g}"] for x in curve.at] == curve.values.tolist()
    state = records.records({small.name: small})
    assert [r["stale"] for r in state if r["name"] == small.name] == [False]
    with pytest.raises(VadError, match="3 settings"):
        eyechart.curves(small, 0, ["colour"])
    (twin,) = eyechart.curves(small, 0, ["motion"], draws=20, twins=True)
    assert twin.values.tolist() == [0.5] * 4  # the number of a frame tells nothing of its twin
    with pytest.raises(VadError, match="no term 'speed'"):
        eyechart.curves(small, 0, ["motion"], term="speed")
    with pytest.raises(VadError, match="no twin"):
        eyechart.curves(papers.chart("frame-index", sweep="conditions"), 0, twins=True)


def test_films_of_a_dial_show_the_same_passers_by(small):
    one, other = (small.films(eyechart.Point("motion", e)) for e in (0.0, 1.0))
    assert len(one) == 12 and {v.name for v in one}.isdisjoint(v.name for v in other)
    # what is abnormal may keep others from coming, so that not every twin is one to the last man
    apart = [
        abs(len(a.truth["actors"]) - len(b.truth["actors"]))
        for a, b in zip(one, other, strict=True)
    ]
    assert np.median(apart) <= 1 and max(apart) <= 3


def test_stamps_of_charts_tell_level_and_sweep_apart():
    some = [papers.chart("copy-last", *how) for how in
            (("clear",), ("busy",), ("clear", "conditions"))]  # fmt: skip
    assert len({c.stamp for c in some}) == len({c.name for c in some}) == 3


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (["nobody"], "unknown method 'nobody'"),
        (["flow-bag"], "it scores bags"),
        (["copy-last", "--kind", "weather"], "has no 'weather'"),
        (["copy-last", "--level", "foggy"], "there is no level 'foggy'"),
        (["copy-last", "--sweep", "weather"], "there is no sweep"),
        (["copy-last", "--profile", "huge"], "'huge' is none of smoke"),
    ],
)
def test_bad_commands_say_what_to_do(capsys, wrong, says):
    assert main(["eyechart", *wrong]) == 2
    line = capsys.readouterr().err
    assert says in line and any(word in line for word in ("Use", "These have one", "--help"))
    assert line.count("\n") == 1


# --- the picture ---------------------------------------------------------------------------------


def test_the_picture_marks_thresholds_and_greys_the_blind():
    nan = float("nan")
    seen = measure.Threshold(0.4, 0.3, 0.5, False, 0.95, 1.0)
    blind = measure.Threshold(None, nan, nan, False, 0.55, 1.0)
    always = measure.Threshold(None, nan, nan, False, 0.99, 1.0)
    figure = show.eyechart({"a": {"motion": seen, "place": blind},
                            "b": {"motion": always, "place": seen}})  # fmt: skip
    motion, place = figure.axes
    assert [line.get_xdata()[0] for line in motion.lines] == [0.3, 0.4]
    assert len(place.patches) == 1 and [t.get_text() for t in motion.texts] == ["all"]
    assert [t.get_text() for t in place.texts] == ["not up to 1"]
    assert [t.get_text() for t in motion.get_yticklabels()] == ["a", "b"]
    both = show.eyechart({"a": {"place": blind}}, {"a": {"place": seen}})
    assert len(both.axes[0].patches) == 1 and both.axes[0].lines[1].get_markerfacecolor() == "none"
    with pytest.raises(VadError, match="different dials"):
        show.eyechart({"a": {"motion": seen}, "b": {"place": seen}})
    with pytest.raises(VadError, match="different dials"):
        show.eyechart({"a": {"motion": seen}}, {"a": {"place": seen}})


def test_an_interval_ends_where_the_dial_does():
    wide = measure.Threshold(1.3, 0.0, 1.9, False, 0.8, 1.5)
    assert wide.words == "1.30 (0.00 to beyond 1.5)"


@psignifit
def test_the_curves_mark_where_they_pass_75():
    rises, flat = made(true_auc((0.0, 0.25, 0.5, 0.75, 1.0), 0.5)), made([0.5] * 5)
    sides = {"here": {"MDSF": {"motion": rises}}, "there": {"MDSF": {"motion": flat}}}
    here, there = show.curves(sides, ["motion"]).axes
    assert here.get_title(loc="left") + here.get_title() == "motion, here"
    strokes = [line.get_xdata()[0] for line in here.lines if list(line.get_ydata()) == [40, 44]]
    assert strokes == [pytest.approx(0.5, abs=0.06)]
    assert not [line for line in there.lines if list(line.get_ydata()) == [40, 44]]


def test_what_is_borne_has_a_panel_for_each_condition_and_a_line_at_the_usual_setting():
    row = {"noise": made([0.9, 0.8, 0.7, 0.6, 0.5]), "shake": made([0.9] * 5)}
    figure = show.bearing({"MDSF": row, "zero flow": row}, {"noise": 0.25, "shake": 0.5})
    noise, shake = figure.axes
    assert [ax.lines[0].get_xdata()[0] for ax in (noise, shake)] == [0.25, 0.5]
    assert np.allclose(noise.lines[1].get_ydata(), [90, 80, 70, 60, 50]) and len(noise.lines) == 3
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["MDSF", "zero flow"]
