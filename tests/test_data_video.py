"""Video files: read back what was written, and say clearly what cannot be read."""

import numpy as np
import pytest

from vadlib.data import data_root, video
from vadlib.errors import VadError

pytestmark = pytest.mark.usefixtures("cache")


def smooth(length=12, height=32, width=48, channels=3):
    """Frames that H.264 keeps well: slow gradients that move."""
    t, y, x, c = np.ogrid[:length, :height, :width, :channels]
    return (100 + 40 * np.sin((x + 2 * t) / 15 + c) + y).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(32, 48), (25, 37)], ids=["even", "odd"])
def test_mkv_keeps_every_pixel(tmp_path, channels, size):
    frames = np.random.default_rng(0).integers(0, 256, (7, *size, channels), dtype=np.uint8)
    found = video.read(video.write(tmp_path / "clip.mkv", frames, 10))
    assert found.name == "clip" and found.fps == 10 and found.labels is None
    assert np.array_equal(found.frames, frames)


def test_mp4_keeps_the_picture(tmp_path):
    frames = smooth()
    found = video.read(video.write(tmp_path / "clip.mp4", frames))
    assert found.frames.shape == frames.shape
    assert np.abs(found.frames.astype(int) - frames).mean() < 4


def test_grey_video_has_one_channel(tmp_path):
    frames = np.repeat(smooth(channels=1), 3, axis=3)
    path = video.write(tmp_path / "grey.mkv", frames)
    assert np.array_equal(video.read(path).frames, frames[..., :1])


def test_size_and_length_can_be_limited(tmp_path):
    path = video.write(tmp_path / "clip.mkv", smooth())
    found = video.read(path, size=(16, 24), max_frames=5)
    assert found.frames.shape == (5, 16, 24, 3)
    blocks = smooth()[:5].reshape(5, 16, 2, 24, 2, 3).mean(axis=(2, 4))
    assert np.abs(found.frames - blocks).max() <= 1  # shrinking averages over areas
    assert video.read(path).key != found.key


def test_the_key_is_of_the_content(tmp_path):
    one = video.read(video.write(tmp_path / "one.mkv", smooth()))
    (tmp_path / "two.mkv").write_bytes((tmp_path / "one.mkv").read_bytes())
    two = video.read(tmp_path / "two.mkv")
    other = video.read(video.write(tmp_path / "other.mkv", smooth()[::-1]))
    assert one.key == two.key != other.key


def test_what_is_no_video(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("this is not a video" * 100)
    with pytest.raises(VadError, match="cannot read .*gone.mp4"):
        video.read(tmp_path / "gone.mp4")
    with pytest.raises(VadError, match="empty.mp4 is empty"):
        video.read(tmp_path / "empty.mp4")
    with pytest.raises(VadError, match="text.mp4 cannot be read as a video"):
        video.read(tmp_path / "text.mp4")


def test_a_video_cut_short(tmp_path):
    path = video.write(tmp_path / "cut.mp4", smooth(60))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(VadError, match="cut.mp4 .*Copy or download it again"):
        video.read(path)


def test_frames_that_cannot_be_written(tmp_path):
    with pytest.raises(VadError, match="even sides, not 25x37"):
        video.write(tmp_path / "clip.mp4", smooth(3, 25, 37))
    with pytest.raises(VadError, match="must be uint8"):
        video.write(tmp_path / "clip.mkv", smooth().astype(np.float32))
    with pytest.raises(VadError, match="must be uint8"):
        video.write(tmp_path / "clip.mkv", smooth()[..., 0])


def test_senseless_size(tmp_path):
    path = video.write(tmp_path / "clip.mkv", smooth(3))
    with pytest.raises(VadError, match="is not a size"):
        video.read(path, size=(0, 24))


def test_a_real_video_file():
    path = data_root() / "ucsd_ped2_video" / "testing" / "01.mkv"
    if not path.is_file():
        pytest.skip("ucsd_ped2_video is not on this machine (set VADLIB_DATA)")
    assert video.read(path).frames.shape == (180, 240, 360, 1)
