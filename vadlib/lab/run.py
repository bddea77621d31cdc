"""The run that fills a row: train, test, measure; and the record that it leaves."""

from __future__ import annotations

import json
import resource
import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from vadlib.data.store import cache_root, digest, home, whole
from vadlib.detector import Detector, History, Scores
from vadlib.errors import VadError
from vadlib.lab.checkpoints import checkpoint_path, load_checkpoint, save_checkpoint
from vadlib.lab.experiment import Experiment, stamp_of
from vadlib.lab.lock import alone
from vadlib.lab.records import (
    commit,
    device_name,
    file_sha,
    is_headline,
    kept,
    read_records,
    records,
    run_of,
    scores_path,
    summary,
    versions,
    write_record,
    write_scores,
    write_truth,
)
from vadlib.lab.sets import SIZES
from vadlib.lab.timing import convolution_peak
from vadlib.measure.evaluate import PROTOCOLS, evaluate, evaluate_bags

MEASURES = {"evaluate": evaluate, "evaluate_bags": evaluate_bags}
SHOWN = {"average": "micro", "dropped": "frames without a score"}


# --------------------------------------------------------------------------------------- the run


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


class Trial(NamedTuple):
    """What came of training and testing one seed."""

    model: Any
    history: History
    scores: list[Scores]  # one for each test video, in order
    rows: list[dict[str, Any]]  # protocol, metric, term, value
    train: list[Any]
    test: list[Any]
    curve: list[dict[str, Any]]  # a point for each share of the training at which it was tested


def trial(exp: Experiment, seed: int, device: str = "auto", say: Any = print) -> Trial:
    """Train one seed of an experiment, test it, and measure: all that decides its numbers.

    Where the experiment asks for a curve, it is tested at each share of its training: a point that
    was measured before a kill is read, not measured again.
    """
    train, test, curve = exp.load("train", seed), exp.load("test", seed), []
    for share in exp.curve:
        kept = resume_folder(exp, seed) / f"point-{share:g}.json"
        if not kept.exists():
            _, history, _, rows = part(exp, seed, share, train, test, device, say)
            with whole(kept) as file:
                file.write_text(json.dumps(point(share, history, rows)))
        curve.append(json.loads(kept.read_text()))
    model, history, scores, rows = part(exp, seed, 1.0, train, test, device, say)
    if curve:
        curve.append(point(1.0, history, rows))
    return Trial(model, history, scores, rows, train, test, curve)


def part(
    exp: Experiment, seed: int, share: float, train: list, test: list, device: str, say: Any
) -> tuple[Any, History, list[Scores], list[dict[str, Any]]]:
    """The detector trained for a share of the passes; what it scores, and the measures of that."""
    so_far = f", {share:.0%} of the training" if exp.curve else ""
    say(f"{exp.name}, seed {seed}{so_far}: training")
    model = exp.detector(seed, device, share)
    history = fit(exp, model, train, seed, say)
    say(f"{exp.name}, seed {seed}{so_far}: testing")
    scores = {v.name: model.score(v) for v in test}
    return model, history, list(scores.values()), MEASURES[exp.protocol](Scored(scores), test)


def point(share: float, history: History, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One point of a curve: what was spent, what the loss came to, and what was measured."""
    return {
        "share": share,
        "samples": history.samples,
        "flops": history.flops,
        "cpu_s": round(history.cpu_seconds, 1),
        "seen": history.seen,
        "held_out": history.held_out,
        "rows": rows,
    }


def fit(exp: Experiment, model: Any, videos: list[Any], seed: int, say: Any = print) -> History:
    """Train a detector, or go on where a training was killed; parts that rows share, once."""
    if not exp.trained:
        return model.fit(videos)
    say(f"Training {exp.name} on {sum(map(len, videos)):,} frames; the bar shows the time left.")
    folder, options = resume_folder(exp, seed), {}
    if hasattr(model, "shared_key"):  # parts that rows have in common are trained once, and stay
        code, what = stamp_of(exp, {}), [model.shared_key(), [v.key for v in videos]]
        options["shared"] = folder.parent / f"{exp.method.name}-{code}-{digest(what)}"
    history = model.fit(videos, folder=folder, **options)
    say(
        f"Trained on {history.samples} frames in {history.seconds:.0f} s "
        f"({history.samples_per_second:.0f} frames a second)."
    )
    return history


def resume_folder(exp: Experiment, seed: int) -> Path:
    """Where a training keeps what it needs to go on after a kill."""
    return cache_root() / "runs" / f"{exp.name}-s{seed}-{exp.stamp}"


def train_or_load(
    exp: Experiment, seed: int = 0, device: str = "auto", say: Any = print
) -> tuple[Any, History]:
    """The trained detector of an experiment: its committed checkpoint, else trained now.

    A checkpoint of older code is loaded and the notice says so; one that belongs to the repository
    and is missing is an error, never a reason to train in silence. Without one, training goes on
    where it was killed.
    """
    model, path = exp.detector(seed, device), checkpoint_path(exp, seed)
    found = path if path.exists() else kept("checkpoints") / path.name
    if found.exists():
        content = load_checkpoint(found, model)
        if content["stamp"] != exp.stamp and not _current(exp, seed, found):
            say(f"Notice: {path.name} was made by older code than today's; its numbers may differ.")
        minutes = content["history"]["seconds"] / 60
        say(f"Loaded {path.name}, trained for {minutes:.1f} minutes.")
        return model, History(**content["history"])
    if seed in exp.committed:
        raise VadError(
            f"{path} is missing",
            f"It belongs to the repository: restore it with git, or make it again with "
            f"`vadlib reproduce {exp.name} --seed {seed}`.",
        )
    history = fit(exp, model, exp.load("train", seed), seed, say)
    forget(exp, seed)
    return model, history


def _current(exp: Experiment, seed: int, path: Path) -> bool:
    """Whether a checkpoint is the one that a record of today's code, or confirmed by it, left."""
    try:
        run, state = run_of(exp.name, seed), records({exp.name: exp})
    except VadError:
        return False
    stale = all(r["stale"] for r in state if r["name"] == exp.name)
    return run.get("files", {}).get("checkpoint") == file_sha(path) and not stale


def forget(exp: Experiment, seed: int) -> None:
    """Only a run that was cut short is taken up again: what is whole and kept leaves nothing."""
    shutil.rmtree(resume_folder(exp, seed), ignore_errors=True)


# -------------------------------------------------------------------------------------- the record


def run_seed(exp: Experiment, seed: int, device: str = "auto", say: Any = print) -> dict[str, Any]:
    """Train and test one seed: rows and cost; scores and, where trained, a checkpoint beside it."""
    started, made_by = time.monotonic(), exp.stamp  # now: files may change while it runs
    own = getattr(exp, "trial", None)  # an eye chart has its own test
    done = own(seed, device, say) if own else trial(exp, seed, device, say)
    sha = data_sha(done.train + done.test)
    left = {"scores": write_scores(exp.name, seed, done.scores), "labels": write_truth(done.test)}
    if exp.trained:
        left["checkpoint"] = checkpoint_path(exp, seed)
        # wide networks are too large to keep whole; those of the default pages come with each copy
        half = exp.profile in ("long", "full") or exp.data == "plaza-clear"
        save_checkpoint(left["checkpoint"], done.model, exp.name, made_by, sha, done.history, half)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seed": seed,
        "stamp": made_by,
        "rows": done.rows,
        "data_sha": sha,
        "label_sha": digest(*(v.labels for v in done.test)),
        "train_s": round(done.history.seconds, 1),
        "wall_s": round(time.monotonic() - started, 1),
        "peak_mb": round(peak),
        "cost": cost(done.model, exp, done.history),
        "files": {what: file_sha(path) for what, path in left.items()},
        **({"curve": done.curve} if done.curve else {}),
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
        **(effort(history) if history.flops else {}),
    }


def effort(history: History) -> dict[str, Any]:
    """What training took: FLOPs, CPU time, precision, and its share of what this machine can do."""
    speed = history.flops / max(history.cpu_seconds, 1e-9)
    precision = "bfloat16" if history.precision == "bfloat16" else "float32"
    return {
        "train_flops": history.flops,
        "train_cpu_s": round(history.cpu_seconds, 1),
        "train_gflops_per_cpu_s": round(speed / 1e9, 1),
        "convolution_peak_share": round(speed / convolution_peak(precision), 3),
        "precision": history.precision,
    }


def data_sha(videos: Sequence[Any]) -> str:
    """Hash of what was trained and tested on: each video's name, content key and length."""
    return digest([[v.name, v.key, len(v)] for v in videos])


def reproduce(
    exp: Experiment, seeds: Sequence[int] | None = None, device: str = "auto", say: Any = print
) -> dict[str, Any]:
    """Run an experiment seed by seed; the record is written after each, so a kill loses one.

    Seeds that were recorded by the same code on the same data stay in the record. Where another
    process is at a seed already, its end is waited for, and what it recorded is taken.
    Raises VadError when the data set is not on this machine.
    """
    record = {}
    for seed in seeds or exp.seeds:
        with alone(f"{exp.name} seed {seed}", say) as waited:
            if waited and (found := recorded(exp, seed)):
                record = found
                continue
            record = add(exp, run_seed(exp, seed, device, say))
            forget(exp, seed)
    return record


def recorded(exp: Experiment, seed: int) -> dict[str, Any] | None:
    """The record of an experiment, where today's code made or confirmed it and it has the seed."""
    found = next((r for r in read_records() if r["name"] == exp.name), None)
    if found is None or seed not in found["seeds"]:
        return None
    return (
        found if exp.stamp in {found["stamp"], *(c["stamp"] for c in found["confirmed"])} else None
    )


def add(exp: Experiment, run: dict[str, Any]) -> dict[str, Any]:
    """Write a run into its record, and return that; of two that end at once, neither is lost."""
    with alone(f"{exp.name} record"):
        old = next((r for r in read_records() if r["name"] == exp.name), None)
        same = old["runs"] if old and old["stamp"] == run["stamp"] else []
        runs = {r["seed"]: r for r in same if _same_data(exp, r, run["data_sha"])}
        runs[run["seed"]] = run
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
    seeds, chosen = [run["seed"] for run in runs], {"chosen on test": exp.chosen}
    rows = [summary([run["rows"][i] for run in runs]) for i in range(len(runs[0]["rows"]))]
    return {
        "name": exp.name,
        "method": exp.method.name,
        "data": exp.data,
        "profile": exp.profile,
        "note": exp.note,
        "command": f"vadlib reproduce {exp.name} --seed {' '.join(map(str, seeds))}",
        "config": exp.config_dict,
        "seeds": seeds,
        "results": rows,
        "protocols": {n: SHOWN | settings | chosen for n, settings in PROTOCOLS.items()},
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


def confirm(exp: Experiment, seed: int, device: str = "auto", say: Any = print) -> dict[str, Any]:
    """Run one seed again at today's code; where its headline AUC agrees, mark the record so.

    "Agrees" is within two standard deviations of the seeds, and at least 0.1 points (a record of
    one seed has no spread). Raises VadError where it does not, and where there is no record.
    """
    record = next((r for r in read_records() if r["name"] == exp.name), None)
    if record is None:
        raise VadError(f"there is no record of {exp.name}", f"Make it: vadlib reproduce {exp.name}")
    own = [checkpoint_path(exp, seed), home() / "data" / scores_path(exp.name, seed)]
    before = {path: path.read_bytes() for path in own if path.exists()}
    rows = run_seed(exp, seed, device, say)["rows"]
    for path, content in before.items():  # the record's own checkpoint and scores stay
        path.write_bytes(content)
    forget(exp, seed)
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
