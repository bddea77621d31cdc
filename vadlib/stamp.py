"""What decides a number: the definitions behind it, reduced to what can change it, and its config.

Only what is used counts: a new class beside the one that made a number leaves the number alone.
The source is read, never run. A module that is handed on as a whole counts with all that it
imports: doubt adds code. A definition is taken to do no more than define; any other statement
always counts, in every module that is imported on the way.
"""

from __future__ import annotations

import ast
import importlib.util
import io
import os
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from vadlib.data.store import digest
from vadlib.errors import VadError

Names = tuple[str, ...]  # ("a", "b") is `a.b`
Use = tuple[str, Names | None]  # a module, and what of it: () the whole, None: it is only run
Imports = dict[str, list[tuple[str, Names]]]  # by the name that an import binds
Code = set[tuple[int, str]]  # statements, each with its row
DYNAMIC = {"globals", "vars", "eval", "exec", "__import__", "__name__"}  # may reach any name
DEFINITION = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
LOOP = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def stamp(roots: Iterable[str], config: Any) -> str:
    """One hash of the code behind `roots` and of a config that JSON can hold."""
    return digest(list(code_behind(roots).items()), config)


def code_behind(roots: Iterable[str]) -> dict[str, list[str]]:
    """What `roots` use of their own package: module -> its statements, in order, as `code_of`.

    roots  modules ("vadlib.models.maam", all that it defines), names ("vadlib.evaluate:evaluate")
    Raises VadError for one that does not exist.
    """
    roots = tuple(roots)
    packages = sorted({root.partition(":")[0].partition(".")[0] for root in roots})
    return dict(_code_behind(roots, tuple(_state(package) for package in packages)))


def _state(package: str) -> tuple[tuple[str, int], ...]:
    """The files of a package, each with its time of change."""
    top = _file(package)
    files = [str(top)] if top else []
    if top and top.name == "__init__.py":
        found = ((folder, name) for folder, _, names in os.walk(top.parent) for name in names)
        files = [os.path.join(*path) for path in found if path[1].endswith(".py")]
    return tuple((file, os.stat(file).st_mtime_ns) for file in sorted(files))


@cache
def _code_behind(roots: tuple[str, ...], state: Any) -> dict[str, list[str]]:
    """`code_behind`, found once for files that did not change: a page asks for many records."""
    found: dict[str, Code] = {}
    waiting, seen = [use for root in roots for use in _start(root)], set()
    packages = {module.split(".")[0] for module, _ in waiting}
    while waiting:
        use = module, names = waiting.pop()
        source = _source(module) if module.split(".")[0] in packages and use not in seen else None
        seen.add(use)
        if source is not None:
            code, uses = source.behind(names)
            found.setdefault(module, set()).update(code)
            waiting += uses
    return {
        name: [text for _, text in sorted(code)] for name, code in sorted(found.items()) if code
    }


def _start(root: str) -> list[Use]:
    module, _, name = root.partition(":")
    source = _source(module)
    if source is None or (name and name not in source.names):
        raise VadError(f"there is no {root}", "Name a module, or module:definition.")
    return [(module, None), *((module, (n,)) for n in ([name] if name else source.names))]


@dataclass
class Statement:
    """A statement of a module's top level, and what it mentions."""

    row: int
    code: str
    names: set[Names]
    imports: Imports


@dataclass
class Source:
    """The top level of a module: what each name is bound to, and what runs in any case."""

    module: str
    package: bool
    always: list[Statement] = field(default_factory=list)
    names: dict[str, list[Statement]] = field(default_factory=dict)
    imports: Imports = field(default_factory=dict)

    def behind(self, names: Names | None) -> tuple[Code, list[Use]]:
        """The statements of this module that a use of it needs, and the uses that they make."""
        if names is None:
            code, uses = self._of(self.always)
            return code, [*uses, *_run(self.imports), (self.module.rpartition(".")[0], None)]
        if not names:
            every = [*self.names, *self.imports]
            return set(), [(self.module, None), *((self.module, (name,)) for name in every)]
        name, rest = names[0], names[1:]
        code, uses = self._of(self.names.get(name, []))
        for module, inner in self.imports.get(name, []):
            code.add((0, f"{name} = {module}:{'.'.join(inner)}"))
            uses.append((module, inner + rest))
        if self.package and _file(f"{self.module}.{name}"):
            uses.append((f"{self.module}.{name}", rest))
        elif name not in self.names and name not in self.imports:
            uses.append((self.module, ()))
        return code, [*uses, (self.module, None)]

    def _of(self, statements: list[Statement]) -> tuple[Code, list[Use]]:
        uses: list[Use] = []
        for statement in statements:
            uses += _run(statement.imports)
            for first, *rest in statement.names:
                own = first in self.names or first in self.imports
                uses += [(self.module, (first, *rest))] if own else []
                uses += [(self.module, ())] if first in DYNAMIC else []
                uses += [(m, (*inner, *rest)) for m, inner in statement.imports.get(first, [])]
        return {(s.row, s.code) for s in statements}, uses


def _run(imports: Imports) -> Iterator[Use]:
    """The modules that import statements run; one that is imported with a star is used whole."""
    for name, targets in imports.items():
        for module, inner in targets:
            yield module, () if name == "*" else None
            if inner:
                yield f"{module}.{inner[0]}", None  # where it is a module


def _file(module: str) -> Path | None:
    """Where a module's source lies, found without importing its parents."""
    top, *parts = module.split(".")
    spec = importlib.util.find_spec(top) if top else None
    if spec is None or not spec.origin:
        return None
    base = Path(spec.origin).parent.joinpath(*parts)
    files = (base / "__init__.py", base.with_suffix(".py"))
    return next((file for file in files if file.is_file()), None)


def _source(module: str) -> Source | None:
    file = _file(module)
    return _read(module, file, file.stat().st_mtime_ns) if file else None


@cache
def _read(module: str, path: Path, changed: int) -> Source:
    source = Source(module, path.name == "__init__.py")
    lines = _lines(path, changed)
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        imports = _imports(node, module if source.package else module.rpartition(".")[0])
        if not isinstance(node, DEFINITION):  # an import under `if` or `try` is the module's too
            for name, targets in imports.items():
                source.imports.setdefault(name, []).extend(targets)
        first = min(n.lineno for n in [*getattr(node, "decorator_list", []), node])
        code = "\n".join(line for line in lines[first - 1 : node.end_lineno] if line)
        if not code or isinstance(node, ast.Import | ast.ImportFrom):  # no code: a docstring
            continue
        statement, bound = Statement(first, code, set(_names(node)), imports), _bound(node)
        for name in bound:
            source.names.setdefault(name, []).append(statement)
        if not bound:
            source.always.append(statement)
    return source


def _bound(node: ast.stmt) -> set[str]:
    """The names that a definition binds; none for any other statement."""
    if isinstance(node, DEFINITION):
        return {node.name}
    if not isinstance(node, ast.Assign | ast.AnnAssign):
        return set()
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    if any(isinstance(n, ast.Attribute | ast.Subscript) for t in targets for n in ast.walk(t)):
        return set()  # it changes something that is defined elsewhere
    return set(_stored([node]))


def _names(node: ast.AST, local: frozenset[str] = frozenset()) -> Iterator[Names]:
    """The names that code reads from its module, each with the attributes that it takes of it.

    local  names of the functions around it, which hide those of the module
    """
    base, inner = node, []
    while isinstance(base, ast.Attribute):
        inner.insert(0, base.attr)
        base = base.value
    if isinstance(base, ast.Name):
        if base.id not in local and (inner or not isinstance(base.ctx, ast.Store)):
            yield base.id, *inner
        return
    inside, outer = local, []
    if isinstance(base, LOOP):
        inside = local | _stored(g.target for g in base.generators)
        yield from _names(base.generators[0].iter, local)  # does not see the loop's variables
    elif isinstance(base, FUNCTION):
        inside = _scope(base, local)
        body = base.body if isinstance(base.body, list) else [base.body]
        outer = [child for child in ast.iter_child_nodes(base) if child not in body]
    for child in ast.iter_child_nodes(base):
        yield from _names(child, local if child in outer else inside)


def _scope(function: FUNCTION, local: frozenset[str]) -> frozenset[str]:
    """The local names in a function's body, where `local` are those around it."""
    a = function.args
    given = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
    waiting: list[ast.AST] = [*function.body] if isinstance(function.body, list) else []
    own, shared = {arg.arg for arg in given}, set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Global | ast.Import | ast.ImportFrom):  # of the module, or another
            names = node.names
            shared |= {
                n if isinstance(n, str) else (n.asname or n.name).split(".")[0] for n in names
            }
        elif not isinstance(node, DEFINITION | FUNCTION | LOOP):  # those have scopes of their own
            own |= _stored([node]) if isinstance(node, ast.Name) else set()
            waiting += ast.iter_child_nodes(node)
    return (local | own) - shared


def _stored(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """The names that some code assigns to."""
    names = (n for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name))
    return frozenset(n.id for n in names if isinstance(n.ctx, ast.Store))


def _imports(node: ast.stmt, parent: str) -> Imports:
    """What the import statements in some code bind; `parent` is the package that it lies in."""
    found: Imports = {}
    for n in ast.walk(node):
        if isinstance(n, ast.Import):
            for a in n.names:
                found.setdefault(a.asname or a.name, []).append((a.name, ()))
                if not a.asname:  # `import a.b` binds a
                    found.setdefault(a.name.split(".")[0], []).append((a.name.split(".")[0], ()))
        elif isinstance(n, ast.ImportFrom):
            base = importlib.util.resolve_name("." * n.level + (n.module or ""), parent)
            for a in n.names:
                inner = () if a.name == "*" else (a.name,)
                found.setdefault(a.asname or a.name, []).append((base, inner))
    return found


def code_of(path: Path) -> str:
    """A module's code without comments, docstrings and blank lines.

    Taken from the text rather than from a dump of its tree, which differs from one Python to the
    next.
    """
    return "\n".join(line for line in _lines(path, path.stat().st_mtime_ns) if line)


@cache
def _lines(path: Path, changed: int) -> list[str]:
    """The lines of a file, empty where there is only a comment or a docstring."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | DEFINITION) and ast.get_docstring(node) is not None:
            for row in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1):
                lines[row - 1] = ""
    return [line.rstrip() for line in lines]
