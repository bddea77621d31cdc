"""Sentences that are computed from records: where the records say the opposite, so do they.

Every cell of a chapter that words what records hold is run by itself, with the statements before it
that it needs, in two worlds: with the records as they are, and with good and bad exchanged: shares
become what they lack, and kept scores turn their signs.
"""

import ast
import json
import re
import symtable
import sys
import textwrap
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest

from vadlib import book
from vadlib.lab import claims, compare, eyechart
from vadlib.lab import records as store
from vadlib.measure import threshold as measured

ROOT = Path(__file__).parents[1]
SOURCES = (
    "book.results(",
    "book.records(",
    "book.compare(",
    "compared(",
    "Difference(",
    "book.sight(",
    "read_scores(",
    "eyechart.curves(",
)
LIVE = ("book.start(", "run.load(", "protocol_card(", "train_or_load(")
PAGES = ("eye_chart", "pitfalls")
# cells that say what a run cost, and not what came out
COSTS = {"07-cost", "07-paper-cost", "08-cost", "09-cost-record"}
# cells that print numbers of records beside each other and draw no conclusion in words
NUMBERS = {
    "07-numbers",
    "07-numbers-rules",
    "07-long-words",
    "07-ablation-words",
    "07-memory-words",
    "07-used-words",
    "07-kinds-words",
    "07-dials-words",  # it weighs spreads, which are the same where good and bad are exchanged
    "08-used",
    "09-protocols-said",
    "09-pool-said",
    "09-gaps-others",
    "09-where-said",
    "12-sight",
    "12-ped2-untrained",
    "13-paired-check",
    "13-far-said",
    "13-price-said",
    "eye-conditions-read",
    "pitfalls-smoothing-read",
    "pitfalls-alignment-order",
    "pitfalls-alignment-read",
    "pitfalls-seed-read",
    "pitfalls-crops-read",
    "pitfalls-norm-records",
}
# cells of dice, thrown on the labels of a record's videos: no score of a record is in them
DICE = {"pitfalls-padding-ends", "pitfalls-choosing-read"}


# ------------------------------------------------------------ what a cell needs of those before it


def free(node):
    """The names that a statement takes from outside."""
    table = symtable.symtable(
        "def f():\n" + textwrap.indent(ast.unparse(node), "    "), "cell", "exec"
    )
    found, tables = set(), table.get_children()
    while tables:
        inner = tables.pop()
        found |= {s.get_name() for s in inner.get_symbols() if s.is_global()}
        tables += inner.get_children()
    return found | grown(node)


def bound(node):
    """The names that a statement makes."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    found = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            found.add(part.id)
        elif isinstance(part, ast.alias):
            found.add((part.asname or part.name).split(".")[0])
    return found


def grown(node):
    """The names to whose values a statement adds: name += …, name[…] = …, name.append(…)."""
    found = set()
    for part in ast.walk(node):
        where = None
        if isinstance(part, ast.AugAssign):
            where = part.target
        elif isinstance(part, ast.Subscript) and isinstance(part.ctx, ast.Store):
            where = part.value
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute):
            where = part.func.value if part.func.attr in ("append", "update", "extend") else None
        if isinstance(where, ast.Name):
            found.add(where.id)
    return found


@cache
def statements(chapter):
    """(cell, statement) of a notebook, in order; cells with a magic of IPython are left out."""
    found = []
    for cell in json.loads((ROOT / "book" / f"{chapter}.ipynb").read_text())["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "code" and not re.search(r"^\s*[%!]", text, re.MULTILINE):
            found += [(cell["id"], node) for node in ast.parse(text).body]
    return found


@cache
def needed(chapter, cell):
    """The statements of a cell, after those before them that make what they name."""
    lines = statements(chapter)
    keep = {i for i, (name, _) in enumerate(lines) if name == cell}
    wanted = [(i, name) for i in keep for name in free(lines[i][1])]
    while wanted:
        i, name = wanted.pop()
        for j in range(i - 1, -1, -1):
            node = lines[j][1]
            if name in bound(node) | grown(node):
                if j not in keep:
                    keep.add(j)
                    wanted += [(j, other) for other in free(node)]
                if name in bound(node) - grown(node):
                    break
    return [lines[i][1] for i in sorted(keep)]


def says(node):
    return not isinstance(node, ast.FunctionDef) and re.search(
        r"book\.(md|sight)\(", ast.unparse(node)
    )


def worded():
    """(chapter, cell) for every cell that words what records hold, and needs no network."""
    chapters = sorted((ROOT / "book").glob("[01][0-9]_*.ipynb"))
    for path in [*chapters, *(ROOT / "book" / f"{page}.ipynb" for page in PAGES)]:
        own = {}
        for cell, node in statements(path.stem):
            own.setdefault(cell, []).append(node)
        for cell, nodes in own.items():
            if any(map(says, nodes)):
                code = "\n".join(map(ast.unparse, needed(path.stem, cell)))
                if any(s in code for s in SOURCES) and not any(s in code for s in LIVE):
                    yield path.stem, cell


# ------------------------------------------------------------------------------------- two worlds

BOOTSTRAP, KEPT, READ = compare.weighted_bootstrap, compare._kept, store.read_scores
CURVES, DRAWN = eyechart.curves, {}


def mirrored(record):
    """A record with good and bad exchanged: shares become what they lack, others their inverse."""

    def value(row, v):
        share = row["metric"].split(",")[0] in book.FRACTIONS
        return 1 - v if share else 1 / v if v else v

    def whole(row):
        values = [value(row, v) for v in row["values"]]
        return row | {"values": values, "mean": sum(values) / len(values)}

    def point(at):
        rows = [row | {"value": value(row, row["value"])} for row in at["rows"]]
        return at | {"rows": rows, "held_out": {k: -v for k, v in (at["held_out"] or {}).items()}}

    runs = [run | {"curve": [point(at) for at in run.get("curve") or []]} for run in record["runs"]]
    return record | {"results": [whole(row) for row in record["results"]], "runs": runs}


def negative(read):
    """What a record keeps, as if normal and abnormal had changed places: the highest comes lowest.

    read  list of Scores; none becomes negative, as an error never is
    """
    parts = [{"": s.frame} | s.terms for s in read]
    top = {k: max(part[k].max(initial=0) for part in parts) for k in parts[0]}
    turned = [{k: top[k] - v for k, v in part.items()} for part in parts]
    return [replace(s, frame=t.pop(""), terms=t) for s, t in zip(read, turned, strict=True)]


@cache
def records(turned):
    return [mirrored(r) for r in records(False)] if turned else book.records()


def turn(patch):
    """All kept scores with their signs turned, wherever they are read."""

    def read(*args):
        return negative(READ(*args))

    def kept(*args):
        found, truth = zip(*KEPT(*args), strict=True)
        return list(zip(negative(found), truth, strict=True))

    for module in [m for name, m in sys.modules.items() if name.startswith("vadlib")]:
        if getattr(module, "read_scores", None) is READ:
            patch.setattr(module, "read_scores", read)
    patch.setattr(compare, "_kept", kept)


def said(chapter, cell, monkeypatch, turned):
    """What a cell says, with the records as they are or turned; from few draws, to save time."""
    texts, known = [], {r["name"]: r for r in records(turned)}

    def row(value):
        rows = known[value.record]["results"] if value.record in known else []
        key = (value.protocol, value.metric, value.term)
        return next((r for r in rows if (r["protocol"], r["metric"], r["term"]) == key), None)

    with monkeypatch.context() as patch:
        if turned:
            turn(patch)
        patch.setattr(book, "records", lambda: list(known.values()))
        patch.setattr(book, "md", texts.append)
        patch.setattr(book, "_table", lambda *parts, **more: None)
        patch.setattr(claims.Value, "row", row)
        patch.setattr(
            compare, "weighted_bootstrap", lambda f, n, draws: BOOTSTRAP(f, n, min(draws, 200))
        )
        few = lambda f, n, draws: BOOTSTRAP(f, n, min(draws, 50))  # noqa: E731
        patch.setattr(measured, "weighted_bootstrap", few)
        patch.setattr(measured, "threshold", passes)
        patch.setattr(eyechart, "curves", partial(curves, turned))
        names = {"book": book, "PROFILE": "standard", "SEED": 0, "DEVICE": "cpu"}
        code = ast.Module(needed(chapter, cell), type_ignores=[])
        exec(compile(code, f"{chapter}#{cell}", "exec"), names)
    return "\n".join(map(str, texts))


def curves(turned, chart, *dials, **how):
    """Those of an eye chart, made once in each world for all cells that read them."""
    key = (turned, chart.name, *map(str, dials), *how.items())
    if key not in DRAWN:
        DRAWN[key] = CURVES(chart, *dials, **how)
    return DRAWN[key]


def passes(curve, falls=False):
    """A threshold without psignifit, which takes a quarter of a second for each: between settings
    along straight lines."""
    at, value = (curve.at[::-1], curve.values[::-1]) if falls else (curve.at, curve.values)
    above = value >= measured.SEES
    i = int(above.argmax())
    where = None
    if above.any() and i:
        where = float(np.interp(measured.SEES, value[i - 1 : i + 1], at[i - 1 : i + 1]))
    low, high = (float("nan"),) * 2 if where is None else (where, where)
    best = 1.0 if above.any() else 0.5
    return measured.Threshold(where, low, high, falls, best, float(curve.at[-1]))


def words(text):
    """A text without its numbers and without rows of tables, whose cells are numbers."""
    prose = [line for line in text.splitlines() if not line.startswith("|")]
    return re.sub(r"[-+−±]?\d[\d.,]*", "", "\n".join(prose)).strip()


def key_of(chapter, cell):
    return f"{chapter.partition('_')[0]}-{cell}"


CELLS = list(worded())
each = pytest.mark.parametrize("chapter, cell", CELLS, ids=[key_of(*c) for c in CELLS])


def test_there_are_sentences_to_look_at():
    chapters = {chapter.partition("_")[0] for chapter, _ in CELLS}
    assert len(CELLS) >= 60
    assert {"07", "08", "09", "10", "11", "12", "13", "eye", "pitfalls"} <= chapters


@each
def test_a_sentence_turns_with_its_records(chapter, cell, monkeypatch):
    real, turned = (said(chapter, cell, monkeypatch, t) for t in (False, True))
    assert real
    key = key_of(chapter, cell)
    same = COSTS | DICE
    assert (real != turned) != (key in same), "says the same, whatever the records say"
    if words(real) and key not in same | NUMBERS:
        assert words(real) != words(turned), "numbers have changed, and the words have not"
