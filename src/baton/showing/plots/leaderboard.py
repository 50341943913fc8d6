"""The picture of the leaderboard: each candidate's score and interval, the best first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from baton.evaluation import metrics
from baton.showing.plots.picture import (
    BLUE,
    GREY,
    Picture,
    drawn_in_style,
    grid,
    new_figure,
    with_unit,
)
from baton.words.text import counted, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from baton.selection import Line

_MOST = 25


@drawn_in_style
def leaderboard(lines: Sequence[Line], metric: str, unit: str = "") -> Picture:
    """Scores out of fold with their 95 % intervals, the best first.

    Parameters
    ----------
    lines : sequence of Line
    metric : str
    unit : str
        Of the target; used if the metric is measured in it.
    """
    info = metrics.INFO[metrics.parse(metric)]
    known = [line for line in lines if line.score is not None][:_MOST]
    figure = new_figure(1.5 + 0.34 * len(known))
    ax = figure.subplots()
    for place, line in enumerate(known):
        colour = GREY if line.is_behind else BLUE
        if line.low is not None and line.high is not None:
            ax.plot([line.low, line.high], [place, place], color=colour, linewidth=6, alpha=0.35)
        ax.plot([line.score or 0.0], [place], "o", color=colour, markersize=8)
    ax.set_yticks(range(len(known)), [line.candidate for line in known])
    ax.set_ylim(len(known) - 0.4, -0.6)
    grid(ax, "x")
    direction = "higher is better" if info.greater_is_better else "lower is better"
    ax.set_xlabel(with_unit(f"{info.label}, {direction}", unit if info.has_target_unit else ""))
    ax.set_title("Leaderboard")
    note = (
        "Rows that were answered by models not fitted on them, with 95 % intervals; grey where the"
        " first is better by more than noise. Intervals overlap also where that is so: the same"
        " rows are hard for all."
    )
    return Picture("leaderboard", "Leaderboard", _alt(known, info.label), note, figure)


def _alt(lines: Sequence[Line], label: str) -> str:
    first = lines[0] if lines else None
    said = f"{label} of {counted(len(lines), 'candidate')} out of fold"
    if first is None:
        return f"{said}."
    level = [line.candidate for line in lines[1:] if not line.is_behind]
    same = f"; not clearly behind: {', '.join(level)}" if level else ""
    return f"{said}; the first is {first.candidate} with {number(first.score or 0.0)}{same}."
