"""Pictures of what drives a model overall, by its Shapley values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from baton.showing.plots.columns import Column, columns_of
from baton.showing.plots.picture import (
    COLOURS,
    MAX_FEATURES,
    Picture,
    best,
    drawn_in_style,
    entitle,
    more,
    plains,
)
from baton.showing.plots.shapley import (
    explained_rows,
    meaning,
    measure_of,
    of_class,
    output_place,
    pyplot_figure,
    sampled,
    tendency,
    widen,
)
from baton.words.text import counted, elided, listed

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from baton.evaluation.shapley import ShapValues

    Array = np.ndarray[Any, np.dtype[Any]]

_STACKED_CLASSES = 7
_SWARM_ROWS = 2_000


@drawn_in_style
def shap_bar(found: ShapValues, unit: str = "") -> Picture:
    """Mean |SHAP value| of every feature, stacked by class if there are a few.

    Parameters
    ----------
    found : ShapValues
    unit : str
        Of the target; used if the values are in it.
    """
    values = explained_rows(found)
    strength = np.abs(values).mean(axis=0)
    measure = measure_of(found, strength, unit)
    is_stacked = 1 < len(found.classes) <= _STACKED_CLASSES
    names, size = plains(found.features), min(MAX_FEATURES, len(found.features))
    with pyplot_figure(1.8 + 0.38 * size, names) as figure:
        if is_stacked:
            _stacked_bars(figure, np.abs(values) * measure.factor, found, names)
        else:
            _plain_bars(figure, strength.mean(axis=1) * measure.factor, names)
    ax = figure.axes[0]
    parts = (
        "" if len(found.classes) < 2 else ", stacked by class" if is_stacked else ", all classes"
    )
    ax.set_xlabel(f"mean |SHAP value| {measure.brackets}".rstrip())
    title = f"Mean |SHAP value| of each feature{parts}"
    entitle(figure, title)
    order = np.argsort(-strength.mean(axis=1), kind="stable")
    leaders = best(np.asarray(found.features, dtype=object)[order], strength.mean(axis=1)[order])
    alt = f"Mean |SHAP value| of {counted(len(names), 'feature')}, greatest first: {leaders}."
    return Picture("shap_bar", title, alt, _bar_note(found, is_stacked), figure)


@drawn_in_style
def shap_beeswarm(
    found: ShapValues, table: pd.DataFrame, output: int | None = None, unit: str = ""
) -> Picture:
    """SHAP value of every row and feature, coloured by the feature's value.

    Parameters
    ----------
    found : ShapValues
    table : DataFrame of shape (n_rows, ≥ n_features)
        The rows that were explained, in the user's columns.
    output : int, optional
        Place of the class; the one with the greatest values if not given.
    unit : str
        Of the target; used if the values are in it.
    """
    place = output_place(found, output)
    rows = sampled(len(explained_rows(found)), _SWARM_ROWS)
    columns = columns_of(found, table.iloc[rows])
    values = found.values[rows, :, place].astype(np.float64)
    measure = measure_of(found, values, unit)
    names = plains(found.features)
    coloured = np.column_stack([column.colours for column in columns])
    size = min(MAX_FEATURES, len(names))
    with pyplot_figure(max(3.2, 1.9 + 0.38 * size), names) as figure:
        import shap

        shap.plots.beeswarm(
            shap.Explanation(values * measure.factor, data=coloured, feature_names=names),
            max_display=MAX_FEATURES,
            ax=figure.subplots(),
            plot_size=None,
            show=False,
            color_bar_label="feature value",
        )
    figure.axes[0].set_xlabel(f"SHAP value {measure.brackets}".rstrip())
    title = f"SHAP values of {counted(len(rows), 'row')}{of_class(found, place)}"
    entitle(figure, title)
    alt = _swarm_alt(found, columns, values, title)
    note = _swarm_note(len(found.values), len(rows), columns)
    return Picture("shap_beeswarm", title, alt, note, figure)


def _plain_bars(figure: Figure, strength: Array, names: list[str]) -> None:
    import shap

    shap.plots.bar(
        shap.Explanation(strength, feature_names=names),
        max_display=MAX_FEATURES,
        ax=figure.subplots(),
        show=False,
    )
    widen(figure)


def _stacked_bars(figure: Figure, strength: Array, found: ShapValues, names: list[str]) -> None:
    import shap

    shap.summary_plot(
        list(np.moveaxis(strength, 2, 0)),
        feature_names=names,
        class_names=plains(found.classes, 20),
        class_inds="original",
        max_display=MAX_FEATURES,
        plot_type="bar",
        plot_size=None,
        color=lambda place: COLOURS[place % len(COLOURS)],
        show=False,
    )
    figure.set_layout_engine("constrained")
    figure.axes[0].legend(loc="upper left", bbox_to_anchor=(1.0, 1), title="class")


def _bar_note(found: ShapValues, is_stacked: bool) -> str:
    note = f"Over {counted(len(found.values), 'row')}, {meaning(found)}."
    if len(found.classes) > 1 and not is_stacked:
        note += f" Mean over all {len(found.classes)} classes."
    if len(found.features) > MAX_FEATURES and not is_stacked:
        rest = len(found.features) - MAX_FEATURES + 1
        return f"{note} The last bar is the sum of the {rest} features that are not shown."
    return f"{note} {more(len(found.features))}".strip()


def _swarm_alt(found: ShapValues, columns: list[Column], values: Array, title: str) -> str:
    strength = np.abs(values).mean(axis=0)
    order = np.argsort(-strength, kind="stable")
    names = elided(found.features)
    leaders = listed([names[place] for place in order])
    first = columns[order[0]]
    rising = "" if first.levels else tendency(first.numbers, values[:, order[0]])
    return f"{title}: greatest for {leaders}{rising}."


def _swarm_note(n_rows: int, n_shown: int, columns: list[Column]) -> str:
    note = "Every point is a row; to the right it raises the output. Missing values are grey."
    if any(column.levels for column in columns):
        note += " Categories are coloured by their place, most frequent first."
    if n_shown < n_rows:
        note += f" A random sample of {n_rows:,} rows."
    if len(columns) > MAX_FEATURES:
        note += f" The last line is the sum of {len(columns) - MAX_FEATURES + 1} features."
    return note
