"""The first page's table: printed numbers from claims, ours from records; README has the same."""

import base64
import io
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from vadlib import papers
from vadlib.errors import VadError
from vadlib.lab.records import records
from vadlib.press import front, pages

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def found():
    return records(papers.experiments())


def test_each_paper_has_its_row_its_chapter_and_its_record(found):
    assert {p.folder for p in front.PAPERS} == set(papers.PAPERS) - {"baselines", "attributes"}
    names, chapters = {r["name"] for r in found}, pages.read_toc(ROOT)
    for paper in front.PAPERS:
        assert paper.record in names and paper.chapter in chapters


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("maam", "97.7 (Ped2)"),  # printed as 0.977
        ("msti", "96.8 (Ped2)"),  # printed as 96.8%
        ("mdsf", "95.0 (Ped2)"),
        ("la_net", "85.1 (UCF-Crime)"),
    ],
)
def test_printed_numbers_are_in_percent(folder, said):
    assert next(p for p in front.PAPERS if p.folder == folder).number() == said


def test_the_best_rule_has_learned_nothing(found):
    def record(method, mean, data="ped2"):
        row = {"protocol": "headline", "metric": "auc", "term": "score", "mean": mean}
        return {"data": data, "method": method, "results": [row]}

    made = [record("maam", 0.99), record("mean-image", 0.98), record("zero-flow", 0.6)]
    made += [record("copy-last", 0.7), record("flow-magnitude", 0.9, "plaza")]
    assert front.best_rule("ped2", made) == ("copy-last", 0.7)
    assert front.best_rule("avenue", made) is None


def test_readme_shows_the_table_of_today():
    """`python -m vadlib.press.front` writes it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    inside = text.partition(front.BEGIN)[2].partition(front.END)[0].strip().split("\n")
    assert inside == front.lines("book/{}.ipynb")


def test_readme_names_every_chapter():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for chapter in pages.chapters(ROOT):
        assert f"(book/{chapter['name']}.ipynb)" in text


def test_a_readme_without_its_marks_is_refused(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("no place")
    with pytest.raises(VadError, match="no place for the table"):
        front.write_readme(path)


def test_the_picture_is_the_one_that_the_page_has_drawn(tmp_path):
    image = Image.new("RGB", (30, 20), (0, 114, 178))
    image.save(made := io.BytesIO(), "PNG")
    data = {"image/png": base64.b64encode(made.getvalue()).decode()}
    said = [
        nbformat.v4.new_output("stream", text="so"),
        nbformat.v4.new_output("display_data", data),
    ]
    page = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("draw()", id="chart", outputs=said)]
    )
    nbformat.write(page, tmp_path / "page.ipynb")
    front.write_picture(tmp_path / "page.ipynb", tmp_path / "picture.webp")
    kept = np.asarray(Image.open(tmp_path / "picture.webp").convert("RGB"))
    assert kept.shape == (20, 30, 3) and (kept == (0, 114, 178)).all()


def test_readme_shows_pictures_that_are_here_and_small():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^\]]+\]\((book/[^)]+)\)", text)
    assert len(shown) == 3 and all((ROOT / path).stat().st_size < 300_000 for path in shown)
