"""Pictures of the eye chart: thresholds by method and kind, and the curves that they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vadlib.errors import VadError
from vadlib.measure.threshold import SEES, Curve, Threshold, threshold
from vadlib.show.plot import COLOURS, WIDTH, look

BLIND = "#C9C9C9"


def eyechart(
    found: Mapping[str, Mapping[str, Threshold]],
    twins: Mapping[str, Mapping[str, Threshold]] | None = None,
) -> Figure:
    """Thresholds by method and dial: a mark with its interval; grey, and said, where one is blind.

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
        ax.text(largest / 2, y - 0.1, found.words, ha="center", va="center", fontsize=7)
    else:
        ax.text(largest / 2, y, "all", ha="center", va="center", fontsize=9, color=COLOURS[2])


def _mark(ax: Axes, y: float, found: Threshold, largest: float, colour: str, face: str) -> None:
    """A threshold and its interval, cut where the dial ends."""
    low, high = np.clip([found.low, found.high], 0, largest)
    ax.plot([low, high], [y, y], color=colour, linewidth=2, linestyle="-")
    ax.plot(float(found.at or 0), y, "o", color=colour, markerfacecolor=face, markersize=5)


def curves(sides: Mapping[str, Mapping[str, Mapping[str, Curve]]], dials: Sequence[str]) -> Figure:
    """AUC against dials, a row of panels for each dial: title -> method -> dial -> curve.

    Bars are intervals over videos, a stroke at the foot is a threshold. Raises VadError as
    `measure.threshold.threshold` does.
    """
    size = (8.4, 0.6 + 2.5 * len(dials))
    figure, axes = plt.subplots(
        len(dials), len(sides), figsize=size, sharex="row", sharey=True, squeeze=False
    )
    for row, dial in zip(axes, dials, strict=True):
        for ax, (title, methods) in zip(row, sides.items(), strict=True):
            for number, (name, found) in enumerate(methods.items()):
                _curve(ax, found[dial], 0.015 * number, name)
            ax.axhline(100 * SEES, color="0.4", linestyle=":", linewidth=1)
            ax.set(title=f"{dial}, {title}", ylim=(40, 101))
        row[0].set_ylabel("AUC, percent")
    for ax in axes[-1]:
        ax.set_xlabel("effect")
    axes[0, -1].legend(frameon=False)
    return figure


def _curve(ax: Axes, curve: Curve, aside: float, name: str) -> None:
    """One method's AUCs with their intervals, set aside a little, and its threshold."""
    line, value = look(name), 100 * curve.values
    ends = 100 * np.array([[a.low, a.high] for a in curve.auc]).T
    ax.errorbar(
        curve.at + aside, value, np.abs(ends - value), marker="o", label=name, markersize=4, **line
    )
    if (passed := threshold(curve).at) is not None:
        ax.plot([passed] * 2, [40, 44], color=line["color"], linewidth=3, linestyle="-")


def bearing(rows: Mapping[str, Mapping[str, Curve]], usual: Mapping[str, float]) -> Figure:
    """AUC against each condition, a line for each method: method -> condition -> curve.

    usual  condition -> the setting under which all were trained, a grey line
    """
    figure, axes = plt.subplots(
        2, -(-len(usual) // 2), figsize=(8.4, 5.4), sharey=True, squeeze=False
    )
    for ax, (dial, setting) in zip(axes.flat, usual.items(), strict=True):
        ax.axvline(setting, color="0.7", linewidth=1, linestyle="-", zorder=0)
        for name, row in rows.items():
            ax.plot(
                row[dial].at, 100 * row[dial].values, marker="o", ms=3, label=name, **look(name)
            )
        ax.set(title=dial, xticks=next(iter(rows.values()))[dial].at)
    for ax in axes[:, 0]:
        ax.set_ylabel("AUC, percent")
    labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(*labels, loc="outside lower center", ncols=5, frameon=False)
    return figure
