"""Untrained baselines: what a number on a benchmark is worth before anybody has learned anything.

Each is a Detector whose `fit` learns nothing, or no more than one image of the empty scene. A
method that scores below `ZeroFlow` has shown less than the arithmetic in this file.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import torch

from vadlib.data.base import Video
from vadlib.detector import Detector, History, Scores
from vadlib.errors import VadError
from vadlib.measure import score
from vadlib.see import motion


class Untrained(Detector):
    """A detector with nothing to learn."""

    def fit(self, videos: list[Video], config: Any = None) -> History:
        """Learn nothing: the videos are not looked at, and the history is empty."""
        return History()


class Random(Untrained):
    """A uniform random number for each frame: the chance level of every metric.

    seed  with the video's name, decides the numbers; the order of the videos does not
    """

    name = "random"
    context = (0, 0)

    def __init__(self, seed: int = 0):
        self.seed = seed

    def score(self, video: Video) -> Scores:
        rng = np.random.default_rng([self.seed, zlib.crc32(video.name.encode())])
        numbers = rng.random(video.start + len(video))[video.start :]
        return Scores(video.name, numbers, np.arange(len(video)))


class FrameIndex(Untrained):
    """The number of the frame: later is more anomalous. Shows what timing alone gives away."""

    name = "frame-index"
    context = (0, 0)

    def score(self, video: Video) -> Scores:
        index = np.arange(len(video))
        return Scores(video.name, (video.start + index).astype(np.float64), index)


class CopyLast(Untrained):
    """Predict each frame as a copy of the one before; the score is the mean squared error.

    Speaks for frame t, predicted from t-1: the first frame is not scored.
    Frames count in [0, 1]; heatmap (T-1, H, W), the squared error averaged over the channels.
    `terms` holds the largest patch sum of the heatmap ("patch"), of `patch_of` the video's size.
    """

    name = "copy-last"
    context = (1, 0)

    def score(self, video: Video) -> Scores:
        """Raises VadError for a video of one frame."""
        if len(video) < 2:
            raise VadError(
                f"video {video.dataset}/{video.name} has one frame",
                "A copy of the frame before needs two frames at least.",
            )
        heat = np.stack(
            [
                np.square((b.astype(np.float32) - a) / 255).mean(-1)
                for a, b in zip(video.frames[:-1], video.frames[1:], strict=True)
            ]
        )
        terms = {"patch": largest_patch(heat)}
        return Scores(video.name, heat.mean((1, 2)), np.arange(1, len(video)), heat, terms)


def largest_patch(error: np.ndarray) -> np.ndarray:
    """The largest sum over a patch of `patch_of` the size: errors (N, H, W) -> (N,)."""
    sums = score.pscd(torch.from_numpy(error), patch_of((error.shape[1], error.shape[2])))
    return score.pool(sums, "max").double().numpy()


def patch_of(size: tuple[int, int]) -> tuple[int, int]:
    """A patch about as large as a person on Ped2, (h, w) pixels for frames of size (H, W).

    It is an eighth of the height and an eighteenth of the width: 30x20 at 240x360, as in the code
    of MAAM-Net, and 16x11 at 128x192. It was not chosen here, and not on test data.
    """
    return max(1, round(size[0] / 8)), max(1, round(size[1] / 18))


class ZeroFlow(Untrained):
    """Predict that nothing moves; the score is the patch with the largest error of that.

    The error of a pixel is |dx - 0| + |dy - 0|, the motion error of MAAM-Net, and `score.pscd` sums
    it over patches.

    patch   (h, w) pixels; `patch_of` the video's size when None
    method  how the flow is computed, see `motion.compute`

    Speaks for frame t by the flow from t to t+1: the last frame is not scored.
    heatmap (T-1, h', w'): the patch sums, a quarter of a patch apart.
    """

    name = "zero-flow"
    context = (0, 1)

    def __init__(self, patch: tuple[int, int] | None = None, method: str = "dis"):
        self.patch, self.method = patch, method

    def score(self, video: Video) -> Scores:
        """Raises VadError for a video of one frame, or smaller than the patch."""
        error = np.abs(motion.flow(video, self.method).astype(np.float32)).sum(-1)
        return self._of_patches(video, error)

    def _of_patches(self, video: Video, error: np.ndarray) -> Scores:
        heat = score.pscd(torch.from_numpy(error), self.patch or patch_of(video.size))
        frame = score.pool(heat, "max").double().numpy()
        return Scores(video.name, frame, np.arange(len(frame)), heat.numpy())


class FlowMagnitude(ZeroFlow):
    """The fastest patch: the largest mean length of the flow vectors, in pixels per frame.

    Takes the patch of ZeroFlow, which was fixed beforehand. There are windows that do better on
    Ped2, but to pick one of them for that is to fit the test set.
    """

    name = "flow-magnitude"

    def score(self, video: Video) -> Scores:
        """Raises VadError for a video of one frame, or smaller than the patch."""
        h, w = self.patch or patch_of(video.size)
        return self._of_patches(video, motion.magnitude(motion.flow(video, self.method)) / (h * w))


class MeanImage(Detector):
    """Subtract the mean of all training frames; the score is the mean squared difference.

    It is an autoencoder that returns one picture whatever it is shown, so it says how much of an
    appearance branch is knowing the empty scene. All that `fit` learns is that picture.

    Speaks for every frame. Frames count in [0, 1]; heatmap (T, H, W), the squared difference
    averaged over the channels. `terms` holds the largest patch sum of the heatmap ("patch"), of
    `patch_of` the video's size.
    """

    name = "mean-image"
    context = (0, 0)

    def __init__(self):
        self.image: np.ndarray | None = None  # (H, W, C), in 0..255

    def fit(self, videos: list[Video], config: Any = None) -> History:
        """Learn the image. Raises VadError for no videos, or videos of more than one shape."""
        shapes = {v.frames.shape[1:] for v in videos}
        if len(shapes) != 1:
            raise VadError(
                f"{self.name} is given {len(videos)} videos of {len(shapes)} shapes",
                "One image can be learned from videos of one size and number of channels.",
            )
        self.image = self._image(videos).astype(np.float32)
        return History()

    def _image(self, videos: list[Video]) -> np.ndarray:
        total = sum(v.frames.sum(0, dtype=np.float64) for v in videos)
        return np.asarray(total) / sum(map(len, videos))

    def score(self, video: Video) -> Scores:
        """Raises VadError before `fit`, and for a video of another shape."""
        if self.image is None or self.image.shape != video.frames.shape[1:]:
            known = "no image" if self.image is None else f"an image of {self.image.shape}"
            raise VadError(
                f"{self.name} has {known} for video {video.name} of {video.frames.shape[1:]}",
                "Call `fit` on training videos of the same camera and size first.",
            )
        heat = self._error(video.frames.astype(np.float32) - self.image).mean(-1)
        terms = {"patch": largest_patch(heat)}
        return Scores(video.name, heat.mean((1, 2)), np.arange(len(video)), heat, terms)

    def _error(self, difference: np.ndarray) -> np.ndarray:
        return np.square(difference / 255)


class MedianImage(MeanImage):
    """Subtract the median of all training frames: the scene without those who walk through it."""

    name = "median-image"

    def _image(self, videos: list[Video]) -> np.ndarray:
        rows = range(videos[0].size[0])  # one at a time: all frames at once need much memory
        return np.stack(
            [np.median(np.concatenate([v.frames[:, y] for v in videos]), 0) for y in rows]
        )


class MedianZ(MedianImage):
    """How far a pixel is from its median, in standard deviations of that place on training frames.

    As `MedianImage`, but the error is |frame - median| / deviation: grey that changes often at a
    place counts less there. The deviation is one grey level at least, the step of the camera.
    """

    name = "median-z"

    def fit(self, videos: list[Video], config: Any = None) -> History:
        """Learn the image and the deviations. Raises VadError as `MeanImage` does."""
        history, count = super().fit(videos), sum(map(len, videos))
        mean = MeanImage._image(self, videos)
        squares = sum(np.square(v.frames, dtype=np.float64).sum(0) for v in videos) / count
        variance = np.maximum(squares - mean**2, 0)
        self.deviation = np.maximum(np.sqrt(variance), 1).astype(np.float32)
        return history

    def _error(self, difference: np.ndarray) -> np.ndarray:
        return np.abs(difference) / self.deviation


class MotionGradient(Untrained):
    """The largest patch of the absolute difference between a frame and the next one.

    Speaks for frame t, by frames t and t+1: the last frame is not scored. Frames count in [0, 1];
    heatmap (T-1, H, W), the difference averaged over the channels. `terms` holds its mean ("mean").
    """

    name = "motion-gradient"
    context = (0, 1)

    def score(self, video: Video) -> Scores:
        """Raises VadError for a video of one frame."""
        if len(video) < 2:
            raise VadError(
                f"video {video.dataset}/{video.name} has one frame",
                "The difference to the next frame needs two frames at least.",
            )
        frames = video.frames.astype(np.float32) / 255
        heat = np.abs(frames[1:] - frames[:-1]).mean(-1)
        terms = {"mean": heat.mean((1, 2))}
        return Scores(video.name, largest_patch(heat), np.arange(len(heat)), heat, terms)
