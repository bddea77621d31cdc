"""What a method sees: kinds above 75, beside the best rule, and words that follow the numbers."""

import numpy as np
import pytest

from vadlib.lab.sight import ALL, by_kind, sight


def record(name, **terms):
    """term -> (all, motion, place)."""
    rows = [
        {"protocol": "headline", "metric": metric, "term": term, "mean": value}
        for term, values in terms.items()
        for metric, value in zip(("auc", "auc, motion", "auc, place"), values, strict=True)
    ]
    rows.append({"protocol": "macro", "metric": "auc", "term": "score", "mean": 0.99})
    return {"name": name, "results": rows}


METHOD = record("m", score=(0.6, 0.8, 0.5), app=(0.5, 0.5, 0.9))
RULES = [record("low", score=(0.5, 0.9, 0.9)), record("high", score=(0.7, 0.9, 0.6))]


def test_kinds_are_read_from_the_headline_alone():
    assert by_kind(METHOD, "score") == {ALL: 0.6, "motion": 0.8, "place": 0.5}
    assert by_kind(METHOD, "no such term") == {}


def test_the_best_rule_is_the_best_over_all_kinds():
    assert sight(METHOD, {"whole": "score"}, RULES).rule == "high"


@pytest.mark.parametrize(
    "terms, seen, gained",
    [
        ({"whole": "score"}, ["motion"], []),
        ({"whole": "score", "looks": "app"}, ["place", "motion"], ["place"]),
        ({"looks": "app", "none": "missing"}, ["place"], ["place"]),
    ],
)
def test_what_is_seen_is_the_best_of_the_terms_that_are_shown(terms, seen, gained):
    found = sight(METHOD, terms, RULES)
    assert found.seen == seen and found.gained == gained


def test_other_numbers_give_other_words():
    rng = np.random.default_rng(0)
    for _ in range(50):
        values = tuple(rng.random(3))
        found = sight(record("m", score=values), {"whole": "score"}, RULES)
        assert set(found.seen) == {
            k for k, v in zip(("motion", "place"), values[1:], strict=True) if v >= 0.75
        }
