"""Exercises: the book's own solution is accepted, and known wrong answers are not.

Each exercise keeps wrong answers in the metadata of its stub (`vadlib.wrong`). The stub's cell runs
with what it needs of the cells before it, and no more.
"""

import ast
import json
import re
from pathlib import Path

import pytest

from vadlib import book
from vadlib.lab.source import _names

ROOT = Path(__file__).parents[1]


def code_cells(path):
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [c | {"text": "".join(c["source"])} for c in found if c["cell_type"] == "code"]


def tree(text):
    return ast.parse(re.sub(r"^(\s*)%.*$", r"\1pass", text, flags=re.M))


def binds(text):
    """The names that a cell defines at its top level."""
    names = set()
    for node in tree(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(a.asname or a.name).split(".")[0] for a in node.names}
        else:
            stores = (n for n in ast.walk(node) if isinstance(n, ast.Name))
            names |= {n.id for n in stores if isinstance(n.ctx, ast.Store)}
    return names


def reads(text):
    """The names that a cell takes from those before it."""
    return {names[0] for node in tree(text).body for names, _ in _names(node)} - binds(text)


def needed(before, text):
    """Of the statements before a cell, those that define what it reads, in order."""
    statements = [ast.unparse(node) for cell in before for node in tree(cell["text"]).body]
    wanted, kept = reads(text), []
    for statement in reversed(statements):
        if binds(statement) & wanted and "book.start" not in statement:
            kept.append(statement)
            wanted |= reads(statement)
    return kept[::-1]


def exercises():
    """(code cells before the stub, stub, solution, known wrong answers) of every exercise."""
    found = {}
    for path in sorted((ROOT / "book").glob("[0-9]*.ipynb")):
        cells = code_cells(path)
        for i, cell in enumerate(cells):
            if "book.exercise(" in cell["text"]:
                solution = next(c for c in cells[i:] if "book.solution(" in c["text"])
                wrong = cell["metadata"].get("vadlib", {}).get("wrong", [])
                name = f"{path.stem[:2]}-{cell['id']}"
                found[name] = cells[:i], cell["text"], solution["text"], wrong
    return found


ALL = exercises()
each = pytest.mark.parametrize("name", ALL)
with_wrong = pytest.mark.parametrize("name", [name for name, (*_, wrong) in ALL.items() if wrong])


def tried(text, check):
    """The function of a cell that is handed to `book.exercise` or `book.solution`, by its name."""
    calls = (n for n in ast.walk(tree(text)) if isinstance(n, ast.Call))
    what = next(c.args[1] for c in calls if ast.unparse(c.func) == check)
    named = {n.id for n in ast.walk(what) if isinstance(n, ast.Name)}
    return next(n.name for n in tree(text).body if getattr(n, "name", "") in named)


def attempt(before, stub, answer, monkeypatch):
    """Run a stub's cell with an answer in the place of its function; whether it was accepted."""
    verdicts = []
    real = book.exercise
    monkeypatch.setattr(book, "exercise", lambda *a, **k: verdicts.append(real(*a, **k)))
    name = tried(stub, "book.exercise")
    assert name in binds(answer), f"an answer to another question than {name}: {answer}"
    parts = [(getattr(node, "name", ""), ast.unparse(node)) for node in tree(stub).body]
    text = "\n".join(answer if what == name else part for what, part in parts)
    space = {"book": book, "run": book.Run("test", "smoke", 0, "cpu", "plaza", (128, 192))}
    for statement in needed(before, text):
        exec(statement, space)
    exec(text, space)
    assert len(verdicts) == 1
    return verdicts[0]


def solved(stub, solution):
    """The book's own function under the stub's name, with what it needs of its cell."""
    name, own = tried(stub, "book.exercise"), tried(solution, "book.solution")
    parts = needed([{"text": solution}], own)
    return "\n".join([*parts, f"{name} = {own}"])


@each
def test_the_solution_is_accepted(name, monkeypatch, capsys):
    before, stub, solution, _ = ALL[name]
    assert attempt(before, stub, solved(stub, solution), monkeypatch), capsys.readouterr().out


@with_wrong
def test_wrong_answers_are_not_accepted(name, monkeypatch, capsys):
    before, stub, solution, wrong = ALL[name]
    for answer in wrong:
        assert not attempt(before, stub, answer, monkeypatch), answer
        said = capsys.readouterr().out
        assert "not attempted" not in said, f"no answer at all: {answer}"
        assert "NameError" not in said, f"it fails for another reason, {said}: {answer}"


def test_every_exercise_keeps_two_wrong_answers():
    few = [name for name, (*_, wrong) in ALL.items() if len(set(wrong)) < 2]
    assert not few, f"{len(few)} of {len(ALL)} exercises lack them: {', '.join(few)}"
