"""Checkpoints: the weights that a run left, who made them from what, and how training went."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vadlib.data.store import home
from vadlib.detector import Detector, History
from vadlib.errors import VadError
from vadlib.lab import train as training
from vadlib.lab.experiment import Experiment, Method, TrainConfig


def checkpoint_path(exp: Experiment, seed: int) -> Path:
    """Where the weights of one seed of an experiment lie."""
    return checkpoint_of(exp.name, seed)


def checkpoint_of(name: str, seed: int) -> Path:
    """The same by the experiment's name."""
    return home() / "data" / "checkpoints" / f"{name}-s{seed}.pt"


def save_checkpoint(
    path: Path, model: Any, name: str, stamp: str, data_sha: str, h: History, **usual: Any
) -> None:
    """Keep a trained detector: its state, who made it from what, and how training went.

    usual  what holds for footage like its training videos: "threshold", "size"
    """
    content = {"state": model.state(), "experiment": name, "stamp": stamp}
    summary = {"seconds": h.seconds, "samples": h.samples, "steps": h.steps, "terms": h.terms}
    training.write(path, {**content, "data_sha": data_sha, "history": summary} | usual)


def load_checkpoint(path: Path, model: Detector) -> dict[str, Any]:
    """Fill a detector with a checkpoint's weights; returns what else the file holds.

    Raises VadError naming the file when it is missing, damaged or of another architecture.
    """
    content = training.read(path)
    try:
        model.load_state(content["state"])  # type: ignore[attr-defined]
    except (KeyError, RuntimeError, TypeError) as error:
        raise VadError(
            f"{path} holds another architecture than this config asks for",
            f"Delete it and train again ({str(error).splitlines()[0][:120]}).",
        ) from error
    return content


def usual_of(path: Path) -> tuple[float | None, tuple[int, int] | None]:
    """The threshold that `vadlib fit` measured, and the size of its frames; None where unknown."""
    content = training.read(path)
    size = content.get("size")
    return content.get("threshold"), None if size is None else tuple(size)


def from_checkpoint(method: Method, path: Path, device: str = "auto") -> Detector:
    """The trained detector that `vadlib fit` kept, with the config that it was trained with."""
    config = training.read(path).get("state", {}).get("config")
    if config is None:
        raise VadError(f"{path} is not a detector's checkpoint", "Make one with `vadlib fit`.")
    if not method.trained:
        raise VadError(f"{method.name} is not a method that is trained", "It needs no checkpoint.")
    made = method.config(**(config | {"train": TrainConfig(**config["train"])}))
    model = method.make(config=made, device=device)
    load_checkpoint(path, model)
    return model
