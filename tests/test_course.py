"""The course: plans agree with the chapters, and what a project starts from runs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from vadlib.press import course, runner

ROOT = Path(__file__).parent.parent
BOOK = ROOT / "book"
CHAPTERS = {chapter.title: chapter for chapter in course.chapters(ROOT)}
LESSONS = {
    part.partition("\n")[0]: re.findall(r"^\| (\d+) \| (.+?) \| (.+?) \|$", part, re.MULTILINE)
    for part in (BOOK / "lessons.md").read_text(encoding="utf-8").split("\n## ")[1:]
}
PAGES = {
    "course": "\n".join(c.source for c in runner.read(BOOK / "course.ipynb").cells),
    "projects": (BOOK / "projects.md").read_text(encoding="utf-8"),
}
STARTERS = sorted((BOOK / "projects").glob("*.py"))
each_chapter = pytest.mark.parametrize("title", CHAPTERS)


@each_chapter
def test_every_chapter_has_goals_and_times(title):
    chapter = CHAPTERS[title]
    assert 3 <= len(chapter.goals) <= 6, f"{chapter.name}: a list in a cell `goals`"
    assert 15 <= chapter.reading <= 90 and chapter.exercises


@each_chapter
def test_a_lesson_has_90_minutes_and_asks_for_what_the_chapter_has(title):
    assert title in LESSONS, "a plan in book/lessons.md, under the chapter's number and title"
    chapter, plan = CHAPTERS[title], LESSONS[title]
    assert sum(int(minutes) for minutes, _, _ in plan) == 90
    cells = runner.read(BOOK / f"{chapter.name}.ipynb").cells
    text = "\n".join(c.source for c in cells if c.cell_type == "markdown")
    sections = set(re.findall(r"^#+ (.+)$", text, re.MULTILINE))
    used = "; ".join(f"{what} {where}" for _, what, where in plan)
    named = set(re.findall(r"\*([^*]+)\*", used))
    assert named and named <= sections, f"no section {named - sections}"
    assert set(re.findall(r"\b\d+\.\d+\b", used)) <= set(chapter.exercises)


@pytest.mark.parametrize("page", PAGES)
def test_plans_and_homework_ask_for_exercises_that_exist(page):
    known = {number for chapter in CHAPTERS.values() for number in chapter.exercises}
    rows = [line for line in PAGES[page].splitlines() if line.startswith("|")]
    asked = set(re.findall(r"\b\d+\.\d+\b", "\n".join(rows)))
    assert asked and asked <= known, asked - known


@pytest.mark.parametrize(("head", "weeks"), [("## Four weeks", 4), ("## Ten weeks", 10)])
def test_the_plans_have_their_weeks(head, weeks):
    plan = PAGES["course"].partition(head)[2].partition("\n## ")[0]
    assert [int(n) for n in re.findall(r"^\| (\d+) \|", plan, re.MULTILINE)] == [
        *range(1, weeks + 1)
    ]


def test_the_rubric_has_ten_points():
    rubric = PAGES["projects"].partition("**Rubric")[2].partition("\n## ")[0]
    assert sum(int(n) for n in re.findall(r"^\| (\d+) \|", rubric, re.MULTILINE)) == 10


def test_reading_time_counts_words_and_cells_that_are_shown():
    v4 = nbformat.v4
    cells = [v4.new_markdown_cell("word " * 400), *(v4.new_code_cell("1") for _ in range(4))]
    cells += [v4.new_code_cell("2", metadata={"tags": ["hide-cell"]}), v4.new_code_cell(" ")]
    assert course.reading(v4.new_notebook(cells=cells)) == 2 + 2


def test_the_table_says_what_was_measured():
    times = json.loads((ROOT / "data" / "results" / "chapters.json").read_text(encoding="utf-8"))
    row = next(line for line in course.table(ROOT) if "07_maam_net" in line)
    assert f"smoke {times['07_maam_net']['smoke']['seconds']:.0f} s" in row


@pytest.mark.slow
@pytest.mark.parametrize("path", STARTERS, ids=lambda p: p.stem)
def test_a_project_starts_with_one_command(path):
    assert f"python book/projects/{path.name}" in PAGES["projects"]
    around = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=around)
    assert done.returncode == 0, done.stderr
    expected = {
        "whose_number": r"\d+ pairs change places",
        "quiet_camera": r"of \d+ events found",
        "sixth_paper": r"nearest: AUC \d+\.\d\nzero-flow: AUC \d+\.\d",
    }
    assert re.search(expected[path.stem], done.stdout)
