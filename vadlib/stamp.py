"""What decides a number: the code that made it, reduced to what can change it, and its config."""

from __future__ import annotations

import ast
import importlib.util
import io
import tokenize
from functools import cache
from pathlib import Path
from typing import Any

from vadlib.data.store import digest


def code_of(path: Path) -> str:
    """A module's code without comments, docstrings and blank lines.

    Taken from the text rather than from a dump of its tree, which differs from one Python to the
    next.
    """
    return _code(path, path.stat().st_mtime_ns)


@cache
def _code(path: Path, changed: int) -> str:
    text = path.read_text(encoding="utf-8")
    gone = {line for node in _docstrings(text) for line in range(node.lineno, _end(node) + 1)}
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    kept = (line.rstrip() for row, line in enumerate(lines, 1) if row not in gone)
    return "\n".join(line for line in kept if line)


def _docstrings(text: str) -> list[ast.expr]:
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            value = first.value if isinstance(first, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                found.append(value)
    return found


def _end(node: ast.expr) -> int:
    return node.end_lineno or node.lineno


def modules_of(module: str) -> dict[str, Path]:
    """A `vadlib` module and every one that it imports, directly or not: name -> file."""
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        spec = None if name in found else importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue
        found[name] = Path(spec.origin)
        waiting += _imports(found[name], found[name].stat().st_mtime_ns)
    return dict(sorted(found.items()))


@cache
def _imports(path: Path, changed: int) -> list[str]:
    """The `vadlib` modules that a file names in its import statements."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vadlib"):
            parts = [f"{node.module}.{a.name}" for a in node.names]
            modules = [p for p in parts if _is_module(p)]
            names += modules or [str(node.module)]
        elif isinstance(node, ast.Import):
            names += [a.name for a in node.names if a.name.startswith("vadlib")]
    return names


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is a module, not a package
        return False


def stamp(modules: list[str], config: Any) -> str:
    """One hash of the code behind `modules` and of a config that JSON can hold."""
    files: dict[str, Path] = {}
    for module in modules:
        files |= modules_of(module)
    return digest([[name, code_of(path)] for name, path in sorted(files.items())], config)
