"""Drawings of networks: boxes with shapes, and arrows between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from vadlib.errors import VadError

FILLS = {
    "data": "#DCEAF5",
    "net": "#FFFFFF",
    "memory": "#DDF0E8",
    "loss": "#FBE3D3",
    "score": "#FFF3CC",
}
POINTS = 11  # of text: on a phone, where 6.5 inches are 390 pixels, it is 9 pixels high


def diagram(
    nodes: Mapping[str, tuple],
    edges: Sequence[tuple[str, ...]],
    width: float = 6.5,
    height: float = 2.6,
) -> Axes:
    """Boxes on a grid, joined by arrows; white ground, text that a phone can show.

    nodes  name -> (x, y, text) or (x, y, text, kind), in grid units; kind of FILLS, "net" if none
    edges  (from, to) or (from, to, label)
    Raises VadError for a kind and for a node that do not exist.
    """
    kinds = {name: (*node[3:], "net")[0] for name, node in nodes.items()}
    for what, asked, known in (
        ("kind", kinds.values(), FILLS),
        ("node", [name for edge in edges for name in edge[:2]], nodes),
    ):
        if unknown := [name for name in asked if name not in known]:
            raise VadError(
                f"diagram: there is no {what} {unknown[0]!r}", f"Use one of: {', '.join(known)}."
            )
    figure = plt.figure(figsize=(width, height), layout="none")
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    xs, ys = ([n[i] for n in nodes.values()] for i in (0, 1))
    ax.set(xlim=(min(xs) - 0.5, max(xs) + 0.5), ylim=(min(ys) - 0.5, max(ys) + 0.5))
    boxes: dict[str, Any] = {}
    for name, (x, y, text, *_) in nodes.items():
        box: dict[str, Any] = {"boxstyle": "round,pad=0.4", "ec": "0.25", "lw": 1.0}
        box["fc"] = FILLS[kinds[name]]
        written = ax.text(x, y, text, ha="center", va="center", fontsize=POINTS, bbox=box, zorder=3)
        boxes[name] = written.get_bbox_patch()
    figure.draw_without_rendering()  # only now has a box its size
    for start, end, *label in edges:
        arrow = {"arrowstyle": "-|>", "color": "0.25", "lw": 1.1, "shrinkA": 1, "shrinkB": 2}
        arrow |= {"patchA": boxes[start], "patchB": boxes[end]}  # from rim to rim, however wide
        # drawn after the boxes, whose places it asks for
        ax.annotate("", nodes[end][:2], nodes[start][:2], arrowprops=arrow, zorder=4)
        if label:
            _label(ax, label[0], nodes[start][:2], nodes[end][:2], boxes[start], boxes[end])
    return ax


def _label(ax: Axes, text: str, one: tuple, two: tuple, first: Any, second: Any) -> None:
    """Words at an arrow: above a level one, beside an upright one, on any other."""
    (x0, y0), (x1, y1) = one, two
    write = partial(ax.text, s=text, fontsize=POINTS, zorder=5)
    to_data = ax.transData.inverted()
    left, right = sorted(
        (box.get_window_extent().transformed(to_data) for box in (first, second)),
        key=lambda rim: rim.x0,
    )
    if y0 == y1:
        middle = (left.x1 + right.x0) / 2
        written = write(middle, y0 + 0.06, ha="center", va="bottom")
        wide = written.get_window_extent().transformed(to_data).width
        if wide > 0.9 * (right.x0 - left.x1):  # it would run into the boxes
            written.set_y(max(left.y1, right.y1) + 0.02)
    elif x0 == x1:
        write(x0 + 0.06, (y0 + y1) / 2, ha="left", va="center")
    else:
        ground = {"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none"}
        write((x0 + x1) / 2, (y0 + y1) / 2, ha="center", va="center", bbox=ground)
