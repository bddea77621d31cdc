"""Plaza's dials: nothing at 0, today's at 1, labelled to the pixel in between; and the levels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vadlib.data import plaza
from vadlib.data.plaza.dials import BOUNDS, mix, ratio
from vadlib.data.plaza.scene import HIGH, Camera
from vadlib.data.plaza.wrong import Director
from vadlib.errors import VadError

SIZE, LENGTH = (64, 96), 100


def odd_one(video):
    """The numbers of those who are abnormal in some frame."""
    return np.flatnonzero(video.truth["abnormal"].any(0))


def cast(kind, effect, level="clear", count=12, seed=3):
    """The actors of some videos that show a kind, without filming them."""
    dials = plaza.turned(level)
    camera = Camera((128, 192), height=HIGH / dials.zoom)
    for i in range(count):
        early = (i + i // 2) % 2 == 0
        yield Director(camera, 150, [9, seed, i], early, i, dials, effect).run(kind)


def guilty(actors, kind):
    return [a for a in actors if a.kind == kind and a.abnormal.any()]


# --- the effect ----------------------------------------------------------------------------------


def test_an_effect_of_one_is_the_anomaly_as_it_was():
    one, other = (plaza.videos("test", 6, 40, (32, 48), 2, **kw) for kw in ({}, {"effect": 1}))
    assert all(np.array_equal(a.frames, b.frames) and a.key == b.key
               for a, b in zip(one, other, strict=True))  # fmt: skip


@pytest.mark.parametrize("level", ["busy", "clear"])
def test_an_effect_changes_only_the_anomaly(level):
    """The passers-by, their places and times, the light and the noise are those of effect 1."""
    videos = [
        plaza.videos("test", 1, 40, SIZE, seed=5, kinds=["colour"], level=level, effect=e)[0]
        for e in (0.25, 1.0)
    ]
    differ = (videos[0].frames != videos[1].frames).any(-1)
    ours = np.zeros_like(differ)
    for x0, y0, x1, y1, t in (
        (*box.astype(int), t)
        for t, row in enumerate(videos[1].truth["boxes"])
        for box in row[odd_one(videos[1])]
        if not np.isnan(box).any()
    ):
        ours[t, max(0, y0 - 1) : y1 + 1, max(0, x0 - 1) : x1 + 1] = True
    assert differ.any() and (differ & ~ours).sum() < 0.02 * differ.sum()  # slivers behind a lamp
    assert videos[0].key != videos[1].key


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(plaza.ALL_KINDS), st.floats(0, 1), st.integers(0, 40))
def test_labels_fit_masks_at_every_effect(kind, effect, seed):
    video = plaza.videos("test", 1, 40, (32, 48), seed, kinds=[kind], level="clear", effect=effect)[
        0
    ]
    abnormal = video.masks.any((1, 2))
    assert np.array_equal(video.labels == 1, abnormal)
    assert np.array_equal(video.truth["kind"] != "", abnormal)
    assert np.array_equal(video.truth["abnormal"].any(1), abnormal)
    assert set(video.truth["kind"]) <= {"", kind}


@pytest.mark.parametrize("kind", plaza.ALL_KINDS)
def test_anomalies_are_there_and_end_at_every_effect(kind):
    for effect in (0.0, 0.3, plaza.MOST[kind]):
        for video in plaza.videos(
            "test", 3, LENGTH, (32, 48), 1, kinds=[kind], level="clear", effect=effect
        ):
            assert 5 <= video.labels.sum() <= 0.8 * LENGTH, (effect, video.name)


def test_an_effect_of_zero_walks_and_looks_as_everybody():
    """Speeds, lanes and looks of the anomalies at 0 lie among those of passers-by."""
    usual = [a for actors in cast("", 0.0) for a in actors if a.stands is False]
    speed = {r: [np.median(a.speed) for a in usual if a.role == r] for r in ("walker", "cyclist")}
    for kind in plaza.ALL_KINDS:
        for actors in cast(kind, 0.0):
            for actor in guilty(actors, kind):
                role = "cyclist" if actor.role == "cyclist" else "walker"
                low, high = min(speed[role]), max(speed[role])
                assert 0.9 * low <= np.median(actor.speed) <= 1.1 * high, (kind, actor.role)
                assert plaza.role_of(actor) in {
                    "walker",
                    "cyclist",
                    "case",
                }


def test_looks_at_zero_are_a_passer_bys_to_the_bit():
    for kind in ("appearance", "size", "shape", "colour", "motion"):
        for actors in cast(kind, 0.0, count=3):
            for actor in guilty(actors, kind):
                drawn = actor.figure()
                actor.role, actor.kind = "walker", ""
                plain = actor.figure()
                assert [p[0] for p in drawn.parts] == [p[0] for p in plain.parts]
                assert np.allclose(np.stack(drawn.points), np.stack(plain.points), atol=1e-12)


def test_speed_ratio_grows_with_the_effect():
    def fastest(effect):
        return np.mean(
            [
                np.median(a.speed)
                for actors in cast("motion", effect)
                for a in guilty(actors, "motion")
            ]
        )

    walk, half, run, more = (fastest(e) for e in (0.0, 0.5, 1.0, 1.5))
    assert walk < half < run < more
    assert half / walk == pytest.approx(run / half, rel=0.05)  # equal factors
    assert run / walk == pytest.approx(2.7, rel=0.2)


def test_the_angle_to_the_arrows_is_the_effect_times_a_half_turn():
    for effect in (0.0, 0.25, 0.5, 0.75, 1.0):
        along = [
            (actor.heading[actor.abnormal][5:-5, 0] / 1.0)
            for actors in cast("direction", effect, count=8)
            for actor in guilty(actors, "direction")
        ]
        middle = np.median(np.concatenate(along))
        assert middle == pytest.approx(np.cos(np.pi * effect), abs=0.2)


def test_nobody_leaves_the_arrows_walk_while_at_an_angle():
    camera = Camera((128, 192), height=HIGH / plaza.LEVELS["clear"].zoom)
    low, high = (camera.depth(row) for row in plaza.LAYOUT.one_way[::-1])
    for actors in cast("direction", 0.5):
        for actor in guilty(actors, "direction"):
            assert (actor.at[:, 1] > low).all() and (actor.at[:, 1] < high).all()


def test_a_place_effect_goes_from_the_walk_to_the_lawn_in_metres():
    def depths(effect):
        found = [a.at[a.abnormal, 1] for actors in cast("place", effect)
                 for a in guilty(actors, "place") if a.does == "lawn"]  # fmt: skip
        return np.mean([d.min() for d in found])

    far, middle, near = (depths(e) for e in (0.0, 0.5, 1.0))
    assert far > middle > near  # the lawn lies between the promenade and us
    assert middle == pytest.approx((far + near) / 2, abs=0.15)


def test_a_suitcase_is_left_alone_and_stays():
    for actors in cast("left behind", 1.0):
        (case,) = guilty(actors, "left behind")
        alone = case.at[case.abnormal]
        assert np.ptp(alone[:, 0]) < 1e-9 and 0.2 * 150 < len(alone) < 0.5 * 150
        then = case.frames[case.abnormal]
        lane = [a for a in actors if a.role == "walker" and abs(a.at[0, 1] - case.at[0, 1]) < 0.3]
        far = [np.abs(a.at[np.isin(a.frames, then), 0] - alone[0, 0]) for a in lane]
        gone = [d.max() for d in far if len(d)]
        assert max(gone) > 1.5  # its owner walks on


def test_a_suitcase_in_tow_at_zero_stays_with_its_owner():
    for actors in cast("left behind", 0.0):
        for case in guilty(actors, "left behind"):
            assert np.allclose(np.diff(case.at[:, 0]), np.diff(case.at[:, 0])[0], atol=1e-9)


def test_vigour_of_an_interaction_grows():
    def away(effect):  # how far the two are from two who just pass each other
        shown = (a for actors in cast("interaction", effect) for a in guilty(actors, "interaction"))
        ways = [a.at[:, 1] - np.median(a.at[:, 1]) for a in shown if a.does == "circling"]
        return np.mean([np.abs(way).max() for way in ways])

    calm, half, full = (away(e) for e in (0.0, 0.5, 1.0))
    assert calm < 0.01 < half < full


@given(st.floats(0.1, 50), st.floats(0.1, 50))
def test_mixtures_are_exact_at_both_ends(a, b):
    assert mix(a, b, 0.0) == a and mix(a, b, 1.0) == b
    assert ratio(a, b, 0.0) == a and ratio(a, b, 1.0) == b
    assert min(a, b) * 0.999 <= ratio(a, b, 0.5) <= max(a, b) * 1.001


# --- conditions ----------------------------------------------------------------------------------


def still(**dials):
    """Training frames of a level without noise, light and shake but for what is turned."""
    quiet = {"noise": 0.0, "light": 0.0, "shake": 0.0} | dials
    return plaza.videos("train", 1, 60, SIZE, seed=4, level=plaza.turned("busy", **quiet))[0]


def test_each_condition_is_turned_alone():
    plain = still()
    change = still(noise=8.0).frames.astype(int) - plain.frames
    assert change.std() == pytest.approx(8, rel=0.1) and abs(change.mean()) < 0.5
    light = [np.ptp(still(light=x).frames.mean((1, 2, 3))) for x in (1.0, 6.0)]
    assert light[1] > 3 * light[0]
    steady = np.abs(np.diff(plain.frames.astype(int), axis=0))
    shaken = np.abs(np.diff(still(shake=4.0).frames.astype(int), axis=0))
    assert shaken.mean((1, 2, 3)).max() > 2 * steady.mean((1, 2, 3)).max()
    dark = [np.median(still(shadow=x).frames, 0).min(-1).mean() for x in (0.0, 2.0)]
    assert dark[0] > dark[1]


def test_people_in_view_and_their_height():
    def look(**dials):
        videos = plaza.videos("train", 1, 60, SIZE, 6, level=plaza.turned("busy", **dials))
        boxes = np.concatenate([v.truth["boxes"].reshape(-1, 4) for v in videos])
        count = np.mean([(~np.isnan(v.truth["speed"])).sum(1).mean() for v in videos])
        return count, np.nanquantile(boxes[:, 3] - boxes[:, 1], 0.75)

    (many, small), (few, _), (_, large) = look(), look(crowd=0.3), look(zoom=2.0)
    assert few < 0.5 * many
    assert large / small == pytest.approx(2.0, rel=0.15)


def test_a_level_has_its_own_keys_and_the_same_clock():
    levels = [plaza.videos("train", 1, 40, SIZE, level=level)[0] for level in plaza.LEVELS]
    assert len({v.key for v in levels}) == len(levels)
    assert not np.array_equal(levels[0].frames, levels[1].frames)


def test_busy_shows_six_kinds_and_clear_one_more():
    assert plaza.KINDS_OF["busy"] == plaza.KINDS and "left behind" not in plaza.KINDS
    videos = plaza.videos("test", 7, 60, (48, 72), level="clear")
    shown = [next(iter(set(v.truth["kind"]) - {""})) for v in videos]
    assert shown == [*plaza.KINDS, "left behind"]


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"level": "foggy"}, "foggy"),
        ({"kinds": ["weather"]}, "weather"),
        ({"effect": -0.1}, "effect of"),
        ({"effect": float("nan")}, "effect of"),
        ({"kinds": ["direction"], "effect": 1.2}, "direction is 1.2"),
        ({"effect": 1.2}, "direction is 1.2"),
    ],
)
def test_bad_dials_are_named(wrong, says):
    with pytest.raises(VadError, match=says):
        plaza.videos(**{"split": "test", "count": 1, "length": 40, "size": SIZE, **wrong})


@pytest.mark.parametrize("name", BOUNDS)
def test_a_dial_out_of_range_is_named(name):
    low, high = BOUNDS[name]
    for value in (low - 1, high * 1.01, float("nan")):
        with pytest.raises(VadError, match=name):
            plaza.turned("busy", **{name: value})


def test_an_unknown_dial_is_named():
    with pytest.raises(VadError, match="fog"):
        plaza.turned("clear", fog=1)


@pytest.mark.parametrize("kind", ["direction", "place", "left behind"])
def test_the_shortest_videos_hold_both_too(kind):
    for effect in (0.0, 0.5):
        for video in plaza.videos(
            "test", 6, 40, (32, 48), 1000, kinds=[kind], level="clear", effect=effect
        ):
            assert 3 <= video.labels.sum() <= 37
