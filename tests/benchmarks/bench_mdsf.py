"""How light may MDSF's student be, and what do gates and fusion cost?

    VADLIB_DATA=... python tests/benchmarks/bench_mdsf.py --passes 3

First, on Ped2's training videos but the last two: one teacher, and students with half, three
quarters and all of its channels. On the two held out, with pieces of other frames pasted in, it
prints what is left of the discrepancy on the teacher's features, and how well it finds the pieces
without gates. No test video is opened. Then: frames a second of the full model and of the paper's
baseline (no gates, the deepest scale alone), their models taking turns, and the ratio of the two.
"""

import argparse
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F

from vadlib import measure
from vadlib.lab.sets import load
from vadlib.lab.timing import throughput
from vadlib.lab.train import train
from vadlib.papers import method
from vadlib.papers.layers.inputs import to_input
from vadlib.papers.mdsf import detector, network, pseudo


def trained(model, videos, teacher, config):
    """A teacher where there is none, and a student, each for the config's passes."""
    clips = model.clips(videos)

    def window(batch):
        frames = to_input(batch["frames"], config.in_channels)
        return model.pick(detector.crop_and_flip(frames, config.crop))

    def teach(net, batch):
        return network.teacher_loss(net, window(batch), config)

    def learn(net, batch):
        return network.student_loss(net, model.net.teacher, window(batch), config)

    if teacher is None:
        train(model.net.teacher, clips, teach, config.train)
    else:
        model.net.teacher = teacher
    train(model.net.student, clips, learn, config.train)


@torch.no_grad()
def finds(model, videos):
    """Held out: error of the student over the teacher's variance, AUC by frame and by place."""
    torch.manual_seed(0)
    frames = model.clips(videos, step=3)[:]["frames"]
    made = pseudo.pseudo_anomalies(to_input(frames, 3), model.config)
    net, hot, left = model.net.eval(), [], []
    for x in made.x.split(16):
        out = net(x)
        hot.append(network.heat(out.fused))
        pairs = zip(out.difference, net.teacher.encoder(x), strict=True)
        left.append([float(d.square().mean() / t.var((0, 2, 3)).mean()) for d, t in pairs])
    hot = torch.cat(hot)
    target = F.interpolate(made.mask, size=hot.shape[1:], mode="area")[:, 0] >= 0.25
    labels = target.flatten(1).any(1).numpy()
    return (
        np.mean(left, axis=0),
        measure.frame_auc([hot.flatten(1).norm(dim=1).numpy()], [labels]),
        measure.frame_auc([hot.flatten().numpy()], [target.flatten().numpy()]),
    )


def students(passes):
    videos = load("ped2", "standard", "train")
    config = replace(method("mdsf").config_of("standard"), gate="fixed")
    config = replace(config, train=replace(config.train, epochs=passes))
    teacher = None
    for share in (0.5, 0.75, 1.0):
        model = detector.MDSF(replace(config, student=share), "cpu")
        trained(model, videos[:-2], teacher, config)
        teacher = model.net.teacher
        left, frame, place = finds(model, videos[-2:])
        parts = ", ".join(f"{100 * value:.0f} %" for value in left)
        print(f"student {share:4.2f}: left of the variance {parts};", end=" ")
        print(f"AUC {100 * frame:.1f} by frame, {100 * place:.1f} by place")


def speed(rounds):
    config = method("mdsf").config_of("standard")
    nets = {
        "full": detector.MDSF.build(config).eval(),
        "baseline": detector.MDSF.build(replace(config, gate="fixed", scales="single")).eval(),
    }
    for batch in (1, 4, 16):
        fps = throughput(nets, torch.rand(batch, 3, 128, 192), rounds)
        full, base = (np.median(fps[name]) for name in ("full", "baseline"))
        print(f"batch {batch:2d}: full {full:.0f}, baseline {base:.0f}, ratio {full / base:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passes", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=50)
    arguments = parser.parse_args()
    speed(arguments.rounds)
    students(arguments.passes)
