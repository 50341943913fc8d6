"""What one column alone tells of another: its nearest value among other rows decides.

Unlike a model it learns nothing smooth: what it predicts without an error is a function of the
column, whatever that function is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]

MISSING = np.inf
"""Stands for a missing value: a value of its own, far from all others."""


@dataclass(frozen=True)
class Values:
    """A column as numbers."""

    name: str
    numbers: Array
    """Numbers, days, or codes of levels; `MISSING` where there is none."""
    is_category: bool

    @property
    def n_distinct(self) -> int:
        """How many values there are, the missing one among them."""
        return len(np.unique(self.numbers))


def values_of(column: pd.Series) -> Values:
    """Column of a feature table as numbers."""
    import pandas as pd
    from pandas.api import types

    name, is_category = str(column.name), False
    if types.is_datetime64_any_dtype(column.dtype):
        numbers = _days(column)
    elif types.is_numeric_dtype(column.dtype):
        numbers = column.to_numpy(dtype=float, na_value=np.nan)
    else:
        is_category = True
        codes = pd.factorize(column)[0].astype(float)
        numbers = np.where(codes < 0, np.nan, codes)
    return Values(name, np.where(np.isfinite(numbers), numbers, MISSING), is_category)


def _days(column: pd.Series) -> Array:
    import pandas as pd

    times = pd.to_datetime(column, utc=True).astype("datetime64[us, UTC]")
    return np.where(times.isna(), np.nan, times.astype("int64") / 86_400e6)


def halves(n_rows: int, seed: int) -> Iterator[tuple[Array, Array]]:
    """Rows to learn from and rows to judge by, then the other way round."""
    mixed = np.random.default_rng(seed).permutation(n_rows)
    half = n_rows // 2
    yield mixed[:half], mixed[half:]
    yield mixed[half:], mixed[:half]


def errors(x: Values, codes: Array, seed: int) -> tuple[int, int, float]:
    """How often the nearest value's most frequent class is wrong.

    Parameters
    ----------
    x : Values of shape (n,)
    codes : array of shape (n,), int
    seed : int
        Of the halves.

    Returns
    -------
    wrong : int
        Rows, of those whose value the other half has.
    by_chance : int
        As many would be wrong if the most frequent class were always said.
    covered : float
        Part of the rows that are counted.
    """
    wrong = by_chance = covered = 0
    for learn, judge in halves(len(codes), seed):
        known, of_value = _most_frequent(x.numbers[learn], codes[learn])
        places, is_known = _nearest(known, x.numbers[judge], x.is_category)
        actual = codes[judge][is_known]
        wrong += int((of_value[places[is_known]] != actual).sum())
        by_chance += len(actual) - int(np.bincount(actual).max(initial=0))
        covered += len(actual)
    return wrong, by_chance, covered / max(len(codes), 1)


def _most_frequent(numbers: Array, codes: Array) -> tuple[Array, Array]:
    """Distinct values, and the most frequent class of each."""
    known, place = np.unique(numbers, return_inverse=True)
    size = int(codes.max(initial=0)) + 1
    pairs, counts = np.unique(place * size + codes, return_counts=True)
    order = np.lexsort((counts, pairs // size))
    of_value = np.zeros(len(known), dtype=np.intp)
    of_value[pairs[order] // size] = pairs[order] % size  # the last of a value is its greatest
    return known, of_value


def _nearest(known: Array, wanted: Array, is_category: bool) -> tuple[Array, Array]:
    """Place of the nearest known value, and whether that counts as knowing it."""
    right = np.clip(np.searchsorted(known, wanted), 0, len(known) - 1)
    left = np.maximum(right - 1, 0)
    with np.errstate(invalid="ignore"):
        is_left = np.abs(wanted - known[left]) < np.abs(known[right] - wanted)
    places = np.where((known[right] != wanted) & is_left, left, right)
    exact = known[places] == wanted
    if is_category:
        return places, exact
    return places, exact | (np.isfinite(wanted) & np.isfinite(known[places]))


def estimated(x: Values, y: Array, seed: int) -> tuple[Array, Array]:
    """Numbers by the mean of the nearest values, between two of them in proportion.

    Returns
    -------
    estimates : array of shape (n,)
        NaN where the other half has no such value.
    is_known : array of shape (n,), bool
    """
    found = np.full(len(y), np.nan)
    for learn, judge in halves(len(y), seed):
        known, place = np.unique(x.numbers[learn], return_inverse=True)
        means = np.bincount(place, y[learn]) / np.bincount(place)
        found[judge] = _between(known, means, x.numbers[judge], x.is_category)
    return found, np.isfinite(found)


def _between(known: Array, means: Array, wanted: Array, is_category: bool) -> Array:
    places, is_known = _nearest(known, wanted, is_category)
    if is_category or not np.isfinite(known[0]):
        return np.where(is_known, means[places], np.nan)
    finite = np.isfinite(known)
    drawn = np.interp(wanted, known[finite], means[finite])
    return np.where(np.isfinite(wanted), drawn, np.where(is_known, means[places], np.nan))


def ranks(values: Array) -> Array:
    """Rank of each value, equal ones in the mean."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(values))


def explained(y: Array, found: Array) -> float:
    """Part of a target's variance that an estimate explains (R²); 0 where there is none."""
    spread = float(((y - y.mean()) ** 2).sum()) if len(y) else 0.0
    return 1 - float(((y - found) ** 2).sum()) / spread if spread > 0 else 0.0
