"""Exercises from one source: the chapter, without its solutions for students, and as a grader.

A chapter states an exercise once, with a stub, a check and a solution. `make student` leaves out
what answers it; `make grader` writes its check in the format of Otter-Grader, which marks what
students hand in (<https://otter-grader.readthedocs.io>). Otter itself is not needed for that.
"""

from __future__ import annotations

import ast
import copy
import json
import re
import symtable
import sys
import zipfile
from collections.abc import Iterable, Set
from dataclasses import dataclass
from pathlib import Path

import nbformat

from vadlib.errors import VadError
from vadlib.press import pages, plain, runner

TRY, SOLVE = "book.exercise", "book.solution"
GRADER = '''"""Exercise {number}: the book's own check, asked of a student's `{function}`."""

from otter.test_files import test_case

from vadlib import book

OK_FORMAT = False
name, points = "{number}", 1
CELL = {cell!r}


@test_case(name="{number}", points=1)
def accepted(env):
    space = {{"book": book, "run": env["run"], "{function}": env["{function}"]}}
    exec(CELL, space)
    assert space["verdict"], "its answer to exercise {number} is not accepted"
'''


@dataclass(frozen=True)
class Exercise:
    """An exercise of a chapter.

    number    as it is printed, such as 7.3
    cell      the id of its stub
    function  the name under which an answer is tried
    before    the code cells before its stub
    stub      its cell; solution: the book's own; wrong: answers that must not be accepted
    """

    number: str
    cell: str
    function: str
    before: tuple[str, ...]
    stub: str
    solution: str
    wrong: tuple[str, ...]

    def check(self, answer: str = "") -> str:
        """Code that tries an answer, with what it needs of the chapter; binds `verdict`.

        answer  source that binds `function`; "" where that name is bound already
        """
        kept = []
        for node in tree(self.stub).body:
            asks = isinstance(node, ast.Expr) and f"{TRY}(" in ast.unparse(node)
            own = getattr(node, "name", "") == self.function
            kept.append(answer if own else "verdict = " * asks + ast.unparse(node))
        text = "\n".join(kept)
        return "\n".join([*needed(self.before, text, {self.function}), text])

    def solved(self) -> str:
        """The book's own answer under the stub's name, with what it needs of its cell."""
        own = tried(self.solution, SOLVE)
        return "\n".join([*needed([self.solution], own), f"{self.function} = {own}"])


def exercises(page: nbformat.NotebookNode) -> list[Exercise]:
    """The exercises of a chapter, in order."""
    cells, found = runner.code_cells(page), []
    for i, cell in enumerate(cells):
        if f"{TRY}(" not in cell.source:
            continue
        solution = next(c.source for c in cells[i:] if f"{SOLVE}(" in c.source)
        found.append(
            Exercise(
                number=ast.literal_eval(call(cell.source, TRY).args[0]),
                cell=cell.id,
                function=tried(cell.source, TRY),
                before=tuple(c.source for c in cells[:i]),
                stub=cell.source,
                solution=solution,
                wrong=tuple(cell.metadata.get("vadlib", {}).get("wrong", [])),
            )
        )
    return found


def tree(text: str) -> ast.Module:
    """A cell as syntax, its magics left out."""
    return ast.parse(re.sub(r"^(\s*)%.*$", r"\1pass", text, flags=re.M))


def binds(text: str) -> set[str]:
    """The names that code defines at its top level."""
    names: set[str] = set()
    for node in tree(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(a.asname or a.name).split(".")[0] for a in node.names}
        else:
            stores = (n for n in ast.walk(node) if isinstance(n, ast.Name))
            names |= {n.id for n in stores if isinstance(n.ctx, ast.Store)}
    return names


def reads(text: str) -> set[str]:
    """The names that code takes from what ran before it; what is a function's own is not."""
    names, scopes = set(), [symtable.symtable(ast.unparse(tree(text)), "cell", "exec")]
    while scopes:
        scope = scopes.pop()
        scopes += scope.get_children()
        names |= {s.get_name() for s in scope.get_symbols() if s.is_referenced() and s.is_global()}
    return names - binds(text)


def needed(before: Iterable[str], text: str, given: Set[str] = frozenset()) -> list[str]:
    """Of the statements in the cells before some code, those that define what it reads.

    given  names that are there already
    """
    statements = [ast.unparse(node) for cell in before for node in tree(cell).body]
    wanted, kept = reads(text) - given, []
    for statement in reversed(statements):
        if binds(statement) & wanted and "book.start" not in statement:
            kept.append(statement)
            wanted |= reads(statement) - given
    return kept[::-1]


def call(text: str, check: str) -> ast.Call:
    """Where a cell calls `book.exercise` or `book.solution`."""
    calls = (n for n in ast.walk(tree(text)) if isinstance(n, ast.Call))
    return next(c for c in calls if ast.unparse(c.func) == check)


def tried(text: str, check: str) -> str:
    """The function of a cell that is handed to `book.exercise` or `book.solution`, by its name."""
    named = {n.id for n in ast.walk(call(text, check).args[1]) if isinstance(n, ast.Name)}
    return next(name for n in tree(text).body if (name := getattr(n, "name", "")) in named)


def student(page: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A chapter without solutions, without the words that comment on them, without wrong answers.

    What stands between a stub and its solution speaks of the answer, and goes with it.
    """
    page, cells, answering = copy.deepcopy(page), [], False
    for cell in page.cells:
        if not answering:
            cells.append(cell)
        code = cell.cell_type == "code"
        answering = (answering or code and f"{TRY}(" in cell.source) and not (
            code and f"{SOLVE}(" in cell.source
        )
        cell.metadata.pop("vadlib", None)
    page.cells = cells
    return page


def tests(page: nbformat.NotebookNode) -> dict[str, str]:
    """File name -> an Otter test, one for each exercise of a chapter, each worth a point."""
    return {
        f"exercise_{e.number.replace('.', '_')}.py": GRADER.format(
            number=e.number, function=e.function, cell=e.check()
        )
        for e in exercises(page)
    }


def write_students(root: Path, folder: Path) -> list[Path]:
    """The chapters as plain notebooks without solutions, with addresses filled in."""
    folder.mkdir(parents=True, exist_ok=True)
    links = plain.read_links(root / "book" / "references.bib")
    address, written = pages.repository(root), []
    for chapter in pages.chapters(root):
        name = f"{chapter['name']}.ipynb"
        page = student(pages.number(runner.read(root / "book" / name), name))
        page = plain.plain(page, chapter["name"], links, address)
        written.append(folder / name)
        written[-1].write_text(pages.fill(nbformat.writes(page), address), encoding="utf-8")
    return written


def write_graders(root: Path, folder: Path) -> list[Path]:
    """For each chapter a zip that Otter grades with: `otter run -a NN_slug.zip notebook.ipynb`."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for chapter in pages.chapters(root):
        found = tests(runner.read(root / "book" / f"{chapter['name']}.ipynb"))
        written.append(folder / f"{chapter['name']}.zip")
        with zipfile.ZipFile(written[-1], "w", zipfile.ZIP_DEFLATED) as file:
            for name, text in found.items():
                file.writestr(f"tests/{name}", text)
            file.writestr("otter_config.json", json.dumps({"points_possible": len(found)}))
    return written


WRITE = {"student": write_students, "grader": write_graders}


def main(argv: list[str]) -> int:
    """`student` or `grader`, and optionally a folder instead of `_build/student`, `_build/grader`.

    0: written; 2: a mistake of the caller's.
    """
    root, (kind, *rest) = Path.cwd(), argv or [""]
    try:
        if kind not in WRITE:
            raise VadError(f"there is no kind {kind!r}", f"There are {', '.join(WRITE)}.")
        folder = Path(rest[0]) if rest else root / "_build" / kind
        written = WRITE[kind](root, folder)
    except VadError as error:
        print(f"exercises: {error}", file=sys.stderr)
        return 2
    print(f"{len(written)} chapters in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
