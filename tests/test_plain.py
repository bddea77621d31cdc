"""Notebooks outside the book: nothing of MyST is left, solutions are folded, captions stand."""

import re
from pathlib import Path

import nbformat
import pytest

from vadlib.press import pages, plain, runner

ROOT = Path(__file__).parent.parent
LINKS = plain.read_links(ROOT / "book" / "references.bib")
ADDRESS = pages.repository(ROOT)
NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))
V4 = nbformat.v4


def made(*cells, name="07_maam_net", **kw):
    return plain.plain(V4.new_notebook(cells=list(cells)), name, LINKS, ADDRESS, **kw)


def text(source, **kw):
    return made(V4.new_markdown_cell(source, id="a"), **kw).cells[0].source


def test_admonitions_become_quotations():
    said = text(
        "Before.\n\n:::{admonition} Exercise 7.1\n:class: tip\nDo $x$.\n\nThen y.\n:::\nAfter."
    )
    assert said == "Before.\n\n> **Exercise 7.1**\n>\n> Do $x$.\n>\n> Then y.\nAfter."
    assert text(":::{note}\nMind.\n:::") == "> **Note**\n>\n> Mind."


def test_citations_become_links():
    said = text("Sultani et al. (2018) {cite}`sultani2018` say so.")
    assert said == "Sultani et al. (2018) ([source](https://arxiv.org/abs/1801.04264)) say so."
    assert "doi.org/10.1109/ICCV.2019.00179), [" in text("{cite}`gong2019,sultani2018`")
    assert "references" in text("Nobody (1999) {cite}`nobody1999`")


def test_numbers_are_those_of_the_book():
    figure = {"mystnb": {"figure": {"caption": "As in {eq}`eq-b`.", "name": "fig-two"}}}
    other = {"mystnb": {"figure": {"caption": "First."}}}
    page = made(
        V4.new_markdown_cell(
            "$$a$$ (eq-a)\n\n$$b$$ (eq-b)\n\n{eq}`eq-b`, {numref}`fig-two`", id="t"
        ),
        V4.new_code_cell("1", id="one", metadata=other),
        V4.new_code_cell("2", id="two", metadata=figure),
    )
    sources = [cell.source for cell in page.cells]
    assert sources[0] == r"$$a\tag{7.1} $$" + "\n\n" + r"$$b\tag{7.2} $$" + "\n\nEq. 7.2, Fig. 7.2"
    assert sources[2] == "*Fig. 7.1: First.*" and sources[4] == "*Fig. 7.2: As in Eq. 7.2.*"


def test_solutions_are_folded_and_still_run():
    cell = V4.new_code_cell("x = 1", id="s", metadata={"tags": ["hide-cell"]})
    folded = made(cell).cells[0]
    assert folded.metadata["cellView"] == "form" and folded.metadata["jupyter"]["source_hidden"]
    assert folded.source.startswith("#@title") and folded.source.endswith("x = 1")


def test_the_set_up_cell_says_what_to_do_with_a_placeholder(monkeypatch):
    cell = V4.new_code_cell("anything", id="setup")
    source = made(cell, version="abc123").cells[0].source
    assert '"vadlib @ git+{ADDRESS}@abc123"' in source
    source = source.replace("from vadlib import book", "raise ImportError", 1)
    source = source.replace(ADDRESS, "https://example.org/any/REPOSITORY")
    with pytest.raises(SystemExit, match="after ADDRESS ="):
        exec(re.sub(r"%pip.*", "pass", source))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_nothing_of_myst_is_left_in_a_chapter(path):
    myst = re.compile(r":::|\{(cite|eq|numref|note|ref)\}|\$\$ ?\([\w-]+\)|\[\]\(")
    page = plain.plain(runner.read(path), path.stem, LINKS, ADDRESS)
    nbformat.validate(page)
    before, figures = runner.read(path), 0
    for cell in page.cells:
        if cell.cell_type == "markdown":
            left = myst.search(cell.source)
            assert not left, f"{cell.id}: {left[0]}"
            figures += cell.id.endswith("-caption")
        elif "hide-cell" in cell.metadata.get("tags", []):
            assert cell.source.startswith("#@title")
    captions = [c for c in before.cells if c.metadata.get("mystnb", {}).get("figure")]
    assert figures >= sum(bool(c.metadata["mystnb"]["figure"].get("caption")) for c in captions)
    kept = [c.source for c in page.cells if c.cell_type == "code" and c.id != "setup"]
    first = [c.source for c in before.cells if c.cell_type == "code" and c.id != "setup"]
    assert [s.split("read it\n")[-1] for s in kept] == first, "the code is as it was"


def test_every_citation_of_the_book_can_be_followed():
    """By DOI, arXiv number, or the address of whoever published it."""
    keys = set(re.findall(r"@\w+\{(\w+),", (ROOT / "book" / "references.bib").read_text()))
    assert keys == set(LINKS) and all(link.startswith("https://") for link in LINKS.values())


def test_the_exported_folder_is_plain(tmp_path):
    found = {"12_weak_labels": ROOT / "book" / "12_weak_labels.ipynb"}
    pages.write_notebooks(ROOT, tmp_path / "notebooks", found)
    said = (tmp_path / "notebooks" / "12_weak_labels.ipynb").read_text()
    assert ":::{" not in said and "source_hidden" in said and "# 12 · " in said
