"""The weakly labelled data sets of this book: long videos of Plaza, and a split of UCSD Ped2."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
import torch
from tqdm.auto import tqdm

from vadlib.data import frames, plaza, store
from vadlib.data.bags import SPAN, Bag
from vadlib.data.base import Video
from vadlib.errors import VadError
from vadlib.see.extract import bags, extracted, extractor_of

# The kinds of anomaly that the features can see. Of the others on Plaza, a probe that was trained
# with frame labels (logistic regression on flow histograms, 30 videos of 320 frames, a seed that no
# row uses) found snippets of "appearance" with an AUC of 0.65 and of "joint" with 0.6, where it
# found "direction" with 0.95: what is learnt from weak labels can be no better than its features.
# And "interaction" lasts a third of any video, however long.
BAG_KINDS = ("motion", "direction", "place")
TEST_FROM = 9000  # number of the first video of Plaza that is a test bag


class PlazaBag(NamedTuple):
    """The recipe of a bag of Plaza. Normal and abnormal videos differ in the anomaly alone."""

    number: int
    abnormal: bool
    length: int
    size: tuple[int, int]
    seed: int
    extractor: str

    @property
    def frames(self) -> str:
        """Stands for the frames."""
        return store.digest("plaza", plaza.VERSION, BAG_KINDS, self[:-1])

    @property
    def note(self) -> str:
        """Where the kinds of the frames are kept; written last."""
        return f"kinds {self.frames} {self.extractor} {extractor_of(self.extractor).version}"

    def film(self) -> Video:
        """The video itself, drawn anew."""
        split = "test" if self.abnormal else "train"
        where = {"size": self.size, "seed": self.seed, "first": self.number}
        return plaza.videos(split, 1, self.length, kinds=BAG_KINDS, **where)[0]

    def make(self) -> Bag:
        """Film the video and extract its features, or find both in the store."""
        film = functools.cache(self.film)
        name = f"{'abnormal' if self.abnormal else 'normal'}-{self.number % TEST_FROM:03d}"
        features, key = extracted(
            self.frames, self.length, lambda: film().frames, self.extractor, SPAN, name
        )
        # a frame of Plaza is abnormal exactly where it has a kind
        kind = np.array(store.remember(self.note, lambda: film().truth["kind"].tolist()))
        labels, label = (kind != "").astype(np.uint8), int(self.abnormal)
        truth = {"kind": kind}
        return Bag(
            name, features, self.length, label, labels, SPAN, "plaza-bags", key=key, truth=truth
        )


def plaza_bags(
    split: str = "train",
    count: int = 20,
    length: int = 320,
    size: tuple[int, int] = (96, 144),
    seed: int = 0,
    extractor: str = "flow",
) -> list[Bag]:
    """Long videos of Plaza with a label each: `count` / 2 normal ones, then as many abnormal ones.

    split  "train": labels of bags alone; "test": other videos, with labels and kinds of frames
    An abnormal video holds one of BAG_KINDS for a part of its `length`; 16 frames a snippet. The
    first call films and extracts, in two processes; what a killed one has finished is kept. With
    few bags, "effnet" would hide the 144 numbers that matter among 1280 that do not.
    Raises VadError for an unknown split or an odd count, and what `plaza.videos` and `bag` raise.
    """
    if split not in ("train", "test"):
        raise VadError(f"there is no split {split!r}", 'Splits are "train" and "test".')
    if count < 2 or count % 2:
        raise VadError(f"count is {count}", "Half of the bags are normal: ask for an even number.")
    first = TEST_FROM if split == "test" else 0
    recipes = [
        PlazaBag(number, abnormal, length, size, seed, extractor)
        for abnormal in (False, True)
        for number in range(first, first + count // 2)
    ]
    with _helped(recipes):
        bar = tqdm(recipes, desc=f"bags of Plaza, {split}", unit="video", delay=0.5, leave=False)
        found = [replace(recipe.make(), split=split) for recipe in bar]
    return [_for_training(b) for b in found] if split == "train" else found


def _for_training(bag: Bag) -> Bag:
    """Without what a weakly supervised method must not see."""
    return replace(bag, labels=None, truth={})


@contextmanager
def _helped(recipes: list[PlazaBag]) -> Iterator[None]:
    """A second process makes the bags from the last on, while the block makes them from the first.

    They meet in the store, which lets nothing be built twice. Two single threads are faster than
    one process with two: filming is Python. Should the helper fail, the block does its work.
    """
    made = [_made(recipe) for recipe in recipes]
    if made.count(False) < 2:
        yield
        return
    todo = [tuple(r) for r, done in zip(recipes[::-1], made[::-1], strict=True) if not done]
    code = f"from vadlib.see.weak import make_all; make_all({todo!r})"
    helper = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"},
        stdout=subprocess.DEVNULL,  # what is wrong, this process will find as well
        stderr=subprocess.DEVNULL,
    )
    threads = torch.get_num_threads(), cv2.getNumThreads()
    try:
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        yield
    finally:
        helper.terminate()
        helper.wait()
        torch.set_num_threads(threads[0])
        cv2.setNumThreads(threads[1])


def make_all(recipes: list[tuple]) -> None:
    """What the helper does."""
    cv2.setNumThreads(1)
    for recipe in recipes:
        PlazaBag(*recipe).make()


def _made(recipe: PlazaBag) -> bool:
    """Whether a bag is in the store."""

    def missing() -> None:
        raise LookupError

    try:
        store.remember(recipe.note, missing)
    except LookupError:
        return False
    return True


def ped2_bags(
    split: str = "train",
    seed: int = 0,
    extractor: str = "effnet",
    size: tuple[int, int] = (128, 192),
    span: int = 8,
) -> list[Bag]:
    """UCSD Ped2 with weak labels: the seed draws 4 of its 16 normal and 6 of its 12 abnormal videos
    to train on, "train"; the others are "test".

    Snippets of 8 frames that do not overlap, so that each frame has the score of one; a video's
    last may have 4. Two warnings. Training uses test videos of the usual protocol: numbers are not
    comparable with those of methods that train on normal videos. And every normal video comes from
    one folder, every abnormal one from another: what tells the folders apart looks like skill.
    Raises VadError for an unknown split and where Ped2 is missing.
    """
    found = bags(ped2_draw(split, seed, size), extractor, span)
    return [_for_training(b) for b in found] if split == "train" else found


def ped2_draw(
    split: str = "train", seed: int = 0, size: tuple[int, int] = (128, 192)
) -> list[Video]:
    """The videos of `ped2_bags`, with the labels of their frames whatever the split.

    Each is named after the folder that it comes from, "train-01" or "test-01". Raises as it does.
    """
    if split not in ("train", "test"):
        raise VadError(f"there is no split {split!r}", 'Splits are "train" and "test".')
    rng, found = np.random.default_rng(seed), []
    for folder, count in (("train", 4), ("test", 6)):
        videos = frames.videos("ped2", folder, size)
        drawn = set(rng.permutation(len(videos))[:count].tolist())
        videos = [v for i, v in enumerate(videos) if (i in drawn) == (split == "train")]
        found += [replace(v, name=f"{folder}-{v.name}") for v in videos]
    return [replace(v, dataset="ped2-weak", split=split) for v in found]
