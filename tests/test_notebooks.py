"""The form of every notebook: what CONTRIBUTING.md asks for, checked."""

import json
import re
import statistics
import subprocess
from pathlib import Path

import pytest

from vadlib.press import pages

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))
CHAPTERS = [path for path in NOTEBOOKS if path.name[0].isdigit()]
FIRST = ["title", "setup", "parameters-note", "parameters"]
DRAWS = re.compile(
    r"\bplot\.(diagram|score_strip|heat_over_frame|flow_wheel|flow_arrows|roc|sheet)\("
    r"|\bplt\.(subplots|figure|plot|imshow|bar|hist)\(|\bsns\.\w+plot\("
)
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
METHODS = [path for path in CHAPTERS if "07" <= path.name < "13"]
each_method = pytest.mark.parametrize("path", METHODS, ids=lambda p: p.stem)


def cells(path, kind=None):
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for cell in found:
        cell["text"] = "".join(cell["source"])
    return [cell for cell in found if kind in (None, cell["cell_type"])]


def tags(cell):
    return cell["metadata"].get("tags", [])


def code_lines(cell):
    return sum(bool(line.strip()) for line in cell["text"].splitlines())


@each_notebook
def test_notebooks_are_committed_without_outputs(path):
    for cell in cells(path, "code"):
        assert cell["outputs"] == [] and cell["execution_count"] is None, cell["id"]
    assert "widgets" not in json.loads(path.read_text(encoding="utf-8"))["metadata"]


@each_notebook
def test_cells_have_names_of_their_own(path):
    ids = [cell.get("id", "") for cell in cells(path)]
    assert len(set(ids)) == len(ids)
    for name in ids:
        assert re.fullmatch(r"[a-z][a-z0-9-]*", name), f"cell id {name!r} is not a slug"
        assert not re.fullmatch(r"[0-9a-f]{8,}", name), f"cell id {name!r} was made by a machine"


@each_notebook
def test_parameters_are_the_three_that_the_runner_knows(path):
    tagged = [cell for cell in cells(path, "code") if "parameters" in tags(cell)]
    assert [c["text"] for c in tagged] == ['PROFILE = "smoke"\nSEED = 0\nDEVICE = "auto"']


@each_notebook
def test_cells_are_short_and_prose_stands_between_them(path):
    found = cells(path)
    for cell in cells(path, "code"):
        assert 0 < code_lines(cell) <= 25, f"{cell['id']} has {code_lines(cell)} lines"
    assert statistics.median(code_lines(c) for c in cells(path, "code")) <= 8
    for one, two in zip(found, found[1:], strict=False):
        assert "markdown" in (one["cell_type"], two["cell_type"]), f"{one['id']}, {two['id']}"


@each_notebook
def test_figures_have_words_for_those_who_cannot_see_them(path):
    for cell in cells(path, "code"):
        if DRAWS.search(cell["text"]):
            alt = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt) > 20, f"{cell['id']} draws a figure: set mystnb.image.alt"


@each_notebook
def test_prose_holds_no_results(path):
    """Our numbers come from code; a number that a paper claims may be quoted as the paper's."""
    for cell in cells(path, "markdown"):
        for sentence in re.split(r"(?<=[.!?])\s", cell["text"]):
            typed = "AUC" in sentence and re.search(r"\b(\d\d\.\d+|0?\.\d{2,})\b", sentence)
            quoted = re.search(r"cite|paper|claim|report|table", sentence, re.IGNORECASE)
            assert not typed or quoted, f"{cell['id']}: {sentence.strip()}"


@each_chapter
def test_chapters_begin_alike(path):
    found = cells(path)
    assert [cell["id"] for cell in found[:4]] == FIRST
    lines = [part for part in found[0]["text"].split("\n\n") if part.strip()]
    assert lines[0].startswith("# ") and "?" in lines[1], "a title, then a question"
    assert f"(@COLAB@/{path.name})" in found[0]["text"], "the Colab button"
    assert "hide-input" in tags(found[1]) and "@REPOSITORY@" in found[1]["text"]
    start = next(cell for cell in cells(path, "code") if cell["id"] == "start")
    assert f'run = book.start("{path.stem}", PROFILE, SEED, DEVICE)' in start["text"]
    assert found.index(start) == 5


@each_chapter
def test_every_exercise_has_a_statement_a_check_and_a_folded_solution(path):
    found = cells(path)
    text = "\n".join(cell["text"] for cell in found)
    stated = re.findall(r"\{admonition\} Exercise (\d+\.\d+)", text)
    tried = re.findall(r'book\.exercise\(\s*"(\d+\.\d+)"', text)
    solved = re.findall(r'book\.solution\(\s*"(\d+\.\d+)"', text)
    assert 3 <= len(tried) <= 6
    assert stated == tried == solved
    for cell in found:
        if "book.solution(" in cell["text"]:
            assert "hide-cell" in tags(cell), f"{cell['id']} shows the solution"


@each_chapter
def test_claims_are_checked(path):
    assert sum("book.check(" in cell["text"] for cell in cells(path, "code")) >= 3


@each_method
def test_chapters_of_methods_have_one_form(path):
    """Goals, a drawing of the network, what to take along with every claim, and where to go on."""
    found = {cell["id"]: cell for cell in cells(path)}
    order = list(found)
    missing = [name for name in ("goals", "drawing", "take-along", "next") if name not in found]
    assert not missing, f"cells that every method's chapter has: {', '.join(missing)}"
    assert "After this chapter you can" in found["goals"]["text"]
    assert 3 <= len(re.findall(r"^- ", found["goals"]["text"], re.MULTILINE)) <= 5
    assert "plot.diagram(" in found["drawing"]["text"]
    assert found["take-along"]["text"].startswith("## What to take along")
    claims = next((k for k, c in found.items() if "book.claims_table(" in c["text"]), "")
    assert claims, "no book.claims_table: a verdict for each claim"
    tried = next(k for k, c in found.items() if "{admonition} Exercise" in c["text"])
    places = [order.index(name) for name in ("goals", "drawing", "take-along", claims, tried)]
    assert places == sorted(places), "goals, drawing, take-along, its table, exercises: in order"
    assert order[-1] == "next", "the last cell leads to the next chapter"


@pytest.mark.parametrize("path", [p for p in METHODS if p.name < "13"], ids=lambda p: p.stem)
def test_each_paper_asks_to_train_and_leaves_a_question_open(path):
    """An exercise that trains something, and one question without a check (chapters 07 to 12)."""
    text = "\n".join(cell["text"] for cell in cells(path, "markdown"))
    trains = re.findall(r"\{admonition\} Exercise \d+\.\d+ \([^)]*\btrain\b[^)]*\)", text)
    assert trains, "no exercise that trains or changes a network"
    assert text.count("{admonition} Open question") == 1


@each_notebook
def test_directives_read_well_in_colab(path):
    for cell in cells(path, "markdown"):
        assert "```{" not in cell["text"], f"{cell['id']}: use a colon fence"
        assert "](./" not in cell["text"] and "<img" not in cell["text"], cell["id"]


def tracked():
    """Text files of the repository: tracked ones where git is at hand."""
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True)
    names = done.stdout.split("\n")[:-1]
    if done.returncode:  # an unpacked archive
        hidden = {".git", ".venv", "_build"}
        found = (p.relative_to(ROOT) for p in ROOT.rglob("*") if p.is_file())
        names = [str(p) for p in found if not hidden & set(p.parts)]
    for name in names:
        try:
            yield name, (ROOT / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):  # binary, or deleted and not committed
            continue


def test_the_address_stands_in_one_place():
    address = pages.repository(ROOT)
    owner = address.removeprefix("https://github.com/").lower()
    may = {"pyproject.toml", "vadlib/press/pages.py", "tests/test_publish.py"}
    for name, text in tracked():
        if name not in may:
            assert owner not in text.lower(), f"{name} names the address: use @REPOSITORY@"
            assert "google.com/" + "github/" not in text, f"{name}: use @COLAB@"


def test_nothing_names_a_machine():
    places = [str(ROOT) + "/", str(Path.home()) + "/", "/home" + "/", "/Users" + "/", "/root" + "/"]
    for name, text in tracked():
        for place in places:
            assert place not in text, f"{name} names {place}"
