"""Which bins a column gets: few, each with enough rows, frequent values with one of their own.

Counting values in them belongs in ``columns``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.monitoring.columns import ColumnProfile, Side, codes_of, counted, numbers_of, role_of

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_BINS = 20
"""Bins of a numeric column."""

FEW_VALUES = MOST_BINS - 2
"""So many distinct numbers have a bin each; beyond them, one below and one above."""

MOST_LEVELS = 50
"""Levels of a category that have a bin each."""

MOST_KNOWN = 5_000
"""Levels that are listed; of a column with more of them none is said to be unknown."""

_SAMPLE = 100_000
"""Rows that edges are chosen by."""

_FEW_ROWS = 5
"""A level that is rarer is one of many that might have been seen or not."""


def profiled(values: pd.Series, kind: Side, *, says_date: bool) -> ColumnProfile:
    """Choose a column's bins, and count its values in them.

    Parameters
    ----------
    values : Series of shape (n,)
    kind : "feature" or "prediction"
    says_date : bool
    """
    empty = ColumnProfile(
        name=str(values.name),
        kind=kind,
        role=role_of(values),
        says_date=says_date,
        edges=(),
        is_each_a_value=False,
        levels=(),
        rarer=(),
        is_closed=True,
        counts=(),
        n_rows=0,
        n_missing=0,
    )
    made = _with_levels if empty.has_levels else _with_edges
    return replace(made(empty, values), n_rows=len(values), n_missing=int(values.isna().sum()))


def _with_edges(column: ColumnProfile, values: pd.Series) -> ColumnProfile:
    sample = values if len(values) <= _SAMPLE else values.sample(_SAMPLE, random_state=0)
    numbers = numbers_of(sample, column.role)
    distinct, counts = np.unique(numbers[~np.isnan(numbers)], return_counts=True)
    is_few = len(distinct) <= FEW_VALUES
    chosen = replace(column, edges=edges_of(distinct, counts), is_each_a_value=is_few)
    return replace(chosen, counts=_plain(counted(values, chosen).counts))


def edges_of(distinct: Array, counts: Array) -> tuple[float, ...]:
    """Edges of at most `MOST_BINS` bins, open below and closed above, the outer ones open ended.

    Few distinct values have a bin each, and so has one that many rows have; the others are cut by
    quantiles. Beyond a value with a bin of its own that is the least or the greatest lies a bin
    in which no row is yet.

    Parameters
    ----------
    distinct : array of shape (d,)
        The known values, rising.
    counts : array of shape (d,)
        How many rows have each.

    Examples
    --------
    >>> edges_of(np.arange(1000.0), np.ones(1000, int))[:3]
    (55.0, 111.0, 166.0)
    """
    if len(distinct) <= FEW_VALUES:
        edges = {*distinct, *np.nextafter(distinct[:1], -np.inf)}
        return tuple(float(edge) for edge in sorted(edges) if np.isfinite(edge))
    for n_bins in range(FEW_VALUES, 1, -1):
        edges = _cut(distinct, counts, n_bins)
        if len(edges) < MOST_BINS:
            break
    return tuple(float(edge) for edge in sorted(edges) if np.isfinite(edge))


def _cut(distinct: Array, counts: Array, n_bins: int) -> set[float]:
    """Edges around values that fill a bin alone, and between quantiles of the others."""
    size = counts.sum() / n_bins
    is_frequent = counts >= size
    frequent, rest = distinct[is_frequent], distinct[~is_frequent]
    heights = np.cumsum(counts[~is_frequent])
    n_rest = round(heights[-1] / size) if len(heights) else 0
    wanted = np.arange(1, n_rest) * heights[-1] / n_rest if n_rest else np.empty(0)
    return {*rest[np.searchsorted(heights, wanted)], *frequent, *np.nextafter(frequent, -np.inf)}


def _with_levels(column: ColumnProfile, values: pd.Series) -> ColumnProfile:
    """Levels that are frequent have a bin; those of few rows are chosen and counted apart.

    A level is in the list since it was seen, which a new row's level need not be: where levels are
    rare, chosen and counted by the same rows, new rows would seem to have fewer of those listed
    and more unknown ones. So one half of the rows chooses, the other is counted, as new rows are.
    """
    codes, names = codes_of(values, column.role)
    names, codes = _merged(names, codes[codes >= 0])
    totals = np.bincount(codes, minlength=len(names))
    known = totals[totals > 0]
    chooses = np.ones(len(codes), dtype=bool)
    if len(known) > MOST_LEVELS or known.min(initial=_FEW_ROWS) < _FEW_ROWS:
        chooses[np.random.default_rng(0).permutation(len(codes))[::2]] = False
    return _chosen(column, codes, names, chooses)


def _merged(names: list[str], codes: Array) -> tuple[list[str], Array]:
    """Levels of one name as one."""
    distinct = list(dict.fromkeys(names))
    places = {name: place for place, name in enumerate(distinct)}
    return distinct, np.array([places[name] for name in names], dtype=np.intp)[codes]


def _chosen(column: ColumnProfile, codes: Array, names: list[str], chooses: Array) -> ColumnProfile:
    seen = np.bincount(codes[chooses], minlength=len(names))
    held = np.bincount(codes if chooses.all() else codes[~chooses], minlength=len(names))
    order = sorted(np.flatnonzero(seen + held), key=lambda code: (-seen[code], names[code]))
    most = [code for code in order[:MOST_LEVELS] if seen[code]]
    rest = np.array(order[len(most) :], dtype=np.intp)
    is_closed = len(order) <= MOST_KNOWN
    is_new = (seen[rest] == 0) & is_closed
    counts = (*(held[code] for code in most), held[rest][~is_new].sum(), held[rest][is_new].sum())
    return replace(
        column,
        levels=tuple(names[code] for code in most),
        rarer=tuple(sorted(names[code] for code in rest)) if is_closed else (),
        is_closed=is_closed,
        counts=_plain(counts),
    )


def _plain(counts: Any) -> tuple[int, ...]:
    return tuple(int(count) for count in counts)
