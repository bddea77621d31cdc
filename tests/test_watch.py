"""Watching: alarms and their promise, causal scores, streams that break off, the report."""

import csv
import itertools
import math
import re
import signal
import socket
import sys
import threading
from contextlib import closing, nullcontext
from types import SimpleNamespace

import av
import numpy as np
import pytest

from vadlib import papers
from vadlib.__main__ import main
from vadlib.data import film as films
from vadlib.data import live, store, video
from vadlib.detector import History
from vadlib.errors import VadError
from vadlib.lab import watch
from vadlib.lab.checkpoints import made_by, save_checkpoint
from vadlib.measure import alarms
from vadlib.papers.maam.config import MAAMConfig
from vadlib.papers.mdsf.config import MDSFConfig
from vadlib.papers.msti.config import MSTIConfig
from vadlib.show.report import Report, clock

pytestmark = pytest.mark.usefixtures("cache")
SIZE = (40, 56)
SHAPE = f"{SIZE[0]}x{SIZE[1]}"


def pictures(length, seed=0, jumps=()):
    """A square that walks over a texture; in frames `jumps` it is somewhere else."""
    rng = np.random.default_rng(seed)
    out = np.repeat(rng.integers(60, 120, (1, *SIZE, 3)), length, 0)
    out += rng.integers(0, 9, out.shape)
    for t in range(length):
        x = (48 - abs(48 - t // 2 % 96) + 25 * (t in jumps)) % 49
        out[t, 10:26, x : x + 8] = 200
    return out.astype(np.uint8)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return video.write(tmp_path_factory.mktemp("w") / "walk.mkv", pictures(90, 1, (40,)), 10)


@pytest.fixture(scope="module")
def normal(tmp_path_factory):
    return video.write(tmp_path_factory.mktemp("w") / "usual.mkv", pictures(150), 10)


# ----------------------------------------------------------------------------------- the promise


def test_frames_less_than_quiet_apart_are_one_alarm():
    times, scores = np.arange(8.0), np.array([0, 5, 5, 0, 5, 0, 0, 5])
    assert [alarms.alarms(times, scores, 4, quiet) for quiet in (1, 2, 3)] == [3, 2, 1]
    assert alarms.alarms(times, scores, 5) == 0
    bell = alarms.Bell(4, 2)
    assert [bell.hear(t, s) for t, s in zip(times, scores, strict=True)] == [
        False, True, False, False, False, False, False, True,
    ]  # fmt: skip
    bell = alarms.Bell(4, 1)
    rings = [(bell.hear(t, s), bell.ringing)[1] for t, s in zip(times, scores, strict=True)]
    assert rings == [False, True, True, True, True, True, False, True]


def test_the_interval_is_garwoods():
    """His table: none seen, up to 3.689; ten seen, 4.795 to 18.390."""
    assert alarms.garwood(0, 1) == pytest.approx((0, 3.6889), abs=1e-4)
    assert alarms.garwood(10, 2) == pytest.approx((4.7954 / 2, 18.3904 / 2), abs=1e-4)
    assert alarms.rule_of_three(2) == pytest.approx(1.5, rel=2e-3)
    for bad in ((-1, 1), (1, 0), (1, math.inf)):
        with pytest.raises(VadError, match="alarms in"):
            alarms.garwood(*bad)


@pytest.mark.parametrize("seed", range(4))
def test_the_threshold_is_the_lowest_with_few_alarms_from_there_on_up(seed):
    rng = np.random.default_rng(seed)
    two = [(np.arange(n) / 2, np.round(rng.normal(size=n) ** 2, 1)) for n in (900, 700)]
    hours, quiet = 1600 / 2 / 3600, 3.0
    asked = (2 + seed) / hours  # so that 1 + seed alarms are allowed
    found = alarms.promise(two, asked, quiet)
    total = lambda level: sum(alarms.alarms(t, s, level, quiet) for t, s in two)  # noqa: E731
    levels = np.unique(np.concatenate([s for _, s in two]))
    fine = [level for level in levels if all(total(v) <= 1 + seed for v in levels[levels >= level])]
    assert found.threshold == min(fine) and found.alarms == total(min(fine))
    assert found.hours == pytest.approx(hours)
    assert found.expected <= asked * (1 + 1e-9)


def test_the_promise_is_kept_on_footage_to_come():
    """Spikes at random times and of random heights: the true rate above a level is known."""
    rng, rate, hours, rates, inside = np.random.default_rng(0), 30.0, 2.0, [], 0
    for _ in range(400):
        count = rng.poisson(rate * hours)
        times = np.concatenate([[0], np.sort(rng.uniform(0, 3600 * hours, count)), [3600 * hours]])
        heights = np.concatenate([[0], rng.exponential(size=count), [0]])
        found = alarms.promise([(times, heights)], 2.0, 0.0)
        true = rate * math.exp(-found.threshold)
        low, high = found.interval
        rates.append(true)
        inside += low <= true <= high
    assert np.mean(rates) == pytest.approx(2.0, rel=0.1)  # as was asked, on average
    assert inside / 400 >= 0.93


def test_too_little_normal_footage_is_refused_or_said():
    minute = [(np.arange(60.0), np.arange(60.0))]
    with pytest.raises(VadError, match=r"60 s of normal .* 2 false .* Give 30 min .* allow 60 an"):
        alarms.promise(minute, 2)
    found = alarms.promise(minute, 60)
    assert (found.threshold, found.alarms) == (59, 0)
    assert "up to 221 false alarms an hour cannot be ruled out" in found.doubt
    assert alarms.Promise(1.0, 100, 60.0, 2.0).doubt == ""
    for bad in (0, -1, math.nan, math.inf):
        with pytest.raises(VadError, match="above zero"):
            alarms.promise(minute, bad)
    with pytest.raises(VadError, match="no normal footage"):
        alarms.promise([], 1)


# ---------------------------------------------------------------------------- scores as they come


def small(name):
    if name == "maam":
        return papers.detector(name, config=MAAMConfig(width=4, items=20, patch=(8, 6)))
    if name == "mdsf":
        return papers.detector(
            name, config=MDSFConfig(widths=(4, 4, 8, 8), patch=(8, 6), frames=3, gap=2)
        )
    if name == "msti":
        return papers.detector(name, config=MSTIConfig(width=4, patch=(8, 6)))
    return papers.detector(name)


@pytest.mark.parametrize("name", ["zero-flow", "copy-last", "frame-index", "maam", "mdsf", "msti"])
def test_frame_by_frame_is_as_the_whole_film_and_no_later_frame_matters(name, film, tmp_path):
    model, whole = small(name), video.read(film)
    seen = list(watch.looks(model, str(film), SIZE))
    expected = model.score(whole)
    assert [look.number for look in seen] == expected.index.tolist()
    # networks sum in another order where they see one frame at a time
    assert np.allclose([look.score for look in seen], expected.frame, rtol=1e-4, atol=1e-5)
    cut = 30
    later = whole.frames.copy()
    later[cut:] = 255 - later[cut:]
    other = list(watch.looks(model, str(video.write(tmp_path / "o.mkv", later, 10)), SIZE))
    known = cut - model.context[1]  # the first whose context reaches the change
    pairs = list(zip(seen, other, strict=True))
    assert all(a.score == b.score for a, b in pairs if a.number < known)
    if name != "frame-index":
        assert next(a.score != b.score for a, b in pairs if a.number == known)


def test_a_score_is_there_as_soon_as_its_context(film, monkeypatch):
    """With as many frames taken from the source as the context asks for, and not one more."""
    taken, real = [], films.frames

    def counted(path):
        for item in real(path):
            taken.append(item)
            yield item

    monkeypatch.setattr(films, "frames", counted)
    for name in ("copy-last", "zero-flow", "msti"):
        model = small(name)
        taken.clear()
        for look in watch.looks(model, str(film), SIZE):
            assert len(taken) == look.number + 1 + model.context[1]


def test_moments_are_the_highest_local_maxima():
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.uniform(0.05, 0.3, 400))
    scores = rng.normal(size=400).round(1)
    keeper = watch.Moments(most=5, apart=1.0)
    for i, (t, s) in enumerate(zip(times, scores, strict=True)):
        keeper.add(watch.Look(i, t, s, None, np.zeros((2, 2, 3), np.uint8)))
    near = np.abs(times[:, None] - times) <= 1.0
    first = np.arange(400)[:, None] > np.arange(400)  # of equals, the earlier
    beaten = near & ((scores > scores[:, None]) | ((scores == scores[:, None]) & first))
    best = sorted(np.flatnonzero(~beaten.any(1)), key=lambda i: -scores[i])[:5]
    assert [look.number for look in keeper.best] == best


def test_the_curve_keeps_every_peak_in_constant_room():
    curve, rng = watch.Curve(bins=8), np.random.default_rng(0)
    times, scores = np.arange(0, 60, 0.04), rng.normal(size=1500)
    for t, s in zip(times, scores, strict=True):
        curve.add(t, s)
    bins = (times / curve.step).astype(int)
    assert len(curve.values) <= 8 and curve.step == pytest.approx(12.8)
    assert np.array_equal(curve.values, [scores[bins == b].max() for b in range(bins.max() + 1)])


# ----------------------------------------------------------------------------------- streams


class Camera:
    """A server on this machine that sends a film to each who connects; the first gets a part."""

    def __init__(self, content, first):
        self.socket, self.asked = socket.create_server(("127.0.0.1", 0)), 0
        self.address = f"tcp://127.0.0.1:{self.socket.getsockname()[1]}"
        self.content, self.first = content, first
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                other, _ = self.socket.accept()
            except OSError:
                return
            self.asked += 1
            if self.asked == 2:  # and then it is gone for good
                self.socket.close()
            with closing(other):
                other.sendall(self.content[: self.first if self.asked == 1 else None])


@pytest.fixture(scope="module")
def sent(tmp_path_factory):
    """A film as a camera sends it: MPEG-TS, 60 frames, a picture that stands by itself in ten."""
    path = tmp_path_factory.mktemp("ts") / "camera.ts"
    with av.open(str(path), "w", format="mpegts") as file:
        stream = file.add_stream("libx264", rate=10, options={"g": "10", "tune": "zerolatency"})
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        for frame in pictures(60):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())
    return path.read_bytes()


@pytest.fixture
def patient(monkeypatch):
    """Waits that are asked for, and do not last."""
    waits = []
    monkeypatch.setattr(live.time, "sleep", waits.append)
    return waits


def test_a_stream_that_breaks_off_is_taken_up_again(sent, patient, tmp_path):
    camera, said = Camera(sent, len(sent) // 2), []
    out = tmp_path / "s.csv"
    address = camera.address.replace("//", "//me:secret@")
    seen = watch.watch(small("copy-last"), camera.address, SIZE, table=out, say=said.append)
    assert camera.asked == 2 and patient[0] == 1 and patient[-5:] == list(live.WAITS)
    assert seen.losses == 2 and "did not come back" in seen.gaps[-1].why
    assert 59 < seen.frames < 119
    lines = "\n".join(said)
    assert "lost after" in lines and "there again" in lines and "given up after 5" in lines
    rows = list(csv.DictReader(out.open()))
    assert [bool(r["gap"]) for r in rows].count(True) == 2
    times = [float(r["time"]) for r in rows if not r["gap"]]
    assert all(a < b for a, b in itertools.pairwise(times))
    # the first frame after a loss has none before it, and so no score
    numbers = [int(r["frame"]) for r in rows if not r["gap"]]
    assert set(range(numbers[-1] + 1)) - set(numbers) >= {0} and len(numbers) == seen.frames
    page = seen.report().html
    assert "What was lost" in page and "2 times something was lost" in page and "UTC" in page
    assert live.shown(address) == camera.address


def test_a_camera_that_comes_back_amid_a_picture_was_lost_once(patient, monkeypatch):
    """What cannot be decoded until its next whole picture belongs to the loss."""
    pixels = np.zeros((*SIZE, 3), np.uint8)
    turns = iter([[0.1, 0.2], [live.Gap(0.2, 7, "damaged pictures"), 7.2, 7.3]])

    def decoded(container, clock, name):
        clock.begun = True
        for item in next(turns, []):
            yield item if isinstance(item, live.Gap) else live.Frame(item, pixels)

    monkeypatch.setattr(live, "_decoded", decoded)
    monkeypatch.setattr(live, "_connected", lambda source: nullcontext())
    monkeypatch.setattr(live, "_length", lambda container: None)
    items = list(live.frames("rtsp://camera", lambda text: None, tries=1))
    gaps = [item for item in items if isinstance(item, live.Gap)]
    assert [item.time for item in items if isinstance(item, live.Frame)] == [0.1, 0.2, 7.2, 7.3]
    assert gaps[0].why == "it ended" and len(gaps) == 2 and "did not come back" in gaps[1].why


def test_a_recording_that_is_sent_as_a_stream_ends_where_no_try_is_asked_for(sent, patient):
    camera, said = Camera(sent, None), []
    items = list(live.frames(camera.address, said.append, tries=0))
    assert len(items) == 60 and all(isinstance(item, live.Frame) for item in items)
    assert camera.asked == 1 and not patient and not said


def test_a_film_that_broke_off_on_its_way_is_refused(film, monkeypatch):
    """Its head says how long it is, so that this is no camera that fell silent."""
    content = film.read_bytes()
    for part, right in ((content, True), (content[: len(content) // 2], False)):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Pipe(part)))
        if right:
            assert len(list(live.frames("-"))) == 90
        else:
            with pytest.raises(VadError, match="is a film of 9.0 s and broke off after"):
                list(live.frames("-"))


def test_damaged_pictures_of_a_stream_are_left_out(sent, monkeypatch):
    harmed = bytearray(sent)
    at = len(sent) // 2
    harmed[at : at + 1500] = bytes(1500)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Pipe(bytes(harmed))))
    items = list(live.frames("-", print))
    gaps = [item for item in items if isinstance(item, live.Gap)]
    shown = [item for item in items if isinstance(item, live.Frame)]
    assert len(gaps) >= 1 and 40 <= len(shown) < 60
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Pipe(sent)))
    whole = list(live.frames("-"))
    assert len(whole) == 60 and not any(isinstance(item, live.Gap) for item in whole)
    right = {item.pixels.tobytes() for item in whole}
    assert all(item.pixels.tobytes() in right for item in shown), "a guessed picture was kept"


class Pipe:
    """Bytes that can be read once."""

    def __init__(self, content):
        self.content, self.at = content, 0

    def read(self, size):
        self.at += size
        return self.content[self.at - size : self.at]


def test_a_stream_that_is_not_there_is_one_line(patient, tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    out = tmp_path / "r.html"
    command = ["watch", f"tcp://me:secret@127.0.0.1:{port}", "--report", str(out)]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "cannot be watched (Connection refused)" in said and "secret" not in said
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------ the page and the command


def test_the_command_line_from_film_to_report(film, normal, tmp_path, capsys):
    out = {name: tmp_path / name for name in ("r.html", "o.mp4", "s.csv")}
    report, overlay, table = map(str, out.values())
    command = ["watch", str(film), "--method", "copy-last", "--size", SHAPE, "--quiet", "1"]
    command += ["--normal", str(normal), "--alarms-an-hour", "300", "--report", report]
    assert main([*command, "--overlay", overlay, "--csv", table]) == 0
    said = capsys.readouterr().out
    assert "alarm at 0:00:04.0, frame 40" in said and "90" not in said.split(" frames scored")[0]
    rows = list(csv.DictReader(out["s.csv"].open()))
    expected = papers.detector("copy-last").score(video.read(film))
    assert [float(r["score"]) for r in rows] == pytest.approx(expected.frame, rel=1e-5)
    usual = papers.detector("copy-last").score(video.read(normal))
    found = alarms.promise([(usual.index / 10, usual.frame)], 300, 1.0)
    assert {r["threshold"] for r in rows} == {f"{found.threshold:.6g}"}
    above = [int(r["frame"]) for r in rows if r["abnormal"] == "1"]
    assert above == expected.index[expected.frame > found.threshold].tolist() and 40 in above
    ringing = [int(r["frame"]) for r in rows if r["alarm"] == "1"]
    assert set(above) <= set(ringing) and max(ringing) == max(above) + 10
    written = [frame for _, frame in films.frames(out["o.mp4"])]
    assert len(written) == 89 and written[0].shape == (SIZE[0] + 48, SIZE[1], 3)
    page = out["r.html"].read_text()
    assert (
        found.words in page
        and re.search("frame 4[01], score", page)
        and "above the threshold" in page
    )
    assert page.count("<img alt=") == page.count("data:image/webp") <= watch.BEST
    assert not re.search(r'(src|href)="(?!data:)', page) and "<script" not in page
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == sorted(out)


def test_names_are_text_in_the_report(film, tmp_path):
    odd = tmp_path / '<img src=x onerror="alert(1)">&.mkv'
    odd.write_bytes(film.read_bytes())
    seen = watch.watch(small("copy-last"), str(odd), SIZE, facts={"command": "<b>'\""})
    page = seen.report().html
    assert "<img src=x" not in page and "<b>" not in page
    assert "&lt;img src=x onerror=&quot;alert(1)&quot;&gt;&amp;.mkv" in page
    assert "Give normal footage" in page and "no alarm was raised" in page


@pytest.fixture
def interrupts():
    """Ctrl-C as a terminal has it: what a shell runs in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_a_stream_in_good_order_and_a_film_leaves_nothing(
    end, monkeypatch, tmp_path, capsys
):
    """And while a stream lasts, its report is written anew now and then."""
    page, written = tmp_path / "r.html", []

    def endless(source, say, tries):
        for i, pixels in enumerate(pictures(12)):
            yield live.Frame(i / 10, pixels)
        written.append(page.exists())
        signal.raise_signal(end)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(live, "frames", endless)
    monkeypatch.setattr(watch, "EVERY", 0)
    command = ["--method", "copy-last", "--size", SHAPE, "--csv", str(tmp_path / "s.csv")]
    assert main(["watch", "rtsp://me:secret@camera/1", *command, "--report", str(page)]) == 0
    assert written == [True] and "ended from outside" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGTERM) == before
    assert "11 frames scored" in page.read_text() and "secret" not in page.read_text()
    assert len((tmp_path / "s.csv").read_text().splitlines()) == 12
    monkeypatch.setattr(watch, "EVERY", 60)
    end = signal.SIGINT  # the library leaves SIGTERM to whoever uses it
    with pytest.raises(KeyboardInterrupt):
        watch.watch(small("copy-last"), "film.mkv", SIZE, table=tmp_path / "t.csv")
    assert not list(tmp_path.glob("t.csv*"))


def test_watching_ends_after_so_many_minutes(film):
    seen = watch.watch(small("frame-index"), str(film), SIZE, minutes=0.05)
    assert seen.frames == 31 and seen.seconds == pytest.approx(3.0)


def test_a_report_without_scores_and_a_clock():
    assert "Nothing was scored" in Report("t", ["s"], [], np.array([np.nan]), 1.0).html
    assert [clock(s) for s in (0, 59.96, 3600, 86399.94)] == [
        "0:00:00.0", "0:01:00.0", "1:00:00.0", "23:59:59.9",
    ]  # fmt: skip


def test_a_checkpoint_says_its_method_and_size(film, tmp_path, capsys):
    path, model = tmp_path / "own.pt", small("maam")
    save_checkpoint(path, model, "maam-fit", "stamp", "", History(), size=SIZE)
    assert made_by(path, papers.methods()) == "maam"
    report = tmp_path / "r.html"
    command = ["watch", str(film), "--checkpoint", str(path), "--device", "cpu"]
    assert main([*command, "--report", str(report)]) == 0
    page = report.read_text()
    assert "40 x 56 pixels" in page and f"own.pt, {store.fingerprint([path])}" in page
    assert main([*command, "--method", "mdsf"]) == 2
    assert "own.pt" in capsys.readouterr().err
    save_checkpoint(path, model, "fit", "stamp", "", History())
    assert main(command) == 2
    assert "does not say which method made it" in capsys.readouterr().err


def test_a_rule_with_an_image_learns_it_from_the_first_frames_alone(normal, film, monkeypatch):
    monkeypatch.setattr(watch, "LEARN", 50)
    rule = papers.detector("mean-image")
    seen = watch.watch(rule, str(film), SIZE, [normal], 1000, 1.0, learns=True)
    frames = video.read(normal).frames
    assert np.allclose(rule.image, frames[:50].mean(0), atol=1e-3)
    scores = rule.score(video.Video("n", frames[50:])).frame
    found = alarms.promise([(np.arange(100) / 10, scores)], 1000, 1.0)
    assert seen.normal.promise == found
    monkeypatch.setattr(watch, "LEARN", 151)
    with pytest.raises(VadError, match="usual.mkv has 150 frames, and mean-image learns"):
        watch.learn(rule, normal, SIZE)


def test_another_rate_than_the_normal_footage_is_said(normal, tmp_path):
    slow = video.write(tmp_path / "slow.mkv", pictures(30, 2), 5)
    seen = watch.watch(small("copy-last"), str(slow), SIZE, [normal], 1000)
    assert any("has 10 frames a second, this 5" in line for line in seen.warnings)


REFUSED = {
    "gone.mkv": "does not exist",
    "empty.mkv": "is empty",
    "text.mkv": "cannot be read as a video",
    "cut.mkv": "is damaged or cut short",
    "sound.mkv": "has no pictures in it",
    "one.mkv": "copy-last needs 2 frames in a row",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_watched_is_one_line_and_leaves_nothing(name, film, tmp_path, capsys):
    source, out = tmp_path / name, tmp_path / "out"
    if name == "cut.mkv":
        source.write_bytes(film.read_bytes()[:-9000])
    elif name == "one.mkv":
        video.write(source, pictures(1))
    elif name == "sound.mkv":
        with av.open(str(source), "w") as file:
            stream = file.add_stream("pcm_s16le", rate=8000, layout="mono")
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
            sound.sample_rate = 8000
            file.mux(stream.encode(sound))
    elif name != "gone.mkv":
        source.write_text("" if name == "empty.mkv" else "no film at all\n" * 50)
    command = ["watch", str(source), "--method", "copy-last", "--size", SHAPE]
    command += [f"--{k}={out / v}" for k, v in
                {"report": "r.html", "overlay": "o.mp4", "csv": "s.csv"}.items()]  # fmt: skip
    assert main(command) == 2
    err = capsys.readouterr().err
    assert REFUSED[name] in err and err.count("\n") == 1
    assert not out.exists() or not list(out.iterdir())


def test_what_the_command_line_refuses(film, normal, tmp_path, capsys):
    def refused(*words, source=film):
        assert main(["watch", str(source), *map(str, words)]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        return err

    assert "cannot be written (it is a folder)" in refused("--report", tmp_path)
    assert "r.html cannot be written" in refused("--report", film / "r.html")
    assert "are one" in refused("--csv", tmp_path / "x", "--report", tmp_path / "x")
    assert "are one" in refused("--csv", film)
    assert "Use one of: .mp4" in refused("--overlay", tmp_path / "o.gif")
    assert "cannot promise 2 false alarms" in refused("--normal", normal, "--size", SHAPE)
    assert "--alarms-an-hour is nan" in refused("--normal", normal, "--alarms-an-hour", "nan")
    assert "needs --checkpoint" in refused("--method", "maam")
    assert "Give --normal footage" in refused("--method", "mean-image")
    assert "gone.pt" in refused("--checkpoint", tmp_path / "gone.pt")
    assert "unknown method 'none'" in refused("--method", "none")
    assert film.stat().st_size and not list(tmp_path.glob("*.*"))


def test_what_must_see_the_whole_film_cannot_watch(film):
    adapts = papers.detector("msti", config=MSTIConfig(width=4, patch=(8, 6), test_update="video"))
    with pytest.raises(VadError, match="msti looks at a film as a whole before it scores"):
        next(watch.looks(adapts, str(film), SIZE))


class NaN(papers.detector("copy-last").__class__):
    def score(self, video):
        scores = super().score(video)
        return type(scores)("v", scores.frame * np.nan, scores.index)


def test_a_score_that_is_no_number_is_refused(film, tmp_path):
    with pytest.raises(VadError, match="NaN"):
        watch.watch(NaN(), str(film), SIZE, table=tmp_path / "s.csv")
    assert not list(tmp_path.glob("*.csv*"))


def test_a_camera_that_changes_its_size_is_refused(film, monkeypatch):
    odd = [(0.0, np.zeros((4, 4, 3), np.uint8)), (0.1, np.zeros((4, 6, 3), np.uint8))]
    monkeypatch.setattr(films, "frames", lambda path: iter(odd))
    with pytest.raises(VadError, match="walk.mkv changes from frames of"):
        list(live.frames(str(film)))


def test_times_rise_whatever_a_camera_says():
    clock = live._Clock(10)
    assert [clock.tick(t) for t in (5.0, 5.1, 5.1, None, 9.0, 2.0, 2.5)] == pytest.approx(
        [0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0]
    )
    clock.lost(7.0)
    assert clock.tick(0.0) == pytest.approx(8.0)


def test_room_does_not_grow_with_the_film(tmp_path, monkeypatch):
    """Twenty times as long takes as much: what is kept of a film has a limit."""
    import tracemalloc

    peaks = []
    still = pictures(10)
    for turns in (20, 400):
        monkeypatch.setattr(
            films, "frames", lambda path, n=turns: ((i / 10, still[i % 10]) for i in range(10 * n))
        )
        monkeypatch.setattr(films, "rate", lambda path: 10.0)
        tracemalloc.start()
        watch.watch(small("frame-index"), "endless.mkv", SIZE, table=tmp_path / "t.csv")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 50_000
