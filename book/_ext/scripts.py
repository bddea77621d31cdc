"""Loads each script once, and Thebe (live kernels, which this book does not use) never.

Sphinx and Jupyter Book both ask for MathJax, and Thebe's settings arrive twice: either would start
every page with a script error. Jupyter Book loads whatever lies in `_static`; but moving.js is a
module, which `head.py` puts into the pages that move, and so is inpage.js.
"""

NEVER = ("thebe", "moving.js", "inpage.js")


def setup(app):
    def process(app, page, template, context, doctree):
        files = context.get("script_files", [])
        once = {str(f.filename or f.attributes.get("body")): f for f in reversed(files)}
        kept = [f for name, f in once.items() if not any(part in name for part in NEVER)]
        files[:] = sorted(kept, key=files.index)

    app.connect("html-page-context", process)
    return {"parallel_read_safe": True}
