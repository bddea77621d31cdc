"""Records: what they hold, when they are stale, how they are confirmed; and the command line."""

import importlib
import json
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vadlib import book, papers
from vadlib.__main__ import main
from vadlib.data import bags
from vadlib.data.video import write
from vadlib.detector import History
from vadlib.errors import VadError
from vadlib.lab import checkpoints, records, run, sets, source
from vadlib.lab.experiment import Experiment, TrainConfig
from vadlib.measure import frame_auc
from vadlib.papers.maam.rows import PROFILES


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A repository of this test's own, with a Plaza small enough to train on in a second."""
    monkeypatch.setenv("VADLIB_HOME", str(tmp_path))
    for profile in ("smoke", "standard"):
        monkeypatch.setitem(sets.PLAZA, profile, {"train": (1, 40), "test": (2, 60)})
        monkeypatch.setitem(sets.SIZES, profile, (48, 64))
    small = {"width": 2, "items": 10, "patch": (8, 6), "train": TrainConfig(epochs=0.4)}
    monkeypatch.setitem(PROFILES, "smoke", small)
    return tmp_path


NAME = "maam-plaza-smoke"


def quiet(*_):
    pass


def aged(record):
    """The record as if other code had made it."""
    runs = [run | {"stamp": "older"} for run in record["runs"]]
    records.write_record(record | {"stamp": "older", "runs": runs})


def test_a_record_says_everything_about_its_numbers(home):
    record = run.reproduce(papers.experiment(NAME), [0, 1], "cpu", quiet)
    on_disk = json.loads((home / "data" / "results" / f"{NAME}.json").read_text())
    assert on_disk.pop("sha") and on_disk == json.loads(json.dumps(record))
    assert record["seeds"] == [0, 1] and record["command"].endswith("--seed 0 1")
    headline = next(r for r in record["results"] if records.is_headline(r))
    assert len(headline["values"]) == 2
    assert headline["mean"] == pytest.approx(np.mean(headline["values"]))
    assert headline["sd"] == pytest.approx(np.std(headline["values"], ddof=1))
    chosen = papers.experiment(NAME).chosen
    assert record["protocols"]["headline"]["chosen on test"] == chosen != "nothing"
    assert record["config"]["width"] == 2 and record["config"]["train"]["epochs"] == 0.4
    for key in ("data_sha", "label_sha", "stamp", "device", "created", "cost", "versions"):
        assert record[key], key
    metrics = {(r["metric"], r["term"]) for r in record["results"]}
    assert {("auc", "app"), ("auc", "mot"), ("rbdc", "score"), ("memory used", "score")} <= metrics
    assert all(0 <= v <= 1 for r in record["results"] for v in r["values"])


def test_a_curve_is_one_training_tested_on_the_way_and_a_kill_costs_no_point(home, monkeypatch):
    monkeypatch.setattr(run, "cache_root", lambda: home / "cache")
    train = TrainConfig(epochs=1, batch_size=4, schedule="wsd", holdout=1)
    exp = replace(papers.experiment(NAME), config={"train": train}, curve=(0.25, 0.5))
    monkeypatch.setitem(sets.PLAZA, "smoke", {"train": (2, 40), "test": (2, 60)})
    shares, fit = [], run.fit

    def dies(exp, model, *rest):
        shares.append(model.config.train.share)
        if len(shares) == 2:
            raise KeyboardInterrupt
        return fit(exp, model, *rest)

    monkeypatch.setattr(run, "fit", dies)
    with pytest.raises(KeyboardInterrupt):
        run.run_seed(exp, 0, "cpu", quiet)
    done = run.run_seed(exp, 0, "cpu", quiet)
    assert shares == [0.25, 0.5, 0.5, 1.0]
    points = done["curve"]
    assert [p["share"] for p in points] == [0.25, 0.5, 1.0]
    samples = [p["samples"] for p in points]
    assert samples[0] < samples[1] < samples[2] == done["cost"]["train_frames"]
    assert points[2]["rows"] == done["rows"] and points[0]["rows"] != done["rows"]
    flops = [p["flops"] / p["samples"] for p in points]
    assert flops[0] == flops[1] == flops[2] > 0 and points[2]["held_out"]["total"] > 0
    assert done["cost"]["train_flops"] == points[2]["flops"]
    plain = run.trial(replace(exp, curve=()), 1, "cpu", quiet)
    assert plain.curve == [] and run.trial(replace(exp, curve=(0.5,)), 1, "cpu", quiet).rows == (
        plain.rows
    )
    records.write_record(run.make_record(exp, [done]))  # the schema takes it
    assert records.read_records()[0]["runs"][0]["curve"] == json.loads(json.dumps(points))


def test_a_checkpoint_in_half_precision_is_half_as_large_and_scores_nearly_the_same(home):
    exp = papers.experiment(NAME)
    model = exp.detector(0, "cpu")
    video = exp.load("test")[0]
    whole, half = home / "whole.pt", home / "half.pt"
    for path, small in ((whole, False), (half, True)):
        checkpoints.save_checkpoint(path, model, exp.name, "made", "", History(), half=small)
    assert half.stat().st_size < 0.75 * whole.stat().st_size  # names and sizes are not halved
    other = exp.detector(1, "cpu")
    checkpoints.load_checkpoint(half, other)
    assert {p.dtype for p in other.net.parameters()} == {torch.float32}
    rounded = {k: v.half() for k, v in model.net.state_dict().items() if v.is_floating_point()}
    for name, tensor in rounded.items():
        assert torch.equal(other.net.state_dict()[name], tensor.float()), name
    np.testing.assert_allclose(other.score(video).frame, model.score(video).frame, rtol=0.02)


def test_seeds_are_added_to_a_record_of_the_same_code_only(home, monkeypatch):
    run.reproduce(papers.experiment("random-plaza-standard"), [0], "cpu", quiet)
    assert run.reproduce(papers.experiment("random-plaza-standard"), [1], "cpu", quiet)[
        "seeds"
    ] == [0, 1]
    path = home / "data" / "results" / "random-plaza-standard.json"
    aged(records.read_record(path))
    assert run.reproduce(papers.experiment("random-plaza-standard"), [2], "cpu", quiet)[
        "seeds"
    ] == [2]


@dataclass(frozen=True)
class Bag:
    """What every data set offers, and no more: here frames that are never looked at."""

    name: str
    key: str
    labels: np.ndarray
    masks: None = None
    truth: dict = field(default_factory=dict)
    start: int = 0

    def __len__(self):
        return len(self.labels)


READER = """
drawn, new = [], ""  # what was asked for, and what makes it give other data


def read(split, profile, seed):
    import numpy as np
    from test_experiments import Bag

    drawn.append((profile, split, seed))
    return [Bag("a", new or f"{split}{seed}", np.arange(20) // (5 + seed) == 1)]
"""


def test_each_seed_may_draw_its_own_split_of_items_that_are_no_videos(home, monkeypatch):
    (home / "reader").mkdir()
    (home / "reader" / "__init__.py").write_text(READER)
    monkeypatch.syspath_prepend(home)
    reader = importlib.import_module("reader")
    bags = sets.DataSet("reader:read", lambda profile, split: {"profile": profile}, drawn=True)
    monkeypatch.setitem(sets.SETS, "bags", bags)
    exp = Experiment("index-bags-standard", papers.method("frame-index"), "bags", "standard")
    monkeypatch.setitem(papers.experiments(), exp.name, exp)
    record = run.reproduce(exp, [0, 2], "cpu", quiet)
    assert {("standard", s, n) for s in ("train", "test") for n in (0, 2)} == set(reader.drawn)
    assert record["seeds"] == [0, 2]  # other data, but the data of their seed
    assert len({run["data_sha"] for run in record["runs"]}) == 2
    assert len({run["label_sha"] for run in record["runs"]}) == 2
    reader.new = "new"
    assert run.reproduce(exp, [1], "cpu", quiet)["seeds"] == [1]  # the others' data changed


def test_the_cost_is_that_of_what_the_network_reads_for_one_frame(home):
    exp = papers.experiment(NAME)
    model, history = exp.detector(0, "cpu"), History()
    one = run.cost(model, exp, history)
    assert one["params"] == sum(p.numel() for p in model.net.parameters()) and one["train_fps"] == 0
    model.cost_inputs = lambda size: (torch.zeros(2, 3, *size),)
    assert run.cost(model, exp, history)["flops_per_frame"] == 2 * one["flops_per_frame"] > 0


def test_the_same_seed_gives_the_same_numbers(home):
    one = run.run_seed(papers.experiment(NAME), 0, "cpu", quiet)["rows"]
    assert run.run_seed(papers.experiment(NAME), 0, "cpu", quiet)["rows"] == one


def test_a_record_of_other_code_is_stale_until_it_is_confirmed(home):
    path = home / "data" / "results" / f"{NAME}.json"
    record = run.reproduce(papers.experiment(NAME), [0], "cpu", quiet)
    assert not book.records()[0]["stale"]
    aged(record)
    assert book.records()[0]["stale"]
    kept = checkpoints.checkpoint_path(papers.experiment(NAME), 0).read_bytes()
    run.confirm(papers.experiment(NAME), 0, "cpu", quiet)
    assert not book.records()[0]["stale"]
    assert json.loads(path.read_text())["stamp"] == "older"  # it still says who made it
    assert checkpoints.checkpoint_path(papers.experiment(NAME), 0).read_bytes() == kept


def test_a_record_that_does_not_agree_is_not_confirmed(home):
    record = run.reproduce(papers.experiment(NAME), [0], "cpu", quiet)
    for row in [*record["results"], *(r for one in record["runs"] for r in one["rows"])]:
        for key in row.keys() & {"mean", "value"}:
            row[key] += 0.02
        row |= {"values": [row["mean"]]} if "values" in row else {}
    aged(record)
    with pytest.raises(VadError, match="the record says"):
        run.confirm(papers.experiment(NAME), 0, "cpu", quiet)
    assert book.records()[0]["stale"]


SPREAD = {"two seeds": ([0.5, 0.52], 2 * 0.01 * 2**0.5), "one seed": ([0.51], 0.001)}


@pytest.mark.parametrize("off", [-1.05, -0.95, 0.95, 1.05])
@pytest.mark.parametrize("values, slack", SPREAD.values(), ids=SPREAD.keys())
def test_a_seed_agrees_within_two_deviations_or_a_tenth_of_a_point(
    home, monkeypatch, values, slack, off
):
    """Of the mean, to either side; the seed that is run again is the one that was asked for."""
    row = {"protocol": "headline", "metric": "auc", "term": "score"}
    exp, asked, written = papers.experiment(NAME), [], []
    mean = sum(values) / len(values)
    record = {"name": NAME, "results": [records.summary([row | {"value": v} for v in values])]}
    again = {"rows": [row | {"term": "mot", "value": 0}, row | {"value": mean + off * slack}]}
    monkeypatch.setattr(run, "read_records", lambda: [record | {"confirmed": []}])
    monkeypatch.setattr(run, "write_record", written.append)
    monkeypatch.setattr(run, "run_seed", lambda exp, seed, *_: asked.append(seed) or again)
    if abs(off) > 1:
        with pytest.raises(VadError, match="the record says 51.00 within"):
            run.confirm(exp, 1, "cpu", quiet)
        assert not written
    else:
        run.confirm(exp, 1, "cpu", quiet)
        (entry,) = written[0]["confirmed"]
        assert (entry["seed"], entry["value"]) == (1, mean + off * slack)
        assert entry["stamp"] == exp.stamp
    assert asked == [1]


def test_a_seed_reaches_the_videos_and_the_detector(home, monkeypatch):
    """Of a trial, and of a chapter that trains or loads."""
    told = []

    class Spy:
        net = torch.nn.Linear(1, 1)

        def fit(self, videos, **_):
            return History()

    def load(self, split, seed=0):
        return told.append((split, seed)) or []

    monkeypatch.setattr(Experiment, "load", load)
    monkeypatch.setattr(Experiment, "detector", lambda _, *how: told.append(how) or Spy())
    monkeypatch.setitem(run.MEASURES, "evaluate", lambda scored, test: [])
    exp = papers.experiment(NAME)
    run.trial(exp, 7, "cpu", quiet)
    assert told == [("train", 7), ("test", 7), (7, "cpu", 1.0)]
    told.clear()
    run.train_or_load(exp, 8, "cpu", quiet)
    assert told == [(8, "cpu"), ("train", 8)]
    assert [run.resume_folder(exp, s).name.split("-")[-2] for s in (7, 8)] == ["s7", "s8"]
    monkeypatch.undo()
    model = papers.experiment(NAME).detector(9, "cpu", 0.5)
    assert (model.config.train.seed, model.config.train.share) == (9, 0.5)  # pyright: ignore


def test_a_commit_is_dirty_where_files_of_the_library_that_it_holds_differ(home, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(home.parent))  # of no repository around it

    def git(*words):
        who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        return subprocess.run(
            ["git", "-C", str(home), *who, *words], check=True, capture_output=True, text=True
        ).stdout.strip()

    assert records.commit() == ""  # no repository
    for name in ("vadlib/a.py", "notes.md"):
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text("x = 1\n")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    head = git("rev-parse", "HEAD")
    assert len(head) == 40 and records.commit() == head
    (home / "notes.md").write_text("other\n")  # no number comes from it
    (home / "vadlib" / "new.py").write_text("")  # nothing of the commit has changed
    assert records.commit() == head
    (home / "vadlib" / "a.py").write_text("x = 2\n")
    assert records.commit() == f"{head}+"
    git("add", "vadlib/a.py")
    assert records.commit() == f"{head}+"
    git("commit", "-q", "-m", "second")
    assert records.commit() == git("rev-parse", "HEAD") != head


def test_the_stamp_sees_code_and_config_but_not_comments(tmp_path):
    file = tmp_path / "m.py"
    file.write_text('"""Doc."""\n\nx = 1  # why\n\n\ndef f():\n    """Doc."""\n    return "# x"\n')
    code = source.code_of(file)
    assert code == 'x = 1\ndef f():\n    return "# x"'
    file.write_text('x = 1\ndef f():\n    """Other\n    words."""\n    return "# x"  # more\n')
    assert source.code_of(file) == code
    file.write_text("x = 2\n")
    assert source.code_of(file) != code
    exp = papers.experiment(NAME)
    assert replace(exp, config={"latent": "pull"}).stamp != exp.stamp == replace(exp).stamp


def test_a_run_leaves_the_scores_that_were_measured(home):
    record = run.reproduce(papers.experiment(NAME), [0], "cpu", quiet)
    videos = papers.experiment(NAME).load("test")
    scores = records.read_scores(NAME, 0)
    assert [s.video for s in scores] == [v.name for v in videos]
    labels = [s.labels(v) for s, v in zip(scores, videos, strict=True)]
    for term, row in (("score", "score"), ("mot", "mot")):
        kept = [s.frame if term == "score" else s.terms[term] for s in scores]
        value = next(
            r["mean"]
            for r in record["results"]
            if (r["protocol"], r["metric"], r["term"]) == ("headline", "auc", row)
        )
        assert frame_auc(kept, labels) == pytest.approx(value, abs=1e-6)
    before = (home / "data" / records.scores_path(NAME, 0)).read_bytes()
    run.confirm(papers.experiment(NAME), 0, "cpu", quiet)
    assert (home / "data" / records.scores_path(NAME, 0)).read_bytes() == before
    with pytest.raises(VadError, match="no record of .* with seed 1"):
        records.read_scores(NAME, 1)
    (home / "data" / records.scores_path(NAME, 0)).write_bytes(b"PK nothing")
    with pytest.raises(VadError, match="-s0.npz is damaged"):
        records.read_scores(NAME, 0)
    (home / "data" / records.scores_path(NAME, 0)).unlink()
    with pytest.raises(VadError, match="-s0.npz is missing"):
        records.read_scores(NAME, 0)


def test_a_run_leaves_the_truth_that_it_was_measured_against(home):
    record = run.reproduce(papers.experiment(NAME), [0], "cpu", quiet)
    videos, truth = papers.experiment(NAME).load("test"), records.read_truth(NAME, 0)
    assert [t.name for t in truth] == [v.name for v in videos]
    for t, v, s in zip(truth, videos, records.read_scores(NAME, 0), strict=True):
        assert np.array_equal(t.labels, v.labels) and len(t) == len(v)
        assert np.array_equal(t.truth["kind"], v.truth["kind"])
        assert np.array_equal(s.labels(t), s.labels(v))  # pyright: ignore
    with pytest.raises(VadError, match="no record of .* with seed 1"):
        records.read_truth(NAME, 1)
    path = home / "data" / records.truth_path(record["label_sha"])
    other = [replace(v, labels=1 - v.labels, masks=None) for v in videos]
    path.write_bytes(records.write_truth(other).read_bytes())
    with pytest.raises(VadError, match="holds other labels than its name says"):
        records.read_truth(NAME, 0)
    path.unlink()
    with pytest.raises(VadError, match=f"{path.name} is missing"):
        records.read_truth(NAME, 0)


def test_plaza_joint_asks_about_one_kind(home):
    exp = papers.experiment("msti-plaza-joint-standard")
    kinds = [set(v.truth["kind"]) - {""} for v in exp.load("test")]
    assert kinds.count({"joint"}) == 10 and len(kinds) == 20
    assert [v.key for v in exp.load("train")] == [
        v.key for v in sets.load("plaza", "standard", "train")
    ]


def test_every_row_knows_which_data_its_profile_asks_for():
    for exp in papers.experiments().values():
        for split in ("train", "test"):
            assert isinstance(exp.set.settings(exp.profile, split), dict), exp.name


def test_a_damaged_record_is_named(home):
    folder = home / "data" / "results"
    folder.mkdir(parents=True)
    (folder / "x.json").write_text("{")
    with pytest.raises(VadError, match="x.json is not JSON"):
        book.records()
    (folder / "x.json").write_text('{"name": "x"}')
    with pytest.raises(VadError, match="x.json: method: Field required"):
        records.read_records()


# train or load


def test_train_or_load_trains_once_the_checkpoint_is_gone_and_loads_it_when_there(home):
    said = []
    model, history = book.train_or_load(NAME, 0, "cpu", said.append)
    assert "Trained on" in said[-1] and history.samples > 0
    exp = papers.experiment(NAME)
    checkpoints.save_checkpoint(
        checkpoints.checkpoint_path(exp, 0), model, exp.name, exp.stamp, "sha", history
    )
    again, told = book.train_or_load(NAME, 0, "cpu", said.append)
    assert "Loaded" in said[-1] and told.terms == history.terms
    assert torch.equal(again.net.memory.items, model.net.memory.items)
    assert again.balanced_psi == model.balanced_psi


def test_a_finished_run_leaves_nothing_to_resume_so_that_smoke_always_trains(home):
    book.train_or_load(NAME, 0, "cpu", quiet)
    assert not list((home / "data" / "cache" / "runs").glob("*"))


def test_a_run_that_was_cut_short_is_taken_up(home, monkeypatch):
    exp, whole = papers.experiment(NAME), book.train_or_load(NAME, 0, "cpu", quiet)[0]
    folder = home / "data" / "cache" / "runs" / f"{NAME}-s0-{exp.stamp}"
    exp.detector(0, "cpu").fit(exp.load("train"), folder=folder, stop_after=1)
    model, history = book.train_or_load(NAME, 0, "cpu", quiet)
    assert torch.equal(model.net.memory.items, whole.net.memory.items)


def test_a_checkpoint_of_older_code_loads_with_a_notice(home):
    exp, said = papers.experiment(NAME), []
    model, history = book.train_or_load(NAME, 0, "cpu", quiet)
    path = checkpoints.checkpoint_path(exp, 0)
    checkpoints.save_checkpoint(path, model, exp.name, exp.stamp, "sha", history)
    content = torch.load(path, weights_only=True)
    torch.save(content | {"stamp": "older"}, path)
    book.train_or_load(NAME, 0, "cpu", said.append)
    assert "older code" in said[0]


def test_a_loaded_network_lies_in_memory_as_training_left_it(home):
    """Then it scores faster on a CPU, and to the bit what the run that made it scored."""
    exp = papers.experiment(NAME)
    model, history = book.train_or_load(NAME, 0, "cpu", quiet)
    path = checkpoints.checkpoint_path(exp, 0)
    checkpoints.save_checkpoint(path, model, exp.name, exp.stamp, "sha", history)
    again = exp.detector(0, "cpu")
    checkpoints.load_checkpoint(path, again)
    fat = [p for p in again.net.parameters() if p.ndim == 4 and p.shape[1] > 1 and p.shape[2] > 1]
    assert fat and all(p.is_contiguous(memory_format=torch.channels_last) for p in fat)
    (video, *_) = exp.load("test")
    assert np.array_equal(again.score(video).frame, model.score(video).frame)


def test_every_checkpoint_that_chapters_load_is_there():
    folder = Path(__file__).parents[1] / "data" / "checkpoints"
    committed = [exp for exp in papers.experiments().values() if exp.committed]
    assert committed
    for exp in committed:
        for seed in exp.committed:
            content = torch.load(folder / f"{exp.name}-s{seed}.pt", weights_only=True)
            assert content["experiment"] == exp.name


def test_a_missing_checkpoint_of_the_published_book_is_an_error(home):
    with pytest.raises(VadError, match="maam-ped2-standard-s0.pt is missing"):
        book.train_or_load("maam-ped2-standard", 0, "cpu", quiet)


def test_a_checkpoint_of_another_architecture_and_a_corrupt_one_are_named(home):
    exp = papers.experiment(NAME)
    model, history = book.train_or_load(NAME, 0, "cpu", quiet)
    path = checkpoints.checkpoint_path(exp, 0)
    checkpoints.save_checkpoint(path, model, exp.name, exp.stamp, "sha", history)
    other = replace(exp, config={"width": 3}).detector(0, "cpu")
    with pytest.raises(VadError, match="s0.pt holds another architecture"):
        checkpoints.load_checkpoint(path, other)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(VadError, match="s0.pt is not a readable checkpoint"):
        checkpoints.load_checkpoint(path, model)


# the command line


def line(capsys):
    return capsys.readouterr().err.strip()


@pytest.mark.parametrize(
    "arguments,says",
    [
        (["reproduce", "maam-ped9-smoke"], "no experiment 'maam-ped9-smoke'"),
        (["reproduce", NAME, "--profile", "huge"], "'huge' is none of"),
        (["reproduce", NAME, "--confirm"], "no record of"),
        (["fit", "nonesuch", "--out", "x.pt"], "unknown method 'nonesuch'"),
        (["fit", "zero-flow", "--epochs", "2", "--out", "x.pt"], "not trained. Leave out --epochs"),
        (["fit", "zero-flow", "--folder", "f", "--out", "x.pt"], "not trained. Leave out --folder"),
        (["fit", "mean-image", "--out", "x.pt"], "`vadlib watch FILM --method mean-image --normal"),
        (
            ["fit", "maam", "--profile", "huge", "--out", "x.pt"],
            "'huge' is none of",
        ),
        (["fit", "maam", "--device", "tpu", "--out", "x.pt"], "'tpu' is none of auto, cpu"),
        (["watch", "x.mp4", "--alarms-an-hour", "nan"], "--alarms-an-hour is nan. Give a number"),
        (["watch", "x.mp4", "--quiet", "-5"], "--quiet is -5.0. Give a number above zero"),
        (["watch", "x.mp4", "--minutes", "nan"], "--minutes is nan. Give a number above zero"),
        (["score", "zero-flow", "missing.mp4"], "missing.mp4"),
        (["score", "maam", "missing.mp4"], "maam needs --checkpoint"),
        (["score", "maam", "x.mp4", "--checkpoint", "none.pt"], "none.pt is missing"),
        (["data", "ped9"], "manifest.json cannot be read"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(home, capsys, arguments, says):
    assert main(arguments) == 2
    told = line(capsys)
    assert says in told and len(told.splitlines()) == 1 and told.startswith("vadlib: ")


def test_a_method_of_films_does_not_learn_from_bags(home, capsys, monkeypatch):
    monkeypatch.setattr(
        sets.DataSet, "load", lambda *a, **k: [bags.Bag("a", np.ones((1, 1, 2)), 3)]
    )
    command = ["fit", "maam", "--data", "plaza-bags", "--out", "x.pt", "--device", "cpu"]
    assert main(command) == 2
    assert line(capsys).startswith(
        "vadlib: maam reads frames, and plaza-bags holds bags of features"
    )


def test_status_prints_every_number_as_json(home, capsys):
    run.reproduce(papers.experiment("frame-index-plaza-standard"), None, "cpu", quiet)
    capsys.readouterr()
    assert main(["status", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    keys = {
        "name",
        "method",
        "data",
        "profile",
        "protocol",
        "metric",
        "mean",
        "sd",
        "seeds",
        "stale",
    }
    assert rows and all(keys <= row.keys() for row in rows)
    assert main(["status"]) == 0
    assert "frame-index-plaza-standard" in capsys.readouterr().out


def test_fit_then_score_a_video_file(home, capsys, tmp_path):
    rng = np.random.default_rng(0)
    path = write(tmp_path / "clip.mp4", rng.integers(0, 255, (6, 48, 64, 3), dtype=np.uint8), 10)
    assert main(["fit", "maam", "--out", str(tmp_path / "m.pt"), "--device", "cpu"]) == 0
    out = tmp_path / "scores.csv"
    options = ["--checkpoint", str(tmp_path / "m.pt"), "--size", "48x64", "--out", str(out)]
    assert main(["score", "maam", str(path), *options, "--device", "cpu"]) == 0
    lines = out.read_text().splitlines()
    assert lines[0] == "video,frame,time,score,threshold,abnormal" and len(lines) == 1 + 5
    assert [row.split(",")[:2] for row in lines[1:]] == [["clip", str(t)] for t in range(5)]


@pytest.mark.parametrize("command", [[], ["data"], ["fit"], ["score"], ["reproduce"], ["status"]])
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0 and "usage: vadlib" in capsys.readouterr().out


def test_an_installed_library_without_a_repository_finds_the_records_that_came_with_it(
    home, monkeypatch
):
    run.reproduce(papers.experiment("frame-index-plaza-standard"), None, "cpu", quiet)
    installed = home / "share"
    (home / "data").rename(installed)
    monkeypatch.setattr(records, "INSTALLED", installed)
    assert [r["name"] for r in book.records()] == ["frame-index-plaza-standard"]
