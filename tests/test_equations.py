"""The equation index: every equation has its cells, its line and its test, and what is gone is
noticed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from vadlib import book, papers
from vadlib.lab.equations import Equation, line_of, names, source_of

ROOT = Path(__file__).parents[1]
# as numbered in the papers, and MAAM-Net's algorithm
COUNTS = {"maam": 12, "msti": 10, "mdsf": 11, "local_patterns": 6, "la_net": 11}
EVERY = [(paper, e) for paper in COUNTS for e in papers.equations_of(paper)]


@pytest.mark.parametrize("paper", COUNTS)
def test_every_numbered_equation_is_in_the_index_once(paper):
    numbers = [e.number for e in papers.equations_of(paper) if e.number.isdigit()]
    assert numbers == [str(n + 1) for n in range(COUNTS[paper])]


@pytest.mark.parametrize("paper, equation", EVERY, ids=lambda x: getattr(x, "number", x))
def test_its_cells_its_line_and_its_test_exist_and_name_it(paper, equation):
    assert equation.problems(ROOT) == []


@pytest.fixture
def small(tmp_path):
    """A repository of one equation."""
    for folder in ("book", "vadlib/papers", "tests"):
        (tmp_path / folder).mkdir(parents=True)
    cells = [
        {"id": "eq", "source": ["$$a = b \\quad (3)$$\n"]},
        {"id": "run", "source": ["check(a, b)"]},
    ]
    (tmp_path / "book" / "07_x.ipynb").write_text(json.dumps({"cells": cells}))
    code = 'class A:\n    """Of equation 3."""\n\n    def b(self):\n        return 1  # eq. 3\n'
    (tmp_path / "vadlib" / "papers" / "x.py").write_text(code)
    (tmp_path / "tests" / "test_x.py").write_text("def test_a():\n    pass\n")
    return tmp_path


HERE = Equation("3", "a is b", "07_x#eq", "07_x#run", "papers/x.py:A.b", "test_x.py:test_a")


def test_what_is_there_is_found_with_its_line(small):
    assert HERE.problems(small) == []
    assert line_of(small / "vadlib", "papers/x.py:A.b") == 4
    assert source_of(small / "vadlib", "papers/x.py:A.b").endswith("return 1  # eq. 3")


@pytest.mark.parametrize(
    "change, said",
    [
        ({"cell": "07_x#gone"}, "no cell 07_x#gone"),
        ({"check": "08_y#run"}, "no cell 08_y#run"),
        ({"code": "papers/x.py:A.c"}, "no papers/x.py:A.c in vadlib"),
        ({"code": "papers/y.py:A"}, "no papers/y.py:A in vadlib"),
        ({"test": "test_x.py:test_b"}, "no test_x.py:test_b in tests"),
        ({"number": "4"}, "names it"),
        ({"cell": "07_x#run"}, "names it"),
    ],
)
def test_what_is_gone_or_says_another_number_is_told(small, change, said):
    (problem,) = replace(HERE, **change).problems(small)
    assert said in problem


@pytest.mark.parametrize(
    "text, number, there",
    [
        ("of equation 5", "5", True),
        ("(eqs. 5-10)", "7", True),
        ("Equations 5 to 7", "6", True),
        ("equations 1 and 3", "3", True),
        ("equations 1 and 3", "2", False),
        ("a \\quad (4)", "4", True),
        ("equation 15", "5", False),
        ("5 frames", "5", False),
        ("Algorithm 1, line 13", "Alg. 1", True),
        ("Algorithm 2", "Alg. 1", False),
    ],
)
def test_a_text_names_an_equation_in_one_of_a_few_ways(text, number, there):
    assert names(text, number) == there


def test_the_page_shows_a_line_for_each(capsys):
    book.equations_table("msti")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + COUNTS["msti"]
    assert "PrototypeMemory.update (vadlib/papers/layers/memory.py, line " in lines[6]
