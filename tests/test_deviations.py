"""Deviations from the papers: listed by every chapter on a method, and true of the code."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from vadlib import papers
from vadlib.errors import VadError
from vadlib.press import pages

ROOT = Path(__file__).resolve().parents[1]
TEXTS = ROOT.parent / "shared" / "papers"
LISTED = pages.deviations(ROOT)
METHODS = {
    "07_maam_net": "maam",
    "08_msti_net": "msti",
    "09_mdsf": "mdsf",
    "10_local_patterns_words": "local-patterns",
    "11_local_patterns_dynamics": "local-patterns",
    "12_weak_labels": "la-net",
}
SWITCH = re.compile(r"`[^`]*`")
FIELD = re.compile(r"\b([a-z_]+)=(\"[\w-]+\"|True|False)")


def fields(config):
    """Names and values of a config's fields, and of its parts'."""
    for name, value in config.items():
        yield name, value
        if isinstance(value, dict):
            yield from fields(value)


def test_every_chapter_on_a_method_lists_its_own():
    assert list(LISTED) == list(METHODS)
    for chapter, text in LISTED.items():
        numbers = re.findall(r"^(\d+)\. ", text, re.MULTILINE)
        assert numbers == [str(n) for n in range(1, len(numbers) + 1)] and len(numbers) > 5, chapter


@pytest.mark.parametrize("chapter", METHODS)
def test_a_switch_that_is_named_is_one_of_the_config(chapter):
    """A field of that name and type, at another value than the default: else it is no switch."""
    config = dict(fields(asdict(papers.method(METHODS[chapter]).config_of("standard"))))
    for code in SWITCH.findall(LISTED[chapter]):
        for name, value in FIELD.findall(code):
            said = json.loads(value.lower() if value[0] != '"' else value)
            assert name in config and type(config[name]) is type(said), f"{name}={value}"
            assert config[name] != said, f"{name}={value} is what `standard` does"


def test_what_comes_after_the_list_is_left_out(tmp_path):
    cells = [
        ("markdown", "# A\n\n## Deviations from the paper\n\n1. One."),
        ("code", "x = 1"),
        ("markdown", "2. Two.\n\n## Next\n\n3. Not."),
    ]
    book = {
        "cells": [
            {"cell_type": kind, "id": f"c{i}", "metadata": {}, "source": text}
            | ({"outputs": [], "execution_count": None} if kind == "code" else {})
            for i, (kind, text) in enumerate(cells)
        ],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "a.ipynb").write_text(json.dumps(book))
    with pytest.raises(VadError, match=r"_toc.yml does not exist"):
        pages.deviations(tmp_path)
    (tmp_path / "_toc.yml").write_text("root: a\n")
    assert pages.deviations(tmp_path) == {"a": "1. One.\n\n2. Two."}


@pytest.mark.skipif(not TEXTS.exists(), reason="the papers' texts are not ours to commit")
def test_no_paper_speaks_of_seeds():
    texts = [path.read_text(encoding="utf-8").lower() for path in sorted(TEXTS.glob("*.txt"))]
    assert len(texts) == 5 and not any(re.search(r"\bseeds?\b", text) for text in texts)
