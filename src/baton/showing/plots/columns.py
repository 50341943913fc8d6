"""The user's columns as numbers that points are placed and coloured by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.errors import InputError
from baton.showing.plots.picture import plains
from baton.words.text import listed

if TYPE_CHECKING:
    import pandas as pd

    from baton.evaluation.shapley import ShapValues

    Array = np.ndarray[Any, np.dtype[Any]]

_SHOWN_LEVELS = 20


@dataclass(frozen=True)
class Column:
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

    def shown(self) -> Column:
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
        return Column(numbers, levels)


def columns_of(found: ShapValues, table: pd.DataFrame) -> list[Column]:
    """Columns of a table, in the order in which they were explained.

    Raises
    ------
    InputError
        If the table lacks one.
    """
    named = {str(name): place for place, name in enumerate(table.columns)}
    absent = [name for name in found.features if name not in named]
    if absent:
        raise InputError(f"the table lacks columns that were explained: {listed(absent)}")
    return [_column(table.iloc[:, named[name]]) for name in found.features]


def _column(values: pd.Series) -> Column:
    import matplotlib.dates

    dates: Any = matplotlib.dates
    from pandas.api import types

    if types.is_bool_dtype(values.dtype):
        return Column(values.to_numpy(np.float64, na_value=np.nan), ("False", "True"))
    if types.is_numeric_dtype(values.dtype):
        numbers = values.to_numpy(np.float64, na_value=np.nan)
        return Column(np.where(np.isfinite(numbers), numbers, np.nan))
    if types.is_datetime64_any_dtype(values.dtype):
        return Column(dates.date2num(_as_utc(values).to_numpy()), is_date=True)
    return _category(values)


def _as_utc(values: pd.Series) -> pd.Series:
    import pandas as pd

    return pd.to_datetime(values, utc=True).dt.tz_localize(None)


def _category(values: pd.Series) -> Column:
    """Levels in their own order if they have one, else the most frequent first."""
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype) and values.cat.ordered:
        coded = values.cat.remove_unused_categories()
        codes, levels = coded.cat.codes.to_numpy(), coded.cat.categories.astype(str)
    else:
        text = values.astype(object).map(str, na_action="ignore")
        levels = text.value_counts().index
        codes = levels.get_indexer(pd.Index(text))
    return Column(np.where(codes < 0, np.nan, codes), tuple(levels))


def write_ticks(axis: Any, column: Column) -> None:
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
