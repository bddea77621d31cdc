"""The equation index: for every equation of a paper the cell that derives it, the cell that checks
it, the definition that computes it, and the test that fails when it is wrong."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Equation:
    """One equation of a paper, and where this book has it.

    number   the paper's, as "5" or "Alg. 1"
    what     in a few words
    cell     the cell of a chapter that states it, as "07_maam_net#eq9"; check: the one that runs it
    code     the definition, as "papers/maam/network.py:losses", seen from `vadlib`
    test     the test, as "test_maam.py:test_losses_by_plain_arithmetic"
    """

    number: str
    what: str
    cell: str
    check: str
    code: str
    test: str

    def problems(self, root: Path) -> list[str]:
        """What of it is not there, in the repository at `root`, in words; nothing where all is."""
        found = [
            f"{self.number}: there is no cell {cell}"
            for cell in (self.cell, self.check)
            if not _in_notebook(root / "book", cell)
        ]
        for folder, place in (("vadlib", self.code), ("tests", self.test)):
            if line_of(root / folder, place) is None:
                found.append(f"{self.number}: there is no {place} in {folder}")
        if not found and not self.named(root):
            found.append(f"{self.number}: neither {self.cell} nor {self.code} names it")
        return found

    def named(self, root: Path) -> bool:
        """Whether cell and code both say which equation they are."""
        chapter, _, cell = self.cell.partition("#")
        stated = _cells(root / "book" / f"{chapter}.ipynb")[cell]
        return names(stated, self.number) and names(
            source_of(root / "vadlib", self.code), self.number
        )


def names(text: str, number: str) -> bool:
    """Whether a text names an equation: "(5)", "eq. 5", "equations 4-6", "Algorithm 1"."""
    if not number.isdigit():
        return number.replace("Alg.", "Algorithm").lower() in text.lower() or number in text
    wanted = int(number)
    if re.search(rf"\({wanted}\)", text):
        return True
    for list_ in re.findall(r"(?:[Ee]q(?:uation)?s?\.?) ((?:\d+(?:-| to | and |, )?)+)", text):
        for low, high in re.findall(r"(\d+)(?:(?:-| to )(\d+))?", list_):
            if int(low) <= wanted <= int(high or low):
                return True
    return False


def line_of(folder: Path, place: str) -> int | None:
    """The line at which "file.py:name" or "file.py:Class.name" begins; None where there is none."""
    node = _node(folder, place)
    return None if node is None else node.lineno


def source_of(folder: Path, place: str) -> str:
    """The text of a definition, with the lines of comment that end its lines."""
    node = _node(folder, place)
    lines = (folder / place.partition(":")[0]).read_text(encoding="utf-8").splitlines()
    return "" if node is None else "\n".join(lines[node.lineno - 1 : node.end_lineno])


def _node(folder: Path, place: str) -> ast.FunctionDef | ast.ClassDef | None:
    file, _, name = place.partition(":")
    path = folder / file
    found: ast.Module | ast.FunctionDef | ast.ClassDef | None = _parsed(path)
    for part in name.split("."):
        inside = found.body if found else []
        kinds = (ast.FunctionDef, ast.ClassDef)
        found = next((n for n in inside if isinstance(n, kinds) and n.name == part), None)
    return found  # type: ignore[return-value]


@cache
def _parsed(path: Path) -> ast.Module | None:
    return ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else None


@cache
def _cells(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return {cell["id"]: "".join(cell["source"]) for cell in cells}


def _in_notebook(book: Path, cell: str) -> bool:
    chapter, _, name = cell.partition("#")
    return name in _cells(book / f"{chapter}.ipynb")
