"""The fields by which a person gives one row to a model, and the row that was given by them.

Pure functions of rows that the model learnt from, as a file has them. How a form looks belongs in
``serving.pages``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from baton.words.text import counted, elide, listed, number

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Kind = Literal["number", "flag", "category", "date", "datetime", "text", "prose"]

MOST_LEVELS = 100
"""Most values of a column that are listed."""

_PROSE_LENGTH = 60
_STEPS = 200
"""Of a field of numbers, from one end of what was learnt from to the other, at least half."""
_EXAMPLES = 3
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_YES = {"true": True, "false": False}


@dataclass(frozen=True)
class RowField:
    """A field for the value of one column."""

    name: str
    kind: Kind
    value: str
    """What stands there at first; empty for a missing value."""
    hint: str
    """What the column held where it was learnt from."""
    step: str = "any"
    """Of a number."""
    levels: tuple[str, ...] = ()
    """Values of a category, the most frequent first."""
    is_every: bool = True
    """Whether there were no others."""

    @property
    def facts(self) -> dict[str, Any]:
        """It, ready for JSON."""
        return asdict(self)


def fields_of(known: pd.DataFrame, row: Mapping[str, Any]) -> tuple[RowField, ...]:
    """Field of each column.

    Parameters
    ----------
    known : DataFrame
        Rows that were learnt from.
    row : mapping of str to Any
        Values that the fields begin with.
    """
    return tuple(_field(str(name), known[name], row.get(str(name))) for name in known)


def _field(name: str, known: pd.Series, value: Any) -> RowField:
    given = known.dropna()
    hint = " or missing" if len(given) < len(known) else ""
    match known.dtype.kind:
        case "b":
            return RowField(name, "flag", typed(value), f"yes or no{hint}")
        case "i" | "u" | "f":
            return _of_numbers(name, given, value, hint)
        case "M":
            return _of_times(name, given, value, hint)
        case "m":
            return RowField(name, "text", typed(value), f"such as {_such_as(given)}{hint}")
    return _of_texts(name, given.astype(str), value, hint)


def _of_numbers(name: str, given: pd.Series, value: Any, hint: str) -> RowField:
    if given.empty:
        return RowField(name, "number", typed(value), "always missing")
    low, high = float(given.min()), float(given.max())
    is_whole = bool((given % 1 == 0).all())
    said = f"{number(low, 4)} to {number(high, 4)}{hint}"
    return RowField(name, "number", typed(value), said, step_of(low, high, is_whole=is_whole))


def step_of(low: float, high: float, *, is_whole: bool) -> str:
    """Step of a field of numbers: a power of ten, of which some hundred lead from end to end.

    Examples
    --------
    >>> step_of(4.3, 7.9, is_whole=False), step_of(0, 48_842, is_whole=True)
    ('0.01', '100')
    >>> step_of(0, 30, is_whole=True), step_of(2, 2, is_whole=False)
    ('1', 'any')
    """
    if not 0 < high - low < math.inf:
        return "1" if is_whole else "any"
    power = math.ceil(math.log10((high - low) / _STEPS) - 0.5)
    if is_whole:
        power = max(power, 0)
    return f"{10**power}" if power >= 0 else f"{10.0**power:.{-power}f}"


def _of_times(name: str, given: pd.Series, value: Any, hint: str) -> RowField:
    if given.empty:
        return RowField(name, "datetime", typed(value), "always missing")
    is_day = bool((given == given.dt.normalize()).all())
    written = f"{_moment(given.min(), is_day)} to {_moment(given.max(), is_day)}{hint}"
    kind: Kind = "date" if is_day else "datetime"
    value = "" if value is None or value != value else _moment(value, is_day)  # noqa: PLR0124  NaT
    return RowField(name, kind, value.replace(" ", "T"), written)


def _moment(at: Any, is_day: bool) -> str:
    return f"{at:%Y-%m-%d}" if is_day else f"{at:%Y-%m-%d %H:%M:%S}"


def _of_texts(name: str, given: pd.Series, value: Any, hint: str) -> RowField:
    counts = given.value_counts()
    if counts.empty:
        return RowField(name, "text", typed(value), "always missing")
    if len(counts) <= MOST_LEVELS:
        levels = tuple(counts.index)
        return RowField(name, "category", typed(value), counted(len(levels), "value"), "", levels)
    some = given.iloc[:1000]
    if some.str.fullmatch(_DATE).all():
        return RowField(name, "date", typed(value), f"{given.min()} to {given.max()}{hint}")
    if some.str.len().median() > _PROSE_LENGTH:
        return RowField(name, "prose", typed(value), f"text{hint}")
    is_repeated = len(counts) < len(given) / 2
    levels = tuple(counts.index[:MOST_LEVELS]) if is_repeated else ()
    said = f"{counted(len(counts), 'value')}, such as {_such_as(given)}{hint}"
    return RowField(name, "text", typed(value), said, "", levels, is_every=False)


def _such_as(given: pd.Series) -> str:
    return listed((f"'{elide(one, 20)}'" for one in given.unique()[:_EXAMPLES]), last=", ")


def typed(value: Any) -> str:
    """Value as it is typed into a field; empty where it is missing.

    Examples
    --------
    >>> typed(5.1), typed(7.0), typed(True), typed(None), typed(float("nan")), typed("a")
    ('5.1', '7', 'true', '', '', 'a')
    """
    import pandas as pd

    if pd.isna(value):
        return ""
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, float | np.floating):
        return str(value).removesuffix(".0")
    return str(value)


class CellsError(ValueError):
    """A row that cannot be read: what is wrong by column."""

    def __init__(self, wrong: Mapping[str, str]) -> None:
        super().__init__(", ".join(f"{name}: {said}" for name, said in wrong.items()))
        self.wrong = dict(wrong)


def row_of(cells: Mapping[str, str], schema: pa.Schema) -> pa.Table:
    """Row of what was typed, in the types of the rows that were learnt from.

    Parameters
    ----------
    cells : mapping of str to str
        What was typed by column; what is empty is missing.
    schema : Schema
        Of the columns.

    Raises
    ------
    CellsError
        If a cell is not what its column holds.
    """
    import pyarrow as pa

    columns, wrong = {}, {}
    for field in schema:
        text = cells.get(field.name, "").strip()
        try:
            columns[field.name] = _cell(text, field.type)
        except (ValueError, KeyError, OverflowError, pa.ArrowException):
            wrong[field.name] = f"{elide(text, 40)!r} is {_no(field.type)}"
    if wrong:
        raise CellsError(wrong)
    return pa.table(columns)


def _cell(text: str, kind: Any) -> Any:
    import pandas as pd
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not text:
        return pa.nulls(1, kind)
    if pa.types.is_boolean(kind):
        return pa.array([_YES[text.lower()]])
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _number(text, kind)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return pa.array([datetime.fromisoformat(text)]).cast(kind, safe=False)
    if pa.types.is_duration(kind):
        return pa.array([pd.Timedelta(text).to_pytimedelta()]).cast(kind, safe=False)
    return pa.array([text])


def _number(text: str, kind: Any) -> Any:
    import pyarrow as pa

    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    is_whole = pa.types.is_integer(kind) and value % 1 == 0
    return pa.array([int(text) if re.fullmatch(r"-?\d+", text) else value]).cast(
        kind if is_whole else pa.float64(), safe=False
    )


_NO = {"int": "number", "uint": "number", "float": "number", "double": "number"}
_NO |= {"halffloat": "number", "bool": "yes or no", "timestamp": "date", "date32": "date"}


def _no(kind: Any) -> str:
    word = re.match(r"[a-z]+", str(kind))
    return f"no {_NO.get(word[0] if word else '', 'such value')}"


def shown_first(fields: tuple[RowField, ...], strength: Mapping[str, float]) -> Iterator[RowField]:
    """Fields with those first that drive the model most."""
    yield from sorted(fields, key=lambda one: -strength.get(one.name, 0.0))
