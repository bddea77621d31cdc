"""What several test files share: a private cache, and a few tiny videos."""

import functools
import getpass
import os
import shutil
import tempfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from vadlib.data.base import Video

TINY = (24, 32)  # height and width of the tiny videos


@pytest.fixture(scope="session", autouse=True)
def _cache_of_tests():
    """Tests never write into the repository's cache; theirs keeps decoded Ped2 between runs."""
    with pytest.MonkeyPatch.context() as patch:
        folder = Path(tempfile.gettempdir()) / f"vadlib-tests-{getpass.getuser()}"
        patch.setenv("VADLIB_CACHE", str(folder))
        yield


@pytest.fixture(scope="session")
def chromium():
    """The machine's Chromium without a window, driven by Playwright.

    Without one a reader's tests are skipped; CI, which must look at the pages, fails.
    """
    sync_api = pytest.importorskip("playwright.sync_api")
    known = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, known)), None)
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no Chromium on this machine")
    with sync_api.sync_playwright() as driver:
        args = ["--allow-file-access-from-files"]
        args += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        yield driver.chromium.launch(executable_path=path, args=args)


@pytest.fixture
def served():
    """Serves a folder at an address of this machine, as `make serve` does; returns the address."""
    servers = []

    def serve(folder):
        quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
        make = functools.partial(quiet, directory=str(folder))
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), make))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of this test's own."""
    monkeypatch.setenv("VADLIB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def moving_square(length=20, start=(4, 3), speed=(0, 1), side=6, abnormal=(), channels=1, seed=0):
    """A bright square on a noisy ground; in the `abnormal` frames it is brighter and masked."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 60, (length, *TINY, channels), dtype=np.uint8)
    masks = np.zeros((length, *TINY), bool)
    for t in range(length):
        y = (start[0] + speed[0] * t) % (TINY[0] - side)
        x = (start[1] + speed[1] * t) % (TINY[1] - side)
        frames[t, y : y + side, x : x + side] = 255 if t in abnormal else 160
        masks[t, y : y + side, x : x + side] = t in abnormal
    return frames, masks


def odd_squares(key):
    """Two videos whose square is odd from frame 9 on; `key` names their cached flow."""
    made = []
    for seed, name in enumerate(("a", "b")):
        frames, masks = moving_square(14, speed=(1, 1), abnormal=range(9, 14), seed=seed)
        labels = masks.any((1, 2)).astype(np.uint8)
        made.append(Video(name, frames, labels, masks, key=f"test-{key}-{name}"))
    return made


@pytest.fixture
def tiny_videos():
    """Three videos of 24x32 grey frames, 20 to 26 long: a square that now and then is abnormal."""
    videos = []
    for number, abnormal in enumerate([range(5, 12), range(0, 4), range(15, 26)]):
        length = 20 + 3 * number
        frames, masks = moving_square(
            length, (2 + number, 3), (number % 2, 1), abnormal=abnormal, seed=number
        )
        labels = masks.any(axis=(1, 2)).astype(np.uint8)
        name = f"{number + 1:02d}"
        videos.append(
            Video(name, frames, labels, masks, f"tiny-{number}", dataset="tiny", split="test")
        )
    return videos
