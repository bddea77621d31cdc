"""What decides a number: the definitions behind it, reduced to what can change it, and its config.

Only what is used counts: a new class beside the one that made a number leaves the number alone. Nor
does it matter where a definition lives or how it is imported, only what it says and what it uses:
a definition's hash is made of its own text, in which names of this package are written without
their modules, and of the hashes of what they stand for. The source is read, never run. A module
that is handed on as a whole counts with all that it imports: doubt adds code. A definition is taken
to do no more than define; any other statement always counts, in every module imported on the way.
"""

from __future__ import annotations

import gc
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

from vadlib.data.store import digest
from vadlib.errors import VadError
from vadlib.lab.source import Names, Source, Span, Statement, Use, file_of, source_of

Sources = Mapping[str, Source]
OWN = "\u01c3"  # before a name that this package defines: a letter that no local name has
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
    return dict(_code_behind(roots, beyond, tuple(_look(package) for package in packages)))


def _state(package: str) -> tuple[tuple[str, int], ...]:
    """The files of a package, each with its time of change."""
    top = file_of(package)
    files = [str(top)] if top else []
    if top and top.name == "__init__.py":
        found = ((folder, name) for folder, _, names in os.walk(top.parent) for name in names)
        files = [os.path.join(*path) for path in found if path[1].endswith(".py")]
    return tuple((file, os.stat(file).st_mtime_ns) for file in sorted(files))


_look = _state  # how the files of a package are looked at: anew, or once


@contextmanager
def unchanged() -> Iterator[None]:
    """Within it files are taken to stay as they are, and looked at once: for many stamps.

    No garbage is collected meanwhile: there is none, and each search for it walks all the trees.
    """
    global _look
    before, _look = _look, cache(_look)
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        _look = before
        if collects:
            gc.enable()


@cache
def _code_behind(roots: Names, beyond: Names, state: Any) -> dict[str, str]:
    """`code_behind`, found once for files that did not change: a page asks for many records."""
    packages = frozenset(root.partition(":")[0].partition(".")[0] for root in roots)
    sources, code = _sources(packages, state), _hashes(packages, beyond, state)
    behind = _behind(packages, state)
    waiting, seen = [use for root in roots for use in _start(root, sources)], set()
    reached: set[Statement] = set()
    while waiting:
        use = module, names = waiting.pop()
        source = sources.get(module) if use not in seen else None
        seen.add(use)
        if source is not None and not (names and f"{module}:{names[0]}" in beyond):
            statements, uses = behind(use)
            reached.update(statements)
            waiting += uses
    return {f"{s.module}:{s.label}": code[s] for s in reached}


def _start(root: str, sources: Sources) -> list[Use]:
    module, _, name = root.partition(":")
    source = sources.get(module)
    if source is None or (name and name not in source.names):
        raise VadError(f"there is no {root}", "Name a module, or module:definition.")
    return [(module, None), *((module, (n,)) for n in ([name] if name else source.names))]


@cache
def _sources(packages: frozenset[str], state: Any) -> Sources:
    """Every module of some packages (or the one module that a package is), by its name."""
    names: list[str] = []
    for package in packages:
        top = file_of(package)
        if top is None or top.name != "__init__.py":
            names.append(package)
            continue
        inside = (p.relative_to(top.parent).with_suffix("") for p in top.parent.rglob("*.py"))
        names += {".".join((package, *p.parts)).removesuffix(".__init__") for p in inside}
    found = {name: source_of(name) for name in sorted(names)}
    return {name: source for name, source in found.items() if source is not None}


@cache
def _behind(packages: frozenset[str], state: Any) -> Callable[[Use], Any]:
    """`Source.behind` for uses of some packages, each answered once: stamps have much in common."""
    sources = _sources(packages, state)
    return cache(lambda use: sources[use[0]].behind(use[1]))


@cache
def _hashes(packages: frozenset[str], beyond: Names, state: Any) -> dict[Statement, str]:
    """A hash for every statement of some packages: of its text, and of all that it refers to."""
    sources = _sources(packages, state)
    every = [s for source in sources.values() for s in source.statements]
    stop = {s for s in every for name in s.bound if f"{s.module}:{name}" in beyond}
    links, code = {}, {}
    for s in every:
        found = [f for names, _ in s.refs for f in _targets(s, names, sources)]
        links[s] = [f.target for f in found if f.target not in stop]
        code[s] = _hash(_text(s, sources))
    for _ in range(ROUNDS):
        # what is outside stands for itself; a Statement's own text is long, and not asked for
        code = {s: _hash(code[s], *(code.get(t) or str(t) for t in links[s])) for s in every}
    return code


def _hash(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=10).hexdigest()


class Found(NamedTuple):
    """What a reference stands for, and how it would be written where that is defined."""

    target: Any  # a Statement, or the name of something outside
    name: str
    rest: Names


def _targets(s: Statement, names: Names, sources: Sources) -> list[Found]:
    """What a reference in a statement stands for."""
    source, (first, *rest) = sources[s.module], names
    found: list[Found] = []
    for module, inner in s.imports.get(first, []):
        found += _find(module, (*inner, *rest), sources)
    if first in source.names or first in source.imports:
        found += _find(s.module, names, sources)
    return found


def _find(module: str, names: Names, sources: Sources) -> list[Found]:
    source = sources.get(module)
    if source is None:
        return [Found(f"{module}:{'.'.join(names)}", "", ())]
    if not names:
        return []
    first, rest = names[0], names[1:]
    found = [Found(s, first, rest) for s in source.names.get(first, [])]
    for target, inner in source.imports.get(first, []):
        if (target, inner) != (module, (first,)):
            found += _find(target, inner + rest, sources)
    if not found and f"{module}.{first}" in sources:
        found += _find(f"{module}.{first}", rest, sources)
    return found


def _text(s: Statement, sources: Sources) -> str:
    """A statement's text in which what this package defines goes by its own name alone, and
    without imports of this package: as it would read wherever it lived."""
    lines = {n: sources[s.module].lines[n - 1].encode() for n in range(s.row, s.end + 1)}
    cuts: list[tuple[Span, bytes]] = [
        (span, b"") for span, module in s.own_imports if module in sources
    ]
    for names, span in s.refs:
        found = [f for f in _targets(s, names, sources) if isinstance(f.target, Statement)]
        if found and span[0]:
            cuts.append((span, ".".join((f"{OWN}{found[0].name}", *found[0].rest)).encode()))
    for (row, column, end, last), text in sorted(cuts, reverse=True):
        lines[row] = lines[row][:column] + text + lines[end][last:]
        lines |= {n: b"" for n in range(row + 1, end + 1)}
    return b"\n".join(line for _, line in sorted(lines.items()) if line.strip()).decode()
