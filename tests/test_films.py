"""Films through detectors: in windows as a whole, in constant memory, judged by normal footage."""

import csv
import io
import subprocess
import sys
import tracemalloc

import av
import numpy as np
import pytest

from vadlib import papers
from vadlib.__main__ import main
from vadlib.data import footage, store, video
from vadlib.detector import Detector, History, Scores
from vadlib.errors import VadError
from vadlib.lab import films
from vadlib.lab.checkpoints import save_checkpoint, usual_of
from vadlib.papers.maam.config import MAAMConfig
from vadlib.papers.mdsf.config import MDSFConfig
from vadlib.papers.msti.config import MSTIConfig

pytestmark = pytest.mark.usefixtures("cache")
SIZE = (40, 56)


def pictures(length, seed=0, channels=3, size=SIZE):
    """A square that walks over a texture."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(60, 120, (*size, channels))
    out = np.repeat(ground[None], length, 0) + rng.integers(0, 9, (length, *size, channels))
    for t in range(length):
        x = (3 * t) % (size[1] - 8)
        out[t, 10:26, x : x + 8] = 200
    return out.astype(np.uint8)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A film of 101 frames: windows of 16 leave a rest, and so do batches of 16 and of 8."""
    return video.write(tmp_path_factory.mktemp("films") / "walk.mkv", pictures(101))


def small(name):
    """A detector by name, small where it has a network."""
    if name == "maam":
        return papers.detector(name, config=MAAMConfig(width=4, items=20, patch=(8, 6)))
    if name == "mdsf":
        return papers.detector(name, config=MDSFConfig(widths=(4, 4, 8, 8), patch=(8, 6)))
    if name.startswith("msti"):
        update = {"test_update": "video"} if name == "msti-adapts" else {}
        return papers.detector("msti", config=MSTIConfig(width=4, patch=(8, 6), **update))
    return papers.detector(name)


STREAMED = ("copy-last", "zero-flow", "flow-magnitude", "motion-gradient", "random", "frame-index")
NETWORKS = ("maam", "mdsf", "msti")
IMAGES = ("mean-image", "median-image", "median-z")


@pytest.mark.parametrize("length", [16, 64])
@pytest.mark.parametrize("name", [*STREAMED, *NETWORKS, *IMAGES])
def test_windows_score_as_the_whole_film_to_the_last_bit(film, name, length):
    model, whole = small(name), video.read(film)
    if name in IMAGES:
        model.fit([whole])
    expected = model.score(whole)
    cut = video.windows(film, overlap=sum(model.context), length=length)
    parts = list(model.stream(cut))
    assert len(parts) > 1
    assert np.array_equal(np.concatenate([p.index for p in parts]), expected.index)
    assert np.array_equal(np.concatenate([p.frame for p in parts]), expected.frame)
    if expected.heatmap is not None:
        heat = np.concatenate([p.heatmap for p in parts if p.heatmap is not None])
        assert np.array_equal(heat, expected.heatmap)


@pytest.mark.parametrize("name", [*STREAMED, *NETWORKS])
def test_a_score_is_made_of_its_context_and_of_no_other_frame(name):
    """What a detector says of itself: frames outside of the context change nothing."""
    model, frames = small(name), pictures(24)
    before, after = model.context
    video_of = small_video(frames)
    at = int(model.score(video_of).index[8])
    for t in (at - before - 1, at + after + 1):
        other = frames.copy()
        other[t] = 255 - other[t]
        one, two = model.score(video_of), model.score(small_video(other))
        assert one.frame[one.index == at] == two.frame[two.index == at]


def small_video(frames):
    return video.Video("v", frames, key=None)


@pytest.mark.parametrize("overlap,length", [(0, 16), (1, 16), (4, 32), (100, 16), (101, 16)])
def test_windows_are_the_film_in_order(film, overlap, length):
    whole = video.read(film)
    cut = list(video.windows(film, overlap=overlap, length=length))
    for i, window in enumerate(cut):
        end = window.start + len(window)
        assert window.start == i * length and window.key is None and window.fps == 25
        assert np.array_equal(window.frames, whole.frames[window.start : end])
        assert np.array_equal(window.times, whole.times[window.start : end])
    assert end == 101 and (len(cut) == 1 or len(cut[-1]) > overlap)


def test_a_short_film_is_one_window_and_the_detector_says_what_it_lacks(tmp_path):
    path = video.write(tmp_path / "one.mkv", pictures(1))
    for name in ("copy-last", "zero-flow", "maam", "msti"):
        with pytest.raises(VadError, match="one"):
            list(films.score(small(name), path, None))
    path = video.write(tmp_path / "two.mkv", pictures(2))
    ((scores, times),) = films.score(papers.detector("copy-last"), path, None)
    assert scores.index.tolist() == [1] and times.tolist() == [0.04]


def test_memory_does_not_grow_with_the_film(tmp_path, monkeypatch):
    """Twice as long takes as much: pictures are let go of, flow is kept nowhere."""
    monkeypatch.setattr(video, "WINDOW", 0)
    peaks = []
    for length in (48, 192):
        path = video.write(tmp_path / f"{length}.mkv", pictures(length))
        tracemalloc.start()
        for _ in films.score(papers.detector("zero-flow"), path, None):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 20 * pictures(1).nbytes  # of 144 frames more
    assert not store.cache_root().exists()


@pytest.fixture(scope="module")
def long_films(tmp_path_factory):
    """Films of 30 and of 120 seconds, 180x240, and a small network for them."""
    folder, size = tmp_path_factory.mktemp("long"), (180, 240)
    some = pictures(25, size=size)
    paths = [folder / "30.mp4", folder / "120.mp4"]
    for path, seconds in zip(paths, (30, 120), strict=True):
        with av.open(str(path), "w") as file:  # picture by picture: this process stays small, too
            stream = file.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
            stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
            for i in range(25 * seconds):
                file.mux(stream.encode(av.VideoFrame.from_ndarray(some[i % 25], format="rgb24")))
            file.mux(stream.encode())
    save_checkpoint(folder / "maam.pt", small("maam"), "maam-fit", "stamp", "", History())
    return paths, folder / "maam.pt"


@pytest.mark.parametrize("name", ["zero-flow", "maam"])
def test_a_process_that_scores_a_film_is_no_larger_for_a_long_one(name, long_films, tmp_path):
    """All that it holds, libraries and what other languages allocate among it."""
    paths, network = long_films
    peaks = []
    for path in paths:
        command = ["score", name, str(path), "--size", "90x120", "--out", str(tmp_path / "s.csv")]
        command += ["--checkpoint", str(network), "--device", "cpu"] if name == "maam" else []
        code = f"""import resource; from vadlib.__main__ import main
assert main({command}) == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout))
        frames = int(path.stem) * 25
        assert frames - 2 < len(table((tmp_path / "s.csv").read_text())) < frames
    assert peaks[1] < 1.15 * peaks[0]


class Whole(Detector):
    """A detector that needs the whole film."""

    name = "whole"

    def fit(self, videos, config=None):
        raise AssertionError

    def score(self, video):
        level = video.frames.mean((1, 2, 3))
        return Scores(video.name, level - level.mean(), np.arange(len(video)))


def test_what_looks_at_the_whole_film_gets_it_and_refuses_a_long_one(film, monkeypatch):
    ((scores, times),) = films.score(Whole(), film, None)
    assert len(scores.frame) == len(times) == 101
    assert not list(store.cache_root().rglob("*.npy")) if store.cache_root().exists() else True
    with pytest.raises(VadError, match="whole looks at the whole of a video"):
        list(Whole().stream(video.windows(film)))
    monkeypatch.setattr(films, "WHOLE", 100 * 4 * SIZE[0] * SIZE[1])
    with pytest.raises(VadError, match="walk.mkv has 101 frames, and whole .* at most 100 frames"):
        list(films.score(Whole(), film, None))
    assert small("msti-adapts").context is None


def test_a_method_that_learns_from_bags_refuses_films_in_one_line(film, tmp_path, capsys):
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "a.mkv").write_bytes(film.read_bytes())
    command = ["fit", "la-net", "--data", str(tmp_path / "films"), "--out", str(tmp_path / "x.pt")]
    assert main([*command, "--device", "cpu"]) == 2
    said = capsys.readouterr().err
    assert "la-net reads bags of features, not the frames of video a" in said
    assert said.count("\n") == 1 and not (tmp_path / "x.pt").exists()
    with pytest.raises(VadError, match="la-net reads bags of features"):
        list(films.score(papers.detector("la-net"), film, SIZE))


# ------------------------------------------------------------------------------ the command line


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_the_command_line_writes_time_threshold_and_decision(film, tmp_path, capsys):
    normal = video.write(tmp_path / "normal.mkv", pictures(60, seed=1))
    command = ["score", "copy-last", str(film), "--size", "40x56"]
    assert main(command) == 0
    plain = table(capsys.readouterr().out)
    assert len(plain) == 100 and {(r["threshold"], r["abnormal"]) for r in plain} == {("", "")}
    assert main([*command, "--normal", str(normal)]) == 0
    rows = table(capsys.readouterr().out)
    usual = papers.detector("copy-last").score(video.read(normal)).frame
    limit = np.sort(usual)[-1]  # of 59 scores, one in a hundred is none
    assert {r["threshold"] for r in rows} == {f"{limit:.6g}"}
    expected = papers.detector("copy-last").score(video.read(film))
    assert [r["abnormal"] for r in rows] == [str(int(s > limit)) for s in expected.frame]
    assert {r["abnormal"] for r in rows} == {"0", "1"}
    assert [float(r["time"]) for r in rows] == [round(t / 25, 3) for t in range(1, 101)]


def test_one_normal_frame_in_a_hundred_may_lie_above_the_threshold():
    scores = np.random.default_rng(0).permutation(1000.0 + np.arange(1000))
    limit = films.threshold([scores[:300], scores[300:]])
    assert 0.0085 < (scores > limit).mean() <= films.ALARMS == 0.01
    assert films.threshold([np.array([3.0])]) == 3
    with pytest.raises(VadError, match="no normal footage"):
        films.threshold([])


def test_the_cache_is_used_where_it_is_asked_for_and_changes_nothing(film, tmp_path, capsys):
    command = ["score", "zero-flow", str(film), "--size", "40x56"]
    assert main(command) == 0
    streamed = capsys.readouterr().out
    assert not store.cache_root().exists()
    assert main([*command, "--cache"]) == 0
    assert capsys.readouterr().out == streamed
    assert len(list((store.cache_root() / "arrays").glob("*.npy"))) == 2


def test_two_films_of_one_name_are_told_apart(film, tmp_path, capsys):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "cam.mkv").write_bytes(film.read_bytes())
    paths = [str(tmp_path / folder / "cam.mkv") for folder in "ab"]
    assert main(["score", "frame-index", *paths, str(film)]) == 0
    assert {r["video"] for r in table(capsys.readouterr().out)} == {
        "a/cam.mkv",
        "b/cam.mkv",
        "walk",
    }
    assert main(["score", "frame-index", paths[0], paths[0]]) == 2
    assert "is named twice" in capsys.readouterr().err


@pytest.mark.parametrize(
    "given,expected",
    [
        (["x.mp4", "y.mp4"], ["x", "y"]),
        (["x.mp4", "x.avi"], ["x.mp4", "x.avi"]),
        (["a/x.mp4", "b/x.mp4", "z.mp4"], ["a/x.mp4", "b/x.mp4", "z"]),
        (["1/a/x.mp4", "2/a/x.mp4", "b/x.mp4"], ["1/a/x.mp4", "2/a/x.mp4", "b/x.mp4"]),
    ],
)
def test_names_are_as_long_as_they_must_be(given, expected):
    assert footage.names([store.Path(path) for path in given]) == expected


def test_a_result_is_written_whole_or_not_at_all(film, tmp_path, capsys):
    out = tmp_path / "scores.csv"
    damaged = tmp_path / "cut.mkv"
    damaged.write_bytes(film.read_bytes()[:-3000])
    assert main(["score", "copy-last", str(film), str(damaged), "--out", str(out)]) == 2
    assert "cut.mkv is damaged or cut short" in capsys.readouterr().err
    assert not out.exists() and len(list(tmp_path.iterdir())) == 1
    assert main(["score", "copy-last", str(film), "--out", str(out)]) == 0
    assert len(table(out.read_text())) == 100
    assert main(["score", "copy-last", str(film), "--out", str(tmp_path)]) == 2
    assert "cannot be written (it is a folder)" in capsys.readouterr().err


# -------------------------------------------------------------------------------- own training


def test_a_folder_of_films_is_normal_footage(film, tmp_path):
    for name in ("b/cam", "a/cam", "c", ".hidden/d"):
        path = tmp_path / f"{name}.mkv"
        path.parent.mkdir(exist_ok=True)
        video.write(path, pictures(5, channels=1 if name == "c" else 3))
    (tmp_path / "notes.txt").touch()
    found = footage.videos(tmp_path, size=(20, 28))
    assert [v.name for v in found] == ["a/cam.mkv", "b/cam.mkv", "c"]
    assert all(v.frames.shape == (5, 20, 28, 3) and not v.labels.any() for v in found)
    with pytest.raises(VadError, match="no test videos"):
        footage.videos(tmp_path, "test")
    (tmp_path / "empty").mkdir()
    with pytest.raises(VadError, match="empty holds no films"):
        footage.videos(tmp_path / "empty")


def test_fit_learns_from_a_folder_of_films_and_sets_the_threshold(film, tmp_path, capsys):
    (tmp_path / "films").mkdir()
    for i in range(2):
        video.write(tmp_path / "films" / f"{i}.mkv", pictures(9, seed=i, size=(128, 192)))
    out = tmp_path / "own.pt"
    command = ["fit", "maam", "--data", str(tmp_path / "films"), "--out", str(out)]
    assert main([*command, "--epochs", "0.1", "--device", "cpu"]) == 0
    limit, size = usual_of(out)
    assert size == (128, 192)
    capsys.readouterr()
    films_of = [str(path) for path in sorted((tmp_path / "films").iterdir())]
    assert main(["score", "maam", *films_of, "--checkpoint", str(out), "--device", "cpu"]) == 0
    rows = table(capsys.readouterr().out)
    assert len(rows) == 16 and {r["threshold"] for r in rows} == {f"{limit:.6g}"}
    assert sum(r["abnormal"] == "1" for r in rows) == 0  # of 16 frames, one in a hundred is none
    assert max(float(r["score"]) for r in rows) == pytest.approx(limit, rel=1e-5)
    small = ["score", "maam", films_of[0], "--checkpoint", str(out), "--size", "64x96"]
    assert main([*small, "--device", "cpu"]) == 0
    assert {r["threshold"] for r in table(capsys.readouterr().out)} == {""}  # of another size


@pytest.mark.parametrize("name", ["flow-bag", "zero-flow"])
def test_a_rule_learns_from_films_what_is_normal_to_it(name, film, tmp_path, capsys):
    """Nothing but a threshold is there to be learned, and the size at which it was measured."""
    (tmp_path / "films").mkdir()
    video.write(tmp_path / "films" / "normal.mkv", pictures(40, size=(128, 192)))
    out, fast = tmp_path / "rule.pt", pictures(40, size=(128, 192))
    for t in range(16, 40):
        fast[t] = np.roll(fast[t], 6 * (t - 15), axis=1)  # everything moves
    odd = video.write(tmp_path / "odd.mkv", fast)
    assert main(["fit", name, "--data", str(tmp_path / "films"), "--out", str(out)]) == 0
    limit, size = usual_of(out)
    said = capsys.readouterr().out
    assert said == f"{out}: a threshold of {limit:.6g}\n" and size == (128, 192)
    assert main(["score", name, str(odd), "--checkpoint", str(out)]) == 0
    rows = table(capsys.readouterr().out)
    assert {r["threshold"] for r in rows} == {f"{limit:.6g}"}
    abnormal = [int(r["frame"]) for r in rows if r["abnormal"] == "1"]
    assert abnormal == list(range(15, 39) if name == "zero-flow" else range(16, 40))
    expected = papers.detector(name).score(video.read(odd)).frame
    assert [r["score"] for r in rows] == [f"{s:.6g}" for s in expected]
    assert main(["score", "copy-last", str(odd), "--checkpoint", str(out)]) == 2
    assert f"rule.pt was made by {name}-fit, another method" in capsys.readouterr().err
    assert main(["watch", str(odd), "--checkpoint", str(out)]) == (0 if name == "zero-flow" else 2)
    said = capsys.readouterr()
    assert "Traceback" not in said.err and len(said.err.splitlines()) <= 1


def test_a_data_set_that_is_neither_known_nor_a_folder(tmp_path, capsys):
    command = ["fit", "maam", "--data", str(tmp_path / "gone"), "--out", str(tmp_path / "x.pt")]
    assert main(command) == 2
    assert "or the path of a folder of films" in capsys.readouterr().err
