"""A column of a profile: its bins, and how many values of a column fall into each.

How bins are chosen belongs in ``bins``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from baton.encoding.words import is_prose
from baton.terms import ColumnType
from baton.words.text import elide, number

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]

Side = Literal["feature", "prediction"]

OTHER, UNKNOWN = "(other levels)", "(never seen)"

_LEVELS = (ColumnType.CATEGORY, ColumnType.FLAG)
_INFERRED = {
    "boolean": ColumnType.FLAG,
    "integer": ColumnType.NUMBER,
    "floating": ColumnType.NUMBER,
    "mixed-integer-float": ColumnType.NUMBER,
    "decimal": ColumnType.NUMBER,
    "datetime": ColumnType.DATETIME,
    "datetime64": ColumnType.DATETIME,
    "date": ColumnType.DATETIME,
}
_WORDS = {
    ColumnType.NUMBER: "numbers",
    ColumnType.FLAG: "yes or no",
    ColumnType.CATEGORY: "categories",
    ColumnType.DATETIME: "dates",
    ColumnType.TEXT: "text",
}
_SECONDS_FROM = 3 * 86_400e6
"""Bins of dates that span less, in microseconds, are named to the second."""


@dataclass(frozen=True)
class ColumnProfile:
    """A column at training: where its bins are, and how many rows fell into each."""

    name: str
    kind: Side
    role: ColumnType
    """What its values are. Text is counted by its length in characters."""
    says_date: bool
    """Whether it only says the calendar: that later rows are later is no drift."""
    edges: tuple[float, ...]
    """Of bins open below and closed above, rising; microseconds since 1970 of a datetime."""
    is_each_a_value: bool
    """Whether there were few values, each with a bin of its own."""
    levels: tuple[str, ...]
    """Of a category, each with a bin; behind them one for other levels, one for unknown ones."""
    rarer: tuple[str, ...]
    """Levels that are known and have no bin of their own."""
    is_closed: bool
    """Whether all known levels are listed, so that an unknown one is known to be so."""
    counts: tuple[int, ...]
    """Rows in each bin; where levels are rare, of the half that did not choose them."""
    n_rows: int
    n_missing: int

    @property
    def has_levels(self) -> bool:
        """Whether bins are levels; else they are intervals."""
        return self.role in _LEVELS

    @property
    def n_bins(self) -> int:
        """Bins of values, missing ones not among them."""
        return len(self.levels) + 2 if self.has_levels else len(self.edges) + 1

    @cached_property
    def places(self) -> dict[str, int]:
        """Bin of each known level."""
        other = dict.fromkeys(self.rarer, len(self.levels))
        return other | {level: place for place, level in enumerate(self.levels)}

    def place(self, level: str) -> int:
        """Bin of a level."""
        return self.places.get(level, len(self.levels) + self.is_closed)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Name of each bin."""
        if self.has_levels:
            return (*self.levels, OTHER, UNKNOWN)
        if not self.edges:
            return ("any",)
        ends = [self._written(edge) for edge in self.edges]
        inner = [
            self._written(self.edges[place + 1], is_value=True)
            if self.is_each_a_value or self._is_atom(place)
            else f"{low} to {high}"
            for place, (low, high) in enumerate(pairwise(ends))
        ]
        first = f"< {inner[0]}" if inner and self._is_atom(0) else f"≤ {ends[0]}"
        return (first, *inner, f"> {ends[-1]}")

    def _is_atom(self, place: int) -> bool:
        """Whether the bin above an edge holds one value."""
        low, high = self.edges[place : place + 2]
        return bool(np.nextafter(high, -np.inf) <= low)

    def _written(self, edge: float, *, is_value: bool = False) -> str:
        if self.role is not ColumnType.DATETIME:
            return number(edge, 6) if is_value else _distinct(edge, self.edges)
        moment = np.datetime64(round(edge), "us")
        unit: Any = "s" if self.edges[-1] - self.edges[0] < _SECONDS_FROM else "D"
        return str(moment.astype(f"datetime64[{unit}]")).replace("T", " ")


@dataclass(frozen=True)
class Profile:
    """What a table looked like at training: histograms, nothing else."""

    columns: tuple[ColumnProfile, ...]
    n_rows: int
    """Of features; the answers may be of others."""


def _distinct(edge: float, edges: tuple[float, ...]) -> str:
    """Write an edge with so many digits that it is told from those that differ by more than 1e-9.

    Examples
    --------
    >>> _distinct(1000.25, (1000.0, 1000.25)), _distinct(0.5, (0.0, 0.5))
    ('1,000.2', '0.5')
    """
    gaps = np.diff(edges)
    gaps = gaps[gaps > 1e-9 * max(abs(edges[0]), abs(edges[-1]), 1e-300)]
    if not len(gaps):
        return number(edge, 6)
    digits = int(np.ceil(np.log10(max(abs(edge), gaps.min()) / gaps.min()))) + 1
    digits = min(max(digits, 3), 15)
    if 1e3 <= abs(edge) < 1e15:
        return f"{edge:,.{max(0, digits - len(f'{abs(edge):.0f}'))}f}"
    return number(edge, digits)


def role_of(values: pd.Series) -> ColumnType:
    """Tell what the values of a column are."""
    import pandas as pd
    from pandas.api import types

    if isinstance(values.dtype, pd.CategoricalDtype):
        return ColumnType.CATEGORY
    if types.is_bool_dtype(values.dtype):
        return ColumnType.FLAG
    if types.is_numeric_dtype(values.dtype) or types.is_timedelta64_dtype(values.dtype):
        return ColumnType.NUMBER
    if types.is_datetime64_any_dtype(values.dtype):
        return ColumnType.DATETIME
    found = _INFERRED.get(types.infer_dtype(values, skipna=True))
    return found or _role_of_text(values)


def _role_of_text(values: pd.Series) -> ColumnType:
    known = values.dropna().astype(str)
    return ColumnType.TEXT if is_prose(known.unique(), len(known)) else ColumnType.CATEGORY


def numbers_of(values: pd.Series, role: ColumnType) -> Array:
    """Values that bins with edges hold: float64 of shape (n,), NaN where there is none."""
    import pandas as pd
    from pandas.api import types

    if role is ColumnType.DATETIME:
        return _microseconds(values)
    if role is ColumnType.TEXT:
        return np.array([_length(one) for one in values.astype(object)], dtype=np.float64)
    if types.is_timedelta64_dtype(values.dtype):
        values = values.dt.total_seconds()
    elif types.is_datetime64_any_dtype(values.dtype):
        return np.full(len(values), np.nan)
    elif not types.is_numeric_dtype(values.dtype):
        values = pd.Series(pd.to_numeric(values.astype(object), errors="coerce"))
    return values.to_numpy(dtype=np.float64, na_value=np.nan)


def _length(value: Any) -> float:
    return float(len(value)) if isinstance(value, str) else np.nan


def _microseconds(values: pd.Series) -> Array:
    import pandas as pd
    from pandas.api import types

    if types.is_numeric_dtype(values.dtype):  # which unit, which origin?
        return np.full(len(values), np.nan)
    if not types.is_datetime64_any_dtype(values.dtype):
        values = pd.to_datetime(values.astype(object), utc=True, errors="coerce", format="mixed")
    times = pd.to_datetime(values, utc=True).dt.tz_localize(None).astype("datetime64[us]")
    return np.where(times.isna(), np.nan, times.astype("int64").to_numpy(np.float64))


def codes_of(values: pd.Series, role: ColumnType) -> tuple[Array, list[str]]:
    """Code of each row, −1 where it is missing, and the level of each code."""
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype):
        codes, levels = values.cat.codes.to_numpy(), values.cat.categories
    else:
        codes, levels = pd.factorize(_hashable(values))
    names = [_named(level) for level in levels]
    if role is ColumnType.FLAG:
        names = [{"0": "False", "1": "True"}.get(name, name) for name in names]
    return np.asarray(codes, dtype=np.intp), names


def _hashable(values: pd.Series) -> pd.Series:
    """Return the values; lists and the like as their text."""
    from pandas.api import types

    if values.dtype != object or types.infer_dtype(values, skipna=True) != "mixed":
        return values
    return values.map(str, na_action="ignore")


def _named(level: Any) -> str:
    """Name of a level: 3 and 3.0, True and true are one, as files and JSON write them."""
    if isinstance(level, float | np.floating) and level.is_integer():
        return str(int(level))
    return {"true": "True", "false": "False"}.get(str(level), str(level))


@dataclass(frozen=True)
class Counted:
    """Values of a column in a profile's bins."""

    counts: Array
    """Rows in each bin, shape (n_bins,)."""
    n_missing: int
    """Those that cannot be read among them."""
    changed: str = ""
    """How its kind differs from the profile's, in words."""


def counted(values: pd.Series, column: ColumnProfile) -> Counted:
    """Count a column's values in a profile's bins."""
    if column.has_levels:
        return _counted_levels(values, column)
    numbers = numbers_of(values, column.role)
    n_missing = int(np.count_nonzero(np.isnan(numbers)))
    counts = in_bins(numbers, column.edges, len(numbers) - n_missing)
    if not n_missing:
        return Counted(counts, 0)
    lost = values[np.isnan(numbers) & values.notna().to_numpy()]
    return Counted(counts, n_missing, _changed(lost, column))


def in_bins(numbers: Array, edges: tuple[float, ...], n_known: int) -> Array:
    """Rows in each bin; NaN is in none.

    A pass over the column for each edge, which a processor does many values at a time, is several
    times as fast as a search of every value's bin.
    """
    above = [np.count_nonzero(numbers > edge) for edge in edges]
    return -np.diff([n_known, *above, 0])


def _counted_levels(values: pd.Series, column: ColumnProfile) -> Counted:
    codes, names = codes_of(values, column.role)
    of_code = np.bincount(codes + 1, minlength=len(names) + 1)
    places = np.array([column.place(name) for name in names], dtype=np.intp)
    counts = np.bincount(places, of_code[1:], column.n_bins).astype(np.int64)
    is_known = any(name in column.places for name in names)
    return Counted(counts, int(of_code[0]), "" if is_known else _changed(values, column))


def _changed(values: pd.Series, column: ColumnProfile) -> str:
    """Say what a column holds now, if that is not what it held; nothing of one that is empty."""
    now, known = role_of(values), values.dropna()
    text = {ColumnType.CATEGORY, ColumnType.TEXT}
    if now is column.role or {now, column.role} == text or not len(known):
        return ""
    if column.has_levels and not column.places:
        return ""
    held, holds = _WORDS[column.role], _WORDS[now]
    return f"'{column.name}' holds {holds} ({elide(known.iloc[0], 20)}), it held {held}"
