"""Columns that only say when a row was: that later rows are later says nothing of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]

_CALENDAR = re.compile(
    r"^(year|yr|yyyy|quarter|qtr|season|month|mnth|mon|mm|week|(week|day)_?of_?year|yday)$",
    re.IGNORECASE,
)


def is_calendar(name: object) -> bool:
    """Tell whether a column is a part of the calendar by its name.

    Examples
    --------
    >>> is_calendar("Month"), is_calendar("day_of_year"), is_calendar("months_open")
    (True, True, False)
    """
    return _CALENDAR.match(str(name)) is not None


def rises(column: pd.Series, times: Array) -> bool:
    """Tell whether a column of numbers only goes up with time.

    Parameters
    ----------
    column : Series of shape (n,)
    times : array of shape (n,)
        When each row was.
    """
    if column.dtype.kind not in "iuf" or column.nunique() < 2:
        return False
    is_known = column.notna().to_numpy()
    values = column.to_numpy()[is_known]
    ordered = values[np.lexsort((values, times[is_known]))]
    return bool((ordered[1:] >= ordered[:-1]).all())
