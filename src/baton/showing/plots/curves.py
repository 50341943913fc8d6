"""ROC and precision-recall curves, one class against the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.errors import InputError
from baton.showing.plots.picture import (
    BLACK,
    COLOURS,
    DASHES,
    GREY,
    MAX_CURVES,
    WORST_CURVES,
    Picture,
    drawn_in_style,
    grid,
    new_figure,
    plain,
)
from baton.words.text import elided, number

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from matplotlib.axes import Axes

    Array = np.ndarray[Any, np.dtype[Any]]


@drawn_in_style
def roc_curves(curves: pd.DataFrame) -> Picture:
    """ROC curves, one class against the rest.

    Parameters
    ----------
    curves : DataFrame
        From :func:`baton.evaluation.curves.roc`.
    """
    found = _curves(curves, "false_positive_rate", "true_positive_rate", _trapezoid)
    figure = new_figure(5.4)
    ax = figure.subplots()
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (2, 3)), label="chance: 0.5")
    _draw_curves(ax, found, "AUC")
    ax.set_xlabel("false positive rate")
    ax.set_ylabel("true positive rate")
    title = "ROC curve" if len(found) == 1 else "ROC curves, each class against the rest"
    ax.set_title(title)
    return Picture(
        "roc", title, _curves_alt(title, found, "the area under it"), _curve_note(found), figure
    )


@drawn_in_style
def precision_recall_curves(curves: pd.DataFrame) -> Picture:
    """Precision-recall curves, one class against the rest.

    Parameters
    ----------
    curves : DataFrame
        From :func:`baton.evaluation.curves.precision_recall`.
    """
    found = _curves(curves, "recall", "precision", _stepped)
    figure = new_figure(5.4)
    ax = figure.subplots()
    if len(found) == 1:
        prevalence = found[0].y[found[0].x.argmax()]
        label = f"chance: {number(prevalence)}"
        ax.axhline(prevalence, color=GREY, linewidth=1, linestyle=(0, (2, 3)), label=label)
    _draw_curves(ax, found, "AP")
    ax.set_xlabel("recall")
    ax.set_ylabel("precision")
    title = (
        "Precision and recall"
        if len(found) == 1
        else "Precision and recall, each class against the rest"
    )
    ax.set_title(title)
    alt = _curves_alt(title, found, "average precision")
    return Picture("precision_recall", title, alt, _curve_note(found), figure)


@dataclass(frozen=True)
class _Curve:
    label: str
    x: Array
    y: Array
    area: float


def _curves(
    curves: pd.DataFrame, x: str, y: str, area: Callable[[Array, Array], float]
) -> list[_Curve]:
    """Curve of each class, in the order of the classes."""
    groups = list(curves.groupby("class", sort=False, observed=True))
    labels = elided([label for label, _ in groups], 20)
    found = []
    for name, (_, points) in zip(labels, groups, strict=True):
        along, up = points[x].to_numpy(np.float64), points[y].to_numpy(np.float64)
        found.append(_Curve(name, along, up, area(along, up)))
    if not found:
        raise InputError("no class has held-out rows both in it and out of it: there is no curve")
    return found


def _trapezoid(x: Array, y: Array) -> float:
    return float(np.trapezoid(y, x))


def _stepped(recall: Array, precision: Array) -> float:
    """Average precision, as scikit-learn defines it."""
    return float(max(0.0, -np.sum(np.diff(recall) * precision[:-1])))


def _draw_curves(ax: Axes, found: list[_Curve], area: str) -> None:
    shown = found
    if len(found) > MAX_CURVES:
        mean = _mean_curve(found)
        ax.plot(mean.x, mean.y, color=BLACK, linewidth=3, label=f"{mean.label}: {mean.area:.3f}")
        shown = sorted(found, key=lambda curve: curve.area)[:WORST_CURVES]
    for place, curve in enumerate(shown):
        ax.plot(
            curve.x,
            curve.y,
            color=COLOURS[place % len(COLOURS)],
            linestyle=DASHES[(place // len(COLOURS) + place) % len(DASHES)],
            linewidth=2,
            label=f"{plain(curve.label)}: {curve.area:.3f}",
        )
    ax.set_xlim(-0.01, 1.01)
    ax.set_ylim(-0.01, 1.02)
    ax.set_aspect("equal")
    grid(ax)
    heading = area if len(found) <= MAX_CURVES else f"{area}: mean and worst {WORST_CURVES}"
    ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1), title=heading, alignment="left")


def _mean_curve(found: list[_Curve]) -> _Curve:
    """Mean over the classes, at the same places along x."""
    grid = np.linspace(0, 1, 501)
    heights = []
    for curve in found:
        order = np.argsort(curve.x, kind="stable")
        heights.append(np.interp(grid, curve.x[order], curve.y[order]))
    mean = float(np.mean([curve.area for curve in found]))
    return _Curve(f"mean of {len(found)}", grid, np.mean(heights, axis=0), mean)


def _curves_alt(title: str, found: list[_Curve], area: str) -> str:
    if len(found) == 1:
        return f"{title} of class {found[0].label}: {area} is {found[0].area:.3f}."
    ordered = sorted(found, key=lambda curve: curve.area)
    mean = np.mean([curve.area for curve in found])
    return (
        f"{title}: {area} is {mean:.3f} on average over {len(found)} classes, from"
        f" {ordered[0].area:.3f} ({ordered[0].label}) to {ordered[-1].area:.3f}"
        f" ({ordered[-1].label})."
    )


def _curve_note(found: list[_Curve]) -> str:
    if len(found) == 1:
        return f"Of class {found[0].label}; the dotted line is chance."
    if len(found) <= MAX_CURVES:
        return "One curve per class, against all others."
    return (
        f"The thick curve is the mean over all {len(found)} classes; of the classes, the worst"
        f" {WORST_CURVES} are drawn."
    )
