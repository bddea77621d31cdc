"""Films of every kind that people have, made here: right to the pixel, or refused."""

import random
import warnings
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vadlib.__main__ import main
from vadlib.data import film, video
from vadlib.errors import VadError, VadNotice

pytestmark = pytest.mark.usefixtures("cache")


def noisy(length=30, height=48, width=64, channels=3, seed=0):
    """A slow gradient that moves, and noise, so that no frame is another."""
    t, y, x, c = np.ogrid[:length, :height, :width, :channels]
    noise = np.random.default_rng(seed).integers(0, 20, (length, height, width, channels))
    return (100 + 40 * np.sin((x + 2 * t) / 15 + c) + y + noise).clip(0, 255).astype(np.uint8)


def make(path, frames, codec="libx264", pixels="yuv420p", source=None, pts=None, turn=0):
    """A film of these frames at 25 a second, or at times `pts` in hundredths of a second."""
    source = source or ("gray" if frames.shape[-1] == 1 else "rgb24")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], pixels
        stream.codec_context.thread_count = 1
        if pts is not None:
            stream.codec_context.time_base = Fraction(1, 100)
        if turn:
            stream.set_display_rotation(turn)
        for i, frame in enumerate(frames):
            array = np.ascontiguousarray(frame[..., 0] if frame.shape[-1] == 1 else frame)
            picture = av.VideoFrame.from_ndarray(array, format=source)
            if pts is not None:
                picture.pts, picture.time_base = pts[i], Fraction(1, 100)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


KINDS = {
    "avi mpeg4": ("avi", "mpeg4", "yuv420p"),
    "avi h264": ("avi", "libx264", "yuv420p"),
    "mp4 h264": ("mp4", "libx264", "yuv420p"),
    "mov h264": ("mov", "libx264", "yuv420p"),
    "mkv h264": ("mkv", "libx264", "yuv420p"),
    "mkv ffv1": ("mkv", "ffv1", "bgr0"),
    "mpg mpeg2": ("mpg", "mpeg2video", "yuv420p"),
}
kinds = pytest.mark.parametrize("suffix,codec,pixels", KINDS.values(), ids=KINDS.keys())


@kinds
def test_every_frame_of_every_kind_with_its_time(tmp_path, suffix, codec, pixels):
    found = video.read(make(tmp_path / f"film.{suffix}", noisy(), codec, pixels))
    assert found.frames.shape == (30, 48, 64, 3)
    assert np.abs(found.frames.astype(int) - noisy()).mean() < 12
    assert found.times == pytest.approx(np.arange(30) / 25, abs=1e-3)


@pytest.mark.parametrize("turn", [90, -90, 180])
@pytest.mark.parametrize("size", [None, (32, 24)])
def test_a_film_is_turned_as_it_is_to_be_shown(tmp_path, turn, size):
    frames = noisy(4)
    path = make(tmp_path / "film.mp4", frames, turn=turn)
    plain = video.read(make(tmp_path / "plain.mp4", frames)).frames
    shown = np.rot90(plain, turn // 90, axes=(1, 2))
    if size:
        shown = np.stack([video.resize(frame, size) for frame in shown])
    assert np.array_equal(video.read(path, size).frames, shown)


def test_a_turn_that_is_no_quarter_is_refused(tmp_path, monkeypatch):
    path = make(tmp_path / "film.mp4", noisy(2))
    monkeypatch.setattr(film, "_turn", lambda frame: 30)
    with pytest.raises(VadError, match="film.mp4 is to be shown turned by 30 degrees"):
        video.read(path)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_frames_that_last_unequally_long(tmp_path, suffix):
    pts = [0, 4, 8, 12, 60, 64, 65, 100, 150, 154]
    found = video.read(make(tmp_path / f"film.{suffix}", noisy(10), pts=pts))
    assert len(found) == 10
    assert found.times == pytest.approx(np.array(pts) / 100, abs=1e-3)


@pytest.mark.parametrize("size", [(49, 65), (17, 33), (2, 3)])
def test_odd_sizes(tmp_path, size):
    frames = noisy(3, *size)
    found = video.read(make(tmp_path / "film.mkv", frames, "ffv1", "bgr0"))
    assert np.array_equal(found.frames, frames)
    if min(size) > 16:
        lossy = video.read(make(tmp_path / "film.mp4", frames, pixels="yuv444p"))
        assert lossy.frames.shape == (3, *size, 3)
        assert np.abs(lossy.frames.astype(int) - frames).mean() < 12


@pytest.mark.parametrize("pixels", ["yuv420p10le", "yuv422p10le"])
def test_ten_bits_become_eight(tmp_path, pixels):
    frames = np.full((3, 32, 48, 3), (180, 90, 40), np.uint8)
    found = video.read(make(tmp_path / "film.mkv", frames, "ffv1", pixels))
    assert np.abs(found.frames.astype(int) - frames).max() <= 3


@pytest.mark.parametrize("bits", [10, 16])
def test_grey_of_more_bits_becomes_one_channel_of_eight(tmp_path, bits):
    values = np.arange(64 * 48).reshape(1, 48, 64) % 256
    deep = (values << (bits - 8)).astype(np.uint16)
    with av.open(str(tmp_path / "film.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, f"gray{bits}le"
        for frame in deep:
            picture = av.VideoFrame.from_ndarray(frame, format="gray16le")
            if bits != 16:  # from_ndarray knows 16 bits alone: the values are put in as they are
                picture = av.VideoFrame(64, 48, f"gray{bits}le")
                plane = picture.planes[0]
                rows = np.zeros((48, plane.line_size // 2), np.uint16)
                rows[:, :64] = frame
                plane.update(rows.tobytes())
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    found = video.read(tmp_path / "film.mkv").frames
    assert found.shape == (1, 48, 64, 1)
    assert np.abs(found[..., 0].astype(int) - values).max() <= 1


def test_grey(tmp_path):
    frames = noisy(4, channels=1)
    found = video.read(make(tmp_path / "film.mkv", frames, "ffv1", "gray"))
    assert np.array_equal(found.frames, frames)


@pytest.mark.parametrize("length", [1, 2])
@kinds
def test_one_frame_and_two(tmp_path, suffix, codec, pixels, length):
    found = video.read(make(tmp_path / f"film.{suffix}", noisy(length), codec, pixels))
    assert len(found) == length and len(found.times) == length


def test_what_holds_no_film(tmp_path):
    (tmp_path / "empty.avi").touch()
    with pytest.raises(VadError, match="empty.avi is empty"):
        list(film.frames(tmp_path / "empty.avi"))
    (tmp_path / "folder.avi").mkdir()
    with pytest.raises(VadError, match="folder.avi"):
        video.read(tmp_path / "folder.avi")
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(VadError, match="sound.mp4 has no pictures in it"):
        video.read(tmp_path / "sound.mp4")


# --------------------------------------------------------------------------------------- damage


def test_an_avi_cut_in_half_says_how_many_frames_are_lost(tmp_path):
    path = make(tmp_path / "film.avi", noisy(60), "mpeg4")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(VadError, match=r"film.avi is damaged or cut short .*of 60 frames.*ffmpeg"):
        video.read(path)


def test_frames_that_are_counted_and_not_there(tmp_path, monkeypatch):
    path = make(tmp_path / "film.avi", noisy(6), "mpeg4")
    packets = film._packets
    monkeypatch.setattr(film, "_packets", lambda *of: [p for p in packets(*of) if p.pts != 5])
    with pytest.raises(VadError, match=r"cut short: 1 of 6 frames are lost"):
        video.read(path)


def test_seconds_that_are_promised_and_not_there(tmp_path, monkeypatch):
    path = make(tmp_path / "film.mkv", noisy(60), "ffv1", "bgr0")
    packets = film._packets
    monkeypatch.setattr(
        film, "_packets", lambda *of: [p for p in packets(*of) if not p.pts or p.pts < 1200]
    )
    with pytest.raises(VadError, match=r"cut short: the last 1\.2 of 2\.4 seconds are lost"):
        video.read(path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a film whose format has checksums, and its frames as they are read."""
    path = make(tmp_path_factory.mktemp("films") / "film.mkv", noisy(8, 24, 32), "ffv1", "bgr0")
    return path.read_bytes(), np.stack([frame for _, frame in film.frames(path)])


DAMAGE = st.one_of(
    st.tuples(st.just("cut"), st.floats(0, 1), st.just(0)),
    st.tuples(st.just("flip"), st.integers(0, 10**6), st.integers(1, 30)),
    st.tuples(st.just("zero"), st.floats(0, 1), st.integers(1, 5000)),
    st.tuples(st.just("drop"), st.floats(0, 1), st.integers(1, 5000)),
)


def damaged(content, how, where, much):
    if how == "flip":
        rng, found = random.Random(where), bytearray(content)
        for _ in range(much):
            found[rng.randrange(len(found))] ^= rng.randrange(1, 256)
        return bytes(found)
    at = int(where * len(content))
    rest = {"cut": b"", "zero": bytes(len(content[at : at + much])), "drop": b""}[how]
    return content[:at] + rest + (b"" if how == "cut" else content[at + much :])


# FFV1 has a checksum for every slice. MPEG and H.264 have a grammar most damage breaks:
# what does not makes another picture that could be meant, and goes unseen. No frame gets lost.
@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(damage=DAMAGE)
def test_damage_is_refused_or_harmless(whole, tmp_path, damage):
    content, frames = whole
    path = tmp_path / "film.mkv"
    path.write_bytes(damaged(content, *damage))
    try:
        found = [frame for _, frame in film.frames(path)]
    except VadError:
        return
    assert not found or np.array_equal(np.stack(found), frames)  # no frames are refused by `read`


COUNTED = {"avi", "mp4", "mov"}  # other heads say how long a film is, to a second


@kinds
@pytest.mark.filterwarnings("ignore::vadlib.errors.VadNotice")
def test_damage_loses_no_frame_without_a_word(tmp_path, suffix, codec, pixels):
    path = make(tmp_path / f"whole.{suffix}", noisy(20, 32, 48), codec, pixels)
    content, length, refused = path.read_bytes(), len(video.read(path)), 0
    for seed in range(40):
        path = tmp_path / f"film{seed}.{suffix}"
        path.write_bytes(damaged(content, "flip", seed, 3))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                found = len(video.read(path))
            except VadError as error:
                refused += path.name in str(error)
                continue
        assert found == length or told or suffix not in COUNTED
    assert refused > 3, "damage is seen"  # an encoder is not the same to the bit in every process


def test_frames_that_a_head_hides_are_told(tmp_path, capsys):
    path = make(tmp_path / "film.mp4", noisy(12), pts=[4 * i - 16 for i in range(12)])
    with pytest.warns(VadNotice, match=r"film\.mp4 has 12 frames, of which its head hides 4"):
        assert len(video.read(path)) == 8
    assert main(["score", "copy-last", str(path)]) == 0
    assert capsys.readouterr().err.count("vadlib: ") == 1


def test_times_that_contradict_each_other_are_refused(tmp_path, monkeypatch):
    path = make(tmp_path / "film.mp4", noisy(8))
    monkeypatch.setattr(film, "REORDERED", 0.01)  # as if a frame were shown long after its decoding
    with pytest.raises(VadError, match="contradict each other"):
        video.read(path)


def test_a_film_whose_head_names_no_known_format_is_refused(tmp_path):
    path = make(tmp_path / "film.mp4", noisy(8))
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(VadError, match=r"film\.mp4"):
        video.read(path)


def test_a_folder_is_told_from_a_film(tmp_path, capsys):
    assert main(["score", "copy-last", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert f"{tmp_path} is a folder. Name the films in it" in said.err
    assert said.out == "", "no head of a table that has no row"


@pytest.mark.parametrize("times,kept", [([-0.2, -0.1, 1.1], True), ([-2.0], False), ([3.0], False)])
def test_frames_hidden_far_from_the_others_are_damage(tmp_path, times, kept):
    if kept:
        film._check_hidden(times, 0.0, 1.0, tmp_path)
    else:
        with pytest.raises(VadError, match="cannot be meant"):
            film._check_hidden(times, 0.0, 1.0, tmp_path)
