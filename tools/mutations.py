"""Small faults, one at a time, in the syntax tree of a module.

A fault is what a tired hand does: a comparison flipped or moved by its edge, an operator or a
function swapped for its neighbour, a number off by one, a condition turned round, a keyword or a
whole call forgotten, two arguments exchanged, a statement left out. Text, annotations, decorators
and what is said in an error message are left alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

TURNED = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
EDGE = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
OPERATOR = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
}
PAIRS = (
    "min max, argmin argmax, amin amax, minimum maximum, mean sum, floor ceil, any all, sin cos, "
    "zeros ones, zeros_like ones_like, train eval, cumsum cumprod, height width, low high"
)
NEIGHBOUR = {a: b for pair in PAIRS.split(", ") for a, b in [pair.split(), pair.split()[::-1]]}


def words(text: str) -> set[str]:
    """The words of a line."""
    return set(text.split())


# calls without which nothing changes on a processor, or nothing runs at all
KEPT = words(
    "to cpu contiguous numpy item list tuple float int str bool asarray ascontiguousarray "
    "range len zip enumerate isinstance super getattr hasattr field Path open join format "
    "items keys values iter next print"
)
SHOWN = words("desc unit leave delay strict slots frozen")  # keywords that move no number
EITHER_WAY = words("maximum minimum max min mse_loss l1_loss isinstance gcd allclose logaddexp")
Holder = tuple[ast.AST, str, int | None]  # a node's parent, the parent's field, and place in it


@dataclass(frozen=True)
class Fault:
    """One change of a tree: what stands where, and what is put there."""

    holder: Holder
    before: ast.AST
    after: ast.AST
    function: str  # dotted name of the function or class around it, "" for the module
    statement: ast.AST  # the innermost around it, or itself
    inside: bool  # in the body of a function: it runs when that is called, not at import

    @property
    def text(self) -> str:
        """The fault in words, without line numbers: the same after an edit elsewhere."""
        words = f"{self.function or '(module)'}: {said(self.before)} -> {said(self.after)}"
        number = isinstance(self.before, ast.Constant | ast.UnaryOp)  # a function has many alike
        return f"{words} in {_first(self.statement)}" if number else words

    @property
    def lines(self) -> range:
        """The lines of its statement; of one with a body, those before the body."""
        statement: Any = self.statement
        body = getattr(statement, "body", None)
        end = body[0].lineno - 1 if body else statement.end_lineno
        return range(statement.lineno, max(end or 0, statement.lineno) + 1)

    def make(self) -> None:
        """Change the tree that this was found in."""
        parent, name, place = self.holder
        ast.copy_location(self.after, self.before)
        if place is None:
            setattr(parent, name, self.after)
        else:
            getattr(parent, name)[place] = self.after
        ast.fix_missing_locations(parent)


def said(node: ast.AST) -> str:
    """A node as one line of code."""
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 90 else text[:60] + " ... " + text[-25:]


def faults(tree: ast.Module) -> list[Fault]:
    """Every fault of a module, in the order of its lines."""
    return list(_within(tree, "", tree, False))


def _within(parent, function, statement, inside) -> Iterator[Fault]:
    """The faults below a node, which is (in) a statement."""
    for name, value in ast.iter_fields(parent):
        if _left_alone(parent, name):
            continue
        for place, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(node, ast.AST) or _is_text(node):
                continue
            here = node if isinstance(node, ast.stmt) else statement
            runs = inside or (isinstance(parent, ast.FunctionDef | ast.Lambda) and name == "body")
            for after in changes(node):
                yield Fault((parent, name, place), node, after, function, here, runs)
            named = isinstance(node, ast.FunctionDef | ast.ClassDef)
            below = f"{function}.{node.name}".lstrip(".") if named else function
            yield from _within(node, below, here, runs)


def _left_alone(parent: ast.AST, name: str) -> bool:
    """Annotations, decorators, bases of classes, types of exceptions, and what an error says."""
    return (
        name in ("annotation", "returns", "decorator_list", "bases", "type", "exc", "cause", "ctx")
        or (isinstance(parent, ast.Assert) and name == "msg")
        or (isinstance(parent, ast.If) and ast.unparse(parent.test) == "TYPE_CHECKING")
        or isinstance(parent, ast.JoinedStr | ast.Import | ast.ImportFrom)
        or (isinstance(parent, ast.keyword) and parent.arg in SHOWN)
        or (isinstance(parent, ast.Call) and ast.unparse(parent.func) == "tqdm" and name != "args")
    )


def _is_text(node: ast.AST) -> bool:
    """A docstring or any other string."""
    value = node.value if isinstance(node, ast.Expr) else node
    return isinstance(value, ast.Constant) and isinstance(value.value, str | bytes)


def _first(statement: ast.AST) -> str:
    """A statement as one line; of one with a body, what stands before it."""
    text = said(statement) if not hasattr(statement, "body") else ast.unparse(statement)
    return next(line for line in text.splitlines() if line[:1] != "@")


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """What could stand in a node's place by mistake."""
    match node:
        case ast.Compare(ops=[op]):
            for table in (TURNED, EDGE):
                if type(op) in table:
                    yield ast.Compare(node.left, [table[type(op)]()], node.comparators)
        case ast.BinOp(op=op) if type(op) in OPERATOR and not _is_text(node.left):
            yield ast.BinOp(node.left, OPERATOR[type(op)](), node.right)
        case ast.AugAssign(op=op):
            yield ast.Pass()
            if type(op) in OPERATOR:
                yield ast.AugAssign(node.target, OPERATOR[type(op)](), node.value)
        case ast.BoolOp(op=op):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), node.values)
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.Invert()):
            yield node.operand
        case ast.Constant(value=bool()):
            yield ast.Constant(not node.value)
        case ast.Constant(value=int()):
            yield ast.Constant(node.value + 1)
        case ast.Constant(value=float()):
            yield ast.Constant(node.value * 2 or 1.0)
        case ast.IfExp():
            yield ast.IfExp(node.test, node.orelse, node.body)
        case ast.If() | ast.While() if not isinstance(node.test, ast.Compare):
            turned = ast.UnaryOp(ast.Not(), node.test)
            yield type(node)(turned, node.body, node.orelse)
        case ast.comprehension(ifs=[_, *_]):
            yield ast.comprehension(node.target, node.iter, node.ifs[1:], node.is_async)
        case ast.Expr(value=ast.Call() | ast.Yield()) | ast.Raise() | ast.Assert():
            yield ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield ast.Pass()
        case ast.Break():
            yield ast.Continue()
        case ast.Continue():
            yield ast.Break()
        case ast.Name(id=name, ctx=ast.Load()) if name in NEIGHBOUR:
            yield ast.Name(NEIGHBOUR[name], ast.Load())
        case ast.Attribute(attr=name, ctx=ast.Load()) if name in NEIGHBOUR:
            yield ast.Attribute(node.value, NEIGHBOUR[name], ast.Load())
        case ast.Call():
            yield from _calls(node)


def _calls(node: ast.Call) -> Iterator[ast.AST]:
    """A call without one of its keywords, with two arguments exchanged, or left out."""
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    for word in node.keywords if name != "tqdm" else []:
        if word.arg and word.arg not in SHOWN:
            rest = [k for k in node.keywords if k is not word]
            yield ast.Call(node.func, node.args, rest)
    alike = ast.Name | ast.Attribute | ast.Subscript
    match node.args:
        case [first, second, *rest] if (
            isinstance(first, alike) and isinstance(second, alike) and name not in EITHER_WAY
        ):
            yield ast.Call(node.func, [second, first, *rest], node.keywords)
    if name in KEPT or name[:1].isupper() or name.startswith("_"):
        return
    owner = node.func.value if isinstance(node.func, ast.Attribute) else None
    is_method = owner is not None and ast.unparse(owner) not in MODULES
    if is_method:
        yield owner
    elif node.args and not isinstance(node.args[0], ast.Starred):
        yield node.args[0]


MODULES = words("np torch F cv2 nn math torch.nn motion ndimage linalg np.linalg random")
