"""The command line: `vadlib` and data, fit, score, watch, reproduce, grid, status, and others."""

from __future__ import annotations

import argparse
import csv
import errno
import json
import os
import shlex
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vadlib.errors import VadError, VadNotice, writing

# Threads that wait for each other by spinning are 5 to 20 times slower than one thread where other
# work runs beside them. It must be said before PyTorch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def main(argv: list[str] | None = None) -> int:
    """Run a command; 0 when it did its work, 2 with one line on what to mend when it could not."""
    options = parser().parse_args(argv)
    options.said = sys.argv[1:] if argv is None else argv
    if os.environ.get("VADLIB_FOLLOW"):  # a grid's run ends with the worker that started it
        from vadlib.lab.unit import follow_parent

        follow_parent()
    try:
        with notices():
            settled(options)
            options.run(options)
    except VadError as error:
        print(f"vadlib: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `vadlib status | head`
        sys.stderr.close()
    return 0


@contextmanager
def notices() -> Iterator[None]:
    """What the library warns of, as a line of ours; other warnings as Python shows them."""
    with warnings.catch_warnings():
        plain = warnings.showwarning

        def told(message: Warning | str, kind: type[Warning], *place: Any) -> None:
            if issubclass(kind, VadNotice):
                print(f"vadlib: {message}", file=sys.stderr)
            else:
                plain(message, kind, *place)

        warnings.showwarning = told
        yield


def settled(options: argparse.Namespace) -> None:
    """Raises VadError for what no command can use, before anything is loaded, trained or lost."""
    given = {k: v for k, v in vars(options).items() if v is not None}
    if given := {k: given[k] for k in ("profile", "seed", "device", "epochs") if k in given}:
        from vadlib.data.schema import check
        from vadlib.lab.schema import Settings

        check(Settings, given, "the command line", "`vadlib COMMAND --help` says what it takes.")
    if "device" in given:
        from vadlib.lab import gpu

        options.device = gpu.only(options.device)
    for name in ("out", "report", "overlay", "csv"):
        out = getattr(options, name, None)
        if out is None:
            continue
        with writing(out, f"Give --{name} a file in a folder that you may write to."):
            if out.is_dir():
                raise IsADirectoryError(errno.EISDIR, "it is a folder")
            out.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=out.parent):  # else it would be told after hours
                pass


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser("vadlib", description="Video anomaly detection, reproduced.")
    commands = top.add_subparsers(required=True, metavar="command")

    def command(name: str, run, help: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=help, description=help)
        made.set_defaults(run=run)
        return made

    one = command("data", data, "download data sets, or list what is here")
    one.add_argument("names", nargs="*", default=["ped2"], help="which; ped2 when none is named")
    one.add_argument("--list", action="store_true", help="list what is here, download nothing")

    one = command("fit", fit, "train a method, or set a rule's threshold, and keep its checkpoint")
    one.add_argument("method")
    one.add_argument(
        "--data", default="plaza", help="plaza, ped2, ..., or a folder of films of normal footage"
    )
    _common(one)
    one.add_argument("--folder", type=Path, help="keep progress here, and resume from it")
    one.add_argument("--out", type=Path, required=True, help="the checkpoint to write")
    one.add_argument("--epochs", type=float, help="other than the profile's")

    one = command("score", score, "score video files frame by frame")
    one.add_argument("method")
    one.add_argument("videos", nargs="+", type=Path, help="video files")
    one.add_argument("--checkpoint", type=Path, help="made by `vadlib fit`; rules need none")
    one.add_argument("--size", type=_size, help="HEIGHTxWIDTH; the checkpoint's, or 128x192")
    one.add_argument(
        "--normal",
        nargs="+",
        type=Path,
        default=[],
        help="films of normal footage: a frame is called abnormal where its score lies above 99 of "
        "100 of theirs; the training videos' are taken where a checkpoint knows them",
    )
    one.add_argument(
        "--cache", action="store_true", help="keep frames and flow; needs memory for a whole film"
    )
    one.add_argument("--device", default="auto")
    one.add_argument("--out", type=Path, help="a CSV file; standard output when not given")

    one = command("watch", watch, "watch a film or a camera: alarms, a report, a film with scores")
    one.add_argument("source", help="a video file, an address such as rtsp://..., or - for a pipe")
    one.add_argument("--method", help="the checkpoint's; zero-flow when neither is given")
    one.add_argument("--checkpoint", type=Path, help="made by `vadlib fit`; rules need none")
    one.add_argument("--size", type=_size, help="HEIGHTxWIDTH; the checkpoint's, or 128x192")
    one.add_argument(
        "--normal",
        nargs="+",
        type=Path,
        default=[],
        help="films in which nothing happens, other than those of the training: they set the "
        "threshold; without them no alarm is raised",
    )
    one.add_argument(
        "--alarms-an-hour",
        type=float,
        default=2.0,
        help="false alarms an hour to be expected where nothing happens; 2 when not given",
    )
    one.add_argument(
        "--quiet", type=float, default=10.0, help="seconds that part one alarm from the next; 10"
    )
    one.add_argument("--report", type=Path, help="an HTML page with the most suspicious moments")
    one.add_argument("--overlay", type=Path, help="a film with heat and scores: .mp4, .mkv, .mov")
    one.add_argument("--csv", type=Path, help="a row for each frame, as `vadlib score` writes")
    one.add_argument(
        "--tries", type=int, default=5, help="to have a lost stream again; 5 (31 s); -1: for ever"
    )
    one.add_argument("--minutes", type=float, default=float("inf"), help="end after so many")
    one.add_argument("--device", default="auto")

    one = command("reproduce", reproduce, "run an experiment, and write or confirm its record")
    one.add_argument("name", help="an experiment, such as maam-ped2-standard")
    one.add_argument("--profile", help="in place of the last part of the name")
    one.add_argument("--seed", type=int, nargs="+", help="the experiment's own when not given")
    one.add_argument("--device", default="auto")
    one.add_argument(
        "--confirm", action="store_true", help="run one seed; mark the record if it agrees"
    )

    one = command("grid", grid, "run rows times seeds, on this machine's cores or on many machines")
    one.add_argument("names", nargs="+", metavar="name", help="experiments")
    one.add_argument("--profile", help="in place of the last part of each name")
    one.add_argument("--seeds", type=int, nargs="+", help="each row's own when not given")
    one.add_argument("--device", default="auto", help="auto, cpu or cuda")
    one.add_argument("--scheduler", help="address of a Dask scheduler; one is started if not given")
    one.add_argument("--workers", type=int, help="runs at once on this machine; as many as cores")
    one.add_argument("--slurm", type=int, metavar="JOBS", help="workers as so many jobs of Slurm")
    one.add_argument("--partition", help="of Slurm")
    one.add_argument("--hours", type=float, default=12, help="that a job of Slurm may take")

    one = command("gpu-day", gpu_day, "spend a short time on a GPU on the rows that are worth most")
    one.add_argument("--minutes", type=float, default=28)
    one.add_argument("--device", default="cuda", help="cuda; cpu for a dry run")
    one.add_argument("--out", type=Path, help="a folder for what leaves the machine, 64 MB at most")

    one = command("status", status, "list the records: what was measured, and what is stale")
    one.add_argument("--json", action="store_true", help="every number, as JSON")

    one = command("eyechart", eyechart, "how large an anomaly must be for a method to see it")
    one.add_argument("methods", nargs="+", metavar="METHOD")
    one.add_argument("--kind", nargs="+", default=[], help="some kinds, or conditions, alone")
    one.add_argument("--twins", action="store_true", help="against the same films at effect 0")
    one.add_argument("--level", default="clear", help="of Plaza: clear or busy")
    one.add_argument("--sweep", default="kinds", help="kinds, or conditions: what a method bears")
    one.add_argument("--profile", default="standard", help="smoke, standard or full")
    one.add_argument("--seed", type=int, help="the first when not given")
    one.add_argument("--device", default="auto")

    one = command("new", new, "lay out a new paper: its folder, its test, its chapter")
    one.add_argument("name", help="of its folder in vadlib/papers, such as maam")
    return top


def _common(one: argparse.ArgumentParser) -> None:
    one.add_argument("--profile", default="smoke", help="smoke, standard or full")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")


def _size(text: str) -> tuple[int, int]:
    try:
        height, width = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not HEIGHTxWIDTH") from None
    if not (0 < height <= 8192 and 0 < width <= 8192):
        raise argparse.ArgumentTypeError(f"{text!r}: a side has 1 to 8192 pixels")
    return height, width


def data(options: argparse.Namespace) -> None:
    from vadlib.data import NAMES, available, fetch

    if options.list:
        for name in NAMES:
            print(f"{name:14} {'here' if available(name) else 'not here'}")
        return
    for name in options.names:
        print(f"{name}: {fetch.fetch(name)}")


def fit(options: argparse.Namespace) -> None:
    from dataclasses import replace

    from vadlib import papers
    from vadlib.lab.experiment import Experiment

    method, overrides = papers.method(options.method), {}
    if not method.trained:
        _rule_with_a_threshold(method.name, options)
    if options.epochs is not None:
        train = method.config_of(options.profile).train
        overrides["train"] = replace(train, epochs=options.epochs)
    exp = Experiment(f"{method.name}-fit", method, options.data, options.profile, config=overrides)
    from vadlib.lab import films
    from vadlib.lab.checkpoints import save_checkpoint

    model: Any = exp.detector(options.seed, options.device)
    videos = exp.load("train")
    if hasattr(videos[0], "features") and any(
        e.method is method and not e.set.bags for e in papers.experiments().values()
    ):
        raise VadError(
            f"{method.name} reads frames, and {options.data} holds bags of features",
            "Give --data with films: plaza, ped2, or a folder.",
        )
    history = model.fit(videos, **({"folder": options.folder} if method.trained else {}))
    normal = [v for v in videos if getattr(v, "label", 0) == 0]  # bags may be abnormal
    usual: dict[str, Any] = {"threshold": films.threshold(model.score(v).frame for v in normal)}
    if not exp.set.bags:
        usual["size"] = videos[0].size
    save_checkpoint(options.out, model, exp.name, exp.stamp, "", history, **usual)
    limit, learned = usual["threshold"], f"{history.samples} frames in {history.seconds:.0f} s"
    print(f"{options.out}: {learned if method.trained else f'a threshold of {limit:.6g}'}")


def _rule_with_a_threshold(name: str, options: argparse.Namespace) -> None:
    """Raises VadError for what a rule cannot use: all that is measured is what is normal to it."""
    from vadlib.papers.baselines.rows import IMAGES

    if name in IMAGES:
        way = f"vadlib watch FILM --method {name} --normal FILMS"
        raise VadError(f"{name} learns an image of one scene", f"`{way}` shows it one.")
    for option in ("epochs", "folder"):
        if getattr(options, option) is not None:
            raise VadError(f"{name} is a rule, and not trained", f"Leave out --{option}.")


def score(options: argparse.Namespace) -> None:
    from vadlib import papers

    method, limit, usual = papers.method(options.method), None, None
    from vadlib.data import footage
    from vadlib.data.store import whole
    from vadlib.lab import films
    from vadlib.lab.checkpoints import from_checkpoint, usual_of

    names = footage.names(options.videos)
    if method.trained and options.checkpoint is None:
        raise VadError(f"{method.name} needs --checkpoint", "Make one with `vadlib fit`.")
    if options.checkpoint is None:
        model = method.make()
    else:
        model = from_checkpoint(method, options.checkpoint, options.device)
        limit, usual = usual_of(options.checkpoint)
    size = options.size or usual or (128, 192)
    if size != usual:
        limit = None  # it was measured at another size
    if options.normal:
        parts = (films.score(model, path, size, options.cache) for path in options.normal)
        limit = films.threshold(scores.frame for part in parts for scores, _ in part)

    def write(out: Any) -> None:
        table, head = csv.writer(out), [films.COLUMNS]
        for name, path in zip(names, options.videos, strict=True):
            parts = films.score(model, path, size, options.cache)
            for row in films.rows(name, parts, limit):
                table.writerows([*head, row])  # the head with the first row: a film may be refused
                head = []

    if options.out is None:
        write(sys.stdout)
        return
    with whole(options.out) as part, part.open("w", newline="") as out:
        write(out)


def watch(options: argparse.Namespace) -> None:
    from vadlib import papers

    if options.method:
        papers.method(options.method)  # a wrong name, or path, is told before anything is loaded
    for name in ("alarms_an_hour", "quiet", "minutes"):
        if not getattr(options, name) > 0:  # nor is NaN
            option = "--" + name.replace("_", "-")
            raise VadError(f"{option} is {getattr(options, name)}", "Give a number above zero.")
    stream = options.source == "-" or "://" in options.source
    if not stream and not Path(options.source).exists():
        raise VadError(f"{options.source} does not exist", "Check the path.")
    outputs = [p.resolve() for p in (options.report, options.overlay, options.csv) if p]
    inputs = [p.resolve() for p in (Path(options.source), *options.normal)]
    if len({*outputs, *inputs}) < len(outputs) + len(set(inputs)):
        raise VadError("two files of this command are one", "Give each its own name.")
    from vadlib.data.live import shown
    from vadlib.data.store import fingerprint
    from vadlib.lab.checkpoints import from_checkpoint, made_by, usual_of
    from vadlib.lab.watch import watch
    from vadlib.papers.baselines.rows import IMAGES

    facts = {"command": shlex.join(["vadlib", *(shown(word) for word in options.said)])}
    name, usual = options.method or "zero-flow", None
    if options.checkpoint:
        name = options.method or made_by(options.checkpoint, papers.methods())
        _, usual = usual_of(options.checkpoint)
        facts["checkpoint"] = f"{options.checkpoint.name}, {fingerprint([options.checkpoint])}"
    method = papers.method(name)
    if method.trained and not options.checkpoint:
        raise VadError(f"{name} needs --checkpoint", "Make one with `vadlib fit`.")
    if name in IMAGES and not options.normal:
        raise VadError(f"{name} learns an image of the scene", "Give --normal footage of it.")
    kept, device = options.checkpoint, options.device
    model = from_checkpoint(method, kept, device) if kept else method.make()
    with _ended_as_by_ctrl_c():
        seen = watch(
            model,
            options.source,
            options.size or usual or (128, 192),
            options.normal,
            options.alarms_an_hour,
            options.quiet,
            options.report,
            options.overlay,
            options.csv,
            options.minutes,
            name in IMAGES,
            options.tries,
            facts,
            lambda text: print(text, flush=True),
        )
    for line in (seen.words, *([seen.normal.promise.words] if seen.normal else []), *seen.warnings):
        print(line)


@contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """SIGTERM, by which services and containers are ended, is taken for Ctrl-C meanwhile."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def reproduce(options: argparse.Namespace) -> None:
    from vadlib import papers

    exp = papers.experiment(options.name, options.profile)
    from vadlib.lab import run  # PyTorch takes seconds to load: a wrong name is told at once

    if options.confirm:
        seed = options.seed[0] if options.seed else exp.seeds[0]
        run.confirm(exp, seed, options.device)
        print(f"{exp.name}: seed {seed} agrees; the record is confirmed at today's code")
        return
    record = run.reproduce(exp, options.seed, options.device)
    for row in record["results"]:
        spread = f" ± {100 * row['sd']:.1f}" if row["sd"] is not None else ""
        value = f"{100 * row['mean']:.1f}{spread}"
        print(f"{row['protocol']:18} {row['metric']:22} {row['term']:10} {value}")


def grid(options: argparse.Namespace) -> None:
    from vadlib import papers
    from vadlib.data.store import cache_root
    from vadlib.lab import grid as lab
    from vadlib.lab.workers import connect

    rows = [papers.experiment(name, options.profile) for name in options.names]
    jobs: dict[str, Any] | None = None
    if options.slurm is not None:
        jobs = {"count": options.slurm, "folder": cache_root() / "slurm"}
        jobs |= {"gpu": options.device == "cuda", "timeout_min": round(60 * options.hours)}
        jobs |= {"slurm_partition": options.partition} if options.partition else {}
    gpus = 0 if options.device == "cpu" else None
    with connect(options.scheduler, options.workers, gpus, jobs) as client:
        done = lab.run_grid(rows, client, options.seeds, options.device)
    print(f"{len(done.took)} runs are recorded")


def gpu_day(options: argparse.Namespace) -> None:
    from vadlib import papers
    from vadlib.lab.gpu_day import spend
    from vadlib.lab.train import pick_device

    device = pick_device(options.device)
    rows = [papers.experiment(name) for name in papers.worth()]
    day = spend(rows, options.minutes, device, options.out)
    cut = f"; {day.cut[0]}, seed {day.cut[1]}, goes on next time" if day.cut else ""
    print(f"{len(day.ended)} runs are recorded{cut}; {day.left} wait")


def status(options: argparse.Namespace) -> None:
    from vadlib import papers
    from vadlib.lab.records import is_headline, records

    found = records(papers.experiments())
    if options.json:
        shared = ("name", "method", "data", "profile", "seeds", "stale")
        rows = [{k: r[k] for k in shared} | result for r in found for result in r["results"]]
        print(json.dumps(rows, indent=1))
        return
    if not found:
        print("No records yet. The experiments are:", *papers.experiments(), sep="\n  ")
    for record in found:
        best = next(r for r in record["results"] if is_headline(r))
        seeds = f"{len(record['seeds'])} seed{'s' * (len(record['seeds']) > 1)}"
        state = "stale" if record["stale"] else "current"
        print(f"{record['name']:32} {100 * best['mean']:5.1f}  {seeds:8} {state}")


def eyechart(options: argparse.Namespace) -> None:
    from vadlib import papers
    from vadlib.lab import eyechart, run
    from vadlib.lab.records import records
    from vadlib.measure.threshold import threshold

    charts = [
        papers.chart(name, options.level, options.sweep, options.profile)
        for name in options.methods
    ]
    eyechart.known_dials(options.sweep, options.kind)  # before anything takes long
    for chart in charts:
        seed = chart.seeds[0] if options.seed is None else options.seed
        current = [r for r in records({chart.name: chart}) if r["name"] == chart.name]
        if not any(seed in r["seeds"] and not r["stale"] for r in current):
            run.reproduce(chart, [seed], options.device, lambda text: print(text, file=sys.stderr))
        for curve in eyechart.curves(chart, seed, options.kind, twins=options.twins):
            found = threshold(curve, eyechart.falls(curve))
            aucs = " ".join(f"{100 * value:3.0f}" for value in curve.values)
            print(f"{chart.method.name:16} {curve.dial:12} {found.words:32} AUC {aucs}")


def new(options: argparse.Namespace) -> None:
    from vadlib.press.new import new

    root = Path.cwd()
    for path in new(options.name, root):
        print(path.relative_to(root))


if __name__ == "__main__":
    sys.exit(main())
