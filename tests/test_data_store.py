"""The store: built once, whole or not at all, whoever asks and whatever goes wrong."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from vadlib.data import store
from vadlib.errors import VadError

pytestmark = pytest.mark.usefixtures("cache")


def ramp(target):
    target[:] = np.arange(target.size).reshape(target.shape)


def forbidden(target):
    raise AssertionError("this was to be read from the store")


def arrays(cache):
    return sorted((cache / "arrays").glob("*.npy"))


def test_an_array_is_built_once_and_read_only(cache):
    first = store.array("a", (3, 4), np.int32, ramp)
    again = store.array("a", (3, 4), np.int32, forbidden)
    assert isinstance(again, np.memmap) and (first == again).all() and again[2, 3] == 11
    with pytest.raises(ValueError):
        again[0, 0] = 1


def test_key_shape_and_dtype_name_the_file(cache):
    store.array("a", (3, 4), np.int32, ramp)
    assert store.array("a", (4, 3), np.int32, ramp).shape == (4, 3)
    assert store.array("a", (3, 4), np.uint8, ramp).dtype == np.uint8
    assert store.array("b", (3, 4), np.int32, lambda t: t.fill(7))[0, 0] == 7
    assert len(arrays(cache)) == 4


def test_an_array_goes_where_it_is_told(tmp_path):
    store.array("a", (2,), np.float16, ramp, folder=tmp_path / "flow")
    assert len(list((tmp_path / "flow").glob("a-*.npy"))) == 1


def test_an_array_without_elements_needs_no_file():
    assert store.array("none", (0, 4, 5, 2), np.float16, forbidden).shape == (0, 4, 5, 2)


@pytest.mark.parametrize("keep", [0, 5, 100, -1], ids=["empty", "no header", "header", "one short"])
def test_a_truncated_file_is_built_again(cache, keep):
    store.array("a", (30, 40), np.int32, ramp)
    (path,) = arrays(cache)
    path.write_bytes(path.read_bytes()[:keep])
    assert store.array("a", (30, 40), np.int32, ramp)[29, 39] == 1199
    assert store.array("a", (30, 40), np.int32, forbidden)[29, 39] == 1199


def flip(path, at):
    """Change a byte, and leave size and time of the file as they are."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 16]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("wait", [0, 2 * store.SETTLED], ids=["at once", "later"])
@pytest.mark.parametrize("at", [130, 2500, -1])
def test_a_flipped_byte_is_noticed_and_the_array_made_again(cache, wait, at):
    store.array("a", (30, 40), np.int32, ramp)
    time.sleep(wait)
    assert store.array("a", (30, 40), np.int32, forbidden)[29, 39] == 1199
    (path,) = arrays(cache)
    flip(path, at % path.stat().st_size)
    assert (store.array("a", (30, 40), np.int32, ramp).ravel() == np.arange(1200)).all()
    assert (store.array("a", (30, 40), np.int32, forbidden).ravel() == np.arange(1200)).all()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"sum": 1}', b"\xff", b'{"sum": 1, "state": 2}'])
def test_a_damaged_checksum_vouches_for_nothing(cache, content):
    store.array("a", (30, 40), np.int32, ramp)
    (path,) = (cache / "arrays").glob("*.sum")
    path.write_bytes(content)
    assert store.array("a", (30, 40), np.int32, lambda target: target.fill(7))[0, 0] == 7


def test_an_unchanged_array_is_summed_once_a_day(cache, monkeypatch):
    store.array("a", (30, 40), np.int32, ramp)
    time.sleep(2 * store.SETTLED)
    store.array("a", (30, 40), np.int32, forbidden)
    total, calls = store._sum, []
    monkeypatch.setattr(store, "_sum", lambda path: calls.append(path) or total(path))
    store.array("a", (30, 40), np.int32, forbidden)
    assert not calls
    now = time.time()
    for later, count in ((store.DAY - 60, 0), (store.DAY + 60, 1), (-3600, 2)):
        monkeypatch.setattr(store.time, "time", lambda later=later: now + later)
        store.array("a", (30, 40), np.int32, forbidden)
        assert len(calls) == count


def test_an_array_without_a_checksum_is_given_one(cache):
    store.array("a", (30, 40), np.int32, ramp)
    (beside,) = (cache / "arrays").glob("*.sum")
    beside.unlink()
    time.sleep(2 * store.SETTLED)
    store.array("a", (30, 40), np.int32, forbidden)
    flip(arrays(cache)[0], 1000)
    assert store.array("a", (30, 40), np.int32, lambda target: target.fill(7))[0, 0] == 7


def test_an_array_without_a_key_is_kept_nowhere(cache):
    assert store.array(None, (3, 4), np.int32, ramp)[2, 3] == 11
    assert not cache.exists()


def test_a_failed_build_leaves_nothing(cache):
    with pytest.raises(AssertionError):
        store.array("a", (3, 4), np.int32, forbidden)
    assert [path.suffix for path in (cache / "arrays").iterdir()] == [".lock"]


def test_a_build_killed_half_way_is_never_read(cache):
    script = """
import time, numpy as np
from vadlib.data import store
def fill(target):
    target[:500] = 1
    target.flush()
    print("half", flush=True)
    time.sleep(60)
store.array("a", (1000, 100), np.uint8, fill)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"half\n"
        process.send_signal(signal.SIGKILL)
    assert [path.suffix for path in (cache / "arrays").iterdir()].count(".part") == 1
    array = store.array("a", (1000, 100), np.uint8, lambda t: t.fill(2))
    assert (array == 2).all()
    assert not list((cache / "arrays").glob("*.part"))


def test_two_processes_at_once_build_once(tmp_path):
    script = f"""
import os, time, numpy as np
from pathlib import Path
from vadlib.data import store
def fill(target):
    Path({str(tmp_path)!r}, f"built-{{os.getpid()}}").touch()
    time.sleep(1)
    target[:] = 3
print(int(store.array("a", (1000,), np.uint8, fill).sum()))
"""
    run = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [process.communicate(timeout=120)[0].strip() for process in run] == ["3000"] * 3
    assert len(list(tmp_path.glob("built-*"))) == 1


def test_no_disk_space_is_said_before_the_work(monkeypatch, cache):
    usage = type("Usage", (), {"free": 100})
    monkeypatch.setattr(store.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(VadError, match="no disk space left for .*VADLIB_CACHE"):
        store.array("a", (30, 40), np.int32, forbidden)


def test_no_disk_space_in_the_middle(cache):
    def fill(target):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(VadError, match="no disk space left"):
        store.array("a", (30, 40), np.int32, fill)
    assert not arrays(cache) and not list((cache / "arrays").glob("*.part"))


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system cannot reserve blocks")
def test_blocks_are_reserved_before_they_are_written(monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(VadError, match="no disk space left"):
        store.array("a", (30, 40), np.int32, forbidden)


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="this system has no limit on files")
def test_a_file_system_that_takes_no_more(cache):
    """A limit on the size of files stands in for a full disk; the failing write is a real one."""
    script = """
import resource, numpy as np
from vadlib.data import store
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for ask in (
    lambda: store.array("a", (200_000,), np.uint8, lambda target: target.fill(1)),
    lambda: store.remember("fact", lambda: "x" * 200_000),
):
    try:
        ask()
    except store.VadError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.count("no disk space left for") == 2 and not done.stderr
    left = [path.suffix for path in cache.rglob("*") if path.is_file()]
    assert left == [".lock"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_is_only_to_be_read(cache):
    store.array("a", (30, 40), np.int32, ramp)
    (cache / "arrays").chmod(0o500)
    try:
        assert store.array("a", (30, 40), np.int32, forbidden)[29, 39] == 1199
        with pytest.raises(VadError, match="cannot write to .*VADLIB_CACHE"):
            store.array("b", (30, 40), np.int32, ramp)
    finally:
        (cache / "arrays").chmod(0o700)


def test_a_file_system_that_is_only_to_be_read(cache, monkeypatch):
    store.array("a", (30, 40), np.int32, ramp)

    def refuse(*args, **kw):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert store.array("a", (30, 40), np.int32, forbidden)[29, 39] == 1199
    for ask in (lambda: store.array("b", (3,), np.int32, ramp), lambda: store.remember("f", list)):
        with pytest.raises(VadError, match="cannot write to .*Read-only file system.*VADLIB_CACHE"):
            ask()


def test_a_cache_that_is_a_file_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("VADLIB_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(VadError, match="cannot write to"):
        store.array("a", (3,), np.int32, ramp)


def test_facts_are_remembered_and_survive_damage(cache):
    assert store.remember("f", lambda: {"frames": 3}) == {"frames": 3}
    assert store.remember("f", forbidden_fact) == {"frames": 3}
    (path,) = (cache / "facts").iterdir()
    for damaged in (b"", b'{"fra', path.read_bytes().replace(b"3}", b"5}"), b"\xff\xfe"):
        path.write_bytes(damaged)
        assert store.remember("f", lambda: {"frames": 3}) == {"frames": 3}
        assert store.remember("f", forbidden_fact) == {"frames": 3}


def forbidden_fact():
    raise AssertionError("this was to be remembered")


def test_a_fingerprint_is_of_the_content(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        for name in "ab":
            (tmp_path / folder / name).write_text(name)
    one, two = ([tmp_path / folder / name for name in "ab"] for folder in ("one", "two"))
    assert store.fingerprint(one) == store.fingerprint(two)
    assert store.fingerprint(one) != store.fingerprint(one[::-1])
    before = store.fingerprint(one)
    one[0].write_text("c")
    os.utime(one[0], ns=(time.time_ns() + 10**9,) * 2)
    assert store.fingerprint(one) != before


def test_a_fingerprint_reads_unchanged_files_once(tmp_path, monkeypatch):
    file = tmp_path / "a"
    file.write_text("a")
    time.sleep(2 * store.SETTLED)  # a younger file could change without another time
    before = store.fingerprint([file])
    monkeypatch.setattr(store, "_hash", forbidden)
    assert store.fingerprint([file]) == before


@pytest.mark.parametrize("wait", [0, 2 * store.SETTLED], ids=["at once", "later"])
def test_other_content_of_the_same_size_and_time_is_noticed(tmp_path, wait):
    file = tmp_path / "a"
    file.write_text("a")
    os.utime(file, ns=(10**18, 10**18))
    time.sleep(wait)
    before = store.fingerprint([file])
    file.write_text("b")
    os.utime(file, ns=(10**18, 10**18))
    assert store.fingerprint([file]) != before


def test_a_copy_that_took_the_place_size_and_time_is_noticed(tmp_path):
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    for name in "ab":
        os.utime(tmp_path / name, ns=(10**18, 10**18))
    time.sleep(2 * store.SETTLED)
    before = store.fingerprint([tmp_path / "a"])
    os.replace(tmp_path / "b", tmp_path / "a")
    assert store.fingerprint([tmp_path / "a"]) != before


def test_a_fingerprint_names_the_file_that_is_missing(tmp_path):
    with pytest.raises(VadError, match="gone.jpg"):
        store.fingerprint([tmp_path / "gone.jpg"])


def test_digest_tells_types_and_borders_apart():
    a = np.arange(6, dtype=np.int32)
    parts = [("ab", "c"), ("a", "bc"), (b"ab",), ("ab",), (a,), (a.reshape(2, 3),)]
    parts += [(a.astype(np.int64),), (1,), ("1",), ({"x": 1},), ([1, None],), ()]
    assert len({store.digest(*part) for part in parts}) == len(parts)
    assert store.digest({"x": 1, "y": 2}) == store.digest({"y": 2, "x": 1})
    assert store.digest(a[::2]) == store.digest(a[::2].copy())
    assert store.digest(np.int64(3), Path("p")) == store.digest(3, "p")
    with pytest.raises(TypeError):
        store.digest(object())


def test_home_data_and_cache_follow_the_environment(monkeypatch, tmp_path):
    for name in ("VADLIB_HOME", "VADLIB_DATA", "VADLIB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    assert (store.home() / "pyproject.toml").is_file()
    assert store.data_root() == store.home() / "data"
    assert store.cache_root() == store.home() / "data" / "cache"
    monkeypatch.setenv("VADLIB_HOME", str(tmp_path))
    assert store.cache_root() == tmp_path / "data" / "cache"
    monkeypatch.setenv("VADLIB_DATA", str(tmp_path / "sets"))
    assert store.data_root() == tmp_path / "sets"
