"""Categories with many levels: what the target is on average where a row has each level.

A code for each of hundreds of levels lets a tree learn the training rows by heart. An average is a
number; so that a row's own target is no part of it, the training rows see averages of other folds.

Micci-Barreca (2001), SIGKDD Explorations 3(1), 27-32; Pargent, Pfisterer, Thomas, Bischl (2022),
Computational Statistics 37, 2671-2692.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from baton.terms import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    Array = np.ndarray[Any, np.dtype[Any]]

FEW_LEVELS = 20
"""So many levels are told apart by their codes, however few rows have each."""

MOST_CODES = 254
"""More levels than this have no codes of their own, however many rows have each."""

MOST_POOLED = 0.05
"""Part of the rows whose levels may share one code, as no codes are left for them."""

ROWS_A_LEVEL = 20
"""With fewer rows a level on average, the target's averages serve better than codes."""

SMOOTHING = 10.0
"""Rows of the overall average that are mixed into a level's own."""

N_FOLDS = 5
_MOST_CLASSES = 30


def is_wanted(counts: Any) -> bool:
    """Whether a category's levels are too many for codes.

    Parameters
    ----------
    counts : array of shape (n_levels,)
        Rows of each level.

    Examples
    --------
    >>> is_wanted([10] * 3), is_wanted([2] * 243), is_wanted([30] * 181)
    (False, True, False)
    >>> is_wanted([2500] * 400), is_wanted([300] * 240 + [10] * 20)
    (True, False)
    """
    counts = np.sort(np.asarray(counts))[::-1]
    n_levels, n_rows = len(counts), counts.sum()
    if n_levels <= FEW_LEVELS:
        return False
    are_few = n_rows < ROWS_A_LEVEL * n_levels
    return bool(are_few or counts[MOST_CODES:].sum() > MOST_POOLED * n_rows)


def averaged_targets(y: Any, kind: Kind, n_classes: int) -> Array | None:
    """What is averaged: array of shape (n, k); None where there are too many classes.

    A number itself; of two classes, whether it is the second; of more, whether it is each.
    """
    if kind is Kind.REGRESSION:
        return np.asarray(y, dtype=np.float64)[:, None]
    if n_classes > _MOST_CLASSES:
        return None
    indicators = np.eye(n_classes)[y]
    return np.asarray(indicators[:, 1:] if n_classes == 2 else indicators)


def level_averages(places: Any, targets: Array, n_levels: int, weights: Any = None) -> Array:
    """Average of each level, drawn to the overall one: array of shape (n_levels, k).

    Parameters
    ----------
    places : int array of shape (n,)
        Place of every row's level, −1 for none.
    targets : array of shape (n, k)
    n_levels : int
    weights : array of shape (n,), optional
        How much each row counts, 1 on average; if not given, all count the same.
    """
    weights = _counted(weights, targets)
    prior = np.average(targets, axis=0, weights=weights)
    return _smoothed(*_sums(places, targets, n_levels, weights), prior)


def out_of_fold(
    places: Any,
    targets: Array,
    n_levels: int,
    seed: int,
    groups: Any = None,
    weights: Any = None,
) -> Array:
    """What `level_averages` of the other folds say of each row: array of shape (n, k).

    Rows of one group, where there are groups, are of one fold: no average tells a row what its
    own group's target is.
    """
    weights = _counted(weights, targets)
    sums, counts = _sums(places, targets, n_levels, weights)
    found = np.empty_like(targets)
    for rows in _folds(len(targets), seed, groups):
        own_sums, own_counts = _sums(places[rows], targets[rows], n_levels, weights[rows])
        others = weights.sum() - weights[rows].sum()
        prior = (weights @ targets - weights[rows] @ targets[rows]) / (others or 1.0)
        averages = _smoothed(sums - own_sums, counts - own_counts, prior)
        found[rows] = looked_up(places[rows], averages, prior)
    return found


def looked_up(places: Any, averages: Any, prior: Any) -> Array:
    """Average of every row's level, the overall one where it has none: shape (n, k)."""
    return np.asarray(np.vstack([*averages, prior])[places])


def _counted(weights: Any, targets: Array) -> Array:
    return np.ones(len(targets)) if weights is None else np.asarray(weights, dtype=np.float64)


def _sums(places: Any, targets: Array, n_levels: int, weights: Array) -> tuple[Array, Array]:
    known = places >= 0

    def summed(values: Array) -> Array:
        return np.bincount(places[known], weights=values[known], minlength=n_levels)

    sums = [summed(weights * one) for one in targets.T]
    return np.column_stack(sums), summed(weights)[:, None]


def _smoothed(sums: Array, counts: Array, prior: Any) -> Array:
    return np.asarray((sums + SMOOTHING * prior) / (counts + SMOOTHING))


def _folds(n_rows: int, seed: int, groups: Any) -> Iterable[Array]:
    """Positions of each fold's rows, by chance; rows of one group only are parted as any others."""
    units = _units(n_rows, groups)
    parts = np.array_split(np.random.default_rng(seed).permutation(units.max() + 1), N_FOLDS)
    return parts if groups is None else [np.flatnonzero(np.isin(units, one)) for one in parts]


def _units(n_rows: int, groups: Any) -> Array:
    import pandas as pd

    codes = pd.factorize(np.arange(n_rows) if groups is None else groups, use_na_sentinel=False)[0]
    return codes if codes.any() else np.arange(n_rows)
