"""How fast a model is: rounds that take turns, so that a busy machine slows all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cache
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


@cache
def convolution_peak(precision: str = "float32", channels: int = 128, rounds: int = 5) -> float:
    """FLOPs a second of CPU time that one thread does in a wide 3x3 convolution: the best round.

    precision  "float32" or "bfloat16"
    """
    kind = getattr(torch, precision)
    conv = torch.nn.Conv2d(channels, channels, 3, padding=1).to(kind)
    conv = conv.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.randn(1, channels, 48, 64, dtype=kind).to(memory_format=torch.channels_last)
    work, best, threads = 2 * 9 * channels**2 * x[0, 0].numel(), 0.0, torch.get_num_threads()
    torch.set_num_threads(1)  # spinning threads would count as work
    try:
        with torch.inference_mode():
            for _ in range(rounds + 1):
                started = time.process_time()
                for _ in range(4):
                    conv(x)
                best = max(best, 4 * work / (time.process_time() - started))
    finally:
        torch.set_num_threads(threads)
    return best


def bfloat16_is_faster(margin: float = 1.2) -> bool:
    """Whether wide convolutions on this machine's CPU are `margin` times as fast in bfloat16."""
    return convolution_peak("bfloat16") > margin * convolution_peak("float32")


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
