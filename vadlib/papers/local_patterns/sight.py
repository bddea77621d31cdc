"""What the trained branches see in tubes of crops: looked at once, then read from disk."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from vadlib.data import store
from vadlib.data.base import Video
from vadlib.papers.layers.boxes import source_of
from vadlib.papers.local_patterns.alignment import look
from vadlib.papers.local_patterns.config import ITAMConfig
from vadlib.papers.local_patterns.words import ITAM, to_input
from vadlib.see import extract, objects


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
        code = source_of("see.objects", *ITAM_CODE)
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

    def __init__(self, videos: Sequence[Video], features: Tensor, owner: Tensor | None = None):
        self.videos, self.features = list(videos), features  # (n, L+1, N)
        self.owner = owner  # (n,) int, the video of each

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, which: np.ndarray) -> dict[str, Tensor]:
        return {"v": self.features[which].float()}


ITAM_CODE = tuple(f"papers.local_patterns.{m}" for m in ("config", "words", "alignment"))
EFFNET = 64  # pixels a side, at least, at which EfficientNet-Lite0 looks: its last map is 2 x 2


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
        side = max(EFFNET, crops.shape[-1])
        x = F.interpolate(crops[:, -3:], (side, side), mode="bilinear", align_corners=False)
        return self.body.extract_features(x).mean((2, 3))  # type: ignore[operator]


def halved(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights as a checkpoint keeps them: on the CPU, in 16 bits."""
    return {k: p.cpu().half() if p.is_floating_point() else p.cpu() for k, p in state.items()}


def round_weights(net: nn.Module) -> None:
    """Make weights what a checkpoint keeps of them, so that nothing changes when it is read."""
    for p in net.parameters():
        p.data = p.data.half().float()
