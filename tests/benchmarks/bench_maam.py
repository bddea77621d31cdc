"""Which MAAM-Net learns most from the same computing time? Decided on held-out *training* videos.

    VADLIB_DATA=... python tests/benchmarks/bench_maam.py --seconds 240

Every candidate trains on one thread for the same seconds of processor time, on Ped2's training
videos but the last two, and is judged by its losses on those two. The loss of predicting rest is
printed beside them. No test video is opened.
"""

import argparse
import math
import time

import numpy as np
import torch

from vadlib.data.clips import Clips
from vadlib.lab.sets import load
from vadlib.lab.train import seed_of
from vadlib.papers.layers.inputs import to_input
from vadlib.papers.maam.config import MAAMConfig
from vadlib.papers.maam.network import MAAMNet, losses
from vadlib.see import motion

CANDIDATES = [(8, 4, 2e-3), (16, 4, 1e-3), (16, 8, 1e-3), (32, 8, 1e-3)]  # width, batch, lr


def batch_of(clips, chosen):
    part = clips[chosen]
    frames = to_input(part["frames"][:, 0], 3).to(memory_format=torch.channels_last)
    return frames, part["flow"][:, 0]


def fit(width, batch, lr, clips, seconds, seed=0):
    torch.manual_seed(seed)
    net = MAAMNet(500, width=width).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(net.parameters(), lr)
    started, steps = time.process_time(), 0
    while (spent := (time.process_time() - started) / seconds) < 1:
        torch.manual_seed(seed_of(seed, steps))
        optimizer.param_groups[0]["lr"] = lr * 0.5 * (1 + math.cos(math.pi * spent))
        frames, flow = batch_of(clips, torch.randint(len(clips), (batch,)).numpy())
        optimizer.zero_grad()
        losses(net(frames), frames, flow, MAAMConfig())["total"].backward()
        optimizer.step()
        steps += 1
    return net.eval(), steps


@torch.no_grad()
def held_out(net, clips):
    """Mean losses over every fourth clip: appearance, motion, and motion of predicting rest."""
    sums = []
    for at in np.arange(0, len(clips), 4):
        frames, flow = batch_of(clips, at)
        terms = losses(net(frames), frames, flow, MAAMConfig())
        sums.append([terms["app"].item(), terms["mot"].item(), flow.abs().mean().item()])
    return np.mean(sums, 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=240)
    seconds = parser.parse_args().seconds
    torch.set_num_threads(1)
    videos = load("ped2", "standard", "train")
    flow = [motion.flow(v) for v in videos]
    train = Clips(videos[:-2], flows=1, flow=flow[:-2])
    held = Clips(videos[-2:], flows=1, flow=flow[-2:])
    print("width batch     lr  steps   appearance   motion   rest")
    for width, batch, lr in CANDIDATES:
        net, steps = fit(width, batch, lr, train, seconds)
        app, mot, rest = held_out(net, held)
        print(
            f"{width:5} {batch:5} {lr:6} {steps:6} {app:12.5f} {mot:8.5f} {rest:6.5f}", flush=True
        )


if __name__ == "__main__":
    main()
