"""Chapters as plain notebooks: what Colab and Jupyter open, which know nothing of MyST.

Admonitions become quotations, citations links, references numbers, captions text; solutions are
folded, and the set-up cell says what to do where the repository's address is not known yet.
"""

from __future__ import annotations

import copy
import re
from pathlib import Path

import nbformat

ROLE = re.compile(r"\{(cite|eq|numref)\}`([^`]+)`")
EMPTY_LINK = re.compile(r"\[\]\(([\w-]+)(\.ipynb|\.md)\)")
ADMONITION = re.compile(r"^:::\{(\w+)\} ?([^\n]*)\n(.*?)^:::[ ]*$", re.MULTILINE | re.DOTALL)
OPTION = re.compile(r"^:\w+:.*\n", re.MULTILINE)
LABEL = re.compile(r"\$\$[ ]*\(([\w-]+)\)")
ENTRY = re.compile(r"@\w+\{(\w+),(.*?)\n\}", re.DOTALL)
SETUP = """try:
    from vadlib import book
except ImportError:  # Colab: install the library that this page was built with
    ADDRESS = "{address}"
    if ADDRESS.endswith("/REPOSITORY"):  # a placeholder
        raise SystemExit("Write your copy's address after ADDRESS = and run this cell again.")
    %pip install -q "vadlib @ git+{{ADDRESS}}{version}"
    from vadlib import book"""


def plain(
    page: nbformat.NotebookNode, name: str, links: dict[str, str], address: str, version: str = ""
) -> nbformat.NotebookNode:
    """A chapter without MyST.

    name     of the page: its number counts figures and equations, as in the book
    links    citation key -> an address, from `read_links`
    address  of the repository; version: a commit of it to install, "" for the newest
    """
    page = copy.deepcopy(page)
    head = f"{int(name[:2])}." if name[0].isdigit() else ""
    numbers = _numbers(page, head)
    cells = []
    for cell in page.cells:
        if cell.cell_type == "markdown":
            cell.source = _markdown(cell.source, numbers, links)
        elif cell.id == "setup":
            pin = f"@{version}" if version else ""
            cell.source = SETUP.format(address=address, version=pin)
        elif "hide-cell" in cell.metadata.get("tags", []):
            _fold(cell)
        cells.append(cell)
        caption = cell.metadata.get("mystnb", {}).get("figure", {}).get("caption")
        if caption:
            number = numbers[f"cell {cell.id}"]
            text = f"*{number}: {_markdown(caption, numbers, links)}*"
            cells.append(nbformat.v4.new_markdown_cell(text, id=f"{cell.id}-caption"[:64]))
    page.cells = cells
    return page


def read_links(path: Path) -> dict[str, str]:
    """Citation key -> where the work can be read, from a BibTeX file; keys without one left out."""
    found = {}
    for key, body in ENTRY.findall(path.read_text(encoding="utf-8")):
        fields = dict(re.findall(r"(doi|eprint|url)\s*=\s*\{([^}]*)\}", body))
        if "doi" in fields:
            found[key] = f"https://doi.org/{fields['doi']}"
        elif "eprint" in fields:
            found[key] = f"https://arxiv.org/abs/{fields['eprint']}"
        elif "url" in fields:
            found[key] = fields["url"]
    return found


def _numbers(page: nbformat.NotebookNode, head: str) -> dict[str, str]:
    """What figures and equations are called: by label, and captioned cells by their id."""
    numbers: dict[str, str] = {}
    figures = equations = 0
    for cell in page.cells:
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        if figure.get("caption"):
            figures += 1
            numbers[f"cell {cell.id}"] = f"Fig. {head}{figures}"
            numbers[figure.get("name", "")] = f"Fig. {head}{figures}"
        for label in LABEL.findall(cell.source) if cell.cell_type == "markdown" else ():
            equations += 1
            numbers[label] = f"Eq. {head}{equations}"
    return numbers


def _markdown(text: str, numbers: dict[str, str], links: dict[str, str]) -> str:
    """MyST as plain Markdown."""

    def role(found: re.Match) -> str:
        kind, target = str(found[1]), str(found[2])
        if kind != "cite":
            return numbers.get(target, target)
        known = [links[key.strip()] for key in target.split(",") if key.strip() in links]
        named = ", ".join(f"[source]({link})" for link in known)
        return f"({named})" if named else "(see the book's references)"

    def admonition(found: re.Match) -> str:
        kind, title, body = str(found[1]), str(found[2]), str(found[3])
        lines = OPTION.sub("", body).strip("\n").split("\n")
        head = title.strip() or kind.capitalize()
        return "\n".join([f"> **{head}**", ">", *(f"> {line}".rstrip() for line in lines)])

    text = ADMONITION.sub(admonition, text)
    text = LABEL.sub(lambda m: rf"\tag{{{numbers[m[1]].removeprefix('Eq. ')}}} $$", text)
    text = EMPTY_LINK.sub(lambda m: f"[{m[1].replace('_', ' ')}]({m[1]}{m[2]})", text)
    return ROLE.sub(role, text)


def _fold(cell: nbformat.NotebookNode) -> None:
    """Hide a solution's code: as a form in Colab, folded in Jupyter."""
    cell.source = f"#@title The solution: open this cell to read it\n{cell.source}"
    cell.metadata |= {"cellView": "form", "jupyter": {"source_hidden": True}}
