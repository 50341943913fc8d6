"""What a table looked like at training: histograms, nothing else.

How far new rows are from it belongs in ``drift``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from baton.dates import is_calendar, rises
from baton.monitoring.at_rest import from_table, to_table
from baton.monitoring.bins import profiled
from baton.monitoring.columns import ColumnProfile, Profile, numbers_of, role_of
from baton.monitoring.counts import Counts
from baton.terms import RESERVED, ColumnType

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]

__all__ = ["ColumnProfile", "Counts", "Profile", "from_table", "profile_of", "to_table"]

SAMPLED_ROWS = 3_000
"""Rows of a sample that is kept beside a profile, at most."""

_SAMPLE = 20_000
"""Rows by which a column is seen to go up with time."""


def profile_of(
    features: pd.DataFrame, answers: pd.DataFrame | None = None, *, times: Array | None = None
) -> Profile:
    """Count the rows that a model learned from, column by column.

    Parameters
    ----------
    features : DataFrame of shape (n, k)
        Features, without the row's id and the target: numbers, booleans, datetimes, categories or
        text.
    answers : DataFrame of shape (m, l), optional
        What the model predicts of rows that it did not learn from: numbers, or labels and
        probabilities.
    times : array of shape (n,), optional
        When each row was: a column that only goes up with it says the date. Datetimes among the
        features are looked at in any case.

    Returns
    -------
    Profile
        A column by the name of a part of the calendar, a datetime, and a number that only goes up
        with time are marked as saying the date.
    """
    dated = _says_date(features, times)
    columns = [
        profiled(column, "feature", says_date=name in dated) for name, column in _columns(features)
    ]
    if answers is not None:
        said = [profiled(one, "prediction", says_date=False) for _, one in _columns(answers)]
        columns += said
    return Profile(tuple(columns), len(features))


def _columns(frame: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
    for place, name in enumerate(frame.columns):
        if name not in RESERVED:
            yield str(name), frame.iloc[:, place]


def _says_date(features: pd.DataFrame, times: Array | None) -> set[str]:
    """Names of columns that only say the calendar."""
    places = np.random.default_rng(0).permutation(len(features))[:_SAMPLE]
    some = features.iloc[places]
    clocks = [] if times is None else [np.asarray(times)[places]]
    found = {name for name, _ in _columns(features) if is_calendar(name)}
    for name, column in _columns(some):
        if role_of(column) is ColumnType.DATETIME:
            found.add(name)
            clocks.append(numbers_of(column, ColumnType.DATETIME))
    rising = (name for name, one in _columns(some) for clock in clocks if rises(one, clock))
    return found | set(rising)
