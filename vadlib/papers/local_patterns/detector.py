"""Local Patterns as a detector: words find parts, a state machine foresees them (Jiang and Mao,
2025, "Local Patterns Generalize Better for Novel Anomalies").

A box is looked at in six consecutive frames. From the features of the first five, the state machine
predicts those of the sixth: an anomaly is what it predicts badly. Equation numbers are the paper's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlib.data import store
from vadlib.data.base import Video
from vadlib.detector import Detector, History, Scores
from vadlib.errors import VadError
from vadlib.lab import train as training
from vadlib.lab.train import pick_device, train
from vadlib.papers.layers.boxes import average, paint, source_of, spread
from vadlib.papers.layers.normal import Space, larger, unit, whitening
from vadlib.papers.local_patterns.alignment import fit as fit_branch
from vadlib.papers.local_patterns.alignment import look
from vadlib.papers.local_patterns.config import BRANCHES, LocalPatternsConfig
from vadlib.papers.local_patterns.network import LocalPatternsNet
from vadlib.papers.local_patterns.sight import (
    ITAM_CODE,
    Eyes,
    Moments,
    Sight,
    halved,
    round_weights,
)
from vadlib.see import captions, motion, objects
from vadlib.see.captions import AttributeCaptioner

# --------------------------------------------------------------------------------- the detector


class LocalPatterns(Detector):
    """ITAM and SMM as a detector: `fit` on normal videos, `score` any. Raises VadError as they do.

    What rows of a table share is made once and kept in the cache: boxes, trained branches (by seed,
    sentences and data) and features. A history counts the branches' training whoever began it.
    """

    name = "local-patterns"

    def __init__(self, config: LocalPatternsConfig | None = None, device: str = "auto"):
        self.config = config or LocalPatternsConfig()
        self.device = pick_device(device)
        self.net = self.build(self.config)
        self.space: Space | None = None  # normal features, where the score asks for them
        self.units = (1.0, 1.0)  # what is large in training: a distance, and an error's root
        self.floor = 0.0  # the score of a frame without boxes: the lowest in training
        self.boxes_a_frame = 1  # mean in training, for the cost

    @staticmethod
    def build(config: LocalPatternsConfig) -> LocalPatternsNet:
        """The network of a config, initialised from its training seed."""
        torch.manual_seed(config.train.seed)
        return LocalPatternsNet(config)

    # ------------------------------------------------------------------------------------ boxes

    def tight(self, video: Video) -> objects.Boxes:
        """What moves, (n, 4) a frame, neither squared nor enlarged; found once, then remembered."""
        how = replace(self.config.boxes, square=False, enlarge=1.0)
        content = video.key or store.digest(video.frames)
        found = store.remember(
            f"boxes {content} {video.size} {how} {source_of('see.objects', 'see.motion')}",
            lambda: [b.tolist() for b in objects.propose(video, how)],
        )
        return [np.array(b, np.float32).reshape(-1, 4) for b in found]

    def windows(self, video: Video) -> objects.Boxes:
        """The same boxes, row by row, as they are looked at: squared, enlarged, on the grid."""
        scale = video.size[0] / 128
        return [objects.frame_boxes(b, self.config.boxes, scale) for b in self.tight(video)]

    def tubes(self, video: Video) -> objects.Tubes:
        """Tubes of L + 1 crops, the last of which is to be predicted, one for each window."""
        lag = self.config.lag
        return objects.tubes(video, self.windows(video), self.config.length + 1, before=lag)

    # --------------------------------------------------------------------------------- training

    def fit(
        self, videos: list[Video], config: LocalPatternsConfig | None = None, **options: Any
    ) -> History:
        """Train the branches (eq. 1), then the state machine on what they see. `options` go to
        `train`; the history's loss is the state machine's, its time that of both."""
        if config is not None:
            self.config, self.net = config, self.build(config)
        history = self.fit_branches(videos, **options)
        moments = self.moments(videos) if len(self.net.extractors) else None
        if self.config.learns:

            def loss(net: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
                v = self.net.merged(batch["v"])
                return {"total": F.mse_loss(self.net.predict(v[:, :-1]), v[:, -1])}

            clips: Any = moments  # all that `train` asks of clips
            how, before = self.config.train, history
            learner = self.net.predict
            if self.net.merge is not None:  # trained with it, as in the paper
                learner = nn.ModuleList([self.net.merge, self.net.predict])
            history = train(learner, clips, loss, how, device=self.device, **options)
            history.seconds += before.seconds
            history.samples += before.samples
            round_weights(learner)
        if moments is not None and len(self.net.whiten):
            self.fit_whitening(moments)
        if moments is not None and self.config.score != "dynamics":
            self.fit_space(videos, moments)
        self.calibrate(videos)
        return history

    @torch.no_grad()
    def fit_space(self, videos: list[Video], moments: Moments) -> None:
        """Keep what normal boxes look like at their last moment; for a union, what is large."""
        how, net = self.config, self.net.to(self.device).eval()
        parts = moments.features.split(512)
        last = [net.merged(p[:, -1].float().to(self.device)).cpu() for p in parts]
        self.space = Space(torch.cat(last), how.space, how.neighbours, how.shrink, moments.owner)
        if how.score != "union":
            return
        if how.predictor == "velocity":
            usual = np.concatenate([self.velocities(v) for v in videos])
        else:
            errors = [net.error(p.float().to(self.device)).cpu() for p in parts]
            usual = torch.cat(errors).sqrt().numpy()
        self.units = (unit(self.space.held_out().numpy(), how.unit), unit(usual, how.unit))

    @torch.no_grad()
    def fit_whitening(self, moments: Moments) -> None:
        """Measure how what is not foreseen is spread on normal boxes."""
        net = self.net.to(self.device).eval()
        parts = moments.features.split(512)
        residues = torch.cat([net.residue(p.float().to(self.device)).cpu() for p in parts])
        net.whiten.copy_(whitening(residues, self.config.shrink).half())

    def fit_branches(self, videos: list[Video], **options: Any) -> History:
        """Train the branches, or take up those that were trained alike before."""
        total = History()
        if self.config.features == "random":
            round_weights(self.net.extractors)
        if self.config.features in ("random", "effnet") or not self.config.sees:
            return total
        for eyes, branch in zip(self.net.extractors, BRANCHES[self.config.features], strict=True):
            state, history = self.branch(videos, branch, **options)
            eyes.load_state_dict(state)
            total.seconds += history.seconds
            total.samples += history.samples
        return total

    def branch(self, videos: list[Video], branch: int, **options: Any) -> tuple[dict, History]:
        """The weights of a branch's image half, trained on captioned boxes of these videos."""
        config = self.config.branch
        code = source_of("see.objects", "see.attributes", "see.captions", "see.tokens", *ITAM_CODE)
        how = [code, asdict(config), asdict(self.config.boxes), self.config.crops]
        how += [self.config.words] if self.config.words != "captions" else []
        data = store.digest([[v.key or store.digest(v.frames), v.size] for v in videos])
        path = store.cache_root() / "itam" / f"branch{branch}-{store.digest(how)}-{data}.pt"
        if path.exists():
            kept = training.read(path)
            return kept["eyes"], History(**kept["history"])
        boxes = [self.windows(v) for v in videos]
        tight = [self.tight(v) for v in videos]  # the grid's jumps would be no movement
        captioner = AttributeCaptioner().fit(videos, tight)
        pairs = zip(videos, tight, strict=True)
        said = np.concatenate([captioner.captions(v, b) for v, b in pairs])
        columns = [captions.TEMPLATES.index(t) for t in captions.BRANCHES[branch]]
        crops, which = self.crops(videos, boxes)
        if folder := options.get("folder"):
            options = options | {"folder": Path(folder) / f"branch{branch}"}
        said = said[which]
        if self.config.words == "shuffled":
            said = np.random.default_rng(config.train.seed).permutation(said)
        net, history = fit_branch(
            videos, crops, said[:, columns], config, device=self.device, **options
        )
        eyes = halved(Eyes(net).state_dict())
        if options.get("stop_after") is None:  # a training that was cut short is nobody's
            training.write(path, {"eyes": eyes, "history": asdict(history)})
        return eyes, history

    def crops(
        self, videos: list[Video], boxes: Sequence[objects.Boxes]
    ) -> tuple[np.ndarray, np.ndarray]:
        """At most `config.crops` boxes of all, evenly spread: crops, and which rows they are."""
        counts = [sum(map(len, b)) for b in boxes]
        size, lag = self.config.itam.size, self.config.lag
        which = spread(sum(counts), self.config.crops)
        cut, kept, before = [], [], 0
        for video, found, count in zip(videos, boxes, counts, strict=True):
            rows = which[(which >= before) & (which < before + count)] - before
            every = objects.tubes(video, found, 1)
            rows = rows[every.frame[rows] >= lag]  # the first frames have no past
            cut.append(look(video, every.frame[rows], every.box[rows], size, lag))
            kept.append(before + rows)
            before += count
        return np.concatenate(cut), np.concatenate(kept)

    def moments(self, videos: list[Video]) -> Moments:
        """At most `config.tubes` tubes of all, evenly spread, as features (n, L+1, N).

        Raises VadError where no video has a tube.
        """
        tubes = [self.tubes(v) for v in videos]
        which, before, parts = spread(sum(map(len, tubes)), self.config.tubes), 0, []
        owner = []
        for number, part in enumerate(tubes):
            rows = which[(which >= before) & (which < before + len(part))] - before
            before += len(part)
            if not len(rows):
                continue
            chosen = objects.Tubes(part.video, part.frame[rows], part.box[rows], part.length)
            parts.append(self.seen(Sight(chosen)))
            owner += [number] * len(rows)
        if not parts:
            raise VadError(
                f"nothing moves in the {len(videos)} training videos",
                "Give longer videos with people in them, or lower `boxes.min_area`.",
            )
        return Moments(videos, torch.cat(parts), torch.tensor(owner))

    def seen(self, sight: Sight) -> Tensor:
        """What all extractors see in tubes: (n, L+1, N) float16, the branches side by side."""
        config = self.config.branch
        parts = [sight.features(eyes, config, self.device) for eyes in self.net.extractors]
        return torch.cat([torch.from_numpy(np.asarray(p)[sight.at]) for p in parts], 2)

    def calibrate(self, videos: list[Video], every: int = 8) -> None:
        """What an empty frame is worth: the lowest frame score in every eighth training video."""
        self.floor, counts = 0.0, [len(b) for v in videos for b in self.tight(v)]
        self.boxes_a_frame = max(1, round(float(np.mean(counts))))
        lows = [self.frame_scores(v)[1] for v in videos[::every]]
        self.floor = float(min((low.min() for low in lows if len(low)), default=0.0))

    # ---------------------------------------------------------------------------------- testing

    def box_errors(self, video: Video) -> tuple[objects.Tubes, np.ndarray]:
        """The tubes of a video, and the error of each (n,), averaged over the tubes before it."""
        tubes = self.tubes(video)
        errors = self.odd(video, tubes)
        things = np.concatenate(objects.track(self.windows(video))[self.config.first :])
        return tubes, average(errors, tubes.frame, things, self.config.smooth)

    def odd(self, video: Video, tubes: objects.Tubes) -> np.ndarray:
        """The score of each box alone (n,), by the config's `score`."""
        if self.config.score == "space":
            return self.distances(tubes)
        moves = self.config.predictor == "velocity"
        dynamics = self.velocities(video) if moves else self.errors(tubes)
        if self.config.score == "dynamics":
            return dynamics
        root = dynamics if moves else np.sqrt(dynamics)
        return larger(self.distances(tubes), root, self.units)

    @torch.no_grad()
    def distances(self, tubes: objects.Tubes) -> np.ndarray:
        """How far each box's features are from normal ones at the tube's last moment (n,).

        Raises VadError before `fit`.
        """
        if self.space is None:
            raise VadError("no normal features are known yet", "Call fit first.")
        if not len(tubes):
            return np.zeros(0)
        net, v = self.net.to(self.device).eval(), self.seen(Sight(tubes))[:, -1]
        parts = [net.merged(part.float().to(self.device)) for part in v.split(512)]
        return torch.cat([self.space.distance(p).cpu() for p in parts]).double().numpy()

    @torch.no_grad()
    def errors(self, tubes: objects.Tubes) -> np.ndarray:
        """What was not foreseen of each tube (n,)."""
        if not len(tubes):
            return np.zeros(0)
        net, v = self.net.to(self.device).eval(), self.seen(Sight(tubes))
        parts = [net.error(part.float().to(self.device)).cpu() for part in v.split(512)]
        return torch.cat(parts).double().numpy()

    def velocities(self, video: Video) -> np.ndarray:
        """The mean length of the flow that leads to frame t in each tight box of it, (n,)."""
        flow, out = motion.flow(video), []
        for t, boxes in enumerate(self.tight(video)):
            if t < self.config.first or not len(boxes):
                continue
            speed = motion.magnitude(flow[t - 1])
            for y0, x0, y1, x1 in np.clip(boxes, 0, None).astype(int):
                out.append(speed[y0:y1, x0:x1].mean())
        return np.array(out, np.float64)

    def frame_scores(self, video: Video) -> tuple[tuple[objects.Tubes, np.ndarray], np.ndarray]:
        """Tubes and errors; the worst of each frame from `first` on, `floor` without boxes."""
        tubes, errors = self.box_errors(video)
        frame = np.full(len(video), -np.inf)
        np.maximum.at(frame, tubes.frame, errors)
        frame = frame[self.config.first :]
        return (tubes, errors), np.where(np.isneginf(frame), self.floor, frame)

    def score(self, video: Video) -> Scores:
        """The worst box of each frame; those before `config.first` have no score.

        The heatmap is each box's error, painted over what moves (the tight box); where several
        overlap, the largest. `terms` holds the mean over the boxes ("mean"), `facts` their number.
        """
        (tubes, errors), frame = self.frame_scores(video)
        first, tight = self.config.first, self.tight(video)
        heat = np.zeros((len(frame), *video.size), np.float32)
        mean, count = np.full(len(frame), self.floor), np.zeros(len(frame))
        for t in np.unique(tubes.frame):
            own = errors[tubes.frame == t]
            heat[t - first] = paint(tight[t], own, video.size)
            mean[t - first], count[t - first] = own.mean(), len(own)
        index = np.arange(first, len(video))
        return Scores(video.name, frame, index, heat, {"mean": mean}, {"boxes": count})

    def cost_inputs(self, size: tuple[int, int]) -> tuple[Tensor]:
        """What the network reads for one scored frame: the tubes of as many boxes as is usual."""
        side, inputs = self.config.itam.size, self.config.branch.inputs
        return (torch.zeros(self.boxes_a_frame, self.config.length + 1, inputs, side, side),)

    def state(self) -> dict:
        """What a checkpoint holds; not the weights of EfficientNet, which come with its package."""
        net = self.net.state_dict()
        if self.config.features == "effnet":
            net = {k: v for k, v in net.items() if not k.startswith("extractors.")}
        kept: dict[str, Any] = {"floor": self.floor, "boxes_a_frame": self.boxes_a_frame}
        if self.space is not None:
            kept |= {"space": self.space.state(), "units": self.units}
        return {"net": halved(net), "config": asdict(self.config)} | kept

    def load_state(self, state: dict) -> None:
        """Take up a checkpoint's weights. Raises RuntimeError or KeyError when they do not fit."""
        own = self.net.state_dict() if self.config.features == "effnet" else {}
        self.net.load_state_dict(own | state["net"])
        self.floor, self.boxes_a_frame = state["floor"], state["boxes_a_frame"]
        if "space" in state:
            how, self.units = self.config, tuple(state["units"])
            points, owner = state["space"]["points"], state["space"]["owner"]
            self.space = Space(points, how.space, how.neighbours, how.shrink, owner)
