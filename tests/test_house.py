"""The house as a whole: its drawing, the library page, the names in prose, and a new paper."""

import ast
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vadlib.errors import VadError
from vadlib.press import house
from vadlib.press.new import new

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "CONTRIBUTING.md", ROOT / "README.md"]
PAGES += sorted(p for p in (ROOT / "book").glob("*") if p.suffix in (".md", ".ipynb"))
LINT = Path(sys.executable).with_name("lint-imports")
# of a file's or a room's lines, which every change moves
NUMBER = re.compile(r"\xa0\d+|\d+ lines")


# ------------------------------------------------------------------------------------- the drawing


def test_the_committed_drawing_shows_the_house_as_it_is():
    drawn = (ROOT / house.PLACE).read_text(encoding="utf-8")
    assert NUMBER.sub("", drawn) == NUMBER.sub("", house.drawing(ROOT)), (
        "rooms, files or arrows have changed: python -m vadlib.press.house draws them anew"
    )


def small_house(root, **files):
    """A library of files that hold these lines, and layers in their order."""
    (root / "vadlib").mkdir()
    for name, text in files.items():
        (root / "vadlib" / f"{name}.py").write_text(text)
    contract = (
        f'[[tool.importlinter.contracts]]\ntype = "layers"\nlayers = {json.dumps([*files])}\n'
    )
    (root / "pyproject.toml").write_text(contract)
    return root


def test_arrows_are_the_imports(tmp_path):
    top = "def f():\n    from vadlib import low\n\n    import vadlib.middle\n    import numpy\n"
    small_house(tmp_path, top=top, middle='"""Words."""\nX = 1\n', low="X = 1\nY = 2\nZ = 3\n")
    top, middle, low = house.rooms(tmp_path)
    assert top.uses == {"low", "middle"} and not middle.uses and not low.uses
    assert middle.about == "Words." and low.files == {"": [("low", 3)]}
    drawn = house.drawing(tmp_path)
    assert drawn.count("stands on") == 2 and "top stands on low" in drawn


def test_lines_alone_put_no_drawing_out_of_date(tmp_path):
    small_house(tmp_path, one="X = 1\nY = 2\n", two="X = 1\nY = 2\n")
    before = house.drawing(tmp_path)
    (tmp_path / "vadlib" / "two.py").write_text("X = 1\nY = 2\nZ = 3\n")
    assert before != house.drawing(tmp_path)
    assert NUMBER.sub("", before) == NUMBER.sub("", house.drawing(tmp_path))
    (tmp_path / "vadlib" / "two.py").write_text("from vadlib import one\nY = 2\n")
    assert NUMBER.sub("", before) != NUMBER.sub("", house.drawing(tmp_path))
    assert "two stands on one" in house.drawing(tmp_path), "what goes up is drawn too"


def test_a_house_without_plan_or_room_is_refused(tmp_path):
    with pytest.raises(VadError, match="no contract of layers"):
        house.rooms(tmp_path)
    small_house(tmp_path, one="", two="")
    (tmp_path / "vadlib" / "two.py").unlink()
    with pytest.raises(VadError, match="two has no files"):
        house.rooms(tmp_path)


def test_the_library_page_lists_every_module():
    """But for the builder and the command line; a package that holds a title alone says nothing."""
    listed = re.findall(r"automodule:: (\S+)", (ROOT / "book" / "api.md").read_text())
    assert len(set(listed)) == len(listed)
    modules = set()
    for path in (ROOT / "vadlib").rglob("*.py"):
        package = path.name == "__init__.py"
        parts = path.relative_to(ROOT).with_suffix("").parts
        lone_title = package and len(ast.parse(path.read_text()).body) == 1
        if parts[1] not in ("press", "__main__", "__init__") and not lone_title:
            modules.add(".".join(parts[:-1] if package else parts))
    assert set(listed) == modules


# ------------------------------------------------------------------------------- the names in prose


def prose(path):
    """(where, text) of each part of a page that is prose."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return [("", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))]
    cells = json.loads(text)["cells"]
    return [(c["id"], "".join(c["source"])) for c in cells if c["cell_type"] == "markdown"]


def imported(path):
    """Name that the code of a chapter imports -> what of vadlib it stands for."""
    found = {}
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"] if path.suffix != ".md" else []
    code = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    for line in re.findall(r"^ *(from vadlib.* import (?:\([^)]*\)|.*))", code, re.M):
        for node in ast.parse(line).body:
            found |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return found


def resolves(name):
    """Whether a dotted name can be reached: modules as far as they go, then attributes."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            value = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            if part in getattr(value, "__annotations__", {}):  # a field has no value of its own
                return True
            if not hasattr(value, part):
                return False
            value = getattr(value, part)
        return True
    return False


MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted((ROOT / "vadlib").rglob("*.py"))
]
NAME = re.compile(r"(?<![\w/.-])[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+(?![\w/])")


def unresolved(path):
    """Names of the library in the code spans of a page that lead nowhere.

    `memory.Memory` is looked up where the chapter imports `memory` from, else in every module of
    that name; a name that is not imported may also be a variable, such as `video.frames`.
    """
    own = imported(path)
    for where, text in prose(path):
        for span in re.findall(r"`([^`\n]+)`", text):
            for file in re.findall(r"\bvadlib/[\w/]+(?:\.py)?", span):
                if "NAME" not in file and not (ROOT / file).exists():
                    yield f"{where}: {file}"
            for name in NAME.findall(span):
                first, _, rest = name.partition(".")
                homes = [own[first]] if first in own else []
                homes = homes or [m for m in MODULES if m.split(".")[-1] == first]
                variable = first not in own and first != "vadlib" and rest[0].islower()
                file = name.endswith((".py", ".json", ".toml", ".npz", ".md"))
                if homes and not (variable or file or any(resolves(f"{h}.{rest}") for h in homes)):
                    yield f"{where}: {name}"


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_names_in_prose_exist(path):
    lost = list(unresolved(path))
    assert not lost, lost


# ------------------------------------------------------------------------------------- a new paper

CHECKING = ("sixth_paper", "notebooks", "house", "claims", "exercises")


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """What of the repository a new paper touches or is checked by."""
    root = tmp_path_factory.mktemp("clone")
    for name in ("vadlib", "tests", "book"):
        skip = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(ROOT / name, root / name, ignore=skip)
    for name in ("pyproject.toml", "_toc.yml", "_config.yml"):
        shutil.copy(ROOT / name, root)
    return root


def call(root, *command):
    """Run a command in a copy of the repository; its output where it failed."""
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [str(part) for part in command], cwd=root, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_new_paper_passes_everything_as_it_is(clone):
    said = call(clone, sys.executable, "-m", "vadlib", "new", "sixth_paper").split()
    last = max(p.stem for p in (ROOT / "book").glob("[0-9][0-9]_*.ipynb"))
    chapter = f"{int(last[:2]) + 1:02d}_sixth_paper"
    parts = ("__init__", "config", "network", "detector", "rows", "claims")
    assert {f"vadlib/papers/sixth_paper/{part}.py" for part in parts} <= set(said)
    assert (
        f"book/{chapter}.ipynb" in said and f"- file: {chapter}" in (clone / "_toc.yml").read_text()
    )
    own = [path for path in said if path.endswith(".py")]
    call(clone, sys.executable, "-m", "ruff", "check", *own)
    call(clone, sys.executable, "-m", "ruff", "format", "--check", *own)
    call(clone, LINT, "--no-cache")
    tests = [clone / "tests" / f"test_{name}.py" for name in CHECKING]
    chosen = f"sixth_paper or sixth-paper or {chapter[:2]}-ex or committed_drawing or every_module"
    call(clone, sys.executable, "-m", "pytest", *tests, "-k", f"({chosen}) and not as_it_is")


def test_lint_sees_an_import_that_goes_up(clone):
    (clone / "vadlib" / "data" / "wrong.py").write_text("from vadlib.lab import train\n")
    (clone / "vadlib" / "papers" / "maam" / "wrong.py").write_text(
        "import vadlib.papers.msti.network\n"
    )
    done = subprocess.run([LINT, "--no-cache"], cwd=clone, capture_output=True, text=True)
    assert done.returncode == 1 and "2 broken" in done.stdout
    assert "vadlib.data.wrong -> vadlib.lab.train" in done.stdout


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("Sixth", "is not a name"),
        ("sixth-paper", "is not a name"),
        ("import", "is not a name"),
        ("maam", "exists already"),
        ("layers", "exists already"),
        ("maam_net", "book/07_maam_net.ipynb exists already"),
        ("book", "tests/test_book.py exists already"),
        ("video", "has a Video already"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused(name, problem):
    before = (ROOT / "_toc.yml").read_text()
    with pytest.raises(VadError, match=problem):
        new(name, ROOT)
    assert (ROOT / "_toc.yml").read_text() == before


def test_a_place_that_is_no_clone_is_refused(tmp_path):
    with pytest.raises(VadError, match="is not a clone of the repository"):
        new("sixth", tmp_path)
    assert not list(tmp_path.iterdir())
