"""Official archives: fetched with resume, checked, and unpacked inside their folder or not at all.

What is fetched from where, under which licence and with which sha256, stands in
`data/manifest.json`. A sha256 that nobody has published is null there, and the computed one is
printed; none is ever made up.
"""

from __future__ import annotations

import hashlib
import lzma
import shutil
import stat
import struct
import sysconfig
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import requests
from tqdm import tqdm
from urllib3.exceptions import HTTPError

from vadlib.data import store
from vadlib.data.schema import Entry, Manifest, check, read_json
from vadlib.errors import VadError, writing

CHUNK = 2**16  # what a broken connection may lose
INSTALLED = Path(sysconfig.get_path("data")) / "share" / "vadlib" / "manifest.json"
TIMEOUT = (15, 60)  # seconds to connect, and between two pieces of an answer
# An archive that unpacks to more than this is a bomb, or not what was asked for: pictures, films
# and masks that are mostly empty shrink 40 times at the most.
RATIO, FLOOR, MEMBERS = 100, 2**26, 1_000_000  # times its own size, and bytes in any case; members


ELSEWHERE = "Set VADLIB_DATA to a folder that you may write to, on a disk with room."
# what the archives' readers raise, led astray by damaged bytes or by a password
DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    OverflowError,
    IndexError,
)


def manifest() -> dict[str, Entry]:
    """`data/manifest.json`: the repository's, or the one that pip put beside Python.

    Raises VadError where it is missing or damaged, naming the field.
    """
    own = store.home() / "data" / "manifest.json"
    path = own if own.exists() else INSTALLED
    content = read_json(path, "Run this in a clone of the repository, or restore it with git.")
    return check(Manifest, content, str(path), "Restore it with git.").root


def fetch(name: str, root: Path | None = None) -> Path:
    """Download and unpack a data set under `root` (`data_root()` when None); its folder.

    Downloads nothing where the folder is there already. Raises VadError for a set that cannot be
    fetched, saying where to get it and where to put it.
    """
    entries = manifest()
    if name not in entries:
        raise VadError(f"there is no data set {name!r}", f"Data sets are {', '.join(entries)}.")
    entry, root = entries[name], Path(root) if root else store.data_root()
    places, into = [root / made for made in entry.makes], root / entry.into
    if all(place.is_dir() for place in places):
        return places[0]
    by_hand = f"Get it from {entry.homepage} and put it at {' and '.join(map(str, places))}."
    if not entry.files:
        raise VadError(f"{entry.title} cannot be fetched by a program", by_hand)
    print(f"{entry.title}. Licence: {entry.licence}.")
    for file in entry.files:
        archive = root / "downloads" / file.name
        download(file.url, archive, file.sha256, by_hand)
        extract(archive, into)
    for place in places:
        if not place.is_dir():
            raise VadError(f"the archive of {entry.title} made no folder {place}", by_hand)
    return places[0]


class Broken(Exception):
    """A download that ended before it was whole."""


LOST = (requests.RequestException, HTTPError, ConnectionError, TimeoutError, Broken)


def download(url: str, path: Path, sha256: str | None = None, by_hand: str = "") -> str:
    """Fetch `url` to `path`, going on where an earlier attempt stopped; the sha256 of the file.

    sha256   what the file must hash to; None prints what it does hash to
    by_hand  what to do when the host cannot be reached

    Raises VadError when it cannot be had whole; a file with a wrong sha256 is deleted.
    """
    part = path.with_name(f"{path.name}.part")
    with writing(path, ELSEWHERE):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            try:
                _receive(url, part)
            except (
                requests.RequestException,
                HTTPError,
                ConnectionError,
                TimeoutError,
                Broken,
            ) as error:
                raise VadError(
                    f"{url} could not be fetched ({type(error).__name__}: {error})",
                    f"{by_hand} Running the command again goes on where it stopped.".strip(),
                ) from error
            part.replace(path)
    found = _sha256(path)
    if sha256 is None:
        print(f"{path.name}: sha256 {found} (none is published to compare it with)")
    elif found != sha256:
        path.unlink()
        raise VadError(
            f"{path.name} has sha256 {found}, not {sha256}; it was deleted",
            "Run the command again; if it stays wrong, the host serves another file.",
        )
    return found


def _receive(url: str, part: Path) -> None:
    """Append what is missing of `url` to `part`."""
    start = part.stat().st_size if part.exists() else 0
    ask = {"Range": f"bytes={start}-"} if start else {}
    with requests.get(url, headers=ask, stream=True, timeout=TIMEOUT) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            total = answer.headers.get("Content-Range", "").rpartition("/")[2]
            if total == str(start):  # it was whole already
                return
            part.unlink()
            raise Broken("the partial file was longer than the whole; it was deleted")
        answer.raise_for_status()
        goes_on = answer.status_code == requests.codes.partial_content
        offered = answer.headers.get("Content-Range", f"bytes {start}-").partition("-")[0]
        if goes_on and offered != f"bytes {start}":
            raise Broken(f"the host sent {offered} where bytes {start} were asked for")
        start = start if goes_on else 0  # a host without ranges sends everything again
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length else None
        bar = tqdm(desc=part.stem, total=total, initial=start, unit="B", unit_scale=True)
        with part.open("ab" if goes_on else "wb") as file, bar:
            # undecoded: some hosts call a .tar.gz a gzip-encoded .tar
            for piece in answer.raw.stream(CHUNK, decode_content=False):
                file.write(piece)
                bar.update(len(piece))
    if total is not None and part.stat().st_size != total:
        raise Broken(f"the connection ended at {part.stat().st_size} of {total} bytes")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def extract(archive: Path, folder: Path) -> None:
    """Unpack a .zip or .tar(.gz) into `folder`: all of it, or nothing.

    It is unpacked beside its place and then moved, so that a killed run leaves nothing that looks
    whole. What is in `folder` already under the same name stays as it is.
    Raises VadError for a damaged or encrypted archive, for one that would fill the disk or is far
    larger than it looks, and for members that are links or devices or would land outside `folder`.
    """
    workshop = folder / f".unpacking-{archive.name}"
    shutil.rmtree(workshop, ignore_errors=True)
    with writing(workshop, ELSEWHERE):
        workshop.mkdir(parents=True)
    try:
        (_unzip if zipfile.is_zipfile(archive) else _untar)(archive, workshop)
        for made in sorted(workshop.iterdir()):
            if not (folder / made.name).exists():
                made.replace(folder / made.name)
    except VadError:
        raise
    except DAMAGED as error:
        raise VadError(
            f"{archive} cannot be unpacked ({error})",
            "Delete it and download it again; it must be a .zip or .tar(.gz) without a password.",
        ) from error
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def _unzip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        members = file.infolist()
        _bounded(archive, folder, (member.file_size for member in members))
        for member in members:
            kind = stat.S_IFMT(member.external_attr >> 16)  # 0 where no mode was written
            _safe(archive, folder, member.filename, kind in (0, stat.S_IFREG, stat.S_IFDIR))
        for member in tqdm(members, desc=f"unpack {archive.name}", unit="file"):
            file.extract(member, folder)


def _untar(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as file:
        _bounded(archive, folder, (member.size for member in file))  # before what follows is read
        members = file.getmembers()
        for member in members:
            _safe(archive, folder, member.name, member.isreg() or member.isdir())
        bar = tqdm(members, desc=f"unpack {archive.name}", unit="file")
        file.extractall(folder, members=bar, filter="data")


def _bounded(archive: Path, folder: Path, sizes: Iterable[int]) -> None:
    """That members of these sizes fit the disk, and what an archive of this size may hold.

    No more than a member's stated size is ever written.
    """
    most, free = max(FLOOR, RATIO * archive.stat().st_size), shutil.disk_usage(folder).free
    total = 0
    for number, size in enumerate(sizes, 1):
        total += size
        if total > most or number > MEMBERS or size < 0:
            raise VadError(
                f"{archive} holds more than {total / 2**20:.0f} MB in {number} files, far more "
                f"than its own size explains",
                "Nothing was unpacked. Get the archive from its official place.",
            )
        if total > free - store.SPARE:
            raise VadError(
                f"{archive} needs more than the {free / 2**20:.0f} MB that are free in {folder}",
                ELSEWHERE,
            )


def _safe(archive: Path, folder: Path, name: str, plain: bool) -> None:
    if not plain or not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise VadError(
            f"{archive} is unsafe: {name!r} is a link, a device or leads outside its folder",
            "Nothing was unpacked. Get the archive from its official place.",
        )
