"""Drawings of networks: boxes with shapes, and arrows between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

FILLS = {
    "data": "#DCEAF5",
    "net": "#FFFFFF",
    "memory": "#DDF0E8",
    "loss": "#FBE3D3",
    "score": "#FFF3CC",
}


def diagram(
    nodes: Mapping[str, tuple],
    edges: Sequence[tuple[str, ...]],
    width: float = 6.5,
    height: float = 2.6,
) -> Axes:
    """Boxes on a grid, joined by arrows; white ground, text of nine points.

    nodes  name -> (x, y, text) or (x, y, text, kind), in grid units; kind of FILLS, "net" if none
    edges  (from, to) or (from, to, label)
    """
    _, ax = plt.subplots(figsize=(width, height))
    for x, y, text, *kind in nodes.values():
        box: dict[str, Any] = {"boxstyle": "round,pad=0.4", "ec": "0.25", "lw": 1.0}
        box["fc"] = FILLS[kind[0] if kind else "net"]
        ax.text(x, y, text, ha="center", va="center", fontsize=9, bbox=box, zorder=3)
    for start, end, *label in edges:
        (x0, y0), (x1, y1) = nodes[start][:2], nodes[end][:2]
        arrow = {"arrowstyle": "-|>", "color": "0.25", "lw": 1.1, "shrinkA": 26, "shrinkB": 28}
        ax.annotate("", (x1, y1), (x0, y0), arrowprops=arrow, zorder=2)
        if label:
            at = (x0 + x1) / 2, (y0 + y1) / 2 + 0.12
            ax.text(*at, label[0], ha="center", va="bottom", fontsize=9)
    xs, ys = ([n[i] for n in nodes.values()] for i in (0, 1))
    ax.set(xlim=(min(xs) - 0.55, max(xs) + 0.55), ylim=(min(ys) - 0.5, max(ys) + 0.5))
    ax.set_axis_off()
    return ax
