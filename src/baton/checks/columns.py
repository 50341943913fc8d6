"""Columns that say nothing: constant, different in every row, or lost in reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from baton.checks.advice import leave_out
from baton.checks.one_column import values_of
from baton.tables.levels import lost
from baton.tables.roles import Column, Role
from baton.warning import DataWarning, WarningKind
from baton.words.text import counted, percent, quoted

if TYPE_CHECKING:
    import pandas as pd

    from baton.checks.sides import Sides

    Array = np.ndarray[Any, np.dtype[Any]]

_FEWEST_ROWS = 20
_NEARLY = 0.95
_EXAMPLES = 3
_SPREAD = 2.0
"""Range of numbers that count rows, by the training rows: those held out are counted too."""


def left_out_of(schema: Mapping[str, Any]) -> dict[str, str]:
    """Columns that a table's schema leaves out, and why; none where it is no such schema.

    Examples
    --------
    >>> left_out_of({"columns": [{"name": "id", "role": "dropped", "note": "a row number"}]})
    {'id': 'a row number'}
    >>> left_out_of({"months": [1, 2]})
    {}
    """
    try:
        read = TypeAdapter(list[Column]).validate_python(schema.get("columns", []))
    except ValidationError:
        return {}
    return {one.name: one.note for one in read if one.role is Role.DROPPED}


def columns(sides: Sides) -> list[DataWarning]:
    """Warn of columns without use, and of cells that were not read."""
    return [*_left_out(sides), *_constant(sides), *_all_different(sides), *_lost(sides)]


def _left_out(sides: Sides) -> Iterator[DataWarning]:
    """Columns that were left out for what is in them, a warning for each reason."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in sides.left_out.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        fact = f"{quoted(names)} {_be(names)} not used: {reason}"
        yield _warned(names, fact)


def _be(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _constant(sides: Sides) -> Iterator[DataWarning]:
    names = [str(name) for name in sides.train if _is_constant(sides.train[name])]
    if names:
        has = "has" if len(names) == 1 else "have"
        yield _warned(
            names,
            f"{quoted(names)} {has} one value in all training rows; {leave_out(sides, names)}",
        )


def _is_constant(column: pd.Series) -> bool:
    return len(np.unique(values_of(column).numbers)) <= 1


def _all_different(sides: Sides) -> Iterator[DataWarning]:
    # A part of the rows says nothing of numbers that count them all.
    places = np.flatnonzero(~sides.is_test)
    names = [str(name) for name in sides.features if _is_key(sides.features[name].iloc[places])]
    if names:
        fact = f"{quoted(names)} {_be(names)} different in (nearly) every row, as an id"
        yield _warned(names, f"{fact}: new rows have other values; {leave_out(sides, names)}")


def _is_key(column: pd.Series) -> bool:
    """Categories that hardly repeat, or whole numbers that fill their range, each once."""
    values = values_of(column)
    numbers = values.numbers[np.isfinite(values.numbers)]
    if len(numbers) < _FEWEST_ROWS or column.dtype.kind == "M":
        return False
    n_distinct = len(np.unique(numbers))
    if values.is_category:
        return n_distinct >= _NEARLY * len(numbers)
    is_once = n_distinct == len(numbers) and (numbers % 1 == 0).all()
    return bool(is_once and np.ptp(numbers) < _SPREAD * len(numbers))


def _lost(sides: Sides) -> Iterator[DataWarning]:
    if sides.raw is None:
        return
    for name in sides.features:
        if name in sides.raw and (strange := _strange(sides, str(name))):
            count, examples = strange
            share = percent(count / len(sides.rows))
            yield _warned(
                [str(name)],
                f"{counted(count, 'cell')} ({share}) of '{name}' such as {quoted(examples)} could"
                " not be read as the others are, and count as missing: mend them in the file if"
                " they are not",
            )


def _strange(sides: Sides, name: str) -> tuple[int, list[str]] | None:
    """Cells that were there and are missing among the features: how many, and a few of them."""
    assert sides.raw is not None
    if sides.raw[name].dtype.kind in "biufmM":
        return None
    found = lost(sides.raw[name].loc[sides.rows], sides.features[name].to_numpy())
    return (found.total, [str(one) for one in found.values[:_EXAMPLES]]) if found.total else None


def _warned(names: list[str], message: str) -> DataWarning:
    return DataWarning(WarningKind.COLUMNS, tuple(names), message)
