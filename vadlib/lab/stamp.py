"""What decides a number: the definitions behind it, reduced to what can change it, and its config.

Only what is used counts: a new class beside the one that made a number leaves the number alone. Nor
does it matter where a definition lives or how it is imported, only what it says and what it uses:
a definition's hash is made of its own text, in which names of this package are written without
their modules, and of the hashes of what they stand for. The source is read, never run. A module
that is handed on as a whole counts with all that it imports: doubt adds code. A definition is taken
to do no more than define; any other statement always counts, in every module imported on the way.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

from vadlib.data.store import digest
from vadlib.errors import VadError
from vadlib.lab.source import Names, Source, Span, Statement, Use, file_of, source_of

ROUNDS = 16  # how far a hash looks along uses of uses; chains of this package end long before


def stamp(roots: Iterable[str], config: Any, beyond: Iterable[str] = ()) -> str:
    """One hash of the code behind `roots` and of a config that JSON can hold.

    roots   modules ("vadlib.lab.train", all that it defines), names ("vadlib.lab.run:trial")
    beyond  names at which following stops: what they choose is among the roots, or in the config
    Raises VadError for a root that does not exist.
    """
    return digest(sorted(code_behind(roots, beyond).values()), config)


def code_behind(roots: Iterable[str], beyond: Iterable[str] = ()) -> dict[str, str]:
    """What `roots` use of their own package: "module:name" of each statement -> its hash."""
    roots, beyond = tuple(roots), tuple(beyond)
    packages = sorted({root.partition(":")[0].partition(".")[0] for root in roots})
    return dict(_code_behind(roots, beyond, tuple(_state(package) for package in packages)))


def _state(package: str) -> tuple[tuple[str, int], ...]:
    """The files of a package, each with its time of change."""
    top = file_of(package)
    files = [str(top)] if top else []
    if top and top.name == "__init__.py":
        found = ((folder, name) for folder, _, names in os.walk(top.parent) for name in names)
        files = [os.path.join(*path) for path in found if path[1].endswith(".py")]
    return tuple((file, os.stat(file).st_mtime_ns) for file in sorted(files))


@cache
def _code_behind(roots: Names, beyond: Names, state: Any) -> dict[str, str]:
    """`code_behind`, found once for files that did not change: a page asks for many records."""
    waiting, seen = [use for root in roots for use in _start(root)], set()
    packages = frozenset(module.split(".")[0] for module, _ in waiting)
    reached: set[Statement] = set()
    while waiting:
        use = module, names = waiting.pop()
        source = source_of(module) if module.split(".")[0] in packages and use not in seen else None
        seen.add(use)
        if source is not None and not (names and f"{module}:{names[0]}" in beyond):
            statements, uses = source.behind(names)
            reached.update(statements)
            waiting += uses
    return {f"{s.module}:{s.label}": code for s, code in _hashes(packages, state).items()
            if s in reached}  # fmt: skip


def _start(root: str) -> list[Use]:
    module, _, name = root.partition(":")
    source = source_of(module)
    if source is None or (name and name not in source.names):
        raise VadError(f"there is no {root}", "Name a module, or module:definition.")
    return [(module, None), *((module, (n,)) for n in ([name] if name else source.names))]


@cache
def _hashes(packages: frozenset[str], state: Any) -> dict[Statement, str]:
    """A hash for every statement of some packages: of its text, and of all that it refers to."""
    every = [s for source in _sources(packages) for s in source.statements]
    links = {s: [f for names, _ in s.refs for f in _targets(s, names, packages)] for s in every}
    code = {s: digest(_text(s, packages)) for s in every}
    for _ in range(ROUNDS):
        code = {s: digest(code[s], sorted({code.get(t, str(t)) for t, *_ in links[s]}))
                for s in every}  # fmt: skip
    return code


def _sources(packages: Iterable[str]) -> Iterator[Source]:
    """Every module of some packages (or the one module that a package is)."""
    for package in packages:
        top = file_of(package)
        if top is None or top.name != "__init__.py":
            found = [package]
        else:
            inside = (p.relative_to(top.parent).with_suffix("") for p in top.parent.rglob("*.py"))
            names = {".".join((package, *p.parts)).removesuffix(".__init__") for p in inside}
            found = sorted(names)
        yield from filter(None, map(source_of, found))


class Found(NamedTuple):
    """What a reference stands for, and how it would be written where that is defined."""

    target: Any  # a Statement, or the name of something outside
    name: str
    rest: Names


def _targets(s: Statement, names: Names, packages: frozenset[str]) -> list[Found]:
    """What a reference in a statement stands for."""
    source, (first, *rest) = source_of(s.module), names
    assert source is not None
    found: list[Found] = []
    for module, inner in s.imports.get(first, []):
        found += _find(module, (*inner, *rest), packages)
    if first in source.names or first in source.imports:
        found += _find(s.module, names, packages)
    return found


def _find(module: str, names: Names, packages: frozenset[str]) -> list[Found]:
    source = source_of(module) if module.split(".")[0] in packages else None
    if source is None:
        return [Found(f"{module}:{'.'.join(names)}", "", ())]
    if not names:
        return []
    first, rest = names[0], names[1:]
    found = [Found(s, first, rest) for s in source.names.get(first, [])]
    for target, inner in source.imports.get(first, []):
        if (target, inner) != (module, (first,)):
            found += _find(target, inner + rest, packages)
    if not found and source.package and file_of(f"{module}.{first}"):
        found += _find(f"{module}.{first}", rest, packages)
    return found


def _text(s: Statement, packages: frozenset[str]) -> str:
    """A statement's text in which what this package defines goes by its own name alone, and
    without imports of this package: as it would read wherever it lived."""
    source = source_of(s.module)
    assert source is not None
    lines = [line.encode() for line in source.lines]
    cuts: list[tuple[Span, bytes]] = [
        ((first, 0, last, len(lines[last - 1])), b"")
        for first, last, module in s.own_imports
        if module.split(".")[0] in packages
    ]
    for names, span in s.refs:
        found = [f for f in _targets(s, names, packages) if isinstance(f.target, Statement)]
        if found and span[0]:
            cuts.append((span, ".".join((found[0].name, *found[0].rest)).encode()))
    for (row, column, end, last), text in sorted(cuts, reverse=True):
        joined = lines[row - 1][:column] + text + lines[end - 1][last:]
        lines[row - 1 : end] = [joined, *[b""] * (end - row)]
    return b"\n".join(line for line in lines[s.row - 1 : s.end] if line.strip()).decode()
