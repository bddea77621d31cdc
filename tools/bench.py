"""How fast the library is against what it replaces: `python tools/bench.py [NAME...]`.

Each line is a ratio of two ways to do one thing, above one where ours is faster. Both take turns in
one run and are timed by the processor's clock, so that a busy machine slows both alike; the ratio
is the median over rounds. Nothing here is read by the book.
"""

from __future__ import annotations

import copy
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
import torch.nn.functional as F

from vadlib import measure, papers
from vadlib.lab import train as training
from vadlib.lab.checkpoints import checkpoint_of, checkpoint_path, load_checkpoint
from vadlib.papers.layers.memory import Memory

Row = tuple[str, float, float, str]  # what; ratio; its median deviation; what else is to be said


def turns(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int) -> tuple[float, float]:
    """The median of theirs / ours in CPU seconds, and the median deviation from it."""
    found = []
    for number in range(-1, rounds):
        spent = []
        for work in (theirs, ours):
            started = time.process_time()
            work()
            spent.append(time.process_time() - started)
        if number >= 0:  # the first warms up
            found.append(spent[0] / spent[1])
    middle = float(np.median(found))
    return middle, float(np.median(np.abs(np.array(found) - middle)))


def scoring(rounds: int = 5) -> Iterator[Row]:
    """Scoring with the weights of a loaded checkpoint in channels_last, against as they come."""
    for name in ("maam", "msti", "mdsf"):
        exp = papers.experiment(f"{name}-ped2-standard")
        video = exp.load("test")[0]
        fast: Any = exp.detector(0, "cpu")
        load_checkpoint(checkpoint_path(exp, 0), fast)
        slow = copy.copy(fast)
        slow.net = copy.deepcopy(fast.net).to(memory_format=torch.contiguous_format)
        a, b = fast.score(video, 6).frame, slow.score(video, 6).frame
        off = np.abs(a - b).max() / np.ptp(b)
        ratio = turns(
            lambda f=fast, v=video: f.score(v, 6), lambda s=slow, v=video: s.score(v, 6), rounds
        )
        yield f"scoring, {name}", *ratio, f"scores differ by {off:.0e} of their range"


def memae(z: torch.Tensor, items: torch.Tensor, threshold: float) -> torch.Tensor:
    """MemAE's read, as its authors wrote it: products by F.linear, a quotient for the shrinking."""
    b, c, h, w = z.shape
    queries = z.permute(0, 2, 3, 1).reshape(-1, c)
    weights = F.linear(queries, items).softmax(1)
    above = F.relu(weights - threshold)
    weights = F.normalize(above * weights / ((weights - threshold).abs() + 1e-12), p=1, dim=1)
    return F.linear(weights, items.T).view(b, h, w, c).permute(0, 3, 1, 2)


def memory(rounds: int = 15) -> Iterator[Row]:
    """A read of the memory against MemAE's, forward and with backward; 4 maps of 8x12x512."""
    for count in (500, 2000):
        torch.manual_seed(0)
        ours, z = Memory(count, 512), torch.randn(4, 512, 8, 12)
        items = ours.items.detach().clone().requires_grad_()

        def forward(read: Callable[[torch.Tensor], torch.Tensor], z: torch.Tensor = z) -> None:
            with torch.no_grad():
                read(z)

        def both(read: Callable[[torch.Tensor], torch.Tensor], z: torch.Tensor = z) -> None:
            read(z.clone().requires_grad_()).sum().backward()

        reads = (lambda z, m=ours: m(z).z), (lambda z, i=items, n=count: memae(z, i, 1 / n))
        for what, work in (("forward", forward), ("with backward", both)):
            ratio = turns(*(lambda w=work, r=read: w(r) for read in reads), rounds)
            yield f"memory of {count}, {what}", *ratio, "against MemAE's read"


def regions(rounds: int = 3) -> Iterator[Row]:
    """RBDC and TBDC of scored boxes, against trying every threshold in plain Python."""
    rng, tables, boxes, scores = np.random.default_rng(0), [], [], []
    for _ in range(4):
        frame = np.sort(rng.integers(0, 100, 300))
        corner = rng.integers(0, 100, (300, 2))
        boxes.append(np.column_stack([frame, corner, corner + rng.integers(8, 30, (300, 2))]))
        true = boxes[-1][::3].copy()
        true[:, 1:] += rng.integers(-2, 3, (len(true), 4))
        tables.append(np.insert(true, 1, np.arange(len(true)) % 5, axis=1))
        scores.append(np.round(rng.random(300), 2))
    case, found = (boxes, scores, tables, [100] * 4), {}

    def ours() -> None:
        found["ours"] = measure.box_detections(*case)

    def theirs() -> None:
        found["theirs"] = every_threshold(*case)

    ratio = turns(ours, theirs, rounds)
    off = max(
        abs(getattr(found["ours"], k) - getattr(found["theirs"], k)) for k in ("rbdc", "tbdc")
    )
    yield "RBDC and TBDC of 1,200 boxes", *ratio, f"areas differ by {off:.0e}"


def every_threshold(boxes, scores, tables, frames) -> measure.Detections:
    """The definition, a threshold at a time, boxes and regions matched by numpy in each frame."""
    levels, points = np.unique(np.concatenate(scores))[::-1], []
    for level in levels:
        false, hits, followed, total, chains = 0, 0, 0, 0, 0
        for video, own, table in zip(boxes, scores, tables, strict=True):
            detected = np.zeros(len(table), bool)
            for frame in np.unique(np.concatenate([video[:, 0], table[:, 0]])):
                mine = video[(video[:, 0] == frame) & (own >= level), 1:]
                rows = np.flatnonzero(table[:, 0] == frame)
                true = table[rows, 2:]
                low = np.maximum(mine[:, None, :2], true[None, :, :2])
                sides = np.clip(np.minimum(mine[:, None, 2:], true[None, :, 2:]) - low, 0, None)
                shared = sides.prod(-1)
                areas = [(x[:, 2:] - x[:, :2]).prod(1) for x in (mine, true)]
                match = shared >= 0.1 * (areas[0][:, None] + areas[1][None] - shared)
                false += (~match.any(1)).sum()
                detected[rows] |= match.any(0)
            names = np.unique(table[:, 1])
            shares = np.array([detected[table[:, 1] == t].mean() for t in names])
            hits, followed = hits + detected.sum(), followed + (shares >= 0.1).sum()
            total, chains = total + len(table), chains + len(names)
        points.append((false / sum(frames), hits / total, followed / chains))
        if points[-1][0] > 1:
            break
    return measure.Detections(levels[: len(points)], *np.array(points).T)


def training_share() -> Iterator[Row]:
    """The share of a training's CPU time that is spent outside loss, backward pass and Adam."""
    for name, stop in (("maam", 40), ("msti", 20), ("mdsf", 40)):
        exp, inside = papers.experiment(f"{name}-ped2-standard"), [0.0]
        videos, model = exp.load("train")[:2], exp.detector(0, "cpu")
        real_train, real_step = training.Fabric.backward, torch.optim.Adam.step

        def timed(work: Callable, inside: list[float] = inside) -> Callable:
            def run(*args: Any, **kw: Any) -> Any:
                started = time.process_time()
                try:
                    return work(*args, **kw)
                finally:
                    inside[0] += time.process_time() - started

            return run

        module = sys.modules[type(model).__module__]
        plain, spent = module.train, [0.0]

        def whole(net, clips, loss, *args, plain=plain, spent=spent, timed=timed, **kw):
            started = time.process_time()
            history = plain(net, clips, timed(loss), *args, **kw)
            spent[0] += time.process_time() - started
            return history

        module.train = whole  # type: ignore[attr-defined]
        training.Fabric.backward, torch.optim.Adam.step = timed(real_train), timed(real_step)
        try:
            model.fit(videos, stop_after=stop, progress=False)
        finally:
            module.train = plain  # type: ignore[attr-defined]
            training.Fabric.backward, torch.optim.Adam.step = real_train, real_step
        share = 1 - inside[0] / spent[0]
        yield f"training, {name}", 1 / (1 - share), 0.0, f"{100 * share:.1f} % outside the network"


def watching(seconds: int = 4) -> Iterator[Row]:
    """Seconds of a film of 240x360 at 25 frames/s to a second of processor, with decoding, alarms,
    report, table and overlay: above one is faster than the film. Networks of the book's kept
    checkpoints; scored at the film's size, and at 128x192, where networks were trained."""
    import cv2

    from vadlib.data import plaza, video
    from vadlib.lab.checkpoints import checkpoint_of, from_checkpoint
    from vadlib.lab.watch import watch

    cv2.setNumThreads(1)
    frames = plaza.videos("train", 1, max(40, 25 * seconds), (240, 360), level="clear")[0].frames
    with tempfile.TemporaryDirectory() as folder:
        film = video.write(Path(folder) / "film.mp4", frames, 25)
        named = {k: Path(folder) / k for k in ("r.html", "o.mp4", "s.csv")}
        out = {"report": named["r.html"], "overlay": named["o.mp4"], "table": named["s.csv"]}
        for name in ("copy-last", "mean-image", "motion-gradient", "zero-flow", *NETWORKS):
            model: Any = papers.detector(name)
            for size in ((240, 360), (128, 192)):
                if name in NETWORKS:
                    method, kept = papers.method(name), checkpoint_of(f"{name}-ped2-standard", 0)
                    model = from_checkpoint(method, kept, "cpu")
                elif name == "mean-image":
                    small = np.stack([video.resize(f, size) for f in frames[:20]])
                    model.fit([video.Video("usual", small, key=None)])
                found = []
                for _ in range(3):
                    seen = watch(model, str(film), size, **out, say=lambda line: None)
                    found.append(seen.seconds / seen.cpu)
                middle = float(np.median(found))
                spread = float(np.median(np.abs(np.array(found) - middle)))
                yield f"watching, {name}", middle, spread, f"scored at {size[0]}x{size[1]}"


NETWORKS = ("maam", "mdsf", "msti")


# MAAM-Net's network for Plaza is in the repository
MAAM = ["--checkpoint", str(checkpoint_of("maam-plaza-clear-standard", 0))]
ROOMS = {
    "watch copy-last": ["--method", "copy-last", "--report"],
    "score zero-flow": ["--out"],
    "score maam": [*MAAM, "--out"],
}


def room(minutes: tuple[int, ...] = (1, 5, 20), verbs: Iterable[str] = ROOMS) -> Iterator[Row]:
    """Peak memory over films of 240x360, each in its own process: MB in place of ratios."""
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(0)
        some = rng.integers(0, 255, (50, 15, 24, 3), dtype=np.uint8).repeat(16, 1).repeat(15, 2)
        for length in minutes:
            film = Path(folder) / f"{length}.mp4"
            with av.open(str(film), "w") as file:
                stream: Any = file.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
                stream.height, stream.width, stream.pix_fmt = 240, 360, "yuv420p"
                for i in range(25 * 60 * length):
                    picture = av.VideoFrame.from_ndarray(some[i // 10 % 50], format="rgb24")
                    file.mux(stream.encode(picture))
                file.mux(stream.encode())
            for verb in verbs:
                name, method = verb.split()
                named = [str(film)] if name == "watch" else [method, str(film)]
                command = [name, *named, *ROOMS[verb], str(Path(folder) / "out")]
                code = f"""import resource; from vadlib.__main__ import main
assert not main({command}); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"""
                done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
                peak = int(done.stdout.split()[-1]) / 1024
                yield f"{verb}, {length} min", peak, 0.0, "MB at most, with all libraries"


BENCHES = {f.__name__: f for f in (scoring, memory, regions, training_share, watching, room)}


def main(names: list[str]) -> None:
    """Print the table of the benches named, or of all."""
    torch.set_num_threads(1)
    print(f"{'':32} ratio   ±")
    for name in names or BENCHES:
        for what, ratio, spread, note in BENCHES[name]():
            print(f"{what:32} {ratio:5.2f} {spread:5.2f}  {note}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
