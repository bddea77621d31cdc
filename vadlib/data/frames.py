"""Benchmarks as they lie on disk: UCSD Ped1 and Ped2, CUHK Avenue, ShanghaiTech.

A layout turns a folder into `Source`s: which files hold a video's frames, and where the truth
about them stands. Everything after that, from decoding to checking, is the same for all.
A frame's number is its position among its neighbours, never a number read from a file name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from vadlib.data import store, strict, video
from vadlib.data.base import Video
from vadlib.errors import VadError

MASKS = 1  # part of every mask's key: raise it when the same files would give other masks
LEVELS = (1, 255)  # of an abnormal pixel, in masks that are arrays
AGAIN = "Extract the data set's archive again, or check that the files belong together."
Intervals = list[tuple[int, int]]  # first and last abnormal frame, counted from 1, both included


@dataclass(frozen=True)
class Source:
    """One video on disk: its frames, and what is said of them.

    where   the folder or file to name when something is wrong with it
    files   image files in order, or one video file
    masks   mask images in order, or one .npy or .mat file with all of them
    labels  number of frames -> (T,) uint8; None where the masks are the labels
    """

    name: str
    where: Path
    files: list[Path]
    masks: list[Path] = field(default_factory=list)
    labels: Callable[[int], np.ndarray] | None = None


def load(source: Source, dataset: str, split: str, size: tuple[int, int] | None) -> Video:
    """A source as a Video, decoded or found in the store. Raises VadError naming what is wrong.

    Training videos are labelled normal: that is what being in the training split says.
    """
    if not source.files:
        raise VadError(f"{source.where} holds no frames", AGAIN)
    check(source)
    frames, key = video.stored(source.files, size)
    masks = stored_masks(source, frames.shape[:3]) if source.masks else None
    if source.labels is not None:
        labels = source.labels(len(frames))
        if masks is not None:
            strict.agree(labels, masks, str(source.where))
    elif masks is not None:
        labels = np.asarray(masks.any(axis=(1, 2)), np.uint8)
    else:
        labels = np.zeros(len(frames), np.uint8) if split == "train" else None
    return Video(source.name, frames, labels, masks, key, dataset=dataset, split=split)


def check(source: Source) -> None:
    """Raises VadError where images do not follow each other, or masks have other numbers."""
    if not video.is_image(source.files[0]):
        return
    first = strict.first_number(source.files)
    if not source.masks or not video.is_image(source.masks[0]):
        return
    if strict.first_number(source.masks) != first:
        raise VadError(
            f"{source.masks[0].parent} begins with {source.masks[0].name}, the frames with "
            f"{source.files[0].name}",
            AGAIN,
        )


# ------------------------------------------------------------------------------------- layouts


def ucsd(folder: Path, split: str, name: str) -> list[Source]:
    """`Train/Train001/001.tif`, `Test/Test001_gt/001.bmp`, `Test/UCSDped2.m`."""
    kind = split.capitalize()
    found = [
        Source(f"{int(c.name[len(kind) :]):02d}", c, images(c), images(Path(f"{c}_gt")))
        for c in _children(folder / kind, rf"{kind}\d+")
    ]
    if split == "train":
        return found
    path = _first(folder / kind / f"UCSD{name}.m", folder / f"UCSD{name}.m")
    return _labelled(found, read_m(path), path)


def frame_folders(folder: Path, split: str, name: str) -> list[Source]:
    """`training/frames/01/000.jpg`, `testing/pixel_masks/01/000.png`, `ped2.mat`."""
    part = folder / f"{split}ing"
    clips = _children(part / "frames", r"[^.].*")
    found = [Source(c.name, c, images(c), images(part / "pixel_masks" / c.name)) for c in clips]
    if split == "train":
        return found
    path = _first(folder / f"{name}.mat")
    return _labelled(found, read_mat(path), path)


def avenue(folder: Path, split: str, name: str) -> list[Source]:
    """`training_videos/01.avi`, `testing_videos/01.avi`, `testing_label_mask/1_label.mat`."""
    clips = _children(folder / f"{split}ing_videos", r"\d+\.avi")
    if split == "train":
        return [Source(c.stem, c, [c]) for c in clips]
    tops = [top / sub for top in (folder, folder.parent) for sub in ("", *AVENUE_TRUTH)]
    truth = _first(*(top / "testing_label_mask" for top in tops))
    return [Source(c.stem, c, [c], [_first(truth / f"{int(c.stem)}_label.mat")]) for c in clips]


def shanghaitech(folder: Path, split: str, name: str) -> list[Source]:
    """`training/videos/01_001.avi`, `testing/frames/01_0014/000.jpg`, `test_frame_mask/*.npy`."""
    extracted, test = folder / "training" / "frames", folder / "testing"
    if split == "train" and not extracted.is_dir():
        clips = _children(folder / "training" / "videos", r"\d+_\d+\.avi")
        return [Source(c.stem, c, [c]) for c in clips]
    clips = _children(extracted if split == "train" else test / "frames", r"\d+_\d+")
    if split == "train":
        return [Source(c.name, c, images(c)) for c in clips]
    return [
        Source(
            c.name,
            c,
            images(c),
            [p for p in [test / "test_pixel_mask" / f"{c.name}.npy"] if p.is_file()],
            _from_npy(_first(test / "test_frame_mask" / f"{c.name}.npy")),
        )
        for c in clips
    ]


AVENUE_TRUTH = ("ground_truth", "ground_truth_demo")
MARKS = {  # folders by which a layout is known
    ucsd: ("Train", "Test"),
    frame_folders: ("training/frames", "testing/frames"),
    avenue: ("training_videos", "testing_videos"),
    shanghaitech: ("training/videos", "training/frames", "testing/frames"),
}
ARCHIVE = "UCSD_Anomaly_Dataset.v1p2"
PLACES = {  # where a data set may lie under a root, and how it may be laid out there
    "ped1": (("ucsd_ped1", f"{ARCHIVE}/UCSDped1", "UCSDped1", "ped1"), (ucsd, frame_folders)),
    "ped2": (("ucsd_ped2", f"{ARCHIVE}/UCSDped2", "UCSDped2", "ped2"), (ucsd, frame_folders)),
    "avenue": (("avenue/Avenue Dataset", "Avenue Dataset", "avenue"), (avenue, frame_folders)),
    "shanghaitech": (("shanghaitech", "ShanghaiTech"), (shanghaitech,)),
}


def find(name: str, root: Path) -> tuple[Path, Callable[[Path, str, str], list[Source]]] | None:
    """The folder of a data set under `root` (or `root` itself) and its layout; None if absent."""
    places, layouts = PLACES[name]
    for folder in (*(root / place for place in places), root):
        for layout in layouts:
            if any((folder / mark).is_dir() for mark in MARKS[layout]):
                return folder, layout
    return None


def sources(name: str, split: str, root: Path) -> list[Source]:
    """The videos of one split of a data set.

    Raises VadError when the data set, the split or its ground truth is not there.
    """
    found = find(name, root)
    if found is None:
        raise VadError(
            f"data set {name} is not in {root}",
            f"Put it there as {' or '.join(PLACES[name][0])} (`make data` fetches what can be "
            "fetched), or set VADLIB_DATA to the folder that holds it.",
        )
    folder, layout = found
    videos = layout(folder, split, name)
    if not videos:
        raise VadError(f"{folder} has no {split} videos of {name}", AGAIN)
    strict.gapless([source.name for source in videos], f"{folder}, {split},")
    return videos


def videos(
    name: str, split: str, size: tuple[int, int] | None = None, root: Path | None = None
) -> list[Video]:
    """The videos of one split of a benchmark, in order; arguments and errors of `data.load`."""
    found = sources(name, split, root or store.data_root())
    bar = tqdm(found, desc=f"{name} {split}", unit="video", delay=0.5, leave=False)
    return one_colour([load(source, name, split, size) for source in bar])


def one_colour(videos: list[Video]) -> list[Video]:
    """Where some videos are grey and some are not, the grey ones get three equal channels."""
    if len({video.frames.shape[3] for video in videos}) < 2:
        return videos
    return [replace(v, frames=np.broadcast_to(v.frames, (*v.frames.shape[:3], 3))) for v in videos]


# ------------------------------------------------------------------------------- ground truth


def read_m(path: Path) -> list[Intervals]:
    """UCSD's MATLAB script: a line `TestVideoFile{end+1}.gt_frame = [5:90, 140:200];` a video.

    Raises VadError for a file in which anything else is said of gt_frame.
    """
    try:
        text = re.sub(r"%.*", "", path.read_text(errors="replace"))
    except OSError as error:
        raise VadError(f"{path} cannot be read ({error.strerror})", AGAIN) from error
    truth = [_ranges(items, path) for items in _LINE.findall(text)]
    if not truth or len(truth) != text.count("gt_frame"):
        raise VadError(f"{path} has no line with gt_frame = [...], or one that is not so", AGAIN)
    return truth


_LINE = re.compile(r"TestVideoFile\s*\{\s*end\s*\+\s*1\s*\}\.gt_frame\s*=\s*\[([^\]\n]*)\]")


def _ranges(items: str, path: Path) -> Intervals:
    """`5:90, 140:200 210` as intervals."""
    found = re.split(r"[,;\s]+", re.sub(r"\s*:\s*", ":", items.strip()))
    for item in found:
        if not re.fullmatch(r"[0-9]+(:[0-9]+)?", item):
            raise VadError(f"{path}: {item!r} in [{items}] is no range of frames", AGAIN)
    ends = [item.split(":") for item in found]
    return [(int(pair[0]), int(pair[-1])) for pair in ends]


def read_mat(path: Path) -> list[Intervals]:
    """A .mat file whose `gt{i}` is (2, K): the first and the last frames of video i's K intervals.

    Raises VadError for a file that is not of that form.
    """
    truth = []
    for cell in _loadmat(path, "gt").ravel():
        pairs = np.asarray(cell)
        if pairs.ndim != 2 or len(pairs) != 2 or pairs.dtype.kind not in "iuf":
            raise VadError(
                f"{path}: gt{{{len(truth) + 1}}} is not a (2, K) list of intervals", AGAIN
            )
        if not np.array_equal(pairs, np.floor(pairs)) or not np.isfinite(pairs).all():
            raise VadError(f"{path}: gt{{{len(truth) + 1}}} holds what is no frame's number", AGAIN)
        truth.append([(int(first), int(last)) for first, last in pairs.T])
    return truth


def labels_of(intervals: Intervals, frames: int, where: str) -> np.ndarray:
    """(T,) uint8 labels from intervals counted from 1, both ends included.

    Raises VadError for an interval that does not lie in the video.
    """
    labels = np.zeros(frames, np.uint8)
    for first, last in intervals:
        if not 1 <= first <= last <= frames:
            raise VadError(f"{where}: interval {first}-{last} in a video of {frames} frames", AGAIN)
        labels[first - 1 : last] = 1  # frame 1 of the ground truth is frame 0 of the array
    return labels


def _labelled(videos: list[Source], truth: list[Intervals], path: Path) -> list[Source]:
    if len(truth) != len(videos):
        raise VadError(f"{path} labels {len(truth)} videos, {len(videos)} are there", AGAIN)

    def labeller(intervals: Intervals, name: str) -> Callable[[int], np.ndarray]:
        return lambda frames: labels_of(intervals, frames, f"{path}, video {name}")

    pairs = zip(videos, truth, strict=True)
    return [replace(video, labels=labeller(spans, video.name)) for video, spans in pairs]


def _from_npy(path: Path) -> Callable[[int], np.ndarray]:
    def labels(frames: int) -> np.ndarray:
        found = _loadnpy(path)
        if found.size != frames or found.size not in found.shape:
            size = "x".join(map(str, found.shape))
            raise VadError(f"{path} has {size} labels for {frames} frames", AGAIN)
        return strict.binary(found.ravel(), str(path)).astype(np.uint8)

    return labels


def stored_masks(source: Source, shape: tuple[int, ...]) -> np.ndarray:
    """(T, H, W) bool masks at the frames' size, as a memory map.

    A pixel is set where at least half of its area is abnormal, or any of it where nothing else
    would be left of the mask, so that a frame is abnormal exactly when its mask is not empty.
    Raises VadError for masks of another number or size than the frames as they lie on disk.
    """
    count, height, width = video.survey(source.files)[1][:3]
    where = source.masks[0].parent if len(source.masks) > 1 else source.masks[0]

    def fill(target: np.ndarray) -> None:
        done = 0
        for done, mask in enumerate(_masks(source.masks), 1):
            if mask.shape != (height, width):
                size = "x".join(map(str, mask.shape))
                raise VadError(f"mask {done} in {where} is {size}, not {height}x{width}", AGAIN)
            if done <= count:
                target[done - 1] = shrink_mask(mask, (shape[1], shape[2]))
        if done != count:
            raise VadError(f"{where} has {done} masks for {count} frames", AGAIN)

    key = store.digest(MASKS, store.fingerprint(source.masks), count, height, width)
    return store.array(f"masks-{key}", shape, bool, fill)


def shrink_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A bool mask (H, W) at another size: half the area decides, but nothing is ever lost."""
    cover = video.resize(mask.astype(np.float32)[..., None], size)[..., 0]
    half = cover >= 0.5
    return half if half.any() else cover > 0


def _masks(files: Sequence[Path]) -> Iterator[np.ndarray]:
    for file in files:
        if file.suffix == ".mat":
            cells = _loadmat(file, "volLabel").ravel()
            yield from (strict.binary(np.asarray(c), str(file), LEVELS) for c in cells)
        elif file.suffix == ".npy":
            stack = _loadnpy(file)
            if stack.ndim != 3:
                raise VadError(f"{file} holds {stack.ndim} axes, not (T, H, W)", AGAIN)
            yield from (strict.binary(np.asarray(m), str(file), LEVELS) for m in stack)
        else:
            pixels = video.image(file).max(axis=2)
            levels = np.unique(pixels[pixels > 0])
            if len(levels) > 1:
                raise VadError(f"{file} has {len(levels)} greys besides black", AGAIN)
            yield pixels > 0


# -------------------------------------------------------------------------------------- files


def images(folder: Path) -> list[Path]:
    """Image files of a folder in numeric-aware order: 2.jpg before 10.jpg. Hidden files are not."""
    found = _children(folder, r"[^.].*")
    return [path for path in found if path.suffix.lower() in video.IMAGES]


def _children(folder: Path, pattern: str) -> list[Path]:
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if re.fullmatch(pattern, path.name)]
    return sorted(found, key=lambda path: _natural(path.name))


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Sort key in which runs of digits count as numbers, and come before letters."""
    parts = re.findall(r"\d+|\D+", name)
    return [(False, int(p), p) if p.isdecimal() else (True, 0, p) for p in parts]


def _first(*places: Path) -> Path:
    for place in places:
        if place.exists():
            return place
    raise VadError(f"{places[0]} is missing", AGAIN)


def _loadmat(path: Path, variable: str) -> np.ndarray:
    from scipy.io import loadmat  # most of what needs this module needs no .mat file

    try:
        return np.asarray(loadmat(path)[variable])
    except KeyError as error:
        raise VadError(f"{path} has no variable {variable}", AGAIN) from error
    except Exception as error:  # scipy raises whatever the damaged bytes lead it into
        raise VadError(f"{path} cannot be read as a .mat file ({error})", AGAIN) from error


def _loadnpy(path: Path) -> np.ndarray:
    try:
        found = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise VadError(f"{path} cannot be read as a .npy file ({error})", AGAIN) from error
    if not isinstance(found, np.ndarray):
        raise VadError(f"{path} is an archive of arrays, not a .npy file", AGAIN)
    return found
