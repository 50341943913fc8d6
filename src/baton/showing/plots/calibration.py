"""The picture of how often a predicted probability comes true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from baton.showing.plots.picture import (
    COLOURS,
    DASHES,
    GREY,
    MAX_CURVES,
    SKY,
    WORST_CURVES,
    Picture,
    drawn_in_style,
    grid,
    new_figure,
    plain,
)
from baton.words.text import elide, elided, number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@drawn_in_style
def calibration_curve(curves: pd.DataFrame) -> Picture:
    """Observed frequency over predicted probability, and how many rows stand behind it.

    Parameters
    ----------
    curves : DataFrame
        From :func:`baton.evaluation.curves.calibration`.
    """
    labels = list(curves["class"].drop_duplicates())
    figure = new_figure(5.8)
    ax, below = figure.subplots(2, sharex=True, height_ratios=[4, 1])
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (2, 3)), label="perfect")
    shown = _calibrations(curves, labels)
    for place, (label, lines) in enumerate(shown.items()):
        _draw_calibration(ax, label, lines, place)
    _draw_counts(below, curves)
    ax.set_ylabel("observed frequency")
    ax.set_xlim(-0.01, 1.01)
    ax.set_ylim(-0.02, 1.02)
    grid(ax)
    heading = "class" if len(labels) <= MAX_CURVES else f"all and worst {WORST_CURVES}"
    ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1), title=heading, alignment="left")
    title = "Calibration"
    ax.set_title(title)
    return Picture(
        "calibration", title, _calibration_alt(curves, labels), _CALIBRATION_NOTE, figure
    )


_CALIBRATION_NOTE = (
    "Of the rows given a probability, the part that are of the class. On the dotted line the"
    " probabilities are as often right as they say. Great points stand for many rows, small ones"
    " for few; below, how many predictions have that probability."
)


def _calibrations(curves: pd.DataFrame, labels: list[Any]) -> dict[str, pd.DataFrame]:
    """Curves to draw, by their names in the legend."""
    if len(labels) <= MAX_CURVES:
        chosen = labels
        shown = {}
    else:
        worst = {label: _calibration_error(curves[curves["class"] == label]) for label in labels}
        chosen = sorted(labels, key=lambda label: -worst[label])[:WORST_CURVES]
        shown = {f"all {len(labels)}": _pooled(curves)}
    names = elided(chosen, 20)
    parts = [curves[curves["class"] == label] for label in chosen]
    return shown | dict(zip(names, parts, strict=True))


def _pooled(curves: pd.DataFrame) -> pd.DataFrame:
    """One curve of all classes' probabilities."""
    weighted = curves.assign(
        bin=(curves["mean_predicted"] * 10).clip(upper=9).astype(int),
        mean_predicted=curves["mean_predicted"] * curves["n_rows"],
        observed=curves["observed"] * curves["n_rows"],
    )
    sums = weighted.groupby("bin")[["mean_predicted", "observed", "n_rows"]].sum()
    return sums.assign(
        mean_predicted=sums["mean_predicted"] / sums["n_rows"],
        observed=sums["observed"] / sums["n_rows"],
    )


def _calibration_error(lines: pd.DataFrame) -> float:
    """Mean distance from the diagonal, over the rows."""
    distance = (lines["mean_predicted"] - lines["observed"]).abs()
    return float((distance * lines["n_rows"]).sum() / max(lines["n_rows"].sum(), 1))


def _draw_calibration(ax: Axes, label: str, lines: pd.DataFrame, place: int) -> None:
    """Draw one curve, its points the greater the more rows they stand for."""
    colour, marker = COLOURS[place % len(COLOURS)], "os^Dv"[place % 5]
    dashes = DASHES[(place // len(COLOURS) + place) % len(DASHES)]
    x, y, n_rows = lines["mean_predicted"], lines["observed"], lines["n_rows"]
    ax.plot(x, y, color=colour, linestyle=dashes, linewidth=1.5)
    sizes = 12 + 108 * np.sqrt(n_rows / n_rows.max())
    ax.scatter(x, y, s=sizes, color=colour, marker=marker, zorder=3)
    ax.plot([], [], color=colour, linestyle=dashes, marker=marker, label=plain(label))


def _draw_counts(ax: Axes, curves: pd.DataFrame) -> None:
    pooled = _pooled(curves)
    ax.bar(pooled.index / 10 + 0.05, pooled["n_rows"], width=0.09, color=SKY)
    ax.set_yscale("log")
    ax.set_ylim(bottom=0.6)
    ax.set_ylabel("count")
    ax.set_xlabel("predicted probability")
    ax.tick_params(length=0, which="both")


def _calibration_alt(curves: pd.DataFrame, labels: list[Any]) -> str:
    errors = {label: _calibration_error(curves[curves["class"] == label]) for label in labels}
    mean = number(100 * float(np.mean(list(errors.values()))), 2)
    if len(labels) == 1:
        return (
            f"Calibration of class {elide(labels[0])}: observed frequencies are on average {mean}"
            " percentage points from the predicted probabilities."
        )
    worst = max(labels, key=lambda label: errors[label])
    return (
        f"Calibration of {len(labels)} classes: observed frequencies are on average {mean}"
        f" percentage points from the predicted probabilities, most for class {elide(worst)}"
        f" ({number(100 * errors[worst], 2)})."
    )
