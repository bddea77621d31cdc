"""A module's source, read and never run: what each statement of its top level binds and reads."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

Names = tuple[str, ...]  # ("a", "b") is `a.b`
Use = tuple[str, Names | None]  # a module, and what of it: () the whole, None: it is only run
Imports = dict[str, list[tuple[str, Names]]]  # by the name that an import binds
Span = tuple[int, int, int, int]  # first line and byte, last line and byte
DYNAMIC = {"globals", "vars", "eval", "exec", "__import__", "__name__"}  # may reach any name
DEFINITION = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
NESTED = ast.stmt | ast.ExceptHandler | ast.match_case  # what statements hold lists of
# ten times as fast as the tokenizer; a # in a string is none that begins a comment
STRING_OR_COMMENT = re.compile(
    r"""(?P<quotes>'''|\"\"\")(?:\\.|[^\\])*?(?P=quotes)"""
    r"""|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|(?P<comment>\#[^\n]*)""",
    re.DOTALL,
)
LOOP = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@dataclass(eq=False)
class Statement:
    """A statement of a module's top level, and what it mentions."""

    module: str
    row: int
    end: int
    bound: set[str]
    refs: list[tuple[Names, Span]]  # names that it reads, and where they stand
    imports: Imports  # within it
    own_imports: list[tuple[Span, str]]  # where each stands, and what it imports from

    @property
    def name(self) -> str:
        """The one name that a definition binds; "" for others."""
        return next(iter(self.bound)) if len(self.bound) == 1 else ""

    @property
    def label(self) -> str:
        """Something to call it by, unique in its module."""
        return f"{','.join(sorted(self.bound)) or 'line'}@{self.row}"


@dataclass
class Source:
    """The top level of a module: what each name is bound to, and what runs in any case."""

    module: str
    package: bool
    lines: list[str]
    always: list[Statement] = field(default_factory=list)
    names: dict[str, list[Statement]] = field(default_factory=dict)
    imports: Imports = field(default_factory=dict)

    @property
    def statements(self) -> list[Statement]:
        """All of them, each once."""
        return [*self.always, *dict.fromkeys(s for some in self.names.values() for s in some)]

    def behind(self, names: Names | None) -> tuple[list[Statement], list[Use]]:
        """The statements of this module that a use of it needs, and the uses that they make."""
        if names is None:
            uses = self._uses(self.always)
            return self.always, [*uses, *_run(self.imports), (self.module.rpartition(".")[0], None)]
        if not names:
            every = [*self.names, *self.imports]
            return [], [(self.module, None), *((self.module, (name,)) for name in every)]
        name, rest = names[0], names[1:]
        found = self.names.get(name, [])
        uses = self._uses(found)
        uses += [(module, inner + rest) for module, inner in self.imports.get(name, [])]
        if self.package and file_of(f"{self.module}.{name}"):
            uses.append((f"{self.module}.{name}", rest))
        elif name not in self.names and name not in self.imports:
            uses.append((self.module, ()))
        return found, [*uses, (self.module, None)]

    def _uses(self, statements: list[Statement]) -> list[Use]:
        uses: list[Use] = []
        for statement in statements:
            uses += _run(statement.imports)
            for (first, *rest), _ in statement.refs:
                own = first in self.names or first in self.imports
                uses += [(self.module, (first, *rest))] if own else []
                uses += [(self.module, ())] if first in DYNAMIC else []
                uses += [(m, (*inner, *rest)) for m, inner in statement.imports.get(first, [])]
        return uses


def _run(imports: Imports) -> Iterator[Use]:
    """The modules that import statements run; one that is imported with a star is used whole."""
    for name, targets in imports.items():
        for module, inner in targets:
            yield module, () if name == "*" else None
            if inner:
                yield f"{module}.{inner[0]}", None  # where it is a module


@cache
def top_of(package: str) -> Path | None:
    """The first file of a package, or the file of a lone module; None where there is none."""
    spec = importlib.util.find_spec(package) if package else None
    return Path(spec.origin) if spec and spec.origin else None


def file_of(module: str) -> Path | None:
    """Where a module's source lies, found without importing its parents."""
    top, *parts = module.split(".")
    origin = top_of(top)
    if origin is None or not parts:
        return origin
    base = origin.parent.joinpath(*parts)
    files = (base / "__init__.py", base.with_suffix(".py"))
    return next((file for file in files if file.is_file()), None)


def source_of(module: str) -> Source | None:
    """A module's source, read again only when its file has changed; None where there is none."""
    file = file_of(module)
    return _read(module, file, file.stat().st_mtime_ns) if file else None


@cache
def _read(module: str, path: Path, changed: int) -> Source:
    tree, lines = _parsed(path)
    source = Source(module, path.name == "__init__.py", lines)
    for node in tree.body:
        imports = _imports(node, module if source.package else module.rpartition(".")[0])
        if not isinstance(node, DEFINITION):  # an import under `if` or `try` is the module's too
            for name, targets in imports.items():
                source.imports.setdefault(name, []).extend(targets)
        first = min(n.lineno for n in [*getattr(node, "decorator_list", []), node])
        last = node.end_lineno or first
        code = any(source.lines[first - 1 : last])
        if not code or isinstance(node, ast.Import | ast.ImportFrom):  # no code: a docstring
            continue
        parent = module if source.package else module.rpartition(".")[0]
        own = [
            (_span(n, False), _resolved(n, parent))
            for n in _statements(node)
            if isinstance(n, ast.ImportFrom)
        ]
        bound, refs = _bound(node), list(_names(node))
        statement = Statement(module, first, last, bound, refs, imports, own)
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


def _names(
    node: ast.AST, local: frozenset[str] = frozenset(), text: bool = False
) -> Iterator[tuple[Names, Span]]:
    """The names that code reads from its module, each with the attributes that it takes of it.

    local  names of the functions around it, which hide those of the module
    text   inside an f-string, where Pythons do not agree on columns: an empty span, so that the
           text stays as it is
    """
    base, inner = node, []
    while isinstance(base, ast.Attribute):
        inner.insert(0, base.attr)
        base = base.value
    if isinstance(base, ast.Name):
        if base.id not in local and (inner or not isinstance(base.ctx, ast.Store)):
            yield (base.id, *inner), _span(node, text)
        return
    text = text or isinstance(base, ast.JoinedStr)
    inside, outer = local, []
    if isinstance(base, LOOP):
        inside = local | _stored(g.target for g in base.generators)
        yield from _names(base.generators[0].iter, local, text)  # does not see its variables
    elif isinstance(base, FUNCTION):
        inside = _scope(base, local)
        body = base.body if isinstance(base.body, list) else [base.body]
        outer = [child for child in ast.iter_child_nodes(base) if child not in body]
    for child in ast.iter_child_nodes(base):
        yield from _names(child, local if child in outer else inside, text)


def _span(node: Any, text: bool) -> Span:
    if text:
        return (0, 0, 0, 0)
    return node.lineno, node.col_offset, node.end_lineno, node.end_col_offset


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
    for n in _statements(node):
        if isinstance(n, ast.Import):
            for a in n.names:
                found.setdefault(a.asname or a.name, []).append((a.name, ()))
                if not a.asname:  # `import a.b` binds a
                    found.setdefault(a.name.split(".")[0], []).append((a.name.split(".")[0], ()))
        elif isinstance(n, ast.ImportFrom):
            base = _resolved(n, parent)
            for a in n.names:
                inner = () if a.name == "*" else (a.name,)
                found.setdefault(a.asname or a.name, []).append((base, inner))
    return found


def _resolved(node: ast.ImportFrom, parent: str) -> str:
    """The module that names are imported from, by its full name."""
    return importlib.util.resolve_name("." * node.level + (node.module or ""), parent)


def code_of(path: Path) -> str:
    """A module's code without comments, docstrings and blank lines.

    Taken from the text rather than from a dump of its tree, which differs from one Python to the
    next.
    """
    return _code(path, path.stat().st_mtime_ns)


@cache
def _code(path: Path, changed: int) -> str:
    return "\n".join(line for line in _parsed(path)[1] if line)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """A node and the statements inside, in the order of `ast.walk`, which looks at all else too."""
    waiting = deque([node])
    while waiting:
        yield (inner := waiting.popleft())
        for name in inner._fields:  # of a statement: body, handlers, cases, orelse, finalbody
            part = getattr(inner, name, None)
            if isinstance(part, list) and part and isinstance(part[0], NESTED):
                waiting.extend(part)


def _parsed(path: Path) -> tuple[ast.Module, list[str]]:
    """A file's syntax tree, and its lines, empty where there is only a comment or a docstring.

    Neither is kept: the trees of a package are a million objects.
    """
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    lines = STRING_OR_COMMENT.sub(lambda m: "" if m["comment"] else m[0], text).splitlines()
    for node in _statements(tree):
        if isinstance(node, ast.Module | DEFINITION) and ast.get_docstring(node) is not None:
            for row in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1):
                lines[row - 1] = ""
    return tree, [line.rstrip() for line in lines]
