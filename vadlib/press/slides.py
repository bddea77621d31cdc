"""Slides: the cells of a chapter that are tagged `slide`, each on a slide of its own.

`make slides` makes a deck a chapter of them, with sphinx-revealjs, which brings reveal.js along:
decks open from a file, without a network. A figure is shown without the code that drew it.
"""

from __future__ import annotations

import copy
import re
import shutil
import sys
from pathlib import Path

import nbformat

from vadlib.errors import VadError
from vadlib.press import pages, plain, runner

TAG = "slide"
SIZE = (1280, 720)
HEADING = re.compile(r"^##+ +(.+)\n*", re.MULTILINE)
GOAL = re.compile(r"^- .+$", re.MULTILINE)
NUMBER = re.compile(r"\\tag\{([\d.]+)\}")  # Sphinx puts lines into `split`, which has no tags
V4 = nbformat.v4
CSS = """
.reveal { font-size: 28px; }
.reveal .slides { text-align: left; }
.reveal h1 { font-size: 2.1em; text-transform: none; }
.reveal h2 { font-size: 1.4em; text-transform: none; margin-bottom: 0.6em; }
.reveal p, .reveal ul, .reveal table { line-height: 1.35; }
.reveal ul, .reveal ol { display: block; margin-left: 1.2em; }
.reveal li { margin: 0.35em 0; }
.reveal pre { width: 100%; box-shadow: none; font-size: 0.68em; line-height: 1.3; }
.reveal pre code { max-height: none; padding: 0; }
.reveal .output pre { color: #444; }
.reveal img, .reveal video { height: 430px; max-width: 100%; width: auto !important;
  object-fit: contain; margin: 0 auto; display: block; }
.reveal table { font-size: 0.7em; }
.reveal blockquote { width: auto; margin: 0.5em 0; box-shadow: none;
  border-left: 4px solid #0072b2; }
"""


def deck(page: nbformat.NotebookNode, name: str, links: dict[str, str]) -> list:
    """The cells of a chapter's deck; empty where none is marked.

    page   with its outputs and its number; links as `plain.plain` takes them
    """
    page = plain.plain(page, name, links, "")
    title, _, rest = page.cells[0].source.partition("\n\n")
    question = rest.partition("\n\n")[0]
    made, heading = [], title.removeprefix("# ").partition(" · ")[2]
    end = "-caption"
    captions = {c.id.removesuffix(end): c for c in page.cells if c.id.endswith(end)}
    for cell in page.cells:
        text = cell.source if cell.cell_type == "markdown" else ""
        headings = HEADING.findall(text)
        if begins := HEADING.match(text):
            heading, text = begins[1], text[begins.end() :]
        if TAG in cell.metadata.get("tags", []):
            made += slide(cell, heading, text)
            made += [captions[cell.id]] if cell.id in captions else []
        heading = headings[-1] if headings else heading
    return [V4.new_markdown_cell(f"{title}\n\n{question}", id="title"), *made] if made else []


def slide(cell: nbformat.NotebookNode, heading: str, text: str) -> list:
    """A marked cell below a heading; of the goals, the list alone."""
    if cell.id == "goals":
        heading, text = "After this chapter you can", "\n".join(GOAL.findall(text))
    text = NUMBER.sub(r"\\qquad (\1)", text)
    head = V4.new_markdown_cell(f"## {heading}\n\n{text}".strip(), id=f"slide-{cell.id}"[:64])
    return [head, shown(cell)] if cell.cell_type == "code" else [head]


def shown(cell: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A code cell as it stands on a slide: a figure alone, anything else below its code."""
    cell = copy.deepcopy(cell)
    drawn = cell.metadata.pop("mystnb", {}).keys() & {"image", "figure"}
    hidden = {"hide-input", "remove-input"} & set(cell.metadata.get("tags", []))
    cell.metadata["tags"] = ["remove-input"] if drawn or hidden else []
    return cell


def write(root: Path, out: Path) -> list[Path]:
    """Build a deck for each chapter with marked cells. Returns the pages.

    Reads what the book was staged from, with its outputs. Raises VadError where it has not been
    staged, where sphinx-revealjs is missing, and where a deck cannot be built.
    """
    stage, work = root / "_build" / "stage", root / "_build" / "slides-work"
    if not stage.exists():
        raise VadError("the book has not been built", "Build it first: make book.")
    shutil.rmtree(work, ignore_errors=True)
    source = work / "source"
    (source / "_static").mkdir(parents=True)
    shutil.copy(pages.mathjax(), source / "_static")
    (source / "_static" / "slides.css").write_text(CSS, encoding="utf-8")
    links = plain.read_links(root / "book" / "references.bib")
    names = {}
    for chapter in pages.chapters(root):
        page = runner.read(stage / f"{chapter['name']}.ipynb")
        if cells := deck(page, chapter["name"], links):
            book = V4.new_notebook(cells=cells, metadata=page.metadata)
            nbformat.write(book, source / f"{chapter['name']}.ipynb")
            names[chapter["name"]] = chapter["title"]
    listed = [f"- [{title}]({name}.ipynb)" for name, title in names.items()]
    tree = ["", "```{toctree}", ":hidden:", *names, "```", ""]
    text = "\n".join(["# Slides", "", *listed, *tree])
    (source / "index.md").write_text(text, encoding="utf-8")
    build(source, work / "html")
    shutil.rmtree(out, ignore_errors=True)
    shutil.move(work / "html", out)
    shutil.rmtree(work)  # MyST-NB leaves pictures beside what it builds
    return [out / f"{name}.html" for name in names]


def build(source: Path, out: Path) -> None:
    """Run Sphinx on the decks, without a conf.py. Raises VadError where it warns or fails."""
    try:
        import sphinx_revealjs  # noqa: F401
        from myst_nb.core.render import base_render_priority
        from sphinx.application import Sphinx
    except ImportError as error:
        raise VadError(
            f"slides need {error.name}, which is not installed",
            "Install it: pip install sphinx-revealjs.",
        ) from error
    html = base_render_priority()["html"]
    settings = {
        "extensions": ["myst_nb", "sphinx.ext.mathjax", "sphinx_revealjs"],
        "nb_execution_mode": "off",
        "nb_mime_priority_overrides": [("revealjs", mime, place) for mime, place in html.items()],
        "myst_enable_extensions": ["amsmath", "dollarmath"],
        "mathjax_path": "tex-svg-full.js",
        "language": "en",
        "suppress_warnings": ["myst.xref_missing"],
        "revealjs_html_theme": "revealjs-simple",
        "revealjs_style_theme": "white",
        "revealjs_static_path": ["_static"],
        "revealjs_css_files": ["slides.css"],
        "revealjs_script_conf": {
            "width": SIZE[0],
            "height": SIZE[1],
            "margin": 0.05,
            "hash": True,
            "center": False,
            "slideNumber": True,
            "transition": "none",
        },
    }
    app = Sphinx(source, None, out, out / ".doctrees", "revealjs", settings, status=None)
    app.build()
    shutil.rmtree(out / ".doctrees")
    if app.statuscode:
        raise VadError("the decks could not be built", "What Sphinx said stands above.")


def main() -> int:
    """Build `_build/slides`. 0: built; 2: a mistake of the caller's."""
    root = Path.cwd()
    out = root / "_build" / "slides"
    try:
        made = write(root, out)
    except VadError as error:
        print(f"slides: {error}", file=sys.stderr)
        return 2
    print(f"{len(made)} decks. Open:\n  {out / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
