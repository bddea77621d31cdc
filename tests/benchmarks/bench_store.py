"""Shuffled clips from a warm store against decoding each clip's images with OpenCV.

    VADLIB_DATA=... python tests/benchmarks/bench_store.py [--seconds 5] [--rounds 3]

Both sides give the same thing: batches of 16 five-frame grey clips of Ped2 at 128x192, shuffled.
"""

import argparse
import time

import cv2
import numpy as np

from vadlib import data
from vadlib.data import frames
from vadlib.data.clips import Clips

SIZE, LENGTH, BATCH = (128, 192), 5, 16


def rate(batch_of, clips, seconds, seed):
    """Clips a second of `batch_of(positions)` over shuffled batches, for at least `seconds`."""
    order = np.random.default_rng(seed).permutation(len(clips))
    begin, done = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        batch_of(order[np.arange(done, done + BATCH) % len(order)])
        done += BATCH
    return done / (time.perf_counter() - begin)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="for each side, in each round")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    videos = data.load("ped2", "train", SIZE)
    files = [source.files for source in frames.sources("ped2", "train", data.data_root())]
    clips = Clips(videos, LENGTH)

    def decode(positions):
        out = np.empty((len(positions), LENGTH, *SIZE), np.uint8)
        for row, video, start in zip(
            out, clips.video[positions], clips.start[positions], strict=True
        ):
            for frame, path in zip(row, files[video][start : start + LENGTH], strict=True):
                pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
                assert pixels is not None
                frame[:] = cv2.resize(pixels, SIZE[::-1], interpolation=cv2.INTER_AREA)
        return out

    some = np.random.default_rng(0).permutation(len(clips))[:BATCH]
    difference = np.abs(clips[some]["frames"].numpy()[:, :, 0].astype(int) - decode(some))
    assert difference.max() <= 1, "both sides must give the same frames"
    ratios = []
    for seed in range(args.rounds):  # in turn, so that a busy machine slows both alike
        warm = rate(clips.__getitem__, clips, args.seconds, seed)
        cold = rate(decode, clips, args.seconds, seed)
        ratios.append(warm / cold)
        print(f"store {warm:8.0f} clips/s   OpenCV {cold:6.0f} clips/s   ratio {ratios[-1]:.0f}")
    print(f"median ratio {np.median(ratios):.0f} (20 or more is the aim)")
    return 0 if np.median(ratios) >= 20 else 1


if __name__ == "__main__":
    raise SystemExit(main())
