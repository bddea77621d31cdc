"""The one interface: every method and every baseline is a `Detector`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vadlib.data.base import Video
from vadlib.errors import VadError


@dataclass(frozen=True, eq=False)
class Scores:
    """What a detector says about one video. Higher is more anomalous.

    video    name of the video
    frame    (N,) float, one score for each frame that can be scored
    index    (N,) int, strictly increasing: the frame that each score speaks for
    heatmap  (N, h, w) float32, where in the frame; None where the method does not localise
    terms    parts of the score by name, each (N,): a method's branches, for ablations
    facts    what else was measured at each frame, each (N,), such as memory items used

    Raises VadError for lengths that differ, NaN, or an index that does not increase.
    """

    video: str
    frame: np.ndarray
    index: np.ndarray
    heatmap: np.ndarray | None = None
    terms: dict[str, np.ndarray] = field(default_factory=dict)
    facts: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self):
        parts = {"index": self.index, "heatmap": self.heatmap, **self.terms, **self.facts}
        for name, part in parts.items():
            if part is not None and len(part) != len(self.frame):
                raise VadError(
                    f"scores of video {self.video}: {len(part)} of {name} for {len(self.frame)}",
                    "A detector must return one of each for every scored frame.",
                )
        if not np.isfinite(self.frame).all():
            raise VadError(
                f"scores of video {self.video} contain NaN or infinity",
                "Look for a division by zero or a diverged training run.",
            )
        if len(self.index) > 1 and not (np.diff(self.index) > 0).all():
            raise VadError(
                f"scores of video {self.video}: the frame index does not increase",
                "A detector must score each frame once, in order.",
            )

    def labels(self, video: Video) -> np.ndarray:
        """(N,) labels of the frames that were scored. Raises VadError for another video."""
        return self._of(video, video.labels, "frame labels")

    def masks(self, video: Video) -> np.ndarray:
        """(N, H, W) masks of the frames that were scored. Raises VadError for another video."""
        return self._of(video, video.masks, "pixel masks")

    def _of(self, video: Video, truth: np.ndarray | None, what: str) -> np.ndarray:
        if video.name != self.video:
            raise VadError(
                f"scores of video {self.video} were set against video {video.name}",
                "Pair scores and videos by name.",
            )
        if truth is None:
            raise VadError(f"video {self.video} has no {what}", "Use a labelled split.")
        if len(self.index) and self.index[-1] >= len(video):
            raise VadError(
                f"scores of video {self.video} speak for frame {self.index[-1]} of {len(video)}",
                "The scores were made from another version of this video.",
            )
        return truth[self.index]


@dataclass
class History:
    """What happened in training: loss terms by step, and what it cost.

    precision         "float32" or "bfloat16": what the network computed in
    flops_per_sample  of a step forward and backward; 0 where it was not counted
    seen, held_out    terms of the loss after the last step, as in a test: on clips that were
                      trained on, and on those of videos kept aside; empty where none were
    """

    steps: list[int] = field(default_factory=list)
    terms: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0
    samples: int = 0
    cpu_seconds: float = 0.0
    precision: str = "float32"
    flops_per_sample: float = 0.0
    seen: dict[str, float] = field(default_factory=dict)
    held_out: dict[str, float] = field(default_factory=dict)

    @property
    def flops(self) -> float:
        """FLOPs spent in training; 0 where they were not counted."""
        return self.flops_per_sample * self.samples

    @property
    def samples_per_second(self) -> float:
        """Training samples a second of wall time; 0 where nothing was timed."""
        return self.samples / self.seconds if self.seconds else 0.0


class Detector(ABC):
    """Learns what is normal from `fit`, and says in `score` how far a video departs from it.

    context  (before, after): how many frames before and after a frame its score is made of, so that
             a film of any length can be scored in windows; None where it is made of the whole video
    """

    name: str = ""
    context: tuple[int, int] | None = None

    @abstractmethod
    def fit(self, videos: list[Video], config: Any = None) -> History:
        """Learn from videos (normal ones only, unless the method says otherwise)."""

    @abstractmethod
    def score(self, video: Video) -> Scores:
        """Score every frame of a video that can be scored."""

    def stream(self, windows: Iterable[Video]) -> Iterator[Scores]:
        """Score a film window by window: each frame that `score` would score, once, in order.

        windows  as `data.video.windows` cuts them, with an overlap of both parts of `context`
        returns  for each window its scores, whose index counts from the film's first frame; no
                 terms and facts, some of which look at all frames that there are
        Raises VadError where a score is made of the whole video.
        """
        for window in windows:
            if self.context is None:
                raise VadError(
                    f"{self.name} looks at the whole of a video before it scores a frame",
                    "Give it the whole video, with `score`.",
                )
            found = self.score(window)
            yield Scores(found.video, found.frame, found.index + window.start, found.heatmap)
