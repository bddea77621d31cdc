"""Experiments: the run that fills a row, its checkpoint, and the record that it leaves."""

from __future__ import annotations

import resource
import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from vadlib import train as training
from vadlib.data.store import digest, home
from vadlib.detector import Detector, History, Scores
from vadlib.errors import VadError
from vadlib.evaluate import PROTOCOLS, evaluate, evaluate_bags
from vadlib.models import detector
from vadlib.records import (
    commit,
    device_name,
    kept,
    read_records,
    scores_path,
    summary,
    versions,
    write_record,
    write_scores,
    write_truth,
)
from vadlib.rows import EXPERIMENTS, SIZES, TRAINED, Experiment, experiment
from vadlib.rows import config_of as config_of  # chapters take these two from here
from vadlib.rows import load as load
from vadlib.train import TrainConfig

SHOWN = {"average": "micro", "dropped": "frames without a score", "chosen on test": "nothing"}


# ---------------------------------------------------------------------------------- checkpoints


def checkpoint_path(exp: Experiment, seed: int) -> Path:
    """Where the weights of one seed of an experiment lie."""
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
    videos = exp.load("train", seed)
    if not exp.trained:
        return model, model.fit(videos)
    say(f"Training {exp.name} on {sum(map(len, videos)):,} frames; the bar shows the time left.")
    folder = home() / "data" / "cache" / "runs" / f"{exp.name}-s{seed}-{exp.stamp}"
    options = {}
    if hasattr(model, "shared_key"):  # parts that rows have in common are trained once, and stay
        key = model.shared_key()  # type: ignore[attr-defined]
        code, what = exp.stamp_of({}), [key, [v.key for v in videos]]
        options["shared"] = folder.parent / f"{exp.method}-{code}-{digest(what)}"
    history = model.fit(videos, folder=folder, **options)  # type: ignore[call-arg]
    shutil.rmtree(folder, ignore_errors=True)  # only a run that was cut short is taken up again
    say(
        f"Trained on {history.samples} frames in {history.seconds:.0f} s "
        f"({history.samples_per_second:.0f} frames a second)."
    )
    return model, history


# -------------------------------------------------------------------------------------- records


class Scored(Detector):
    """A detector whose scores are known already: what is measured is also what is kept."""

    def __init__(self, scores: dict[str, Scores]):
        self.scores = scores

    def fit(self, videos: list[Any], config: Any = None) -> History:
        """Nothing: it has been done."""
        return History()

    def score(self, video: Any) -> Scores:
        """The scores kept for this video; KeyError where there are none."""
        return self.scores[video.name]


def run_seed(exp: Experiment, seed: int, device: str = "auto", say: Any = print) -> dict[str, Any]:
    """Train and test one seed: rows and cost; scores and, where trained, a checkpoint beside it."""
    started, made_by = time.monotonic(), exp.stamp  # now: files may change while it runs
    say(f"{exp.name}, seed {seed}: training")
    model, history = _fit(exp, exp.detector(seed, device), seed, say)
    trained = time.monotonic() - started
    test = exp.load("test", seed)
    sha = data_sha(exp.load("train", seed) + test)
    say(f"{exp.name}, seed {seed}: testing")
    scored = Scored({v.name: model.score(v) for v in test})
    measure = evaluate_bags if exp.protocol == "evaluate_bags" else evaluate
    rows = measure(scored, test)
    write_scores(exp.name, seed, list(scored.scores.values()))
    write_truth(test)
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
    """Parameters, FLOPs of one frame forward (1 MAC = 2 FLOPs), training frames a second.

    What the network reads for one scored frame is the detector's to say: `cost_inputs(size)` is a
    tuple of tensors. Without that method it is one frame.
    """
    if not exp.trained:
        return {"params": 0}
    model.net.to(model.device).eval()
    size = SIZES[exp.profile]
    if hasattr(model, "cost_inputs"):
        inputs = model.cost_inputs(size)
    else:
        inputs = (torch.zeros(1, model.config.in_channels, *size),)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.net(*(x.to(model.device) for x in inputs))
    return {
        "params": sum(p.numel() for p in model.net.parameters()),
        "flops_per_frame": counter.get_total_flops(),
        "train_fps": round(history.samples_per_second, 1),
        "train_frames": history.samples,
    }


def data_sha(videos: Sequence[Any]) -> str:
    """Hash of what was trained and tested on: each video's name, content key and length."""
    return digest([[v.name, v.key, len(v)] for v in videos])


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
        same = old["runs"] if old and old["stamp"] == run["stamp"] else []
        runs = {r["seed"]: r for r in same if _same_data(exp, r, run["data_sha"])}
        runs[seed] = run
        record = make_record(exp, [runs[s] for s in sorted(runs)])
        write_record(record)
    return record


def _same_data(exp: Experiment, run: dict[str, Any], sha: str) -> bool:
    """Whether a run's data are today's: `sha`, or what its own seed draws."""
    if run["data_sha"] == sha:
        return True
    parts = (exp.load(split, run["seed"]) for split in ("train", "test"))
    return run["data_sha"] == data_sha([video for part in parts for video in part])


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
        "data_sha": runs[0]["data_sha"],  # of the first seed; each run holds its own
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
    own = [checkpoint_path(exp, seed), home() / "data" / scores_path(exp.name, seed)]
    before = {path: path.read_bytes() for path in own if path.exists()}
    rows = run_seed(exp, seed, device, say)["rows"]
    for path, content in before.items():  # the record's own checkpoint and scores stay
        path.write_bytes(content)
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
