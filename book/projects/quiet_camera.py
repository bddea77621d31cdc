"""Project 2, a start: a camera that may cry wolf so many times an hour, and no more.

Sets a rule's threshold on normal films, keeps the promise's interval, and counts which events it
still finds. On Plaza, the scene that the book draws; takes seconds. Run it in the root of the
repository: python book/projects/quiet_camera.py
"""

import numpy as np

from vadlib import data
from vadlib.measure import alarms
from vadlib.papers import detector

RULES = ("zero-flow", "flow-magnitude", "motion-gradient")
AN_HOUR, QUIET, FPS = (
    60.0,
    5.0,
    10.0,
)  # alarms allowed, seconds between two, Plaza's frames a second
SCENE = {"size": (96, 144), "level": "clear"}


def timed(rule, video) -> tuple[np.ndarray, np.ndarray]:
    """Seconds and scores of a film."""
    scores = rule.score(video)
    return scores.index / FPS, scores.frame


def found(rule, videos, threshold: float) -> dict[str, list[bool]]:
    """Kind of event -> for each film with one, whether it rang while something was amiss."""
    rang: dict[str, list[bool]] = {}
    for video in videos:
        scores = rule.score(video)
        odd = scores.labels(video) == 1
        if odd.any():
            kind = str(video.truth["kind"][video.labels == 1][0])
            rang.setdefault(kind, []).append(bool((scores.frame[odd] > threshold).any()))
    return rang


def main() -> None:
    fitted = data.load("plaza", "train", count=2, length=60, seed=0, **SCENE)
    normal = data.load("plaza", "train", count=4, length=200, seed=1, **SCENE)
    test = data.load("plaza", "test", count=9, length=60, seed=2, **SCENE)
    for name in RULES:
        rule = detector(name)
        rule.fit(fitted)
        promise = alarms.promise([timed(rule, v) for v in normal], AN_HOUR, QUIET)
        rang = found(rule, test, promise.threshold)
        print(f"{name}: {promise.words}")
        for kind, heard in rang.items():
            print(f"  {kind}: {sum(heard)} of {len(heard)} events found")
    # Yours: films of a camera of your own (vadlib.data.video.read), a trained method, hours of it.


if __name__ == "__main__":
    main()
