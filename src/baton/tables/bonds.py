"""Which rows hang together: columns of times and groups.

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


def group_values(series: pd.Series) -> pd.Series:
    """What each row belongs to, as text; rows that do not say so belong together."""
    return text_of(series).to_pandas().astype("str").set_axis(series.index)
