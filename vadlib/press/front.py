"""The table on the first page: each paper, its number, ours, and what nobody had to learn.

`python -m vadlib.press.front` writes it into README.md as well, and after a build also the picture
of the eye chart that README.md shows.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from vadlib import papers
from vadlib.errors import VadError
from vadlib.lab.claims import WAITING
from vadlib.lab.compare import compared, term_auc
from vadlib.lab.records import is_headline, records
from vadlib.measure.intervals import Interval
from vadlib.papers.baselines.rows import IMAGES, METHODS
from vadlib.press import runner

HEAD = ("paper", "its own AUC", "ours, 95 % interval", "at what scale", "best rule that learned "
        "nothing", "read")  # fmt: skip
BEGIN, END = "<!-- front: made by python -m vadlib.press.front -->", "<!-- front: end -->"


@dataclass(frozen=True)
class Paper:
    """Where a paper's number stands, and which record of ours stands beside it.

    printed  (table of its claims.py, row, column, what it was measured on)
    row      name of our record; its data decide which rules it is compared with
    scale    what we ran, in words
    """

    folder: str
    title: str
    printed: tuple[str, str, str, str]
    row: str
    data: str
    scale: str
    chapter: str

    @property
    def record(self) -> str:
        """The name of our record."""
        return f"{self.row}-{self.data}-standard"

    def number(self) -> str:
        """The paper's own number, in percent, and the data that it is about."""
        table, row, column, data = self.printed
        found = papers.tables_of(self.folder)[table]
        cell = float(found.rows[row][found.columns.index(column)].rstrip("% "))
        return f"{100 * cell if cell <= 1 else cell:.1f} ({data})"


PAPERS = (
    Paper(
        "maam",
        "MAAM-Net, Wang et al. 2023",
        ("Table 2", "MAAM-Net", "Ped2", "Ped2"),
        "maam",
        "ped2",
        "Ped2, an eighth of the width, four passes, 3 seeds",
        "07_maam_net",
    ),
    Paper(
        "msti",
        "MSTI-Net, Ning et al. 2023",
        ("Table I", "Ours", "UCSD Ped2", "Ped2"),
        "msti",
        "ped2",
        "Ped2, an eighth of the width, three passes, 3 seeds",
        "08_msti_net",
    ),
    Paper(
        "mdsf",
        "MDSF, Qin 2025",
        ("Table 1", "MDSF (Ours)", "Ped2 micro", "Ped2"),
        "mdsf",
        "ped2",
        "Ped2, three scales of 24 to 96 channels, 6 and 8 passes, 3 seeds",
        "09_mdsf",
    ),
    Paper(
        "local_patterns",
        "Local Patterns, Jiang and Mao 2025",
        ("Table 1", "Ours (the paper's)", "CUHK Avenue", "Avenue; none for Ped2"),
        "local-patterns",
        "ped2",
        "Ped2, small networks of our own in place of large ones, 3 seeds",
        "11_local_patterns_dynamics",
    ),
    Paper(
        "la_net",
        "LA-Net, Pu and Wu 2022",
        ("Table 1", "DDL (Ours)", "AUC(%)", "UCF-Crime"),
        "la-net",
        "plaza-bags",
        "60 weakly labelled videos of Plaza, 5 seeds",
        "12_weak_labels",
    ),
)


def best_rule(data: str, found: list[dict]) -> tuple[str, float] | None:
    """Of the rules without training that have a record on some data, the best and its AUC.

    Chosen with the answers in view, which favours the rules; None where there is no record.
    """
    rules = {method.name for method in METHODS} - set(IMAGES)
    rows = [
        (row["mean"], record["method"])
        for record in found
        if record["data"] == data and record["method"] in rules
        for row in record["results"]
        if is_headline(row)
    ]
    return (max(rows)[1], max(rows)[0]) if rows else None


def lines(link: str = "{}.ipynb", folder: Path | None = None) -> list[str]:
    """The table as lines of Markdown. Percent, micro AUC of raw scores; † made by older code.

    link  how a chapter is linked, with {} for its name
    """
    found = records(papers.experiments(), folder)
    state = {record["name"]: record["stale"] for record in found}
    table = [" | ".join(HEAD), " | ".join(["---"] * len(HEAD))]
    for paper in PAPERS:
        interval = compared(term_auc(), paper.record, 0.0)
        mark = "†" if state.get(paper.record) else ""
        rule = best_rule(paper.data, found)
        place = f"[Chapter {int(paper.chapter[:2])}]({link.format(paper.chapter)})"
        table.append(
            f"{paper.title} | {paper.number()} | {_said(interval)}{mark} | {paper.scale} | "
            f"{f'{rule[0]} {100 * rule[1]:.1f}' if rule else WAITING} | {place}"
        )
    return [f"| {line} |" for line in table]


def _said(found: Interval | None) -> str:
    if found is None:
        return WAITING
    value, low, high = (100 * x for x in (found.value, found.low, found.high))
    return f"{value:.1f} ({low:.1f} to {high:.1f})"


def write_readme(path: Path) -> None:
    """Put the table between its marks in README.md. Raises VadError where they are missing."""
    text = path.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise VadError(f"{path} has no place for the table", f"Write {BEGIN} and {END}.")
    before, _, rest = text.partition(BEGIN)
    table = "\n".join(lines("book/{}.ipynb"))
    path.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def write_picture(page: Path, path: Path, cell: str = "chart") -> None:
    """Keep the figure that a cell of an executed page has drawn, as a WebP without loss."""
    drawn = next(c for c in runner.code_cells(runner.read(page)) if c.id == cell)
    data = next(o.data["image/png"] for o in drawn.outputs if "image/png" in o.get("data", {}))
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        image.convert("RGB").save(path, lossless=True, quality=100, method=6)


if __name__ == "__main__":
    write_readme(Path("README.md"))
    for page in sorted(Path("_build/executed").glob("*/eye_chart.ipynb"))[:1]:
        write_picture(page, Path("book/fig/eye_chart.webp"))
