"""What should Attributes measure, and which views should speak?

    VADLIB_DATA=... python tests/benchmarks/bench_attributes.py --seed 101 --films 30

First, on Ped2's last six *training* videos, played at their own speed and at double: how well is
one fast box told from the worst box of an ordinary frame, by the mean flow of the whole box, and of
what in it differs from the empty scene? Then, on films of Plaza of a seed that no record has, the
AUC of each view, and of the largest and the sum of each set of views. No test video of a record is
opened.
"""

import argparse
import itertools
from dataclasses import replace

import numpy as np

from vadlib import measure
from vadlib.data import plaza
from vadlib.lab.sets import load
from vadlib.papers import method
from vadlib.papers.attributes.config import VIEWS
from vadlib.papers.attributes.detector import Attributes
from vadlib.papers.attributes.measured import measure as measured
from vadlib.see import motion

FRAMES, DRAWS = 90, 20


def at_speed(video, times):
    """Every `times`-th frame, as a video of its own without labels."""
    frames = np.ascontiguousarray(video.frames[::times][:FRAMES])
    return replace(video, frames=frames, labels=None, masks=None, key="", truth={})


def speeds(model, video):
    """The frame of each box (n,), and its flow: of the whole box, and of the thing in it."""
    boxes, flow = model.boxes(video), motion.flow(video)
    frame = np.repeat(np.arange(len(boxes)), [len(b) for b in boxes])
    whole = []
    for t, (y0, x0, y1, x1) in zip(frame, np.concatenate(boxes).clip(0).astype(int), strict=True):
        whole.append(np.abs(flow[max(t - 1, 0), y0:y1, x0:x1].astype(np.float32)).sum(-1).mean())
    return frame, np.array(whole), measured(video, boxes, 1)["flow"][:, 0]


def one_fast_box(normal, fast):
    """AUC of frames in which one box is fast, against frames in which none is."""
    frame, values = normal
    crowd = np.array([values[frame == t].max() for t in np.unique(frame)])
    among = np.tile(crowd, DRAWS)
    odd = np.maximum(among, np.random.default_rng(0).choice(fast, len(among)))
    labels = np.repeat([0, 1], [len(crowd), len(odd)])
    return measure.frame_auc([np.r_[crowd, odd]], [labels])


def on_training(model):
    found = []
    for video in load("ped2", "standard", "train")[-6:]:
        (frame, *usual), (_, *fast) = (speeds(model, at_speed(video, k)) for k in (1, 2))
        found.append([one_fast_box((frame, u), f) for u, f in zip(usual, fast, strict=True)])
    whole, thing = 100 * np.mean(found, 0)
    print(f"one box at double speed: whole box {whole:.1f}, the thing in it {thing:.1f}")


def on_plaza(config, seed, films):
    model = Attributes(replace(config, views=tuple(VIEWS)), "cpu")
    model.fit(plaza.videos("train", count=8, length=200, seed=seed))
    videos = plaza.videos("test", count=films, length=100, seed=seed)
    scores = [model.score(v) for v in videos]
    labels = [s.labels(v) for s, v in zip(scores, videos, strict=True)]
    sets = [c for n in range(1, len(VIEWS) + 1) for c in itertools.combinations(VIEWS, n)]
    rows = []
    for views, (name, over) in itertools.product(sets, (("largest", np.max), ("sum", np.sum))):
        frames = [over([s.terms[v] for v in views], axis=0) for s in scores]
        rows.append((100 * measure.frame_auc(frames, labels), name, " ".join(views)))
    for area, name, views in sorted(rows, reverse=True):
        print(f"{area:5.1f}  {name:8s} {views}")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seed", type=int, default=101)
    arguments.add_argument("--films", type=int, default=30)
    given = arguments.parse_args()
    config = method("attributes").config_of("standard")
    on_training(Attributes(config, "cpu"))
    on_plaza(config, given.seed, given.films)


if __name__ == "__main__":
    main()
