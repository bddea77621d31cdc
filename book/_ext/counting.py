"""Figures, tables and equations are counted by chapter: Fig. 7.3, Eq. 7.2.

Sphinx counts through the whole book, or by sections that it numbers itself; our chapters have
their numbers from their file names, gaps included. Other pages count from 1, without a chapter.
"""

import re

CHAPTER = re.compile(r"(\d+)_")


def by_chapter(page: str, numbers: dict) -> dict:
    """The numbers of one page's {kind: {id: (n,)}}, counted anew: (chapter, n), or (n,)."""
    found = CHAPTER.match(page)
    head = (int(found[1]),) if found else ()
    counted = {}
    for kind, items in numbers.items():
        order = sorted(items, key=items.get)
        counted[kind] = {name: (*head, n) for n, name in enumerate(order, 1)}
    return counted


def setup(app):
    def process(app, env):
        env.toc_fignumbers = {p: by_chapter(p, n) for p, n in env.toc_fignumbers.items()}
        return list(env.toc_fignumbers)

    app.connect("env-get-updated", process, priority=900)  # after Sphinx has counted
    return {"parallel_read_safe": True}
