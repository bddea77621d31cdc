"""How fast a model is: rounds that take turns, so that a busy machine slows all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor


def throughput(
    models: Mapping[str, Callable[[Tensor], Any]], x: Tensor, rounds: int = 20, warmup: int = 20
) -> dict[str, np.ndarray]:
    """Frames a second of each model on one batch: (rounds,) each, to be summed up by a median.

    models  by name, each called as model(x); without gradients
    x       (B, ...) on the device that the models are on
    rounds  in each, every model runs once; the models take turns
    warmup  runs of each model before the first that counts

    On a GPU the clock is read when all work is done. What is timed is the model alone: no reading
    of files, no resizing, no copy to the device.
    """
    speeds: dict[str, list[float]] = {name: [] for name in models}
    with torch.inference_mode():
        for number in range(-warmup, rounds):
            for name, model in models.items():
                _wait(x.device)
                started = time.perf_counter()
                model(x)
                _wait(x.device)
                if number >= 0:
                    speeds[name].append(len(x) / (time.perf_counter() - started))
    return {name: np.array(values) for name, values in speeds.items()}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
