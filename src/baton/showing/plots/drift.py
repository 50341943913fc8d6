"""Pictures of drift: shares of the rows before and now, and what a classifier goes by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from baton.showing.plots.picture import (
    BLUE,
    MAX_FEATURES,
    ORANGE,
    Picture,
    best,
    drawn_in_style,
    entitle,
    grid,
    more,
    new_figure,
    plain,
    plains,
)
from baton.words.text import listed, number, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from baton.monitoring.drift import ColumnDrift, Drift

    Bin = tuple[str, float, float]

MOST_COLUMNS = 12
"""Columns that are drawn."""

_MOST_BARS = 20
_SEEN = 0.005
"""Part of the greatest bar below which a bar would not be seen."""

_PALE = "#9CC3DE"


@drawn_in_style
def before_and_now(columns: Sequence[ColumnDrift]) -> Picture:
    """Shares of the rows in each bin, before and now, a small picture for each column.

    Parameters
    ----------
    columns : sequence of ColumnDrift
        At least one; the first 12 are drawn.
    """
    shown = columns[:MOST_COLUMNS]
    n_lines = (len(shown) + 1) // 2
    figure = new_figure(0.6 + 3.1 * n_lines)
    axes = figure.subplots(n_lines, 2, squeeze=False).ravel()
    for ax, column in zip(axes, shown, strict=False):
        _draw(ax, column)
    for ax in axes[len(shown) :]:
        ax.axis("off")
    title = "Training rows and new rows"
    entitle(figure, title)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper right", ncols=2, borderaxespad=0.2)
    left_out = len(columns) - len(shown)
    rest = f" {left_out} further columns are in the table alone." if left_out > 0 else ""
    return Picture("before_and_now", title, _alt(shown), f"{_NOTE}{rest}", figure)


_NOTE = (
    "Share of the rows in each bin. A bin from one number to another holds the greater one, not"
    " the smaller. Where levels are rare, half of the training rows chose those that have a bar,"
    " and the bars are of the other half, which has levels that the first had never seen."
)


def _draw(ax: Axes, column: ColumnDrift) -> None:
    bins = _fewer(column.bins)
    places = np.arange(len(bins))
    for side, (name, colour) in enumerate((("training", _PALE), ("new", ORANGE))):
        heights = [100 * one[1 + side] for one in bins]
        ax.bar(places + 0.4 * (side - 0.5), heights, 0.4, color=colour, label=name)
    names = plains([one[0] for one in bins], 17)
    is_tight = sum(map(len, names)) > 34
    ax.set_xticks(places, names, rotation=90 if is_tight else 0, fontsize=8)
    ax.set_xlim(-0.7, max(len(bins), 4) - 0.3)
    grid(ax, "y")
    ax.tick_params(axis="y", labelsize=9)
    ax.set_ylabel("% of the rows", fontsize=9)
    said = f"{plain(column.name, 22)}  (PSI {number(column.psi, 2)})"
    ax.set_title(said, fontsize=11)


def _fewer(bins: Sequence[Bin]) -> list[Bin]:
    """So many bins as there is room for: of many, those that moved most, the others as one."""
    if len(bins) <= _MOST_BARS:
        return list(bins)
    by_move = sorted(range(len(bins)), key=lambda i: -abs(bins[i][2] - bins[i][1]))
    kept = sorted(by_move[: _MOST_BARS - 1])
    rest = [bins[i] for i in by_move[_MOST_BARS - 1 :]]
    sums = (sum(one[1] for one in rest), sum(one[2] for one in rest))
    return [*(bins[i] for i in kept), (f"({len(rest)} more bins)", *sums)]


def _alt(columns: Sequence[ColumnDrift]) -> str:
    return (
        f"Bars of the shares before and now of {quoted(one.name for one in columns)}. "
        f"{listed([_most_moved(one) for one in columns], last='; ')}."
    )


def _most_moved(column: ColumnDrift) -> str:
    if not column.bins:
        return f"{column.name} has no bin"
    label, before, now = max(column.bins, key=lambda one: abs(one[2] - one[1]))
    return f"{column.name}: {100 * before:.0f} % of the rows were in {label}, now {100 * now:.0f} %"


@drawn_in_style
def told_by(drift: Drift) -> Picture:
    """What the classifier goes by, greatest first.

    Parameters
    ----------
    drift : Drift
        With `told_by`.
    """
    greatest = drift.told_by[0][1]
    shown = [one for one in drift.told_by[:MAX_FEATURES] if one[1] >= _SEEN * greatest]
    places = np.arange(len(shown))
    figure = new_figure(1.5 + 0.36 * len(shown))
    ax = figure.subplots()
    ax.barh(places, [value for _, value in shown], color=BLUE)
    ax.set_yticks(places, plains([name for name, _ in shown]))
    ax.set_ylim(len(shown) - 0.4, -0.6)
    grid(ax, "x")
    ax.set_xlabel("mean |SHAP value| [log odds that a row is new]")
    title = "What tells new rows from training rows"
    ax.set_title(title)
    names, values = zip(*drift.told_by, strict=True)
    alt = f"Mean absolute Shapley values, greatest first: {best(names, values)}."
    note = f"Of rows that the classifier did not learn from. {more(len(names), len(shown))}".strip()
    return Picture("told_by", title, alt, note, figure)
