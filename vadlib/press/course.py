"""What a teacher asks of each chapter: its goals, and how long it takes to read and to run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import nbformat

from vadlib.book import chapter_times
from vadlib.press import pages, runner
from vadlib.press.exercises import SOLVE, exercises

WORDS, CELLS = 200, 2  # read in a minute: words of prose, code cells with their outputs
HIDDEN = {"remove-cell", "remove-input", "hide-input", "hide-cell"}


@dataclass(frozen=True)
class Chapter:
    """A chapter as a teacher sees it.

    goals      what a reader can do afterwards, as its own list says it
    reading    minutes: a minute for 200 words, and for two code cells that are shown
    running    seconds by profile, as last measured; empty where it never was
    exercises  their numbers
    """

    name: str
    title: str
    goals: tuple[str, ...]
    reading: int
    running: dict[str, float]
    exercises: tuple[str, ...]

    @property
    def number(self) -> int:
        """Its number in the book."""
        return int(self.name[:2])


def chapters(root: Path) -> list[Chapter]:
    """All chapters that `_toc.yml` names, in order. Raises VadError for a gap."""
    times, found = chapter_times(), []
    for chapter in pages.chapters(root):
        name = chapter["name"]
        page = runner.read(root / "book" / f"{name}.ipynb")
        found.append(
            Chapter(
                name=name,
                title=chapter["title"],
                goals=goals(page),
                reading=reading(page),
                running={k: v["seconds"] for k, v in times.get(name, {}).items()},
                exercises=tuple(e.number for e in exercises(page)),
            )
        )
    return found


def goals(page: nbformat.NotebookNode) -> tuple[str, ...]:
    """The list in the cell `goals`, without its punctuation; empty where there is none."""
    text = next((c.source for c in page.cells if c.get("id") == "goals"), "")
    return tuple(goal.rstrip(";.") for goal in re.findall(r"^- (.+)$", text, re.MULTILINE))


def reading(page: nbformat.NotebookNode) -> int:
    """Minutes to read a chapter, its solutions left folded."""
    words = sum(len(c.source.split()) for c in page.cells if c.cell_type == "markdown")
    shown = [
        cell
        for cell in runner.code_cells(page)
        if not HIDDEN & set(cell.metadata.get("tags", [])) and f"{SOLVE}(" not in cell.source
    ]
    return round(words / WORDS + len(shown) / CELLS)


def table(root: Path) -> list[str]:
    """The chapters as lines of a Markdown table: minutes to read, seconds to run, exercises."""
    lines = ["| chapter | to read | to run | exercises |", "|---|---|---|---|"]
    for c in chapters(root):
        ran = ", ".join(f"{k} {v:.0f} s" for k, v in sorted(c.running.items(), key=lambda i: i[1]))
        first, last = c.exercises[0], c.exercises[-1]
        row = (
            f"[{c.title}]({c.name}.ipynb)",
            f"{c.reading} min",
            ran or "not measured yet",
            f"{first} to {last}",
        )
        lines.append(f"| {' | '.join(row)} |")
    return lines


def goals_list(root: Path) -> list[str]:
    """The goals of all chapters as lines of Markdown."""
    lines = []
    for c in chapters(root):
        lines += [f"**[{c.title}]({c.name}.ipynb).** After it you can", ""]
        lines += [f"- {goal};" for goal in c.goals[:-1]] + [f"- {c.goals[-1]}.", ""]
    return lines
