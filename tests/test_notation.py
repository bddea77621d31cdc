"""One symbol means one thing: the symbols that chapters list are those of the notation page."""

import json
import re
from pathlib import Path

import pytest

BOOK = Path(__file__).parents[1] / "book"
CHAPTERS = sorted(BOOK.glob("[0-9][0-9]_*.ipynb"))
PAGE = (BOOK / "notation.md").read_text(encoding="utf-8")


def rows(text):
    """Cells of each row of the tables that have a column "symbol" first."""
    inside = False
    for line in text.splitlines():
        parts = [part.strip() for part in re.split(r"(?<!\\)\|", line)[1:-1]]
        inside = len(parts) > 1 and (inside or parts[0].startswith("symbol"))
        if inside and not parts[0].startswith(("symbol", "-")):
            yield parts


def plain(symbol):
    """A symbol without what a table may leave out: fonts, hats, brackets, a running index."""
    symbol = re.sub(r"\\(mathbf|hat|bar|widetilde|mathrm)\b", "", symbol)
    symbol = re.sub(r"\\[{}]|[\s{}]", "", symbol).strip("()")
    return re.sub(r"_([tiknoc]+|\d)(\+1)?$", "", symbol)


def symbols(cell):
    """The symbols of a table's cell, of which a formula may list several."""
    for formula in re.findall(r"\$([^$]+)\$", cell):
        formula = re.sub(r"(?<=[\w}])\([^()]*\)", "", formula)  # what a function is of
        parts = map(plain, re.split(r"[,;=]|\\c?dots?", formula))
        yield from filter(None, parts)


def listed(chapter):
    """The notation page's symbols for a chapter: of all sections but those of other chapters."""
    found = set()
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE):
        own = {int(n) for n in re.findall(r"Chapter (\d+)", section)}
        if not own or chapter in own:
            found |= {name for cells in rows(section) for name in symbols(cells[0])}
    return found


def test_symbols_are_found_in_tables():
    text = (
        "| symbol | in code |\n|---|---|\n| $I_t(x, y)$, $\\hat{\\mathbf z}$ | `a` |\n\n| x | y |"
    )
    assert [list(symbols(cells[0])) for cells in rows(text)] == [["I", "z"]]
    assert list(symbols(r"$\mathbf d = (d_x, d_y)$")) == ["d", "d_x", "d_y"]
    assert list(symbols(r"$\mathcal M = \{\mathbf m_i\}$; $I_1, \dots, I_4$")) == [
        r"\mathcalM",
        "m",
        "I",
        "I",
    ]
    assert {"y", r"\theta", r"\tau"} <= listed(3) and "T" in listed(10)
    assert "q" not in listed(7), "the letters of Chapter 8 are its own"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_symbols_of_a_chapter_are_on_the_notation_page(path):
    known = listed(int(path.stem[:2]))
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for cell in cells:
        for parts in rows("".join(cell["source"])) if cell["cell_type"] == "markdown" else ():
            unknown = [name for name in symbols(parts[0]) if name not in known]
            assert not unknown, f"{cell['id']}: {unknown} of {parts[0]} ({parts[1]}) is not there"


def test_labels_and_thresholds_have_one_letter():
    """Labels are y_t, thresholds theta, and tau is the frame that a score speaks for."""
    text = PAGE + "".join(path.read_text(encoding="utf-8") for path in CHAPTERS)
    assert not re.search(r"\\+ell_t", text)
    for path in (BOOK / "notation.md", *CHAPTERS):
        for line in path.read_text(encoding="utf-8").splitlines():
            if re.match(r"\W*\| \$\\+tau", line):
                assert "threshold" not in line, f"{path.name}: {line}"
