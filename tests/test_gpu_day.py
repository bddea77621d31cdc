"""A day on a GPU, rehearsed on the CPU: the most valuable first, and nothing that ended is lost."""

from dataclasses import replace

import numpy as np
import psutil
import pytest
import torch
from test_grid import NAME, RULE, content, make_home, quiet

from vadlib import papers
from vadlib.__main__ import main
from vadlib.errors import VadError
from vadlib.lab import gpu_day, records, run
from vadlib.lab.checkpoints import checkpoint_path


@pytest.fixture
def home(tmp_path, monkeypatch):
    return make_home(tmp_path, monkeypatch, epochs=0.4)


@pytest.fixture
def at_once(monkeypatch):
    """Runs in this process, and which there were."""
    ran = []

    def run_until(name, seed, device, seconds):
        ran.append((name, seed))
        run.reproduce(papers.experiment(name), [seed], device, quiet)
        return ""

    monkeypatch.setattr(gpu_day, "run_until", run_until)
    return ran


def test_every_row_that_is_worth_a_gpu_exists_and_its_place_is_its_own():
    names, ranks = papers.worth(), []
    for rows in papers._rows():
        ranks += getattr(rows, "WORTH", {}).values()
    assert len(set(ranks)) == len(ranks) == len(names) > 5
    assert all(papers.experiment(name).profile == "full" for name in names)


def test_first_seeds_come_first_in_order_of_value_and_records_are_left_out(home, at_once):
    rows = [papers.experiment(n) for n in (NAME, RULE)]
    run.reproduce(rows[0], [1], "cpu", quiet)
    day = gpu_day.spend(rows, 10, "cpu", say=quiet)
    assert at_once == [(NAME, 0), (RULE, 0), (RULE, 1), (NAME, 2), (RULE, 2)]
    assert day.ended == at_once and day.cut is None and day.left == 0
    assert content(NAME)["seeds"] == [0, 1, 2]


def test_what_ended_is_brought_home_whole_and_large_checkpoints_are_not(
    home, at_once, tmp_path, monkeypatch
):
    out, said, exp = tmp_path / "out", [], papers.experiment(NAME)
    one = replace(exp, seeds=(0,))
    gpu_day.spend([one], 10, "cpu", out, said.append)
    found = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    labels = f"data/scores/labels-{content(NAME)['label_sha']}.npz"
    scores, weights = f"data/scores/{NAME}-s0.npz", f"data/checkpoints/{NAME}-s0.pt"
    assert found == {f"data/results/{NAME}.json", scores, labels, weights}
    assert (out / scores).read_bytes() == (home / scores).read_bytes()
    monkeypatch.setattr(gpu_day, "LARGEST", 100)
    assert "too large" in gpu_day.bring_home([(exp, 0)], tmp_path / "second")
    assert not (tmp_path / "second" / weights).exists() and (tmp_path / "second" / scores).exists()
    monkeypatch.setattr(gpu_day, "ROOM", (out / f"data/results/{NAME}.json").stat().st_size + 10)
    assert gpu_day.bring_home([(exp, 0)], tmp_path / "third").startswith("1 files")
    # the next day, on a bare machine: it knows what had ended
    for path in (home / "data").rglob("*"):
        if path.is_file():
            path.unlink()
    del at_once[:]
    gpu_day.spend([one], 10, "cpu", out, quiet)
    assert not at_once and content(NAME)["seeds"] == [0]


def test_a_failure_is_a_line_and_the_others_run(home, monkeypatch):
    results = {0: "out of memory", 1: "", 2: ""}
    monkeypatch.setattr(gpu_day, "run_until", lambda name, seed, *rest: results[seed])
    said = []
    with pytest.raises(VadError, match="1 of 3 runs failed, first .* seed 0: out of memory"):
        gpu_day.spend([papers.experiment(RULE)], 10, "cpu", say=said.append)
    assert sum("begins" in line for line in said) == 3


def test_when_time_is_up_the_run_is_ended_and_goes_on_the_next_day(tmp_path, monkeypatch):
    """Two days in processes of their own, and the weights of one undisturbed run."""
    home = make_home(tmp_path, monkeypatch, epochs=6)
    monkeypatch.setenv("VADLIB_CACHE", str(home / "cache"))
    exp, out, said = replace(papers.experiment(NAME), seeds=(0,)), home / "out", []
    model, history = exp.detector(0, "cpu"), None
    folder = run.resume_folder(exp, 0)
    # the first day trained for ten steps, and kept them
    history = model.fit(exp.load("train"), folder=folder, stop_after=10, progress=False)
    assert history.samples == 80
    monkeypatch.setattr(gpu_day, "run_until", lambda *a: None)
    day = gpu_day.spend([exp], 1, "cpu", out, said.append)
    assert day.cut == (NAME, 0) and not day.ended and (out / "runs").exists()
    assert any("time is up" in line for line in said)
    monkeypatch.undo()
    home = make_home(tmp_path, monkeypatch, epochs=6)
    monkeypatch.setenv("VADLIB_CACHE", str(home / "other-cache"))  # the second day's machine
    gpu_day.take_up(out)
    again = exp.detector(0, "cpu")
    whole = again.fit(exp.load("train"), folder=run.resume_folder(exp, 0), progress=False)
    straight = exp.detector(0, "cpu")
    straight.fit(exp.load("train"), progress=False)
    assert whole.steps[:10] == history.steps and len(whole.steps) > 10
    for a, b in zip(again.net.parameters(), straight.net.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_dry_run_in_a_process_of_its_own(home, tmp_path):
    assert gpu_day.run_until(RULE, 0, "cpu", 300) == ""
    assert content(RULE)["seeds"] == [0]
    assert gpu_day.run_until("nonesuch-full", 0, "cpu", 300).startswith("there is no experiment")
    before = set(psutil.Process().children(recursive=True))
    assert gpu_day.run_until(RULE, 1, "cpu", 0.1) is None
    assert set(psutil.Process().children(recursive=True)) <= before  # ended, and gone
    assert content(RULE)["seeds"] == [0]


def test_mistakes_are_one_line_and_exit_code_2(home, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for arguments, says in (
        (["--minutes", "28"], "no CUDA device on this machine"),
        (["--minutes", "0", "--device", "cpu"], "0.0 minutes are no time"),
    ):
        assert main(["gpu-day", *arguments]) == 2
        told = capsys.readouterr().err.strip()
        assert says in told and len(told.splitlines()) == 1 and told.startswith("vadlib: ")


def test_scores_that_came_home_are_those_of_the_record(home, at_once, tmp_path):
    gpu_day.spend([replace(papers.experiment(RULE), seeds=(0,))], 10, "cpu", tmp_path / "o", quiet)
    assert np.isfinite(records.read_scores(RULE, 0)[0].frame).all()
    assert not checkpoint_path(papers.experiment(RULE), 0).exists()  # nothing was trained
