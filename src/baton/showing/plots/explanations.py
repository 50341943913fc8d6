"""Pictures of what drives a model, overall and for one row.

Functions of an `Importance` and of `ShapValues`; what shows Shapley values is drawn by shap itself.
Computing them belongs in ``baton.evaluation.importance`` and ``baton.evaluation.shapley``.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.errors import InputError
from baton.evaluation import metrics
from baton.evaluation.shapley import Scale
from baton.showing.plots.picture import (
    BLACK,
    BLUE,
    COLOURS,
    DPI,
    GREY,
    MAX_FEATURES,
    SCATTERED_ROWS,
    WIDTH,
    Picture,
    best,
    drawn_in_style,
    entitle,
    grid,
    more,
    new_figure,
    plain,
    plains,
    with_unit,
)
from baton.words import text
from baton.words.text import counted, elide, elided, listed, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd
    from matplotlib.figure import Figure

    from baton.evaluation.importance import Importance
    from baton.evaluation.shapley import ShapValues

    Array = np.ndarray[Any, np.dtype[Any]]

_STACKED_CLASSES = 7
_SWARM_ROWS = 2_000
_COLOURED_LEVELS = 10
_SHOWN_LEVELS = 20
_WATERFALL_FEATURES = 12

# --- permutation importance -----------------------------------------------------------------------


@drawn_in_style
def permutation_importance(found: Importance, unit: str = "") -> Picture:
    """Loss of a metric when a column is shuffled, most important column first.

    Parameters
    ----------
    found : Importance
    unit : str
        Of the target; used if the metric is measured in it.
    """
    lines = found.frame()
    shown = lines.head(MAX_FEATURES)
    places = np.arange(len(shown))
    figure = new_figure(1.6 + 0.36 * len(shown))
    ax = figure.subplots()
    is_clear = (shown["mean"] - 2 * shown["std"] > 0).to_numpy()
    colours = [BLUE if clear else "#B5C9D9" for clear in is_clear]
    errors = {"ecolor": BLACK, "elinewidth": 1.3, "capsize": 3}
    ax.barh(places, shown["mean"], xerr=shown["std"], color=colours, error_kw=errors)
    ax.axvline(0, color=BLACK, linewidth=1)
    ax.set_yticks(places, plains(shown["feature"]))
    ax.set_ylim(len(shown) - 0.4, -0.6)
    grid(ax, "x")
    label, has_unit = loss_label(found.metric)
    ax.set_xlabel(with_unit(label, unit if has_unit else ""))
    title = "Permutation importance"
    ax.set_title(title)
    return Picture(
        "permutation_importance", title, _importance_alt(lines), _importance_note(found), figure
    )


def loss_label(metric: str) -> tuple[str, bool]:
    """Label of an importance in that metric, and whether it has the target's unit."""
    if metric not in metrics.INFO:
        return f"loss of {plain(metric)}", False
    info = metrics.INFO[metrics.parse(metric)]
    verb = "loss" if info.greater_is_better else "rise"
    return f"{verb} of {info.label} when the column is shuffled", info.has_target_unit


def _importance_alt(lines: pd.DataFrame) -> str:
    leaders = best(lines["feature"], lines["mean"])
    useless = int((lines["mean"] <= 0).sum())
    seen = f"Permutation importance of {counted(len(lines), 'feature')}, greatest first: {leaders}"
    if useless:
        seen += f"; shuffling {counted(useless, 'feature')} costs nothing"
    return f"{seen}."


def _importance_note(found: Importance) -> str:
    note = (
        f"Mean and standard deviation over {counted(found.raw.shape[1], 'shuffle')} of each"
        " column; pale where two standard deviations reach zero."
    )
    return f"{note} {more(len(found.features))}".strip()


# --- Shapley values -------------------------------------------------------------------------------


@drawn_in_style
def shap_bar(found: ShapValues, unit: str = "") -> Picture:
    """Mean |SHAP value| of every feature, stacked by class if there are a few.

    Parameters
    ----------
    found : ShapValues
    unit : str
        Of the target; used if the values are in it.
    """
    values = _explained_rows(found)
    strength = np.abs(values).mean(axis=0)
    measure = _measure(found, strength, unit)
    is_stacked = 1 < len(found.classes) <= _STACKED_CLASSES
    names, size = plains(found.features), min(MAX_FEATURES, len(found.features))
    with _pyplot(1.8 + 0.38 * size, names) as figure:
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
    place = _output(found, output)
    rows = _sampled(len(_explained_rows(found)), _SWARM_ROWS)
    columns = _columns(found, table.iloc[rows])
    values = found.values[rows, :, place].astype(np.float64)
    measure = _measure(found, values, unit)
    names = plains(found.features)
    coloured = np.column_stack([column.colours for column in columns])
    size = min(MAX_FEATURES, len(names))
    with _pyplot(max(3.2, 1.9 + 0.38 * size), names) as figure:
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
    title = f"SHAP values of {counted(len(rows), 'row')}{_of_class(found, place)}"
    entitle(figure, title)
    alt = _swarm_alt(found, columns, values, title)
    note = _swarm_note(len(found.values), len(rows), columns)
    return Picture("shap_beeswarm", title, alt, note, figure)


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
    place = _output(found, output)
    rows = _sampled(len(_explained_rows(found)), SCATTERED_ROWS)
    values = found.values[rows, :, place].astype(np.float64)
    chosen = found.features.index(feature) if feature else int(np.abs(values).mean(0).argmax())
    measure = _measure(found, values[:, chosen], unit)
    columns = [column.shown() for column in _columns(found, table.iloc[rows])]
    names = plains(found.features)
    other = _interacting(chosen, values, columns)
    with _pyplot(5.0, [], layout="constrained") as figure:
        _scatter(figure, values * measure.factor, columns, names, chosen, other)
    ax, name = figure.axes[0], found.features[chosen]
    ax.set_xlabel(with_unit(names[chosen], (units or {}).get(name, "")))
    ax.set_ylabel(f"SHAP value {measure.brackets}".rstrip())
    title = (
        f"SHAP value of {elided(found.features)[chosen]} over its value{_of_class(found, place)}"
    )
    entitle(figure, title)
    alt = _dependence_alt(title, values[:, chosen], columns[chosen])
    note = _dependence_note(columns[chosen], found.features[other] if other is not None else "")
    return Picture("shap_dependence", title, alt, note, figure)


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
    sums = _explained_rows(found)[row].sum(axis=0) + found.base_values
    place = int(sums.argmax()) if output is None else output
    values = found.values[row, :, place].astype(np.float64)
    measure = _measure(found, values, unit)
    shown = _row_values(found, table, row, units or {})
    names = plains(found.features, 22)
    written = [plain(value) for value in shown]
    labels = [f"{value} = {name}" for value, name in zip(written, names, strict=True)]
    size = min(_WATERFALL_FEATURES, len(names))
    with _pyplot(2.3 + 0.42 * size, labels, top=1.0, bottom=0.8, right=0.88) as figure:
        base = float(found.base_values[place]) * measure.factor
        _waterfall(values * measure.factor, base, written, names)
        _tidy(figure, measure.unit if values.any() else "", base)
    title = f"Row {called}: from the mean to its output{_of_class(found, place)}"
    entitle(figure, title)
    alt = _waterfall_alt(title, found, row, place, shown)
    return Picture("shap_waterfall", title, alt, _waterfall_note(found, size), figure)


@contextmanager
def _pyplot(
    height: float,
    labels: list[str],
    *,
    top: float = 0.55,
    bottom: float = 0.75,
    right: float = 0.97,
    layout: Any = None,
) -> Iterator[Figure]:
    """A figure that pyplot takes for the current one, and forgets afterwards.

    shap draws by pyplot. The figure is never shown to pyplot's own backend, which may want a
    display and the main thread; the random stream, with which shap scatters points, is given back.
    """
    import matplotlib.pyplot as plt
    from matplotlib._pylab_helpers import Gcf

    figure = new_figure(height, layout=layout)
    if layout is None:
        left = 0.35 / WIDTH + _widest(figure, labels)
        figure.subplots_adjust(left, bottom / height, right, 1 - top / height)
    canvas: Any = figure.canvas
    manager = canvas.new_manager(figure, 1 + max(plt.get_fignums(), default=0))
    state = np.random.get_state()
    np.random.seed(0)
    Gcf.set_active(manager)
    try:
        with plt.ioff():
            yield figure
    finally:
        Gcf.destroy(manager)
        np.random.set_state(state)


def _widest(figure: Figure, labels: list[str], fontsize: int = 13) -> float:
    """Width of the widest label, as a part of the figure's."""
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    widest = 0.0
    summed = ["Sum of 999 other features"] if len(labels) > _WATERFALL_FEATURES else []
    for label in sorted([*labels, *summed], key=len)[-MAX_FEATURES:]:
        drawn = figure.text(0, 0, label, fontsize=fontsize)
        widest = max(widest, drawn.get_window_extent(renderer).width)
        drawn.remove()
    return widest / (DPI * WIDTH)


def _explained_rows(found: ShapValues) -> Array:
    if found.values.shape[0] == 0 or found.values.shape[1] == 0:
        raise InputError("no row was explained: there are no Shapley values to draw")
    return found.values


def _output(found: ShapValues, output: int | None) -> int:
    return int(np.abs(found.values).mean(axis=(0, 1)).argmax()) if output is None else output


def _sampled(n_rows: int, most: int) -> Array:
    if n_rows <= most:
        return np.arange(n_rows)
    return np.sort(np.random.default_rng(0).choice(n_rows, most, replace=False))


def _of_class(found: ShapValues, place: int) -> str:
    return f", class {elide(found.classes[place], 20)}" if found.classes else ""


@dataclass(frozen=True)
class _Measure:
    """In what Shapley values are shown."""

    factor: float
    unit: str

    @property
    def brackets(self) -> str:
        return f"[{self.unit}]" if self.unit else ""


_POWERS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _measure(found: ShapValues, values: Array, unit: str) -> _Measure:
    """Percentage points, or a power of ten that leaves two decimals something to show."""
    if found.scale is Scale.PROBABILITY:
        return _Measure(100.0, "percentage points")
    named = plain(unit) if found.scale is Scale.VALUE else "margin"
    greatest = float(np.abs(values).max(initial=0.0))
    if greatest == 0 or 0.1 <= greatest < 1e5:
        return _Measure(1.0, named)
    power = 3 * int(np.floor(np.log10(greatest) / 3))
    return _Measure(10.0**-power, f"10{str(power).translate(_POWERS)} {named}".strip())


def _plain_bars(figure: Figure, strength: Array, names: list[str]) -> None:
    import shap

    shap.plots.bar(
        shap.Explanation(strength, feature_names=names),
        max_display=MAX_FEATURES,
        ax=figure.subplots(),
        show=False,
    )
    _widen(figure)


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
    note = f"Over {counted(len(found.values), 'row')}, {_meaning(found)}."
    if len(found.classes) > 1 and not is_stacked:
        note += f" Mean over all {len(found.classes)} classes."
    if len(found.features) > MAX_FEATURES and not is_stacked:
        rest = len(found.features) - MAX_FEATURES + 1
        return f"{note} The last bar is the sum of the {rest} features that are not shown."
    return f"{note} {more(len(found.features))}".strip()


def _meaning(found: ShapValues) -> str:
    """What the values of a row sum to."""
    return {
        Scale.MARGIN: "on the scale of the model's margin (its raw score, such as log-odds)",
        Scale.PROBABILITY: "in percentage points of the class's probability",
        Scale.VALUE: "in the unit of what is predicted",
    }[found.scale]


@dataclass(frozen=True)
class _Column:
    """A column of the user's as numbers."""

    numbers: Array
    """NaN where missing; places of the levels for a category."""
    levels: tuple[str, ...] = ()
    is_date: bool = False

    @property
    def colours(self) -> Array:
        """What to colour points by: nothing if all that is known is one value."""
        known = self.numbers[np.isfinite(self.numbers)]
        is_constant = len(known) < len(self.numbers) and (len(known) == 0 or np.ptp(known) == 0)
        return np.full(len(self.numbers), np.nan) if is_constant else self.numbers

    def shown(self) -> _Column:
        """Return what an axis has room for: the frequent levels, the others and the missing."""
        missing = np.isnan(self.numbers)
        if not self.levels and not missing.all():
            return self
        numbers, levels = self.numbers.copy(), self.levels
        if len(levels) > _SHOWN_LEVELS:
            rest = len(levels) - _SHOWN_LEVELS
            levels = (*levels[:_SHOWN_LEVELS], f"({rest} others)")
            numbers = np.minimum(numbers, _SHOWN_LEVELS)
        if missing.any():
            numbers[missing] = len(levels)
            levels = (*levels, "(missing)")
        return _Column(numbers, levels)


def _columns(found: ShapValues, table: pd.DataFrame) -> list[_Column]:
    named = {str(name): place for place, name in enumerate(table.columns)}
    absent = [name for name in found.features if name not in named]
    if absent:
        raise InputError(f"the table lacks columns that were explained: {listed(absent)}")
    return [_column(table.iloc[:, named[name]]) for name in found.features]


def _column(values: pd.Series) -> _Column:
    import matplotlib.dates

    dates: Any = matplotlib.dates
    from pandas.api import types

    if types.is_bool_dtype(values.dtype):
        return _Column(values.to_numpy(np.float64, na_value=np.nan), ("False", "True"))
    if types.is_numeric_dtype(values.dtype):
        numbers = values.to_numpy(np.float64, na_value=np.nan)
        return _Column(np.where(np.isfinite(numbers), numbers, np.nan))
    if types.is_datetime64_any_dtype(values.dtype):
        return _Column(dates.date2num(_as_utc(values).to_numpy()), is_date=True)
    return _category(values)


def _as_utc(values: pd.Series) -> pd.Series:
    import pandas as pd

    return pd.to_datetime(values, utc=True).dt.tz_localize(None)


def _category(values: pd.Series) -> _Column:
    """Levels in their own order if they have one, else the most frequent first."""
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype) and values.cat.ordered:
        coded = values.cat.remove_unused_categories()
        codes, levels = coded.cat.codes.to_numpy(), coded.cat.categories.astype(str)
    else:
        text = values.astype(object).map(str, na_action="ignore")
        levels = text.value_counts().index
        codes = levels.get_indexer(pd.Index(text))
    return _Column(np.where(codes < 0, np.nan, codes), tuple(levels))


def _swarm_alt(found: ShapValues, columns: list[_Column], values: Array, title: str) -> str:
    strength = np.abs(values).mean(axis=0)
    order = np.argsort(-strength, kind="stable")
    names = elided(found.features)
    leaders = listed([names[place] for place in order])
    first = columns[order[0]]
    tendency = "" if first.levels else _tendency(first.numbers, values[:, order[0]])
    return f"{title}: greatest for {leaders}{tendency}."


def _tendency(x: Array, y: Array) -> str:
    """Say whether y rises with x."""
    import pandas as pd

    found = pd.Series(x).corr(pd.Series(y), method="spearman")
    if not abs(found) >= 0.5:
        return ""
    return f"; the first {'rises' if found > 0 else 'falls'} with the feature's value"


def _swarm_note(n_rows: int, n_shown: int, columns: list[_Column]) -> str:
    note = "Every point is a row; to the right it raises the output. Missing values are grey."
    if any(column.levels for column in columns):
        note += " Categories are coloured by their place, most frequent first."
    if n_shown < n_rows:
        note += f" A random sample of {n_rows:,} rows."
    if len(columns) > MAX_FEATURES:
        note += f" The last line is the sum of {len(columns) - MAX_FEATURES + 1} features."
    return note


def _interacting(chosen: int, values: Array, columns: list[_Column]) -> int | None:
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
    columns: list[_Column],
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
    _ticks(ax.xaxis, columns[chosen])
    bars = [one for one in figure.axes if one.get_label() == "<colorbar>"]
    if other is not None and bars:
        _ticks(bars[0].yaxis, columns[other])
    ax.axhline(0, color=GREY, linewidth=0.8, linestyle=(0, (2, 3)))
    ax.tick_params(labelsize=11)


def _ticks(axis: Any, column: _Column) -> None:
    """Write levels and dates where numbers stand."""
    import matplotlib.dates

    dates: Any = matplotlib.dates
    if column.is_date:
        locator = dates.AutoDateLocator(maxticks=7)
        axis.set_major_locator(locator)
        axis.set_major_formatter(dates.ConciseDateFormatter(locator))
    if not column.levels:
        return
    size = len(column.levels)
    is_colour = axis.axis_name == "y"
    places = np.arange(size, dtype=np.float64)
    if is_colour and size > 1:  # shap colours k levels by k bins from 0 to k - 1
        places = (places + 0.5) * (size - 1) / size
    names = plains(column.levels, 14)
    is_tight = not is_colour and sum(map(len, names)) > 60
    axis.set_ticks(places, names, rotation=90 if is_tight else 0)


def _dependence_alt(title: str, values: Array, column: _Column) -> str:
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
    return f"{seen}{_tendency(column.numbers, values).replace('the first', 'it')}."


def _dependence_note(column: _Column, other: str) -> str:
    note = "Every point is a row; the grey columns are a histogram."
    if other:
        note += f" Coloured by {elide(other)}, which shap finds to interact most."
    if not column.levels and np.isnan(column.numbers).any():
        note += " Ticks at the left edge are rows where the value is missing."
    return note


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
    shap.plots.waterfall(explained, max_display=_WATERFALL_FEATURES, show=False)


def _tidy(figure: Figure, unit: str, base: float) -> None:
    """Darken shap's pale letters, and name the unit where there is room."""
    for ax in figure.axes:
        for label in [*ax.get_xticklabels(), *ax.get_yticklabels()]:
            if label.get_color() == "#999999":
                label.set_color(GREY)
    _widen(figure)
    low, high = figure.axes[0].get_xlim()
    figure.axes[0].set_xlabel(unit, loc="left" if base > (low + high) / 2 else "right")


def _widen(figure: Figure) -> None:
    """Widen the axis until the numbers beside the bars are in it, and all labels in the figure."""
    ax, *above = figure.axes
    figure.draw_without_rendering()  # places the labels
    frame, (low, high) = ax.get_window_extent(), ax.get_xlim()
    boxes = [drawn.get_window_extent() for drawn in ax.texts]
    labels = [label.get_window_extent() for one in above for label in one.get_xticklabels()]
    left = max([0.0, *(frame.x0 + 8 - box.x0 for box in boxes)])
    right = max([0.0, *(box.x1 + 8 - frame.x1 for box in boxes)])
    right = max([right, *(box.x1 + 8 - figure.bbox.x1 for box in labels)])
    per_pixel = (high - low) / max(frame.width - left - right, frame.width / 4)
    for one in figure.axes:
        one.set_xlim(low - left * per_pixel, high + right * per_pixel)


def _waterfall_alt(title: str, found: ShapValues, row: int, place: int, shown: list[str]) -> str:
    values, base = found.values[row, :, place], float(found.base_values[place])
    order = np.argsort(-np.abs(values), kind="stable")[:3]
    names = elided(found.features)
    parts = [f"{names[one]} = {shown[one]} ({values[one]:+.3g})" for one in order]
    total = number(base + float(values.sum()))
    return f"{title}: from {number(base)} to {total}, most by {listed(parts)}."


def _waterfall_note(found: ShapValues, size: int) -> str:
    note = (
        f"Red raises the output, blue lowers it, {_meaning(found)}. E[f(X)] is the model's mean"
        " output, f(x) this row's."
    )
    rest = len(found.features) - size + 1
    return f"{note} The smallest {rest} features are one bar." if rest > 1 else note
