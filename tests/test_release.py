"""The release: each file has its sum, the zip opens from a file, the PDF has its contents right."""

import hashlib
import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest

from vadlib import papers
from vadlib.data.fetch import manifest
from vadlib.errors import VadError
from vadlib.lab.records import records
from vadlib.press import crate, pdf, release

ROOT = Path(__file__).parent.parent
HTML = ROOT / "_build" / "html"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A release of a small book: the built pages, of which three are printed."""
    for needed in ("playwright", "pypdf", "rocrate", "mlcroissant"):
        pytest.importorskip(needed)
    if not HTML.exists():
        pytest.skip("no book yet: make book")
    if not any(map(shutil.which, pdf.CHROMIUM)):
        pytest.skip("no Chromium on this machine")
    root = tmp_path_factory.mktemp("release")
    (root / "_build").mkdir()
    shutil.copytree(HTML, root / "_build" / "html")
    (root / "book").symlink_to(ROOT / "book")
    toc = "format: jb-book\nroot: index\nchapters:\n- file: 02_data\n- file: changelog\n"
    (root / "_toc.yml").write_text(toc)
    with pytest.MonkeyPatch.context() as patch:
        few = [r for r in records(papers.experiments()) if r["data"] == "plaza-clear"]
        patch.setattr(crate, "records", lambda known: few)
        patch.setattr(crate.papers, "PAPERS", ("maam",))
        release.write(root, root / "out")
    return root / "out", {r["name"] for r in few}


def test_every_file_has_its_sum(made):
    out, _ = made
    lines = dict(line.split("  ")[::-1] for line in (out / "SHA256SUMS").read_text().splitlines())
    files = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()} - {"SHA256SUMS"}
    assert lines.keys() == files and {"book.zip", "book.pdf", "records.crate.zip"} < files
    for name, digest in lines.items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest


def test_the_zip_opens_from_a_file_in_silence(made, tmp_path, chromium):
    out, _ = made
    zipfile.ZipFile(out / "book.zip").extractall(tmp_path)
    said, asked = [], []
    page = chromium.new_page()
    page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: said.append(str(e)))
    page.on("request", lambda r: asked.append(r.url) if r.url.startswith("http") else None)
    page.goto((tmp_path / release.FOLDER / "index.html").as_uri())
    page.wait_for_load_state("networkidle")
    assert "Video Anomaly Detection" in page.title() and not said and not asked
    page.close()


def test_a_zip_of_the_same_files_is_the_same(made, tmp_path):
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "b").write_text("b")
    (folder / "deep" / "a").write_text("a")
    release.zipped(folder, tmp_path / "1.zip")
    (folder / "b").touch()
    release.zipped(folder, tmp_path / "2.zip")
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()


def test_the_contents_of_the_pdf_name_the_right_pages(made):
    reader = pytest.importorskip("pypdf").PdfReader(made[0] / "book.pdf")
    texts = [" ".join(page.extract_text().split()) for page in reader.pages]
    contents = next(n for n, text in enumerate(texts) if text.startswith("Contents"))
    lines = re.findall(r"^(.+?) (\d+)$", reader.pages[contents].extract_text(), re.MULTILINE)
    assert ("2 · Data and protocols" in dict(lines)) and len(lines) > 10
    for title, number in lines[:-1]:  # the last is the number of the page itself
        assert title in texts[int(number) - 1], f"{title} is not on page {number}"
    for number, text in enumerate(texts, 1):
        assert text.endswith(f" {number}"), f"page {number} does not bear its number"
    assert len(reader.outline) > 2, "bookmarks"


def test_the_crate_in_the_release_lists_every_record(made, tmp_path):
    out, names = made
    zipfile.ZipFile(out / "records.crate.zip").extractall(tmp_path)
    read = pytest.importorskip("rocrate.rocrate").ROCrate(tmp_path)
    assert {act["name"] for act in read.root_dataset["mentions"]} == names


def test_croissants_hold_what_the_manifest_holds(tmp_path):
    mlc = pytest.importorskip("mlcroissant")
    for name, text in release.croissants().items():
        (tmp_path / "one.json").write_text(text)
        read, entry = mlc.Dataset(tmp_path / "one.json").metadata, manifest()[name]
        assert (read.name, read.url) == (name, entry.homepage)
        files = {file.content_url: file.sha256 for file in read.distribution}
        assert files == {file.url: file.sha256 for file in entry.files if file.sha256}
        assert json.loads(text)["@type"] == "sc:Dataset"


def test_without_a_book_there_is_nothing_to_release(tmp_path):
    with pytest.raises(VadError, match="make book"):
        release.write(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
