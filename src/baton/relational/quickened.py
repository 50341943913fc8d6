"""Aggregates of one step, made of arrays without a table of every pair's children.

What this does not know, of primitives, columns and values, ``compute`` makes by expressions, with
the same answers but for rounding.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from baton.relational.beginnings import Coded, Seen, Segments
from baton.relational.entityset import ROW, EntitySet
from baton.relational.planner import Aggregation, Feature, Identity
from baton.relational.primitives import CUTOFF, FLAT, MICROSECONDS
from baton.relational.schema import Path, Relationship
from baton.settings import settings
from baton.terms import ColumnType

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

_LARGEST = 1e75
"""Of fractions: their cubes can be summed up."""
_LARGEST_WHOLE = 2.0**53
"""Of sums of whole numbers: as fractions they are exact."""
_EARLIEST = np.iinfo(np.int64).min
"""A cut-off that is missing is before all else, as a date is that is."""


def _std(of: Segments) -> Array:
    return np.where(of.sizes > 1, np.sqrt(of.squares / (of.sizes - 1)), np.nan)


def _skew(of: Segments) -> Array:
    """As ``primitives`` has it."""
    n = of.sizes
    biased = np.sqrt(n) * of.cubes / of.squares**1.5
    skew = np.where(of.squares < FLAT, 0.0, biased * np.sqrt(n * (n - 1.0)) / (n - 2))
    return np.where(n >= 3, skew, np.nan)


_OF_NUMBERS: dict[str, Callable[[Segments], Array]] = {
    "sum": lambda of: of.sum,
    "mean": lambda of: of.mean,
    "min": lambda of: of.min,
    "max": lambda of: of.max,
    "std": _std,
    "skew": _skew,
    "median": lambda of: of.median,
    "percent_true": lambda of: of.mean,
}
_OF_TIMES = {"time_since_first", "time_since_last", "avg_time_between"}


def quick(entities: EntitySet, path: Path, features: Sequence[Aggregation]) -> list[Aggregation]:
    """Those of the features at a path's end that arrays may make."""
    times = entities.times(path[0].child)
    is_timed = times is None or times.dtype == pl.Datetime("us")
    if len(path) > 1 or not is_timed or not settings().fast:
        return []
    return [feature for feature in features if _is_known(entities, feature)]


def _is_known(entities: EntitySet, feature: Aggregation) -> bool:
    name, base = feature.primitive.name, feature.base
    if base is None:
        return name == "count"
    if not _is_as_it_stands(entities, base):
        return False
    kind = entities.frames[base.entity].schema[base.name]
    if name in {"num_unique", "mode"}:
        return kind == pl.String and base.type is ColumnType.CATEGORY
    if name in _OF_NUMBERS:
        return kind in {pl.Float64, pl.Int64, pl.Boolean}
    return name == "last" or name in _OF_TIMES


def _is_as_it_stands(entities: EntitySet, base: Feature) -> bool:
    """Whether a column says the same to whoever sees its row."""
    entity = entities.schema.entity(base.entity)
    is_hidden = base.type is ColumnType.DATETIME and base.name != entity.time_index
    return isinstance(base, Identity) and base.name not in entity.late and not is_hidden


def seen_by(entities: EntitySet, link: Relationship, instances: pl.DataFrame) -> Seen:
    """What each pair of a row and a cut-off has seen of its children."""
    children, times = entities.children(link), entities.times(link.child)
    parents = instances[ROW].cast(pl.Int64).to_numpy()
    if times is None:
        return children.seen(parents, len(entities.frames[link.child]))
    dates = times.to_physical().fill_null(_EARLIEST).to_numpy()
    cutoffs = instances[CUTOFF].to_physical().fill_null(_EARLIEST).to_numpy()
    return children.seen(parents, np.searchsorted(dates, cutoffs, side="right"))


@dataclass(frozen=True)
class Quick:
    """Values of features for what pairs have seen."""

    frame: pl.DataFrame
    """Of the children."""
    cutoffs: pl.Series
    seen: Seen

    def values(self, features: Sequence[Aggregation]) -> dict[str, pl.Series]:
        """Values by name; a feature is left out where arrays would not be exact."""
        by_column: dict[str, list[Aggregation]] = {}
        for feature in features:
            by_column.setdefault(feature.base.name if feature.base else "", []).append(feature)
        _ = self.seen.rows  # made once, before threads ask for it
        with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
            parts = list(threads.map(self._of_column, by_column, by_column.values()))
        return {name: values for part in parts for name, values in part.items()}

    def _of_column(self, column: str, features: list[Aggregation]) -> dict[str, pl.Series]:
        make = self._maker(column)
        is_seen = pl.Series(self.seen.sizes > 0)
        with np.errstate(all="ignore"):
            made = {feature.name: make(feature.primitive.name) for feature in features}
        return {
            name: pl.select(pl.when(is_seen).then(values)).to_series()
            for name, values in made.items()
            if values is not None
        }

    def _maker(self, column: str) -> Callable[[str], pl.Series | None]:
        """What makes a column's values of a primitive, by its name."""
        if not column:
            return lambda _: pl.Series(self.seen.sizes)
        values = self.frame[column]
        if values.dtype == pl.Datetime:
            return partial(self._of_times, values)
        if values.dtype == pl.String:
            return partial(_of_levels, *_coded(*self._held(values)))
        return partial(self._of_numbers, values, _segments(*self._held(values)))

    def _held(self, values: pl.Series) -> tuple[pl.Series, Array]:
        """Values that are seen and there, and how many of each beginning."""
        held, sizes = values.gather(self.seen.rows), self.seen.sizes
        if held.dtype == pl.Boolean:
            held = held.fill_null(value=False)
        if held.null_count():
            is_there = held.is_not_null().cast(pl.Float64).to_numpy()
            sizes = Segments(is_there, sizes).sum.astype(np.int64)
        return held.drop_nulls(), sizes

    def _of_times(self, times: pl.Series, primitive: str) -> pl.Series:
        first, last = times.gather(self.seen.firsts), times.gather(self.seen.lasts)
        if primitive == "time_since_first":
            return _seconds(self.cutoffs - first)
        if primitive == "time_since_last":
            return _seconds(self.cutoffs - last)
        gaps = pl.Series(self.seen.sizes - 1)
        return pl.select(pl.when(gaps > 0).then(_seconds(last - first) / gaps)).to_series()

    def _of_numbers(
        self, values: pl.Series, segments: Segments | None, primitive: str
    ) -> pl.Series | None:
        if primitive == "last":
            return values.gather(self.seen.lasts)
        if segments is None:
            return None
        return pl.Series(_OF_NUMBERS[primitive](segments), nan_to_null=True)


def _seconds(durations: pl.Series) -> pl.Series:
    return durations.dt.total_microseconds() / MICROSECONDS


def _segments(held: pl.Series, sizes: Array) -> Segments | None:
    """Fractions of numbers and flags; None where they would not be exact."""
    numbers = held.cast(pl.Float64).to_numpy()
    most = np.abs(numbers).max(initial=0.0)
    is_whole = held.dtype == pl.Int64
    is_exact = most * len(held) < _LARGEST_WHOLE if is_whole else most < _LARGEST
    return Segments(numbers, sizes) if is_exact else None


def _coded(held: pl.Series, sizes: Array) -> tuple[pl.Series, Coded]:
    """Texts, in their order, and their numbers."""
    levels = held.unique().sort()
    codes = held.cast(pl.Enum(levels)).to_physical().cast(pl.Int64).to_numpy()
    return levels, Coded(codes, len(levels), sizes)


def _of_levels(levels: pl.Series, coded: Coded, primitive: str) -> pl.Series:
    if primitive == "num_unique":
        return pl.Series(coded.n_unique)
    codes = pl.Series(coded.mode)
    return levels.gather(pl.select(pl.when(codes >= 0).then(codes)).to_series())
