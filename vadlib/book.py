"""What only notebooks need: the profile, the box at the head, checks, and tables from records."""

from __future__ import annotations

import contextlib
import copy
import html
import io
import json
import platform
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import vadlib
from vadlib import data as datasets
from vadlib import papers
from vadlib.data.base import Video
from vadlib.data.schema import check as check_parameters
from vadlib.data.store import home
from vadlib.detector import History
from vadlib.errors import VadError
from vadlib.lab import gpu
from vadlib.lab import records as kept_records
from vadlib.lab import run as lab
from vadlib.lab.claims import WAITING, Claim, Difference, Value
from vadlib.lab.deviations import SILENT, value_of
from vadlib.lab.equations import line_of
from vadlib.lab.schema import Chapter
from vadlib.lab.sets import SIZES, load
from vadlib.lab.sight import by_kind
from vadlib.lab.sight import sight as look
from vadlib.lab.train import pick_device, pick_precision
from vadlib.measure.intervals import Interval
from vadlib.papers.baselines.rows import MORE, RULES

__all__ = [
    "Run",
    "box",
    "check",
    "claims_table",
    "compare",
    "cost",
    "deviations_table",
    "difference_text",
    "exercise",
    "ledger",
    "longer",
    "md",
    "printed_table",
    "protocol_card",
    "records",
    "records_table",
    "results",
    "seeds",
    "solution",
    "start",
    "train_or_load",
    "value_text",
]

PASS, FAIL, WAIT = "✓", "✗", "○"
# shown in percent
FRACTIONS = ("auc", "eer", "ap", "pixel auc", "rbdc", "tbdc", "memory used")


@dataclass(frozen=True)
class Run:
    """What a chapter runs on: profile, seed, device, data set, and (height, width) of a frame."""

    chapter: str
    profile: str
    seed: int
    device: str
    data: str
    size: tuple[int, int]

    def load(self, split: str = "train", **kw: Any) -> list[Video]:
        """The videos of "train" or "test"; kw as for `vadlib.data.load`, and wins over the profile.

        Raises VadError as `vadlib.data.load` does.
        """
        return load(self.data, self.profile, split, **kw)


def start(chapter: str, PROFILE: str = "smoke", SEED: int = 0, DEVICE: str = "auto") -> Run:
    """Seed everything, choose the data, and show what this chapter runs on.

    chapter  its name, e.g. "07_maam_net"
    PROFILE  "smoke" (Plaza), "standard" or "full" (UCSD Ped2; Plaza where it is missing)
    SEED     decides initial weights and order; the data are the same for every seed
    DEVICE   "auto", "cpu", "cuda", "cuda:1" or "mps"
    Raises VadError for an unknown profile, a seed that is no whole number, a missing device.
    """
    given = {"PROFILE": PROFILE, "SEED": SEED, "DEVICE": DEVICE}
    check_parameters(Chapter, given, f"the parameters of {chapter}", "Set it in the cell above.")
    device = pick_device(gpu.only(DEVICE))
    real = PROFILE != "smoke" and datasets.available("ped2")
    random.seed(SEED)
    np.random.seed(SEED % 2**32)
    torch.manual_seed(SEED)
    run = Run(chapter, PROFILE, SEED, device, "ped2" if real else "plaza", SIZES[PROFILE])
    _show_run(run)
    return run


def _show_run(run: Run) -> None:
    """The box at the head of a chapter: data, machine, versions, and what a run costs."""
    what = "UCSD Ped2" if run.data == "ped2" else "Plaza, the synthetic scene"
    height, width = run.size
    wanted = "auto" if run.profile in ("long", "full") else "float32"
    where = f"{torch.get_num_threads()} threads" if run.device == "cpu" else _gpu_name(run.device)
    facts = {
        "Data": f"{what}, {height} × {width} pixels",
        "Profile": f"{run.profile}, seed {run.seed}",
        "Machine": f"{run.device}, {where}",
        "Precision": f"trains in {pick_precision(wanted, run.device)}",
        "Versions": f"Python {platform.python_version()}, PyTorch {torch.__version__}, "
        f"vadlib {vadlib.__version__}",
        "Takes": cost(run.chapter) or "not measured yet",
    }
    box(facts | ({"Also passed": tried} if (tried := _tried()) else {}), title="At a glance")
    if run.profile != "smoke" and run.data != "ped2":
        md(
            f"**Notice.** The profile `{run.profile}` asks for UCSD Ped2, which is not on this "
            "machine, so Plaza runs instead: the numbers below are not Ped2's. `make data` "
            "downloads it; `VADLIB_DATA` names the folder where data sets are looked for."
        )


def _tried() -> str:
    """With which other versions chapters passed, and when; "" where the book is not at hand."""
    path = home() / "book" / "environments.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return "; ".join(
        f"with the {which} versions on {p['date']} (PyTorch {p['versions']['torch']}, chapters "
        f"{' and '.join(str(int(c[:2])) for c in p['chapters'])})"
        for which, p in sorted(found.items())
    )


def _gpu_name(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def chapter_times() -> dict[str, dict[str, dict[str, float]]]:
    """Chapter -> profile -> measured seconds, peak_mb, cores; as committed with the book."""
    path = kept_records.kept("results") / "chapters.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def cost(chapter: str) -> str:
    """What a run of a chapter cost when it was last measured, in words; "" when it never was."""
    times = chapter_times().get(chapter, {})
    return "; ".join(
        f"{profile} {_clock(t['seconds'])}, {t['peak_mb'] / 1024:.1f} GB, {t['cores']} cores"
        for profile, t in sorted(times.items(), key=lambda item: item[1]["seconds"])
    )


def _clock(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


# showing


def md(text: str) -> None:
    """Show Markdown that was made by code; plain text outside notebooks."""
    if _in_notebook():
        from IPython.display import Markdown, display

        display(Markdown(text.replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")))
    else:
        print(text)


def box(facts: dict[str, str], title: str = "") -> None:
    """Show a small framed table of facts; plain lines outside notebooks."""
    if not _in_notebook():
        print("\n".join([title] * bool(title) + [f"{k}: {v}" for k, v in facts.items()]))
        return
    from IPython.display import HTML, display

    cells = [(html.escape(k), html.escape(v)) for k, v in facts.items()]
    rows = "".join(f"<tr><th>{k}</th><td>{v}</td></tr>" for k, v in cells)
    head = f"<strong>{html.escape(title)}</strong>" if title else ""
    display(HTML(f'<div class="vad-box">{head}<table>{rows}</table></div>'))


def _in_notebook() -> bool:
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return False
    return get_ipython() is not None


# checks and exercises


def check(condition: Any, claim: str) -> None:
    """Print that a claim holds. Raises AssertionError(claim) when it does not."""
    if not bool(condition):
        raise AssertionError(claim)
    print(f"{PASS} {claim}")


Cases = Sequence[tuple[tuple, Any]]


def exercise(id: str, function: Callable, cases: Cases, hint: str = "", tol: float = 1e-6) -> bool:
    """Try the reader's function on cases, and say kindly what came out. Never raises.

    cases  (arguments, expected) pairs; numbers, arrays and tensors are compared within tol
    Returns whether every case agrees.
    """
    problem = _first_problem(function, cases, tol)
    if problem is None:
        print(f"{PASS} Exercise {id}: solved, all {len(cases)} cases agree")
    elif problem == "":
        print(f"{WAIT} Exercise {id}: not attempted yet")
    else:
        print(f"{FAIL} Exercise {id}: {problem}" + (f"\n  Hint: {hint}" if hint else ""))
    return problem is None


def solution(id: str, function: Callable, cases: Cases, tol: float = 1e-6) -> None:
    """Check the book's own solution. Raises AssertionError when a case disagrees."""
    problem = _first_problem(function, cases, tol)
    check(problem is None, f"the solution of exercise {id} passes its {len(cases)} cases")


def _first_problem(function: Callable, cases: Cases, tol: float) -> str | None:
    """None when all cases agree, "" when the function has not been written, else what is wrong."""
    silent: list[str] = []  # cases without an answer
    for arguments, expected in cases:
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                got = function(*copy.deepcopy(arguments))
        except Exception as error:
            return f"{_short(arguments)} raises {type(error).__name__}: {error}"
        if got is None or got is ...:
            if printed.getvalue():
                return f"on {_short(arguments)} it prints its answer: `return` it instead"
            silent.append(_short(arguments))
        elif not _same(got, expected, tol):
            return f"wrong on {_short(arguments)}: {_difference(got, expected, tol)}"
    if not silent:
        return None
    if len(silent) == len(cases):
        return ""
    return f"on {silent[0]} it returns nothing, on other cases it does: `return` on every path"


def _difference(got: Any, expected: Any, tol: float) -> str:
    """In what an answer differs, so that its maker can find the place."""
    plain = f"got {_short(got)}, expected {_short(expected)}"
    if isinstance(got, dict | str) or isinstance(expected, dict | str):
        return plain
    if isinstance(got, list | tuple) and isinstance(expected, list | tuple):
        if len(got) != len(expected):
            return f"got {len(got)} parts, expected {len(expected)}"
        if any(np.ndim(_array(part)) for part in expected if not isinstance(part, list | tuple)):
            parts = enumerate(zip(got, expected, strict=True))
            at = next(i for i, (g, e) in parts if not _same(g, e, tol))
            return f"part {at}: {_difference(got[at], expected[at], tol)}"
    try:
        a, b = _array(got), _array(expected)
    except ValueError:
        return plain
    if a.shape != b.shape:
        return f"got the shape {a.shape}, expected {b.shape}"
    if a.size <= 1 or a.dtype.kind not in "biufc" or b.dtype.kind not in "biufc":
        return plain
    apart = np.argwhere(~np.isclose(a, b, rtol=tol, atol=tol, equal_nan=True))
    if not len(apart):  # right numbers, but of another kind
        return plain
    at = tuple(int(n) for n in apart[0])
    place = at[0] if len(at) == 1 else at
    values = f"got {a[at]:.6g}, expected {b[at]:.6g}"
    return f"same shape, first difference at {place}: {values}"


def _same(got: Any, expected: Any, tol: float) -> bool:
    if isinstance(expected, dict) and isinstance(got, dict):
        same_keys = got.keys() == expected.keys()
        return same_keys and all(_same(got[k], expected[k], tol) for k in expected)
    if isinstance(expected, list | tuple) and isinstance(got, list | tuple):
        same_length = len(got) == len(expected)
        return same_length and all(_same(g, e, tol) for g, e in zip(got, expected, strict=True))
    try:
        a, b = _array(got), _array(expected)
    except ValueError:  # ragged lists against something else
        return False
    if a.dtype.kind not in "biufc" or b.dtype.kind not in "biufc":
        return type(got) is type(expected) and bool(got == expected)
    return a.shape == b.shape and np.allclose(a, b, rtol=tol, atol=tol, equal_nan=True)


def _array(value: Any) -> np.ndarray:
    tensor = isinstance(value, torch.Tensor)
    return value.detach().cpu().numpy() if tensor else np.asarray(value)


def _short(value: Any) -> str:
    """A value as a person would name it: small ones in full, arrays by their shape."""
    if isinstance(value, torch.Tensor | np.ndarray):
        small = value.size if isinstance(value, np.ndarray) else value.numel()
        return str(value.tolist()) if small <= 8 else f"an array of shape {tuple(value.shape)}"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_short, value)) + ")"
    text = f"{value:.6g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


# experiments and records


def train_or_load(
    name: str, seed: int = 0, device: str = "auto", say: Any = print
) -> tuple[Any, History]:
    """The trained detector of an experiment, by its name, and how its training went.

    As `vadlib.lab.run.train_or_load`. Raises VadError for an unknown name.
    """
    return lab.train_or_load(papers.experiment(name), seed, device, say)


def longer(method: str, model: Any, run: Run) -> Any:
    """The network that a page looks at: in smoke, whose training takes seconds, one trained longer.

    That is the committed network of the method on Plaza's level `clear`, the level that smoke films
    too; in other profiles it is `model`, as it came. Says which.
    Raises VadError where the checkpoint is missing.
    """
    if run.profile != "smoke":
        return model
    name, said = f"{method}-{CLEAR}", []
    other, history = lab.train_or_load(papers.experiment(name), 0, run.device, said.append)
    notices = " ".join(line for line in said if line.startswith("Notice"))
    md(
        f"**Which network.** The one above was trained before your eyes. From here on the page "
        f"looks at one that was trained for longer on the same scene: `{name}`, seed 0, "
        f"{history.samples:,} frames in {history.seconds / 60:.1f} minutes. "
        f"`vadlib reproduce {name}` made it; it lies in `data/checkpoints`. {notices}"
    )
    return other


def records() -> list[dict[str, Any]]:
    """All records, by name, each with "stale": made by, and not confirmed at, today's code.

    Raises VadError naming a file that is no record.
    """
    return kept_records.records(papers.experiments())


def results(**where: Any) -> list[dict[str, Any]]:
    """One flat dict for each number in the records: name, method, data, profile, protocol, ...

    where  keeps what matches: a value, or a list of values, for any of the keys
    """
    shared = ("name", "method", "data", "profile", "seeds", "stale")
    rows = [{k: r[k] for k in shared} | result for r in records() for result in r["results"]]
    wanted = {k: v if isinstance(v, list | tuple | set) else [v] for k, v in where.items()}
    return [row for row in rows if all(row.get(k) in v for k, v in wanted.items())]


def seeds(**where: Any) -> Any:
    """The `results` as a long table for seaborn, a row for each seed; where as for `results`.

    A DataFrame; "value" is the number that a seed came to, AUCs in percent, and "kind" the kind of
    anomaly where the metric is one of a kind.
    """
    import pandas as pd

    def kind_of(metric: str) -> str:  # "auc, motion" is of a kind, "pixel auc, 40 % rule" is not
        return metric.partition("auc, ")[2] if metric.startswith("auc, ") else ""

    rows = [
        {"name": row["name"], "method": row["method"], "term": row["term"], "seed": seed}
        | {"kind": kind_of(row["metric"]), "metric": row["metric"]}
        | {"value": 100 * value if row["metric"].split(",")[0] in FRACTIONS else value}
        for row in results(**where)
        for seed, value in zip(row["seeds"], row["values"], strict=True)
    ]
    return pd.DataFrame(rows, columns=["name", "method", "term", "seed", "kind", "metric", "value"])


def records_table(
    rows: Sequence[str] = ("name", "term"),
    columns: Sequence[str] = ("protocol", "metric"),
    caption: str = "",
    **where: Any,
) -> Any:
    """A table made from records only: mean ± sd over seeds, AUCs in percent; † marks stale ones.

    rows, columns  keys of `results`
    where          as for `results`, e.g. method="maam", data="ped2"
    Returns a pandas Styler; where no record matches, says so and returns None.
    """
    import pandas as pd

    found = results(**where)
    if not found:
        what = html.escape(", ".join(f"{k} {v}" for k, v in where.items())) or "anything"
        return md(f"There are no records yet for {what}; `make reproduce` makes them.")
    frame = pd.DataFrame([row | {"text": value_text(row)} for row in found])
    table = frame.pivot_table("text", list(rows), list(columns), "first", sort=False).fillna("")
    if table.index.nlevels == table.columns.nlevels == 1:  # one line of heads, not two
        table = table.rename_axis(index=None, columns=str(table.index.name))
    # names come from files: as text, never as markup
    note = "Rates in percent; mean ± standard deviation over seeds."
    note += " † made by older code." if any(row["stale"] for row in found) else ""
    shown = table.style.set_caption(html.escape(f"{caption} {note}".strip(), quote=False))
    shown = shown.format(escape="html").format_index(escape="html", axis=0)
    return shown.format_index(escape="html", axis=1)


def value_text(row: dict[str, Any]) -> str:
    """A result as tables print it: "96.1 ± 0.3", with † where it is stale.

    Measures of detection are in percent; anything else, such as a count, is printed as it is.
    """
    scale = 100 if row["metric"].split(",")[0] in FRACTIONS else 1
    spread = f" ± {scale * row['sd']:.1f}" if row["sd"] is not None else ""
    return f"{scale * row['mean']:.1f}{spread}{'†' if row['stale'] else ''}"


def claims_table(paper: str, only: Sequence[str] | None = None) -> None:
    """Show what became of a paper's claims: its sentence, the verdict, the evidence, what we ran.

    only  ids of claims; all of the paper's when None
    Raises VadError for an id that the paper's claims do not have.
    """
    known = [claim.id for claim in papers.claims_of(paper)]
    if unknown := sorted(set(only or ()) - set(known)):
        raise VadError(f"{paper} has no claim {unknown[0]!r}", f"Use: {', '.join(known)}.")
    rows, stale = [], _stale()
    for claim in papers.claims_of(paper):
        if only is None or claim.id in only:
            said, ran, evidence, verdict = _judged(claim, stale)
            rows.append((said, verdict, evidence, ran, claim.dated))
    # the verdict where it is seen without scrolling
    head = ("the paper says", "verdict", "evidence", "what we ran", "since")
    _table(head, rows, "What the paper claims, and what became of it")


def ledger(names: Mapping[str, str]) -> None:
    """Show every claim of every paper in one table, in which a reader can search.

    names  paper -> what the page calls it
    """
    rows, stale = [], _stale()
    for paper, name in names.items():
        for claim in papers.claims_of(paper):
            *what, verdict = _judged(claim, stale)
            seen = ", ".join(claim.records) or "–"
            rows.append((name, verdict, *what, seen, f"{claim.id}, {claim.dated}"))
    head = ("paper", "verdict", "it says", "what we ran", "evidence", "records", "name, since")
    _table(head, rows, "Every claim, and what became of it", find=("paper", "verdict"))


def _judged(claim: Claim, stale: set[str]) -> tuple[str, str, str, str]:
    """A claim as a table shows it: its sentence, what ran, the evidence, the verdict."""
    verdict, found = claim.judged()
    said = difference_text(found) if found else _evidence_text(claim.evidence, stale)
    return f"“{claim.sentence}” ({claim.place})", claim.scale, said, verdict


CLEAR = "plaza-clear-standard"  # what the records behind `sight` end in
# what can be seen there at all: by those who are told part of the scene's truth, or measure it
TOLD = {"told the truth": "oracle-truth", "told boxes": "oracle-boxes", "measured": "measured"}


def sight(method: str, terms: Mapping[str, str]) -> None:
    """Show what a method sees on Plaza at its level `clear`, kind by kind, and say it.

    terms  the name that the page gives it -> a term of the method's score; "score" is the whole
    Everything is from records: the method's, and those of the rules that learned nothing.
    """
    found = {r["name"]: r for r in records()}
    name = f"{method}-{CLEAR}"
    rules = [f"{rule}-{CLEAR}" for rule in (*RULES, *MORE)]
    known = [rule for rule in rules if rule in found]
    if name not in found or not known:
        md(f"No record on Plaza's level `clear` yet: `make reproduce NAME={name}`.")
        return
    seen = look(name, terms, known)
    rule = seen.rule.removesuffix(f"-{CLEAR}")
    told = {label: f"{row}-{CLEAR}" for label, row in TOLD.items()}
    bounds = {label: by_kind(record) for label, record in told.items() if record in found}
    columns = seen.columns | {f"best rule: {rule}": seen.rules} | bounds
    head = ["kind", *columns]
    rows = [
        [kind or "all", *(f"{100 * c[kind]:.1f}" for c in columns.values())] for kind in seen.kinds
    ]
    title = f"AUC in percent on Plaza, level clear: what {method} sees, from records"
    title += "; last, what is there to be seen, for who is told the scene's truth, or measures it"
    _table(head, rows, title if bounds else title.partition(";")[0])
    gap = difference_text(compare(name, seen.rule))
    many = f"{len(found[name]['seeds'])} seed{'s' * (len(found[name]['seeds']) > 1)}"
    listed = ", ".join(seen.seen) or "no kind"
    alone = f"; of these the rule does not see {', '.join(seen.gained)}" if seen.gained else ""
    md(
        f"**What it sees.** On Plaza at its level `clear` ({many}, profile `standard`) the method "
        f"finds {listed} with an AUC of 75 or better in one of its terms{alone}. Over all kinds "
        f"its score minus the best rule that learned nothing ({rule}): {gap}."
    )


def equations_table(paper: str) -> None:
    """Show where a paper's equations are: stated, run, computed, and tested.

    Raises VadError for an unknown paper.
    """
    package = Path(__file__).parent
    head = ("", "what it is", "stated", "run", "computed by", "test")
    rows = []
    for e in papers.equations_of(paper):
        file, _, name = e.code.partition(":")
        line = f"{name} (vadlib/{file}, line {line_of(package, e.code)})"
        rows.append((e.number, e.what, e.cell, e.check, line, e.test.replace(":", "::")))
    _table(head, rows, "Where each equation is")


def deviations_table(paper: str, chapter: str | None = None) -> None:
    """Show where the book deviates from a paper: its words, our choice, why, what it may change.

    chapter  only what this chapter lists, where a paper has two
    The values of a config are those of the profile `standard`, read from it; what is measured, in
    points of AUC, comes from records.
    """
    config = papers.method(paper.replace("_", "-")).config_of("standard")
    rows = []
    for d in papers.deviations_of(paper):
        if chapter in (None, d.chapter):
            says = d.says if d.says == SILENT else f"“{d.says}”"
            ours = [f"{k}: {value_of(config, k)}, not {v}" for k, v in d.fields.items()]
            found = [
                f"{m.first} − {m.second.removesuffix('-standard')}: {difference_text(m.interval())}"
                for m in d.measured
            ]
            does = d.does.rstrip(".") + (f" ({'; '.join(ours)})" if ours else "") + "."
            changes = "; ".join([d.changes.rstrip("."), *found]) + "."
            rows.append((f"{says} ({d.place})", f"{does} {d.why}", changes))
    head = ("the paper says", "we do, and why", "what it may change")
    title = "Deviations from the paper, and what they may change, in points of AUC"
    _table(head, rows, title, kind="vad-scroll vad-prose")


def printed_table(paper: str, name: str) -> None:
    """Show a table of a paper as printed, and our rows below it, marked as ours; † where stale.

    Raises VadError for a table that its claims.py does not have.
    """
    tables = papers.tables_of(paper)
    if name not in tables:
        raise VadError(f"{paper} has no {name!r} here", f"Use: {', '.join(tables) or 'none'}.")
    table = tables[name]
    rows = [(title, *cells) for title, cells in table.rows.items()]
    stale = _stale()
    for title, cells in table.ours.items():
        rows.append((f"ours: {title}", *(_evidence_text(cell, stale) for cell in cells)))
    _table(("", *table.columns), rows, f"{name} of the paper, as printed: {table.caption}")


def compare(first: str, second: str, **how: Any) -> Interval | None:
    """AUC of one record minus another's, by a paired bootstrap over videos; None without scores.

    how  the further fields of `vadlib.lab.claims.Difference`
    """
    return Difference(first, second, **how).interval()


def difference_text(found: Interval | None) -> str:
    """An interval in points: "+3.3 (+1.4 to +6.1)"; "not run yet" where there is none."""
    if found is None:
        return WAITING
    value, low, high = (100 * x for x in (found.value, found.low, found.high))
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"


def _stale() -> set[str]:
    """The records that older code has made."""
    return {record["name"] for record in records() if record["stale"]}


def _evidence_text(what: Any, stale: set[str]) -> str:
    if isinstance(what, Value):
        row = what.row()
        return value_text(row | {"stale": what.record in stale}) if row else "–"
    return what if isinstance(what, str) else "–"


def _table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    title: str,
    *,
    find: Sequence[str] = (),
    kind: str = "vad-scroll",
) -> None:
    """A table that scrolls where it does not fit; all text is escaped, $formulas$ are set.

    find  columns by whose values a page lets readers choose rows, besides a search for words
    kind  the classes of its style
    """
    if not _in_notebook():
        print("\n".join([title, *(" | ".join(row) for row in [head, *rows])]))
        return
    from IPython.display import HTML, display

    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{_formulas(c)}</{tag}>" for c in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    if any("†" in cell for row in rows for cell in row):
        title += " † made by older code."
    label = html.escape(title, quote=True)
    places = f' data-find="{" ".join(str(head.index(c)) for c in find)}"' if find else ""
    display(
        HTML(
            f'<div class="{kind}" tabindex="0" role="region" aria-label="{label}"{places}>'
            "<table>"
            f"<caption>{_formulas(title)}</caption><thead>{line(head, 'th')}</thead>"
            f"<tbody>{body}</tbody></table></div>"
        )
    )


def _formulas(text: str) -> str:
    """Text as HTML, with its $formulas$ as the pages' typesetter wants them, and its `code`."""
    mark = r'<span class="math notranslate nohighlight">\\(\1\\)</span>'
    text = re.sub(r"\$([^$]+)\$", mark, html.escape(text))
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text)


def protocol_card(name: str) -> None:
    """Show how the numbers of a record were made: its protocols, seeds, data, code and command.

    Raises VadError for a record that does not exist.
    """
    found = [record for record in records() if record["name"] == name]
    if not found:
        raise VadError(f"there is no record {name}", "`vadlib status` lists them.")
    record = found[0]
    facts = {
        protocol: ", ".join(f"{k.replace('_', ' ')}: {v}" for k, v in settings.items())
        for protocol, settings in record["protocols"].items()
    }
    facts["seeds"] = ", ".join(map(str, record["seeds"]))
    facts["made by"] = f"{record['command']} at commit {record['commit'][:10]}"
    facts["state"] = "stale: made by older code" if record["stale"] else "made by today's code"
    box(facts, title=f"How these numbers were made ({name})")
