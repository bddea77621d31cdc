"""Runs one chapter in a fresh kernel, or takes it from the cache of an equal run."""

from __future__ import annotations

import ast
import copy
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import psutil

from vadlib.data.store import digest
from vadlib.errors import VadError
from vadlib.lab.source import code_of

PROGRESS_BAR = re.compile(r"\d+%\|.*\|| \d+(it|s/it|it/s)\b.*\[|\[\d\d:\d\d<")


class ChapterFailed(Exception):
    """A cell raised, or the kernel died; the text names the chapter, the cell and the cause."""


@dataclass(frozen=True)
class Run:
    """One executed chapter: its notebook, what it cost, and whether it came from the cache."""

    notebook: nbformat.NotebookNode
    seconds: float
    peak_mb: float
    cached: bool


def read(path: Path) -> nbformat.NotebookNode:
    """The notebook at path. Raises VadError when it is missing or is not a notebook."""
    if not path.exists():
        raise VadError(f"{path} does not exist", "Restore it, or take it out of _toc.yml.")
    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:
        raise VadError(f"{path} is not a notebook ({error})", "Restore it from git.") from error


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The cells that run: code, and not empty."""
    return [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]


def parameters_cell(notebook: nbformat.NotebookNode, path: Path) -> nbformat.NotebookNode:
    """The one cell tagged `parameters`. Raises VadError where there is none, or more than one."""
    cells = [c for c in code_cells(notebook) if "parameters" in c.metadata.get("tags", [])]
    if len(cells) != 1:
        raise VadError(
            f"{path} has {len(cells)} cells tagged `parameters`",
            "A chapter has exactly one; see CONTRIBUTING.md.",
        )
    return cells[0]


def check_parameters(notebook: nbformat.NotebookNode, path: Path, parameters: dict) -> None:
    """Raises VadError for a parameter that the notebook does not have.

    Papermill itself only logs a warning, and then runs the notebook with its defaults.
    """
    try:
        body = ast.parse(parameters_cell(notebook, path).source).body
    except (SyntaxError, ValueError, RecursionError) as error:
        raise VadError(
            f"{path}: its cell tagged `parameters` is not Python ({error})", "Mend that cell."
        ) from error
    targets = [t for s in body if isinstance(s, ast.Assign) for t in s.targets]
    known = {t.id for t in targets if isinstance(t, ast.Name)}
    unknown = sorted(set(parameters) - known)
    if unknown:
        raise VadError(
            f"{path} has no parameter {', '.join(unknown)}",
            f"It has {', '.join(sorted(known))}.",
        )


def heeded(notebook: nbformat.NotebookNode, path: Path, parameters: dict) -> dict[str, Any]:
    """The parameters that a cell names; the others cannot change what a page shows."""
    given = parameters_cell(notebook, path)
    text = "\n".join(c.source for c in code_cells(notebook) if c is not given)
    return {k: v for k, v in parameters.items() if re.search(rf"\b{re.escape(k)}\b", text)}


def given(executed: nbformat.NotebookNode, parameters: dict) -> nbformat.NotebookNode:
    """An executed page, shown with these parameters, which change nothing else on it."""
    from papermill.translators import PythonTranslator

    for cell in executed.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.source = PythonTranslator.codify(parameters)
    executed.metadata["vadlib"]["parameters"] = parameters
    return executed


def surroundings(root: Path) -> str:
    """Hash of all that a chapter can see besides itself: library, environment, records, data."""
    runner = {"runner.py", "publish.py", "__main__.py"}
    library = [p for p in sorted((root / "vadlib").rglob("*.py")) if p.name not in runner]
    kept = [p for d in ("results", "checkpoints") for p in sorted((root / "data" / d).rglob("*"))]
    kept = [p for p in kept if p.is_file() and p.name != "chapters.json"]  # times are an output
    folder = Path(os.environ.get("VADLIB_DATA") or root / "data")
    own = {"cache", "results", "checkpoints"}
    sets = sorted(p.name for p in folder.glob("*/") if p.name not in own)
    pins = root / "requirements.txt"
    return digest(
        [(str(p.relative_to(root)), code_of(p)) for p in library],
        [(str(p.relative_to(root)), digest(p.read_bytes())) for p in kept],
        sets,
        pins.read_text() if pins.exists() else "",
    )


def run(
    path: Path,
    parameters: dict[str, Any],
    folder: Path,
    root: Path,
    around: str,
    fresh: bool = False,
    tick: Callable[[float], None] = lambda seconds: None,
) -> Run:
    """Execute the notebook at path, or take the cached run of equal code, data and parameters.

    parameters  values for the names in its `parameters` cell; a page that names none of them is
                the same for all
    folder      where executed notebooks are kept, one folder for each set of parameters, in one
    around      what `surroundings(root)` says
    tick        called every half second with the seconds since the start
    Raises VadError for unknown parameters, ChapterFailed when a cell raises.
    """
    source = read(path)
    check_parameters(source, path, parameters)
    cells = [(c.id, c.source, c.metadata) for c in code_cells(source)]
    key = digest(cells, around, heeded(source, path, parameters))
    kept = folder / path.name
    folder.mkdir(parents=True, exist_ok=True)
    for known in [] if fresh else [kept, *sorted(folder.parent.glob(f"*/{path.name}"))]:
        executed = read(known) if known.exists() else None
        stamp = executed.metadata["vadlib"] if executed else {}
        if executed and stamp["key"] == key:
            nbformat.write(given(executed, parameters), kept)
            return Run(executed, stamp["seconds"], stamp["peak_mb"], cached=True)
    partial = kept.with_suffix(".partial.ipynb")
    watch = Watch(tick)
    with watch:
        executed = execute(path, partial, parameters, root)
    check_complete(path, executed)
    stamp = {"key": key, "seconds": round(watch.seconds, 1), "peak_mb": round(watch.peak_mb)}
    executed.metadata["vadlib"] = stamp | {"parameters": parameters}
    nbformat.write(executed, partial)
    os.replace(partial, kept)  # whole or not at all
    return Run(executed, stamp["seconds"], stamp["peak_mb"], cached=False)


def execute(path: Path, partial: Path, parameters: dict, root: Path) -> nbformat.NotebookNode:
    """Papermill in a fresh kernel; the notebook so far is always in `partial`."""
    import papermill
    from nbclient.exceptions import DeadKernelError

    try:
        return papermill.execute_notebook(
            str(path),
            str(partial),
            parameters,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            iopub_timeout=120,  # seconds; a busy machine may be slow to say that a cell has ended
            extra_arguments=["--log-level=CRITICAL"],  # no advice on ports that are local
            cwd=str(root),
        )
    except papermill.PapermillExecutionError as error:
        trace = "\n".join(error.traceback) or f"{error.ename}: {error.evalue}"
        raise ChapterFailed(failure(path, error.source, trace)) from None
    except DeadKernelError:
        cells = read(partial).cells
        running = [c.source for c in cells if c.metadata.get("papermill", {}).get("start_time")]
        trace = "The kernel died. Most often memory ran out; it may also be a crash in native code."
        raise ChapterFailed(failure(path, running[-1] if running else "", trace)) from None


def check_complete(path: Path, executed: nbformat.NotebookNode) -> None:
    """Raises ChapterFailed when a cell did not run, or shows nothing where a figure belongs."""
    for cell in code_cells(executed):
        if cell.execution_count is None:
            raise ChapterFailed(failure(path, cell.source, "The cell was not executed."))
        shown = any(o.output_type in ("display_data", "execute_result") for o in cell.outputs)
        if cell.metadata.get("mystnb", {}).keys() & {"image", "figure"} and not shown:
            why = "The cell's metadata promise a figure, and it showed none."
            raise ChapterFailed(failure(path, cell.source, why))


def failure(path: Path, source: str, trace: str) -> str:
    """What to print about a failing cell: chapter, cell id, source, traceback."""
    ids = [c.id for c in read(path).cells if c.source == source]
    code = "\n".join(f"    {line}" for line in source.splitlines())
    return f"{path.stem}: cell `{ids[0] if ids else '?'}` failed\n\n{code}\n\n{trace}\n"


class Watch(threading.Thread):
    """Times what runs inside `with`, and follows the peak memory of this process's children."""

    def __init__(self, tick: Callable[[float], None]):
        super().__init__(daemon=True)
        self.tick, self.stopped = tick, threading.Event()
        self.seconds, self.peak_mb, self.started = 0.0, 0.0, time.monotonic()

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self.started
        self.stopped.set()
        self.join()

    def run(self) -> None:
        while not self.stopped.wait(0.5):
            total = 0
            for process in psutil.Process().children(recursive=True):
                try:
                    total += process.memory_info().rss
                except psutil.Error:  # it ended between the two calls
                    continue
            self.peak_mb = max(self.peak_mb, total / 2**20)
            self.tick(time.monotonic() - self.started)


def merge(source: nbformat.NotebookNode, executed: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The page: today's prose, with the outputs of the run, cell by cell id.

    The parameters cell shows the values that were used.
    """
    page = copy.deepcopy(source)
    page.metadata |= {"language_info": executed.metadata["language_info"]}
    outputs = {c.id: c for c in executed.cells if c.cell_type == "code"}
    values = [c for c in executed.cells if "injected-parameters" in c.metadata.get("tags", [])]
    for cell in page.cells:
        if cell.cell_type != "code" or cell.id not in outputs:
            continue
        cell.outputs = tidy(outputs[cell.id].outputs)
        cell.execution_count = outputs[cell.id].execution_count
        if values and "parameters" in cell.metadata.get("tags", []):
            cell.source = values[0].source.removeprefix("# Parameters\n").strip()
    return page


def tidy(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Outputs without what only makes sense while a cell runs: progress bars and live widgets."""
    kept: list[nbformat.NotebookNode] = []
    for output in copy.deepcopy(outputs):
        if output.output_type == "stream":
            lines = output.text.split("\n")
            lines = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in lines]
            bars = [bool(PROGRESS_BAR.search(line)) for line in lines]
            output.text = "\n".join(x for x, bar in zip(lines, bars, strict=True) if not bar)
            if not output.text.strip():
                continue
        elif "application/vnd.jupyter.widget-view+json" in output.get("data", {}):
            del output.data["application/vnd.jupyter.widget-view+json"]
            if "text/html" not in output.data:  # a progress bar; sliders bring their own HTML
                continue
        kept.append(output)
    return kept
