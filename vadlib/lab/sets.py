"""What experiments train and test on: each data set's reader, and what a profile asks of it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vadlib.data.base import Video
from vadlib.data.plaza import KINDS

PROFILES = ("smoke", "standard", "long", "full")
# profile -> height and width of a frame, and videos and frames a video of Plaza in each split
SIZES = {"smoke": (128, 192), "standard": (128, 192), "long": (128, 192), "full": (240, 360)}
PLAZA = {
    "smoke": {"train": (4, 120), "test": (7, 100)},
    "standard": {"train": (8, 200), "test": (12, 150)},
    "long": {"train": (8, 200), "test": (12, 150)},
    "full": {"train": (16, 200), "test": (24, 200)},
}
# At the level `clear`, where a seventh kind is shown, and a third as many people teach what is
# usual.
PLAZA_CLEAR = {
    "smoke": {"train": (4, 120), "test": (7, 100)},
    "standard": {"train": (12, 200), "test": (21, 120)},
    "long": {"train": (12, 200), "test": (21, 120)},
    "full": {"train": (24, 200), "test": (28, 200)},
}
# Its bags: how many, and frames in each. Filming is what costs; from a cold cache on two cores,
# smoke takes 25 seconds and standard 4 minutes.
PLAZA_BAGS: dict[str, dict[str, dict[str, Any]]] = {
    "smoke": {"train": {"count": 18, "length": 320}, "test": {"count": 12, "length": 320}},
    "standard": {"train": {"count": 100, "length": 640}, "test": {"count": 60, "length": 640}},
    "long": {"train": {"count": 100, "length": 640}, "test": {"count": 60, "length": 640}},
    "full": {
        "train": {"count": 200, "length": 960, "size": (128, 192)},
        "test": {"count": 120, "length": 960, "size": (128, 192)},
    },
}


@dataclass(frozen=True)
class DataSet:
    """Something to train and test on.

    read      "module:function", called with split and settings by name; it returns videos or bags
    settings  (profile, split) -> what else it is called with
    drawn     a seed draws its split
    bags      a video is labelled as a whole, and `measure.evaluate.evaluate_bags` measures
    """

    read: str
    settings: Callable[[str, str], dict[str, Any]]
    drawn: bool = False
    bags: bool = False

    def load(self, profile: str, split: str, seed: int = 0, **kw: Any) -> list[Any]:
        """Its videos or bags; kw wins over the profile."""
        module, name = self.read.split(":")
        read = getattr(importlib.import_module(module), name)
        draw = {"seed": seed} if self.drawn else {}
        return read(split=split, **(self.settings(profile, split) | draw | kw))


def load(data: str, profile: str, split: str, **kw: Any) -> list[Video]:
    """The videos of a data set as a profile wants them; kw as for `vadlib.data.load`."""
    return SETS[data].load(profile, split, **kw)


def _benchmark(name: str) -> DataSet:
    return DataSet(
        "vadlib.data.frames:videos", lambda profile, split: {"name": name, "size": SIZES[profile]}
    )


def _plaza(profile: str, split: str) -> dict[str, Any]:
    """The hard scene, `busy`; in smoke, whose pages are a reader's first, the level `clear`."""
    count, length = PLAZA[profile][split]
    level = {"level": "clear"} if profile == "smoke" else {}
    return {"count": count, "length": length, "size": SIZES[profile]} | level


def _plaza_clear(profile: str, split: str) -> dict[str, Any]:
    count, length = PLAZA_CLEAR[profile][split]
    return {"count": count, "length": length, "size": SIZES[profile], "level": "clear"}


def _plaza_joint(profile: str, split: str) -> dict[str, Any]:
    """Of 20 test videos every second one is of the joint kind.

    The standard test set has two videos of each kind: too few to ask whether one kind is seen.
    """
    others = [kind for kind in KINDS if kind != "joint"]
    kinds = [kind for other in others for kind in (other, "joint")]
    test = {"count": 20, "length": 120, "kinds": kinds}
    return _plaza(profile, split) | (test if split == "test" else {})


def _plaza_kinds(profile: str, split: str) -> dict[str, Any]:
    """Six test videos of each kind, so that kinds can be told apart."""
    test = {"count": 6 * len(KINDS), "length": 100}
    return _plaza(profile, split) | (test if split == "test" else {})


def _plaza_bags(extractor: str) -> DataSet:
    return DataSet(
        "vadlib.see.weak:plaza_bags",
        lambda profile, split: {"extractor": extractor} | PLAZA_BAGS[profile][split],
        bags=True,
    )


def _ped2_bags(extractor: str) -> DataSet:
    return DataSet(
        "vadlib.see.weak:ped2_bags",
        lambda profile, split: {"extractor": extractor, "size": SIZES[profile]},
        drawn=True,
        bags=True,
    )


def _cameras(**asked: Callable[[str, str], dict[str, Any]]) -> DataSet:
    """A camera to learn from and one to be tested on, `train` and `test`; both in grey, so that
    colours are not what parts them."""
    return DataSet("vadlib.data.grey:videos", lambda profile, split: asked[split](profile, split))


def _grey_ped2(profile: str, split: str) -> dict[str, Any]:
    return {"name": "ped2", "size": SIZES[profile]}


def _grey_plaza(profile: str, split: str) -> dict[str, Any]:
    return {"name": "plaza"} | _plaza_clear(profile, split)


def own_films(folder: str) -> DataSet:
    """The films of a folder, as normal footage to train on."""
    return DataSet(
        "vadlib.data.footage:videos",
        lambda profile, split: {"folder": folder, "size": SIZES[profile]},
    )


def _features(name: str) -> DataSet:
    return DataSet("vadlib.data.bags:load", lambda profile, split: {"name": name}, bags=True)


SETS = {
    **{name: _benchmark(name) for name in ("ped2", "ped1", "avenue", "shanghaitech")},
    "plaza": DataSet("vadlib.data.plaza:videos", _plaza),
    "plaza-clear": DataSet("vadlib.data.plaza:videos", _plaza_clear),
    "plaza-joint": DataSet("vadlib.data.plaza:videos", _plaza_joint),
    "plaza-kinds": DataSet("vadlib.data.plaza:videos", _plaza_kinds),
    "plaza-grey": _cameras(train=_grey_plaza, test=_grey_plaza),
    "plaza-to-ped2": _cameras(train=_grey_plaza, test=_grey_ped2),
    "ped2-to-plaza": _cameras(train=_grey_ped2, test=_grey_plaza),
    "plaza-vigil": DataSet(
        "vadlib.data.vigil:videos",
        lambda profile, split: _plaza_clear(profile, split) | {"quiet": 10},
    ),
    "plaza-bags": _plaza_bags("flow"),
    "plaza-bags-effnet": _plaza_bags("effnet"),
    "ped2-weak": _ped2_bags("effnet"),
    "ped2-weak-flow": _ped2_bags("flow"),
    "ped2-weak-brightness": _ped2_bags("brightness"),
    # the videos of the same draws, for a rule that looks at frames
    "ped2-weak-videos": DataSet(
        "vadlib.see.weak:ped2_draw",
        lambda profile, split: {"size": SIZES[profile]},
        drawn=True,
        bags=True,
    ),
    "ucf-crime": _features("ucf-crime"),
    "xd-violence": _features("xd-violence"),
}
