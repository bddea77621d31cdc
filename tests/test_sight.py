"""What a method sees: kinds above 75, beside the best rule, and words that follow the numbers."""

import numpy as np
import pytest

from vadlib.detector import Scores
from vadlib.errors import VadError
from vadlib.lab import sight as module
from vadlib.lab.records import Truth
from vadlib.lab.sight import ALL, by_kind, sight

LABELS = np.array([0, 0, 0, 0, 1], np.uint8)


def video(name, kind, beaten, **terms):
    """Of four normal frames the abnormal one beats so many, in the score and in each term."""

    def scores(count):
        return np.array([1.0] * count + [3.0] * (4 - count) + [2.0])

    found = {term: scores(count) for term, count in terms.items()}
    truth = Truth(name, LABELS, {"kind": np.where(LABELS > 0, kind, "")})
    return Scores(name, scores(beaten), np.arange(5), terms=found), truth


RECORDS = {
    "m": {0: [video("a", "motion", 4, app=2), video("b", "place", 2, app=4)]},
    "low": {0: [video("a", "motion", 3), video("b", "place", 1)]},
    "high": {0: [video("a", "motion", 4), video("b", "place", 2)]},
    "two": {0: [video("a", "motion", 4)], 1: [video("a", "motion", 2)]},
}


@pytest.fixture(autouse=True)
def kept(monkeypatch):
    monkeypatch.setattr(module, "seeds_of", lambda name: list(RECORDS[name]))
    monkeypatch.setattr(module, "tested", lambda name, seed: RECORDS[name][seed])


def test_each_kind_is_measured_on_its_own_videos_and_all_on_all():
    # over both, each abnormal frame is set against eight normal ones: 6 and 6 of 8 are beaten
    assert by_kind("m") == {ALL: 0.75, "motion": 1.0, "place": 0.5}
    assert by_kind("m", "app") == {ALL: 0.75, "motion": 0.5, "place": 1.0}


def test_seeds_are_averaged():
    assert by_kind("two")["motion"] == 0.75


def test_an_unknown_term_is_told():
    with pytest.raises(VadError, match="has no term 'looks'"):
        by_kind("m", "looks")


def test_the_best_rule_is_the_best_over_all_kinds():
    assert sight("m", {"whole": "score"}, ["low", "high"]).rule == "high"


@pytest.mark.parametrize(
    "terms, rule, seen, gained",
    [
        ({"whole": "score"}, "high", ["motion"], []),
        ({"whole": "score", "looks": "app"}, "high", ["motion", "place"], ["place"]),
        ({"looks": "app"}, "low", ["place"], ["place"]),
    ],
)
def test_what_is_seen_is_the_best_of_the_terms_that_are_shown(terms, rule, seen, gained):
    found = sight("m", terms, [rule])
    assert found.seen == seen and found.gained == gained
