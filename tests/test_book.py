"""What chapters lean on: profiles, checks, exercises, and tables made from records."""

import json

import numpy as np
import pytest
import torch

from vadlib import book
from vadlib.data import plaza
from vadlib.errors import VadError


@pytest.fixture
def ped2_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("VADLIB_DATA", str(tmp_path))


def test_smoke_runs_on_plaza(capsys):
    run = book.start("01_tiny", "smoke", 3, "cpu")
    assert (run.data, run.size, run.device, run.seed) == ("plaza", (128, 192), "cpu", 3)
    said = capsys.readouterr().out
    assert "Plaza" in said and torch.__version__ in said and "Notice" not in said


def test_where_ped2_is_missing_plaza_runs_and_says_so(capsys, ped2_missing):
    assert book.start("01_tiny", "standard", 0, "cpu").data == "plaza"
    said = capsys.readouterr().out
    assert "Notice" in said and "not on this machine" in said and "make data" in said


def test_the_same_seed_gives_the_same_numbers():
    def draw():
        book.start("01_tiny", "smoke", 7, "cpu")
        return torch.rand(3).tolist(), np.random.rand(3).tolist()

    assert draw() == draw()


def test_load_follows_the_profile_and_gives_way_to_arguments(monkeypatch):
    asked = []
    monkeypatch.setattr(plaza, "videos", lambda **k: asked.append(k) or [])
    run = book.Run("01_tiny", "smoke", 0, "cpu", "plaza", (128, 192))
    run.load("test")
    run.load("train", count=1, size=(32, 48))
    assert asked == [
        {"split": "test", "size": (128, 192), "count": 7, "length": 100, "level": "clear"},
        {"split": "train", "size": (32, 48), "count": 1, "length": 120, "level": "clear"},
    ]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("tiny", 0, "cpu"), "PROFILE"),
        (("smoke", -1, "cpu"), "SEED"),
        (("smoke", "1", "cpu"), "SEED"),
        (("smoke", 0, "abacus"), "abacus"),
    ],
)
def test_bad_parameters_are_refused(arguments, named):
    with pytest.raises(VadError, match=named):
        book.start("01_tiny", *arguments)


def test_check_speaks_or_raises(capsys):
    book.check(torch.tensor(True), "one is one")
    assert capsys.readouterr().out == "✓ one is one\n"
    with pytest.raises(AssertionError, match="two is one"):
        book.check(np.bool_(False), "two is one")


CASES = [((torch.tensor([1.0, 2.0]),), 3.0), ((torch.tensor([0.5]),), 0.5)]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda x: x.sum(), "✓ Exercise 3.1: solved, all 2 cases agree"),
        (lambda x: None, "○ Exercise 3.1: not attempted yet"),
        (lambda x: ..., "○ Exercise 3.1: not attempted yet"),
        (lambda x: x.mean(), "wrong on ([1.0, 2.0]): got 1.5, expected 3"),
        (lambda x: x, "got the shape (2,), expected ()"),
        (lambda x: print(x.sum()), "it prints its answer: `return` it instead"),
        (lambda x: x.sum() if x[0] == 1 else None, "on ([0.5]) it returns nothing"),
        (lambda x: x.sum() if x[0] < 1 else None, "on ([1.0, 2.0]) it returns nothing"),
        (lambda x: x.nothing, "raises AttributeError"),
    ],
)
def test_exercises_say_what_happened_and_never_raise(capsys, function, said):
    solved = book.exercise("3.1", function, CASES, hint="add them")
    shown = capsys.readouterr().out
    assert said in shown and solved == ("✓" in shown)
    assert ("Hint: add them" in shown) == ("✗" in shown)


@pytest.mark.parametrize(
    ("got", "expected", "said"),
    [
        ([1.0, 2, 4, 9], [1, 2, 3, 4], "same shape, first difference at 2: got 4, expected 3"),
        (np.zeros((2, 3)), np.eye(2, 3), "first difference at (0, 0): got 0, expected 1"),
        (np.ones((2, 1)), np.ones((1, 2)), "got the shape (2, 1), expected (1, 2)"),
        (np.array([True, False]), np.array([True, True]), "at 1: got 0, expected 1"),
        ((1, 2), (1, 2, 3), "got 2 parts, expected 3"),
        ((np.ones(2), np.ones(3)), (np.ones(2), np.eye(3)[0]), "part 1: same shape, first"),
        ((np.ones(2), np.ones(3)), (np.ones(2), np.ones(4)), "part 1: got the shape (3,)"),
        ([["a"], 2], [["b"], 2], "got [['a'], 2], expected [['b'], 2]"),
    ],
)
def test_a_wrong_answer_is_told_where_it_differs(capsys, got, expected, said):
    assert not book.exercise("3.1", lambda: got, [((), expected)])
    assert said in capsys.readouterr().out


def test_what_a_right_answer_prints_is_kept_from_the_verdict(capsys):
    assert book.exercise("3.1", lambda x: (print("by the way"), x.sum())[1], CASES)
    assert capsys.readouterr().out == "✓ Exercise 3.1: solved, all 2 cases agree\n"


def test_an_exercise_cannot_spoil_its_own_cases():
    def greedy(x):
        total = x.sum().clone()
        x.zero_()
        return total

    assert book.exercise("3.1", greedy, CASES) and book.exercise("3.1", greedy, CASES)


@pytest.mark.parametrize(
    ("got", "expected", "same"),
    [
        (np.float64(1), 1, True),
        ([1.0, 2.0], torch.tensor([1.0, 2.0]), True),
        ([np.ones(2), np.ones(3)], [np.ones(2), np.ones(3)], True),
        ([np.ones(2), np.ones(3)], np.ones(2), False),
        ({"a": 1.0}, {"a": 1.0 + 1e-9}, True),
        ({"a": 1.0}, {"b": 1.0}, False),
        ("word", "word", True),
        ("word", 1.0, False),
        (np.nan, np.nan, True),
        (np.ones((2, 1)), np.ones((1, 2)), False),
        (True, True, True),
    ],
)
def test_answers_are_compared_by_value(got, expected, same):
    assert book.exercise("1.1", lambda: got, [((), expected)]) == same


def test_a_solution_must_pass(capsys):
    book.solution("3.1", torch.sum, CASES)
    assert "solution of exercise 3.1" in capsys.readouterr().out
    with pytest.raises(AssertionError, match="3.1"):
        book.solution("3.1", torch.mean, CASES)


def record(name, method, mean, sd, seeds, stale=False):
    result = {"protocol": "headline", "metric": "auc", "term": "score", "mean": mean}
    return {
        "name": name,
        "method": method,
        "data": "ped2",
        "profile": "standard",
        "command": f"vadlib reproduce {name}",
        "commit": "0123456789abcdef",
        "seeds": seeds,
        "stale": stale,
        "protocols": {"headline": {"average": "micro", "chosen_on_test": "nothing"}},
        "results": [result | {"sd": sd, "values": [mean] * len(seeds)}],
    }


@pytest.fixture
def records(monkeypatch):
    found = [
        record("zero-flow", "zero-flow", 0.9612, None, [0]),
        record("maam", "maam", 0.9534, 0.0049, [0, 1, 2], stale=True),
    ]
    monkeypatch.setattr(book, "records", lambda: found)
    return found


def test_tables_are_made_from_records(records):
    shown = book.records_table(rows=["name"], columns=["metric"], data="ped2").to_html()
    assert "96.1" in shown and "95.3 ± 0.5†" in shown and "made by older code" in shown
    head = shown.partition("</thead>")[0]
    assert head.count("<tr") == 1 and ">name</th>" in head, "one line of heads"
    fresh = book.records_table(rows=["name"], columns=["metric"], name=["zero-flow"]).to_html()
    assert "95.3" not in fresh and "older code" not in fresh


def test_seeds_know_the_kind_of_anomaly_and_no_other_word_behind_a_comma(records):
    (first, *_), other = records[1]["results"], ("auc, motion", "pixel auc, 40 % rule")
    records[1]["results"] += [first | {"metric": metric} for metric in other]
    found = book.seeds(name="maam")
    assert found.groupby("metric")["kind"].first().to_dict() == {
        "auc": "",
        "auc, motion": "motion",
        "pixel auc, 40 % rule": "",
    }
    assert list(found["seed"]) == [0, 1, 2] * 3


def test_a_value_and_its_spread_stay_on_one_line(monkeypatch):
    shown = []
    monkeypatch.setattr(book, "_in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", lambda page: shown.append(page.data))
    book.md("91.7 ± 7.5")
    assert shown == ["91.7\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}7.5"]


def test_counts_are_not_percentages():
    row = {"metric": "selected items", "mean": 245.2, "sd": None, "stale": False}
    assert book.value_text(row) == "245.2"
    assert book.value_text(row | {"metric": "auc, joint", "mean": 0.5, "sd": 0.01}) == "50.0 ± 1.0"


def test_without_records_a_table_is_a_sentence(records, capsys):
    records.clear()
    assert book.records_table(method="maam") is None
    assert "no records yet for method maam" in capsys.readouterr().out


def test_the_protocol_card_tells_how_a_number_was_made(records, capsys):
    book.protocol_card("maam")
    said = capsys.readouterr().out
    assert "average: micro" in said and "vadlib reproduce maam" in said and "stale" in said
    with pytest.raises(VadError, match="no record swin"):
        book.protocol_card("swin")


def test_costs_are_measured_ones(monkeypatch, tmp_path):
    monkeypatch.setenv("VADLIB_HOME", str(tmp_path))
    assert book.cost("01_tiny") == ""
    (tmp_path / "data" / "results").mkdir(parents=True)
    times = {"01_tiny": {"smoke": {"seconds": 31.2, "peak_mb": 1536, "cores": 2}}}
    (tmp_path / "data/results/chapters.json").write_text(json.dumps(times))
    assert book.cost("01_tiny") == "smoke 31 s, 1.5 GB, 2 cores"


def test_the_box_says_with_which_other_versions_chapters_passed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(book, "home", lambda: tmp_path)
    book.start("02_data", "smoke", 0, "cpu")
    assert "Also passed" not in capsys.readouterr().out, "where nobody has tried, nothing is said"
    versions = {"date": "2026-01-02", "versions": {"torch": "2.4.1"}}
    (tmp_path / "book").mkdir()
    text = json.dumps({"oldest": versions | {"chapters": ["02_data", "07_maam_net"]}})
    (tmp_path / "book" / "environments.json").write_text(text)
    book.start("02_data", "smoke", 0, "cpu")
    said = "Also passed: with the oldest versions on 2026-01-02 (PyTorch 2.4.1, chapters 2 and 7)"
    assert said in capsys.readouterr().out
