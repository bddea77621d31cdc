"""Built pages in a real browser: every page, light and dark, on a phone and on a desk."""

import importlib.util
import re
from functools import cache
from pathlib import Path

import pytest

HTML = Path(__file__).parent.parent / "_build" / "html"
PAGES = sorted(p.stem for p in HTML.glob("*.html"))
LOOKS = [(scheme, width) for scheme in ("light", "dark") for width in (390, 1300)]
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
MATH_IS_SET = "window.MathJax?.startup?.promise?.then(() => true) ?? true"
pytestmark = pytest.mark.skipif(not PAGES, reason="no book yet: make book")
each_page = pytest.mark.parametrize("name", PAGES)
each_look = pytest.mark.parametrize(("scheme", "width"), LOOKS)

FACTS = """() => ({
  wide: document.documentElement.scrollWidth - innerWidth,
  text: (document.querySelector("article") ?? document.body).innerText.trim().length,
  broken: [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src),
  unnamed: [...document.images].filter(i => !i.alt).map(i => i.src.slice(0, 80)),
  math: document.querySelectorAll(".math").length,
  set: document.querySelectorAll("mjx-container").length,
  about: document.querySelector("meta[name=description]")?.content ?? "",
  still: document.querySelectorAll("figure.vad-move[data-kind]").length,
  awake: document.querySelectorAll("figure.vad-move[data-kind] .vad-dials").length,
})"""
# What is cut at the right, and yet cannot be reached by keyboard or has no name.
CUT = """() => [...document.querySelectorAll(".bd-article *")].filter(e => {
  const scrolls = e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0
    && ["auto", "scroll"].includes(getComputedStyle(e).overflowX);
  return scrolls && (e.tabIndex < 0 || !(e.ariaLabel || e.matches("mjx-container")));
}).map(e => e.outerHTML.slice(0, 120))"""
# A formula behind its number, or a number off the page.
HIDDEN = """() => [...document.querySelectorAll("div.math:has(> .eqno)")].filter(e => {
  const set = e.querySelector("mjx-container").getBoundingClientRect();
  const number = e.querySelector(".eqno").getBoundingClientRect();
  return set.right > number.left + 1 || number.right > innerWidth;
}).map(e => e.id)"""

# Code that goes on to the right, where paper ends.
OFF_PAPER = """() => [...document.querySelectorAll(".bd-article pre")]
  .filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent.slice(0, 80))"""


@cache
def axe():
    """The source of axe-core, which a package of PyPI brings along: no npm is needed."""
    spec = importlib.util.find_spec("axe_playwright_python")
    if spec is None:
        pytest.skip("axe-playwright-python is not installed")
    return (Path(spec.submodule_search_locations[0]) / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture
def opened(chromium):
    """Opens a built page; at the end, nothing may have failed, nor been asked of the network."""
    contexts, errors, asked = [], [], []

    def open_(name, scheme, width):
        contexts.append(
            chromium.new_context(
                color_scheme=scheme, viewport={"width": width, "height": 900}, offline=True
            )
        )
        contexts[-1].set_default_timeout(120_000)  # a busy machine is slow, not wrong
        page = contexts[-1].new_page()
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: errors.append(str(e)))
        page.on("request", lambda r: asked.append(r.url) if r.url.startswith("http") else None)
        page.goto((HTML / f"{name}.html").as_uri())
        page.wait_for_function(MATH_IS_SET)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not errors
    assert not asked, "a page of the book works without a network"


@each_page
@each_look
def test_pages_are_whole_and_meet_wcag_2_1_aa(opened, name, scheme, width):
    page = opened(name, scheme, width)
    found = page.evaluate(FACTS)
    assert found["wide"] <= 0, f"{found['wide']} px too wide"
    assert found["text"] > (0 if name == "search" else 100), "empty"
    assert not found["broken"] and not found["unnamed"]
    assert found["set"] >= (found["math"] > 0), "formulas were not set"
    assert found["awake"] == found["still"], "a thing to move does not move"
    assert len(found["about"]) > 20 or name in ("search", "genindex", "py-modindex")
    assert not page.evaluate(CUT), "cut, and the keyboard cannot reach it"
    assert not page.evaluate(HIDDEN), "a formula is cut behind its number"
    assert not violations(page)


@pytest.mark.parametrize("name", ["07_maam_net", "13_head_to_head"])
def test_on_paper_no_code_is_cut(opened, name):
    page = opened(name, "dark", 700)
    assert page.evaluate(OFF_PAPER), "on a screen it scrolls"
    page.emulate_media(media="print")
    assert not page.evaluate(OFF_PAPER)


def violations(page):
    """What axe finds against WCAG 2.1 AA, a line each."""
    page.evaluate(axe())
    # The glyphs inside formulas are paths, thousands a page, without text or controls.
    # And its own look into style sheets would ask for files that the page does not.
    rules = {"runOnly": WCAG, "resultTypes": ["violations"], "preload": False}
    run = "rules => axe.run({exclude: [['mjx-container svg']]}, rules).then(r => r.violations)"
    broken = page.evaluate(run, rules)
    return [f"{v['id']}: {n['target']} {n['html'][:120]}" for v in broken for n in v["nodes"]]


@pytest.mark.skipif(
    not (HTML / "_static" / "ort").is_dir(),
    reason="built without npm: the film stands in its place",
)
@each_look
def test_the_detector_in_the_page_agrees_with_pytorch(chromium, served, scheme, width):
    """Over http, as readers have it: the page asks for its own files only, and after a click."""
    address, asked = served(HTML), []
    page = chromium.new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    page.on("request", lambda r: asked.append(r.url) if r.url.startswith("http") else None)
    page.goto(f"{address}in_your_browser.html")
    page.wait_for_function(MATH_IS_SET)
    assert asked and not [url for url in asked if "/ort/" in url], "loaded before a click"
    figure = page.locator("figure.vad-inpage")
    figure.locator(".vad-dials button").press("Enter")
    page.wait_for_selector("figure.vad-inpage [name=frame]:focus", timeout=120_000)
    assert sum("/ort/" in url for url in asked) == 3
    assert not [url for url in asked if not url.startswith(address)]
    checked = figure.locator(".vad-checked").inner_text()
    assert float(re.search(r"differ by ([\d.]+e-\d+) at most", checked)[1]) < 1e-4
    said = figure.locator("> figcaption").inner_text()
    here, there = re.search(r"score ([\d.]+) here, ([\d.]+) in PyTorch", said).groups()
    assert float(here) == pytest.approx(float(there), rel=1e-4)
    assert page.evaluate(FACTS)["wide"] <= 0 and not page.evaluate(CUT)
    assert not violations(page)
    page.close()


@pytest.mark.parametrize("name", ["index", "status"])
def test_a_table_that_is_cut_scrolls_by_arrow_keys(opened, name):
    page = opened(name, "light", 390)
    boxes = page.locator("[role=region][tabindex='0']:has(table)")
    assert boxes.count(), "on a phone, a table of this page is wider than the screen"
    box = boxes.first
    assert "vad-cut-right" in box.get_attribute("class")
    box.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.activeElement.scrollLeft > 0")


def test_in_the_dark_no_html_lies_on_a_light_slab(opened):
    """Text in outputs has the page's own colour and ground, captions too."""
    shown = "e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]"
    page = opened("index", "dark", 1300)
    text = page.evaluate("() => getComputedStyle(document.querySelector('article p')).color")
    outputs = page.locator("div.cell_output .text_html")
    assert outputs.count()
    for part in outputs.all():
        colour, ground = part.evaluate(shown)
        assert colour == text and ground == "rgba(0, 0, 0, 0)"


@each_page
def test_pages_are_small(name):
    """3 MB a page, with its pictures, beyond what all pages share."""
    text = (HTML / f"{name}.html").read_text(encoding="utf-8")
    pictures = {HTML / p for p in re.findall(r'src="(_images/[^"]+)"', text)}
    size = len(text.encode()) + sum(p.stat().st_size for p in pictures)
    assert size <= 3e6, f"{size / 1e6:.1f} MB"


@pytest.mark.skipif("ledger" not in PAGES, reason="the ledger is not built")
def test_the_ledger_can_be_searched(opened):
    """By words and by a choice, with the count said; a search without an answer says so."""
    page = opened("ledger", "light", 1300)
    rows = page.locator(".vad-scroll[data-find] tbody tr:not([hidden])")
    said, words = page.locator(".vad-find output"), page.get_by_role("searchbox", name="words")
    every = rows.count()
    assert every > 100 and said.inner_text() == f"{every} of {every} lines"
    page.get_by_role("combobox", name="paper").select_option("MDSF")
    some = rows.count()
    assert 0 < some < every and all("MDSF" in row for row in rows.all_inner_texts())
    words.fill("avenue gates")
    assert all("gates" in row.lower() for row in rows.all_inner_texts()) and rows.count() < some
    words.fill("zebra")
    assert rows.count() == 0 and said.inner_text() == f"0 of {every} lines"
