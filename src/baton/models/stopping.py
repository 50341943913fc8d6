"""How many trees a booster is given: as many as rows that it did not learn from find useful.

Which rows those are is decided here, for every engine; how an engine counts belongs in its module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from baton.terms import Kind

if TYPE_CHECKING:
    from baton.models.interface import FitSpec

FOLDS_ROWS = 2_000
"""Fewer rows are too precious, and too few, to set some aside: there folds say when to stop."""

N_FOLDS = 5
WATCHED = 0.15
"""Part of the rows that is watched where folds are not needed."""

PATIENCE = 100
"""Trees without a gain after which no more are tried."""

_LEAST_ROWS = 2 * N_FOLDS
_UNTRIED = 100


def is_by_folds(y: Any, spec: FitSpec) -> bool:
    """Whether folds say when to stop, because few rows are there or every class is a single row."""
    return len(y) < FOLDS_ROWS or spec.n_classes == len(y)


def untried(y: Any, most: int) -> int | None:
    """Number of trees for rows that are too few to find it; None if they are enough."""
    return min(most, _UNTRIED) if len(y) < _LEAST_ROWS else None


def folds(y: Any, spec: FitSpec) -> list[tuple[Any, Any]]:
    """Places of the rows to fit and to watch, fold by fold; every row is watched once."""
    from sklearn.model_selection import KFold, StratifiedKFold

    few = spec.kind is Kind.REGRESSION or np.bincount(y).min() < N_FOLDS
    parting = (KFold if few else StratifiedKFold)(N_FOLDS, shuffle=True, random_state=spec.seed)
    return list(parting.split(np.zeros(len(y)), y))


def parted(y: Any, spec: FitSpec) -> tuple[Any, Any]:
    """Places of the rows to fit and to watch; every class keeps a row among the fitted."""
    from sklearn.model_selection import train_test_split

    rows = np.arange(len(y))
    if spec.kind is Kind.REGRESSION:
        return tuple(train_test_split(rows, test_size=WATCHED, random_state=spec.seed))
    frequent = np.bincount(y)[y] >= 2
    few = rows[~frequent]
    part = max(WATCHED, 1.5 * len(np.unique(y[frequent])) / frequent.sum())
    fitted, watched = train_test_split(
        rows[frequent], test_size=min(part, 0.5), random_state=spec.seed, stratify=y[frequent]
    )
    return np.concatenate([fitted, few]), watched
