"""Whether records say what their kept scores give: every number that can be measured again, is."""

from __future__ import annotations

from typing import Any

from vadlib.data.store import digest
from vadlib.errors import VadError
from vadlib.lab.checkpoints import checkpoint_of
from vadlib.lab.experiment import Experiment
from vadlib.lab.records import file_sha, kept, read_scores, read_truth, truth_path
from vadlib.lab.run import MEASURES, Scored

CLOSE = 5e-5  # scores are kept as float32: that makes ties, and a tie counts one half


def disagreements(record: dict[str, Any], exp: Experiment) -> list[str]:
    """What is wrong with a record of an experiment, in words; nothing where all agrees.

    Its numbers are measured again from the scores and labels that its runs left (not those of maps,
    which are not kept), and its files must hash as it says.
    """
    found, measure = [], MEASURES[exp.protocol]
    for run in record["runs"]:
        where = f"{record['name']}, seed {run['seed']}"
        try:
            scores = read_scores(record["name"], run["seed"])
            truth: list[Any] = read_truth(record["name"], run["seed"])
        except VadError as error:
            found.append(f"{where}: {error}")
            continue
        if digest(*(t.labels for t in truth)) != run["label_sha"]:
            found.append(f"{where}: other labels")
        rows = measure(Scored({s.video: s for s in scores}), truth)
        again = {(r["protocol"], r["metric"], r["term"]): r["value"] for r in rows}
        for row in run["rows"]:
            new = again.get((row["protocol"], row["metric"], row["term"]))
            if new is not None and abs(new - row["value"]) > CLOSE:
                what = f"{row['metric']} of {row['term']} ({row['protocol']})"
                found.append(f"{where}: {what} is {row['value']:.6f}, its scores give {new:.6f}")
        found += [f"{where}: {what}" for what in _files(record["name"], run)]
    return found


def _files(name: str, run: dict[str, Any]) -> list[str]:
    """Which of the files that a run left are not as it left them."""
    places = {
        "labels": kept("scores") / truth_path(run["label_sha"]).name,
        "checkpoint": checkpoint_of(name, run["seed"]),
    }
    wrong = []
    for what, path in places.items():
        sha = run.get("files", {}).get(what)
        # most checkpoints stay on the machine that made them
        if sha and path.exists() and file_sha(path) != sha:
            wrong.append(f"{path.name} is not what the run left")
    return wrong
