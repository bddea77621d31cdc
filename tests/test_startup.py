"""The command line's light verbs are quick: they load no PyTorch, whose start takes seconds."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "lightning", "sklearn", "matplotlib", "torchvision", "scipy")
SCRIPT = """
import json, sys
from vadlib.__main__ import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print("\\n" + json.dumps([code, [name for name in %r if name in sys.modules]]))
"""


def started(*words):
    """Exit code of a command, the heavy modules that it loaded, and its CPU time in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", SCRIPT % (HEAVY,), *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "VADLIB_HOME": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = sum(getattr(after, k) - getattr(before, k) for k in ("ru_utime", "ru_stime"))
    assert done.returncode == 0, done.stderr
    return *json.loads(done.stdout.splitlines()[-1]), spent


def test_status_is_quick_and_loads_nothing_heavy():
    code, loaded, spent = started("status")
    assert (code, loaded) == (0, [])
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    torch = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    assert spent < 2.5 * torch  # it is as much, and every record adds a little


@pytest.mark.parametrize(
    "words,code",
    [
        (["--help"], 0),
        (["data", "--list"], 0),
        (["reproduce", "nothing"], 2),
        (["score", "nothing", "film.mp4"], 2),
        (["watch", "gone.mp4"], 2),
        (["watch", "film.mp4", "--method", "nothing"], 2),
        (["fit", "nothing", "--out", "x.pt"], 2),
        (["new", "1x"], 2),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_light_verbs_and_slips_of_the_pen_load_nothing_heavy(words, code):
    assert started(*words)[:2] == (code, [])
