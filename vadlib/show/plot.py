"""Figures in one house style: white ground, colours that everybody can tell apart, and films.

Every function draws on the Axes it is given, or on a new figure, and returns the Axes. `film` and
`slider` return a `Page` instead: HTML that carries its pictures with it, and so plays in a notebook
and in a static page alike.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

import cv2
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vadlib.errors import VadError
from vadlib.measure.frames import eer, frame_auc, roc_points
from vadlib.show.diagram import diagram as _diagram
from vadlib.show.pictures import Page, as_rgb, flow_rgb, heat_rgb, play, slider

__all__ = [
    "diagram",
    "film",
    "flow_arrows",
    "flow_rgb",
    "flow_wheel",
    "heat_over_frame",
    "look",
    "heat_rgb",
    "roc",
    "score_strip",
    "sheet",
    "slider",
    "style",
    "training_curve",
]
# Okabe and Ito's colours, which differ in lightness too; the line style says it a second time.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
# One colour and line a method, by how its name begins, the longest first; rules are black and grey.
METHODS = {
    "maam": (COLOURS[0], "-"),
    "its appearance": (COLOURS[0], "--"),
    "msti": (COLOURS[1], "-"),
    "mdsf": (COLOURS[2], "-"),
    "local patterns": (COLOURS[3], "-"),
    "local patterns' distance": (COLOURS[3], "--"),
    "attributes": (COLOURS[4], "-"),
    "attributes (paper)": (COLOURS[4], "--"),
    "la net": (COLOURS[5], "-"),
    "measured boxes": (COLOURS[5], "--"),
    "told": (COLOURS[2], ":"),
    "told the boxes": (COLOURS[2], "-."),
    "zero flow": (COLOURS[6], "-"),
    "copy": (COLOURS[6], "--"),
    "flow magnitude": (COLOURS[6], ":"),
    "speed of boxes": (COLOURS[6], "-."),
    "motion gradient": ("#777777", ":"),
    "mean image": ("#777777", "-"),
    "median": ("#777777", "--"),
    "random": ("#AAAAAA", "-"),
}
ABNORMAL = "#F4C7AB"  # the band behind abnormal frames
OUTLINE = "#00E5FF"  # the edge of a mask: bright on grey, and far from every colour of heat
WIDTH = 6.5  # inches; as wide as the page's column, so that 9 points are 9 points
STYLE: dict[Any, Any] = {
    "figure.dpi": 130,
    "figure.figsize": (WIDTH, 3.2),
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "white",
    "axes.facecolor": "white",
    "axes.prop_cycle": cycler(color=COLOURS) + cycler(linestyle=LINES),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "font.size": 10,
    "lines.linewidth": 1.6,
    "image.cmap": "gray",
}
P = ParamSpec("P")
R = TypeVar("R")


def style() -> None:
    """Use the house style for the figures that a notebook draws itself."""
    mpl.rcParams.update(STYLE)


def _styled(draw: Callable[P, R]) -> Callable[P, R]:
    @functools.wraps(draw)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        # Not rc_context: it would also undo what a notebook sets as its backend first wakes here,
        # and then no later figure would be shown.
        before = {name: mpl.rcParams[name] for name in STYLE}
        mpl.rcParams.update(STYLE)
        try:
            return draw(*args, **kwargs)
        finally:
            mpl.rcParams.update(before)

    return wrapped


def _axes(ax: Axes | None, width: float = WIDTH, height: float = 2.2) -> Axes:
    return plt.subplots(figsize=(width, height))[1] if ax is None else ax


diagram = _styled(_diagram)


@_styled
def score_strip(
    scores: np.ndarray | Mapping[str, np.ndarray],
    labels: np.ndarray | None = None,
    index: np.ndarray | None = None,
    ax: Axes | None = None,
    title: str | None = None,
    threshold: float | None = None,
) -> Axes:
    """Scores over time, with a band behind the frames that are abnormal.

    scores     (N,), or several lines by name
    labels     (N,) 0/1, the truth about the same frames
    index      (N,) the frame each score speaks for; 0..N-1 when None
    threshold  drawn as a level line
    Raises VadError when the lengths differ.
    """
    lines = dict(scores) if isinstance(scores, Mapping) else {"": np.asarray(scores)}
    count = len(next(iter(lines.values())))
    x = np.arange(count) if index is None else np.asarray(index)
    for name, part in {**lines, "labels": labels, "index": x}.items():
        if part is not None and len(part) != count:
            raise VadError(
                f"score strip: {len(part)} of {name or 'scores'} for {count} scores",
                "Give one label and one index a score.",
            )
    ax = _axes(ax)
    for i, (start, stop) in enumerate(_runs(labels)):
        name = "abnormal (truth)" if i == 0 else None
        ax.axvspan(x[start] - 0.5, x[stop - 1] + 0.5, color=ABNORMAL, lw=0, label=name)
    for name, line in lines.items():
        ax.plot(x, line, label=name or "score")
    if threshold is not None:
        ax.axhline(threshold, color="black", lw=1, ls=":", label="threshold")
    ax.set(ylabel="score", xlim=(x[0] - 0.5, x[-1] + 0.5), title=title or "")
    if ax.xaxis.get_tick_params()["labelbottom"]:  # not where strips share the axis of the lowest
        ax.set_xlabel("frame")
    if len(ax.get_legend_handles_labels()[1]) > 1:
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, borderaxespad=0.2)
    return ax


def _runs(labels: np.ndarray | None) -> list[tuple[int, int]]:
    """First and one past the last of each stretch of ones."""
    if labels is None:
        return []
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(labels) > 0, [0]]).astype(int)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


@_styled
def heat_over_frame(
    frame: np.ndarray,
    heat: np.ndarray,
    mask: np.ndarray | None = None,
    ax: Axes | None = None,
    limit: float | None = None,
    title: str | None = None,
) -> Axes:
    """A heat map over its frame, and the outline of the true mask; arguments as in `heat_rgb`.

    mask  (H, W) bool, outlined where it is not empty
    """
    ax = _axes(ax, 4.2, 3.0)
    ax.imshow(heat_rgb(frame, heat, limit))
    if mask is not None and np.any(mask):
        ax.contour(np.asarray(mask, float), levels=[0.5], colors=[OUTLINE], linewidths=1.6)
    ax.set(title=title or "")
    ax.set_axis_off()
    return ax


@_styled
def flow_wheel(ax: Axes | None = None, limit: float | None = None) -> Axes:
    """The legend of `flow_rgb`: the colour of each direction; its rim is the speed `limit`."""
    ax = _axes(ax, 2.0, 2.0)
    x, y = np.meshgrid(np.linspace(-1, 1, 201), np.linspace(-1, 1, 201))
    wheel = flow_rgb(np.stack([x, y], axis=-1), 1.0)
    wheel[np.hypot(x, y) > 1] = 255
    ax.imshow(wheel, extent=(-1, 1, 1, -1))  # y grows downwards, as in images
    for at, name in {
        (1.1, 0): "right",
        (-1.1, 0): "left",
        (0, -1.1): "up",
        (0, 1.1): "down",
    }.items():
        across = {1.1: "left", -1.1: "right"}.get(at[0], "center")
        along = {1.1: "top", -1.1: "bottom"}.get(at[1], "center")
        ax.text(at[0], at[1], name, ha=across, va=along, fontsize=9)
    if limit is not None:
        ax.text(0, 1.45, f"rim: {limit:.1f} px/frame", ha="center", va="top", fontsize=9)
    ax.set_axis_off()
    return ax


@_styled
def flow_arrows(flow: np.ndarray, ax: Axes, every: int = 10, least: float = 0.3) -> Axes:
    """Arrows on a picture of the flow's size, one each `every` pixels where something moves.

    flow   (H, W, 2); the fastest arrow is twice `every` long, the others in proportion
    least  the speed, in pixels per frame, below which none is drawn
    """
    flow = np.asarray(flow, dtype=np.float32)
    rows, columns = (range(every // 2, size, every) for size in flow.shape[:2])
    x, y = (grid.ravel() for grid in np.meshgrid(columns, rows))
    dx, dy = flow[y, x].T
    speed = np.hypot(dx, dy)
    if (fast := speed >= least).any():
        scale = {"angles": "xy", "scale_units": "xy", "scale": speed.max() / (2 * every)}
        ax.quiver(x[fast], y[fast], dx[fast], dy[fast], width=0.004, color="black", **scale)
    return ax


@_styled
def roc(curves: Mapping[str, tuple[Any, Any]], ax: Axes | None = None) -> Axes:
    """ROC curves by name, each of (scores, labels) as `frame_auc` takes them.

    Dots mark equal error. Raises VadError as `frame_auc` does.
    """
    ax = _axes(ax, 5.6, 3.8)
    for name, (scores, labels) in curves.items():
        fpr, tpr, _ = roc_points(scores, labels)
        auc, equal = frame_auc(scores, labels), eer(scores, labels)
        (line,) = ax.plot(fpr, tpr, label=f"{name}: AUC {100 * auc:.1f}")
        ax.plot(equal, 1 - equal, "o", color=line.get_color(), ms=5)
    ax.plot([0, 1], [0, 1], color="0.6", lw=1, ls="-", zorder=0)
    ax.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


@_styled
def look(method: str) -> dict[str, Any]:
    """Colour and line style of a method, the same in every figure, by how its name begins.

    Raises VadError for a name that no figure has had yet.
    """
    name = method.lower().replace("-", " ")
    known = [start for start in METHODS if name.startswith(start)]
    if not known:
        raise VadError(f"no colour is kept for {method!r}", "Add it to METHODS in show/plot.py.")
    colour, line = METHODS[max(known, key=len)]
    return {"color": colour, "linestyle": line}


def training_curve(
    curves: Mapping[str, tuple[Any, Any]],
    lines: Mapping[str, float] | None = None,
    paper: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """AUC against what training cost, beside rules that were not trained.

    curves  name -> (P,) FLOPs and (S, P) AUC, a share of 1: the mean over S seeds, and a band from
            the lowest to the highest
    lines   name -> AUC of a rule, a horizontal line
    paper   the AUC that the paper reports, dashed
    """
    ax = _axes(ax, height=3.2)
    for number, (name, (flops, values)) in enumerate(curves.items()):
        values, colour = 100 * np.atleast_2d(values), COLOURS[number % len(COLOURS)]
        ax.plot(flops, values.mean(0), "o-", color=colour, ms=4, label=name)
        ax.fill_between(flops, values.min(0), values.max(0), color=colour, alpha=0.15, lw=0)
    shades = np.linspace(0.35, 0.7, max(1, len(lines or {})))
    for shade, (name, value) in zip(shades, (lines or {}).items(), strict=False):
        ax.axhline(100 * value, color=str(shade), lw=1, ls="-", zorder=0)
        ax.annotate(name, (1.01, 100 * value), xycoords=("axes fraction", "data"),
                    va="center", fontsize=8, color=str(shade * 0.8))  # fmt: skip
    if paper is not None:
        ax.axhline(100 * paper, color="black", lw=1, ls="--", label="the paper")
    ax.set(xscale="log", xlabel="training FLOPs", ylabel="AUC, percent")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.25), ncols=3)
    return ax


@_styled
def sheet(
    frames: Sequence[np.ndarray] | np.ndarray,
    titles: Sequence[str] | None = None,
    columns: int = 4,
) -> np.ndarray:
    """Pictures side by side, in rows of `columns`. Returns the Axes, (rows, columns).

    frames  each (H, W), (H, W, 1) or (H, W, 3), uint8 or in [0, 1]
    Raises VadError when there are none.
    """
    if len(frames) == 0:
        raise VadError("a sheet of no pictures", "Give one frame at least.")
    columns = min(columns, len(frames))
    rows = -(-len(frames) // columns)
    height = WIDTH / columns * frames[0].shape[0] / frames[0].shape[1] + 0.3 * bool(titles)
    _, axes = plt.subplots(rows, columns, figsize=(WIDTH, rows * height), squeeze=False)
    for i, ax in enumerate(axes.flat):
        ax.set_axis_off()
        if i < len(frames):
            ax.imshow(as_rgb(frames[i]))
            ax.set_title(titles[i] if titles else "", fontsize=9)
    return axes


def film(
    frames: np.ndarray,
    scores: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    heat: np.ndarray | None = None,
    fps: float = 10,
    masks: np.ndarray | None = None,
    index: np.ndarray | None = None,
    alt: str = "",
    width: int = 640,
) -> Page:
    """A film that plays in the page: the scores with a moving cursor, and below them the frames.

    frames  (T, H, W, C) uint8
    scores  (T,), with the band of `labels` (T,) behind them
    heat    (T, h, w) >= 0, laid over the frames with one scale for the whole film
    masks   (T, H, W) bool, outlined
    index   (T,) the numbers of the frames; 0..T-1 when None
    fps     pictures a second
    alt     what can be seen, for those who cannot see it
    width   of the film, in pixels

    Raises VadError when the lengths differ.
    """
    parts = {"scores": scores, "labels": labels, "heat maps": heat, "masks": masks, "index": index}
    for name, part in parts.items():
        if part is not None and len(part) != len(frames):
            raise VadError(
                f"film: {len(part)} {name} for {len(frames)} frames",
                "Cut all of them to the same frames, for instance with Scores.index.",
            )
    limit = None if heat is None else float(np.max(heat))
    height = round(width * frames.shape[1] / frames.shape[2] / 2) * 2  # H.264 wants even numbers
    strip, cursor = _strip(scores, labels, index, width) if scores is not None else (None, None)
    pictures = []
    for t, frame in enumerate(frames):
        rgb = as_rgb(frame) if heat is None else heat_rgb(frame, heat[t], limit)
        rgb = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_CUBIC)
        if masks is not None:
            edge = cv2.resize(
                np.asarray(masks[t], np.uint8), (width, height), interpolation=cv2.INTER_NEAREST
            )
            outlines = cv2.findContours(edge, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
            cv2.drawContours(rgb, outlines, -1, (0, 229, 255), 2)
        if strip is not None and cursor is not None:
            above = strip.copy()
            above[:, cursor[t] : cursor[t] + 2] = 0
            rgb = np.concatenate([above, rgb])  # players lay their controls over the lower edge
        pictures.append(rgb)
    return play(pictures, fps, alt or f"film of {len(frames)} frames", width)


@_styled
def _strip(
    scores: np.ndarray, labels: np.ndarray | None, index: np.ndarray | None, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """The score strip as a picture (h, width, 3), and the cursor's column for each frame."""
    figure = Figure(figsize=(width / 100, 1.3), dpi=100)
    ax = score_strip(scores, labels, index, ax=figure.subplots())
    if (legend := ax.get_legend()) is not None:
        legend.remove()
    ax.set(yticks=[])
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = np.asarray(canvas.buffer_rgba())[..., :3]
    x = np.arange(len(scores)) if index is None else np.asarray(index)
    columns = ax.transData.transform(np.stack([x, 0 * x], axis=1))[:, 0].astype(int)
    return picture[: len(picture) // 2 * 2], np.clip(columns, 0, width - 2)
