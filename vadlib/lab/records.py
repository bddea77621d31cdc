"""Records: the JSON that every number on every page comes from, and where it came from; and the
scores behind it, so that two methods can be compared video by video without training again."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
import sysconfig
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vadlib.data.schema import check
from vadlib.data.store import digest, home, whole
from vadlib.detector import Scores
from vadlib.errors import VadError
from vadlib.lab.schema import Record
from vadlib.lab.stamp import unchanged

RESTORE = "Restore it with git, or make it again: vadlib reproduce NAME."


# where pip puts the records and checkpoints of the book (pyproject.toml), as in Colab
INSTALLED = Path(sysconfig.get_path("data")) / "share" / "vadlib"


def results_folder() -> Path:
    """Where records are written."""
    return home() / "data" / "results"


def kept(folder: str) -> Path:
    """`data/FOLDER` of this repository; where there is none, the copy that pip installed."""
    own = home() / "data" / folder
    return own if own.exists() else INSTALLED / folder


def read_records(folder: Path | None = None) -> list[dict[str, Any]]:
    """All records of a folder, by name, each with its "path".

    Raises VadError naming a file that is no record, that is not what its hash says (somebody
    changed it by hand), or whose name is another's.
    """
    found = sorted((folder or kept("results")).glob("*.json"))
    # chapters.json holds the chapters' times, no record
    return [read_record(path) for path in found if path.name != "chapters.json"]


def read_record(path: Path) -> dict[str, Any]:
    """One record, with its "path". Raises VadError as `read_records` does."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        name = path.stem
        raise VadError(f"there is no record {name}", f"Make it: vadlib reproduce {name}") from error
    except (ValueError, OSError, RecursionError) as error:
        raise VadError(f"{path} is not JSON ({error})", RESTORE) from error
    check(Record, record, str(path), RESTORE)
    if record["name"] != path.stem:
        raise VadError(f"{path} is the record of {record['name']}", RESTORE)
    if content_sha(record) != record.get("sha"):
        raise VadError(f"{path} is not what its hash says: it was changed by hand", RESTORE)
    return record | {"path": str(path)}


def content_sha(record: dict[str, Any]) -> str:
    """Hash of all that a record says."""
    own = {k: v for k, v in record.items() if k not in ("sha", "path", "stale")}
    return digest(own)


def records(known: Mapping[str, Any], folder: Path | None = None) -> list[dict[str, Any]]:
    """All records, by name, each with "stale": made by, and not confirmed at, today's code.

    known  the experiments of today, by name
    Raises VadError naming a file that is no record.
    """
    found = []
    with unchanged():
        for record in read_records(folder):
            stamps = {record["stamp"], *(c["stamp"] for c in record["confirmed"])}
            exp = known.get(record["name"])
            found.append(record | {"stale": exp is None or exp.stamp not in stamps})
    return found


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The same row of several seeds as one: the values, their mean and sample deviation."""
    values = [row["value"] for row in rows]
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    shown = {k: rows[0][k] for k in ("protocol", "metric", "term")}
    return shown | {"values": values, "mean": float(np.mean(values)), "sd": sd}


def write_record(record: dict[str, Any]) -> Path:
    """Write a record whole or not at all, under its own name, with a hash of what it says.

    Returns the path. Raises VadError for one that is not whole.
    """
    path = results_folder() / f"{record['name']}.json"
    own = {k: v for k, v in record.items() if k not in ("stale", "path", "sha")}
    text = json.loads(json.dumps(own))  # as it will be read: lists for tuples
    text["sha"] = content_sha(text)
    check(Record, text, record["name"], "Look at the run that made it.")
    with whole(path) as part:
        part.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
    return path


def is_headline(row: dict[str, Any]) -> bool:
    """Whether a row is the one number that stands for its record."""
    return (row["protocol"], row["metric"], row["term"]) == ("headline", "auc", "score")


def scores_path(name: str, seed: int) -> Path:
    """Where the scores of one run are kept, under data/ of the repository or of pip's copy."""
    return Path("scores") / f"{name}-s{seed}.npz"


def write_scores(name: str, seed: int, scores: Sequence[Scores]) -> Path:
    """Keep the frame scores of a run and their terms, without heatmaps, as float32."""
    found = []
    for s in scores:
        parts = {"index": s.index, "frame": s.frame} | {f"term {k}": v for k, v in s.terms.items()}
        kept = {k: v.astype(np.int32 if k == "index" else np.float32) for k, v in parts.items()}
        found.append((s.video, kept))
    return _write(home() / "data" / scores_path(name, seed), found)


def run_of(name: str, seed: int) -> dict[str, Any]:
    """What the record of an experiment says about one seed. Raises VadError where it has none."""
    path = kept("results") / f"{name}.json"
    runs = read_record(path)["runs"] if path.exists() else []
    for run in runs:
        if run["seed"] == seed:
            return run
    again = f"vadlib reproduce {name} --seed {seed}"
    raise VadError(f"there is no record of {name} with seed {seed}", f"Make it: {again}")


def read_scores(name: str, seed: int) -> list[Scores]:
    """The scores that a run left, one for each test video, in order.

    Raises VadError naming the file when it is missing, damaged, or not what the run left.
    """
    path, run = kept("scores") / scores_path(name, seed).name, run_of(name, seed)
    again = f"vadlib reproduce {name} --seed {seed}"
    if path.exists() and run.get("files", {}).get("scores") not in (None, file_sha(path)):
        raise VadError(f"{path} is damaged: it is not what the run left", f"Make it: {again}")
    return [
        Scores(
            video,
            parts["frame"],
            parts["index"],
            terms={k.removeprefix("term "): v for k, v in parts.items() if k.startswith("term ")},
        )
        for video, parts in _read(path, again)
    ]


def file_sha(path: Path) -> str:
    """Hash of what a file holds."""
    return digest(path.read_bytes())


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known about a test video's frames, without the frames: all that its scores need.

    labels  (T,) uint8; truth: {"kind": (T,) str} where kinds are known, else empty
    """

    name: str
    labels: np.ndarray
    truth: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.labels)


def truth_path(label_sha: str) -> Path:
    """Where labels are kept: under the hash of them that a record holds."""
    return Path("scores") / f"labels-{label_sha}.npz"


def write_truth(videos: Sequence[Any]) -> Path:
    """Keep labels, and kinds where they are known, so that scores can be used without the films."""
    parts = [
        {"labels": v.labels} | {k: x for k, x in v.truth.items() if k == "kind"} for v in videos
    ]
    path = home() / "data" / truth_path(digest(*(v.labels for v in videos)))
    return _write(path, list(zip([v.name for v in videos], parts, strict=True)))


def read_truth(name: str, seed: int) -> list[Truth]:
    """What a run of a record was measured against, one for each of `read_scores`, in order.

    Raises VadError when there is no such run, and when the file is missing, damaged, or does not
    hold the labels that the record says.
    """
    again = f"vadlib reproduce {name} --seed {seed}"
    sha = run_of(name, seed)["label_sha"]
    path = kept("scores") / truth_path(sha).name
    found = [
        Truth(video, parts["labels"], {k: v for k, v in parts.items() if k == "kind"})
        for video, parts in _read(path, again)
    ]
    if digest(*(t.labels for t in found)) != sha:
        raise VadError(f"{path} holds other labels than its name says", "Restore it with git.")
    return found


def _write(path: Path, videos: Sequence[tuple[str, dict[str, np.ndarray]]]) -> Path:
    """Named arrays of each video, in order, as one file, which takes its name when it is whole."""
    arrays: dict[str, Any] = {}
    for number, (video, parts) in enumerate(videos):
        arrays |= {f"{number:04d}|{video}|{k}": v for k, v in parts.items()}
    with whole(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)
    return path


def _read(path: Path, again: str) -> list[tuple[str, dict[str, np.ndarray]]]:
    """What `_write` wrote; `again` is the command that makes the file."""
    if not path.exists():
        raise VadError(f"{path} is missing", f"Make it: {again}")
    found: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    try:
        with np.load(path) as file:
            for key in file.files:
                number, video, part = key.split("|")
                found.setdefault((number, video), {})[part] = file[key]
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise VadError(f"{path} is damaged", "Restore it with git.") from error
    return [(video, parts) for (_, video), parts in sorted(found.items(), key=lambda x: x[0])]


def commit() -> str:
    """The commit that is checked out, with "+" where files differ from it; "" outside git."""
    try:
        run = lambda *a: subprocess.run(  # noqa: E731
            ["git", "-C", str(home()), *a], capture_output=True, text=True, check=True
        ).stdout.strip()
        dirty = run("status", "--porcelain", "--untracked-files=no", "--", "vadlib")
        return run("rev-parse", "HEAD") + ("+" if dirty else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that a number may hang on."""
    names = ("torch", "numpy", "opencv-python-headless", "scikit-learn", "lightning")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "unknown"
    return found


def device_name() -> str:
    """The GPU by its name, or the CPU with its threads."""
    import torch  # slow to load, and reading records needs none of it

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU ({platform.machine()}, {torch.get_num_threads()} threads)"
