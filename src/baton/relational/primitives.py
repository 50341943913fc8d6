"""The primitives that features are made with, as polars expressions.

Each gives the values of featuretools' primitive of the same name. How they are stacked is
decided in ``baton.relational.planner``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from baton.errors import InputError
from baton.terms import ColumnType

CUTOFF = "_cutoff"
"""Column of the time as of which a row is seen."""

MICROSECONDS = 1_000_000
FLAT = 1e-14
"""Sum of squares below which pandas takes values for equal."""


@dataclass(frozen=True)
class Primitive:
    """A way to make one value: of the children's values, or of one row's."""

    name: str
    takes: tuple[ColumnType, ...]
    """Types of its input; none counts rows."""
    gives: ColumnType
    expression: Callable[[pl.Expr], pl.Expr]
    of_no_rows: float | None = None
    """Value of a parent without children, where that is not missing."""
    of_time_index: bool = False
    """Whether the input is the time index and no other column."""
    stacks: bool = True
    """Whether it is made of other aggregations."""


def _seconds(duration: pl.Expr) -> pl.Expr:
    return duration.dt.total_microseconds() / MICROSECONDS


def _skew(values: pl.Expr) -> pl.Expr:
    """Bias-corrected; 0 of equal values, missing of fewer than three, as pandas has it."""
    is_flat = values.var(ddof=0) * values.count() < FLAT
    skew = pl.when(is_flat).then(0.0).otherwise(values.skew(bias=False))
    return pl.when(values.count() >= 3).then(skew)


def _between(times: pl.Expr) -> pl.Expr:
    gaps = times.count().cast(pl.Int64) - 1
    return pl.when(gaps > 0).then(_seconds(times.max() - times.min()) / gaps)


def _together(texts: pl.Expr) -> pl.Expr:
    """Put the latest texts together; missing where there is none."""
    known = texts.drop_nulls()
    return pl.when(known.count() > 0).then(known.tail(MOST_TEXTS).str.join(" "))


_NUMBER, _FLAG = ColumnType.NUMBER, ColumnType.FLAG
_CATEGORY, _TIME, _TEXT = ColumnType.CATEGORY, ColumnType.DATETIME, ColumnType.TEXT

MOST_TEXTS = 20
"""So many texts of the children are put together, the latest."""

AGGREGATIONS: dict[str, Primitive] = {
    primitive.name: primitive
    for primitive in (
        Primitive("count", (), _NUMBER, lambda rows: rows.len(), of_no_rows=0),
        Primitive("sum", (_NUMBER,), _NUMBER, lambda x: x.sum(), of_no_rows=0),
        Primitive("mean", (_NUMBER,), _NUMBER, lambda x: x.mean()),
        Primitive("min", (_NUMBER,), _NUMBER, lambda x: x.min()),
        Primitive("max", (_NUMBER,), _NUMBER, lambda x: x.max()),
        Primitive("std", (_NUMBER,), _NUMBER, lambda x: x.std(ddof=1)),
        Primitive("median", (_NUMBER,), _NUMBER, lambda x: x.median()),
        Primitive("skew", (_NUMBER,), _NUMBER, _skew, stacks=False),
        Primitive("last", (_NUMBER,), _NUMBER, lambda x: x.last()),
        Primitive("num_unique", (_CATEGORY, _TEXT), _NUMBER, lambda x: x.drop_nulls().n_unique()),
        Primitive("mode", (_CATEGORY,), _CATEGORY, lambda x: x.drop_nulls().mode().min()),
        Primitive(
            "percent_true",
            (_FLAG,),
            _NUMBER,
            lambda x: x.fill_null(value=False).mean(),
            stacks=False,
        ),
        Primitive("texts", (_TEXT,), _TEXT, _together, stacks=False),
        Primitive(
            "time_since_first",
            (_TIME,),
            _NUMBER,
            lambda x: _seconds(pl.col(CUTOFF).first() - x.first()),
            of_time_index=True,
        ),
        Primitive(
            "time_since_last",
            (_TIME,),
            _NUMBER,
            lambda x: _seconds(pl.col(CUTOFF).first() - x.last()),
            of_time_index=True,
        ),
        Primitive("avg_time_between", (_TIME,), _NUMBER, _between, of_time_index=True),
    )
}
"""Primitives over a parent's children, by name."""

TRANSFORMS: dict[str, Primitive] = {
    primitive.name: primitive
    for primitive in (
        Primitive("year", (_TIME,), _CATEGORY, lambda x: x.dt.year()),
        Primitive("month", (_TIME,), _CATEGORY, lambda x: x.dt.month()),
        Primitive("day", (_TIME,), _CATEGORY, lambda x: x.dt.day()),
        Primitive("weekday", (_TIME,), _CATEGORY, lambda x: x.dt.weekday() - 1),
        Primitive("hour", (_TIME,), _CATEGORY, lambda x: x.dt.hour()),
        Primitive("is_weekend", (_TIME,), _FLAG, lambda x: x.dt.weekday() > 5),
    )
}
"""Primitives of one row's own value, by name."""


def chosen(names: tuple[str, ...]) -> tuple[list[Primitive], list[Primitive]]:
    """Aggregations and transforms of those names, in that order.

    Raises
    ------
    InputError
        If there is none of a name.
    """
    for name in names:
        if name not in AGGREGATIONS and name not in TRANSFORMS:
            known = ", ".join([*AGGREGATIONS, *TRANSFORMS])
            raise InputError(f"unknown primitive {name!r}; there are: {known}")
    return (
        [AGGREGATIONS[name] for name in names if name in AGGREGATIONS],
        [TRANSFORMS[name] for name in names if name in TRANSFORMS],
    )
