"""What readers of frames and truth accept, and no more: what is half right is refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vadlib.errors import VadError


def binary(values: np.ndarray, where: str, high: Sequence[int] = (1,)) -> np.ndarray:
    """Truth as bool: 0, or one of `high`, in any dtype of real numbers.

    Raises VadError for anything else, such as -1, 0.01 or NaN.
    """
    kind = values.dtype.kind
    odd = np.ravel(values)[:1] if kind not in "buif" else values[~np.isin(values, (0, *high))]
    if kind not in "buif" or len(odd):
        known = " or ".join(map(str, (0, *high)))
        raise VadError(
            f"{where} holds {odd[0] if len(odd) else 'nothing'} ({values.dtype})",
            f"Truth must be {known}: save it so.",
        )
    return values != 0


def first_number(files: Sequence[Path]) -> int:
    """The number of the first of some image files, which must be numbered on from 0 or 1.

    Raises VadError naming the file where a number is missing, doubled, or not the name's last part
    after what all names have in common.
    """
    start, before = 0, None
    for place, file in enumerate(files):
        found = re.fullmatch(r"(.*?)([0-9]+)", file.stem)
        if found is None or (before is not None and found[1] != before):
            raise VadError(
                f"{file} is not numbered as the frames beside it are",
                "Remove it if it is a copy or a stray file; else give it its number.",
            )
        before, number = found[1], int(found[2])
        start = number if place == 0 else start
        if number != start + place or start > 1:
            expected = start + place if place else "0 or 1"
            raise VadError(
                f"{file} stands where frame {expected} should be",
                "A frame is missing or there twice: extract the data set's archive again.",
            )
    return start


def gapless(names: Sequence[str], where: str) -> None:
    """Raises VadError where videos whose names are numbers lack one, from 0 or 1 on."""
    if not all(re.fullmatch("[0-9]+", name) for name in names):
        return
    numbers = [int(name) for name in names]
    for number, expected in zip(numbers, range(min(numbers[0], 1), len(numbers) + 1), strict=False):
        if number != expected:
            raise VadError(
                f"{where} has video {number} where {expected} should be",
                "A video is missing: extract the data set's archive again.",
            )


def labels(given: Any, length: int, where: str) -> None:
    """Raises VadError where labels are not (length,) numbers, each 0 or 1."""
    if np.shape(given) != (length,):
        raise VadError(
            f"{where} has labels of shape {np.shape(given)} for {length} frames",
            "Check that the ground truth belongs to this video.",
        )
    array = isinstance(given, np.ndarray) and given.dtype.kind in "buif"
    if not array or not np.isin(given, (0, 1)).all():
        raise VadError(f"{where} has labels that are not 0 or 1", "Give an array of 0 and 1.")


def agree(labels: np.ndarray, masks: np.ndarray, where: str) -> None:
    """Raises VadError where a frame is labelled abnormal and its mask is empty, or the reverse."""
    odd = np.flatnonzero(np.asarray(labels != 0) != np.asarray(masks.any(axis=(1, 2))))
    if len(odd):
        raise VadError(
            f"{where}: labels and masks contradict each other in {len(odd)} frames, the first of "
            f"them at position {odd[0]}",
            "Extract their archive again; without its masks, labels alone are read.",
        )
