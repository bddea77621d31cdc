"""Slides: marked cells and no others, in decks that open from a file, on which nothing is cut."""

from pathlib import Path

import nbformat
import pytest
from test_browser import MATH_IS_SET

from vadlib.errors import VadError
from vadlib.press import plain, runner, slides

ROOT = Path(__file__).parent.parent
STAGE = ROOT / "_build" / "stage"
CHAPTERS = sorted(p.stem for p in (ROOT / "book").glob("[0-9]*.ipynb"))
LINKS = plain.read_links(ROOT / "book" / "references.bib")
V4 = nbformat.v4
each_chapter = pytest.mark.parametrize("name", CHAPTERS)

# What a slide shows beyond its 1280 by 720, formulas that were not set, pictures that are missing.
CUT = """i => {
  const slide = Reveal.getSlides()[i], at = Reveal.getIndices(slide);
  Reveal.slide(at.h, at.v);
  const scale = Reveal.getScale();
  const box = document.querySelector(".slides").getBoundingClientRect();
  const right = box.left + 1280 * scale + 1, bottom = box.top + 720 * scale + 1;
  const out = [...slide.querySelectorAll("*")].filter(e => {
    const r = e.getBoundingClientRect();
    return r.width && (r.right > right || r.bottom > bottom);
  }).map(e => `beyond the edge: ${e.outerHTML.slice(0, 90)}`);
  const wide = [...slide.querySelectorAll("pre, table, mjx-container")]
    .filter(e => e.scrollWidth > e.clientWidth + 2 && getComputedStyle(e).display !== "inline")
    .map(e => `wider than its place: ${e.outerHTML.slice(0, 90)}`);
  const unset = [...slide.querySelectorAll("[data-mjx-error]")].map(e => `unset: ${e.title}`);
  const lost = [...slide.querySelectorAll("img")].filter(e => !e.naturalWidth).map(e => e.src);
  return [...out, ...wide, ...unset, ...lost];
}"""


@pytest.fixture(scope="module")
def decks(tmp_path_factory):
    """All decks, made from the book as it is staged."""
    pytest.importorskip("sphinx_revealjs", reason="sphinx-revealjs is not installed")
    if not STAGE.exists():
        pytest.skip("no book yet: make book")
    out = tmp_path_factory.mktemp("slides") / "out"
    with pytest.MonkeyPatch.context() as patch:  # the stage is read, and nothing else of _build
        root = tmp_path_factory.mktemp("root")
        (root / "_build").mkdir()
        (root / "_build" / "stage").symlink_to(STAGE)
        for part in ("book", "_toc.yml"):
            (root / part).symlink_to(ROOT / part)
        patch.chdir(root)
        slides.write(root, out)
    return out


@each_chapter
def test_every_chapter_has_marked_cells(name):
    page = runner.read(ROOT / "book" / f"{name}.ipynb")
    marked = [c.id for c in page.cells if slides.TAG in c.metadata.get("tags", [])]
    assert "goals" in marked and len(marked) >= 3


@each_chapter
def test_no_slide_is_cut_and_no_deck_needs_a_network(decks, chromium, name):
    said, asked = [], []
    page = chromium.new_page(viewport={"width": 1280, "height": 720})
    page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: said.append(str(e)))
    page.on("request", lambda r: asked.append(r.url) if r.url.startswith("http") else None)
    page.goto((decks / f"{name}.html").as_uri())
    page.wait_for_function(f"Reveal.isReady() && ({MATH_IS_SET})")
    count = page.evaluate("Reveal.getTotalSlides()")
    cut = {n: found for n in range(count) if (found := page.evaluate(CUT, n))}
    page.close()
    assert count >= 4 and not cut
    assert not said and not asked


def test_a_deck_holds_marked_cells_under_the_heading_that_they_stand_below():
    marked = {"tags": ["slide"]}
    figure = marked | {"mystnb": {"figure": {"caption": "A line.", "name": "fig-a"}}}
    cells = [
        V4.new_markdown_cell("# 7 · Seven\n\nWhy?\n\nMore.", id="title"),
        V4.new_markdown_cell("After this\n\n- a;\n- b.\n\n| c |", id="goals", metadata=marked),
        V4.new_markdown_cell("Before.\n\n## Loss\n\nFirst.", id="loss"),
        V4.new_markdown_cell("$$x$$ (eq-x)", id="eq", metadata=marked),
        V4.new_code_cell("draw()", id="draw", metadata=figure),
        V4.new_code_cell("print(1)", id="print", metadata=marked),
        V4.new_markdown_cell("### End\n\nLast.", id="end", metadata=marked),
    ]
    made = slides.deck(V4.new_notebook(cells=cells), "07_seven", LINKS)
    sources = [cell.source for cell in made]
    assert sources[0] == "# 7 · Seven\n\nWhy?" and sources[1].endswith("you can\n\n- a;\n- b.")
    assert sources[2].startswith("## Loss\n\n$$x") and "(7.1)" in sources[2]
    assert sources[3:7] == ["## Loss", "draw()", "*Fig. 7.1: A line.*", "## Loss"]
    assert sources[7:] == ["print(1)", "## End\n\nLast."]
    assert [c.metadata["tags"] for c in made if c.cell_type == "code"] == [["remove-input"], []]
    assert slides.deck(V4.new_notebook(cells=cells[:1]), "07_seven", LINKS) == []


def test_without_a_stage_there_are_no_slides(tmp_path):
    with pytest.raises(VadError, match="make book"):
        slides.write(tmp_path, tmp_path / "out")
