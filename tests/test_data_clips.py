"""Clips: every clip lies within its video, and says truly which frame it speaks for."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from vadlib.data.base import Video
from vadlib.data.clips import Clips
from vadlib.errors import VadError


def numbered(lengths, channels=1):
    """Videos whose every pixel says which video and which frame it is from."""
    videos = []
    for v, length in enumerate(lengths):
        frames = np.zeros((length, 4, 6, channels), np.uint8)
        frames[..., 0] = 50 * v + np.arange(length)[:, None, None]
        videos.append(Video(str(v), frames))
    return videos


def flows_of(videos):
    """Flow j of video v is (v, j) everywhere."""
    fields = []
    for v, video in enumerate(videos):
        flow = np.zeros((len(video) - 1, 4, 6, 2), np.float16)
        flow[..., 0], flow[..., 1] = v, np.arange(len(video) - 1)[:, None, None]
        fields.append(flow)
    return fields


@given(
    lengths=st.lists(st.integers(8, 30), min_size=1, max_size=5),
    length=st.integers(1, 7),
    flows=st.integers(0, 6),
    step=st.integers(1, 4),
    data=st.data(),
)
def test_every_clip_is_what_it_says(lengths, length, flows, step, data):
    span = max(length, flows + 1)
    speaks_for = data.draw(st.integers(0, span - 1))
    videos = numbered(lengths)
    clips = Clips(videos, length, speaks_for, flows, flows_of(videos), step)
    batch = clips[:]
    video, index = batch["video"], batch["index"]
    start = index - speaks_for
    assert (start >= 0).all() and (start % step == 0).all()
    assert all(s + span <= lengths[v] for v, s in zip(video.tolist(), start.tolist(), strict=True))
    assert len(clips) == sum(len(range(0, n - span + 1, step)) for n in lengths)
    shown = batch["frames"][:, :, 0, 0, 0].long()
    assert torch.equal(shown, 50 * video[:, None] + start[:, None] + torch.arange(length))
    if flows:
        assert torch.equal(batch["flow"][:, :, 0, 0, 0].long(), video[:, None].expand(-1, flows))
        assert torch.equal(
            batch["flow"][:, :, 1, 0, 0].long(), start[:, None] + torch.arange(flows)
        )


@given(st.lists(st.integers(0, 25), min_size=1, max_size=40))
def test_a_batch_is_its_clips_one_by_one(which):
    videos = numbered([12, 20], channels=3)
    clips = Clips(videos, 4)
    batch = clips[np.array(which) % len(clips)]
    for row, position in enumerate(np.array(which) % len(clips)):
        one = clips[int(position)]
        assert all(torch.equal(one[name][0], batch[name][row]) for name in batch)


def test_shapes_and_types():
    videos = numbered([12, 20], channels=3)
    batch = Clips(videos, 5, flows=4, flow=flows_of(videos))[[0, 3, 10]]
    assert batch["frames"].shape == (3, 5, 3, 4, 6) and batch["frames"].dtype == torch.uint8
    assert batch["flow"].shape == (3, 4, 2, 4, 6) and batch["flow"].dtype == torch.float32
    assert batch["video"].tolist() == [0, 0, 1] and batch["index"].tolist() == [4, 7, 6]
    assert batch["video"].dtype == batch["index"].dtype == torch.int64
    assert batch["frames"].is_contiguous() and "flow" not in Clips(videos, 5)[0]


def test_positions_may_be_ints_slices_arrays_masks_and_negative():
    clips = Clips(numbered([12]), 5)
    assert clips[-1]["index"].tolist() == [11]
    assert clips[2:4]["index"].tolist() == [6, 7]
    assert clips[np.arange(8) > 5]["index"].tolist() == [10, 11]
    assert clips[torch.tensor([3, 1])]["index"].tolist() == [7, 5]
    with pytest.raises(IndexError):
        clips[8]


def test_a_data_loader_takes_them():
    clips = Clips(numbered([12, 9]), 3)
    seen = torch.cat([b["index"] for b in DataLoader(clips, batch_size=None)])  # type: ignore
    assert seen.tolist() == clips.index.tolist() == [*range(2, 12), *range(2, 9)]


def test_a_flow_needs_the_frame_it_goes_to():
    videos = numbered([10])
    assert len(Clips(videos, 5)) == len(Clips(videos, 5, flows=4, flow=flows_of(videos))) == 6
    assert len(Clips(videos, 5, flows=5, flow=flows_of(videos))) == 5


def test_a_video_shorter_than_a_clip_is_an_error():
    with pytest.raises(VadError, match="video 1 has 4 frames, a clip needs 5"):
        Clips(numbered([9, 4]), 5)
    videos = numbered([9, 4])
    with pytest.raises(VadError, match="video 1 has 4 frames, a clip needs 5"):
        Clips(videos, 1, flows=4, flow=flows_of(videos))


@pytest.mark.parametrize(
    "arguments", [{"length": 0}, {"length": 3, "speaks_for": 3}, {"step": 0}, {"flows": -1}]
)
def test_senseless_arguments(arguments):
    with pytest.raises(VadError, match="make no sense"):
        Clips(numbered([9]), **arguments)


def test_what_does_not_fit_together_is_an_error():
    videos = numbered([9, 9])
    with pytest.raises(VadError, match="no videos"):
        Clips([], 5)
    with pytest.raises(VadError, match="video 1 has frames of shape"):
        Clips([videos[0], *numbered([9, 9], 3)[1:]], 5)
    with pytest.raises(VadError, match="flow of 0 videos for 2"):
        Clips(videos, 5, flows=1)
    with pytest.raises(VadError, match="video 1 has 9 frames and 7 flow fields"):
        Clips(videos, 5, flows=1, flow=[f[: 8 - i] for i, f in enumerate(flows_of(videos))])
