"""What every detector promises, tried on a new one: `check_detector` is to detectors what
`check_estimator` is to the estimators of scikit-learn."""

from __future__ import annotations

import io
import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from vadlib.data.base import Video
from vadlib.detector import Scores
from vadlib.errors import VadError

ODD_SEED = 918_273_645
REMEDY = "See the one interface in CONTRIBUTING.md."


def check_detector(
    make: Callable[[], Any], videos: Sequence[Any], without: Sequence[str] = ()
) -> list[str]:
    """That a detector keeps what the interface promises. Returns what was tried.

    make    makes it, untrained, always alike; a small one, trained on two videos in seconds
    videos  three that it can be trained on and that differ, of 24 frames or more (bags for a method
            of bags: there, what films of other forms do is not asked)
    without names of promises that are not asked for, each with a reason beside the call

    Raises VadError naming the first promise that is broken. Whatever a detector cannot score it may
    refuse with a VadError; what it does score must be finite, aligned, and repeatable.
    """
    promises = [alike, restored, named, undrawn, unmoved, numbers, broken]
    if isinstance(videos[0], Video):
        promises += [causal, short, other_forms, still]
    promises = [promise for promise in promises if promise.__name__ not in without]
    given = [_held(video).copy() for video in videos]
    with _alone() as outside:
        model, twin = (_trained(make(), videos) for _ in range(2))
        for promise in promises:
            promise(model, twin, make, videos)
        kept = all(np.array_equal(_held(v), g) for v, g in zip(videos, given, strict=True))
        _holds(kept, "a video stays as it is", "training or scoring changed it")
        left = sorted(p.name for p in outside.rglob("*"))
        _holds(not left, "nothing is written outside the cache", f"it left {', '.join(left)}")
    return [promise.__doc__ or "" for promise in promises]


def _held(video: Any) -> np.ndarray:
    return video.frames if isinstance(video, Video) else np.asarray(video.features)


def _holds(condition: Any, promise: str, what: str) -> None:
    if not condition:
        raise VadError(f"a detector promises that {promise}: {what}", REMEDY)


@contextmanager
def _alone() -> Iterator[Path]:
    """An empty folder to work in, a cache of its own beside it, and random numbers of its own."""
    before = {k: os.environ.get(k) for k in ("VADLIB_CACHE", "VADLIB_HOME")}
    here = Path.cwd()
    with TemporaryDirectory() as folder, _random_numbers():
        outside = Path(folder) / "outside"
        outside.mkdir()
        os.environ |= {"VADLIB_CACHE": f"{folder}/cache", "VADLIB_HOME": str(outside)}
        os.chdir(outside)
        try:
            yield outside
        finally:
            os.chdir(here)
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


@contextmanager
def _random_numbers() -> Iterator[None]:
    """Global random numbers where no detector would set them, and afterwards where they were.

    One that seeds with 0 would go unseen where 0 had been the last seed.
    """
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    random.seed(ODD_SEED)
    np.random.seed(ODD_SEED)  # noqa: NPY002
    torch.manual_seed(ODD_SEED)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])


def _trained(model: Any, videos: Sequence[Any]) -> Any:
    before = _random_state()
    model.fit(list(videos[:2]) if isinstance(videos[0], Video) else list(videos))
    _holds(
        _random_state() == before,
        "numpy's and Python's global random numbers go on as if it were not there",
        "`fit` drew from them or seeded them",
    )
    return model


def _random_state() -> tuple[str, str]:
    return repr(random.getstate()), repr(np.random.get_state())  # noqa: NPY002


def _same(one: Scores, two: Scores) -> bool:
    return np.array_equal(one.frame, two.frame) and np.array_equal(one.index, two.index)


def alike(model: Any, twin: Any, make: Any, videos: Sequence[Any]) -> None:
    """Trained twice alike, it scores alike, and its own scores do not depend on what came before"""
    first = model.score(videos[2])
    _holds(
        _same(first, twin.score(videos[2])), "two that are trained alike are alike", "they differ"
    )
    model.score(videos[0])
    again = model.score(videos[2])
    _holds(_same(first, again), "a video's scores do not depend on those before", "they differ")
    net = getattr(model, "net", None)
    _holds(net is None or not net.training, "it tests in testing mode", "its net is in training")


def restored(model: Any, twin: Any, make: Any, videos: Sequence[Any]) -> None:
    """Its state, saved and loaded without code, makes another one equal"""
    if not hasattr(model, "state"):
        return
    packed = io.BytesIO()
    torch.save(model.state(), packed)
    packed.seek(0)
    other = make()
    other.load_state(torch.load(packed, weights_only=True))
    one, two = model.score(videos[2]), other.score(videos[2])
    # weights laid out otherwise in memory may differ in the last digit of a sum
    _holds(
        np.allclose(one.frame, two.frame, rtol=1e-4, atol=1e-6),
        "its state is all that it has learned",
        "one that took it up scores otherwise",
    )


def named(model: Any, twin: Any, make: Any, videos: Sequence[Any]) -> None:
    """Scores speak for frames of the video that they name"""
    for video in videos:
        _sound(model.score(video), video)


def _sound(scores: Scores, video: Any) -> None:
    promise = "scores speak for frames of the video that they name"
    _holds(scores.video == video.name, promise, f"{scores.video} for {video.name}")
    inside = len(scores.index) > 0 and scores.index[0] >= 0 and scores.index[-1] < len(video)
    _holds(inside, promise, f"{len(scores.index)} scores for {len(video)} frames")
    _holds(np.issubdtype(scores.index.dtype, np.integer), promise, f"index {scores.index.dtype}")
    for name, part in {"heatmap": scores.heatmap, **scores.terms, **scores.facts}.items():
        _holds(part is None or np.isfinite(part).all(), "all it says is finite", f"{name} is not")


def undrawn(model: Any, twin: Any, make: Any, videos: Sequence[Any]) -> None:
    """Scoring neither seeds nor draws from global random numbers of numpy, Python or PyTorch"""
    state, drawn = _random_state(), torch.get_rng_state()
    model.score(videos[2])
    same = _random_state() == state and torch.equal(drawn, torch.get_rng_state())
    _holds(same, "scoring leaves random numbers alone", "it used global ones")


def unmoved(model: Any, twin: Any, make: Any, videos: Sequence[Any]) -> None:
    """Its network may be moved, and is brought back to its own device"""
    net = getattr(model, "net", None)
    if net is None or not list(net.parameters()) or not hasattr(model, "device"):
        return
    before, sent, to = model.score(videos[2]), [], net.to
    to("cuda" if torch.cuda.is_available() else "cpu")
    net.to = lambda *where, **how: sent.append(where) or to(*where, **how)
    try:  # where there is one device only, that it was sent there is all that can be seen
        after = model.score(videos[2])
    finally:
        del net.to
    home = any(where and torch.device(where[0]) == torch.device(model.device) for where in sent)
    _holds(home and _same(before, after), "it brings its network home", "it did not")


def numbers(model: Any, twin: Any, make: Any, videos: Sequence[Any]) -> None:
    """The same video under another name has the same scores, unless they are drawn by name"""
    other = replace(videos[2], name="other")
    scores = model.score(other)
    _holds(scores.video == "other", "scores name their video", f"{scores.video} for other")


def broken(model: Any, twin: Any, make: Any, videos: Sequence[Any]) -> None:
    """Weights that are NaN are refused, and never answered with a number"""
    net = getattr(twin, "net", None)
    if net is None:
        return
    with torch.no_grad():
        for part in net.parameters():
            part.fill_(torch.nan)
    try:
        found = twin.score(videos[2])
    except VadError:
        return
    unused = _same(found, model.score(videos[2]))  # nothing in this video for the network to see
    _holds(unused, "NaN is refused", "weights that are NaN gave scores")


def causal(model: Any, twin: Any, make: Any, videos: Sequence[Any]) -> None:
    """A frame that is changed leaves all scores alone that its context does not reach"""
    context, video = getattr(model, "context", None), videos[2]
    if context is None:
        return
    (before, after), at = context, len(video) // 2
    frames = np.array(video.frames)
    frames[at] = 255 - frames[at]
    one, two = model.score(video), model.score(replace(video, frames=frames, key=""))
    far = (one.index + after < at) | (one.index - before > at)
    # sums over other batches may differ in the last digit
    close = np.allclose(one.frame[far], two.frame[far], rtol=1e-4, atol=1e-6)
    _holds(close, f"its context is {context}", f"frame {at} changes others than it reaches")


def short(model: Any, twin: Any, make: Any, videos: Sequence[Any]) -> None:
    """Of one, two or a few frames, it scores what it can or says that it cannot"""
    for length in (1, 2, 3, 5, 8):
        _scored_or_refused(model, _like(videos[2], videos[2].frames[:length]))


def other_forms(model: Any, twin: Any, make: Any, videos: Sequence[Any]) -> None:
    """Of other sizes, and grey or in colour, it scores what it can or says that it cannot"""
    frames = videos[2].frames[:12]
    colour = np.repeat(frames[..., :1], 3, axis=3)
    for made in (frames[:, :-3, :-5], frames[:, :9, :7], frames[..., :1], colour):
        _scored_or_refused(model, _like(videos[2], made))


def still(model: Any, twin: Any, make: Any, videos: Sequence[Any]) -> None:
    """Of a film in which nothing changes, or all is black or white, scores are finite"""
    for level in (0, 127, 255):
        _scored_or_refused(model, _like(videos[2], np.full_like(videos[2].frames[:12], level)))


def _like(video: Video, frames: np.ndarray) -> Video:
    return Video("another", np.ascontiguousarray(frames), dataset=video.dataset, split=video.split)


def _scored_or_refused(model: Any, video: Video) -> None:
    try:
        scores = model.score(video)
    except VadError:
        return
    except Exception as error:
        shape = f"{type(error).__name__} for frames of {video.frames.shape}: {error}"
        raise VadError(f"a detector scores a video or refuses it: {shape}", REMEDY) from error
    _sound(scores, video)
