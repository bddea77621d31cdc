"""Deviations: quoted to the letter, with configs and records that say what the table says."""

import re

import pytest
from test_claims import FILES, TEXTS, letters

from vadlib import book, papers
from vadlib.lab.claims import Difference
from vadlib.lab.deviations import SILENT, Deviation, value_of
from vadlib.lab.records import kept

PAPERS = [paper for paper in papers.PAPERS if papers.deviations_of(paper)]
EVERY = [(paper, d) for paper in PAPERS for d in papers.deviations_of(paper)]
each = pytest.mark.parametrize("paper, deviation", EVERY, ids=[f"{p}-{d.place}" for p, d in EVERY])


def test_every_paper_has_its_own():
    assert set(PAPERS) == {"maam", "msti", "mdsf", "local_patterns", "la_net"}


@each
def test_it_is_whole_and_quotes_its_paper(paper, deviation):
    parts = (deviation.place, deviation.does, deviation.why, deviation.changes)
    assert all(parts) and all(part == part.strip() for part in parts)
    if deviation.says == SILENT:
        return
    text = TEXTS / f"{FILES[paper]}.txt"
    if not text.exists():
        pytest.skip("the papers' texts are not part of the repository")
    assert letters(deviation.says) in letters(text.read_text()), deviation.says


@each
def test_its_config_has_these_fields_and_not_the_papers_values(paper, deviation):
    config = papers.method(paper.replace("_", "-")).config_of("standard")
    for path, theirs in deviation.fields.items():
        ours = value_of(config, path)
        assert type(ours) is type(theirs), f"{path}: {ours!r} beside {theirs!r}"
        assert ours != theirs, f"{path} is the paper's {theirs!r}: no deviation"


@each
def test_what_it_measures_has_records_with_scores(paper, deviation):
    for difference in deviation.measured:
        for name in (difference.first, difference.second):
            assert (kept("results") / f"{name}.json").exists(), f"there is no record {name}"
        assert difference.interval(), f"{difference}: no scores were kept"


@pytest.mark.parametrize("paper", PAPERS)
def test_switches_that_the_text_names_are_in_the_config(paper):
    """As `update="paper"`: the field exists, and is not so already."""
    config = papers.method(paper.replace("_", "-")).config_of("standard")
    parts = {"targets": "itam.targets"}  # of a branch
    for deviation in papers.deviations_of(paper):
        for field, value in re.findall(r"`(\w+)=\"?([\w-]+)\"?`", deviation.does):
            assert str(value_of(config, parts.get(field, field))) != value


def test_the_table_reads_config_and_records(monkeypatch, capsys):
    class Known(Difference):
        def interval(self):
            return None

    made = Deviation(
        "Words.", "4.1", "Ours.", "Time.", "Much.", {"train.lr": 1.0}, (Known("a", "b"),)
    )
    monkeypatch.setattr(papers, "deviations_of", lambda paper: [made])
    book.deviations_table("maam")
    lr = papers.method("maam").config_of("standard").train.lr
    said = capsys.readouterr().out
    assert (
        f"“Words.” (4.1) | Ours (train.lr: {lr}, not 1.0). Time. | Much; a − b: not run yet."
        in said
    )
    book.deviations_table("maam", chapter="another")
    assert "Words" not in capsys.readouterr().out
