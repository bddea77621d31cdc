"""A grid of runs: every seed once, whatever dies on the way, and records as of calm runs."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from vadlib import papers
from vadlib.__main__ import main
from vadlib.errors import VadError
from vadlib.lab import grid, lock, records, run, sets, unit, workers
from vadlib.lab.experiment import TrainConfig
from vadlib.papers.maam.rows import PROFILES

NAME, RULE = "maam-plaza-smoke", "random-plaza-standard"
# what every process of these tests begins with: rows small enough to be trained in a second
TINY = """
from vadlib.lab import sets
from vadlib.lab.experiment import TrainConfig
from vadlib.papers.maam.rows import PROFILES

for profile in ("smoke", "standard"):
    sets.PLAZA[profile] = {"train": (1, 40), "test": (2, 60)}
    sets.SIZES[profile] = (48, 64)
PROFILES["smoke"] = {"width": 2, "items": 10, "patch": (8, 6), "train": TrainConfig(epochs=EPOCHS)}
"""
CALM = {"created", "runs", "cost", "sha", "device"}  # of a record: what time and place decide
TIMED = {"train_s", "wall_s", "peak_mb", "cost", "files"}  # of its runs


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A repository of this test's own, small in this process and in all that it starts."""
    return make_home(tmp_path, monkeypatch, epochs=0.4)


def make_home(tmp_path, monkeypatch, epochs):
    monkeypatch.setenv("VADLIB_HOME", str(tmp_path))
    for profile in ("smoke", "standard"):
        monkeypatch.setitem(sets.PLAZA, profile, {"train": (1, 40), "test": (2, 60)})
        monkeypatch.setitem(sets.SIZES, profile, (48, 64))
    train = TrainConfig(epochs=epochs)
    small = {"width": 2, "items": 10, "patch": (8, 6), "train": train}
    monkeypatch.setitem(PROFILES, "smoke", small)
    site = tmp_path / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(TINY.replace("EPOCHS", repr(epochs)))
    root = Path(__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(root)]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


def quiet(*_):
    pass


def content(name):
    """What a record says, without what time and place decide."""
    record = records.read_record(records.results_folder() / f"{name}.json")
    runs = [{k: v for k, v in r.items() if k not in TIMED} for r in record["runs"]]
    return {k: v for k, v in record.items() if k not in CALM | {"path"}} | {"runs": runs}


def reproduce(*seeds, name=NAME):
    command = [sys.executable, "-m", "vadlib", "reproduce", name, "--device", "cpu", "--seed"]
    return subprocess.Popen([*command, *map(str, seeds)], stderr=subprocess.PIPE, text=True)


# ----------------------------------------------------------------------- one row, one seed, once


def test_two_seeds_of_a_row_that_end_at_once_are_both_in_its_record(home, monkeypatch):
    exp, met = papers.experiment(RULE), threading.Barrier(2)
    real = run.run_seed

    def together(*args):
        done = real(*args)
        met.wait(30)  # both have run before either writes
        return done

    monkeypatch.setattr(run, "run_seed", together)
    assert exp.stamp  # found before there are threads, which stand for processes here
    both = [threading.Thread(target=run.reproduce, args=(exp, [s], "cpu", quiet)) for s in (0, 1)]
    [t.start() for t in both]
    [t.join() for t in both]
    assert content(RULE)["seeds"] == [0, 1]


def test_one_row_and_seed_is_never_run_twice_at_once(home, monkeypatch):
    exp, running, most, ran = papers.experiment(RULE), [], [], []
    real = run.run_seed

    def watched(exp, seed, *rest):
        running.append(seed)
        most.append(len(running))
        ran.append(seed)
        time.sleep(0.3)
        done = real(exp, seed, *rest)
        running.remove(seed)
        return done

    monkeypatch.setattr(run, "run_seed", watched)
    said = []
    assert exp.stamp
    ask = (exp, [0], "cpu", said.append)
    both = [threading.Thread(target=run.reproduce, args=ask) for _ in range(2)]
    [t.start() for t in both]
    [t.join() for t in both]
    assert ran == [0] and max(most) == 1  # the second took what the first had recorded
    assert any("under way in another process" in line for line in said)
    run.reproduce(exp, [0], "cpu", quiet)  # but who asks for it later gets it anew
    assert ran == [0, 0]


def test_a_lock_is_let_go_when_its_process_is_killed(home):
    script = (
        "import time\nfrom vadlib.lab.lock import alone\n"
        "with alone('a row seed 0'):\n    print('in', flush=True)\n    time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "in\n"
    got = []

    def ask():
        with lock.alone("a row seed 0") as waited:
            got.append(waited)

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.2)
    assert not got
    other.kill()
    asking.join(10)
    other.wait()
    assert got == [True]


# ------------------------------------------------------------------------------------- the grid


SEEN = {}  # what the stand-ins below saw; they are found by their names, so that it is shared


def at_once(name, seed, device):
    unit._tell({"unit": [name, seed]})
    SEEN.setdefault("ran", []).append((name, seed, device))
    run.reproduce(papers.experiment(name), [seed], device, quiet)
    return {"host": "here", "seconds": 2.0, "failed": ""}


def half(name, seed, device):
    if seed == 1:
        return {"host": "here", "seconds": 0.1, "failed": "no disk space left for /data"}
    if seed == 2:  # as on a machine with another folder
        return {"host": "elsewhere", "seconds": 0.1, "failed": ""}
    return at_once(name, seed, device)


def slow(name, seed, device):
    from distributed import get_worker

    SEEN.setdefault("where", set()).add(get_worker().name)
    running = SEEN.setdefault("running", [])
    running.append(seed)
    SEEN["most"] = max(SEEN.get("most", 0), len(running))
    time.sleep(0.2)
    running.remove(seed)
    return {"host": "here", "seconds": 0.1, "failed": "tried"}


@pytest.fixture
def cluster():
    """Workers in this process: quick, and they see what a test has replaced."""
    distributed = pytest.importorskip("distributed")
    made = []
    SEEN.clear()

    def start(*resources):
        spec = {
            i: {"cls": distributed.Worker, "options": {"nthreads": 2, "resources": r}}
            for i, r in enumerate(resources)
        }
        options = {"protocol": "inproc://", "dashboard": False}
        made.append(
            distributed.SpecCluster(
                spec, {"cls": distributed.Scheduler, "options": options}, silence_logs=50
            )
        )
        made.append(distributed.Client(made[0], set_as_default=False))
        return made[1]

    yield start
    for part in reversed(made):
        part.close(timeout=2)


def test_rows_times_seeds_are_run_once_each_and_what_is_recorded_is_not(home, cluster, monkeypatch):
    said, exp = [], papers.experiment(RULE)
    monkeypatch.setattr(unit, "run", at_once)
    run.reproduce(exp, [1], "cpu", quiet)
    done = grid.run_grid([exp, exp], cluster({}), [0, 1, 2, 2], "cpu", said.append)
    assert sorted(SEEN["ran"]) == [(RULE, 0, "cpu"), (RULE, 2, "cpu")] and len(done.took) == 2
    assert content(RULE)["seeds"] == [0, 1, 2]
    assert said[0] == "1 of 3 runs are recorded already"
    assert said[-1].startswith("0 running; 0 of 2 to end")


def test_what_fails_is_one_line_and_does_not_stop_the_rest(home, cluster, monkeypatch, capsys):
    monkeypatch.setattr(unit, "run", half)
    client, said = cluster({}), []
    with pytest.raises(VadError) as caught:
        grid.run_grid([papers.experiment(RULE)], client, None, "cpu", said.append)
    assert "2 of 3 runs failed" in str(caught.value) and "\n" not in str(caught.value)
    assert content(RULE)["seeds"] == [0]
    assert f"{RULE}, seed 1 failed: no disk space left for /data" in said
    assert any("seed 2 failed: its record is not here: elsewhere" in line for line in said)


@pytest.mark.parametrize(
    "code,stderr,why",
    [
        (2, "a bar\nvadlib: ped2 is missing. Run make data.\n", "ped2 is missing. Run make data."),
        (1, "Traceback\n  File x\nKeyError: 'a'\n\n", "KeyError: 'a'"),
        (-9, "", "it was ended by signal 9"),
        (3, "", "it ended with exit code 3"),
    ],
)
def test_a_run_that_failed_says_why_in_a_line(home, code, stderr, why):
    assert unit.reason(code, stderr) == why


def test_a_full_disk_is_named(home, monkeypatch):
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr(unit.shutil, "disk_usage", lambda folder: usage)
    assert unit.reason(1, "RuntimeError: file write failed") == f"no disk space left for {home}"


def test_a_failing_run_is_a_failure_of_its_process_too(home, monkeypatch):
    monkeypatch.setattr(unit, "_tell", quiet)  # no worker listens
    went = unit.run("maam-nonesuch", 0, "cpu")
    assert went["failed"].startswith("there is no experiment 'maam-nonesuch'")


def test_slots_of_a_gpu_are_taken_one_at_a_time_and_by_nothing_without(home, cluster, monkeypatch):
    monkeypatch.setattr(unit, "run", slow)
    client, exp = cluster({}, {"GPU": 1}), papers.experiment(RULE)
    for device in ("cuda", "auto"):
        with pytest.raises(VadError, match="3 of 3 runs failed"):
            grid.run_grid([exp], client, [0, 1, 2], device, quiet)
    assert SEEN["where"] == {1} and SEEN["most"] == 1  # two threads, but one GPU
    with pytest.raises(VadError, match="3 of 3 runs failed"):
        grid.run_grid([exp], client, [0, 1, 2], "cpu", quiet)
    assert SEEN["most"] > 1


def test_without_a_gpu_cuda_is_an_error(home, cluster):
    with pytest.raises(VadError, match="no worker offers a GPU"):
        grid.run_grid([papers.experiment(RULE)], cluster({}), [0], "cuda", quiet)


def test_a_scheduler_of_ones_own_that_dies_ends_the_grid(home, capsys):
    """On two machines: a scheduler and a worker that somebody started, and `--scheduler`."""
    dask, file = [sys.executable, "-m", "distributed.cli.dask_"], home / "scheduler.json"
    calm = ["--scheduler-file", str(file), "--no-dashboard"]
    scheduler = subprocess.Popen(
        [*dask[:2], dask[2] + "scheduler", *calm, "--host", "127.0.0.1", "--port", "0"],
        stderr=subprocess.DEVNULL,
    )
    worker = subprocess.Popen(
        [*dask[:2], dask[2] + "worker", *calm, "--nthreads", "1", "--no-nanny"],
        stderr=subprocess.DEVNULL,
    )
    try:
        while not file.exists() or not file.read_text():
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        said = []

        def say(text):
            said.append(text)
            if "1 running" in text:
                scheduler.kill()

        with (
            pytest.raises(VadError, match="the scheduler is gone"),
            workers.connect(address) as client,
        ):
            grid.run_grid([papers.experiment(NAME)], client, [0], "auto", say)
        assert scheduler.wait(1) == -signal.SIGKILL
    finally:
        for process in (scheduler, worker):
            process.kill()
            process.wait()


def test_mistakes_are_one_line_and_exit_code_2(home, monkeypatch, capsys):
    monkeypatch.setattr(workers, "PATIENCE", 1)
    for arguments, says in (
        (["maam-ped9-smoke"], "no experiment 'maam-ped9-smoke'"),
        ([RULE, "nonesuch"], "no experiment 'nonesuch'"),
        ([RULE, "--scheduler", "tcp://127.0.0.1:9"], "no scheduler answers at tcp://127.0.0.1:9"),
        ([RULE, "--scheduler", "nonsense"], "no scheduler answers at nonsense"),
        ([RULE, "--slurm", "1", "--device", "cpu"], "Slurm is not to be had here"),
    ):
        assert main(["grid", *arguments]) == 2
        told = capsys.readouterr().err.strip()
        assert says in told and len(told.splitlines()) == 1 and told.startswith("vadlib: ")


def test_progress_says_what_runs_what_is_left_and_how_long():
    units = [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    p = grid.Progress(units, 2)
    assert p.line(0) == "0 running; 4 of 4 to end; time left unknown"
    p.began = {("a", 0): 0.0, ("b", 0): 0.0}
    p.expected = {"a": 100.0, "b": 300.0}
    # (100 - 60) + 100 + (300 - 60) + 300 = 680 s of work for two
    assert p.seconds_left(60) == 340
    assert p.line(60) == "2 running: a s0 (60 s), b s0 (60 s); 4 of 4 to end; about 6 min left"
    p.took, p.failed = {("a", 0): 200.0}, {("b", 1): "why"}
    # a takes 200 s today, whatever its record says: 200 and 300 - 60, side by side
    assert p.seconds_left(60) == 240 and ", 1 failed" in p.line(60)
    assert p.left == [("a", 1), ("b", 0)] and p.running == [("b", 0)]
    assert p.seconds_left(1000) == 200  # late is not less than nothing


@pytest.mark.parametrize(
    "seconds,said", [(-1, "0 s"), (60, "60 s"), (600, "10 min"), (9000, "2.5 h")]
)
def test_clock(seconds, said):
    assert grid.clock(seconds) == said


def test_a_worker_killed_in_mid_run_costs_only_its_time(tmp_path, monkeypatch):
    calm, rough = tmp_path / "calm", tmp_path / "rough"
    for folder in (calm, rough):
        folder.mkdir()
        make_home(folder, monkeypatch, epochs=4)
        monkeypatch.setenv("VADLIB_CACHE", str(folder / "cache"))
        if folder is calm:
            run.reproduce(papers.experiment(NAME), [0], "cpu", quiet)
            undisturbed = content(NAME)
    killed = []
    with workers.connect(workers=1, gpus=0) as client:

        def say(text):
            if "1 running" in text and not killed:
                (worker,) = client.run(os.getpid).values()
                (child,) = psutil.Process(worker).children()
                deadline = time.monotonic() + 60  # in mid-run: it has taken its lock
                while not list((rough / "data" / "locks").glob("*seed*")):
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
                os.kill(worker, signal.SIGKILL)
                killed.append(child)

        done = grid.run_grid([papers.experiment(NAME)], client, [0], "cpu", say)
    assert killed and len(done.took) == 1
    assert content(NAME) == undisturbed
    assert not killed[0].is_running()  # the run did not live on without its worker


def test_workers_come_as_jobs(home):
    """Slurm's part is played by submitit's own executor for one machine."""
    pytest.importorskip("submitit")
    jobs = {"count": 1, "folder": home / "jobs", "cluster": "local", "timeout_min": 2}
    with workers.connect(jobs=jobs) as client:
        client.wait_for_workers(1, timeout=240)
        (where,) = client.run(lambda: os.environ["SUBMITIT_EXECUTOR"]).values()
        assert where == "local"
        assert client.submit(sum, [1, 2]).result(timeout=240) == 3
