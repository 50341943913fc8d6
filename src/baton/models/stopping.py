"""How many trees a booster is given: as many as rows that it did not learn from find useful.

Which rows those are is decided here, for every engine: a part set aside, or folds, as groups and
time allow. How an engine counts belongs in its module.

Where groups and times leave nothing to set aside, chance decides: a model is fitted all the same.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from baton import bonds
from baton.errors import InputError
from baton.metric import Metric
from baton.terms import Kind

if TYPE_CHECKING:
    from baton.models.interface import FitSpec

    Parts = tuple[Any, Any]

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


def folds(y: Any, spec: FitSpec) -> list[Parts]:
    """Positions of the rows to fit and to watch, fold by fold; few groups make fewer folds.

    Every row is watched once, but for those of the first time.
    """
    if spec.bonds:
        units = spec.bonds.units()
        with suppress(InputError, ValueError):  # one group, or one time
            few = min(N_FOLDS, int(units.max()) + 1)
            return bonds.folds(spec.bonds, few, spec.seed, _classes(y, spec))
    return _folds_by_chance(y, spec)


def parted(y: Any, spec: FitSpec) -> Parts:
    """Positions of the rows to fit and to watch; every class keeps a row among the fitted."""
    if spec.bonds:
        with suppress(InputError):  # one group, or one time
            sides = bonds.held_apart(spec.bonds, WATCHED, spec.seed, _classes(y, spec))
            fitted, watched = _with_every_class(y, sides, spec)
            if watched.any():
                return np.flatnonzero(fitted), np.flatnonzero(watched)
    return _by_chance(y, spec)


def metric_of(y: Any, spec: FitSpec, parts: list[Parts]) -> Metric | None:
    """Metric that says when to stop; None for the engine's loss, also where it is not defined."""
    is_ranking = spec.metric in (Metric.ROC_AUC, Metric.AVERAGE_PRECISION)
    if is_ranking and any(len(np.unique(y[watched])) < spec.n_classes for _, watched in parts):
        return None
    return spec.metric


def _classes(y: Any, spec: FitSpec) -> Any:
    return y if spec.kind is Kind.CLASSIFICATION else None


def _with_every_class(y: Any, sides: Parts, spec: FitSpec) -> Parts:
    """Rows to fit and to watch, those of classes that no fitted row has among the fitted."""
    fitted, watched = sides
    if spec.kind is Kind.CLASSIFICATION:
        strange = ~np.isin(y, np.unique(y[fitted]))
        return fitted | strange, watched & ~strange
    return fitted, watched


def _folds_by_chance(y: Any, spec: FitSpec) -> list[Parts]:
    from sklearn.model_selection import KFold, StratifiedKFold

    few = spec.kind is Kind.REGRESSION or np.bincount(y).min() < N_FOLDS
    parting = (KFold if few else StratifiedKFold)(N_FOLDS, shuffle=True, random_state=spec.seed)
    return list(parting.split(np.zeros(len(y)), y))


def _by_chance(y: Any, spec: FitSpec) -> Parts:
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
