"""How long a model's rows take to be explained, where a count of the work says it.

What trees cost belongs in ``cost``; an estimate by the clock, of any model, in ``explain``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from baton.evaluation.shapley import cost
from baton.evaluation.shapley.boosters import is_from, is_lightgbm
from baton.evaluation.shapley.matrices import head
from baton.evaluation.shapley.quickened import is_plain, pays, trees_of
from baton.models import Ensemble, FittedModel
from baton.models.boosters import MeanMargin
from baton.models.interface import Explain
from baton.settings import settings

if TYPE_CHECKING:
    import pandas as pd

_CELL_SECONDS = 1e-6
"""Of a value that is found, written and read again."""


def expected_seconds(model: FittedModel | Ensemble, X: pd.DataFrame) -> float:
    """Seconds that explaining `X` and keeping the values takes, by a count of the work.

    Returns
    -------
    float
        The same for the same model and number of rows, on every machine. Infinite where the
        work cannot be counted: of other models than XGBoost's and LightGBM's without categories,
        linear ones, and their ensembles.
    """
    if isinstance(model, Ensemble):
        if model.explain is Explain.ANY:
            return math.inf
        return sum(expected_seconds(one, X) for one in model.members)
    n_outputs = len(model.classes) if len(model.classes) > 2 else 1
    kept = X.size * n_outputs * _CELL_SECONDS
    if model.explain is Explain.LINEAR:
        return kept
    is_dense = is_plain(model.matrix(head(X, 1)))
    return kept + _of_estimator(model.estimator, len(X), is_dense)


def _of_estimator(estimator: Any, n_rows: int, is_dense: bool) -> float:
    if isinstance(estimator, MeanMargin):
        return sum(_of_estimator(one, n_rows, is_dense) for one in estimator.members)
    is_known = is_from(estimator, "xgboost") or is_lightgbm(estimator)
    trees = trees_of(estimator) if is_known else None
    if trees is None:
        return math.inf
    is_quick = is_dense and settings().fast and cost.have_room(trees)
    if is_quick and pays(trees, n_rows):
        return cost.by_tables(trees, n_rows)
    return cost.by_engine(trees, n_rows)
