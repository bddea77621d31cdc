"""What it costs to find the events: thresholds and false alarms, by hand and by brute force."""

import math

import numpy as np
import pytest

from vadlib.errors import VadError
from vadlib.measure import alarms

TENTHS = np.arange(10) / 10
ONE = TENTHS, np.array([0, 7, 0, 3, 9, 0, 5, 0, 0, 5]), np.array([0, 0, 0, 1, 1, 0, 0, 0, 0, 0])
TWO = TENTHS, np.array([4, 4, 6, 6, 6, 8, 1, 0, 0, 0]), np.array([0, 0, 1, 1, 0, 0, 0, 0, 1, 1])


def test_two_films_by_hand():
    """Events have the peaks 9, 6 and 0: two of three are found from 6 on. Above it are, of normal
    frames, 7 in the first film, and 6, 6... in the second after its event: 6 and 8."""
    found = alarms.price([ONE, TWO], share=0.6, quiet=0.15)
    assert (found.found, found.events) == (2, 3)
    assert 6 > found.threshold > 5.999
    assert found.frames == 3 and found.alarms == 2  # 7; 6 and 8, a tenth of a second apart
    assert found.normal == 14 and found.seconds == pytest.approx(1.4)
    assert found.an_hour == pytest.approx(2 * 3600 / 1.4)
    assert found.interval == alarms.garwood(2, 1.4 / 3600)


def test_all_events_cost_all_alarms_and_one_event_none():
    every = alarms.price([ONE, TWO], share=1.0, quiet=0.05)
    assert every.found == 3 and every.frames == every.normal == 14, "nothing is below 0"
    first = alarms.price([ONE, TWO], share=1 / 3, quiet=0.05)
    assert first.found == 1 and first.frames == first.alarms == 0
    assert alarms.price([ONE, TWO], 0.8).found == 3, "two of three are no four fifths"


def test_nothing_said_it_is_four_fifths_of_the_events():
    films = [(TENTHS, np.r_[np.zeros(9), peak], np.r_[np.zeros(9), 1]) for peak in range(1, 11)]
    assert alarms.price(films).found == 8 and 3 > alarms.price(films).threshold > 2.999


def test_quiet_joins_alarms_but_not_over_an_event():
    """Normal frames before and after an event are stretches of their own."""
    assert alarms.price([ONE, TWO], share=1.0, quiet=10).alarms == 4, "two stretches a film"
    assert [alarms.price([ONE, TWO], 1.0, q).alarms for q in (0.05, 0.15)] == [14, 4]


@pytest.mark.parametrize("seed", range(5))
def test_the_threshold_is_the_highest_that_finds_enough(seed):
    """Against every threshold there is."""
    rng, films = np.random.default_rng(seed), []
    for _ in range(6):
        labels = np.repeat(rng.permutation([0, 1, 0, 1]), rng.integers(1, 9, 4))
        scores = np.round(rng.normal(size=len(labels)) + labels, 1).astype(np.float32)
        films.append((np.arange(len(labels)) / 5, scores, labels))
    found = alarms.price(films, 0.8, 0.3)

    def events(level):
        hits = []
        for _, s, y in films:
            edges = np.flatnonzero(np.diff(np.r_[0, y, 0]))
            hits += [(s[a:b] >= level).any() for a, b in edges.reshape(-1, 2)]
        return np.array(hits)

    levels = np.unique(np.concatenate([s for _, s, _ in films]))
    best = max(level for level in levels if events(level).mean() >= 0.8)
    assert found.threshold == math.nextafter(float(best), -math.inf)
    assert found.found == events(best).sum() and found.events == len(events(best))
    above = sum(((s >= best) & (y == 0)).sum() for _, s, y in films)
    assert found.frames == above
    rings = 0  # frame by frame, with a bell that an event silences
    for times, s, y in films:
        last = -math.inf
        for t, score, odd in zip(times, s, y, strict=True):
            if odd:
                last = -math.inf
            elif score >= best:
                rings += t - last > 0.3
                last = t
    assert found.alarms == rings


def test_what_has_no_price_is_refused():
    calm = (TENTHS, np.ones(10), np.zeros(10))
    for films in ([calm], [(TENTHS, np.ones(10), np.ones(10))], []):
        with pytest.raises(VadError, match="have no price"):
            alarms.price(films)
    with pytest.raises(VadError, match="no frame rate"):
        alarms.price([(TENTHS[:1], np.ones(1), np.ones(1))])
    for share, quiet in ((0, 1), (1.1, 1), (0.5, -1)):
        with pytest.raises(VadError, match="share"):
            alarms.price([ONE], share, quiet)
