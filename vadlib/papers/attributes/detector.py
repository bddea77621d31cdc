"""Attributes as a detector: a box is anomalous that is unusual in something one can name.

Reiss and Hoshen, "An Attribute-based Method for Video Anomaly Detection" (2022): no network is
trained. A box is described by attributes; in each view of them its distance from normal boxes is
scaled by training, and the views are added up. Here the largest may speak alone, and says its name.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vadlib.data import store
from vadlib.data.base import Video
from vadlib.detector import Detector, History, Scores
from vadlib.errors import VadError
from vadlib.lab.train import pick_device
from vadlib.measure.score import smooth
from vadlib.papers.attributes.config import MIXED, VIEWS, AttributesConfig
from vadlib.papers.attributes.glance import Glance
from vadlib.papers.attributes.measured import Measured, measure
from vadlib.papers.attributes.views import View
from vadlib.papers.layers.boxes import average, paint, source_of, spread
from vadlib.see import objects


class Attributes(Detector):
    """Attributes: `fit` on normal videos, `score` any. Raises VadError as they do."""

    name = "attributes"

    def __init__(self, config: AttributesConfig | None = None, device: str = "auto"):
        self.config = config or AttributesConfig()
        self.device = pick_device(device)
        self.views: dict[str, View] = {}
        self.boxes_a_frame = 1  # mean in training, for the cost
        self.channels = 0  # of the videos of training
        self.net = self.build(self.config)

    @staticmethod
    def build(config: AttributesConfig) -> Glance:
        """The network that looks at boxes; nothing of it is learned here."""
        return Glance("deep" in config.views).requires_grad_(False).eval()

    # ------------------------------------------------------------------------------------- boxes

    def boxes(self, video: Video) -> objects.Boxes:
        """What moves, (n, 4) a frame; found once, then remembered (by Local Patterns, too)."""
        how, content = self.config.boxes, video.key or store.digest(video.frames)
        found = store.remember(
            f"boxes {content} {video.size} {how} {source_of('see.objects', 'see.motion')}",
            lambda: [b.tolist() for b in objects.propose(video, how)],
        )
        return [np.array(b, np.float32).reshape(-1, 4) for b in found]

    def measured(self, video: Video, rows: np.ndarray | None = None) -> Measured:
        """Attributes of a video's boxes, or of some `rows` of them."""
        boxes = self.boxes(video)
        every = measure(video, boxes, self.config.bins)
        rows = np.arange(len(every["foot"])) if rows is None else rows
        out = {name: values[rows] for name, values in every.items()}
        if self.net.body is not None:
            out["deep"] = self.deep(video, objects.tubes(video, boxes, 1), rows)
        return out

    def deep(self, video: Video, tubes: objects.Tubes, rows: np.ndarray) -> np.ndarray:
        """(m, 1280) float16 of some boxes, looked at once, then read from disk."""
        content, size = video.key or store.digest(video.frames), self.config.size
        code = source_of("see.extract", "see.objects", "papers.attributes.glance")
        key = f"deep {store.digest(content, tubes.box[rows], tubes.frame[rows], size, code)}"

        def fill(out: np.ndarray) -> None:
            for i in range(0, len(rows), 256):
                crops = torch.from_numpy(tubes.crops(rows[i : i + 256], size)[:, 0]).float()
                with torch.inference_mode():
                    out[i : i + 256] = self.net.to(self.device)(crops.to(self.device)).cpu().numpy()

        return store.array(key, (len(rows), 1280), np.float16, fill)

    # ---------------------------------------------------------------------------------- training

    def fit(
        self, videos: list[Video], config: AttributesConfig | None = None, **options: Any
    ) -> History:
        """Keep what normal boxes are like. `options` of a training are of no use here.

        Raises VadError where nothing moves in any video.
        """
        started = time.monotonic()
        if config is not None:
            self.config, self.net = config, self.build(config)
        self.channels = videos[0].frames.shape[3]
        counts = [sum(map(len, self.boxes(v))) for v in videos]
        if not sum(counts):
            raise VadError(
                f"nothing moves in the {len(videos)} training videos",
                "Give longer videos with people in them, or lower `boxes.min_area`.",
            )
        self.boxes_a_frame = max(1, round(sum(counts) / sum(map(len, videos))))
        chosen, ends = spread(sum(counts), self.config.points), np.cumsum([0, *counts])
        owner = np.searchsorted(ends, chosen, "right") - 1
        pairs = enumerate(videos)
        parts = [self.measured(v, chosen[owner == i] - ends[i]) for i, v in pairs]
        every = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
        self.views = {name: self.learn(name, every, owner) for name in self.config.views}
        return History(seconds=time.monotonic() - started, samples=len(chosen))

    def learn(self, name: str, measured: Measured, owner: np.ndarray) -> View:
        """One view of boxes of training."""
        how = self.config
        mixed = name == MIXED and how.components > 0
        mixture = (how.components, how.train.seed) if mixed else None
        whose = torch.from_numpy(owner)
        return View.of(VIEWS[name], measured, whose, how.quantile, how.neighbours, mixture)

    # ----------------------------------------------------------------------------------- testing

    def box_scores(self, video: Video) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The frame of each box (n,), and by view its score (n,), mean over its own past.

        Raises VadError before `fit`.
        """
        if not self.views:
            raise VadError("no normal boxes are known yet", "Call fit first.")
        if video.frames.shape[3] != self.channels:
            raise VadError(
                f"video {video.name} has {video.frames.shape[3]} channels, those of training had "
                f"{self.channels}",
                "Make both grey, or both of three colours: their colours are compared.",
            )
        boxes = self.boxes(video)
        frame = np.repeat(np.arange(len(boxes)), [len(b) for b in boxes])
        if not len(frame):
            return frame, {name: np.zeros(0) for name in self.views}
        thing, measured = np.concatenate(objects.track(boxes)), self.measured(video)
        return frame, {
            name: average(view.score(measured), frame, thing, self.config.smooth)
            for name, view in self.views.items()
        }

    def score(self, video: Video) -> Scores:
        """The largest of the views' worst boxes, or their sum; speaks for every frame.

        `terms` holds the worst box of each view: 0 is the most usual in training, and what a frame
        without boxes has; 1 the quantile. `facts` say which view was the largest and above 1
        ("fired: view", 1 or 0) and how many boxes there were ("boxes"). The heatmap is each box's
        largest view, or sum, painted over it.
        """
        frame, each = self.box_scores(video)
        terms = {name: np.zeros(len(video)) for name in each}
        for name, values in each.items():
            np.maximum.at(terms[name], frame, values)
        over = np.max if self.config.combine == "largest" else np.sum
        score = over(list(terms.values()), axis=0)
        if self.config.sigma:
            score = smooth([score], "gaussian", self.config.sigma)[0]
        heat = np.zeros((len(video), *video.size), np.float32)
        worst = over(list(each.values()), axis=0)
        boxes = self.boxes(video)
        for t in np.unique(frame):
            heat[t] = paint(boxes[t], worst[frame == t], video.size)
        facts = {f"fired: {name}": 1.0 * (why(terms) == name) for name in terms}
        facts["boxes"] = np.array([float(len(b)) for b in boxes])
        return Scores(video.name, score, np.arange(len(video)), heat, terms, facts)

    def cost_inputs(self, size: tuple[int, int]) -> tuple[Tensor]:
        """What the network reads for one scored frame: as many boxes as is usual."""
        return (torch.zeros(self.boxes_a_frame, 3, self.config.size, self.config.size),)

    def state(self) -> dict:
        """What a checkpoint holds; not the weights of EfficientNet, which come with its package."""
        views = {name: view.state() for name, view in self.views.items()}
        kept = {"views": views, "boxes_a_frame": self.boxes_a_frame, "channels": self.channels}
        return kept | {"config": asdict(self.config)}

    def load_state(self, state: dict) -> None:
        """Take up what normal boxes are like. Raises KeyError where it does not fit."""
        k = self.config.neighbours
        self.views = {n: View.from_state(state["views"][n], k) for n in self.config.views}
        self.boxes_a_frame, self.channels = state["boxes_a_frame"], state["channels"]


def why(terms: dict[str, np.ndarray]) -> np.ndarray:
    """The name of the view that fired in each frame: the largest, where it is above 1; else ""."""
    values = np.array(list(terms.values()))
    names = np.array(list(terms))[values.argmax(0)]
    return np.where(values.max(0) > 1, names, "")
