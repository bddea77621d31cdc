"""Lays out a new paper: its folder, its test and its chapter, all of which run as they are."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from vadlib.errors import VadError
from vadlib.press import house

TEMPLATE = Path("vadlib", "press", "template")
PACKAGE = ("__init__", "config", "network", "detector", "rows", "claims")
SECTION = """
### `{0}`

```{{eval-rst}}
.. automodule:: {0}
   :members:
```
"""


def new(name: str, root: Path) -> list[Path]:
    """Write the files of a paper, and enter it where papers, pages and modules are listed.

    name  of its folder, such as maam
    root  of a clone of the repository
    Returns what was written. Raises VadError for a name that cannot be used or exists already, and
    where `root` is no clone of the repository; nothing is written then.
    """
    lists = [root / p for p in ("vadlib/papers/__init__.py", "_toc.yml", "book/api.md")]
    if not all(path.is_file() for path in lists) or not (root / TEMPLATE).is_dir():
        raise VadError(f"{root} is not a clone of the repository", "Run this in the root of one.")
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,23}", name) or keyword.iskeyword(name):
        raise VadError(
            f"{name!r} is not a name for a paper",
            "Use 2 to 24 lower-case letters, digits and underscores, such as maam.",
        )
    chapters = sorted(path.stem for path in (root / "book").glob("[0-9][0-9]_*.ipynb"))
    slug = f"{int(chapters[-1][:2]) + 1:02d}_{name}"
    files = _files(name, slug, root)
    there = [root / "vadlib" / "papers" / name, *files, *root.glob(f"book/[0-9][0-9]_{name}.ipynb")]
    for path in filter(Path.exists, there):
        raise VadError(f"{path.relative_to(root)} exists already", "Choose another name.")
    for path, text in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    papers, toc, api = lists
    modules = "".join(SECTION.format(f"vadlib.papers.{name}.{part}") for part in PACKAGE[1:])
    _after_last(papers, r'(?<=\n)    "\w+",\n(?=\))', f'    "{name}",\n')
    _after_last(toc, r"(?<=\n) *- file: \d\d_\w+\n", f"      - file: {slug}\n")
    _after_last(api, r"\n```\n(?=\n## In notebooks)", modules)
    return [*files, *lists, house.write(root)]


def _files(name: str, slug: str, root: Path) -> dict[Path, str]:
    """Where each file of the template goes -> its text, with the paper's name filled in.

    Raises VadError where the name would hide another that the template uses.
    """
    capitals = [part.capitalize() for part in name.split("_")]
    words = {
        "NAME": name,
        "METHOD": name.replace("_", "-"),
        "Class": "".join(capitals),
        "Title": " ".join(capitals),
        "SLUG": slug,
        "NN": slug[:2],
        "N": str(int(slug[:2])),
    }
    places = {f"{part}.py.txt": root / "vadlib/papers" / name / f"{part}.py" for part in PACKAGE}
    places["test.py.txt"] = root / "tests" / f"test_{name}.py"
    places["chapter.ipynb"] = root / "book" / f"{slug}.ipynb"
    files = {}
    for source, path in places.items():
        text = (root / TEMPLATE / source).read_text(encoding="utf-8")
        if re.search(rf"\b{words['Class']}(Net|Config)?\b", text):
            raise VadError(f"the template has a {words['Class']} already", "Choose another name.")
        for word, value in words.items():
            text = text.replace(f"@{word}@", value)
        files[path] = text
    return files


def _after_last(path: Path, pattern: str, text: str) -> None:
    """Put text behind the last match of a pattern in a file."""
    old = path.read_text(encoding="utf-8")
    end = [match.end() for match in re.finditer(pattern, old)][-1]
    path.write_text(old[:end] + text + old[end:], encoding="utf-8")
