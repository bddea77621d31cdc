"""Exercises: the book's own solution is accepted, and known wrong answers are not.

Each exercise keeps wrong answers in the metadata of its stub (`vadlib.wrong`). The stub's cell runs
with what it needs of the cells before it, and no more. The same source makes the students'
notebooks, and what Otter grades with.
"""

from pathlib import Path

import nbformat
import pytest

from vadlib import book
from vadlib.press import exercises as press
from vadlib.press import runner
from vadlib.press.exercises import binds, exercises

ROOT = Path(__file__).parents[1]
CHAPTERS = {path.stem: path for path in sorted((ROOT / "book").glob("[0-9]*.ipynb"))}
ALL = {
    f"{stem[:2]}-{exercise.cell}": exercise
    for stem, path in CHAPTERS.items()
    for exercise in exercises(runner.read(path))
}
each = pytest.mark.parametrize("name", ALL)
with_wrong = pytest.mark.parametrize("name", [name for name in ALL if ALL[name].wrong])


def attempt(exercise, answer):
    """Run a stub's cell with an answer in the place of its function; whether it was accepted."""
    name = exercise.function
    assert name in binds(answer), f"an answer to another question than {name}: {answer}"
    space = {"book": book, "run": book.Run("test", "smoke", 0, "cpu", "plaza", (128, 192))}
    exec(exercise.check(answer), space)
    return space["verdict"]


@each
def test_the_solution_is_accepted(name, capsys):
    assert attempt(ALL[name], ALL[name].solved()), capsys.readouterr().out


@with_wrong
def test_wrong_answers_are_not_accepted(name, capsys):
    for answer in ALL[name].wrong:
        assert not attempt(ALL[name], answer), answer
        said = capsys.readouterr().out
        assert "not attempted" not in said, f"no answer at all: {answer}"
        assert "NameError" not in said, f"it fails for another reason, {said}: {answer}"


def test_every_exercise_keeps_two_wrong_answers():
    few = [name for name, exercise in ALL.items() if len(set(exercise.wrong)) < 2]
    assert not few, f"{len(few)} of {len(ALL)} exercises lack them: {', '.join(few)}"


@pytest.mark.parametrize("stem", CHAPTERS)
def test_a_students_notebook_has_every_stub_and_no_answer(stem):
    before = runner.read(CHAPTERS[stem])
    page = press.student(before)
    nbformat.validate(page)
    text = nbformat.writes(page)
    assert "book.solution(" not in text and '"wrong"' not in text
    kept = {cell.id: cell for cell in page.cells}
    gone = [cell for cell in before.cells if cell.id not in kept]
    assert len(exercises(before)) <= len(gone) <= 3 * len(exercises(before))
    for exercise in exercises(before):
        assert kept[exercise.cell].source == exercise.stub
    assert text.count("{admonition} Exercise") == len(exercises(before)), "every statement is there"


def test_students_notebooks_are_plain_and_numbered(tmp_path):
    names = [path.name for path in press.write_students(ROOT, tmp_path)]
    assert names == [f"{c['name']}.ipynb" for c in press.pages.chapters(ROOT)]
    text = (tmp_path / "07_maam_net.ipynb").read_text(encoding="utf-8")
    assert "# 7 · MAAM-Net" in text and ":::{" not in text


@each
def test_a_grader_asks_the_students_function_and_not_the_books(name):
    assert ALL[name].function not in binds(ALL[name].check())


def test_the_press_refuses_a_kind_that_it_does_not_know(capsys):
    assert press.main(["teacher"]) == 2
    assert "student, grader" in capsys.readouterr().err


def handed_in(page, answers, path):
    """A student's notebook with answers in its stubs; cells that no exercise needs are left out."""
    kept = [cell for cell in page.cells if cell.id in ("parameters", "start", *answers)]
    for cell in kept:
        cell.source = f"{cell.source}\n{answers.get(cell.id, '')}"
    page.cells = [nbformat.v4.new_code_cell("import numpy as np\nfrom vadlib import book, measure")]
    page.cells += kept
    nbformat.write(page, path)


@pytest.mark.slow
def test_otter_gives_right_answers_their_points_and_wrong_ones_none(tmp_path, monkeypatch):
    api = pytest.importorskip("otter.api", reason="otter-grader is not installed")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    press.write_graders(ROOT, tmp_path)
    before = runner.read(CHAPTERS["02_data"])
    answers = {e.cell: e.solved() for e in exercises(before)}
    marks = {}
    for case, changed in {
        "right": {},
        "wrong": {e.cell: e.wrong[0] for e in exercises(before)[1:]},
    }.items():
        handed_in(press.student(before), answers | changed, tmp_path / f"{case}.ipynb")
        graded = api.grade_submission(
            str(tmp_path / f"{case}.ipynb"), str(tmp_path / "02_data.zip"), quiet=True
        )
        marks[case] = [graded.get_score(f"2.{n}") for n in range(1, 5)]
    assert marks == {"right": [1, 1, 1, 1], "wrong": [1, 0, 0, 0]}
