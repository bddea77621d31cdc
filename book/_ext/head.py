"""What a page needs beside its text: a description, the script of things to move, fair roles.

The description is the page's first paragraph; in a chapter, its question. The script stands in the
page, because browsers refuse files of modules to pages that are opened from a file. The
bibliography loses roles that are deprecated (docutils still writes them).
"""

from html import escape
from pathlib import Path

from docutils import nodes

ROLES = {
    ' role="doc-biblioentry"': "",
    '<div role="list" class="citation-list">': '<div class="citation-list">',
}


def describe(doctree) -> str:
    """The first paragraph of a page, 200 characters at most, cut between words."""
    found = next(iter(doctree.findall(nodes.paragraph)), None)
    text = " ".join(found.astext().split()) if found else ""
    return text if len(text) <= 200 else text[:199].rsplit(" ", 1)[0] + " …"


def scripts(static: Path, inside: bool) -> str:
    """What brings a page's figures to life; with a detector inside it, if its runtime is here."""
    script, runtime = (static / "moving.js").read_text(encoding="utf-8"), static / "ort"
    if inside and runtime.is_dir():
        size = sum(p.stat().st_size for p in runtime.iterdir()) / 1e6
        more = (static / "inpage.js").read_text(encoding="utf-8")
        script += "\n" + more.replace("@MEGABYTES@", f"{size:.0f}")
    return script


def setup(app):
    def process(app, page, template, context, doctree):
        if doctree is not None and (said := describe(doctree)):
            tag = f'<meta name="description" content="{escape(said, quote=True)}" />'
            context["metatags"] = context.get("metatags", "") + tag
        for old, new in ROLES.items():
            context["body"] = context.get("body", "").replace(old, new)
        if 'class="vad-move' in context["body"]:
            inside = 'class="vad-move vad-inpage"' in context["body"]
            script = scripts(Path(app.srcdir) / "_static", inside)
            context["body"] += f'<script type="module">{script}</script>'

    app.connect("html-page-context", process)
    return {"parallel_read_safe": True}
