"""How the book is cited: one title, one version, and the same papers, wherever it is said."""

import re
from pathlib import Path

import yaml

import vadlib
from vadlib.press import front, plain

ROOT = Path(__file__).parent.parent
CITED = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
FIELD = re.compile(r"^\s*(\w+)\s*= \{(.+?)\},?$", re.MULTILINE)
BIB = ROOT / "book" / "references.bib"


def test_all_places_name_one_book():
    page = (ROOT / "book" / "references.md").read_text(encoding="utf-8")
    said = dict(re.findall(r"^  (\w+)\s*= \{+(.+?)\}+,?$", page, re.MULTILINE))
    book = CITED["preferred-citation"]
    assert said["title"] == CITED["title"] == book["title"]
    assert said["author"] == book["authors"][0]["name"]
    assert said["version"] == CITED["version"] == book["version"] == vadlib.__version__
    assert int(said["year"]) == book["year"]


def test_the_papers_are_those_of_the_bibliography():
    """Title, year and where it can be read; one for each row of the first page."""
    text, links = BIB.read_text(encoding="utf-8"), plain.read_links(BIB)
    entries = {
        dict(FIELD.findall(body))["title"]: (key, body) for key, body in plain.ENTRY.findall(text)
    }
    for work in CITED["references"]:
        key, body = entries[work["title"]]
        assert str(work["year"]) == dict(FIELD.findall(body))["year"]
        known = [work.get("doi", ""), *(i["value"] for i in work.get("identifiers", []))]
        if key in links:
            assert any(k and links[key].endswith(k.removeprefix("arXiv:")) for k in known), key
    assert len(CITED["references"]) == len(front.PAPERS)
