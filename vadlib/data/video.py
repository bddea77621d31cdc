"""From files to frames: any video file through PyAV, any run of image files, both stored once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vadlib.data import film, store
from vadlib.data.base import Video
from vadlib.errors import VadError

READER = 1  # part of every key: raise it when the same files would give other pixels
FILMS = 2  # the same for films: 2 turns them as they are to be shown
WINDOW = 2**23  # pixels of a window of frames, about
IMAGES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"}


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
    times = np.array(survey([path], max_frames)[1].times)
    return Video(path.stem, frames, key=key, fps=film.rate(path), times=times)


def windows(
    path: str | Path, size: tuple[int, int] | None = None, overlap: int = 0, length: int = 0
) -> Iterator[Video]:
    """A video file in windows that follow each other, so that a film of any length fits in memory.

    size     (height, width) to resize to; the file's own when None
    overlap  frames that a window shares with the one before it
    length   frames that are new in each but the first, which has `overlap` more; a multiple of 16,
             64 at most, when 0

    A window has the pixels that `read` gives, knows its place (`start`, `times`), and no key:
    nothing is kept of it. The film is read through once before, so that a damaged one is refused
    before anything came of it. Raises VadError as `read` does.
    """
    path = Path(path)
    look = _look([path], None)
    height, width = _checked_size(size) if size else (look.height, look.width)
    # whole batches of a detector: each then holds the same frames as in the whole film
    length = length or min(max(WINDOW // (height * width) // 16 * 16, 16), 64)
    rate, start, held = film.rate(path), 0, []

    def window() -> Video:
        times = np.array(look.times[start : start + len(held)])
        return Video(path.stem, np.stack(held), None, None, None, rate, start=start, times=times)

    for frame in decode([path]):
        held.append(resize(frame[..., : look.channels], (height, width)))
        if len(held) == overlap + length:
            yield window()
            start, held = start + length, held[length:]
    if len(held) > overlap or start == 0:
        yield window()


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
    content, (count, height, width, channels, _) = survey(files, limit)
    height, width = _checked_size(size) if size else (height, width)
    key = store.digest(content, height, width)

    def fill(target: np.ndarray) -> None:
        for frame, row in zip(islice(decode(files), limit), target, strict=True):
            row[:] = resize(frame[..., :channels], (height, width))

    return store.array(f"frames-{key}", (count, height, width, channels), np.uint8, fill), key


class Look(NamedTuple):
    """What was found of a video's frames when all of them had been looked at."""

    count: int
    height: int
    width: int
    channels: int  # 1 where the three channels of every frame are equal
    times: list[float]  # seconds from the first frame, rising; none where image files hold them


def survey(files: Sequence[Path], limit: int | None = None) -> tuple[str, Look]:
    """A hash of what the files hold, and a look at their frames.

    Every frame is looked at once; the answer is remembered for as long as the files stay the same.
    Raises VadError for files that are damaged or of different sizes.
    """
    reader = [READER] if all(is_image(file) for file in files) else [READER, FILMS]
    content = store.digest("frames", *reader, store.fingerprint(files), limit)
    return content, Look(*store.remember(content, lambda: _look(files, limit)))


def _look(files: Sequence[Path], limit: int | None) -> Look:
    count, size, channels, times = 0, None, 1, []
    for time, frame in islice(_timed(files), limit):
        if size is not None and frame.shape[:2] != size:
            raise VadError(
                f"{files[min(count, len(files) - 1)]} is {frame.shape[0]}x{frame.shape[1]}, "
                f"the frames before it {size[0]}x{size[1]}",
                "All frames of a video must have one size: restore or remove that file.",
            )
        size, count = frame.shape[:2], count + 1
        times.append(time)
        if channels == 1 and frame.shape[2] == 3 and (frame != frame[..., :1]).any():
            channels = 3
    if size is None:
        raise VadError(f"{files[0] if files else 'a video'} has no frames", "Restore its files.")
    seconds = [] if all(is_image(file) for file in files) else _seconds(times, files[0])
    return Look(count, size[0], size[1], channels, seconds)


def _seconds(times: list[float | None], path: Path) -> list[float]:
    """Times from the first frame's; where the file has none that rise, by its rate."""
    known = np.array(times, np.float64)  # None becomes NaN
    if np.isfinite(known).all() and (np.diff(known) > 0).all():
        return [round(float(t), 6) for t in known - known[0]]
    return [round(i / (film.rate(path) or 25), 6) for i in range(len(times))]


def decode(files: Sequence[Path]) -> Iterator[np.ndarray]:
    """(H, W, 3) or (H, W, 1) uint8 frames of image files, or of video files, one after another."""
    return (frame for _, frame in _timed(files))


def _timed(files: Sequence[Path]) -> Iterator[tuple[float | None, np.ndarray]]:
    for file in files:
        if is_image(file):
            yield None, image(file)
        else:
            yield from film.frames(file)


def is_image(file: Path) -> bool:
    """Whether a file is a picture, by its suffix; if not, it is taken for a film."""
    return file.suffix.lower() in IMAGES


def image(path: Path) -> np.ndarray:
    """An image file as (H, W, 1) or (H, W, 3) uint8, turned as it is to be shown.

    Raises VadError for a damaged one, more than one picture, more than 8 bits, or holes in it.
    """
    try:
        with Image.open(path) as file:
            if file.mode not in ("1", "L", "P", "RGB", "RGBA"):
                raise VadError(f"{path} has pixels of kind {file.mode}", "Save it with 8 bits.")
            if getattr(file, "n_frames", 1) != 1:
                raise VadError(f"{path} holds several pictures", "Save each in a file of its own.")
            if file.mode == "RGBA" and file.getchannel("A").getextrema() != (255, 255):
                raise VadError(f"{path} is transparent in places", "Save it without transparency.")
            grey = file.mode in ("1", "L")
            shown = ImageOps.exif_transpose(file)
            pixels = np.asarray(shown.convert("L" if grey else "RGB"))
    except VadError:
        raise
    except FileNotFoundError as error:
        raise VadError(f"{path} does not exist", "Restore it.") from error
    except Image.DecompressionBombError as error:
        raise VadError(f"{path} says that it is huge ({error})", "Restore the picture.") from error
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
