"""Which rows hang together, and how much each counts: columns of times, groups and weights.

How rows are parted by them belongs in ``baton.bonds``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from baton.errors import InputError
from baton.tables.columns import role_of
from baton.tables.features import converted
from baton.tables.levels import text_of
from baton.tables.roles import Role
from baton.words.text import counted

if TYPE_CHECKING:
    import pandas as pd

_ORDERED = (Role.NUMBER, Role.DATETIME, Role.DURATION)


def time_values(series: pd.Series) -> pd.Series:
    """When each row was: numbers or dates, none missing.

    Raises
    ------
    InputError
        If the column holds neither, or some rows have no value that can be read.
    """
    import pandas as pd

    column = role_of(str(series.name), series, keep=True)
    if column.role not in _ORDERED:
        raise InputError(
            f"time {series.name!r} holds neither dates nor numbers, so no row is later than"
            " another; choose another column"
        )
    found = pd.Series(converted(series, column), series.index)
    if missing := int(found.isna().sum()):
        raise InputError(
            f"time {series.name!r} cannot be read in {counted(missing, 'row')}; fill it in or leave"
            " those rows out"
        )
    return found


def weight_values(series: pd.Series) -> pd.Series:
    """How much each row counts.

    Raises
    ------
    InputError
        If a row's weight is missing, negative or no number, or all of them are zero.
    """
    import numpy as np
    import pandas as pd

    column = role_of(str(series.name), series, keep=True)
    if column.role not in (Role.NUMBER, Role.BOOLEAN):
        raise InputError(f"weight {series.name!r} holds no numbers; choose another column")
    found = pd.Series(np.asarray(converted(series, column), dtype=np.float64), series.index)
    said = f"weight {series.name!r} is"
    if missing := int((~np.isfinite(found)).sum()):
        raise InputError(
            f"{said} missing in {counted(missing, 'row')}; fill it in or leave those rows out"
        )
    if negative := int((found < 0).sum()):
        raise InputError(f"{said} negative in {counted(negative, 'row')}; give each 0 or more")
    if not found.any():
        raise InputError(f"{said} 0 in every row, so none counts; choose another column")
    return found


def group_values(series: pd.Series) -> pd.Series:
    """What each row belongs to, as text; rows that do not say so belong together."""
    return text_of(series).to_pandas().astype("str").set_axis(series.index)
