"""How the book is cited: one title, one version, and the same papers, wherever it is said."""

import re
from pathlib import Path

import yaml

import vadlib
from vadlib.press import crate, front, pages, plain

ROOT = Path(__file__).parent.parent
CITED = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
FIELD = re.compile(r"^\s*(\w+)\s*= \{(.+?)\},?$", re.MULTILINE)
CITE = re.compile(r"\{cite\}`([^`]+)`")
BIB = ROOT / "book" / "references.bib"


def test_all_places_name_one_book():
    page = (ROOT / "book" / "references.md").read_text(encoding="utf-8")
    said = dict(re.findall(r"^  (\w+)\s*= \{+(.+?)\}+,?$", page, re.MULTILINE))
    book = CITED["preferred-citation"]
    assert said["title"] == CITED["title"] == book["title"]
    assert said["author"] == book["authors"][0]["name"]
    assert said["version"] == CITED["version"] == book["version"] == vadlib.__version__
    assert int(said["year"]) == book["year"]


def test_an_address_and_a_date_are_told_once_there_are_some():
    """A placeholder is no address, and a version in preparation has no day on which it came out."""
    address = pages.repository(ROOT)
    real = {"repository-code": address} if pages.known(address) else {}
    news = (ROOT / "book" / "changelog.md").read_text(encoding="utf-8")
    day = re.search(rf"^## {re.escape(CITED['version'])}, (.+)$", news, re.MULTILINE)[1]
    real |= {} if day == "in preparation" else {"date-released": day}
    found = {key: str(CITED[key]) for key in ("repository-code", "date-released") if key in CITED}
    assert found == real


def test_the_papers_are_those_of_the_bibliography():
    """Title, year and where it can be read; one for each row of the first page."""
    text, links = BIB.read_text(encoding="utf-8"), plain.read_links(BIB)
    entries = {
        dict(FIELD.findall(body))["title"]: (key, body) for key, body in plain.ENTRY.findall(text)
    }
    assert len(entries) == len(links), "no work stands there twice"
    for work in CITED["references"]:
        key, body = entries[work["title"]]
        assert str(work["year"]) == dict(FIELD.findall(body))["year"]
        assert crate.address(work) == links[key]
    assert len(CITED["references"]) == len(front.PAPERS)


def test_every_work_of_the_bibliography_is_named_somewhere():
    """Cited in a page, or named by author and year in the library."""
    folder = ROOT / "book"
    pages_ = [p.read_text(encoding="utf-8") for p in sorted(folder.glob("*.[im]*"))]
    cited = {key.strip() for t in pages_ for keys in CITE.findall(t) for key in keys.split(",")}
    library = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "vadlib").rglob("*.py"))
    for key, body in plain.ENTRY.findall(BIB.read_text(encoding="utf-8")):
        fields = dict(FIELD.findall(body))
        named = rf"{fields['author'].split(',')[0]}[^()\n]*[ (]{fields['year']}"
        assert key in cited or re.search(named, library), f"{key} is cited nowhere"
