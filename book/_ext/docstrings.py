"""Lets Sphinx read the library's docstrings, which are plain text, not reStructuredText.

A line `name   what it is` (two spaces or more) describes an argument; lines indented below it
continue it. Everything else is prose, in which `code` stands between single backticks.
"""

import re

ARGUMENT = re.compile(r"(\S(?:.*?\S)?) {2,}(\S.*)")


def escape(text: str) -> str:
    """Prose in which only `code` means anything."""
    parts = re.split(r"`+([^`]+)`+", text)
    prose = [re.sub(r"([\\*|_<>:])", r"\\\1", part) for part in parts[0::2]]
    code = [f"``{part}``\\ " for part in parts[1::2]] + [""]  # the escape ends the markup
    return "".join(p + c for p, c in zip(prose, code, strict=True))


def convert(lines: list[str]) -> list[str]:
    """The docstring as reStructuredText: arguments become a definition list."""
    made: list[str] = []
    inside = False
    whole = re.sub(r"`[^`]+`", lambda m: " ".join(m[0].split()), "\n".join(lines))
    for line in whole.split("\n"):
        shallow = not line.startswith("   ")  # deeper lines continue the line above
        argument = ARGUMENT.fullmatch(line.strip()) if shallow else None
        if argument:
            made += ["", f"``{argument[1]}``", f"    {escape(argument[2])}"]
        elif inside and line.startswith(" "):
            made.append(f"    {escape(line.strip())}")
        else:
            made += ["", escape(line.strip())] if inside else [escape(line.strip())]
        inside = bool(argument) or (inside and line.startswith(" "))
    return [*made, ""]


def setup(app):
    def process(app, what, name, object, options, lines):
        lines[:] = convert(lines)

    app.connect("autodoc-process-docstring", process)
    return {"parallel_read_safe": True}
