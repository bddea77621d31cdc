"""The page of the audit: a verdict in every row, and all that it names is there and says so."""

import json
import re
from functools import cache
from pathlib import Path

import pytest

from vadlib import papers
from vadlib.lab.claims import Difference, Value
from vadlib.lab.equations import line_of

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "book" / "audit.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| what was found")
]
NUMBERS = re.findall(r"(\d+\.\d(?: · \d+\.\d)*) \(`([\w-]+)`(?:, (\w+))?\)", PAGE)
STEPS = re.findall(
    r"([+−][\d.]+) \(([+−][\d.]+) to ([+−][\d.]+); `(\S+)` − `(\S+)`(?:, (\w+))?\)", PAGE
)


@cache
def cells_of(chapter):
    path = ROOT / "book" / f"{chapter}.ipynb"
    return {cell["id"] for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]}


def signed(value):
    return f"{100 * value:+.1f}".replace("-", "−")


def test_every_row_has_a_verdict_and_says_what_became_of_it():
    assert len(ROWS) > 100
    for row in ROWS:
        assert len(row) == 3, row
        assert row[1] in ("confirmed", "in part", "not so"), row
        assert re.match(r"\*\*(Mended|Open|Stands)\b", row[2]), row


def test_every_chapter_and_cell_exists():
    named = re.findall(r"\]\((\w+)\.ipynb\)((?:,? `[\w-]+`)*)", PAGE)
    assert len(named) > 80
    for chapter, cells in named:
        missing = set(re.findall(r"`([\w-]+)`", cells)) - cells_of(chapter)
        assert not missing, f"{chapter} has no cell {missing}"


def test_every_test_and_definition_exists():
    tests = re.findall(r"`tests/(test_\w+\.py)::(\w+)`", PAGE)
    code = re.findall(r"`(vadlib/[\w/]+\.py):(\w+)`", PAGE)
    assert len(tests) > 60 and len(code) > 5
    for file, name in tests:
        assert line_of(ROOT / "tests", f"{file}:{name}"), f"there is no {name} in {file}"
    for file, name in code:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"^(def |class )?{name}\b", text, re.MULTILINE), f"no {name} in {file}"


def test_every_record_exists():
    named = set(re.findall(r"`([a-z0-9-]+-(?:standard|long))`", PAGE))
    assert len(named) > 30
    for name in named:
        assert name in papers.experiments()
        assert (ROOT / "data" / "results" / f"{name}.json").exists(), name


@pytest.mark.parametrize("said, name, term", NUMBERS, ids=[f"{n}-{t}" for _, n, t in NUMBERS])
def test_a_number_is_that_of_its_record(said, name, term):
    row = Value(name, term=term or "score").row()
    assert row and said == " · ".join(f"{100 * value:.1f}" for value in row["values"])


@pytest.mark.parametrize("step", STEPS, ids=[f"{a}-{b}" for _, _, _, a, b, _ in STEPS])
def test_a_difference_is_that_of_its_records(step):
    *said, first, second, term = step
    own = Difference(first, second, term or "score").interval()
    assert own and said == [signed(own.value), signed(own.low), signed(own.high)]
