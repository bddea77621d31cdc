"""Checkpoints: the weights that a run left, who made them from what, and how training went."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from vadlib.data.schema import check
from vadlib.data.store import home
from vadlib.detector import Detector, History
from vadlib.errors import VadError
from vadlib.lab import train as training
from vadlib.lab.experiment import Experiment, Method
from vadlib.lab.schema import Checkpoint, config_from
from vadlib.lab.states import different, shared_fields, unlike

AGAIN = "Delete it and train again, or restore it with git."


def checkpoint_path(exp: Experiment, seed: int) -> Path:
    """Where the weights of one seed of an experiment lie."""
    return checkpoint_of(exp.name, seed)


def checkpoint_of(name: str, seed: int) -> Path:
    """The same by the experiment's name."""
    return home() / "data" / "checkpoints" / f"{name}-s{seed}.pt"


def save_checkpoint(
    path: Path,
    model: Any,
    name: str,
    stamp: str,
    data_sha: str,
    h: History,
    half: bool = False,
    **usual: Any,
) -> None:
    """Keep a trained detector: its state, who made it from what, and how training went.

    half   keep its numbers in 16 bits: half the size, and about three digits
    usual  what holds for footage like its training videos: "threshold", "size"
    """
    state = model.state() if hasattr(model, "state") else {}  # a rule has learned nothing
    state = converted(state, torch.float32, torch.float16) if half else state
    content = {"state": state, "experiment": name, "stamp": stamp}
    training.write(path, {**content, "data_sha": data_sha, "history": asdict(h)} | usual)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What a checkpoint holds. Raises VadError naming the file and field where it is damaged."""
    content = training.read(path)
    check(Checkpoint, content, str(path), AGAIN)
    return content


def load_checkpoint(path: Path, model: Any) -> dict[str, Any]:
    """Fill a detector with a checkpoint's weights; returns what else the file holds.

    Raises VadError naming the file when it is missing, damaged, or not of this detector: its state
    must have the form of the detector's own, and be taken up in full.
    """
    content = read_checkpoint(path)
    state, own = content["state"], model.state()
    shared = {k: v for k, v in own.items() if k not in ("net", "config")}
    wrong = next(unlike(shared, state), "")
    try:
        if not wrong:
            model.load_state(converted(state, torch.float16, torch.float32))
            wrong = next(different(_judged(model.state(), state), _judged(state, state)), "")
    except Exception as error:  # a detector may trip over anything in a state that is not its own
        raise _other(path, f"{type(error).__name__}: {error}") from error
    if wrong:
        raise _other(path, wrong)
    model.net.to(memory_format=torch.channels_last)  # as training leaves it, and faster on a CPU
    return content


def converted(content: Any, old: torch.dtype, new: torch.dtype) -> Any:
    """A state in which every tensor of type `old` is of type `new`."""
    if isinstance(content, torch.Tensor):
        return content.to(new) if content.dtype == old else content
    if isinstance(content, dict):
        return type(content)((k, converted(v, old, new)) for k, v in content.items())
    return content


def _judged(state: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """What of a state must be as `given`: not how it was trained, of which the stamp speaks, and no
    field of the config that is new since then, which has its default."""
    config = {k: v for k, v in given["config"].items() if k != "train"}
    return state | {"config": shared_fields(state["config"], config)}


def _other(path: Path, why: str) -> VadError:
    return VadError(
        f"{path} holds another architecture than this config asks for",
        f"Delete it and train again ({(why.splitlines() or [why])[0][:120]}).",
    )


def usual_of(path: Path) -> tuple[float | None, tuple[int, int] | None]:
    """The threshold that `vadlib fit` measured, and the size of its frames; None where unknown."""
    content = read_checkpoint(path)
    size = content.get("size")
    return content.get("threshold"), None if size is None else tuple(size)


def made_by(path: Path, methods: Iterable[str]) -> str:
    """The method that made a checkpoint, by its experiment's name, which begins with it.

    Raises VadError where that is none of `methods`.
    """
    name = read_checkpoint(path)["experiment"]
    found = [method for method in methods if f"{name}-".startswith(f"{method}-")]
    if not found:
        raise VadError(f"{path} does not say which method made it ({name})", "Give --method.")
    return max(found, key=len)


def from_checkpoint(method: Method, path: Path, device: str = "auto") -> Detector:
    """The trained detector that `vadlib fit` kept, with the config that it was trained with; of a
    rule, which has none, the rule itself: `usual_of` says what was normal to it.

    Raises VadError naming the file and the field where it is damaged or of another method.
    """
    content = read_checkpoint(path)
    state, remedy = content["state"], f"Make one with `vadlib fit {method.name}`."
    if not method.trained:
        if content["experiment"] != f"{method.name}-fit" or state:
            raise VadError(f"{path} was made by {content['experiment']}, another method", remedy)
        return method.make()
    if not isinstance(state.get("config"), dict):
        raise VadError(f"{path} is not a detector's checkpoint: it has no config", remedy)
    config = config_from(method.config, state["config"], f"{path}: config of {method.name}", remedy)
    try:
        model = method.make(config=config, device=device)
    except VadError:
        raise
    except Exception as error:  # each network has its own words for sizes that do not fit
        raise VadError(f"{path}: its config makes no network ({error})", remedy) from error
    load_checkpoint(path, model)
    return model
