"""Things to move: a still picture that a script in the page, or a kernel, brings to life.

Each is one object with two lives. In a built page its data stand as JSON beside a still picture,
and `book/_static/moving.js` draws from them; where scripts are off, the picture stays. In Jupyter
it is a row of ipywidgets and the same picture drawn anew. Both say the same sentence below.
"""

from __future__ import annotations

import html
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy.spatial import ConvexHull, QhullError

from vadlib.errors import VadError
from vadlib.measure.frames import frame_auc, roc_points
from vadlib.measure.score import normalise, smooth
from vadlib.show.pictures import _data, _webp, as_rgb
from vadlib.show.plot import COLOURS, heat_over_frame, score_strip, style

Values = dict[str, Any]


@dataclass(frozen=True)
class Dial:
    """One thing to set: a number from `low` to `high`, one of `options`, or yes and no.

    told  whether the number stands beside it; else the thing's sentence says what it means
    """

    name: str
    label: str
    value: Any
    low: float = 0
    high: float = 1
    step: float = 0.01
    options: tuple[str, ...] = ()
    told: bool = True


@dataclass(frozen=True, eq=False)
class Moving:
    """A thing to move: its data and dials, how it is drawn, and what it says.

    kind  the function of moving.js that draws it in a page
    draw  the values of all dials -> a Figure
    say   the values of all dials -> a sentence, the same as moving.js writes
    alt   what the still picture shows, for those who cannot see it
    """

    kind: str
    data: dict[str, Any]
    dials: tuple[Dial, ...]
    draw: Callable[[Values], Figure]
    say: Callable[[Values], str]
    alt: str

    @property
    def start(self) -> Values:
        """The values that the dials have at first."""
        return {dial.name: dial.value for dial in self.dials}

    def html(self) -> str:
        """For a page: the still picture, the data, and the sentence at the first values."""
        figure = self.draw(self.start)
        picture = f'<img alt="{_text(self.alt)}" src="{_data("image/webp", _webp(figure, 0))}">'
        dials = [{**vars(dial), "options": list(dial.options)} for dial in self.dials]
        packed = json.dumps({"dials": dials, **self.data}, separators=(",", ":"))
        packed = packed.replace("<", "\\u003c")  # nothing in it can end the element
        return (
            f'<figure class="vad-move" data-kind="{self.kind}">{picture}'
            f'<script type="application/json">{packed}</script>'
            f'<figcaption class="vad-said">{_text(self.say(self.start))}</figcaption></figure>'
        )

    def widget(self) -> Any:
        """For a kernel: the dials as ipywidgets, over the picture and its sentence."""
        import ipywidgets as w

        picture, said = w.Image(format="png"), w.Label()
        dials = {dial.name: _control(w, dial) for dial in self.dials}

        def show(_: Any = None) -> None:
            values = {name: control.value for name, control in dials.items()}
            memory, figure = io.BytesIO(), self.draw(values)
            figure.savefig(memory, format="png", dpi=100)
            plt.close(figure)
            picture.value, said.value = memory.getvalue(), self.say(values)

        for control in dials.values():
            control.observe(show, "value")
        show()
        return w.VBox([*dials.values(), picture, said])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        live = self.widget()._repr_mimebundle_() or {}
        return {**live, "text/plain": self.say(self.start), "text/html": self.html()}


def _control(w: Any, dial: Dial) -> Any:
    """The ipywidget of a dial."""
    wide = {"description": dial.label, "style": {"description_width": "initial"}}
    if dial.options:
        return w.Dropdown(options=dial.options, value=dial.value, **wide)
    if isinstance(dial.value, bool):
        return w.Checkbox(value=dial.value, **wide)
    kind = w.IntSlider if isinstance(dial.value, int) else w.FloatSlider
    wide |= {"min": dial.low, "max": dial.high, "step": dial.step, "readout": dial.told}
    return kind(value=dial.value, **wide)


def _text(words: str) -> str:
    return html.escape(words, quote=True)


def _percent(share: float, digits: int = 1) -> str:
    """A share in percent, halves rounded up as in moving.js: `format` would round some down."""
    return f"{np.floor(100 * 10**digits * share + 0.5) / 10**digits:.{digits}f} %"


def _seven(values: np.ndarray) -> list[float]:
    """Numbers for JSON: seven digits tell float32 scores apart."""
    return [float(f"{v:.7g}") for v in np.asarray(values, dtype=np.float64)]


def _bits(labels: np.ndarray) -> list[int]:
    return np.asarray(labels).astype(int).tolist()


def scrubber(
    frames: np.ndarray,
    scores: np.ndarray,
    labels: np.ndarray,
    heat: np.ndarray,
    index: np.ndarray | None = None,
    alt: str = "",
    width: int = 320,
) -> Moving:
    """A clip to go through frame by frame, with its heat map and its score strip.

    frames  (T, H, W, C) uint8; scores (T,); labels (T,) 0/1; heat (T, h, w) >= 0
    index   (T,) the numbers of the frames; 0..T-1 when None
    Raises VadError when the lengths differ.
    """
    if not len(frames) == len(scores) == len(labels) == len(heat):
        raise VadError(
            f"scrubber: {len(frames)} frames, {len(scores)} scores, {len(labels)} labels and "
            f"{len(heat)} heat maps",
            "Cut all of them to the same frames, for instance with Scores.index.",
        )
    numbers = np.arange(len(frames)) if index is None else np.asarray(index)
    top = float(np.max(heat)) or 1.0
    level = np.round(255 * np.clip(heat / top, 0, 1)).astype(np.uint8)
    data = {
        "frames": [_data("image/webp", _webp(frame, width)) for frame in frames],
        "heat": [level.shape[1], level.shape[2], [_base64(m) for m in level]],
        "scores": _seven(scores),
        "labels": _bits(labels),
        "index": numbers.astype(int).tolist(),
    }
    first = int(np.argmax(scores))
    dials = (
        Dial("at", "frame", first, 0, len(frames) - 1, 1),
        Dial("warm", "show the heat map", True),
    )

    def draw(v: Values) -> Figure:
        style()
        figure, (above, below) = plt.subplots(
            2, 1, figsize=(4.6, 4.6), height_ratios=(3, 1), layout="constrained"
        )
        if v["warm"]:
            heat_over_frame(frames[v["at"]], heat[v["at"]], ax=above, limit=top)
        else:
            above.imshow(as_rgb(frames[v["at"]]))
            above.set_axis_off()
        score_strip(scores, labels, numbers, ax=below)
        below.axvline(numbers[v["at"]], color="black", lw=1)
        if (legend := below.get_legend()) is not None:
            legend.remove()
        return figure

    def say(v: Values) -> str:
        truth = "abnormal" if data["labels"][v["at"]] else "normal"
        score = data["scores"][v["at"]]
        share = float(np.mean(np.array(data["scores"]) < score))
        return (
            f"Frame {data['index'][v['at']]}, in truth {truth}: "
            f"its score is above that of {_percent(share, 0)} of this clip's frames."
        )

    return Moving("scrubber", data, dials, draw, say, alt or "A frame, its heat and its score")


def eye(
    scenes: Mapping[str, Sequence[tuple[float, np.ndarray, tuple[float, float, float, float]]]],
    aucs: Mapping[str, Mapping[str, Sequence[float]]],
    alt: str = "",
    width: int = 384,
) -> Moving:
    """Dials of an eye chart, with the scene beside them, and what each method made of it.

    scenes  kind -> (effect, frame (H, W, C) uint8, box (x0, y0, x1, y1) around what is abnormal),
            effects rising, as many for each kind as it has
    aucs    method -> kind -> an AUC, a share of 1, for each effect of it
    Raises VadError where a kind has another number of AUCs than of effects.
    """
    for method, row in aucs.items():
        for kind, scene in scenes.items():
            if (given := len(row.get(kind, ()))) != len(scene):
                raise VadError(
                    f"{method} has {given} AUCs of {kind}, for {len(scene)} effects",
                    "Give one for each.",
                )
    data = {
        "scenes": {
            kind: [
                [effect, _data("image/webp", _webp(frame, width)), [float(x) for x in box]]
                for effect, frame, box in scene
            ]
            for kind, scene in scenes.items()
        },
        "size": [next(iter(scenes.values()))[0][1].shape[i] for i in (1, 0)],
        "aucs": {m: {k: _seven(np.asarray(row[k])) for k in scenes} for m, row in aucs.items()},
    }
    kinds = tuple(scenes)
    dials = (
        Dial("kind", "kind", kinds[0], options=kinds),
        Dial("step", "how far", 2, 0, max(map(len, scenes.values())) - 1, 1, told=False),
        Dial("ring", "show where", True),
    )

    def at(v: Values) -> int:
        return min(v["step"], len(scenes[v["kind"]]) - 1)

    def draw(v: Values) -> Figure:
        style()
        figure, (scene, bars) = plt.subplots(1, 2, figsize=(8.4, 2.9), layout="constrained")
        _, frame, (x0, y0, x1, y1) = scenes[v["kind"]][at(v)]
        scene.imshow(as_rgb(frame))
        scene.set_axis_off()
        if v["ring"]:
            corner, box = (x0, y0), (x1 - x0, y1 - y0)
            scene.add_patch(Rectangle(corner, *box, fill=False, color=COLOURS[1], linewidth=1.5))
        values = [100 * row[v["kind"]][at(v)] for row in aucs.values()]
        bars.barh(list(aucs), values, color=COLOURS[0])
        bars.axvline(50, color="0.5", linestyle=":")
        bars.set(xlim=(0, 100), xlabel="AUC, percent")
        bars.invert_yaxis()
        return figure

    def say(v: Values) -> str:
        effect = scenes[v["kind"]][at(v)][0]
        found = [f"{m} {_percent(data['aucs'][m][v['kind']][at(v)])}" for m in data["aucs"]]
        return f"{v['kind']}, effect {effect:g}. AUC: {', '.join(found)}."

    return Moving("eye", data, dials, draw, say, alt or "A scene, and what each method sees in it")


def _base64(array: np.ndarray) -> str:
    return _data("", array.tobytes()).partition(",")[2]


def threshold(scores: Sequence[np.ndarray], labels: Sequence[np.ndarray], alt: str = "") -> Moving:
    """A threshold to move: the alarms it raises, its point on the ROC curve, what it counts.

    scores, labels  one (N,) array a video, as `frame_auc` takes them
    Raises VadError as `frame_auc` does.
    """
    s, y = np.concatenate(scores), np.concatenate(labels).astype(bool)
    auc, s = frame_auc([s], [y]), np.array(_seven(s))
    low, high = float(s.min()), float(s.max())
    step = float(f"{(high - low) / 200:.1g}")
    value = step * round((s[~y].mean() + s[y].mean()) / 2 / step)
    data = {"scores": s.tolist(), "labels": _bits(y), "auc": auc}
    low, high = step * np.floor(low / step), step * np.ceil(high / step + 1)
    low, high, value = (float(f"{x:.6g}") for x in (low, high, value))
    dials = (Dial("level", "threshold", value, low, high, step),)

    def draw(v: Values) -> Figure:
        style()
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(6.5, 2.4), width_ratios=(2.2, 1), layout="constrained"
        )
        score_strip(s, y, ax=left, threshold=v["level"])
        alarms = s >= v["level"]
        left.plot(np.flatnonzero(alarms), s[alarms], ".", color=COLOURS[1], ms=2, ls="")
        right.plot(*roc_points([s], [y])[:2])
        right.plot((alarms & ~y).sum() / (~y).sum(), (alarms & y).sum() / y.sum(), "ko")
        right.set(xlabel="false alarms", ylabel="caught", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        return figure

    def say(v: Values) -> str:
        alarms = s >= v["level"]
        caught, false = int((alarms & y).sum()), int((alarms & ~y).sum())
        right = _percent(caught / (caught + false), 0) if caught + false else "none"
        return (
            f"At {v['level']:.6g}: {caught} of {y.sum()} abnormal frames raise an alarm, and "
            f"{false} of {(~y).sum()} normal ones. Alarms that are right: {right}. "
            f"The AUC, whatever the threshold: {_percent(auc)}."
        )

    return Moving(
        "threshold", data, dials, draw, say, alt or "Scores with a threshold, and the ROC curve"
    )


def corners(appearance: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """The patches that can be a frame's maximum of psi a + (1 - psi) m, for a psi in [0, 1].

    appearance, motion  (h, w) errors of one frame; returns (K, 2) pairs (a, m), K small

    A linear function over points has its maximum at a corner of their convex hull; of those, only
    corners to the upper right can win, because neither weight is negative.
    """
    points = np.unique(np.stack([np.ravel(appearance), np.ravel(motion)], 1), axis=0)
    best = points[np.lexsort((points[:, 1], points[:, 0]))[::-1]]
    kept = best[best[:, 1] >= np.maximum.accumulate(best[:, 1])]  # nobody is larger in both
    if len(kept) > 2:
        try:
            kept = kept[ConvexHull(kept).vertices]
        except QhullError:  # on one line: its ends
            kept = kept[[0, -1]]
    return kept


def psi(
    appearance: Sequence[np.ndarray],
    motion: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    start: float,
    alt: str = "",
) -> Moving:
    """MAAM-Net's weight to move: the scores of every frame, and the AUC, which needs the answers.

    appearance, motion  one (N, h, w) array of errors a video; labels one (N,) array a video
    start               psi at first
    Raises VadError as `frame_auc` does.
    """
    frames = [
        (a, m) for A, M in zip(appearance, motion, strict=True) for a, m in zip(A, M, strict=True)
    ]
    hulls = [[_seven(corner) for corner in corners(a, m)] for a, m in frames]
    y = np.concatenate(labels).astype(bool)

    def fused(weight: float) -> np.ndarray:
        return np.array([max(weight * a + (1 - weight) * m for a, m in hull) for hull in hulls])

    sweep = [[w / 50, frame_auc([fused(w / 50)], [y])] for w in range(51)]
    data = {"hulls": hulls, "labels": _bits(y), "sweep": sweep}
    dials = (Dial("psi", "ψ, the weight of appearance", round(start, 2), 0, 1, 0.01),)

    def draw(v: Values) -> Figure:
        style()
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(6.5, 2.4), width_ratios=(2, 1), layout="constrained"
        )
        score_strip(fused(v["psi"]), y, ax=left)
        right.plot(*(np.array(sweep) * [1, 100]).T)
        right.plot(v["psi"], 100 * frame_auc([fused(v["psi"])], [y]), "ko")
        right.set(xlabel="ψ", ylabel="AUC, percent")
        return figure

    def say(v: Values) -> str:
        auc = frame_auc([fused(v["psi"])], [y])
        return (
            f"ψ = {v['psi']:.2f}: {_percent(v['psi'], 0)} appearance, "
            f"{_percent(1 - v['psi'], 0)} motion. AUC of these videos: {_percent(auc)}."
        )

    return Moving("psi", data, dials, draw, say, alt or "Scores over frames, and AUC over psi")


SCOPES: dict[str, Any] = {
    "none": "none",
    "each video by itself": "per_video",
    "all videos together": "global",
}
AVERAGES = {
    "all frames in one pool": ("micro", "skip"),
    "mean over videos, those of one class left out": ("macro", "skip"),
    "mean over videos, padded": ("macro", "pad"),
}
PAIRINGS = ("by frame number", "from the first label", "from the last label")


def places(found: Mapping[str, float]) -> dict[str, int]:
    """The place of each name, 1 for the highest value; equal ones in the order they came."""
    order = sorted(found, key=lambda name: -round(found[name], 9))  # a billionth is no merit
    return {name: i + 1 for i, name in enumerate(order)}


def protocols(
    methods: Mapping[str, Sequence[Any]],
    labels: Sequence[np.ndarray],
    alt: str = "",
    ranked: bool = False,
) -> Moving:
    """The protocol calculator: one set of scores, and the AUC that every way of counting gives it.

    methods  name -> one Scores a video (`frame` and `index`), e.g. from `records.read_scores`
    labels   one (T,) array a video, of all its frames
    ranked   the highest comes first, and whoever has left the place of the start says so
    Raises VadError for a method whose scored frames are not in a row, and as `frame_auc` does.
    """
    packed = {}
    for name, series in methods.items():
        for s in series:
            if np.any(np.diff(s.index) != 1):
                raise VadError(f"{name} leaves out frames of {s.video}", "Take another method.")
        packed[name] = {
            "first": [int(s.index[0]) for s in series],
            "scores": [_seven(s.frame) for s in series],
        }
    data = {"methods": packed, "labels": [_bits(y) for y in labels], "ranked": ranked}
    dials = (
        Dial("scope", "min-max", "none", options=tuple(SCOPES)),
        Dial("sigma", "smoothing, σ in frames", 0, 0, 20, 1),
        Dial("average", "average", next(iter(AVERAGES)), options=tuple(AVERAGES)),
        Dial("pairing", "scores meet labels", PAIRINGS[0], options=PAIRINGS),
    )

    def aucs(v: Values) -> dict[str, float]:
        average, single = AVERAGES[v["average"]]
        found = {}
        for name, part in packed.items():
            series = normalise([np.array(s) for s in part["scores"]], SCOPES[v["scope"]])
            series = smooth(series, "gaussian", v["sigma"]) if v["sigma"] else series
            firsts = part["first"]
            if v["pairing"] == PAIRINGS[1]:
                firsts = [0] * len(firsts)
            elif v["pairing"] == PAIRINGS[2]:
                firsts = [len(y) - len(s) for y, s in zip(labels, series, strict=True)]
            met = [y[i : i + len(s)] for y, s, i in zip(labels, series, firsts, strict=True)]
            found[name] = frame_auc(series, met, average, single)
        return found

    before = places(aucs({dial.name: dial.value for dial in dials})) if ranked else {}

    def standings(v: Values) -> list[tuple[str, float, int]]:
        """Name, AUC and places won since the start, in the order in which they are shown."""
        found = aucs(v)
        if not ranked:
            return [(name, value, 0) for name, value in found.items()]
        now = places(found)
        return [(n, found[n], before[n] - now[n]) for n in sorted(now, key=lambda n: now[n])]

    def draw(v: Values) -> Figure:
        style()
        rows = standings(v)
        figure, ax = plt.subplots(figsize=(6.5, 0.5 + 0.35 * len(rows)), layout="constrained")
        ax.barh([name for name, *_ in rows], [100 * a for _, a, _ in rows], color=COLOURS[0])
        for i, (_, a, won) in enumerate(rows):
            arrow = f" {'▲' if won > 0 else '▼'}{abs(won)}" if won else ""
            ax.text(100 * a, i, f" {100 * a:.1f}{arrow}", va="center")
        ax.axvline(50, color="black", lw=1, ls=":")
        ax.invert_yaxis()
        ax.set(xlabel="AUC, percent", xlim=(0, 112))
        return figure

    def say(v: Values) -> str:
        rows, said = standings(v), []
        for i, (name, a, won) in enumerate(rows):
            place = f"{i + 1}. " if ranked else ""
            said.append(f"{place}{name} {_percent(a)}" + (f" (was {i + 1 + won}.)" if won else ""))
        return "AUC: " + ", ".join(said) + "."

    return Moving("protocols", data, dials, draw, say, alt or "AUC of each method as bars")
