"""From files to frames: any video file through PyAV, any run of image files, both stored once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from PIL import Image, UnidentifiedImageError

from vadlib.data import store
from vadlib.data.base import Video
from vadlib.errors import VadError

READER = 1  # part of every key: raise it when the same files would give other pixels
IMAGES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"}
VIDEOS = {".avi", ".mp4", ".mkv", ".mov", ".webm", ".mpg", ".mpeg", ".m4v"}


def read(
    path: str | Path, size: tuple[int, int] | None = None, max_frames: int | None = None
) -> Video:
    """A video file as a Video without labels, named after the file.

    size        (height, width) to resize to; the file's own when None
    max_frames  read no further than this

    Raises VadError for a file that is missing, empty, damaged, or not a video.
    """
    path = Path(path)
    frames, key = stored([path], size, max_frames)
    with _opened(path) as container:
        rate = container.streams.video[0].average_rate
    return Video(path.stem, frames, key=key, fps=float(rate) if rate else None)


def write(path: str | Path, frames: np.ndarray, fps: float = 25) -> Path:
    """Write (T, H, W, 1 or 3) uint8 frames to a video file.

    `.mkv` keeps every pixel exactly (FFV1); other suffixes get H.264, whose 4:2:0 colour needs
    an even height and width. Raises VadError for frames that the format cannot hold.
    """
    path, frames = Path(path), np.asarray(frames)
    if frames.ndim != 4 or frames.shape[-1] not in (1, 3) or frames.dtype != np.uint8:
        raise VadError(
            f"cannot write {path.name}: frames are {frames.dtype} of shape {frames.shape}",
            "They must be uint8 of shape (time, height, width, 1 or 3).",
        )
    height, width, channels = frames.shape[1:]
    lossless = path.suffix == ".mkv"
    if not lossless and (height % 2 or width % 2):
        raise VadError(
            f"cannot write {path.name}: H.264 needs even sides, not {height}x{width}",
            "Crop or resize the frames, or write an .mkv file.",
        )
    source = "gray" if channels == 1 else "rgb24"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1" if lossless else "libx264", rate=round(fps))
        stream.width, stream.height = width, height
        stream.pix_fmt = {"gray": "gray", "rgb24": "bgr0"}[source] if lossless else "yuv420p"
        for frame in frames:
            pixels = np.ascontiguousarray(frame[..., 0] if channels == 1 else frame)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format=source)))
        container.mux(stream.encode())
    return path


def stored(
    files: Sequence[Path], size: tuple[int, int] | None = None, limit: int | None = None
) -> tuple[np.ndarray, str]:
    """Frames of image files (or of one video file) as a memory map, and the key of their content.

    Returns (T, H, W, C) uint8 and a key that depends on what the files contain, not where they
    are. C is 1 when the three channels of every frame are equal. Shrinking averages over areas.
    Raises VadError for files that are damaged or of different sizes.
    """
    content, (count, height, width, channels) = survey(files, limit)
    height, width = _checked_size(size) if size else (height, width)
    key = store.digest(content, height, width)

    def fill(target: np.ndarray) -> None:
        for frame, row in zip(islice(decode(files), limit), target, strict=True):
            row[:] = resize(frame[..., :channels], (height, width))

    return store.array(f"frames-{key}", (count, height, width, channels), np.uint8, fill), key


def survey(files: Sequence[Path], limit: int | None = None) -> tuple[str, tuple[int, ...]]:
    """A hash of what the files hold, and the frames' (number, height, width, channels).

    Every frame is looked at once; the answer is remembered for as long as the files stay the same.
    Raises VadError for files that are damaged or of different sizes.
    """
    content = store.digest("frames", READER, store.fingerprint(files), limit)
    return content, tuple(store.remember(content, lambda: _look(files, limit)))


def _look(files: Sequence[Path], limit: int | None) -> tuple[int, int, int, int]:
    count, size, channels = 0, None, 1
    for frame in islice(decode(files), limit):
        if size is not None and frame.shape[:2] != size:
            raise VadError(
                f"{files[min(count, len(files) - 1)]} is {frame.shape[0]}x{frame.shape[1]}, "
                f"the frames before it {size[0]}x{size[1]}",
                "All frames of a video must have one size: restore or remove that file.",
            )
        size, count = frame.shape[:2], count + 1
        if channels == 1 and frame.shape[2] == 3 and (frame != frame[..., :1]).any():
            channels = 3
    if size is None:
        raise VadError(f"{files[0] if files else 'a video'} has no frames", "Restore its files.")
    return count, *size, channels


def decode(files: Sequence[Path]) -> Iterator[np.ndarray]:
    """(H, W, 3) or (H, W, 1) uint8 frames of image files, or of video files, one after another."""
    for file in files:
        if file.suffix.lower() in IMAGES:
            yield image(file)
        else:
            yield from _video_frames(file)


def image(path: Path) -> np.ndarray:
    """An image file as (H, W, 1) or (H, W, 3) uint8. Raises VadError for a damaged one."""
    try:
        with Image.open(path) as file:
            if file.mode not in ("1", "L", "P", "RGB", "RGBA"):
                raise VadError(f"{path} has pixels of kind {file.mode}", "Save it with 8 bits.")
            grey = file.mode in ("1", "L")
            pixels = np.asarray(file.convert("L" if grey else "RGB"))
    except VadError:
        raise
    except FileNotFoundError as error:
        raise VadError(f"{path} does not exist", "Restore it.") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise VadError(
            f"{path} is damaged or cut short ({error})", "Copy or extract it again."
        ) from error
    return pixels[..., None] if pixels.ndim == 2 else pixels


def resize(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A frame (H, W, C) at another (height, width): averaged over areas where it shrinks."""
    if frame.shape[:2] == size:
        return frame
    shrinks = size[0] <= frame.shape[0] and size[1] <= frame.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    small = cv2.resize(np.ascontiguousarray(frame), size[::-1], interpolation=how)
    return small.reshape(*size, frame.shape[2])  # OpenCV drops a last axis of length one


def _checked_size(size: Iterable[int]) -> tuple[int, int]:
    sides = tuple(int(n) for n in size)
    if len(sides) != 2 or min(sides) < 1:
        raise VadError(f"size={sides} is not a size", "Give (height, width) in pixels.")
    return sides


def _opened(path: Path) -> InputContainer:
    if not path.is_file():
        raise VadError(f"{path} does not exist", "Check the path.")
    if path.stat().st_size == 0:
        raise VadError(f"{path} is empty", "Copy or download it again.")
    try:
        container = av.open(str(path))
    except FFmpegError as error:
        raise VadError(
            f"{path} cannot be read as a video ({error.strerror})", "Copy or download it again."
        ) from error
    if not container.streams.video:
        container.close()
        raise VadError(f"{path} has no pictures in it", "Give a video file.")
    return container


def _video_frames(path: Path) -> Iterator[np.ndarray]:
    with _opened(path) as container:
        container.streams.video[0].thread_type = "AUTO"
        try:
            for frame in container.decode(video=0):
                grey = frame.format.name in ("gray", "gray8")
                pixels = frame.to_ndarray(format="gray" if grey else "rgb24")
                yield pixels[..., None] if grey else pixels
        except FFmpegError as error:
            raise VadError(
                f"{path} is damaged or cut short ({error.strerror})", "Copy or download it again."
            ) from error
