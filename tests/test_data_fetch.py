"""Fetching, against a server on this machine: resume, sha256, and archives that lie."""

import hashlib
import io
import json
import shutil
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from vadlib.data import fetch, store
from vadlib.errors import VadError

BODY = np.random.default_rng(0).bytes(300_000)
SHA = hashlib.sha256(BODY).hexdigest()
ENTRY = {
    "title": "Ped2",
    "homepage": "http://home.page",
    "licence": "research use",
    "into": ".",
    "makes": ["UCSDped2"],
    "files": [],
}


class Server(ThreadingHTTPServer):
    """Serves `body`; may cut its answers short, or not know about ranges."""

    body, cut, ranges = BODY, 0, True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/set%20one.tar.gz"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        start = int(asked.split("=")[1].rstrip("-")) if asked and self.server.ranges else 0
        if asked and self.server.ranges and start >= len(self.server.body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(self.server.body)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if asked and self.server.ranges else 200)
        self.send_header("Content-Length", str(len(self.server.body) - start))
        self.end_headers()
        stop = self.server.cut or len(self.server.body)
        self.wfile.write(self.server.body[start:stop])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with Server() as one:
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield one
        one.shutdown()
        thread.join()


def test_a_download_is_checked(server, tmp_path, capsys):
    assert fetch.download(server.url, tmp_path / "a", SHA) == SHA
    assert (tmp_path / "a").read_bytes() == BODY
    assert fetch.download(server.url, tmp_path / "a", SHA) == SHA and len(server.asked) == 1
    assert "sha256" not in capsys.readouterr().out


def test_an_unknown_sha256_is_printed_not_invented(server, tmp_path, capsys):
    assert fetch.download(server.url, tmp_path / "a") == SHA
    assert SHA in capsys.readouterr().out


def test_a_broken_download_goes_on_where_it_stopped(server, tmp_path):
    server.cut = 100_000
    with pytest.raises(VadError, match="goes on where it stopped"):
        fetch.download(server.url, tmp_path / "a", SHA)
    have = (tmp_path / "a.part").stat().st_size
    assert 0 < have <= 100_000 and not (tmp_path / "a").exists()
    server.cut = 0
    fetch.download(server.url, tmp_path / "a", SHA)
    assert server.asked == [None, f"bytes={have}-"]
    assert (tmp_path / "a").read_bytes() == BODY and not (tmp_path / "a.part").exists()


def test_a_host_without_ranges_sends_everything_again(server, tmp_path):
    (tmp_path / "a.part").write_bytes(b"old" * 1000)
    server.ranges = False
    fetch.download(server.url, tmp_path / "a", SHA)
    assert (tmp_path / "a").read_bytes() == BODY


def test_a_partial_file_that_was_whole_or_too_long(server, tmp_path):
    (tmp_path / "a.part").write_bytes(BODY)
    assert fetch.download(server.url, tmp_path / "a", SHA) == SHA
    (tmp_path / "b.part").write_bytes(BODY + b"more")
    with pytest.raises(VadError, match="longer than the whole"):
        fetch.download(server.url, tmp_path / "b", SHA)
    assert fetch.download(server.url, tmp_path / "b", SHA) == SHA


def test_a_wrong_sha256_deletes_the_file(server, tmp_path):
    with pytest.raises(VadError, match=f"has sha256 {SHA}, not {'0' * 64}; it was deleted"):
        fetch.download(server.url, tmp_path / "a", "0" * 64)
    assert not list(tmp_path.iterdir())


def test_offline_says_where_to_get_it_and_where_to_put_it(server, tmp_path):
    server.shutdown()
    server.server_close()
    with pytest.raises(VadError, match="could not be fetched .*put it at here"):
        fetch.download(server.url, tmp_path / "a", SHA, "Get it from there and put it at here.")


def test_a_host_that_goes_on_elsewhere_is_noticed(server, tmp_path, monkeypatch):
    (tmp_path / "a.part").write_bytes(BODY[:1000])
    real = fetch.requests.get

    def get(*args, **options):
        answer = real(*args, **options)
        answer.headers["Content-Range"] = f"bytes 500-{len(BODY) - 1}/{len(BODY)}"
        return answer

    monkeypatch.setattr(fetch.requests, "get", get)
    with pytest.raises(VadError, match="bytes 500 where bytes 1000 were asked for"):
        fetch.download(server.url, tmp_path / "a")


def test_a_short_answer_is_noticed_even_where_the_client_does_not_count(
    server, tmp_path, monkeypatch
):
    server.cut, real = 100_000, fetch.requests.get

    def get(*args, **options):
        answer = real(*args, **options)
        answer.raw.enforce_content_length = False  # as the client's first version
        answer.raw.length_remaining = None
        return answer

    monkeypatch.setattr(fetch.requests, "get", get)
    with pytest.raises(VadError, match="ended at 100000 of 300000 bytes"):
        fetch.download(server.url, tmp_path / "a")
    assert not (tmp_path / "a").exists()


# ----------------------------------------------------------------------------------- archives


def tar_of(path, *members):
    """Members: a name with bytes, or a ready TarInfo."""
    with tarfile.open(path, "w:gz") as file:
        for member, content in members:
            if isinstance(member, str):
                member = tarfile.TarInfo(member)
                member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return path


def special(name, kind, target=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def test_a_good_archive(tmp_path):
    tar = tar_of(tmp_path / "a.tar.gz", ("set/one.txt", b"1"), ("set/sub/two.txt", b"2"))
    fetch.extract(tar, tmp_path / "out")
    assert (tmp_path / "out" / "set" / "sub" / "two.txt").read_bytes() == b"2"
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("Avenue Dataset/one.txt", b"1")
    fetch.extract(tmp_path / "a.zip", tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["Avenue Dataset", "set"]


@pytest.mark.parametrize(
    "member",
    [
        ("../out.txt", b"x"),
        ("set/../../out.txt", b"x"),
        ("/tmp/vadlib-out.txt", b"x"),
        (special("set/link", tarfile.SYMTYPE, "/etc/passwd"), b""),
        (special("set/inner", tarfile.SYMTYPE, "good.txt"), b""),
        (special("set/hard", tarfile.LNKTYPE, "set/good.txt"), b""),
        (special("set/device", tarfile.CHRTYPE), b""),
        (special("set/pipe", tarfile.FIFOTYPE), b""),
    ],
    ids=["parent", "deep parent", "absolute", "link out", "link in", "hard", "device", "pipe"],
)
def test_an_unsafe_tar_writes_nothing(tmp_path, member):
    tar = tar_of(tmp_path / "bad.tar.gz", ("set/good.txt", b"fine"), member)
    with pytest.raises(VadError, match="bad.tar.gz is unsafe"):
        fetch.extract(tar, tmp_path / "deep" / "out")
    assert not list((tmp_path / "deep" / "out").iterdir())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.tar.gz", "deep"]


@pytest.mark.parametrize("name", ["../out.txt", "/tmp/vadlib-out.txt", "link"])
def test_an_unsafe_zip_writes_nothing(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as file:
        file.writestr("good.txt", b"fine")
        info = zipfile.ZipInfo(name)
        info.external_attr = (0o120777 if name == "link" else 0o100644) << 16
        file.writestr(info, b"/etc/passwd")
    with pytest.raises(VadError, match="bad.zip is unsafe"):
        fetch.extract(tmp_path / "bad.zip", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_a_damaged_archive_leaves_nothing(tmp_path):
    content = np.random.default_rng(0).bytes(200_000)
    whole = tar_of(tmp_path / "a.tar.gz", ("set/one", content), ("set/two", content)).read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(VadError, match="cut.tar.gz cannot be unpacked"):
        fetch.extract(tmp_path / "cut.tar.gz", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path):
    """10 GB of zeros: 10 MB as a zip. The tar says so in its head, and is not read to its end."""
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for number in range(3):
            with file.open(f"zeros-{number}", "w") as member:
                for _ in range(40):
                    member.write(bytes(2**20))
    head = tarfile.TarInfo("zeros")
    head.size = 10 * 2**30
    (tmp_path / "bomb.tar").write_bytes(head.tobuf() + bytes(2**20))
    for name in ("bomb.zip", "bomb.tar"):
        with pytest.raises(VadError, match=f"{name} holds more than"):
            fetch.extract(tmp_path / name, tmp_path / "out")
        assert not list((tmp_path / "out").iterdir())


def test_what_does_not_fit_the_disk_is_told_beforehand(tmp_path, monkeypatch):
    tar = tar_of(tmp_path / "a.tar.gz", ("set/one", b"1" * 5000))
    free = shutil.disk_usage(tmp_path)._replace(free=store.SPARE + 4000)
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda folder: free)
    with pytest.raises(VadError, match="a.tar.gz needs more than the .* MB that are free"):
        fetch.extract(tar, tmp_path / "out")


def test_an_encrypted_or_unknown_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("one.txt", b"fine")
    plain = (tmp_path / "a.zip").read_bytes()
    at, central = plain.index(b"PK\x03\x04"), plain.index(b"PK\x01\x02")
    for name, (flags, kind) in {"locked": (1, 0), "strange": (0, 77)}.items():
        bits = bytearray(plain)
        bits[at + 6], bits[central + 8] = flags, flags
        bits[at + 8], bits[central + 10] = kind, kind
        (tmp_path / f"{name}.zip").write_bytes(bits)
        with pytest.raises(VadError, match=f"{name}.zip cannot be unpacked"):
            fetch.extract(tmp_path / f"{name}.zip", tmp_path / "out")
        assert not list((tmp_path / "out").iterdir())


# -------------------------------------------------------------------------------- whole fetch


@pytest.fixture
def house(tmp_path, monkeypatch, server):
    """A home whose manifest knows one data set, served by this machine."""
    tar = tar_of(tmp_path / "made.tar.gz", ("UCSDped2/Train/Train001/readme", b"hello"))
    server.body = tar.read_bytes()
    sha = hashlib.sha256(server.body).hexdigest()
    entry = ENTRY | {"files": [{"url": server.url, "sha256": sha}]}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "manifest.json").write_text(
        json.dumps({"ped2": entry, "by_hand": {**entry, "makes": ["campus"], "files": []}})
    )
    monkeypatch.setenv("VADLIB_HOME", str(tmp_path))
    monkeypatch.delenv("VADLIB_DATA", raising=False)
    return tmp_path


def test_fetch_downloads_unpacks_and_then_rests(house, server, capsys):
    assert fetch.fetch("ped2") == house / "data" / "UCSDped2"
    assert (house / "data" / "UCSDped2" / "Train" / "Train001" / "readme").is_file()
    assert (house / "data" / "downloads" / "set one.tar.gz").is_file()
    assert "Licence: research use" in capsys.readouterr().out
    fetch.fetch("ped2")
    assert len(server.asked) == 1


def test_fetch_offline_names_source_and_place(house, server):
    server.shutdown()
    server.server_close()
    with pytest.raises(VadError, match="Get it from http://home.page and put it at .*UCSDped2"):
        fetch.fetch("ped2")


def test_fetch_of_what_no_program_may_fetch(house):
    with pytest.raises(VadError, match="cannot be fetched by a program.*put it at .*campus"):
        fetch.fetch("by_hand")
    with pytest.raises(VadError, match="no data set 'ped3'"):
        fetch.fetch("ped3")


def test_an_archive_of_something_else(house, server):
    manifest = json.loads((house / "data" / "manifest.json").read_text())
    manifest["ped2"]["makes"] = ["UCSDped2", "other"]
    (house / "data" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(VadError, match="made no folder .*other"):
        fetch.fetch("ped2")


def test_the_committed_manifest(monkeypatch):
    monkeypatch.delenv("VADLIB_HOME", raising=False)
    entries = fetch.manifest()
    assert set(entries) == {"ped1", "ped2", "avenue", "shanghaitech"}
    for entry in entries.values():
        for file in entry.files:  # what everybody can fetch is known by its hash, and from whom
            assert file.sha256 and file.sha256_source


def test_without_a_repository_the_installed_manifest_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("VADLIB_HOME", str(tmp_path))
    monkeypatch.setattr(fetch, "INSTALLED", tmp_path / "manifest.json")
    (tmp_path / "manifest.json").write_text(json.dumps({"ped2": ENTRY}))
    assert fetch.manifest()["ped2"].title == "Ped2"


def test_a_missing_manifest(tmp_path, monkeypatch):
    monkeypatch.setenv("VADLIB_HOME", str(tmp_path))
    monkeypatch.setattr(fetch, "INSTALLED", tmp_path / "nowhere.json")
    with pytest.raises(VadError, match="nowhere.json cannot be read"):
        fetch.manifest()
    assert store.home() == tmp_path


BAD = {
    "null": None,
    "a list": [],
    "no entry": {"ped2": None},
    "no title": {"ped2": {k: v for k, v in ENTRY.items() if k != "title"}},
    "an unknown field": {"ped2": ENTRY | {"mirror": "http://x.y/z"}},
    "nothing made": {"ped2": ENTRY | {"makes": []}},
    "made outside": {"ped2": ENTRY | {"makes": ["../elsewhere"]}},
    "made at the root": {"ped2": ENTRY | {"makes": ["/etc"]}},
    "made on another drive": {"ped2": ENTRY | {"makes": ["C:\\Windows"]}},
    "unpacked outside": {"ped2": ENTRY | {"into": "sets/../../.."}},
    "unpacked nowhere": {"ped2": ENTRY | {"into": ""}},
    "url a number": {"ped2": ENTRY | {"files": [{"url": 3, "sha256": None}]}},
    "url of a file here": {"ped2": ENTRY | {"files": [{"url": "file:///etc/x", "sha256": None}]}},
    "url of a folder": {"ped2": ENTRY | {"files": [{"url": "http://x.y/", "sha256": None}]}},
    "url upwards": {"ped2": ENTRY | {"files": [{"url": "http://x.y/%2e%2e", "sha256": None}]}},
    "sha256 short": {"ped2": ENTRY | {"files": [{"url": "http://x.y/z", "sha256": "12"}]}},
    "sha256 missing": {"ped2": ENTRY | {"files": [{"url": "http://x.y/z"}]}},
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD.keys())
def test_a_manifest_of_another_form_is_refused(tmp_path, monkeypatch, content):
    monkeypatch.setenv("VADLIB_HOME", str(tmp_path))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(VadError, match="manifest.json: .*Restore it with git"):
        fetch.manifest()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe{", b"[" * 100_000])
def test_a_manifest_that_is_no_json(tmp_path, monkeypatch, content):
    monkeypatch.setenv("VADLIB_HOME", str(tmp_path))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "manifest.json").write_bytes(content)
    with pytest.raises(VadError, match="manifest.json cannot be read as JSON"):
        fetch.manifest()
