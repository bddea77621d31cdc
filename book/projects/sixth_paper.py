"""Project 3, a start: add the sixth paper in a day.

A memory without learning, in the place of the memory of Park et al. (2020): it keeps patches of
normal frames, and asks of each new one how far the nearest kept one is. It keeps the one interface,
passes the battery that every method passes, and stands beside a rule. Takes seconds. Run it in the
root of the repository: python book/projects/sixth_paper.py
"""

import numpy as np
import torch

from vadlib.data.video import resize
from vadlib.detector import Detector, History, Scores
from vadlib.lab.check_detector import check_detector
from vadlib.lab.sets import load
from vadlib.measure import frame_auc
from vadlib.papers import detector

SMALL, PATCH = (48, 72), 8  # a frame's size, and the side of a patch, in pixels


def patches(frame: np.ndarray) -> np.ndarray:
    """(H, W, C) uint8 -> (places, 64): the patches of the small grey frame, 0 to 1."""
    grey = resize(frame, SMALL).astype(np.float32).mean(2) / 255
    rows, columns = SMALL[0] // PATCH, SMALL[1] // PATCH
    return grey.reshape(rows, PATCH, columns, PATCH).swapaxes(1, 2).reshape(rows * columns, -1)


class Nearest(Detector):
    """Keeps patches of normal frames, place by place; the score is the largest distance to them."""

    name, context = "nearest", (0, 0)

    def __init__(self, every: int = 10):
        self.every, self.kept = every, np.zeros((0, 0, 0), np.float32)

    def fit(self, videos, config=None) -> History:
        frames = [f for video in videos for f in video.frames[:: self.every]]
        self.kept = np.stack([patches(f) for f in frames], 1)  # (places, kept, 64)
        return History(samples=len(frames))

    def score(self, video) -> Scores:
        far = np.stack([self._far(frame) for frame in video.frames])
        heat = far.reshape(-1, SMALL[0] // PATCH, SMALL[1] // PATCH)
        return Scores(video.name, far.max(1), np.arange(len(video)), heat)

    def _far(self, frame: np.ndarray) -> np.ndarray:
        """(places,) root of the mean squared distance to the nearest kept patch of the place."""
        return np.sqrt(((self.kept - patches(frame)[:, None]) ** 2).mean(2).min(1))

    def state(self) -> dict[str, torch.Tensor]:
        return {"kept": torch.from_numpy(self.kept)}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        self.kept = state["kept"].numpy()


def main() -> None:
    train, test = load("plaza", "smoke", "train"), load("plaza", "smoke", "test")
    for promise in check_detector(Nearest, train[:3]):
        print(f"kept: {promise}")
    for model in (Nearest(), detector("zero-flow")):
        model.fit(train)
        scores = [model.score(v) for v in test]
        labels = [s.labels(v) for s, v in zip(scores, test, strict=True)]
        print(f"{model.name}: AUC {100 * frame_auc([s.frame for s in scores], labels):.1f}")
    # Yours: `python -m vadlib new mnad`, then the paper's memory and its network in that folder.


if __name__ == "__main__":
    main()
