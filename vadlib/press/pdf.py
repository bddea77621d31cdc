"""The built pages as one PDF: contents with page numbers, bookmarks, links that stay inside.

All pages are put into one, in the order of the book, and Chromium prints it twice: the first time
to learn on which page each heading falls, the second time with these numbers in the contents.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from bs4 import BeautifulSoup

from vadlib.errors import VadError

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")
SHEET, BOUND = "print.html", "book.pdf"
GONE = "script, button, .headerlink, .thebe-launch-button, .vad-dials, a[href*='colab.research']"
EMPTY = "<!doctype html><html lang=en data-theme=light><head></head><body></body></html>"
STYLE = """
@page { size: A4; margin: 18mm 17mm 20mm; }
html, body { font-size: 10.5pt; background: #fff; }
body { display: block; }
article.bd-article { display: block; padding: 0; max-width: none; break-before: page; }
article.bd-article:first-of-type { break-before: auto; }
h1, h2, h3, h4 { break-after: avoid; }
h1 { font-size: 20pt; margin-top: 0; }
h2 { font-size: 15pt; }
h3 { font-size: 12pt; }
mjx-container g[stroke-width="0"] { stroke: none; } /* in a PDF, no width is a hairline */
figure, img, svg, .vad-box, div.math { break-inside: avoid; }
img, svg, video { max-width: 100%; height: auto; }
summary { display: none; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 8.5pt; }
div.cell_output, .vad-scroll, .text_html { overflow: visible !important; }
table { font-size: 8.5pt; overflow-wrap: anywhere; }
td, th { white-space: normal !important; }
.contents p { display: flex; gap: 1ex; margin: 0.15em 0; break-inside: avoid; }
.contents p::before { content: ""; flex: 1; order: 1; border-bottom: 1px dotted #888; }
.contents .page { order: 2; min-width: 3ex; text-align: right; }
.contents .chapter { font-weight: 600; margin-top: 0.7em; }
.contents .section { padding-left: 2em; }
.contents a { color: inherit; text-decoration: none; }
"""
# Paper shows no film: its middle picture stands for it.
STILLS = """async () => {
  for (const film of document.querySelectorAll("video")) {
    film.preload = "auto";
    film.muted = true;
    await new Promise((seen, failed) => {
      film.onloadedmetadata = () => { film.currentTime = film.duration / 2; };
      film.onseeked = seen;
      film.onerror = () => failed(new Error("a film cannot be read"));
      film.load();
    });
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [film.videoWidth, film.videoHeight];
    canvas.getContext("2d").drawImage(film, 0, 0);
    const picture = document.createElement("img");
    picture.src = canvas.toDataURL("image/png");
    picture.alt = film.getAttribute("aria-label") ?? film.title;
    film.replaceWith(picture);
    await picture.decode();
  }
}"""
FOOT = (
    '<div style="width: 100%; font: 8px sans-serif; text-align: center; color: #555">'
    '<span class="pageNumber"></span></div>'
)


def write_pdf(html: Path, names: list[str], out: Path) -> Path:
    """Print built pages into one PDF.

    html   the folder of the built book; `print.html` is written there while it runs
    names  of its pages, in order
    Raises VadError where Chromium, Playwright or pypdf is missing.
    """
    try:
        from playwright.sync_api import sync_playwright
        from pypdf import PdfReader
    except ImportError as error:
        raise VadError(
            f"a PDF needs {error.name}, which is not installed",
            "Install what a release needs: pip install playwright pypdf.",
        ) from error
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        raise VadError("a PDF needs Chromium, which is not here", "Install it: apt, brew, or so.")
    sheet, bound = html / SHEET, bind(html, names)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path)
        page = browser.new_page(offline=True)
        page.set_default_timeout(600_000)
        for _ in range(2):
            sheet.write_text(str(bound), encoding="utf-8")
            page.goto(sheet.as_uri())
            page.wait_for_function("MathJax.startup.promise.then(() => true)")
            page.evaluate(STILLS)
            page.pdf(
                path=str(out),
                display_header_footer=True,
                header_template="<span></span>",
                footer_template=FOOT,
                prefer_css_page_size=True,
                tagged=True,
                outline=True,
            )
            fill_in(bound, page_numbers(PdfReader(out)))
        browser.close()
    sheet.unlink()
    return out


def bind(html: Path, names: list[str]) -> Any:
    """The articles of all pages in one, behind a title and contents whose numbers are empty."""
    first = read(html / f"{names[0]}.html")
    bound = parse(EMPTY)
    for part in first.head.select("meta[charset], title, link[rel=stylesheet], script"):
        if part.name != "script" or "MathJax" in part.text or "tex-svg" in part.get("src", ""):
            bound.head.append(part)
    bound.head.append(style := bound.new_tag("style"))
    style.string = STYLE
    contents = bound.new_tag("article", attrs={"class": "bd-article contents"})
    for name in names:
        article = read(html / f"{name}.html").select_one("article.bd-article")
        inside(article, name, set(names))
        bound.body.append(article)
        for heading in article.select("h1, h2"):
            line(bound, contents, heading, name)
    heading = bound.new_tag("h2")
    heading.string = "Contents"
    contents.insert(0, heading)
    bound.body.select_one("article").insert_after(contents)
    return bound


def read(path: Path) -> Any:
    """A built page. Raises VadError where it is missing."""
    if not path.exists():
        raise VadError(f"{path} does not exist", "Build the book first: make book.")
    return parse(path.read_text(encoding="utf-8"))


def parse(text: str) -> Any:
    return BeautifulSoup(text, "html.parser")


def inside(article: Any, name: str, names: set[str]) -> None:
    """Make a page part of a larger one: ids and links get its name, folded parts are open."""
    for part in article.select(GONE):
        part.decompose()
    for part in article.select("details"):
        part["open"] = ""
    for part in article.find_all(id=True):
        if not part.find_parent("svg"):  # its ids are used within the drawing
            part["id"] = f"{name}--{part['id']}"
    article["id"] = f"{name}--"
    for link in article.find_all("a", href=True):
        page, _, mark = link["href"].partition("#")
        page = page.removesuffix(".html")
        if link["href"].startswith("#") or page in names:
            link["href"] = f"#{page or name}--{mark}"


def line(bound: Any, contents: Any, heading: Any, name: str) -> None:
    """Add a heading to the contents; its page number is filled in later."""
    at = heading.get("id") or heading.find_parent("section", id=True)["id"]
    kind = "chapter" if heading.name == "h1" else "section"
    row = bound.new_tag("p", attrs={"class": kind})
    row.append(link := bound.new_tag("a", href=f"#{at}"))
    link.string = " ".join(heading.get_text().split())
    row.append(bound.new_tag("span", attrs={"class": "page"}))
    row.span.string = "000"
    contents.append(row)


def page_numbers(reader: Any) -> dict[str, int]:
    """Anchor -> the page on which it stands, counted from 1; for anchors that a link names."""
    found = {}
    for name, to in reader.named_destinations.items():
        found[unquote(name).lstrip("/")] = reader.get_destination_page_number(to) + 1
    return found


def fill_in(bound: Any, found: dict[str, int]) -> None:
    """Write page numbers into the contents."""
    for row in bound.select(".contents p"):
        row.span.string = str(found[row.a["href"][1:]])
