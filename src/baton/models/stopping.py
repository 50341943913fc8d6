"""Rows that say when to stop adding trees: a part set aside, or folds, as groups and time allow.

Where groups and times leave nothing to set aside, chance decides: a model is fitted all the same.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from baton import bonds
from baton.errors import InputError
from baton.terms import Kind

if TYPE_CHECKING:
    from baton.models.interface import FitSpec

    Parts = tuple[Any, Any]


def parted(y: Any, spec: FitSpec, part: float) -> Parts:
    """Positions of the rows to fit and of those to watch; every class is among the fitted.

    Parameters
    ----------
    y : array of shape (n,)
        Codes or values.
    spec : FitSpec
    part : float
        Of the rows, to be watched.
    """
    if spec.bonds:
        with suppress(InputError):  # one group, or one time
            sides = bonds.held_apart(spec.bonds, part, spec.seed, _classes(y, spec))
            fitted, watched = _with_every_class(y, sides, spec)
            if watched.any():
                return np.flatnonzero(fitted), np.flatnonzero(watched)
    return _by_chance(y, spec, part)


def folds(y: Any, spec: FitSpec, n_folds: int) -> list[Parts]:
    """Positions of the rows to fit and to score of each fold; few groups make fewer folds."""
    from sklearn.model_selection import KFold

    if spec.bonds:
        units = spec.bonds.units()
        with suppress(InputError, ValueError):  # one group, or one time
            few = min(n_folds, int(units.max()) + 1)
            return bonds.folds(spec.bonds, few, spec.seed, _classes(y, spec))
    return list(KFold(n_folds, shuffle=True, random_state=spec.seed).split(y))


def _classes(y: Any, spec: FitSpec) -> Any:
    return y if spec.kind is Kind.CLASSIFICATION else None


def _with_every_class(y: Any, sides: Parts, spec: FitSpec) -> Parts:
    """Rows to fit and to watch, those of classes that no fitted row has among the fitted."""
    fitted, watched = sides
    if spec.kind is Kind.CLASSIFICATION:
        strange = ~np.isin(y, np.unique(y[fitted]))
        return fitted | strange, watched & ~strange
    return fitted, watched


def _by_chance(y: Any, spec: FitSpec, part: float) -> Parts:
    from sklearn.model_selection import train_test_split

    rows = np.arange(len(y))
    if spec.kind is Kind.REGRESSION:
        return tuple(train_test_split(rows, test_size=part, random_state=spec.seed))
    frequent = np.bincount(y)[y] >= 2
    few = rows[~frequent]
    part = max(part, 1.5 * len(np.unique(y[frequent])) / frequent.sum())
    fitted, watched = train_test_split(
        rows[frequent], test_size=min(part, 0.5), random_state=spec.seed, stratify=y[frequent]
    )
    return np.concatenate([fitted, few]), watched
