"""The picture of an eye chart: rows methods, columns kinds, the threshold as a mark."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vadlib.errors import VadError
from vadlib.measure.threshold import Threshold
from vadlib.show.plot import COLOURS, WIDTH

BLIND = "#C9C9C9"


def eyechart(
    found: Mapping[str, Mapping[str, Threshold]],
    twins: Mapping[str, Mapping[str, Threshold]] | None = None,
) -> Figure:
    """Thresholds by method and dial: a mark with its interval; grey where a method is blind.

    twins  the same thresholds against twins, where all else is equal: hollow marks
    Each column has the axis of its dial. A dial on the left is seen early; where all that was
    tried is seen, or borne, the cell says so. Raises VadError for no thresholds, or rows of
    different dials.
    """
    methods = list(found)
    dials = list(found[methods[0]]) if methods else []
    rows = [*found.values(), *(twins[m] for m in methods if twins)]
    if not dials or any(list(row) != dials for row in rows):
        raise VadError(
            f"a chart of {len(methods)} methods with different dials, or none",
            "Give the thresholds of the same kinds for every method.",
        )
    size = (max(WIDTH, 1.4 + 0.85 * len(dials)), 1.0 + 0.36 * len(methods))
    figure, axes = plt.subplots(1, len(dials), figsize=size, sharey=True, squeeze=False)
    for dial, ax in zip(dials, axes[0], strict=True):
        largest = max(row[dial].largest for row in found.values())
        for y, method in enumerate(methods):
            _cell(ax, y, found[method][dial], largest)
            if twins and twins[method][dial].at is not None:
                _mark(ax, y + 0.22, twins[method][dial], largest, COLOURS[1], "none")
        ax.set_title(dial.replace(" ", "\n"), fontsize=9, loc="center")
        ax.set_xlim(-0.06 * largest, 1.06 * largest)
        ax.set_xticks([0, largest], ["0", f"{largest:g}"])
        ax.set_ylim(len(methods) - 0.5, -0.5)
        ax.set_yticks(np.arange(len(methods)), methods)
        ax.tick_params(axis="y", length=0)
    return figure


def _cell(ax: Axes, y: int, found: Threshold, largest: float) -> None:
    """One method's threshold on one dial."""
    if found.at is not None:
        _mark(ax, y, found, largest, COLOURS[0], COLOURS[0])
    elif found.blind:
        ax.axhspan(y - 0.4, y + 0.4, color=BLIND, linewidth=0)
    else:
        ax.text(largest / 2, y, "all", ha="center", va="center", fontsize=9, color=COLOURS[2])


def _mark(ax: Axes, y: float, found: Threshold, largest: float, colour: str, face: str) -> None:
    """A threshold and its interval, cut where the dial ends."""
    low, high = np.clip([found.low, found.high], 0, largest)
    ax.plot([low, high], [y, y], color=colour, linewidth=2, linestyle="-")
    ax.plot(float(found.at or 0), y, "o", color=colour, markerfacecolor=face, markersize=5)
