"""Records and ledger as an RO-Crate: read back, and held against what they were made from."""

import json
import sys

import pytest

from vadlib import papers
from vadlib.errors import VadError
from vadlib.lab.records import records
from vadlib.press import crate

FEW = ("zero-flow-ped2-standard", "mil-plaza-bags-standard", "maam-plaza-clear-standard")


@pytest.fixture
def few(monkeypatch):
    """Three records, one of them with weights, and the claims of one paper."""
    found = [r for r in records(papers.experiments()) if r["name"] in FEW]
    monkeypatch.setattr(crate, "records", lambda known: found)
    monkeypatch.setattr(crate.papers, "PAPERS", ("mdsf",))
    return found


def test_every_number_is_there_with_what_made_it(few, tmp_path):
    rocrate = pytest.importorskip("rocrate.rocrate")
    crate.write(tmp_path)
    read = rocrate.ROCrate(tmp_path)
    acts = {act["name"]: act for act in read.root_dataset["mentions"]}
    assert sorted(acts) == sorted(FEW)
    for record in few:
        act = acts[record["name"]]
        assert act["potentialAction"] == record["command"] and act.type == "CreateAction"
        assert act["instrument"]["version"] == record["commit"]
        for source, entity in zip(crate.files_of(record), act["result"], strict=True):
            assert (tmp_path / entity.id).read_bytes() == source.read_bytes()
            assert int(entity["contentSize"]) == source.stat().st_size
    kinds = [file.id.partition("/")[0] for file in acts["maam-plaza-clear-standard"]["result"]]
    assert {"results", "scores", "checkpoints"} == set(kinds)
    assert [d["name"] for d in acts[FEW[0]]["object"]] == ["UCSD Pedestrian 2"]
    assert [d["name"] for d in acts[FEW[1]]["object"]] == [crate.PLAZA]
    cited = [work.id for work in read.root_dataset["citation"]]
    assert "https://doi.org/10.1016/j.patcog.2023.109335" in cited and read.license


def test_the_ledger_tells_each_claim_its_verdict_and_its_test(few, tmp_path):
    pytest.importorskip("rocrate")
    crate.write(tmp_path)
    lines = {line["id"]: line for line in json.loads((tmp_path / "ledger.json").read_text())}
    claims = papers.claims_of("mdsf")
    assert list(lines) == [claim.id for claim in claims]
    for claim in claims:
        line, (verdict, found) = lines[claim.id], claim.judged()
        assert (line["verdict"], line["sentence"]) == (verdict, claim.sentence)
        assert line["interval"] == ([found.value, found.low, found.high] if found else None)
        assert line["records"] == list(claim.records) and claim.id in line["test"]


def test_without_rocrate_it_says_what_to_install(few, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rocrate.rocrate", None)
    with pytest.raises(VadError, match="pip install rocrate"):
        crate.write(tmp_path / "x")
    monkeypatch.setattr(sys, "argv", ["crate", str(tmp_path / "x")])
    assert crate.main() == 2 and not (tmp_path / "x").exists()
    assert capsys.readouterr().err.count("\n") == 1
