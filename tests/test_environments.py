"""The oldest and the newest environment: what is asked for, what is noted, what the page says."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from vadlib.press import runner

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "book" / "environments.json"


@pytest.fixture
def tool():
    spec = importlib.util.spec_from_file_location("environments", ROOT / "tools/environments.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_oldest_are_the_lower_bounds(tool):
    newest, oldest = tool.wanted("newest"), tool.wanted("oldest")
    assert "torch>=2.4" in newest and "torch==2.4.*" in oldest and len(oldest) == len(newest)
    assert all(re.fullmatch(r"[\w-]+==[\d.]+\.\*", one) for one in oldest)


def test_what_passed_is_noted_beside_the_other(tool, tmp_path):
    found = dict.fromkeys(tool.NOTED, "1.0") | {"six": "9"}
    tool.note(tmp_path / "e.json", "oldest", found)
    tool.note(tmp_path / "e.json", "newest", found | {"torch": "3.0"})
    known = json.loads((tmp_path / "e.json").read_text())
    assert (
        known["oldest"]["versions"]["torch"] == "1.0" and "six" not in known["oldest"]["versions"]
    )
    assert known["newest"]["versions"]["torch"] == "3.0" and known["newest"]["chapters"]


def test_its_chapters_exist(tool):
    assert all((ROOT / "book" / f"{name}.ipynb").exists() for name in tool.CHAPTERS)


def test_the_page_says_what_was_noted(capsys, monkeypatch):
    cells = runner.read(ROOT / "book" / "status.ipynb").cells
    source = next(c.source for c in cells if c.id == "environments")
    monkeypatch.chdir(ROOT)
    exec("from vadlib import book\n" + source, {})
    said = capsys.readouterr().out
    known = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    for which, passed in known.items():
        assert f"*{which}*: last passed on {passed['date']} with" in said
    assert known or "Not run yet." in said
