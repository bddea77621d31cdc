"""The house, drawn from its source: packages as rooms, files with their lines, who stands on whom.

`python -m vadlib.press.house` writes the drawing that CONTRIBUTING.md shows; the library page gets
its own when the book is built.
"""

from __future__ import annotations

import ast
import html
import sys
import textwrap
import tomllib
from dataclasses import dataclass
from pathlib import Path

from vadlib.errors import VadError

PLACE = Path("book", "fig", "house.svg")
INK, QUIET, GROUND = "#1f2328", "#59636e", "#ffffff"
# dark enough on white, and told apart by colour-blind eyes where they run side by side
COLOURS = ("#0072b2", "#b34700", "#00735c", "#9a4580", "#7a6200")
WIDTH, WALL = 430, 320  # of the drawing, and where rooms end and wires begin
EDGE, PAD, LINE = 8, 10, 15  # around a room, within it, and from line to line
LETTERS, FILES = 42, 46  # that fit in a line of text, and in a line of files
MONO = 'font-family="ui-monospace, monospace" font-size="10.5"'


@dataclass(frozen=True)
class Room:
    """A package, or a lone file: what it is, its files by folder, the rooms that it stands on."""

    name: str
    about: str
    files: dict[str, list[tuple[str, int]]]  # folder in the room, "" first -> (file, its lines)
    uses: frozenset[str]

    @property
    def lines(self) -> int:
        """Lines in all its files."""
        return sum(lines for files in self.files.values() for _, lines in files)


def rooms(root: Path) -> list[Room]:
    """The rooms from top to bottom, in the order that pyproject.toml has `lint-imports` hold up.

    Raises VadError where there is no such order, or a room of it does not exist.
    """
    try:
        settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
        contracts = settings["tool"]["importlinter"]["contracts"]
        order = next(c["layers"] for c in contracts if c["type"] == "layers")
    except (FileNotFoundError, KeyError, StopIteration):
        where = f"{root / 'pyproject.toml'} has no contract of layers"
        raise VadError(where, "Run this in the root of the repository.") from None
    return [_room(root / "vadlib", name) for name in order]


def _room(library: Path, name: str) -> Room:
    top, lone = library / name, library / f"{name}.py"
    paths = [lone] if lone.exists() else sorted(top.rglob("*.py"))
    if not paths:
        raise VadError(f"{top} has no files", "Mend the layers in pyproject.toml.")
    files: dict[str, list[tuple[str, int]]] = {"": []}
    uses: set[str] = set()
    for path in paths:
        text = path.read_text(encoding="utf-8")
        uses |= _imported(ast.parse(text))
        folder = "" if path == lone else path.parent.relative_to(top).as_posix().removeprefix(".")
        if (lines := len(text.splitlines())) > 1:  # a title alone is no file to speak of
            files.setdefault(folder, []).append((path.stem, lines))
    said = ast.get_docstring(ast.parse(paths[0].read_text(encoding="utf-8"))) or ""
    return Room(name, said.partition("\n")[0], files, frozenset(uses - {name}))


def _imported(tree: ast.Module) -> set[str]:
    """The packages of the library that a file imports, anywhere in it."""
    modules = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules += [f"{node.module}.{alias.name}" for alias in node.names]
    return {m.split(".")[1] for m in modules if m.startswith("vadlib.")}


def drawing(root: Path) -> str:
    """The house as SVG, readable on a phone. Raises VadError as `rooms` does."""
    house, top = rooms(root), EDGE
    used = [room.name for room in house if any(room.name in other.uses for other in house)]
    step = (WIDTH - WALL - EDGE) / max(1, len(used))
    colours = [COLOURS[number % len(COLOURS)] for number in range(len(house))]
    wires = {name: round(WALL + step * (i + 1)) for i, name in enumerate(used)}
    parts = []
    doors: dict[str, tuple[int, int]] = {}  # where lines enter a room, and where one leaves it
    for room, colour in zip(house, colours, strict=True):
        text, height = _room_text(room, top, colour)
        parts += [_box(top, height, colour), *text]
        doors[room.name] = top + 16, top + height - 13
        if room.uses:
            end = max(wires[name] for name in room.uses)
            parts.append(_path(f"M{WALL} {doors[room.name][1]}H{end}", QUIET, 1))
        top += height + EDGE
    for room, colour in zip(house, colours, strict=True):
        users = {r.name: doors[r.name][1] for r in house if room.name in r.uses}
        if users:
            parts += _wire(room.name, wires[room.name], users, doors[room.name][0], colour)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" '
        f'width="{1.3 * WIDTH:.0f}" font-family="system-ui, sans-serif" font-size="12.5">'
    )
    ground = f'<rect width="{WIDTH}" height="{top}" rx="6" fill="{GROUND}"/>'
    return "\n".join([head, ground, *parts, "</svg>", ""])


def _room_text(room: Room, top: int, colour: str) -> tuple[list[str], int]:
    """What is written in a room, and the height that it takes."""
    x, y = EDGE + PAD, top + 20
    count = sum(map(len, room.files.values()))
    size = f"{room.lines} lines" if count == 1 else f"{count} files, {room.lines} lines"
    parts = [
        _text(x, y, room.name, colour, 'font-weight="700" font-size="14.5"'),
        _text(WALL - PAD, y, size, QUIET, 'text-anchor="end"'),
    ]
    y += 3
    for line in textwrap.wrap(room.about.replace("`", ""), LETTERS):
        y += LINE
        parts.append(_text(x, y, line, INK))
    y += 3
    for folder, files in room.files.items() if count > 1 else ():
        head, indent = (f"{folder}/ ", "  ") if folder else ("", "")
        text = head + "  ".join(f"{name}\xa0{lines}" for name, lines in files)
        for line in textwrap.wrap(text, FILES, subsequent_indent=indent):
            y += LINE
            parts.append(_text(x, y, line.replace(" ", "\xa0"), QUIET, MONO))
    return parts, y + PAD - top


def _wire(name: str, x: int, users: dict[str, int], into: int, colour: str) -> list[str]:
    """From the rooms that stand on `name`, a dot each, to its wall and into it."""
    ends = [into, *users.values()]
    parts = [
        _path(f"M{x} {min(ends)}V{max(ends)}M{x} {into}H{WALL + 5}", colour, 1.6),
        f'<path d="M{WALL} {into}l7 -4v8z" fill="{colour}"/>',
    ]
    for user, y in users.items():
        title = f"<title>{user} stands on {name}</title>"
        parts.append(f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}">{title}</circle>')
    return parts


def _box(top: int, height: int, colour: str) -> str:
    place = f'x="{EDGE}" y="{top}" width="{WALL - EDGE}" height="{height}"'
    return f'<rect {place} rx="5" fill="none" stroke="{colour}"/>'


def _path(path: str, colour: str, width: float) -> str:
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def _text(x: int, y: int, text: str, colour: str, more: str = "") -> str:
    return f'<text x="{x}" y="{y}" fill="{colour}" {more}>{html.escape(text)}</text>'


def write(root: Path) -> Path:
    """Draw the house where CONTRIBUTING.md looks for it. Raises VadError as `rooms` does."""
    (root / PLACE).parent.mkdir(exist_ok=True)
    (root / PLACE).write_text(drawing(root), encoding="utf-8")
    return root / PLACE


if __name__ == "__main__":
    try:
        print(write(Path.cwd()).relative_to(Path.cwd()))
    except VadError as error:
        sys.exit(f"house: {error}")
