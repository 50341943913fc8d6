"""Pictures of predicted numbers: over the actual ones, and what is left between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from baton.errors import InputError
from baton.showing.plots.picture import (
    BLACK,
    BLUE,
    SCATTERED_ROWS,
    SKY,
    Picture,
    drawn_in_style,
    grid,
    new_figure,
    plain,
    with_unit,
)
from baton.words.text import counted, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Array = np.ndarray[Any, np.dtype[Any]]


@drawn_in_style
def predicted_vs_actual(y_true: Any, y_pred: Any, target: str, unit: str = "") -> Picture:
    """Predicted over actual values.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
    target : str
    unit : str
        Of the target.
    """
    actual, predicted = _finite_pairs(y_true, y_pred)
    figure = new_figure(6.0, 7.2)
    ax = figure.subplots()
    low, high = _padded(np.concatenate([actual, predicted]))
    _draw_density(figure, ax, actual, predicted)
    ax.plot([low, high], [low, high], color=BLACK, linewidth=1.2, linestyle="--", label="equal")
    ax.set_xlim(low, high)
    ax.set_ylim(low, high)
    ax.set_aspect("equal")
    ax.locator_params(nbins=6)
    grid(ax)
    name = plain(target)
    ax.set_xlabel(with_unit(f"actual {name}", unit))
    ax.set_ylabel(with_unit(f"predicted {name}", unit))
    ax.legend(loc="upper left")
    title = "Predicted over actual values"
    ax.set_title(title)
    note = "On the dashed line the prediction equals the actual value."
    return Picture("predicted_vs_actual", title, _fit_alt(actual, predicted, unit), note, figure)


@drawn_in_style
def residuals(y_true: Any, y_pred: Any, target: str, unit: str = "") -> Picture:
    """Residuals, actual minus predicted, over predicted values, and their distribution.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
    target : str
    unit : str
        Of the target.
    """
    actual, predicted = _finite_pairs(y_true, y_pred)
    errors = actual - predicted
    figure = new_figure(4.8)
    ax, beside = figure.subplots(1, 2, sharey=True, width_ratios=[4, 1])
    _draw_density(figure, ax, predicted, errors, has_bar=False)
    beside.hist(errors, bins=40, orientation="horizontal", color=SKY)
    for one in (ax, beside):
        one.axhline(0, color=BLACK, linewidth=1.2, linestyle="--")
        grid(one)
    beside.set_xlabel("rows")
    ax.set_xlim(*_padded(predicted))
    ax.set_ylim(*_padded(errors))
    ax.set_xlabel(with_unit(f"predicted {plain(target)}", unit))
    ax.set_ylabel(with_unit("actual - predicted", unit))
    title = "Residuals"
    ax.set_title(title)
    note = "Above the dashed line the actual value is greater than the predicted one."
    return Picture("residuals", title, _residuals_alt(errors, unit), note, figure)


def _finite_pairs(y_true: Any, y_pred: Any) -> tuple[Array, Array]:
    actual = np.asarray(y_true, dtype=np.float64).reshape(-1)
    predicted = np.asarray(y_pred, dtype=np.float64).reshape(-1)
    known = np.isfinite(actual) & np.isfinite(predicted)
    if not known.any():
        raise InputError("no held-out row has both an actual and a predicted value: nothing to see")
    return actual[known], predicted[known]


def _padded(values: Array) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    margin = 0.04 * (high - low) or abs(high) * 0.1 or 1.0
    return low - margin, high + margin


def _draw_density(figure: Figure, ax: Axes, x: Array, y: Array, *, has_bar: bool = True) -> None:
    """Points if they are few, else hexagons coloured by how many there are."""
    if len(x) <= SCATTERED_ROWS:
        ax.scatter(x, y, s=18, color=BLUE, alpha=0.45, linewidths=0)
        return
    extent = (*_padded(x), *_padded(y))
    found = ax.hexbin(x, y, gridsize=60, bins="log", cmap="viridis_r", mincnt=1, extent=extent)
    if has_bar:
        bar = figure.colorbar(found, ax=ax, shrink=0.9)
        bar.set_label("rows")
        bar.outline.set_visible(False)


def _fit_alt(actual: Array, predicted: Array, unit: str) -> str:
    measured = f" {unit}" if unit else ""
    lows, highs = np.min([actual, predicted], axis=1), np.max([actual, predicted], axis=1)
    seen = (
        f"Predicted over actual values of {counted(len(actual), 'row')}: actual from"
        f" {number(lows[0])} to {number(highs[0])}{measured}, predicted from {number(lows[1])} to"
        f" {number(highs[1])}{measured}"
    )
    if len(actual) > 1 and actual.std() > 0 and predicted.std() > 0:
        seen += f"; their correlation is {np.corrcoef(actual, predicted)[0, 1]:.2f}"
    return f"{seen}."


def _residuals_alt(errors: Array, unit: str) -> str:
    low, middle, high = np.quantile(errors, [0.05, 0.5, 0.95])
    measured = f" {unit}" if unit else ""
    return (
        f"Residuals of {counted(len(errors), 'row')}: half of them are above"
        f" {number(middle)}{measured}, nine of ten between {number(low)} and"
        f" {number(high)}{measured}."
    )
