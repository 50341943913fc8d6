"""The picture of what drove one row, by its Shapley values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from baton.showing.plots.picture import GREY, Picture, drawn_in_style, entitle, plain, plains
from baton.showing.plots.shapley import (
    WATERFALL_FEATURES,
    explained_rows,
    meaning,
    measure_of,
    of_class,
    pyplot_figure,
    widen,
)
from baton.words import text
from baton.words.text import elide, elided, listed, number

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.figure import Figure

    from baton.evaluation.shapley import ShapValues

    Array = np.ndarray[Any, np.dtype[Any]]


@drawn_in_style
def shap_waterfall(
    found: ShapValues,
    table: pd.DataFrame,
    row: int,
    row_id: Any = None,
    output: int | None = None,
    unit: str = "",
    units: Mapping[str, str] | None = None,
) -> Picture:
    """How the features of one row lead from the mean output to this row's.

    Parameters
    ----------
    found : ShapValues
    table : DataFrame of shape (n_rows, ≥ n_features)
        The rows that were explained, in the user's columns.
    row : int
        Place of the row among the explained ones.
    row_id : object, optional
        What to call it; `row` if not given.
    output : int, optional
        Place of the class; the one with this row's greatest output if not given.
    unit : str
        Of the target; used if the values are in it.
    units : mapping of feature to unit, optional
    """
    called = elide(row if row_id is None else row_id)
    sums = explained_rows(found)[row].sum(axis=0) + found.base_values
    place = int(sums.argmax()) if output is None else output
    values = found.values[row, :, place].astype(np.float64)
    measure = measure_of(found, values, unit)
    shown = _row_values(found, table, row, units or {})
    names = plains(found.features, 22)
    written = [plain(value) for value in shown]
    labels = [f"{value} = {name}" for value, name in zip(written, names, strict=True)]
    size = min(WATERFALL_FEATURES, len(names))
    with pyplot_figure(2.3 + 0.42 * size, labels, top=1.0, bottom=0.8, right=0.88) as figure:
        base = float(found.base_values[place]) * measure.factor
        _waterfall(values * measure.factor, base, written, names)
        _tidy(figure, measure.unit if values.any() else "", base)
    title = f"Row {called}: from the mean to its output{of_class(found, place)}"
    entitle(figure, title)
    alt = _waterfall_alt(title, found, row, place, shown)
    return Picture("shap_waterfall", title, alt, _waterfall_note(found, size), figure)


def _row_values(
    found: ShapValues, table: pd.DataFrame, row: int, units: Mapping[str, str]
) -> list[str]:
    named = {str(name): place for place, name in enumerate(table.columns)}
    values = [table.iloc[row, named[name]] for name in found.features]
    written = []
    for name, value in zip(found.features, values, strict=True):
        is_number = isinstance(value, int | float | np.number) and np.isfinite(value)
        unit = f" {elide(units[name], 8)}" if is_number and name in units else ""
        written.append(text.shown(value, 16) + unit)
    return written


def _waterfall(values: Array, base: float, shown: list[str], names: list[str]) -> None:
    import matplotlib.pyplot as plt
    import shap

    if not values.any():  # shap's arrows of no length point somewhere
        plt.text(0.0, 0.5, f"No feature moved this row: it stays at {number(base)}.")
        plt.axis("off")
        return
    explained = shap.Explanation(
        values, base_values=base, data=np.asarray(shown, dtype=object), feature_names=names
    )
    shap.plots.waterfall(explained, max_display=WATERFALL_FEATURES, show=False)


def _tidy(figure: Figure, unit: str, base: float) -> None:
    """Darken shap's pale letters, and name the unit where there is room."""
    for ax in figure.axes:
        for label in [*ax.get_xticklabels(), *ax.get_yticklabels()]:
            if label.get_color() == "#999999":
                label.set_color(GREY)
    widen(figure)
    low, high = figure.axes[0].get_xlim()
    figure.axes[0].set_xlabel(unit, loc="left" if base > (low + high) / 2 else "right")


def _waterfall_alt(title: str, found: ShapValues, row: int, place: int, shown: list[str]) -> str:
    values, base = found.values[row, :, place], float(found.base_values[place])
    order = np.argsort(-np.abs(values), kind="stable")[:3]
    names = elided(found.features)
    parts = [f"{names[one]} = {shown[one]} ({values[one]:+.3g})" for one in order]
    total = number(base + float(values.sum()))
    return f"{title}: from {number(base)} to {total}, most by {listed(parts)}."


def _waterfall_note(found: ShapValues, size: int) -> str:
    note = (
        f"Red raises the output, blue lowers it, {meaning(found)}. E[f(X)] is the model's mean"
        " output, f(x) this row's."
    )
    rest = len(found.features) - size + 1
    return f"{note} The smallest {rest} features are one bar." if rest > 1 else note
