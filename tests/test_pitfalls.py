"""The page of pitfalls: each has its parts, its guard exists, and withdrawn numbers are in git."""

import ast
import json
import re
import subprocess
from pathlib import Path

import pytest

from vadlib.lab.equations import line_of

ROOT = Path(__file__).parents[1]
CELLS = json.loads((ROOT / "book" / "pitfalls.ipynb").read_text(encoding="utf-8"))["cells"]
TEXT = {cell["id"]: "".join(cell["source"]) for cell in CELLS}
PITFALLS = ["minmax", "padding", "choosing", "smoothing", "alignment", "seed", "crops", "norm"]
WITHDRAWN = {
    name: ast.literal_eval(said)
    for text in TEXT.values()
    for name, said in re.findall(r"^([A-Z]+) = (\{\"row\".*?\})", text, re.MULTILINE | re.DOTALL)
}


@pytest.mark.parametrize("name", PITFALLS)
def test_each_pitfall_has_its_parts_and_says_what_it_moved(name):
    own = [text for cell, text in TEXT.items() if cell.split("-")[0] == name]
    whole = "\n".join(own)
    assert own[0].startswith("## ")
    parts = ["What people do.", "Why it seems harmless.", "What it does.", "Remedy.", "Guard."]
    places = [whole.find(f"**{part}**") for part in parts]
    assert -1 not in places and places == sorted(places)
    assert "moved.append(" in whole


@pytest.mark.parametrize("name", PITFALLS)
def test_the_test_that_guards_it_exists(name):
    named = re.findall(r"`tests/(test_\w+\.py)::(\w+)`", TEXT[f"{name}-remedy"])
    assert named
    for file, test in named:
        assert line_of(ROOT / "tests", f"{file}:{test}"), f"there is no {test} in {file}"


@pytest.mark.parametrize("name", ["OLD", "BEFORE", "PRINTED"])
def test_withdrawn_numbers_are_those_of_the_record_at_their_commit(name):
    old = WITHDRAWN[name]
    place = f"{old['commit']}:data/results/{old['row']}.json"
    done = subprocess.run(["git", "-C", str(ROOT), "show", place], capture_output=True, text=True)
    if done.returncode:
        pytest.skip("the history of this copy does not reach back so far")
    rows = {
        row["metric"]: [round(100 * value, 1) for value in row["values"]]
        for row in json.loads(done.stdout)["results"]
        if (row["protocol"], row["term"]) == ("headline", "score")
    }
    for metric in old.keys() - {"row", "commit"}:
        assert old[metric] == rows[metric]
