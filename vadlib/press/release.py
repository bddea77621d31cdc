"""A release: the book to read offline and as one PDF, records and data sets for machines, sums.

`make release` writes it into `_build/release`, from the book as it was last built.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import shutil
import sys
import zipfile
from pathlib import Path

from vadlib.data.fetch import manifest
from vadlib.errors import VadError
from vadlib.press import crate, pages
from vadlib.press.pdf import write_pdf

FOLDER = "video-anomaly-detection-reproduced"
SUMS = "SHA256SUMS"
FORMATS = {".zip": "application/zip", ".gz": "application/gzip"}


def write(root: Path, out: Path) -> list[Path]:
    """Write the release into a folder, which is made anew. Returns its files.

    Raises VadError where the book has not been built, or a package that a release needs is missing.
    """
    html = root / "_build" / "html"
    if not (html / "index.html").exists():
        raise VadError(f"there is no book in {html}", "Build it first: make book.")
    shutil.rmtree(out, ignore_errors=True)
    (out / "croissant").mkdir(parents=True)
    zipped(html, out / "book.zip", FOLDER)
    write_pdf(html, list(pages.read_toc(root)), out / "book.pdf")
    crate.write(out / "crate")
    zipped(out / "crate", out / "records.crate.zip")
    shutil.rmtree(out / "crate")
    for name, text in croissants().items():
        (out / "croissant" / f"{name}.json").write_text(text, encoding="utf-8")
    return [*sums(out), out / SUMS]


def zipped(folder: Path, path: Path, inside: str = "") -> None:
    """A folder as a zip, the same bytes for the same files: sorted, and without times."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for source in sorted(p for p in folder.rglob("*") if p.is_file()):
            name = Path(inside, source.relative_to(folder)).as_posix()
            entry = zipfile.ZipInfo(name)  # of 1980-01-01, as the format begins then
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            file.writestr(entry, source.read_bytes())


def croissants() -> dict[str, str]:
    """Each data set of `data/manifest.json` as Croissant (<https://mlcommons.org/croissant>).

    A file whose sha256 nobody has published is left out, and the description says so: Croissant
    wants one, and none is ever made up.
    """
    try:
        mlc = importlib.import_module("mlcroissant")
    except ImportError as error:
        raise VadError(
            "Croissant needs mlcroissant, which is not installed",
            "Install it: pip install mlcroissant.",
        ) from error
    found = {}
    for name, entry in manifest().items():
        known = [file for file in entry.files if file.sha256]
        missing = [file.url for file in entry.files if not file.sha256]
        said = f"{entry.title}, as `vadlib data {name}` fetches it. {entry.licence}."
        said += " Fetched by hand, from its homepage." * (not entry.files)
        said += f" Without a published sha256: {', '.join(missing)}." if missing else ""
        files = [
            mlc.FileObject(
                id=(last := file.url.rpartition("/")[2]),
                name=last,
                content_url=file.url,
                encoding_formats=[FORMATS[Path(last).suffix]],
                sha256=file.sha256,
            )
            for file in known
        ]
        facts = {"name": name, "description": said, "url": entry.homepage, "license": entry.licence}
        made = mlc.Metadata(**facts, distribution=files).to_json()
        found[name] = json.dumps(made, indent=1, ensure_ascii=False) + "\n"
    return found


def sums(out: Path) -> list[Path]:
    """Write the sha256 of every file, as `sha256sum -c` reads it. Returns the files."""
    files = sorted(p for p in out.rglob("*") if p.is_file() and p.name != SUMS)
    lines = []
    for path in files:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        lines.append(f"{digest}  {path.relative_to(out).as_posix()}\n")
    (out / SUMS).write_text("".join(lines), encoding="utf-8")
    return files


def main() -> int:
    """Write `_build/release`. 0: written; 2: a mistake of the caller's."""
    root = Path.cwd()
    out = root / "_build" / "release"
    try:
        for path in write(root, out):
            print(f"{path.stat().st_size / 1e6:8.2f} MB  {path.relative_to(root)}")
    except VadError as error:
        print(f"release: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
