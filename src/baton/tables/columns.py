"""What one column is good for, by its type, values and name; text is looked into further."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from baton.tables.levels import levels_of, text_if_any
from baton.tables.roles import Column, Role
from baton.tables.text_columns import text_column

if TYPE_CHECKING:
    import pandas as pd

_ID_NAME = re.compile(r"(?i:(^|[\W_])(id|uuid|guid|index|idx|key|rowid|row|nr|no))$|[a-z](ID|Id)$")


def infer_column(name: str, series: pd.Series) -> Column:
    """Column in its role, dropped if it is of no use."""
    column = role_of(name, series, keep=False)
    if column.role is Role.DROPPED or series.dtype.kind not in "biufmM":
        return column
    reason = _why_useless(name, series)
    return Column(name, Role.DROPPED, note=reason) if reason else column


def role_of(name: str, series: pd.Series, *, keep: bool) -> Column:
    """Column in the role that its values have; with `keep` no text is dropped as useless."""
    match series.dtype.kind:
        case "i" | "u" | "f":
            return Column(name, Role.NUMBER)
        case "b" if not series.hasnans:
            return Column(name, Role.BOOLEAN)
        case "M":
            return Column(name, Role.DATETIME)
        case "m":
            return Column(name, Role.DURATION, note="is counted in seconds")
    text = text_if_any(series)
    if text is None:
        return Column(name, Role.DROPPED, note="neither a number, a date nor text")
    return text_column(name, levels_of(text), len(text), keep=keep)


def _why_useless(name: str, series: pd.Series) -> str:
    """Reason to drop a column of numbers, booleans, dates or durations, or nothing."""
    missing = int(series.isna().sum())
    if missing == len(series):
        return "no values"
    if not missing and series.min() == series.max():
        return "the same value in every row"
    whole = series.dtype.kind in "iu"
    if whole and len(series) > 2 and _is_row_number(name, series):
        return "a row number or id: every value is different"
    return ""


def _is_row_number(name: str, series: pd.Series) -> bool:
    nameless = re.fullmatch(r"Unnamed: \d+(\.\d+)?|__index_level_\d+__", name)
    named = _ID_NAME.search(name)
    ordered = series.is_monotonic_increasing or series.is_monotonic_decreasing
    return bool((nameless or (named and ordered)) and series.is_unique)
