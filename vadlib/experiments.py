"""Experiments: a row of a table as a config, the run that fills it, and the record it leaves."""

from __future__ import annotations

import resource
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from vadlib import data as datasets
from vadlib import train as training
from vadlib.data.base import Video
from vadlib.data.store import digest, home
from vadlib.detector import Detector, History
from vadlib.errors import VadError
from vadlib.evaluate import PROTOCOLS, evaluate
from vadlib.models import BASELINES, DETECTORS, detector
from vadlib.models.maam import MAAMConfig
from vadlib.records import (
    commit,
    device_name,
    kept,
    read_records,
    summary,
    versions,
    write_record,
)
from vadlib.stamp import stamp
from vadlib.train import TrainConfig

PROFILES = ("smoke", "standard", "full")
# profile -> height and width of a frame, and videos and frames a video of Plaza in each split
SIZES = {"smoke": (128, 192), "standard": (128, 192), "full": (240, 360)}
PLAZA = {
    "smoke": {"train": (4, 120), "test": (6, 100)},
    "standard": {"train": (8, 200), "test": (12, 150)},
    "full": {"train": (16, 200), "test": (24, 200)},
}
SHOWN = {"average": "micro", "dropped": "frames without a score", "chosen on test": "nothing"}


@dataclass(frozen=True)
class Experiment:
    """One row: a method with a config, on a data set, at a profile. `note` says what it is for."""

    name: str
    method: str
    data: str
    profile: str
    seeds: tuple[int, ...] = (0, 1, 2)
    config: dict[str, Any] = field(default_factory=dict)
    note: str = ""

    @property
    def committed(self) -> bool:
        """Whether its checkpoints are part of the repository: those that chapters load."""
        return self.name in ("maam-ped2-standard", "maam-long-ped2-standard")

    @property
    def trained(self) -> bool:
        """Whether there is anything to train."""
        return self.method in TRAINED

    def load(self, split: str) -> list[Video]:
        """The videos that it trains or tests on."""
        return load(self.data, self.profile, split)

    def detector(self, seed: int, device: str = "auto") -> Detector:
        """Its detector, untrained."""
        if self.method == "random":
            return detector("random", seed=seed)
        if not self.trained:
            return detector(self.method)
        config = config_of(self.method, self.profile, self.config)
        config = replace(config, train=replace(config.train, seed=seed))
        return detector(self.method, config=config, device=device)

    @property
    def config_dict(self) -> dict[str, Any]:
        """Its config in full; a baseline has none."""
        return asdict(config_of(self.method, self.profile, self.config)) if self.trained else {}

    @property
    def stamp(self) -> str:
        """Hash of the code and the config that decide its numbers."""
        module = DETECTORS[self.method].split(":")[0]
        return stamp([module, "vadlib.evaluate:evaluate"], self.config_dict)


def load(data: str, profile: str, split: str, **kw: Any) -> list[Video]:
    """The videos of a data set as a profile wants them; kw as for `vadlib.data.load`."""
    if data == "plaza":
        count, length = PLAZA[profile][split]
        kw = {"count": count, "length": length} | kw
    size = kw.pop("size", SIZES[profile])
    return datasets.load(data, split, size=size, **kw)


# How MAAM-Net is trained at each profile. Width, steps and learning rate of smoke and standard were
# chosen by what two cores can do and by the loss on two *training* videos held out; "full" is the
# paper's section 4.3.
MAAM_PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "width": 8,
        "items": 100,
        "patch": (16, 11),
        "train": TrainConfig(epochs=2, batch_size=4, lr=2e-3, schedule="cosine"),
    },
    "standard": {
        "width": 8,
        "patch": (16, 11),
        "train": TrainConfig(epochs=4, batch_size=4, lr=2e-3, schedule="cosine"),
    },
    "full": {},
}


# A trained method: the dataclass of its config, with a field `train`, and its settings by profile.
# Its detector has `net`, `state()` and `load_state(state)` besides `fit` and `score`.
TRAINED: dict[str, tuple[Any, dict[str, dict[str, Any]]]] = {"maam": (MAAMConfig, MAAM_PROFILES)}


def config_of(method: str, profile: str, overrides: dict[str, Any] | None = None) -> Any:
    """A trained method's config at a profile, with some fields replaced.

    Raises VadError for an unknown or untrained method, and for an unknown profile.
    """
    if method not in TRAINED:
        known = ", ".join(TRAINED)
        raise VadError(f"{method!r} is not a method that is trained", f"Use one of: {known}.")
    if profile not in PROFILES:
        raise VadError(f"unknown profile {profile!r}", f"Use one of: {', '.join(PROFILES)}.")
    config, profiles = TRAINED[method]
    return config(**(profiles[profile] | (overrides or {})))


def _maam(suffix: str = "", note: str = "", **config: Any) -> list[Experiment]:
    """An ablation of MAAM-Net at every profile and data set that makes sense for it."""
    places = [(d, p) for d in ("ped2", "plaza") for p in PROFILES if (d, p) != ("ped2", "smoke")]
    return [
        Experiment(f"maam{suffix}-{d}-{p}", "maam", d, p, config=config, note=note)
        for d, p in places
    ]


def _maam_long() -> Experiment:
    """Does three times the training change what the motion branch can do?"""
    longer = replace(MAAM_PROFILES["standard"]["train"], epochs=12)
    note, name = "three times the training", "maam-long-ped2-standard"
    return Experiment(name, "maam", "ped2", "standard", config={"train": longer}, note=note)


def _baselines() -> list[Experiment]:
    return [
        Experiment(f"{b}-{d}-standard", b, d, "standard", (0, 1, 2) if b == "random" else (0,))
        for d in ("ped2", "plaza")
        for b in BASELINES
    ]


EXPERIMENTS: dict[str, Experiment] = {
    e.name: e
    for e in [
        *_baselines(),
        *_maam(note="the method, with the latent loss as printed"),
        *_maam("-pull", "the latent loss that the text describes", latent="pull"),
        *_maam("-none", "no latent loss", latent="none"),
        *_maam("-nomemory", "no memory: the decoders read the encoder", memory=False),
        _maam_long(),
    ]
}


def experiment(name: str, profile: str | None = None) -> Experiment:
    """An experiment by name; `profile` replaces the last part of the name.

    Raises VadError for an unknown one.
    """
    if profile is not None:
        name = "-".join(
            [*name.split("-")[:-1], profile] if name.split("-")[-1] in PROFILES else [name, profile]
        )
    if name not in EXPERIMENTS:
        raise VadError(
            f"there is no experiment {name!r}",
            f"`vadlib status` and this list know: {', '.join(EXPERIMENTS)}.",
        )
    return EXPERIMENTS[name]


# ---------------------------------------------------------------------------------- checkpoints


def checkpoint_path(exp: Experiment, seed: int) -> Path:
    return home() / "data" / "checkpoints" / f"{exp.name}-s{seed}.pt"


def save_checkpoint(
    path: Path, model: Any, name: str, stamp: str, data_sha: str, h: History
) -> None:
    """Keep a trained detector: its state, who made it from what, and how training went."""
    content = {"state": model.state(), "experiment": name, "stamp": stamp}
    summary = {"seconds": h.seconds, "samples": h.samples, "steps": h.steps, "terms": h.terms}
    training.write(path, {**content, "data_sha": data_sha, "history": summary})


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


def from_checkpoint(method: str, path: Path, device: str = "auto") -> Detector:
    """The trained detector that `vadlib fit` kept, with the config that it was trained with."""
    config = training.read(path).get("state", {}).get("config")
    if config is None:
        raise VadError(f"{path} is not a detector's checkpoint", "Make one with `vadlib fit`.")
    if method not in TRAINED:
        raise VadError(f"{method!r} is not a method that is trained", "It needs no checkpoint.")
    made = TRAINED[method][0](**(config | {"train": TrainConfig(**config["train"])}))
    model = detector(method, config=made, device=device)
    load_checkpoint(path, model)
    return model


def train_or_load(
    name: str, seed: int = 0, device: str = "auto", say: Any = print
) -> tuple[Any, History]:
    """The trained detector of an experiment: its committed checkpoint, else trained now.

    A checkpoint of older code is loaded and the notice says so; one that belongs to the repository
    and is missing is an error, never a reason to train in silence. Without one, training goes on
    where it was killed.
    """
    exp = experiment(name)
    model, path = exp.detector(seed, device), checkpoint_path(exp, seed)
    found = path if path.exists() else kept("checkpoints") / path.name
    if found.exists():
        content = load_checkpoint(found, model)
        if content["stamp"] != exp.stamp:
            say(f"Notice: {path.name} was made by older code than today's; its numbers may differ.")
        minutes = content["history"]["seconds"] / 60
        say(f"Loaded {path.name}, trained for {minutes:.1f} minutes.")
        return model, History(**content["history"])  # type: ignore[return-value]
    if exp.committed and seed in exp.seeds:
        raise VadError(
            f"{path} is missing",
            f"It belongs to the repository: restore it with git, or make it again with "
            f"`vadlib reproduce {name} --seed {seed}`.",
        )
    return _fit(exp, model, seed, say)  # type: ignore[return-value]


def _fit(exp: Experiment, model: Detector, seed: int, say: Any = print) -> tuple[Detector, History]:
    videos = exp.load("train")
    if not exp.trained:
        return model, model.fit(videos)
    say(f"Training {exp.name} on {sum(map(len, videos)):,} frames; the bar shows the time left.")
    folder = home() / "data" / "cache" / "runs" / f"{exp.name}-s{seed}-{exp.stamp}"
    history = model.fit(videos, folder=folder)  # type: ignore[call-arg]
    shutil.rmtree(folder, ignore_errors=True)  # only a run that was cut short is taken up again
    say(
        f"Trained on {history.samples} frames in {history.seconds:.0f} s "
        f"({history.samples_per_second:.0f} frames a second)."
    )
    return model, history


# -------------------------------------------------------------------------------------- records


def run_seed(exp: Experiment, seed: int, device: str = "auto", say: Any = print) -> dict[str, Any]:
    """Train and test one seed: rows, cost, and for trained methods the checkpoint beside it."""
    started, made_by = time.monotonic(), exp.stamp  # now: files may change while it runs
    say(f"{exp.name}, seed {seed}: training")
    model, history = _fit(exp, exp.detector(seed, device), seed, say)
    trained = time.monotonic() - started
    test = exp.load("test")
    sha = data_sha(exp.load("train") + test)
    say(f"{exp.name}, seed {seed}: testing")
    rows = evaluate(model, test)
    if exp.trained:
        save_checkpoint(checkpoint_path(exp, seed), model, exp.name, made_by, sha, history)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seed": seed,
        "stamp": made_by,
        "rows": rows,
        "data_sha": sha,
        "label_sha": digest(*(v.labels for v in test)),
        "train_s": round(trained, 1),
        "wall_s": round(time.monotonic() - started, 1),
        "peak_mb": round(peak),
        "cost": cost(model, exp, history),
    }


def cost(model: Any, exp: Experiment, history: History) -> dict[str, Any]:
    """Parameters, FLOPs of one frame forward (1 MAC = 2 FLOPs), training frames a second."""
    if not exp.trained:
        return {"params": 0}
    model.net.to(model.device).eval()
    frame = torch.zeros(1, model.config.in_channels, *SIZES[exp.profile], device=model.device)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.net(frame)
    return {
        "params": sum(p.numel() for p in model.net.parameters()),
        "flops_per_frame": counter.get_total_flops(),
        "train_fps": round(history.samples_per_second, 1),
        "train_frames": history.samples,
    }


def data_sha(videos: Sequence[Video]) -> str:
    """Hash of what the frames are: each video's content key and size."""
    return digest([[v.name, v.key, list(v.frames.shape)] for v in videos])


def reproduce(
    name: str, seeds: Sequence[int] | None = None, device: str = "auto", say: Any = print
) -> dict[str, Any]:
    """Run an experiment seed by seed; the record is written after each, so a kill loses one.

    Seeds that were recorded by the same code on the same data stay in the record.
    Raises VadError for an unknown name, and when the data set is not on this machine.
    """
    exp = experiment(name)
    record = {}
    for seed in seeds or exp.seeds:
        run = run_seed(exp, seed, device, say)
        old = next((r for r in read_records() if r["name"] == exp.name), None)
        same = old and all(old[k] == run[k] for k in ("stamp", "data_sha"))
        runs = {run["seed"]: run for run in old["runs"]} if old and same else {}
        runs[seed] = run
        record = make_record(exp, [runs[s] for s in sorted(runs)])
        write_record(record)
    return record


def make_record(exp: Experiment, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Everything that a reader needs in order to believe, or to repeat, the numbers of `runs`."""
    seeds = [run["seed"] for run in runs]
    rows = [summary([run["rows"][i] for run in runs]) for i in range(len(runs[0]["rows"]))]
    return {
        "name": exp.name,
        "method": exp.method,
        "data": exp.data,
        "profile": exp.profile,
        "note": exp.note,
        "command": f"vadlib reproduce {exp.name} --seed {' '.join(map(str, seeds))}",
        "config": exp.config_dict,
        "seeds": seeds,
        "results": rows,
        "protocols": {name: SHOWN | settings for name, settings in PROTOCOLS.items()},
        "data_sha": runs[0]["data_sha"],
        "label_sha": runs[0]["label_sha"],
        "commit": commit(),
        "versions": versions(),
        "device": device_name(),
        "cost": runs[0]["cost"],
        "stamp": runs[0]["stamp"],
        "confirmed": [],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "runs": runs,
    }


def records(folder: Path | None = None) -> list[dict[str, Any]]:
    """All records, by name, each with "stale": made by, and not confirmed at, today's code.

    Raises VadError naming a file that is no record.
    """
    found = []
    for record in read_records(folder):
        stamps = {record["stamp"], *(c["stamp"] for c in record["confirmed"])}
        known = EXPERIMENTS.get(record["name"])
        found.append(record | {"stale": known is None or known.stamp not in stamps})
    return found


def confirm(name: str, seed: int, device: str = "auto", say: Any = print) -> dict[str, Any]:
    """Run one seed again at today's code; where its headline AUC agrees, mark the record so.

    "Agrees" is within two standard deviations of the seeds, and at least 0.1 points (a record of
    one seed has no spread). Raises VadError where it does not, and where there is no record.
    """
    exp = experiment(name)
    record = next((r for r in records() if r["name"] == exp.name), None)
    if record is None:
        raise VadError(f"there is no record of {exp.name}", f"Make it: vadlib reproduce {exp.name}")
    path = checkpoint_path(exp, seed)
    before = path.read_bytes() if path.exists() else None
    rows = run_seed(exp, seed, device, say)["rows"]
    if before is not None:  # the record's own checkpoint stays
        path.write_bytes(before)
    old = next(r for r in record["results"] if is_headline(r))
    new = next(r["value"] for r in rows if is_headline(r))
    slack = max(2 * (old["sd"] or 0), 0.001)
    if abs(new - old["mean"]) > slack:
        raise VadError(
            f"{exp.name}: seed {seed} gives {100 * new:.2f} at today's code, the record says "
            f"{100 * old['mean']:.2f} within {100 * slack:.2f}",
            f"Find the change that moved it, or make the record anew: vadlib reproduce {exp.name}",
        )
    date = datetime.now(UTC).isoformat(timespec="seconds")
    entry = {"stamp": exp.stamp, "commit": commit(), "seed": seed, "value": new, "date": date}
    record["confirmed"].append(entry)
    write_record(record)
    return record


def is_headline(row: dict[str, Any]) -> bool:
    """Whether a row is the one number that stands for its record."""
    return (row["protocol"], row["metric"], row["term"]) == ("headline", "auc", "score")
