"""Why: which view speaks for which kind of anomaly, and what a box is unusual in, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from vadlib.data.base import Video
from vadlib.detector import Scores
from vadlib.errors import VadError
from vadlib.papers.attributes.detector import Attributes
from vadlib.papers.attributes.measured import Measured
from vadlib.papers.attributes.views import View, side_by_side
from vadlib.papers.layers.normal import Space

FIRES = 1.0  # a view that scores more than nearly all boxes of training, as `why` has it
# attribute -> what it is called where it is larger or smaller than any of training, the number
# that is compared there, and what it is called where only its company is unusual
SAID: dict[str, tuple[str, Any, str]] = {
    "flow": ("speed", lambda x: x.sum(1), "movement"),
    "heading": ("speed", lambda x: np.linalg.norm(x, axis=1), "movement"),
    "unrest": ("unrest", lambda x: np.linalg.norm(x, axis=1), "unrest"),
    "size": ("height", lambda x: np.exp(x[:, 0]), "height"),
    "shape": ("width in heights", lambda x: np.exp(x[:, 0]), "shape"),
    "colour": ("brightness", lambda x: x.mean(1), "colour"),
}
ELSE = {"foot": "place", "deep": "features without a name"}


class Reason(NamedTuple):
    """The most unusual box of a frame (4,), the view that says so, its score, and why, in words."""

    box: np.ndarray
    view: str
    score: float
    words: str


def speakers(
    scores: Sequence[Scores], truth: Sequence[Any], above: float = FIRES
) -> dict[str, dict[str, float]]:
    """Kind -> view -> share of the kind's frames in which this view is the largest, and above a
    level; "" is the kind of frames in which nothing is wrong.

    above  1 asks for the view that fired; minus infinity for the largest, however small
    truth  what is known of the same videos: `truth["kind"]` (T,)
    Raises VadError where kinds are not known.
    """
    if any("kind" not in t.truth for t in truth):
        raise VadError("no kinds are known of these videos", "Give videos of Plaza.")
    kinds = np.concatenate([t.truth["kind"][s.index] for s, t in zip(scores, truth, strict=True)])
    views = list(scores[0].terms)
    values = np.concatenate([np.array([s.terms[v] for v in views]) for s in scores], 1)
    speaks = (np.arange(len(views))[:, None] == values.argmax(0)) & (values.max(0) > above)
    return {
        str(kind): dict(zip(views, speaks[:, kinds == kind].mean(1).tolist(), strict=True))
        for kind in np.unique(kinds)
    }


def reason(model: Attributes, video: Video, frame: int) -> Reason:
    """Why a frame has its score: its most unusual box, and what is unusual in it at this moment.

    Raises VadError before `fit`, and for a frame without boxes.
    """
    frames, each = model.box_scores(video)
    rows = np.flatnonzero(frames == frame)
    if not len(rows):
        raise VadError(f"no box is in frame {frame} of {video.name}", "Ask for another frame.")
    values = np.array([scores[rows] for scores in each.values()])
    view, i = np.unravel_index(values.argmax(), values.shape)
    name = list(each)[view]
    own = model.measured(video, rows[i : i + 1])
    text = words(model.views[name], own, model.config.neighbours)
    return Reason(model.boxes(video)[frame][i], name, float(values[view, i]), text)


def words(view: View, own: Measured, neighbours: int = 1) -> str:
    """What is unusual about one box in a view, whose attributes `own` holds, (1, d) each.

    Of these the one speaks that differs most from the nearest boxes of training.
    Raises VadError for a view that keeps no boxes.
    """
    normal = known(view, own)
    here, there = (side_by_side(m, view.attributes, view.scales) for m in (own, normal))
    near = torch.cdist(here, there)[0].argsort()[:neighbours].numpy()
    apart = {
        name: np.linalg.norm(own[name][0] - normal[name][near].mean(0)) / scale
        for name, scale in zip(view.attributes, view.scales, strict=True)
    }
    return said(max(apart, key=lambda name: apart[name]), own, normal)


def known(view: View, own: Measured) -> Measured:
    """The attributes of training's boxes that a view keeps; `own` says how wide each is."""
    if not isinstance(view.density, Space):
        raise VadError("a mixture keeps no boxes to compare with", "Use components=0.")
    widths = [own[name].shape[1] for name in view.attributes]
    parts = np.split(view.density.points.float().numpy(), np.cumsum(widths)[:-1], axis=1)
    triples = zip(view.attributes, parts, view.scales, strict=True)
    return {name: part * scale for name, part, scale in triples}


def said(name: str, own: Measured, normal: Measured) -> str:
    """One attribute of a box in words, against all of training."""
    if name not in SAID:
        return f"{ELSE[name]}: nobody like this was here in training"
    larger, number, among = SAID[name]
    x, usual = float(number(own[name])[0]), number(normal[name])
    if x > usual.max():
        return f"{larger}: {x / usual.max():.3g} times the largest of training"
    if x < usual.min():
        return f"{larger}: {x / usual.min():.3g} times the smallest of training"
    others = [SAID[other][2] if other in SAID else ELSE[other] for other in normal if other != name]
    return f"{among}: usual by itself, not with this {' and '.join(others) or 'company'}"
