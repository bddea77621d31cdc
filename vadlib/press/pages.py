"""From sources and outputs to what Jupyter Book reads: contents, addresses, staged pages."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import yaml
from PIL import Image

from vadlib.errors import VadError
from vadlib.lab.records import commit
from vadlib.press import house, plain, runner

BADGE = re.compile(r"\[!\[[^\]]*\]\([^)]*\)\]\(@COLAB@[^)]*\)")


def read_toc(root: Path) -> dict[str, Path]:
    """Page name -> its source in book/, in the order of _toc.yml. Raises VadError for a gap."""
    return {name: path for _, name, path in _entries(root)}


def chapters(root: Path) -> list[dict[str, str]]:
    """The numbered chapters: part, name, and the title and question that stand in their first cell.

    Raises VadError as `read_toc` does.
    """
    found = []
    for part, name, path in _entries(root):
        if name[0].isdigit():
            title, _, rest = runner.read(path).cells[0].source.partition("\n\n")
            question = " ".join(rest.partition("\n\n")[0].split())
            title = f"{int(name[:2])} · {title.removeprefix('# ')}"
            found.append({"part": part, "name": name, "title": title, "question": question})
    return found


def _entries(root: Path) -> list[tuple[str, str, Path]]:
    """(part, page name, source) for each page that _toc.yml names."""
    toc = root / "_toc.yml"
    if not toc.exists():
        raise VadError(f"{toc} does not exist", "Run this in the root of the repository.")
    return [
        (part, name, _source(root, name))
        for part, name in _walk([yaml.safe_load(toc.read_text(encoding="utf-8"))])
    ]


def _walk(nodes: list[dict[str, Any]], part: str = "") -> Iterator[tuple[str, str]]:
    for node in nodes:
        caption = node.get("caption", part)
        if name := node.get("root") or node.get("file"):
            yield caption, name
        for inner in ("parts", "chapters", "sections"):
            yield from _walk(node.get(inner, []), caption)


def _source(root: Path, name: str) -> Path:
    for path in (root / "book" / f"{name}.ipynb", root / "book" / f"{name}.md"):
        if path.exists():
            return path
    raise VadError(
        f"_toc.yml names {name}, but book/{name}.ipynb (or .md) does not exist",
        "Add the file, or take it out of _toc.yml.",
    )


def write_stage(root: Path, stage: Path, pages: dict[str, Path], folder: Path) -> list[str]:
    """Write config, contents, pages and static files to the stage, addresses filled in.

    Returns the names of notebooks that have never run with these parameters.
    """
    shutil.rmtree(stage, ignore_errors=True)
    shutil.copytree(root / "book", stage, ignore=shutil.ignore_patterns("*.ipynb", ".*"))
    shutil.copy(mathjax(), stage / "_static")
    if "api" in pages:  # as the house is now, not as it was when somebody last drew it
        (stage / "fig" / "house.svg").write_text(house.drawing(root), encoding="utf-8")
    address, waiting = repository(root), []
    shutil.copy(root / "_toc.yml", stage)
    config = yaml.safe_load(fill((root / "_config.yml").read_text(encoding="utf-8"), address))
    if not known(address):  # no buttons that lead nowhere
        config["html"] |= {"use_repository_button": False, "use_issues_button": False}
        del config["launch_buttons"]
    (stage / "_config.yml").write_text(yaml.safe_dump(config))
    for name, path in pages.items():
        if path.suffix == ".md":
            (stage / path.name).write_text(fill(path.read_text(encoding="utf-8"), address))
            continue
        page = number(runner.read(path), name)
        if (folder / path.name).exists():
            page = runner.merge(page, runner.read(folder / path.name))
        else:
            waiting.append(name)
        text = fill(nbformat.writes(page), address)
        (stage / path.name).write_text(anonymous(text, root), encoding="utf-8")
    return waiting


def number(page: nbformat.NotebookNode, name: str) -> nbformat.NotebookNode:
    """Puts a chapter's number, which only its file name knows, in front of its title."""
    if name[0].isdigit():
        page.cells[0].source = f"# {int(name[:2])} · {page.cells[0].source.removeprefix('# ')}"
    return page


def mathjax() -> Path:
    """The one file that sets formulas; it travels with the pages, so that they work offline."""
    package = importlib.metadata.distribution("sphinx-mathjax-offline")
    return Path(str(package.locate_file("sphinx-mathjax-offline/static/mathjax/tex-svg-full.js")))


def write_notebooks(root: Path, folder: Path, pages: dict[str, Path]) -> None:
    """Plain notebooks without outputs, addresses filled in: what the Colab buttons open.

    They install the library of the commit that the pages were built from, where it is a commit.
    """
    folder.mkdir(exist_ok=True)
    links = plain.read_links(root / "book" / "references.bib")
    address, made = repository(root), commit()
    version = "" if made.endswith("+") else made
    for path in (p for p in pages.values() if p.suffix == ".ipynb"):
        page = number(runner.read(path), path.name)
        page = nbformat.writes(plain.plain(page, path.stem, links, address, version))
        (folder / path.name).write_text(fill(page, address), encoding="utf-8")


def slim(html: Path) -> None:
    """Pictures of the built pages as lossless WebP: the same pixels in about two thirds of it."""
    smaller = {}
    for path in sorted((html / "_images").glob("*.png")):
        made = path.with_suffix(".webp")
        with Image.open(path) as picture:
            picture.save(made, lossless=True)
        old, new = (path, made) if made.stat().st_size < path.stat().st_size else (made, path)
        old.unlink()
        smaller[f"_images/{path.name}"] = f"_images/{new.name}"
    for page in html.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(
            re.sub(r"_images/[\w.-]+\.png", lambda m: smaller.get(m[0], m[0]), text),
            encoding="utf-8",
        )


def repository(root: Path) -> str:
    """The repository's web address, from the one place where it stands."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["urls"]["Repository"].rstrip("/").removesuffix(".git")


def known(address: str) -> bool:
    """Whether the address is one, and not the placeholder."""
    return not address.endswith("/OWNER/REPOSITORY")


def fill(text: str, address: str) -> str:
    """Put the address where the tokens stand; without an address, there is no Colab button."""
    if not known(address):
        text = BADGE.sub("", text)
    colab = address.replace("https://github.com", "https://colab.research.google.com/github")
    text = text.replace("@COLAB@", f"{colab}/blob/gh-pages/notebooks")
    return text.replace("@REPOSITORY@", address)


def anonymous(text: str, root: Path) -> str:
    """Without the paths of the machine that ran it."""
    data = os.environ.get("VADLIB_DATA")
    text = text.replace(str(Path(data).resolve()), "$VADLIB_DATA") if data else text
    return text.replace(f"{root}/", "").replace(str(Path.home()), "~")
