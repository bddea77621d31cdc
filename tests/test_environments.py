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


USES = re.compile(r"uses:\s*(\S+)(.*)")
WORKFLOWS = sorted((ROOT / ".github").rglob("*.yml"))


def test_what_workflows_take_from_others_is_pinned_by_commit_and_named_by_version():
    """A tag may be moved to other code; a commit may not."""
    found = [use for path in WORKFLOWS for use in USES.findall(path.read_text())]
    others = [(name, rest) for name, rest in found if not name.startswith("./")]
    assert len(WORKFLOWS) >= 3 and len(others) >= 8
    for name, rest in others:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", name), name
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", rest), name
    assert len(set(others)) == len({name.partition("@")[0] for name, _ in others})


def test_workflows_may_do_no_more_than_they_must():
    for path in WORKFLOWS:
        if path.parent.name == "workflows":
            top = re.search(r"^permissions:(.*(?:\n  .*)*)", path.read_text(), re.MULTILINE)
            assert top is not None and "write" not in top[1], path
