"""Local Patterns, how they move: the State Machine Module and the detector (Jiang and Mao, 2025,
"Local Patterns Generalize Better for Novel Anomalies"; the words are in `itam`, apart only for
length).

A box is looked at in six consecutive frames. From the features of the first five, the state machine
predicts those of the sixth: an anomaly is what it predicts badly. Equation numbers are the paper's.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from vadlib import motion, objects, text
from vadlib import train as training
from vadlib.data import extract, store
from vadlib.data.base import Video
from vadlib.detector import Detector, History, Scores
from vadlib.errors import VadError
from vadlib.layers import LegendreMemory, legendre
from vadlib.models.itam import ITAM, ITAMConfig, look, to_input
from vadlib.models.itam import fit as fit_branch
from vadlib.objects import ProposalConfig
from vadlib.train import TrainConfig, pick_device, train

BRANCHES = {"branch1": (1,), "branch2": (2,), "both": (1, 2), "random": (1,)}
FEATURES = (*BRANCHES, "effnet")
PREDICTORS = ("smm", "smm-paper", "last", "linear", "velocity")
EFFNET = 64  # pixels a side at which EfficientNet-Lite0 looks at a crop: its last map is 2 x 2


@dataclass(frozen=True)
class LocalPatternsConfig:
    """Every choice that the paper states, leaves open or contradicts; defaults are recommended.

    features   "branch1" (actions), "branch2" (looks, place, neighbours), "both" side by side;
               controls: "random", a branch that was never trained; "effnet", EfficientNet-Lite0
    predictor  "smm", a Legendre memory for each of `channels` mixtures of the features;
               "smm-paper", equation 3 as printed, one memory of one number; controls: "last", the
               features of frame t, and "linear", the line through t - 1 and t; "velocity", no
               features at all: a box's score is the mean length of the optical flow in it
    lag        frames between the two images that a branch is shown of a window at each moment, so
               that verbs can be *seen*; 0 is the paper, one image
    length     L, the frames that are seen before the one that is predicted
    order      O, the coefficients of a memory (64: the paper; more than L know no more)
    rule       how the memory's equation becomes steps: "zoh" or "bilinear"
    residual   whether the decoder's answer is added to the last features, so that it predicts their
               *change* and never starts worse than "last"; False is the paper
    error      of a box: "whitened", in units of what is usual for each direction of the features in
               training, or "mse"; the paper defines none
    shrink     of the whitening: this part of the mean variance is added to every variance
    smooth     frames over which the errors of one thing are averaged, as far back as its boxes can
               be followed; 1 is the paper
    tubes      how many training tubes at most, evenly spread, the state machine learns from
    crops      how many training crops at most, evenly spread, a branch learns from
    itam       a branch; its lag is the one above, its seed that of `train`
    boxes      how boxes are found
    train      of the state machine
    """

    features: Literal["branch1", "branch2", "both", "random", "effnet"] = "both"
    predictor: Literal["smm", "smm-paper", "last", "linear", "velocity"] = "smm"
    lag: int = 6
    length: int = 5
    order: int = 4
    channels: int = 64
    rule: str = "zoh"
    residual: bool = True
    error: Literal["whitened", "mse"] = "whitened"
    shrink: float = 0.1
    smooth: int = 5
    tubes: int = 100_000
    crops: int = 100_000
    itam: ITAMConfig = ITAMConfig()
    boxes: ProposalConfig = ProposalConfig()
    train: TrainConfig = TrainConfig(epochs=20, batch_size=64, lr=5e-5, schedule="constant")

    def __post_init__(self):
        for name, value, known in (
            ("features", self.features, FEATURES),
            ("predictor", self.predictor, PREDICTORS),
            ("error", self.error, ("whitened", "mse")),
        ):
            if value not in known:
                raise VadError(f"unknown {name} {value!r}", f"Use one of: {', '.join(known)}.")
        if isinstance(self.itam, dict):  # a config that was read back from a checkpoint
            made: dict[str, Any] = self.itam | {"train": TrainConfig(**self.itam["train"])}
            object.__setattr__(self, "itam", ITAMConfig(**made))
        if isinstance(self.boxes, dict):
            object.__setattr__(self, "boxes", ProposalConfig(**self.boxes))

    @property
    def branch(self) -> ITAMConfig:
        """The config of a branch, with the lag and the seed of this run."""
        how = replace(self.itam.train, seed=self.train.seed)
        return replace(self.itam, lag=self.lag, train=how)

    @property
    def first(self) -> int:
        """The first frame that has a score: as many lie before it as are looked at."""
        return self.length + self.lag

    @property
    def learns(self) -> bool:
        """Whether the predictor has anything to learn."""
        return self.predictor in ("smm", "smm-paper")

    @property
    def width(self) -> int:
        """N, the features of a crop."""
        one = 1280 if self.features == "effnet" else self.itam.queries * self.itam.embed
        return 2 * one if self.features == "both" else one


# ---------------------------------------------------------------------------- the state machine


class SMM(nn.Module):
    """Equations 2-6: features of L moments -> those of the next. All of it is linear.

    features    N; length: L; order: O; rule: of `layers.discretise`
    channels    mixtures of the features, each with a memory of its own: the recommended reading.
                None is the paper's: the encoder's O outputs are *summed* (eq. 3) before they reach
                the memory, so that of all features one weighted sum is left at each moment
    residual    add the answer to the last moment, and start with almost no answer
    """

    ahead: Tensor

    def __init__(
        self,
        features: int,
        length: int = 5,
        order: int = 4,
        channels: int | None = 64,
        rule: str = "zoh",
        residual: bool = False,
    ):
        super().__init__()
        self.summed, self.residual = channels is None, residual
        self.encode = nn.Linear(features, channels or order)  # the Object Feature Encoder
        self.memory = LegendreMemory(order, length, rule)
        self.C = nn.Parameter(torch.eye(order))
        self.decode = nn.Linear((channels or 1) * order, features)  # the Object Feature Decoder
        if residual:
            nn.init.normal_(self.decode.weight, std=1e-3)
            nn.init.zeros_(self.decode.bias)
        nxt = torch.tensor(1 + 1 / length, dtype=torch.float64)  # x = 1 is now, x = 0 is L ago
        self.register_buffer("ahead", legendre(order, nxt).float(), persistent=False)

    def forward(self, v: Tensor) -> Tensor:
        """(B, L, N) -> (B, N)."""
        u = self.encode(v)
        u = u.sum(2, keepdim=True) if self.summed else u  # (B, L, D), the sum of eq. 3
        c = self.memory(u.transpose(1, 2))  # (B, D, O), eq. 5 with C outside
        x = c @ self.C.T  # eq. 4
        ahead = self.decode((x * self.ahead).flatten(1))  # eq. 6 at the one moment asked for
        return v[:, -1] + ahead if self.residual else ahead


class Last(nn.Module):
    """A control: what was seen last."""

    def forward(self, v: Tensor) -> Tensor:
        """(B, L, F) -> (B, F): the newest of the window."""
        return v[:, -1]


class Linear(nn.Module):
    """A control: the straight line through the last two."""

    def forward(self, v: Tensor) -> Tensor:
        """(B, L, F) -> (B, F): one step further along that line."""
        return 2 * v[:, -1] - v[:, -2]


class Eyes(nn.Module):
    """The image half of a branch: what is left of ITAM after training."""

    def __init__(self, branch: ITAM):
        super().__init__()
        self.backbone, self.attention = branch.backbone, branch.image_attention

    def forward(self, crops: Tensor) -> Tensor:
        """(B, inputs, size, size) in [-1, 1] -> (B, N_q E_d): N_q unit vectors."""
        return self.attention(self.backbone(crops))[0].flatten(1)


class Effnet(nn.Module):
    """EfficientNet-Lite0 with its ImageNet weights, mean over the place. It knows one image, and
    is shown the newest."""

    def __init__(self):
        super().__init__()
        self.body = extract.effnet()

    def forward(self, crops: Tensor) -> Tensor:
        """(B, inputs, size, size) in [-1, 1] -> (B, 1280)."""
        x = F.interpolate(crops[:, -3:], (EFFNET, EFFNET), mode="bilinear", align_corners=False)
        return self.body.extract_features(x).mean((2, 3))  # type: ignore[operator]


class LocalPatternsNet(nn.Module):
    """Extractors, frozen once they are trained; the predictor of what they see; the whitening of
    its errors, (N, N), which begins as the identity."""

    whiten: Tensor

    def __init__(self, config: LocalPatternsConfig):
        super().__init__()
        self.config = config
        if config.predictor == "velocity":
            eyes = []
        elif config.features == "effnet":
            eyes = [Effnet()]
        else:
            eyes = [Eyes(ITAM(config.branch)) for _ in BRANCHES[config.features]]
        self.extractors = nn.ModuleList(eyes).requires_grad_(False)
        if config.learns:
            channels = config.channels if config.predictor == "smm" else None
            sizes = (config.width, config.length, config.order, channels)
            self.predict = SMM(*sizes, config.rule, config.residual)
        else:
            self.predict = Linear() if config.predictor == "linear" else Last()
        size = config.width if config.error == "whitened" and eyes else 0
        self.register_buffer("whiten", torch.eye(size))

    def forward(self, crops: Tensor) -> Tensor:
        """Tubes (B, L+1, inputs, size, size) in [-1, 1] -> the error of each (B,)."""
        seen = [eye(crops.flatten(0, 1)) for eye in self.extractors]
        if not seen:
            return crops.new_zeros(len(crops))
        return self.error(torch.cat(seen, 1).unflatten(0, crops.shape[:2]))

    def residue(self, v: Tensor) -> Tensor:
        """What was not foreseen of the last of L+1 moments: (B, L+1, N) -> (B, N)."""
        return self.predict(v[:, :-1]) - v[:, -1]

    def error(self, v: Tensor) -> Tensor:
        """Mean square of what was not foreseen, whitened where the config says so: (B, L+1, N) ->
        (B,). The paper defines no score; this is what its "prediction error" says."""
        r = self.residue(v)
        r = r @ self.whiten if len(self.whiten) else r
        return r.square().mean(1)


def whitening(residues: Tensor, shrink: float) -> Tensor:
    """(n, N) residues of normal boxes -> the symmetric W (N, N) that makes them alike in all
    directions: W (S + shrink mean(S) 1) W = 1, with S their second moments."""
    r = residues.double()
    variances, axes = torch.linalg.eigh(r.T @ r / len(r))
    scale = (variances.clamp_min(0) + shrink * variances.mean()).rsqrt()
    return ((axes * scale) @ axes.T).float()


# ---------------------------------------------------------------------------------- what is seen


class Sight:
    """The features of tubes of one video; a window that several tubes share is looked at once.

    windows  (u, 5) frame and box of each window; at: (n, L+1) which window a tube sees when
    """

    def __init__(self, tubes: objects.Tubes):
        back = np.arange(tubes.length - 1, -1, -1)
        frame = tubes.frame[:, None] - back  # (n, L+1)
        rows = np.concatenate(
            [frame[..., None], np.broadcast_to(tubes.box[:, None], (*frame.shape, 4))], axis=2
        )
        self.video, self.frame = tubes.video, tubes.frame
        self.windows, at = np.unique(rows.reshape(-1, 5), axis=0, return_inverse=True)
        self.at = at.reshape(frame.shape)

    def features(self, eyes: nn.Module, config: ITAMConfig, device: str) -> np.ndarray:
        """(u, N) float16 of the windows, looked at once with these weights, then read from disk."""
        weights = [p.detach().cpu().numpy() for p in eyes.state_dict().values()]
        video = self.video.key or store.digest(self.video.frames)
        code = source_of("objects", "models.itam")
        kind = [type(eyes).__name__, config.size, config.channels, config.lag]
        key = f"seen {store.digest(video, self.windows, code, kind, *weights)}"
        width = self.batch(eyes, slice(0, 1), config, device).shape[-1]

        def fill(out: np.ndarray) -> None:
            for i in tqdm(
                range(0, len(out), 256), desc=f"boxes of {self.video.name}", leave=False, delay=1
            ):
                out[i : i + 256] = self.batch(eyes, slice(i, i + 256), config, device)

        return store.array(key, (len(self.windows), width), np.float16, fill)

    @torch.no_grad()
    def batch(self, eyes, rows: slice, config: ITAMConfig, device: str) -> np.ndarray:
        """What the eyes say of some of the windows: (n, F) float16."""
        windows = self.windows[rows]
        if not len(windows):
            return np.zeros((0, 1), np.float16)
        frame, box = windows[:, 0].astype(int), windows[:, 1:]
        crops = torch.from_numpy(look(self.video, frame, box, config.size, config.lag))
        images = to_input(crops.to(device), config)
        layout = torch.channels_last  # a fifth faster on a CPU
        eyes = eyes.to(device, memory_format=layout).eval()
        return eyes(images.contiguous(memory_format=layout)).half().cpu().numpy()


class Moments:
    """Features of tubes of many videos, as `train` asks for batches."""

    def __init__(self, videos: Sequence[Video], features: Tensor):
        self.videos, self.features = list(videos), features  # (n, L+1, N)

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, which: np.ndarray) -> dict[str, Tensor]:
        return {"v": self.features[which].float()}


def halved(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights as a checkpoint keeps them: on the CPU, in 16 bits."""
    return {k: p.cpu().half() if p.is_floating_point() else p.cpu() for k, p in state.items()}


def round_weights(net: nn.Module) -> None:
    """Make weights what a checkpoint keeps of them, so that nothing changes when it is read."""
    for p in net.parameters():
        p.data = p.data.half().float()


@cache
def source_of(*modules: str) -> str:
    """What stands for the code of some modules in the key of what they made."""
    return store.digest([inspect.getsource(import_module(f"vadlib.{m}")) for m in modules])


def spread(count: int, at_most: int) -> np.ndarray:
    """`at_most` of the positions 0 .. count-1, evenly spread; all of them where there are fewer."""
    return np.unique(np.linspace(0, count - 1, min(count, at_most)).round().astype(int))


def average(errors: np.ndarray, frame: np.ndarray, thing: np.ndarray, frames: int) -> np.ndarray:
    """The mean error of a thing over its last `frames` frames, the newest among them: errors (n,),
    the frame and the thing of each (n,) int, frames rising -> (n,)."""
    out, past = np.empty(len(errors)), {}
    for i, (t, who) in enumerate(zip(frame.tolist(), thing.tolist(), strict=True)):
        recent = [(s, e) for s, e in past.get(who, []) if s > t - frames] + [(t, errors[i])]
        past[who] = recent
        out[i] = np.mean([e for _, e in recent])
    return out


def paint(boxes: np.ndarray, values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) float32: each pixel the largest value among the boxes (n, 4) over it, 0 elsewhere."""
    heat = np.zeros(size, np.float32)
    for (y0, x0, y1, x1), value in zip(np.clip(boxes, 0, None), values, strict=True):
        part = heat[int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))]
        np.maximum(part, np.float32(value), out=part)
    return heat


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
            f"boxes {content} {video.size} {how} {source_of('objects', 'motion')}",
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
                v = batch["v"]
                return {"total": F.mse_loss(net(v[:, :-1]), v[:, -1])}

            clips: Any = moments  # all that `train` asks of clips
            how, before = self.config.train, history
            history = train(self.net.predict, clips, loss, how, device=self.device, **options)
            history.seconds += before.seconds
            history.samples += before.samples
            round_weights(self.net.predict)
        if moments is not None and self.config.error == "whitened":
            self.fit_whitening(moments)
        self.calibrate(videos)
        return history

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
        if self.config.features in ("random", "effnet") or self.config.predictor == "velocity":
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
        code = source_of("objects", "text", "models.itam")
        how = [code, asdict(config), asdict(self.config.boxes), self.config.crops]
        data = store.digest([[v.key or store.digest(v.frames), v.size] for v in videos])
        path = store.cache_root() / "itam" / f"branch{branch}-{store.digest(how)}-{data}.pt"
        if path.exists():
            kept = training.read(path)
            return kept["eyes"], History(**kept["history"])
        boxes = [self.windows(v) for v in videos]
        tight = [self.tight(v) for v in videos]  # the grid's jumps would be no movement
        captioner = text.AttributeCaptioner().fit(videos, tight)
        pairs = zip(videos, tight, strict=True)
        said = np.concatenate([captioner.captions(v, b) for v, b in pairs])
        columns = [text.TEMPLATES.index(t) for t in text.BRANCHES[branch]]
        crops, which = self.crops(videos, boxes)
        if folder := options.get("folder"):
            options = options | {"folder": Path(folder) / f"branch{branch}"}
        net, history = fit_branch(
            videos, crops, said[which][:, columns], config, device=self.device, **options
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
        for part in tubes:
            rows = which[(which >= before) & (which < before + len(part))] - before
            before += len(part)
            if not len(rows):
                continue
            chosen = objects.Tubes(part.video, part.frame[rows], part.box[rows], part.length)
            parts.append(self.seen(Sight(chosen)))
        if not parts:
            raise VadError(
                f"nothing moves in the {len(videos)} training videos",
                "Give longer videos with people in them, or lower `boxes.min_area`.",
            )
        return Moments(videos, torch.cat(parts))

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
        tubes, velocity = self.tubes(video), self.config.predictor == "velocity"
        errors = self.velocities(video) if velocity else self.errors(tubes)
        things = np.concatenate(objects.track(self.windows(video))[self.config.first :])
        return tubes, average(errors, tubes.frame, things, self.config.smooth)

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
        return (tubes, errors), np.where(np.isfinite(frame), frame, self.floor)

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
        kept = {"floor": self.floor, "boxes_a_frame": self.boxes_a_frame}
        return {"net": halved(net), "config": asdict(self.config)} | kept

    def load_state(self, state: dict) -> None:
        """Take up a checkpoint's weights. Raises RuntimeError or KeyError when they do not fit."""
        own = self.net.state_dict() if self.config.features == "effnet" else {}
        self.net.load_state_dict(own | state["net"])
        self.floor, self.boxes_a_frame = state["floor"], state["boxes_a_frame"]
