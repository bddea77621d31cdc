"""Bags of snippets: long videos as rows of features, with a label for the video as a whole.

UCF-Crime and XD-Violence are read from the I3D features that are shared in public. Under
`data_root()` there must be a folder `ucf_crime/` or `xd_violence/` (`SETS`) with

  train.list, test.list   one path a line; where there is no such file, it is looked for under the
                          data set's folder by the end of that path: lists of other machines do
  gt.npy                  0 or 1 for each frame of the test videos, in the order of test.list
  the features themselves, in either of two layouts:
    one file a video      NAME.npy, (T, crops, D) or (crops, T, D)
    one file a crop       NAME__0.npy ... NAME__9.npy or NAME_0.npy ..., each (T, D); the first
                          may be plain NAME.npy. The list names every one of them.

Lists and truth may also lie in `list/`, and go by the names of well-known releases. UCF-Crime has
10 crops, and normal videos have "Normal" in their names; XD-Violence has 5, and "label_A".
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from vadlib.data import strict
from vadlib.data.store import data_root, digest
from vadlib.errors import VadError

SPAN = 16  # frames that a snippet of the public features speaks for
RELEASE = "Features, lists and ground truth must come from one release."


@dataclass(frozen=True, eq=False)
class Bag:
    """One video as snippets of `span` frames, of which only the whole is labelled in training.

    name      unique within a split
    features  (crops, T, D) floats: an array, or one that reads its files when it is indexed
    length    frames of the video; snippet t speaks for frames t*span .. min(t*span+span, length)-1
    label     of the video: 1 where there is an anomaly somewhere in it; None where nobody knows
    labels    (length,) uint8, of its frames; None where nobody knows, and never used in training
    key       hash of the content; truth: what else is known of each frame ("kind": (length,) str)
    masks     None: a bag knows when, not where

    Raises VadError when the parts do not fit together.
    """

    name: str
    features: Any
    length: int
    label: int | None = None
    labels: np.ndarray | None = None
    span: int = 16
    dataset: str = ""
    split: str = ""
    key: str = ""
    truth: dict[str, Any] = field(default_factory=dict)
    masks: None = None

    def __post_init__(self):
        where, shape = f"bag {self.dataset}/{self.name}", self.features.shape
        if len(shape) != 3 or 0 in shape:
            raise VadError(
                f"{where} has features of shape {shape}", "They must be (crops, snippets, D)."
            )
        if self.span < 1 or -(-self.length // self.span) != shape[1]:
            raise VadError(
                f"{where} has {shape[1]} snippets of {self.span} frames for {self.length} frames",
                "Every frame belongs to one snippet; only the last may be shorter.",
            )
        kind = getattr(getattr(self.features, "dtype", None), "kind", "f")
        if kind not in "fiu" or (kind == "f" and not self._finite()):
            raise VadError(
                f"{where} has features that are NaN, infinite or no real numbers",
                "Extract or download them again.",
            )
        if self.label not in (None, 0, 1):
            raise VadError(f"{where} has the label {self.label!r}", "A label is 0 or 1.")
        if self.labels is not None:
            strict.labels(self.labels, self.length, where)

    def _finite(self) -> bool:
        """Features in memory are looked at now, those on disk when they are read."""
        held = isinstance(self.features, np.ndarray)
        return not held or bool(np.isfinite(self.features).all())

    def __len__(self) -> int:
        return self.length

    @property
    def snippets(self) -> int:
        """T, the number of snippets."""
        return self.features.shape[1]


def refuse_video(method: str, bag: Any) -> None:
    """Raises VadError where a method of bags is given frames."""
    if not isinstance(bag, Bag):
        raise VadError(
            f"{method} reads bags of features, not the frames of video {bag.name}",
            "`vadlib.see.extract.bag` makes a bag of a video.",
        )


@dataclass(frozen=True)
class Layout:
    """How a data set of features is laid out: names that its files may have."""

    folder: str
    crops: int
    normal: str  # what is in the name of every normal video
    lists: dict[str, tuple[str, ...]]
    truth: tuple[str, ...]


SETS = {
    "ucf-crime": Layout(
        "ucf_crime",
        10,
        "Normal",
        {
            "train": ("train.list", "ucf-i3d.list", "UCF_Train.list"),
            "test": ("test.list", "ucf-i3d-test.list", "UCF_Test.list"),
        },
        ("gt.npy", "gt-ucf.npy", "ucf-gt.npy"),
    ),
    "xd-violence": Layout(
        "xd_violence",
        5,
        "label_A",
        {
            "train": ("train.list", "rgb.list", "XD_Train.list"),
            "test": ("test.list", "rgb_test.list", "XD_Test.list"),
        },
        ("gt.npy", "gt-xd.npy", "xd-gt.npy"),
    ),
}


def available(name: str) -> bool:
    """Whether the folder of a data set of features lies under `data_root()`."""
    return (data_root() / _layout(name).folder).is_dir()


def load(name: str, split: str = "train", root: str | Path | None = None) -> list[Bag]:
    """The bags of one split of "ucf-crime" or "xd-violence", in the order of its list.

    root  the folder that holds the data set's folder; `data_root()` when None

    Only the head of each file is read now; features are read when a bag's are indexed.
    Test bags have frame labels. Raises VadError naming the file that is missing, damaged, or at
    odds with the others.
    """
    layout = _layout(name)
    if split not in layout.lists:
        raise VadError(f"there is no split {split!r}", 'Splits are "train" and "test".')
    root = Path(root) if root else data_root()
    folder = root / layout.folder
    if not folder.is_dir():
        raise VadError(
            f"the features of {name} are not in {root}",
            f"Put them there as {layout.folder}/ with train.list, test.list and gt.npy, or set "
            "VADLIB_DATA to the folder that holds it.",
        )
    listing = _first(folder, layout.lists[split])
    videos = _listed(listing, folder)
    features = _features(videos, layout.crops, listing)
    labels: list[Any] = [None] * len(videos)
    if split == "test":
        labels = _truth(_first(folder, layout.truth), features, listing)
    return [
        _bag(files, layout.normal, x, y, name, split)
        for files, x, y in zip(videos.values(), features, labels, strict=True)
    ]


def _layout(name: str) -> Layout:
    if name not in SETS:
        raise VadError(f"there are no features of {name!r}", f"Known are {', '.join(SETS)}.")
    return SETS[name]


def _bag(files: list[Path], normal: str, features: Stored, labels: Any, name: str, split: str):
    video = _crop(files[0])[0].name
    label = int(normal not in video)
    if label == 0 and labels is not None and labels.any():
        raise VadError(
            f"the ground truth marks frames of the normal video {video}",
            f"It is in another order than {split}.list. {RELEASE}",
        )
    key = digest(name, [[f.name, f.stat().st_size] for f in files])
    length = SPAN * features.shape[1]
    return Bag(video, features, length, label, labels, SPAN, name, split, key)


# -------------------------------------------------------------------------------------- files


class Stored:
    """(crops, T, D) float32 in .npy files, which are open only while they are indexed.

    Index it as an array by crops and snippets: `x[0]`, `x[:, 3:9]`, `x[[0, 2], [5, 5, 6]]`, each
    axis on its own; `np.asarray(x)` is all of it.
    """

    def __init__(self, files: list[Path], shape: tuple[int, int, int], crops_first: bool = True):
        self.files, self.shape, self.crops_first = files, shape, crops_first

    def __getitem__(self, key: Any) -> np.ndarray:
        first, *rest = key if isinstance(key, tuple) else (key,)
        which = np.arange(self.shape[0])[first]
        parts = [np.array(self._crop(c)[tuple(rest)], np.float32) for c in np.atleast_1d(which)]
        if not all(np.isfinite(part).all() for part in parts):
            where = f"{self.files[0]} or a crop beside it"
            raise VadError(f"{where} holds NaN or infinity", "Extract or download it again.")
        return np.stack(parts) if which.ndim else parts[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

    def _crop(self, crop: int) -> np.ndarray:
        """(T, D), a memory map that closes when nobody holds it."""
        if len(self.files) > 1 or self.shape[0] == 1:
            return _open(self.files[crop])
        found = _open(self.files[0])
        return found[crop] if self.crops_first else found[:, crop]


def _open(path: Path) -> np.ndarray:
    try:
        found = np.load(path, mmap_mode="r")
    except Exception as error:  # numpy raises whatever the damaged bytes lead it into
        raise VadError(
            f"{path} cannot be read as a .npy file ({error})", "Copy or download it again."
        ) from error
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiub":
        kind = getattr(found, "dtype", "an archive of arrays")
        raise VadError(f"{path} holds {kind}, not an array of real numbers", RELEASE)
    return found


def _first(folder: Path, names: tuple[str, ...]) -> Path:
    for place in (folder, folder / "list"):
        for name in names:
            if (place / name).is_file():
                return place / name
    raise VadError(
        f"{folder / names[0]} is missing",
        f"Put it there; {' or '.join(names[1:])}, and the folder list/, will do as well.",
    )


def _listed(listing: Path, folder: Path) -> dict[Path, list[Path]]:
    """The files of each video of a list, in its order: path without crop -> one file a crop."""
    try:
        text = listing.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise VadError(
            f"{listing} cannot be read as text ({error})", "Save it as UTF-8, one path a line."
        ) from error
    lines = [line.strip() for line in text.splitlines()]
    videos: dict[Path, dict[int, Path]] = {}
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        path = _find(line, folder, f"{listing}, line {number}")
        video, crop = _crop(path)
        if crop in videos.setdefault(video, {}):
            raise VadError(f"{listing}, line {number}: {path.name} again", "Name every file once.")
        videos[video][crop] = path
    if not videos:
        raise VadError(f"{listing} names no files", "It must have one path a line.")
    return {video: [found[c] for c in sorted(found)] for video, found in videos.items()}


def _find(line: str, folder: Path, where: str) -> Path:
    """The file of a line: where it says, else under `folder` by the longest end of its path."""
    parts = PureWindowsPath(line).parts  # it understands both kinds of slashes
    for path in (folder / line, *(folder.joinpath(*parts[i:]) for i in range(len(parts)))):
        with suppress(OSError, ValueError):  # a name too long, or with a zero byte, is no file's
            if path.is_file():
                return path
    raise VadError(
        f"{where}: there is no {''.join(parts[-1:])[:80]!r} in {folder}",
        f"Put it at {folder}/{'/'.join(parts[-2:])[:160]} or right into {folder}.",
    )


def _crop(path: Path) -> tuple[Path, int]:
    """A file's path without its crop, and the crop: NAME__3 or NAME_3 -> 3, plain NAME -> 0."""
    found = re.fullmatch(r"(.*?)__?(\d)", path.stem)
    return (path.with_name(found[1]), int(found[2])) if found else (path.with_name(path.stem), 0)


def _features(videos: dict[Path, list[Path]], crops: int, listing: Path) -> list[Stored]:
    """The features of every video, and whether crops or snippets come first in their files."""
    heads = [[_open(file).shape for file in files] for files in videos.values()]
    for files, shapes in zip(videos.values(), heads, strict=True):
        _check(files, shapes, crops, len(next(iter(videos.values()))), listing)
    whole = [(files[0], s[0]) for files, s in zip(videos.values(), heads, strict=True)]
    whole = [(file, shape) for file, shape in whole if len(shape) == 3]
    first = _crops_first(whole, crops, listing) if whole else True
    found = []
    for files, shapes in zip(videos.values(), heads, strict=True):
        shape = shapes[0] if len(shapes[0]) == 3 else (len(files), *shapes[0])
        if len(shapes[0]) == 3 and not first:
            shape = (shape[1], shape[0], shape[2])
        found.append(Stored(files, shape, first))
    return found


def _check(files: list[Path], shapes: list[tuple], crops: int, count: int, listing: Path) -> None:
    """That the files of one video fit each other, and the other videos of its list."""
    for file, shape in zip(files, shapes, strict=True):
        if len(shape) not in (2, 3) or 0 in shape:
            raise VadError(
                f"{file} has the shape {shape}", f"It must be (T, D) or hold {crops} crops."
            )
        if shape != shapes[0]:
            raise VadError(
                f"{file} has the shape {shape}, {files[0].name} has {shapes[0]}",
                f"Crops of one video have equal shapes. {RELEASE}",
            )
    if len(shapes[0]) == 3 and len(files) > 1:
        raise VadError(
            f"{files[0]} holds several crops, and so do {len(files) - 1} files beside it",
            "Name each video once in the list, or let each file be one crop.",
        )
    if len(files) != count:
        raise VadError(
            f"{listing} names {len(files)} crops of {_crop(files[0])[0].name}, {count} of others",
            "It must name the same number of every video.",
        )


def _crops_first(whole: list[tuple[Path, tuple]], crops: int, listing: Path) -> bool:
    """Whether files are (crops, T, D) rather than (T, crops, D): what all of them can be."""
    can = [[shape[0] == crops for _, shape in whole], [shape[1] == crops for _, shape in whole]]
    for (file, shape), *orders in zip(whole, *can, strict=True):
        if not any(orders):
            raise VadError(
                f"{file} has the shape {shape}",
                f"There must be {crops} crops: ({crops}, T, D) or (T, {crops}, D).",
            )
    if all(can[0]) and all(can[1]):
        raise VadError(
            f"every video of {listing} has {crops} snippets, so that either axis may be the crops",
            "Save them as one file a crop, (T, D) each.",
        )
    if not all(can[0]) and not all(can[1]):
        raise VadError(
            f"some videos of {listing} are (crops, T, D) and some are (T, crops, D)", RELEASE
        )
    return all(can[0])


def _truth(path: Path, features: list[Stored], listing: Path) -> list[np.ndarray]:
    """The labels of each video's frames, (16 T,) uint8, out of one array for all of them."""
    found = _open(path).ravel()
    if not np.isin(found, (0, 1)).all():
        raise VadError(f"{path} holds labels other than 0 and 1", RELEASE)
    truth = found.astype(np.uint8)
    lengths = [SPAN * x.shape[1] for x in features]
    if len(truth) != sum(lengths):
        raise VadError(
            f"{path} labels {len(truth)} frames, the {len(features)} videos of {listing.name} have "
            f"{SPAN} x {sum(lengths) // SPAN} = {sum(lengths)}",
            RELEASE,
        )
    return np.split(truth, np.cumsum(lengths)[:-1])
