"""A video file, frame by frame through PyAV: turned as it is to be shown, and whole, or refused.

FFmpeg is made to play on: it paints over what is damaged and goes on after what is missing. Here
that is an error. What ends up in a number must not depend on how well a decoder can guess.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
from av import logging as log
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vadlib.errors import VadError, VadNotice

VIDEOS = {".avi", ".mp4", ".mkv", ".mov", ".webm", ".mpg", ".mpeg", ".m4v"}
STRICT = {"err_detect": "crccheck+bitstream+buffer+explode"}  # do not paint over, and say so
# what FFmpeg says of damage, and then goes on
HARM = re.compile("CRC mismatch|ended prematurely|partial file|Truncating packet", re.IGNORECASE)
THREADS = 2  # of the decoder; each holds frames, and a machine may have a hundred cores
REORDERED = 60  # seconds at most from a frame's decoding to its showing; real films need one
SLACK = 1.0  # seconds that a film may be shorter than its head says, where no frames are counted


def frames(path: Path) -> Iterator[tuple[float | None, np.ndarray]]:
    """Every frame with its time: seconds or None, and (H, W, 3) or, of grey films, (H, W, 1) uint8.

    Raises VadError for a file that is missing, empty, no film, damaged, or shorter than its head
    says; the last is known only at the end. Warns (VadNotice) where the head hides frames.
    """
    shown, hidden, first, last = 0, [], None, None
    with opened(path) as container:
        stream = container.streams.video[0]
        try:
            for packet in _packets(container, stream):
                if packet.is_discard:
                    hidden.append(_time(packet))
                with _watched():
                    decoded = packet.decode()
                for frame in decoded:
                    if frame.is_corrupt:
                        raise _Harm("a corrupt frame")
                    shown, last = shown + 1, frame.time
                    first = last if first is None else first
                    yield last, _pixels(frame, path)
        except (FFmpegError, _Harm) as error:
            said = error.strerror if isinstance(error, FFmpegError) else error
            of = f" of {stream.frames}" if stream.frames else ""
            raise _damaged(path, f"after {shown}{of} frames ({said})") from error
        missing = stream.frames - len(hidden) - shown
        if missing > 0:
            raise _damaged(path, f": {missing} of {stream.frames} frames are lost")
        if first is not None and last is not None:
            _check_hidden([t for t in hidden if t is not None], first, last, path)
        if hidden:
            warnings.warn(
                f"{path} has {shown + len(hidden)} frames, of which its head hides {len(hidden)}: "
                "they are not read. It was cut without being made anew, or it is damaged.",
                VadNotice,
                stacklevel=2,
            )
        length, rate = _seconds(stream, container), stream.average_rate
        if length and rate and first is not None and last is not None:
            lost = length - (last - first) - 1 / float(rate)
            if not stream.frames and lost > SLACK:
                raise _damaged(path, f": the last {lost:.1f} of {length:.1f} seconds are lost")


def rate(path: Path) -> float | None:
    """Frames a second, on average; None where the file does not say."""
    with opened(path) as container:
        found = container.streams.video[0].average_rate
    return float(found) if found else None


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """A film, open. Raises VadError for a file that is missing, empty, or no film."""
    if path.is_dir():
        raise VadError(f"{path} is a folder", "Name the films in it.")
    if not path.exists():
        raise VadError(f"{path} does not exist", "Check the path.")
    if path.stat().st_size == 0:
        raise VadError(f"{path} is empty", "Copy or download it again.")
    try:
        container = av.open(str(path), options=STRICT)
    except (FFmpegError, ValueError) as error:
        said = error.strerror if isinstance(error, FFmpegError) else error
        raise VadError(
            f"{path} cannot be read as a video ({said})", "Copy or download it again."
        ) from error
    with container:
        if not container.streams.video:
            raise VadError(f"{path} has no pictures in it", "Give a video file.")
        yield container


class _Harm(Exception):
    """FFmpeg spoke of damage, and would go on."""


def _damaged(path: Path, how: str) -> VadError:
    how = how if how.startswith(":") else f" {how}"
    return VadError(
        f"{path} is damaged or cut short{how}",
        f"Copy or download it again; what is left of it can be saved with "
        f"`ffmpeg -i {path.name} mended.mkv`.",
    )


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[av.Packet]:
    codec = stream.codec_context
    if codec is None:
        raise _Harm("no decoder for what its head names")
    codec.options = STRICT
    # threads for slices and never for frames: what is said of one frame would be said while another
    # is asked for, and a thread that speaks while the decoder is being closed waits for ever
    codec.thread_type = "SLICE"
    codec.thread_count = THREADS
    packets = container.demux(stream)
    while True:
        with _watched():
            packet = next(packets, None)
        if packet is None:
            return
        if packet.is_corrupt:
            raise _Harm("a corrupt packet")
        if None not in (packet.pts, packet.dts) and _apart(packet) > REORDERED:
            raise _Harm("times of decoding and showing that contradict each other")
        yield packet


@contextmanager
def _watched() -> Iterator[None]:
    """Raise what FFmpeg only says."""
    before = log.get_level(), log.get_skip_repeated()
    log.set_skip_repeated(False)
    log.set_level(log.ERROR)
    try:
        with log.Capture(local=False) as said:
            yield
    finally:
        log.set_level(before[0])
        log.set_skip_repeated(before[1])
    for _, _, text in said:
        if HARM.search(text):
            raise _Harm(text.strip())


def _apart(packet: Any) -> float:
    """Seconds from a packet's decoding to its showing."""
    return float(abs(packet.pts - packet.dts) * packet.time_base)


def _time(packet: Any) -> float | None:
    known = packet.pts is not None and packet.time_base
    return float(packet.pts * packet.time_base) if known else None


def _check_hidden(hidden: list[float], first: float, last: float, path: Path) -> None:
    """Raise where a frame that is not to be shown lies far from those that are.

    A film that was cut without being made anew hides the frames before its beginning or after its
    end. A time that was damaged hides one, too, and far off.
    """
    before, after = [t for t in hidden if t < first], [t for t in hidden if t > last]
    gaps = [first - max(before)] if before else []
    gaps += [min(after) - last] if after else []
    if any(gap > SLACK for gap in gaps):
        raise _damaged(path, f": times of {len(hidden)} of its frames cannot be meant")


def _seconds(stream: VideoStream, container: InputContainer) -> float | None:
    """How long the film is, by its head."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    found = re.fullmatch(r"(\d+):(\d+):([\d.]+)", stream.metadata.get("DURATION", ""))
    if found:
        hours, minutes, seconds = (float(part) for part in found.groups())
        return 3600 * hours + 60 * minutes + seconds
    alone = len(container.streams) == 1  # else it may be the sound that is so long
    return container.duration / av.time_base if alone and container.duration else None


def _pixels(frame: VideoFrame, path: Path) -> np.ndarray:
    """A frame as it is to be shown: (H, W, 1) or (H, W, 3) uint8."""
    grey = frame.format.name in ("gray", "gray8")
    pixels = frame.to_ndarray(format="gray" if grey else "rgb24")
    pixels = pixels[..., None] if grey else pixels
    quarters, rest = divmod(_turn(frame), 90)
    if rest:
        raise VadError(
            f"{path} is to be shown turned by {_turn(frame)} degrees",
            "Quarters of a turn are read. Turn its frames with an editor, and save it again.",
        )
    return np.rot90(pixels, quarters) if quarters else pixels


def _turn(frame: VideoFrame) -> int:
    """Degrees by which a frame is to be turned before it is shown, against the clock."""
    return frame.rotation
