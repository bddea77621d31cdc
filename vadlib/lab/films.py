"""Films through a detector: scored window by window, and judged by what normal footage scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from vadlib.data import store, video
from vadlib.data.base import Video
from vadlib.detector import Detector, Scores
from vadlib.errors import VadError

ALARMS = 0.01  # share of normal frames that may be called abnormal
WHOLE = 2**30  # bytes, a float for each pixel, of the longest film that is looked at as a whole
COLUMNS = ("video", "frame", "time", "score", "threshold", "abnormal")
Size = tuple[int, int]
Timed = tuple[Scores, np.ndarray]


def score(model: Detector, path: Path, size: Size | None, keep: bool = False) -> Iterator[Timed]:
    """The scores of a film, part by part, and the seconds at which their frames are shown.

    keep  read the film as a whole and keep frames and flow in the cache; memory grows with it

    Where a score is made of a few frames, the film is read in windows, and memory does not depend
    on its length. Raises VadError for a damaged film, and for one too long to be looked at whole
    where the detector must.
    """
    if keep:
        yield _whole(model, path, size)
    elif model.context is None:
        with store.passing():
            yield _whole(model, path, size)
    else:
        times: list[float] = []  # of every frame so far; a float each, where a window has pictures

        def cut() -> Iterator[Video]:
            for window in video.windows(path, size, overlap):
                assert window.times is not None
                times[window.start :] = window.times
                yield window

        overlap = sum(model.context)
        for scores in model.stream(cut()):
            yield scores, np.array(times)[scores.index]


def _whole(model: Detector, path: Path, size: Size | None) -> Timed:
    look = video.survey([path])[1]
    height, width = size or (look.height, look.width)
    longest = WHOLE // (4 * height * width)
    if model.context is None and look.count > longest:
        raise VadError(
            f"{path} has {look.count} frames, and {model.name} looks at a film as a whole",
            f"Cut it into films of at most {longest} frames, or choose a smaller size.",
        )
    read = video.read(path, size)
    scores = model.score(read)
    assert read.times is not None
    return scores, read.times[scores.index]


def threshold(normal: Iterable[np.ndarray]) -> float:
    """The score above which lies one frame in a hundred (ALARMS) of normal footage, at most.

    normal  (N,) scores of each film. Training footage will do, but what a network was trained on
            scores lower than new footage that is as normal: films that it never saw are better.
    Raises VadError where there are no scores.
    """
    scores = np.concatenate([np.zeros(0), *normal])
    if not len(scores):
        raise VadError("there is no normal footage to set a threshold by", "Give films of it.")
    return float(np.quantile(scores, 1 - ALARMS, method="higher"))


def rows(name: str, parts: Iterable[Timed], limit: float | None) -> Iterator[tuple[str, ...]]:
    """A row of COLUMNS for each scored frame; the last two are empty where no limit is known."""
    for scores, times in parts:
        for frame, seconds, value in zip(scores.index, times, scores.frame, strict=True):
            judged = ("", "") if limit is None else (f"{limit:.6g}", str(int(value > limit)))
            yield name, str(frame), f"{seconds:.3f}", f"{value:.6g}", *judged
