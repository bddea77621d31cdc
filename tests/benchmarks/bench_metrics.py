"""How fast the metrics are. `python tests/benchmarks/bench_metrics.py`, or under pytest by path.

Frame AUC of one million frames is held against a bare argsort of the same array in the same run;
the pixel and region metrics run on as many frames as the test split of UCSD Ped2 has.
"""

import time

import numpy as np
from scipy.ndimage import gaussian_filter

from vadlib import measure

LENGTHS = (180, 180, 150, 180, 150, 180, 180, 180, 120, 150, 180, 180)  # Ped2's test videos
SIZE = (128, 192)


def seconds(function, repeats=5):
    """Best wall time of several runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def frame_scores(frames=1_000_000, ties=False):
    rng = np.random.default_rng(0)
    scores = rng.standard_normal(frames)
    labels = (np.arange(frames) % 180 > 60).astype(np.uint8)
    return np.round(scores, 2) if ties else scores, labels


def maps(noise):
    """Heat maps and masks of Ped2's lengths: a walking square of heat over smooth noise."""
    rng, heatmaps, masks = np.random.default_rng(0), [], []
    for length in LENGTHS:
        heat = gaussian_filter(rng.random((length, *SIZE), np.float32), (0, 2, 2)) * noise
        mask = np.zeros((length, *SIZE), bool)
        for t in range(length // 3, length):
            mask[t, 50:75, t % 170 : t % 170 + 15] = True
            heat[t, 48:70, t % 170 + 2 : t % 170 + 18] += rng.random() * 0.2
        heatmaps.append(heat)
        masks.append(mask)
    return heatmaps, masks


def frame_ratios():
    """Micro AUC against numpy.argsort: distinct scores, and scores with many ties."""
    found = {}
    for ties in (False, True):
        scores, labels = frame_scores(ties=ties)
        base = seconds(lambda s=scores: np.argsort(s))
        ours = seconds(lambda s=scores, y=labels: measure.frame_auc(s, y))
        found["ties" if ties else "distinct"] = ours / base
    return found


def test_frame_auc_takes_at_most_twice_an_argsort():
    assert max(frame_ratios().values()) < 2


def test_region_metrics_take_seconds():
    heatmaps, masks = maps(noise=1.0)
    assert seconds(lambda: measure.detections(heatmaps, masks), repeats=1) < 10


if __name__ == "__main__":
    for name, ratio in frame_ratios().items():
        print(f"frame_auc, 1,000,000 frames, {name}: {ratio:.2f} times numpy.argsort")
    for noise in (0.1, 1.0):
        heatmaps, masks = maps(noise)
        work = {
            "pixel_auc pixel": lambda h=heatmaps, m=masks: measure.pixel_auc(h, m),
            "pixel_auc ucsd40": lambda h=heatmaps, m=masks: measure.pixel_auc(h, m, "ucsd40"),
            "rbdc and tbdc": lambda h=heatmaps, m=masks: measure.detections(h, m),
        }
        for name, function in work.items():
            print(f"{name}, 2,010 frames of 128x192, noise {noise}: {seconds(function, 2):.2f} s")
