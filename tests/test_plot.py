"""Figures say what the data say: bands where labels are, colours for directions, real films."""

import base64
import io
import re

import av
import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from vadlib.errors import VadError
from vadlib.show import pictures, plot


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def frames(count=6, size=(24, 36), channels=1):
    return np.random.default_rng(0).integers(0, 255, (count, *size, channels), dtype=np.uint8)


# Strips and curves


def test_the_band_covers_the_abnormal_frames_and_no_others():
    ax = plot.score_strip(
        np.arange(6), labels=np.array([1, 0, 1, 1, 0, 1]), index=np.arange(10, 16), threshold=3.0
    )
    bands = [(p.get_x(), p.get_x() + p.get_width()) for p in ax.patches]
    assert bands == [(9.5, 10.5), (11.5, 13.5), (14.5, 15.5)]
    assert np.array_equal(ax.lines[0].get_xdata(), np.arange(10, 16))
    assert np.array_equal(ax.lines[1].get_ydata(), [3.0, 3.0])
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["abnormal (truth)", "score", "threshold"]


def test_a_strip_without_labels_has_no_band_and_no_legend():
    ax = plot.score_strip(np.arange(4))
    assert not ax.patches and ax.get_legend() is None


def test_several_lines_differ_in_colour_and_in_style():
    ax = plot.score_strip({name: np.arange(3) for name in "abcdefg"})
    assert len({line.get_color() for line in ax.lines}) == 7
    assert len({str(line._unscaled_dash_pattern) for line in ax.lines}) >= 6


@pytest.mark.parametrize("wrong", [{"labels": np.ones(3)}, {"index": np.arange(5)}])
def test_a_strip_refuses_lengths_that_differ(wrong):
    with pytest.raises(VadError, match="for 4 scores"):
        plot.score_strip(np.arange(4), **wrong)


def test_roc_draws_what_the_metrics_say():
    ax = plot.roc({"mine": (np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))})
    assert "mine: AUC 75.0" in [text.get_text() for text in ax.get_legend().get_texts()]
    assert (0.0, 0.5) in set(zip(*ax.lines[0].get_data(), strict=True))


def test_figures_use_the_axes_they_are_given_and_leave_the_style_alone():
    before = dict(mpl.rcParams)
    _, ax = plt.subplots()
    assert plot.score_strip(np.arange(4), ax=ax) is ax
    assert plot.heat_over_frame(frames()[0], np.ones((3, 4)), ax=ax) is ax
    assert plot.flow_wheel(ax=ax) is ax
    assert len(plt.get_fignums()) == 1 and dict(mpl.rcParams) == before


def test_strips_that_share_an_axis_name_it_once():
    _, axes = plt.subplots(2, 1, sharex=True)
    for ax in axes:
        plot.score_strip(np.arange(4), ax=ax)
    assert [ax.get_xlabel() for ax in axes] == ["", "frame"]


def test_a_backend_that_wakes_up_inside_a_figure_keeps_its_settings(monkeypatch):
    """Jupyter's does so at the first figure; without them no later figure would be shown."""
    monkeypatch.setitem(mpl.rcParams, "interactive", False)
    plot._styled(lambda: mpl.rcParams.update(interactive=True))()
    assert mpl.rcParams["interactive"]


def test_text_is_readable_and_the_ground_is_white():
    sizes = [
        v for k, v in plot.STYLE.items() if k.endswith(("size", "fontsize")) and "fig" not in k
    ]
    assert sizes and min(sizes) >= 9
    figure = plot.score_strip(np.arange(4)).figure
    assert figure.get_facecolor() == (1, 1, 1, 1) and figure.get_figwidth() == plot.WIDTH


# Pictures


def test_directions_have_their_own_colours_and_rest_is_white():
    flow = np.array([[[1, 0], [0, 1], [-1, 0], [0, -1], [0, 0]]], dtype=np.float16)
    colours = plot.flow_rgb(flow)
    assert colours.dtype == np.uint8 and len(np.unique(colours[0], axis=0)) == 5
    assert np.array_equal(colours[0, 4], [255, 255, 255])
    assert colours[0, 0, 0] > colours[0, 0, 1]  # to the right is red, as in the literature


def test_the_limit_makes_pictures_comparable():
    slow, fast = np.full((2, 2, 2), 0.5), np.full((2, 2, 2), 1.0)
    assert np.array_equal(plot.flow_rgb(slow), plot.flow_rgb(fast))
    assert not np.array_equal(plot.flow_rgb(slow, 2.0), plot.flow_rgb(fast, 2.0))
    assert np.array_equal(plot.flow_rgb(3 * fast, 1.0), plot.flow_rgb(fast, 1.0))


@pytest.mark.parametrize("channels", [1, 3])
def test_heat_colours_where_it_is_hot_only(channels):
    frame = np.full((20, 30, channels), 90, np.uint8)
    heat = np.zeros((20, 30))
    heat[5:10, 5:10] = 2
    rgb = plot.heat_rgb(frame, heat)
    assert (rgb[15:, 20:] == 90).all() and (rgb[6:9, 6:9, 0] > 150).all()
    assert np.array_equal(plot.heat_rgb(frame, 0 * heat), np.full((20, 30, 3), 90))


def test_a_mask_is_outlined_unless_empty():
    mask = np.zeros((24, 36), bool)
    ax = plot.heat_over_frame(frames()[0], np.ones((3, 4)), mask)
    assert not ax.collections
    mask[4:9, 4:9] = True
    assert plot.heat_over_frame(frames()[0], np.ones((3, 4)), mask).collections


def test_arrows_stand_where_something_moves():
    flow = np.zeros((40, 60, 2))
    flow[:20] = (2, -1)
    _, ax = plt.subplots()
    quiver = plot.flow_arrows(flow, ax, every=10).collections[0]
    assert quiver.N == 12 and set(quiver.U) == {2} and set(quiver.V) == {-1}
    _, still = plt.subplots()
    assert not plot.flow_arrows(0 * flow, still).collections


def test_sheet_shows_all_pictures_with_their_titles():
    axes = plot.sheet(frames(5), titles=list("abcde"), columns=3)
    assert axes.shape == (2, 3) and all(isinstance(ax, Axes) for ax in axes.flat)
    assert [ax.get_title(loc="left") for ax in axes.flat] == [*"abcde", ""]
    assert [len(ax.images) for ax in axes.flat] == [1] * 5 + [0]
    with pytest.raises(VadError):
        plot.sheet([])


def test_pictures_out_of_range_are_refused():
    with pytest.raises(VadError, match="from 0.00 to 7.00"):
        pictures.as_rgb(np.array([[0.0, 7.0]]))
    assert np.array_equal(pictures.as_rgb(np.array([[0.0, 1.0]]))[0, :, 2], [0, 255])


# Films and sliders


def content(page, mime):
    (encoded,) = re.findall(rf'src="data:{mime};base64,([^"]+)"', page.html)
    return io.BytesIO(base64.b64decode(encoded))


def film(**more):
    rng = np.random.default_rng(0)
    parts = {"scores": rng.random(6), "labels": np.array([0, 0, 1, 1, 1, 0]), **more}
    return plot.film(frames(), **parts, alt='a "plaza" & people', width=160)


@pytest.mark.parametrize(
    "codecs, mime, name", [(None, "video/mp4", "h264"), ({"libvpx-vp9"}, "video/webm", "vp9")]
)
def test_a_film_is_a_video_with_every_frame(codecs, mime, name, monkeypatch):
    if codecs is not None:
        monkeypatch.setattr(av, "codecs_available", codecs)
    page = film(heat=np.ones((6, 3, 4)), masks=np.ones((6, 24, 36), bool))
    with av.open(content(page, mime)) as video:
        stream = video.streams.video[0]
        assert stream.codec_context.name == name and stream.codec_context.pix_fmt == "yuv420p"
        decoded = [f.to_ndarray(format="rgb24") for f in video.decode(stream)]
    assert len(decoded) == 6 and decoded[0].shape[1] == 160
    assert decoded[0].shape[0] > 160 * 24 / 36 + 50  # the score strip stands above the frame


def test_without_a_video_encoder_a_film_is_an_animated_image(monkeypatch):
    monkeypatch.setattr(av, "codecs_available", set())
    page = film()
    with Image.open(content(page, "image/webp")) as image:
        assert image.n_frames == 6
    assert 'alt="a &quot;plaza&quot; &amp; people"' in page.html


def test_the_cursor_of_a_film_moves_with_time():
    strip, columns = plot._strip(
        np.random.default_rng(0).random(20), np.ones(20), 2 * np.arange(20), 300
    )
    assert strip.shape[1] == 300 and strip.shape[0] % 2 == 0
    assert (np.diff(columns) > 0).all() and columns[0] > 0 and columns[-1] < 300


def test_a_film_stands_alone_and_can_be_read_without_being_seen():
    page = film()
    assert "http" not in page.html and " controls" in page.html
    assert 'aria-label="a &quot;plaza&quot; &amp; people"' in page.html
    assert repr(page) == 'a "plaza" & people' and page._repr_html_() == page.html


def test_a_film_says_below_it_what_it_shows():
    assert "<figcaption>a &quot;plaza&quot; &amp; people</figcaption></figure>" in film().html


def test_a_film_refuses_lengths_that_differ():
    with pytest.raises(VadError, match="film: 5 labels for 6 frames"):
        film(labels=np.ones(5))


def test_a_slider_holds_all_pictures_and_shows_the_first():
    page = plot.slider(frames(3, channels=3), ["<one>", "two", "three"], alt="a choice")
    assert page.html.count("<img ") == 3 and page.html.count(" hidden") == 2
    assert 'type="range" min="0" max="2" value="0"' in page.html
    assert 'aria-label="a choice"' in page.html and "&lt;one&gt;" in page.html
    assert "http" not in page.html and "<script" not in page.html and ' id="' not in page.html


def test_a_slider_takes_figures_and_closes_them():
    figures = [plot.score_strip(np.arange(4)).figure for _ in range(2)]
    page = plot.slider(figures, ["a", "b"])
    assert page.html.count("data:image/webp") == 2 and not plt.get_fignums()


@pytest.mark.parametrize("count", [0, 1])
def test_a_slider_needs_a_caption_for_each_picture(count):
    with pytest.raises(VadError, match="slider"):
        plot.slider(frames(count), ["a", "b"] if count else [])


def test_arrows_of_a_diagram_run_from_rim_to_rim():
    """A wide box must not hide the head of an arrow."""
    nodes = {"a": (0, 0, "in", "data"), "b": (1, 0, "a very wide box", "net"), "c": (1, 1, "up")}
    ax = plot.diagram(nodes, [("a", "b", "MLP"), ("b", "c")])
    ax.figure.canvas.draw()
    words = {t.get_text(): t for t in ax.texts if t.get_text()}
    assert set(words) == {"in", "a very wide box", "up", "MLP"}
    wide = words["a very wide box"].get_bbox_patch().get_window_extent()
    arrow = next(t.arrow_patch for t in ax.texts if getattr(t, "arrow_patch", None))
    assert arrow.get_window_extent().x1 <= wide.x0 + 1
    phone = 390 / ax.figure.get_size_inches()[0]  # pixels of an inch where the page is 390 wide
    assert all(t.get_fontsize() / 72 * phone >= 9 for t in ax.texts if t.get_text())
    rims = [words[w].get_bbox_patch().get_window_extent() for w in ("in", "a very wide box")]
    label = words["MLP"].get_window_extent()
    assert label.y0 > max(r.y1 for r in rims) or rims[0].x1 < label.x0 < label.x1 < rims[1].x0
    for bad in ([("a", "z")], [("z", "a")]):
        with pytest.raises(VadError, match="no node 'z'"):
            plot.diagram(nodes, bad)
    with pytest.raises(VadError, match="no kind 'soup'"):
        plot.diagram({"a": (0, 0, "in", "soup")}, [])


def test_a_method_looks_the_same_in_every_figure():
    assert plot.look("MAAM-Net") == plot.look("maam") == {"color": "#0072B2", "linestyle": "-"}
    assert plot.look("Local Patterns' distance") != plot.look("Local Patterns")
    assert plot.look("told the boxes") != plot.look("told the truth")
    assert len(set(plot.METHODS.values())) == len(plot.METHODS), "and no other looks like it"
    with pytest.raises(VadError, match="no colour is kept for 'a new one'"):
        plot.look("a new one")
