"""What should a branch of Local Patterns be shown, and over how many frames are errors averaged?

    VADLIB_DATA=... python tests/benchmarks/bench_local_patterns.py --lags 0 1 2 4 6 8 --seeds 0

On Ped2's training videos but the last three: one detector for each lag, with the verbs of branch 1
and with no words at all. The three held out are then played at their own speed, at double, and at
triple. Printed is the AUC of one fast box among the ordinary boxes of a frame (the worst box
speaks for the frame), errors averaged along tracks of 1, 5 and 10 frames. No test video is opened.
"""

import argparse
from dataclasses import replace

import numpy as np

from vadlib import measure
from vadlib.lab.sets import load
from vadlib.papers import method
from vadlib.papers.local_patterns.detector import LocalPatterns

HELD_OUT, FRAMES, DRAWS = 3, 90, 20


def at_speed(video, times):
    """Every `times`-th frame, as a video of its own without labels."""
    frames = np.ascontiguousarray(video.frames[::times][:FRAMES])
    return replace(video, frames=frames, labels=None, masks=None, key="", truth={})


def auc(normal, abnormal):
    labels = np.repeat([0, 1], [len(normal), len(abnormal)])
    return measure.frame_auc([np.r_[normal, abnormal]], [labels])


def one_fast_box(model, video, times):
    """AUC of frames in which one box is `times` as fast, against frames in which none is."""
    tubes, usual = model.box_errors(at_speed(video, 1))
    crowd = np.array([usual[tubes.frame == t].max() for t in np.unique(tubes.frame)])
    fast = model.box_errors(at_speed(video, times))[1]
    among = np.tile(crowd, DRAWS)
    return auc(crowd, np.maximum(among, np.random.default_rng(0).choice(fast, len(among))))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--lags", type=int, nargs="+", default=[0, 1, 2, 4, 6, 8])
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0])
    given = arguments.parse_args()
    videos = load("ped2", "standard", "train")
    learn, held = videos[:-HELD_OUT], videos[-HELD_OUT:]
    print("percent; double, triple speed       1 frame       5 frames      10 frames", flush=True)
    for lag in given.lags:
        for features in ("branch1", "random"):
            row = []
            for seed in given.seeds:
                config = replace(method("local-patterns").config_of("standard"), lag=lag)
                how = replace(config.train, seed=seed)
                model = LocalPatterns(replace(config, features=features, train=how), "cpu")
                model.fit(learn, progress=False)
                for smooth in (1, 5, 10):
                    model.config = replace(model.config, smooth=smooth)
                    row += [[one_fast_box(model, v, s) for v in held] for s in (2, 3)]
            mean = 100 * np.reshape(row, (len(given.seeds), 3, 2, -1)).mean((0, 3))
            cells = "   ".join(f"{double:5.1f} {triple:5.1f}" for double, triple in mean)
            print(f"lag {lag:2d}, {features:7s}                {cells}", flush=True)


if __name__ == "__main__":
    main()
