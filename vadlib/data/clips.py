"""Windows over videos that know which frame of which video they speak for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from vadlib.data.base import Video
from vadlib.errors import VadError


class Clips(Dataset):
    """Every clip of some videos, in order of video and frame.

    videos      with frames of one size and one number of channels
    length      L, the frames of a clip; one that starts at frame s holds frames s .. s+L-1
    speaks_for  the frame whose score the clip gives, counted from s; L-1, the last, by default
    flows       F, the flow fields of a clip: s .. s+F-1, where flow j goes from frame j to j+1
    flow        a list with (T-1, H, W, 2) for each video, where flows > 0
    step        frames from the start of one clip to the start of the next

    `clips.video`, `clips.start` and `clips.index` hold, for each clip, the position of its video
    in `videos`, its first frame, and the frame that it speaks for.
    Raises VadError when a video is shorter than a clip, or when frames and flow do not fit.
    """

    def __init__(
        self,
        videos: Sequence[Video],
        length: int = 1,
        speaks_for: int | None = None,
        flows: int = 0,
        flow: Sequence[np.ndarray] | None = None,
        step: int = 1,
    ):
        self.videos, self.length, self.flows, self.flow = list(videos), length, flows, flow
        self.speaks_for, self.step = length - 1 if speaks_for is None else speaks_for, step
        span = max(length, flows + 1)  # flow j needs frames j and j+1
        self._check(span, step)
        starts = [np.arange(0, len(v) - span + 1, step) for v in self.videos]
        self.video = np.repeat(np.arange(len(starts)), [len(s) for s in starts])
        self.start = np.concatenate(starts)
        self.index = self.start + self.speaks_for
        self._all = np.arange(len(self.start))

    def __len__(self) -> int:
        return len(self.start)

    def of(self, videos: Sequence[int]) -> Clips:
        """The clips of some videos, by their numbers."""
        flow = None if self.flow is None else [self.flow[v] for v in videos]
        chosen = [self.videos[v] for v in videos]
        return Clips(chosen, self.length, self.speaks_for, self.flows, flow, self.step)

    def __getitem__(self, which: Any) -> dict[str, torch.Tensor]:
        """The B clips at the positions `which`: an int (B = 1), a slice or a 1-D array of ints.

        frames (B, L, C, H, W) uint8; flow (B, F, 2, H, W) float32 where flows > 0;
        video and index (B,) int64.
        """
        which = np.atleast_1d(self._all[which])
        batch = {
            "frames": torch.from_numpy(self._gather([v.frames for v in self.videos], which)),
            "video": torch.from_numpy(self.video[which]),
            "index": torch.from_numpy(self.index[which]),
        }
        if self.flow is not None and self.flows:
            batch["flow"] = torch.from_numpy(self._gather(self.flow, which, self.flows)).float()
        return batch

    def _gather(self, arrays: Sequence[np.ndarray], which: np.ndarray, count: int | None = None):
        """(B, count, C, H, W) out of one (T, H, W, C) array for each video."""
        count = count or self.length
        first = arrays[0]
        out = np.empty((len(which), count, *first.shape[1:]), first.dtype)
        for row, video, start in zip(out, self.video[which], self.start[which], strict=True):
            row[:] = arrays[video][start : start + count]
        return np.ascontiguousarray(np.moveaxis(out, -1, 2))

    def _check(self, span: int, step: int) -> None:
        if not self.videos:
            raise VadError("there are no videos to cut into clips", "Give at least one.")
        if self.length < 1 or self.flows < 0 or step < 1 or not 0 <= self.speaks_for < span:
            raise VadError(
                f"clips of length={self.length}, flows={self.flows}, step={step}, "
                f"speaks_for={self.speaks_for} make no sense",
                f"speaks_for must lie in the clip: 0 to {span - 1}.",
            )
        for video in self.videos:
            if len(video) < span:
                raise VadError(
                    f"video {video.name} has {len(video)} frames, a clip needs {span}",
                    "Leave that video out, or take shorter clips.",
                )
            if video.frames.shape[1:] != self.videos[0].frames.shape[1:]:
                raise VadError(
                    f"video {video.name} has frames of shape {video.frames.shape[1:]}, "
                    f"video {self.videos[0].name} of {self.videos[0].frames.shape[1:]}",
                    "Load all videos at one size.",
                )
        if self.flows:
            self._check_flow()

    def _check_flow(self) -> None:
        if self.flow is None or len(self.flow) != len(self.videos):
            raise VadError(
                f"flow of {len(self.flow or [])} videos for {len(self.videos)} videos",
                "Give flow=[motion.flow(video) for video in videos].",
            )
        for video, flow in zip(self.videos, self.flow, strict=True):
            if len(flow) != len(video) - 1:
                raise VadError(
                    f"video {video.name} has {len(video)} frames and {len(flow)} flow fields",
                    "There must be one flow field fewer than frames: compute the flow again.",
                )
