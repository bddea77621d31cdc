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
    for path in sorted((ROOT / "book").glob("[0-9]*.ipynb")):
        cells = code_cells(path)
        for i, cell in enumerate(cells):
            wrong = cell["metadata"].get("vadlib", {}).get("wrong", [])
            if wrong:
                solution = next(c for c in cells[i:] if "book.solution(" in c["text"])
                yield pytest.param(cells[:i], cell["text"], solution["text"], wrong,
                                   id=f"{path.stem[:2]}-{cell['id']}")  # fmt: skip


def attempt(before, stub, answer, monkeypatch):
    """Run a stub's cell with an answer in the stub's place; whether it was accepted."""
    verdicts = []
    real = book.exercise
    monkeypatch.setattr(book, "exercise", lambda *a, **k: verdicts.append(real(*a, **k)))
    body = tree(stub).body
    name = next(n.name for n in tree(answer).body if isinstance(n, ast.FunctionDef))
    parts = [
        answer if isinstance(node, ast.FunctionDef) and node.name == name else ast.unparse(node)
        for node in body
    ]
    text = "\n".join(parts)
    space = {"book": book, "run": book.Run("test", "smoke", 0, "cpu", "plaza", (128, 192))}
    for statement in needed(before, text):
        exec(statement, space)
    exec(text, space)
    assert len(verdicts) == 1
    return verdicts[0]


def only_function(solution):
    """A solution's cell without its check."""
    kept = [n for n in tree(solution).body if "book.solution" not in ast.unparse(n)]
    return "\n".join(map(ast.unparse, kept))


@pytest.mark.parametrize("before,stub,solution,wrong", list(exercises()))
def test_the_solution_is_accepted_and_wrong_answers_are_not(
    before, stub, solution, wrong, monkeypatch, capsys
):
    assert attempt(before, stub, only_function(solution), monkeypatch), capsys.readouterr().out
    for answer in wrong:
        assert not attempt(before, stub, answer, monkeypatch), answer
