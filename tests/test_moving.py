"""Things to move: what the page's script says is what the library says, by keyboard, and without
scripts a picture stands in its place."""

import re
from pathlib import Path

import numpy as np
import pytest

from vadlib.detector import Scores
from vadlib.errors import VadError
from vadlib.measure import frame_auc
from vadlib.show import moving

STATIC = Path(__file__).parent.parent / "book" / "_static"
rng = np.random.default_rng(0)
LENGTHS = (40, 25, 30)
LABELS = [np.arange(n) % 40 >= 20 for n in LENGTHS[:2]] + [np.ones(LENGTHS[2], bool)]
SCORES = [np.round(rng.normal(size=n) + y, 1) for n, y in zip(LENGTHS, LABELS, strict=True)]  # ties


def a_scrubber():
    frames = rng.integers(0, 255, (12, 24, 32, 1), dtype=np.uint8)
    heat = rng.random((12, 3, 4))
    return moving.scrubber(frames, SCORES[0][15:27], LABELS[0][15:27], heat, np.arange(15, 27))


def a_psi():
    maps = [rng.random((2, n, 5, 6)) for n in LENGTHS]
    return moving.psi([m[0] for m in maps], [m[1] for m in maps], LABELS, 0.25)


def the_protocols(ranked=False):
    skips = {"every frame": (0, 0), "all but the first three": (3, 0), "but the last": (0, 1)}
    methods = {
        name: [
            Scores(str(v), s[a : len(s) - b], np.arange(a, len(s) - b))
            for v, s in enumerate(SCORES)
        ]
        for name, (a, b) in skips.items()
    }
    if ranked:  # one that sees the labels two frames late
        methods["late"] = [
            Scores(str(v), np.roll(y, 2) + 0.1 * s, np.arange(len(y)))
            for v, (y, s) in enumerate(zip(LABELS, SCORES, strict=True))
        ]
    return moving.protocols(methods, LABELS, ranked=ranked)


def an_eye():
    frame = lambda: rng.integers(0, 255, (24, 32, 3), dtype=np.uint8)  # noqa: E731
    effects = {"place": (0.0, 0.25, 0.5, 1.0), "motion": (0.0, 0.25, 0.5, 1.0, 1.5)}
    scenes = {
        kind: [(e, frame(), (2.0 + i, 3.0, 9.0, 20.5)) for i, e in enumerate(row)]
        for kind, row in effects.items()
    }
    aucs = {m: {k: rng.random(len(row)) for k, row in effects.items()} for m in ("MDSF", "flow")}
    return moving.eye(scenes, aucs)


MAKE = {
    "scrubber": a_scrubber,
    "eye": an_eye,
    "threshold": lambda: moving.threshold(SCORES, LABELS),
    "psi": a_psi,
    "protocols": the_protocols,
    "protocols, ranked": lambda: the_protocols(ranked=True),
}
each_kind = pytest.mark.parametrize("kind", MAKE)


@pytest.fixture
def opened(chromium, tmp_path):
    """Opens a moving thing as a built page holds it; says what its script complained about."""
    pages, said = [], []

    def open_(thing, scripts=True):
        script = (STATIC / "moving.js").read_text()
        body = f'<div class="cell_output">{thing.html()}</div><script type="module">{script}'
        path = tmp_path / "page.html"
        path.write_text(f'<!doctype html><html lang="en"><meta charset="utf-8">{body}</script>')
        page = chromium.new_page(java_script_enabled=scripts)
        pages.append(page)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.as_uri())
        return page

    yield open_
    assert not said
    for page in pages:
        page.close()


def caption(page):
    return page.locator("figcaption").inner_text()


@each_kind
def test_script_and_library_say_the_same(opened, kind):
    """Every option of every choice, and several steps of every slider, set by the keyboard."""
    thing = MAKE[kind]()
    page = opened(thing)
    values = dict(thing.start)
    assert caption(page) == thing.say(values)
    heard = {caption(page)}
    for dial in thing.dials:
        control = page.locator(f"[name={dial.name}]")
        if dial.options:
            for option in dial.options:
                control.select_option(option)
                values[dial.name] = option
                assert caption(page) == thing.say(values)
                heard.add(caption(page))
        elif isinstance(dial.value, bool):
            control.press("Space")
            assert control.is_checked() is not dial.value
        else:
            for key, times in (("Home", 1), ("ArrowRight", 3), ("End", 1), ("ArrowLeft", 2)):
                for _ in range(times):
                    control.press(key)
                values[dial.name] = type(dial.value)(control.input_value())
                assert caption(page) == thing.say(values)
                heard.add(caption(page))
    assert len(heard) > 3, "the dials change what is said"


@each_kind
def test_what_is_drawn_moves_and_the_picture_gives_way(opened, kind):
    page = opened(MAKE[kind]())
    drawn = page.locator(".vad-drawing")
    assert drawn.is_visible() and not page.locator("figure > img").is_visible()
    before = drawn.inner_html()
    page.locator("input[type=range]").first.press("End")
    page.locator("select, input[type=range]").first.press("End")
    assert drawn.inner_html() != before


@each_kind
def test_without_scripts_the_picture_and_its_sentence_stand(opened, kind):
    thing = MAKE[kind]()
    page = opened(thing, scripts=False)
    picture = page.locator("figure > img")
    assert picture.is_visible() and picture.bounding_box()["height"] > 100
    assert picture.get_attribute("alt") == thing.alt and caption(page) == thing.say(thing.start)


@each_kind
def test_in_a_kernel_the_same_is_a_widget(kind):
    thing = MAKE[kind]()
    box = thing.widget()
    picture, said = box.children[-2:]
    before = picture.value
    assert said.value == thing.say(thing.start)
    slider = next(c for c in box.children if "Slider" in type(c).__name__)
    slider.value = slider.max
    dial = next(d for d in thing.dials if d.label == slider.description)
    assert said.value == thing.say(thing.start | {dial.name: slider.value})
    assert picture.value != before
    shown = thing._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in shown and "vad-move" in shown["text/html"]


def test_corners_are_all_that_the_maximum_needs():
    for shape in ((1, 1), (1, 2), (7, 9)):
        a, m = rng.random((2, *shape))
        kept = moving.corners(a, m)
        for psi in np.linspace(0, 1, 21):
            assert np.isclose((psi * kept[:, 0] + (1 - psi) * kept[:, 1]).max(),
                              (psi * a + (1 - psi) * m).max())  # fmt: skip
    assert len(kept) < 15, "of 63 patches, few can win"
    line = np.linspace(0, 1, 8)
    assert len(moving.corners(line, 1 - line)) == 2, "points on one line: its ends"


def test_the_calculator_counts_as_the_library_does():
    """By hand: the headline is micro AUC by frame number; the last video has one class."""
    thing = the_protocols()
    say = lambda **v: thing.say(thing.start | v)  # noqa: E731
    headline = frame_auc(SCORES, LABELS)
    assert f"every frame {moving._percent(headline)}" in say()
    macro = np.mean([frame_auc([s], [y]) for s, y in zip(SCORES[:2], LABELS[:2], strict=True)])
    left_out = "mean over videos, those of one class left out"
    assert f"every frame {moving._percent(macro)}" in say(average=left_out)
    shifted = frame_auc([s[3:] for s in SCORES], [y[:-3] for y in LABELS])
    assert f"all but the first three {moving._percent(shifted)}" in say(
        pairing="from the first label"
    )


def test_whoever_leaves_the_place_of_the_start_says_so():
    thing = the_protocols(ranked=True)
    line = re.compile(r"(\d)\. ([a-z ]+) ([\d.]+) %(?: \(was (\d)\.\))?")
    first = line.findall(thing.say(thing.start))
    then = line.findall(thing.say(thing.start | {"sigma": 20}))
    assert [place for place, *_ in first] == [place for place, *_ in then] == list("1234")
    for rows in (first, then):
        values = [float(value) for _, _, value, _ in rows]
        assert values == sorted(values, reverse=True)
    before = {name: place for place, name, *_ in first}
    assert not any(was for *_, was in first) and any(was for *_, was in then)
    assert all(was == (before[n] if before[n] != place else "") for place, n, _, was in then)
    assert moving.places({"a": 0.5, "b": 0.7, "c": 0.5 + 1e-12}) == {"b": 1, "a": 2, "c": 3}


def test_halves_are_rounded_up_in_both():
    """12.5 is written as "12" by Python's format, and as "13" by browsers."""
    assert moving._percent(0.125, 0) == "13 %" and moving._percent(0.8125) == "81.3 %"


def test_lengths_and_gaps_are_refused():
    scene = [(0.0, np.zeros((8, 8, 1), np.uint8), (0, 0, 1, 1))]
    with pytest.raises(VadError, match="2 AUCs of motion, for 1 effects"):
        moving.eye({"motion": scene}, {"a method": {"motion": [0.5, 0.6]}})
    with pytest.raises(VadError, match="2 scores"):
        moving.scrubber(np.zeros((3, 8, 8, 1), np.uint8), [1, 2], [0, 1, 0], np.ones((3, 2, 2)))
    gap = Scores("a", np.array([0.1, 0.2]), np.array([0, 2]))
    with pytest.raises(VadError, match="leaves out frames"):
        moving.protocols({"gappy": [gap]}, [np.array([0, 1, 1])])
