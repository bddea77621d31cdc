"""A film, a camera or a pipe, frame by frame and once: nothing is kept, and nothing read ahead.

A film is read as strictly as `film` reads it. A stream may stumble, and then goes on: what was lost
is said as a `Gap`, and what a decoder only guessed after a loss is left out until the next picture
that stands by itself.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError

from vadlib.data import film
from vadlib.errors import VadError

WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)  # seconds before each new try, after a stream is lost
STALL = 10.0  # seconds without data after which a stream is lost
STDIN = "-"
LOSS = (FFmpegError, OSError, film._Harm)


class Frame(NamedTuple):
    """A frame and its seconds from the first, rising; pixels (H, W, 1 or 3) uint8."""

    time: float
    pixels: np.ndarray


class Gap(NamedTuple):
    """Something was lost: from `time` on, for so many seconds, and why."""

    time: float
    seconds: float
    why: str


def is_stream(source: str) -> bool:
    """Whether it is standard input or an address, and no file."""
    return source == STDIN or "://" in source


def shown(source: str) -> str:
    """A source as it may be printed: without the user and password of an address."""
    return "standard input" if source == STDIN else re.sub(r"://[^/]*@", "://", source)


def frames(
    source: str, say: Callable[[str], Any] = print, tries: int = len(WAITS)
) -> Iterator[Frame | Gap]:
    """Every frame of a file, of an address (rtsp, http, tcp, ...), or of standard input ("-").

    say    gets a line for each loss of a stream, and each return
    tries  how often in a row a lost stream is connected to again, after 1, 2, 4, 8, 16, 16, ...
           seconds; it ends where none of them helps. A stream without a length that ends is lost:
           0 for one that is a recording, and would begin anew; below 0, it is tried for ever

    Raises VadError for a film that is missing or damaged, a stream that cannot be opened at first,
    and frames whose size changes.
    """
    found = _stream(source, say, tries) if is_stream(source) else _film(Path(source))
    size = None
    for item in found:
        if isinstance(item, Frame):
            if size not in (None, item.pixels.shape):
                raise VadError(
                    f"{shown(source)} changes from frames of {size} to {item.pixels.shape}",
                    "Height, width and colours must stay: watch each part by itself.",
                )
            size = item.pixels.shape
        yield item


def _film(path: Path) -> Iterator[Frame]:
    clock = _Clock(film.rate(path))
    for said, pixels in film.frames(path):
        yield Frame(clock.tick(said), pixels)


class _Clock:
    """Seconds from the first frame that only rise, whatever a file or a camera says."""

    def __init__(self, rate: float | None):
        self.step, self.now, self.said, self.jump = 1 / (rate or 25), 0.0, None, 0.0
        self.begun = False

    def tick(self, said: float | None) -> float:
        """The time of the next frame, which is said to be shown at `said`."""
        if not self.begun:
            self.begun = True
        elif said is not None and self.said is not None and said > self.said:
            self.now += said - self.said + self.jump
        else:
            self.now += max(self.jump, self.step)
        self.said, self.jump = said, 0.0
        return self.now

    def lost(self, seconds: float) -> None:
        """What comes next has another beginning, so many seconds after the last frame."""
        self.said, self.jump = None, seconds


def _stream(source: str, say: Callable[[str], Any], most: int) -> Iterator[Frame | Gap]:
    clock, name = _Clock(None), shown(source)
    tries, lost, gone, left = 0, "", 0.0, time.monotonic()
    while True:
        length, why = None, "it ended"
        try:
            with _connected(source) as container:
                length = _length(container)
                for item in _decoded(container, clock, name):
                    if lost and isinstance(item, Gap):
                        continue  # it is part of the loss
                    if lost:
                        say(f"{name}: there again, after {item.time - gone:.1f} s")
                        yield Gap(gone, item.time - gone, lost)
                        lost = ""
                    tries, left = 0, time.monotonic()
                    yield item
        except LOSS as error:
            why = getattr(error, "strerror", None) or str(error)
        if not clock.begun:
            raise VadError(
                f"{name} cannot be watched ({why})", "Check the address, and that it sends video."
            )
        if length is not None and length - clock.now > film.SLACK:
            raise VadError(
                f"{name} is a film of {length:.1f} s and broke off after {clock.now:.1f} s ({why})",
                "Download it, and watch the file.",
            )
        if length is not None or source == STDIN or most == 0:
            return
        if not lost:
            lost, gone = why, clock.now
            say(f"{name}: lost after {gone:.1f} s ({why})")
        if tries == most:
            say(f"{name}: given up after {tries} tries")
            yield Gap(gone, time.monotonic() - left, f"{lost}; it did not come back")
            return
        time.sleep(WAITS[min(tries, len(WAITS) - 1)])
        tries += 1
        clock.lost(time.monotonic() - left)


def _length(container: InputContainer) -> float | None:
    """Seconds of a film, by its head; a camera has no such thing."""
    known = container.duration is not None and container.duration > 0
    return container.duration / av.time_base if known and container.duration else None


@contextmanager
def _connected(source: str) -> Iterator[InputContainer]:
    options = dict(film.STRICT)
    if source.startswith("rtsp"):
        options["rtsp_flags"] = "prefer_tcp"  # packets in order, where the camera can
    what: Any = _Pipe() if source == STDIN else source
    opened: Any = av.open(what, options=options, timeout=(STALL, STALL))
    with opened as container:
        if not container.streams.video:
            raise VadError(f"{shown(source)} has no pictures in it", "Give a stream of video.")
        yield container


class _Pipe:
    """Standard input, which cannot be asked to go back."""

    def read(self, size: int) -> bytes:
        """At most `size` bytes: what is there, without waiting for more."""
        pipe = sys.stdin.buffer
        return getattr(pipe, "read1", pipe.read)(size)


def _decoded(container: InputContainer, clock: _Clock, name: str) -> Iterator[Frame | Gap]:
    """Frames as they come; a Gap where some are damaged, until one stands by itself again."""
    stream = container.streams.video[0]
    codec = stream.codec_context
    codec.options, codec.thread_type = film.STRICT, "SLICE"  # threads for frames would hold some
    packets, harm, since = container.demux(stream), "", 0.0
    while True:
        with film._watched():
            packet = next(packets, None)
        if packet is None:
            return
        try:
            if packet.is_corrupt:
                raise film._Harm("a corrupt packet")
            with film._watched():
                decoded = packet.decode()
        except (FFmpegError, film._Harm) as error:
            if not harm:
                said = getattr(error, "strerror", None) or error
                harm, since = f"damaged pictures ({said})", clock.now
            continue
        for frame in decoded:
            if frame.is_corrupt:
                if not harm:
                    harm, since = "damaged pictures", clock.now
                continue
            at = clock.tick(frame.time)
            if harm and not frame.key_frame:
                continue
            if harm:
                yield Gap(since, at - since, harm)
                harm = ""
            yield Frame(at, film._pixels(frame, Path(name)))
