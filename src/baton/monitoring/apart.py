"""Whether a classifier tells new rows from old ones: what no column shows by itself.

The two-sample test of ``baton.checks.shift``, with what the classifier goes by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.checks.probe import Matrix, affordable, fitted, folds
from baton.checks.shift import MOST_ROWS, area, noise_of_area

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class ToldApart:
    """How well two samples are told apart by trees that did not learn from the rows they judge."""

    auc: float
    noise: float
    """Standard deviation of it where the samples are alike."""
    told_by: tuple[tuple[str, float], ...]
    """Columns with their mean absolute Shapley values, in log odds, the greatest first."""


def told_apart(before: pd.DataFrame, now: pd.DataFrame, seed: int) -> ToldApart:
    """Fit a classifier that tells new rows from old ones.

    Parameters
    ----------
    before, now : DataFrames of the same columns
    seed : int
    """
    import pandas as pd

    most = affordable(MOST_ROWS, before.shape[1], MOST_ROWS)
    sides = [one.sample(min(most, len(one)), random_state=seed % 2**32) for one in (before, now)]
    table = pd.concat(sides, ignore_index=True)
    is_now = np.repeat([False, True], [len(one) for one in sides])
    matrix = Matrix.of(table)
    parts = _contributions(matrix, is_now.astype(np.intp), seed)
    auc, noise = area(parts.sum(1), is_now), noise_of_area(*map(len, sides))
    return ToldApart(auc, noise, _told_by(parts[:, :-1], matrix.sources, list(table.columns)))


def _contributions(matrix: Matrix, y: Array, seed: int) -> Array:
    """Shapley values of each row by trees that never saw it, (n, k + 1): the last is the base."""
    found = np.zeros((len(y), matrix.values.shape[1] + 1))
    for learn, judge in folds(len(y), y, seed):
        trees = fitted(matrix.take(learn), y[learn], 2, seed)
        found[judge] = trees.predict(matrix.values[judge], pred_contrib=True)
    return found


def _told_by(parts: Array, sources: Array, names: list[Any]) -> tuple[tuple[str, float], ...]:
    """Columns of the user's, whose values are the sums over what was made of them."""
    of_columns = (parts[:, sources == place].sum(1) for place in range(len(names)))
    means = np.array([np.abs(one).mean() for one in of_columns])
    order = np.argsort(-means, kind="stable")
    return tuple((str(names[i]), float(means[i])) for i in order if means[i] > 0)
