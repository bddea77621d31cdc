"""Checkpoints: the weights that a run left, who made them from what, and how training went."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
    path: Path, model: Any, name: str, stamp: str, data_sha: str, h: History
) -> None:
    """Keep a trained detector: its state, who made it from what, and how training went."""
    content = {"state": model.state(), "experiment": name, "stamp": stamp}
    summary = {"seconds": h.seconds, "samples": h.samples, "steps": h.steps, "terms": h.terms}
    training.write(path, {**content, "data_sha": data_sha, "history": summary})


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
            model.load_state(state)
            # fields of the config that are new since then have their defaults
            own = model.state()
            own["config"] = shared_fields(own["config"], state["config"])
            wrong = next(different(own, state), "")
    except Exception as error:  # a detector may trip over anything in a state that is not its own
        raise _other(path, f"{type(error).__name__}: {error}") from error
    if wrong:
        raise _other(path, wrong)
    return content


def _other(path: Path, why: str) -> VadError:
    return VadError(
        f"{path} holds another architecture than this config asks for",
        f"Delete it and train again ({(why.splitlines() or [why])[0][:120]}).",
    )


def from_checkpoint(method: Method, path: Path, device: str = "auto") -> Detector:
    """The trained detector that `vadlib fit` kept, with the config that it was trained with.

    Raises VadError naming the file and the field where it is damaged or of another method.
    """
    if not method.trained:
        raise VadError(f"{method.name} is not a method that is trained", "It needs no checkpoint.")
    state = read_checkpoint(path)["state"]
    remedy = f"Make one with `vadlib fit {method.name}`."
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
