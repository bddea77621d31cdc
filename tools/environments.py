"""Two chapters in an environment of their own: the oldest versions that are allowed, or the newest.

The oldest are the minor releases that pyproject.toml names as lower bounds. `make oldest` and
`make newest` install the library as a reader would, without the repository at hand, and run what
Colab opens in an empty folder. Needs 6 GB of disk, and some minutes. What passed is noted in
book/environments.json, which the status page shows.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

from vadlib.press import pages

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = ("02_data", "07_maam_net")  # decoding, flow and figures; a network that is trained
NOTED = ("python", "torch", "numpy", "opencv-python-headless")  # what the page names
RUNNER = ("papermill", "ipykernel")  # not the library's: they run the notebook, as Colab does


def wanted(which: str) -> list[str]:
    """What pip is asked for: the library's own requirements, or their lower bounds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = project["dependencies"]
    if which == "newest":
        return asked
    return [re.sub(r">=([\d.]+).*", r"==\1.*", one) for one in asked]


def install(python: Path, which: str) -> dict[str, str]:
    """The library and what it stands on. Returns the versions by name."""
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", *wanted(which), *RUNNER], check=True)
    with tempfile.TemporaryDirectory() as folder:  # setuptools builds where it stands
        subprocess.run([*pip, "install", "--quiet", "--no-deps", copied(Path(folder))], check=True)
    said = subprocess.run([*pip, "list", "--format=json"], capture_output=True, check=True).stdout
    found = {one["name"].lower(): one["version"] for one in json.loads(said)}
    return found | {"python": platform.python_version()}


def copied(folder: Path) -> Path:
    """What the library is made of, in a folder of its own."""
    for part in ("pyproject.toml", "README.md", "data/manifest.json"):
        (folder / part).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / part, folder / part)
    for part in ("vadlib", "data/results", "data/checkpoints", "data/scores"):
        shutil.copytree(ROOT / part, folder / part)
    return folder


def run(python: Path, folder: Path) -> None:
    """Execute the plain notebooks in an empty folder; the library is the installed one."""
    sources = {name: ROOT / "book" / f"{name}.ipynb" for name in CHAPTERS}
    pages.write_notebooks(ROOT, folder / "notebooks", sources)
    empty = folder / "empty"
    empty.mkdir()
    hidden = {"PYTHONPATH", "VADLIB_DATA", "VADLIB_CACHE"}
    around = {k: v for k, v in os.environ.items() if k not in hidden} | {"HOME": str(folder)}
    for name in CHAPTERS:
        print(f"{name} ...", flush=True)
        source, done = folder / "notebooks" / f"{name}.ipynb", folder / f"{name}-done.ipynb"
        command = [python, "-m", "papermill", "--no-progress-bar", "-k", "python3", source, done]
        subprocess.run([*command, "--cwd", empty], check=True, env=around, cwd=empty)


def note(path: Path, which: str, found: dict[str, str]) -> None:
    """Write what passed, and when, beside what is known of the other environment."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    versions = {name: found[name] for name in NOTED}
    known[which] = {"date": today, "chapters": list(CHAPTERS), "versions": versions}
    path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def main() -> int:
    about = argparse.ArgumentParser(description=__doc__)
    about.add_argument("which", choices=("oldest", "newest"))
    about.add_argument("--keep", type=Path, help="a folder for the environment, kept for next time")
    options = about.parse_args()
    folder = Path(tempfile.mkdtemp())
    home = options.keep or folder / "env"
    try:
        venv.create(home, with_pip=True, symlinks=True)
        python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
        found = install(python, options.which)
        run(python, folder)
    except subprocess.CalledProcessError as error:
        print(f"{options.which}: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder)
    note(ROOT / "book" / "environments.json", options.which, found)
    print(f"passed with {', '.join(f'{name} {found[name]}' for name in NOTED)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
