"""The picture of what one feature's value does to the output, by its Shapley values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from baton.showing.plots.columns import Column, columns_of, write_ticks
from baton.showing.plots.picture import (
    BLUE,
    GREY,
    MAX_FEATURES,
    SCATTERED_ROWS,
    Picture,
    drawn_in_style,
    entitle,
    plains,
    with_unit,
)
from baton.showing.plots.shapley import (
    explained_rows,
    measure_of,
    of_class,
    output_place,
    pyplot_figure,
    sampled,
    tendency,
)
from baton.words.text import elide, elided, number

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.figure import Figure

    from baton.evaluation.shapley import ShapValues

    Array = np.ndarray[Any, np.dtype[Any]]

_COLOURED_LEVELS = 10


@drawn_in_style
def shap_dependence(
    found: ShapValues,
    table: pd.DataFrame,
    feature: str | None = None,
    output: int | None = None,
    unit: str = "",
    units: Mapping[str, str] | None = None,
) -> Picture:
    """SHAP value of one feature over its value, coloured by the feature that it interacts with.

    Parameters
    ----------
    found : ShapValues
    table : DataFrame of shape (n_rows, ≥ n_features)
        The rows that were explained, in the user's columns.
    feature : str, optional
        The one with the greatest mean |SHAP value| if not given.
    output : int, optional
        Place of the class; the one with the greatest values if not given.
    unit : str
        Of the target; used if the values are in it.
    units : mapping of feature to unit, optional
    """
    place = output_place(found, output)
    rows = sampled(len(explained_rows(found)), SCATTERED_ROWS)
    values = found.values[rows, :, place].astype(np.float64)
    chosen = found.features.index(feature) if feature else int(np.abs(values).mean(0).argmax())
    measure = measure_of(found, values[:, chosen], unit)
    columns = [column.shown() for column in columns_of(found, table.iloc[rows])]
    names = plains(found.features)
    other = _interacting(chosen, values, columns)
    with pyplot_figure(5.0, [], layout="constrained") as figure:
        _scatter(figure, values * measure.factor, columns, names, chosen, other)
    ax, name = figure.axes[0], found.features[chosen]
    ax.set_xlabel(with_unit(names[chosen], (units or {}).get(name, "")))
    ax.set_ylabel(f"SHAP value {measure.brackets}".rstrip())
    title = f"SHAP value of {elided(found.features)[chosen]} over its value{of_class(found, place)}"
    entitle(figure, title)
    alt = _dependence_alt(title, values[:, chosen], columns[chosen])
    note = _dependence_note(columns[chosen], found.features[other] if other is not None else "")
    return Picture("shap_dependence", title, alt, note, figure)


def _interacting(chosen: int, values: Array, columns: list[Column]) -> int | None:
    """Feature, of the strongest ones, whose value best explains the scatter; shap's guess."""
    import shap

    strongest = np.argsort(-np.abs(values).mean(axis=0), kind="stable")[:MAX_FEATURES]
    able = [
        place
        for place in strongest.tolist()
        if place != chosen and len(columns[place].levels) <= _COLOURED_LEVELS
        if np.unique(columns[place].numbers[np.isfinite(columns[place].numbers)]).size > 1
    ]
    if not able or len(values) < 20 or np.ptp(values[:, chosen]) == 0:
        return None
    data = np.column_stack([columns[place].numbers for place in (chosen, *able)])
    ranked = shap.utils.approximate_interactions(0, values[:, [chosen, *able]], data)
    return next((able[place - 1] for place in ranked if place > 0), None)


def _scatter(
    figure: Figure,
    values: Array,
    columns: list[Column],
    names: list[str],
    chosen: int,
    other: int | None,
) -> None:
    import shap

    ax = figure.subplots()
    explained = [
        shap.Explanation(values[:, place], data=columns[place].numbers, feature_names=names[place])
        for place in (chosen, other)
        if place is not None
    ]
    colour = explained[1] if len(explained) > 1 else BLUE
    shap.plots.scatter(explained[0], color=colour, ax=ax, show=False, alpha=0.8)
    write_ticks(ax.xaxis, columns[chosen])
    bars = [one for one in figure.axes if one.get_label() == "<colorbar>"]
    if other is not None and bars:
        write_ticks(bars[0].yaxis, columns[other])
    ax.axhline(0, color=GREY, linewidth=0.8, linestyle=(0, (2, 3)))
    ax.tick_params(labelsize=11)


def _dependence_alt(title: str, values: Array, column: Column) -> str:
    low, high = number(values.min()), number(values.max())
    seen = f"{title}: from {low} to {high}"
    if column.levels:
        means = {
            level: values[column.numbers == place].mean()
            for place, level in enumerate(column.levels)
            if (column.numbers == place).any()
        }
        lowest, highest = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
        return f"{seen}, on average least for {elide(lowest)} and greatest for {elide(highest)}."
    return f"{seen}{tendency(column.numbers, values).replace('the first', 'it')}."


def _dependence_note(column: Column, other: str) -> str:
    note = "Every point is a row; the grey columns are a histogram."
    if other:
        note += f" Coloured by {elide(other)}, which shap finds to interact most."
    if not column.levels and np.isnan(column.numbers).any():
        note += " Ticks at the left edge are rows where the value is missing."
    return note
