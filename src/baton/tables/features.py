"""The feature table: a raw table's columns as a decision says, for these rows or new ones.

Nothing is decided here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from baton.errors import InputError
from baton.tables.levels import encode, text_of
from baton.tables.parsing import parse
from baton.tables.reading import DECIMAL, column_names
from baton.tables.refusals import unknown_column
from baton.tables.roles import Column, Role, Schema
from baton.terms import ROW, Kind

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def build(raw: pd.DataFrame, schema: Schema, *, with_target: bool = True) -> pd.DataFrame:
    """Feature table of a raw table.

    Parameters
    ----------
    raw : DataFrame
        A table of `read`.
    schema : Schema
        What `infer` said of it, or of the table a model was trained on.
    with_target : bool
        Whether to add the target and leave out the rows without one.

    Returns
    -------
    DataFrame
        `ROW` (position in `raw`), the columns of use and, if asked for, the target: `float` for
        regression; `int`, `bool` or text for classification.

    Raises
    ------
    InputError
        If `raw` lacks a column or a column's type is not what it was.
    """
    import numpy as np
    import pandas as pd

    used = used_columns(schema)
    for column in used:
        if column.name not in raw:
            raise unknown_column("column", column.name, column_names(raw), "the table")
    decimal = raw.attrs.get(DECIMAL, ".")
    columns = {column.name: converted(raw[column.name], column, decimal) for column in used}
    table = pd.DataFrame({ROW: np.arange(len(raw)), **columns})
    if not with_target or schema.target is None:
        return table
    name = schema.target.name
    table[name] = target_values(raw[name], schema.target).reset_index(drop=True)
    known = table[name].notna()
    table = table if known.all() else table[known].reset_index(drop=True)
    return table.assign(**{name: _as_kind(table[name], schema.kind)})


def used_columns(schema: Schema) -> list[Column]:
    """Columns that features are made of."""
    return [column for column in schema.columns if column.role is not Role.DROPPED]


def _as_kind(values: pd.Series, kind: Kind | None) -> pd.Series:
    if kind is Kind.REGRESSION:
        return values.astype(float)
    if values.dtype.kind == "f":
        return values.astype("int64") if (values % 1 == 0).all() else values.astype("str")
    return values


def target_values(series: pd.Series, column: Column) -> pd.Series:
    """Target as numbers, booleans or text, missing where there is none."""
    import pandas as pd

    if column.role is Role.CATEGORY:
        text: pd.Series = text_of(series).to_pandas().astype("str")
        return text.set_axis(series.index)
    return pd.Series(converted(series, column), series.index)


def converted(series: pd.Series, column: Column, decimal: str = ".") -> Any:
    """Values of a column in its role; `decimal` is the mark of numbers that are still text."""
    numeric = series.dtype.kind in "biuf"
    match column.role:
        case Role.NUMBER | Role.BOOLEAN if numeric:
            return _plain_numbers(series, column.role)
        case Role.DATETIME if series.dtype.kind == "M":
            return series.to_numpy().astype("datetime64[us]")
        case Role.DURATION if series.dtype.kind == "m":
            return series.dt.total_seconds().to_numpy()
        case Role.CATEGORY | Role.TEXT:
            return _categories(series) if column.role is Role.CATEGORY else _texts(series)
    if series.isna().all():
        return _nothing(column.role, len(series))
    if numeric or series.dtype.kind in "mM":
        raise InputError(
            f"column '{column.name}' was a {column.role} and is {series.dtype} here; "
            "make them agree"
        )
    return _read_levels(series, column, decimal)


def _plain_numbers(series: pd.Series, role: Role) -> np.ndarray:
    is_plain = role is Role.NUMBER or series.dtype.kind == "b"
    has_room = series.dtype.kind == "f" or not series.hasnans
    if is_plain and has_room:
        return series.to_numpy()
    return series.to_numpy(dtype=float, na_value=float("nan"))


def _nothing(role: Role, count: int) -> np.ndarray:
    import numpy as np

    if role is Role.DATETIME:
        return np.full(count, np.datetime64("NaT"), dtype="datetime64[us]")
    return np.full(count, np.nan)


def _texts(series: pd.Series) -> Any:
    return text_of(series).to_pandas().astype("str").array


def _categories(series: pd.Series) -> pd.Categorical:
    import numpy as np
    import pandas as pd

    codes, values = encode(series)
    levels = np.asarray(values.to_pylist(), dtype=object)
    order = np.argsort(levels, kind="stable")
    rank = np.append(np.argsort(order), -1)
    return pd.Categorical.from_codes(rank[codes], pd.Index(levels[order], dtype="str"))


def _read_levels(series: pd.Series, column: Column, decimal: str) -> np.ndarray:
    import numpy as np

    codes, values = encode(series)
    return np.asarray(np.append(parse(values, column, decimal), _nothing(column.role, 1))[codes])
