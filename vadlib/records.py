"""Records: the JSON that every number on every page comes from, and where it came from; and the
scores behind it, so that two methods can be compared video by video without training again."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sysconfig
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vadlib.data.store import home
from vadlib.detector import Scores
from vadlib.errors import VadError

NEEDED = ("name", "method", "data", "profile", "seeds", "results", "stamp", "confirmed")


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

    Raises VadError naming a file that is no record.
    """
    found = []
    for path in sorted((folder or kept("results")).glob("*.json")):
        if path.name == "chapters.json":  # the chapters' times, not a record
            continue
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            missing = [key for key in NEEDED if key not in record]
        except ValueError as error:
            raise VadError(f"{path} is not JSON ({error})", "Restore it with git.") from error
        if missing:
            raise VadError(f"{path} lacks {', '.join(missing)}", "Restore it with git.")
        found.append(record | {"path": str(path)})
    return found


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The same row of several seeds as one: the values, their mean and sample deviation."""
    values = [row["value"] for row in rows]
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    shown = {k: rows[0][k] for k in ("protocol", "metric", "term")}
    return shown | {"values": values, "mean": float(np.mean(values)), "sd": sd}


def write_record(record: dict[str, Any]) -> Path:
    path = results_folder() / f"{record['name']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    kept = {k: v for k, v in record.items() if k not in ("stale", "path")}
    part.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)
    return path


def scores_path(name: str, seed: int) -> Path:
    """Where the scores of one run are kept, under data/ of the repository or of pip's copy."""
    return Path("scores") / f"{name}-s{seed}.npz"


def write_scores(name: str, seed: int, scores: Sequence[Scores]) -> Path:
    """Keep the frame scores of a run and their terms, without heatmaps, as float32."""
    path = home() / "data" / scores_path(name, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for number, s in enumerate(scores):
        parts = {"index": s.index, "frame": s.frame} | {f"term {k}": v for k, v in s.terms.items()}
        kept = {k: v.astype(np.int32 if k == "index" else np.float32) for k, v in parts.items()}
        arrays |= {f"{number:04d}|{s.video}|{k}": v for k, v in kept.items()}
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(file, **arrays)
    os.replace(part, path)
    return path


def read_scores(name: str, seed: int) -> list[Scores]:
    """The scores that a run left, one for each test video, in order.

    Raises VadError naming the file when it is missing or damaged.
    """
    path = kept("scores") / scores_path(name, seed).name
    if not path.exists():
        raise VadError(f"{path} is missing", f"Make it: vadlib reproduce {name} --seed {seed}")
    found: dict[str, dict[str, np.ndarray]] = {}
    try:
        with np.load(path) as file:
            for key in file.files:
                number, video, part = key.split("|")
                found.setdefault(f"{number}|{video}", {})[part] = file[key]
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise VadError(f"{path} is not a file of scores", "Restore it with git.") from error
    return [
        Scores(
            key.split("|")[1],
            parts["frame"],
            parts["index"],
            terms={k.removeprefix("term "): v for k, v in parts.items() if k.startswith("term ")},
        )
        for key, parts in sorted(found.items())
    ]


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
    names = ("torch", "numpy", "opencv-python-headless", "scikit-learn", "lightning")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "unknown"
    return found


def device_name() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU ({platform.machine()}, {torch.get_num_threads()} threads)"
