"""A record notices what was done to it; and all that are kept say what their scores give."""

import copy
import json
import math
from pathlib import Path

import numpy as np
import pytest

from vadlib import papers
from vadlib.errors import VadError
from vadlib.lab import records, run, verify

ROOT = Path(__file__).parents[1]
KEPT = sorted((ROOT / "data" / "results").glob("*.json"))
STALE = {r["name"] for r in records.records(papers.experiments()) if r["stale"]}
# what older code made is shown as such, and is made anew rather than measured again
KEPT = [path for path in KEPT if path.name != "chapters.json" and path.stem not in STALE]
NAME = "random-plaza-standard"


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A record of a rule on two short videos, and the file that it lies in."""
    from vadlib.lab import sets

    monkeypatch.setenv("VADLIB_HOME", str(tmp_path))
    monkeypatch.setitem(sets.PLAZA, "standard", {"train": (1, 40), "test": (2, 60)})
    monkeypatch.setitem(sets.SIZES, "standard", (48, 64))
    run.reproduce(papers.experiment(NAME), [0, 1], "cpu", lambda *_: None)
    return tmp_path / "data" / "results" / f"{NAME}.json"


def test_a_record_is_read_as_it_was_written(made):
    (record,) = records.read_records()
    assert record["path"] == str(made) and record["sha"] == records.content_sha(record)
    assert verify.disagreements(record, papers.experiment(NAME)) == []


@pytest.mark.parametrize(
    "edit",
    [
        lambda r: r["results"][0].update(mean=0.999),
        lambda r: r["results"][0].update(mean=math.nan),
        lambda r: r["results"][0].update(mean="0.9"),
        lambda r: r["results"][0].pop("term"),
        lambda r: r["results"][0].update(values=[]),
        lambda r: r["runs"][0]["rows"][0].update(value=0.999),
        lambda r: r["runs"][0].update(seed=5),
        lambda r: r["runs"].pop(),
        lambda r: r.update(results=[]),
        lambda r: r.update(results={}),
        lambda r: r.update(confirmed=None),
        lambda r: r.update(config={"width": 64}),
        lambda r: r.update(name="another"),
        lambda r: r.update(seeds=[0, 1, 2]),
        lambda r: r.update(surprise=1),
        lambda r: r.pop("stamp"),
        lambda r: r["results"].pop(0),
        lambda r: r.update(note="<script>alert(1)</script>"),
    ],
)
def test_an_edit_by_hand_is_refused_with_the_file_and_the_remedy(made, edit):
    record = json.loads(made.read_text())
    edit(record)
    made.write_text(json.dumps(record))
    with pytest.raises(VadError) as error:
        records.read_records()
    assert made.name in str(error.value) and "git" in str(error.value)


@pytest.mark.parametrize(
    "content", [b"", b"null", b"3", b"[]", b"{", b"\xff\xfe{", b"[" * 100_000, b'"mean"']
)
def test_what_is_no_record_is_refused(made, content):
    made.write_bytes(content)
    with pytest.raises(VadError, match=made.name):
        records.read_records()


def test_a_folder_in_place_of_a_record_is_refused(made):
    made.unlink()
    made.mkdir()
    with pytest.raises(VadError, match=made.name):
        records.read_records()


def test_a_copy_under_another_name_is_refused(made):
    made.with_name("copy.json").write_text(made.read_text())
    with pytest.raises(VadError, match="copy.json is the record of random"):
        records.read_records()


def test_scores_that_are_not_what_the_run_left_are_noticed(made):
    path = made.parents[1] / records.scores_path(NAME, 0)
    bits = bytearray(path.read_bytes())
    bits[len(bits) // 2] ^= 1
    path.write_bytes(bytes(bits))
    with pytest.raises(VadError, match="-s0.npz is damaged"):
        records.read_scores(NAME, 0)
    (record,) = records.read_records()
    assert "s0.npz is damaged" in verify.disagreements(record, papers.experiment(NAME))[0]


def test_a_forgery_with_a_hash_of_its_own_is_found_by_its_scores(made):
    forged = copy.deepcopy(records.read_records()[0])
    for row in forged["results"]:
        row["values"] = [0.999, 0.999]
        row |= {"mean": 0.999, "sd": 0.0}
    for one in forged["runs"]:
        for row in one["rows"]:
            row["value"] = 0.999
    records.write_record(forged)
    found = verify.disagreements(records.read_records()[0], papers.experiment(NAME))
    assert any("its scores give" in line for line in found)


def test_negated_scores_are_found(made):
    for seed in (0, 1):
        kept = records.read_scores(NAME, seed)
        for s in kept:
            np.negative(s.frame, out=s.frame)
        records.write_scores(NAME, seed, kept)
    record = records.read_records()[0]
    for one in record["runs"]:  # as a forger would, with hashes that fit
        file = made.parents[1] / records.scores_path(NAME, one["seed"])
        one["files"]["scores"] = records.file_sha(file)
    records.write_record(record)
    found = verify.disagreements(records.read_records()[0], papers.experiment(NAME))
    assert any("its scores give" in line for line in found)


@pytest.mark.parametrize("path", KEPT, ids=lambda p: p.stem)
def test_every_kept_record_says_what_its_scores_give(path):
    """Nothing is trained: each number is measured again from the scores and labels kept with it."""
    record = records.read_record(path)
    assert verify.disagreements(record, papers.experiment(record["name"])) == []


def test_records_say_what_was_chosen_on_test_data():
    for record in records.read_records():
        chosen = papers.experiment(record["name"]).chosen
        said = {settings["chosen on test"] for settings in record["protocols"].values()}
        assert said == {chosen}, record["name"]
