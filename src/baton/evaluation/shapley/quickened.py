"""Boosters explained by tables of their trees, where their own explaining takes far longer.

The loops belong in ``baton.kernels``, the engines' own way in ``boosters``.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.evaluation.shapley import cost
from baton.evaluation.shapley.boosters import is_from
from baton.settings import settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from baton.kernels.cells import Cells
    from baton.kernels.patterns import Tables
    from baton.kernels.trees import Trees

    Array = np.ndarray[Any, np.dtype[Any]]
    Explain = Callable[[Any], tuple[Array, Array]]

_FEWEST_ROWS = 500


def quickened(estimator: Any, engine: Explain, n_rows: int) -> Explain:
    """Explainer of a booster by tables where that pays, else its engine's own.

    Parameters
    ----------
    estimator : estimator or booster of XGBoost's or LightGBM's
    engine : callable
        From an array of shape (n, n_features) to values of shape (n, n_features, n_outputs) and
        base values; it gives the base values in any case.
    n_rows : int
        Rows that are to be explained in all.
    """
    if n_rows < _FEWEST_ROWS or not settings().fast:
        return engine
    return _Quickened(estimator, engine, n_rows)


class _Quickened:
    """Makes its tables at the first rows, and asks the engine where it cannot."""

    def __init__(self, estimator: Any, engine: Explain, n_rows: int) -> None:
        self.estimator, self.engine, self.n_rows = estimator, engine, n_rows

    def __call__(self, X: Any) -> tuple[Array, Array]:
        if not is_plain(X) or self.tables is None or X.shape[1] != self.tables.trees.n_features:
            return self.engine(X)
        return self.tables.explain(X, self.n_threads), self.base

    @property
    def n_threads(self) -> int:
        """Threads that the model may use."""
        wanted = getattr(self.estimator, "n_jobs", None) or 0
        return int(wanted) if wanted > 0 else os.cpu_count() or 1

    @cached_property
    def tables(self) -> Cells | Tables | None:
        """Tables of the trees; None where they would not pay or cannot be made."""
        from baton.kernels.cells import cells_of
        from baton.kernels.patterns import tables_of

        trees = trees_of(self.estimator)
        if trees is None or not pays(trees, self.n_rows):
            return None
        return cells_of(trees) or tables_of(trees)

    @cached_property
    def base(self) -> Array:
        """Base values, which are the engine's."""
        assert self.tables is not None
        return self.engine(np.zeros((1, self.tables.trees.n_features), dtype=np.float32))[1]


def pays(trees: Trees, n_rows: int) -> bool:
    """Whether tables explain so many rows sooner than the engine."""
    return cost.by_tables(trees, n_rows) < cost.by_engine(trees, n_rows)


def is_plain(X: Any) -> bool:
    """Whether it is a matrix of fractions, none infinite: of others, engines know more."""
    is_matrix = isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind == "f"
    return is_matrix and not np.isinf(X).any()


def trees_of(estimator: Any) -> Trees | None:
    """Trees of a booster of XGBoost's or LightGBM's; None where they are of another kind."""
    from baton.kernels.trees import of_lightgbm, of_xgboost

    if not is_from(estimator, "xgboost"):
        return of_lightgbm(getattr(estimator, "booster_", estimator))
    missing = getattr(estimator, "missing", None)
    if missing is not None and not np.isnan(missing):
        return None
    return of_xgboost(estimator.get_booster() if hasattr(estimator, "get_booster") else estimator)
