"""Every paper owns its folder; here they are put together, a line for each.

A folder's `rows.py` holds METHODS (how each profile trains them) and ROWS (the experiments).
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
from functools import cache
from typing import Any

from vadlib.detector import Detector
from vadlib.errors import VadError
from vadlib.lab import eyechart
from vadlib.lab.experiment import Experiment, Method
from vadlib.lab.eyechart import Chart
from vadlib.lab.sets import PROFILES
from vadlib.papers import together

PAPERS = (
    "baselines",
    "maam",
    "msti",
    "mdsf",
    "local_patterns",
    "la_net",
    "attributes",
)


@cache
def methods() -> dict[str, Method]:
    """Every method by its name, baselines first."""
    return {m.name: m for rows in _rows() for m in rows.METHODS}


@cache
def experiments() -> dict[str, Experiment]:
    """Every experiment by its name: paper by paper, made of others' rows, and the eye charts."""
    own = {e.name: e for rows in _rows() for e in rows.ROWS}
    charts = [chart(name, sweep=sweep) for name in _able() for sweep in eyechart.SWEEPS]
    made = (*together.made_of(own), *charts)
    return own | {e.name: e for e in made}


def _able() -> list[str]:
    """Methods that score films, which a chart shows; the others score bags of features."""
    films = {e.method.name for rows in _rows() for e in rows.ROWS if not e.set.bags}
    return [name for name in methods() if name in films]


def worth() -> list[str]:
    """Experiments that a GPU is needed for, the most valuable first, as the papers' rows say it."""
    said = {name: rank for rows in _rows() for name, rank in getattr(rows, "WORTH", {}).items()}
    return sorted(said, key=lambda name: said[name])


def _rows() -> list[Any]:
    return [importlib.import_module(f"vadlib.papers.{paper}.rows") for paper in PAPERS]


def method(name: str) -> Method:
    """A method by its name. Raises VadError for an unknown one, naming those that exist."""
    if name not in methods():
        raise VadError(f"unknown method {name!r}", f"Use one of: {', '.join(methods())}.")
    return methods()[name]


def detector(name: str, **options: Any) -> Detector:
    """A detector by the name of its method, untrained.

    options  the arguments of the detector's class
    Raises VadError for an unknown name or option.
    """
    return method(name).make(**options)


def experiment(name: str, profile: str | None = None) -> Experiment:
    """An experiment by name; `profile` replaces the last part of the name.

    Raises VadError for an unknown one.
    """
    if profile is not None:
        head, _, last = name.rpartition("-")
        name = f"{head if last in PROFILES else name}-{profile}"
    if name not in experiments():
        near = ", ".join(difflib.get_close_matches(name, experiments(), 3)) or "none"
        raise VadError(
            f"there is no experiment {name!r}",
            f"Names that are like it: {near}. `vadlib status` lists those that have a record.",
        )
    return experiments()[name]


def chart(
    name: str, level: str = "clear", sweep: str = "kinds", profile: str = "standard"
) -> Chart:
    """The eye chart of a method, by its name.

    Raises VadError for an unknown name, level, sweep or profile, and for a method of bags, which
    cannot score films.
    """
    method_ = method(name)
    if name not in _able():
        raise VadError(
            f"{name} has no eye chart: it scores bags of features, and the chart shows films",
            f"These have one: {', '.join(_able())}.",
        )
    return eyechart.chart(method_, level, sweep, profile)


def claims_of(paper: str) -> list[Any]:
    """What a paper claims, from the `claims.py` of its folder; nothing where it has none."""
    return _claims(paper, "CLAIMS", [])


def tables_of(paper: str) -> dict[str, Any]:
    """A paper's printed tables, by their names in it."""
    return _claims(paper, "TABLES", {})


def equations_of(paper: str) -> list[Any]:
    """A paper's equations, each with its cells, its line and its test."""
    return _claims(paper, "EQUATIONS", [], "equations")


def deviations_of(paper: str) -> list[Any]:
    """Where the book does not do what a paper says, or chooses in its place."""
    return _claims(paper, "DEVIATIONS", [], "deviations")


def _claims(paper: str, what: str, none: Any, module: str = "claims") -> Any:
    if paper not in PAPERS:
        raise VadError(f"there is no paper {paper!r}", f"Use one of: {', '.join(PAPERS)}.")
    name = f"vadlib.papers.{paper}.{module}"
    if importlib.util.find_spec(name) is None:
        return none
    return getattr(importlib.import_module(name), what)
