"""Held-out rows that look different from the training rows: a classifier tells them apart.

The two-sample test of Lopez-Paz and Oquab, *Revisiting Classifier Two-Sample Tests* (ICLR 2017);
its noise level is that of the rank-sum statistic where both sides are alike.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.checks.advice import leave_out
from baton.checks.probe import Matrix, affordable, out_of_fold
from baton.dates import is_calendar, rises
from baton.warning import DataWarning, WarningKind
from baton.words.text import quoted

if TYPE_CHECKING:
    import pandas as pd

    from baton.checks.sides import Sides

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_ROWS = 3_000
"""Rows of each side, at most."""

_SIGMAS, _LEAST = 4.0, 0.06
_FEWEST_ROWS = 20
_NAMED, _GAIN = 3, 0.5


def shifts(sides: Sides) -> list[DataWarning]:
    """Warn if a model can tell which rows are held out.

    Dates are not shown to it, and where later rows are held out, neither is what else says the
    date: that later rows are later says nothing.
    """
    table = sides.features.select_dtypes(exclude=["datetime", "datetimetz"])
    if sides.times is not None:
        table = table.drop(columns=[one for one in table if _says_date(sides, table[one])])
    places = _drawn(sides)
    is_test = sides.is_test[places]
    n_test = int(is_test.sum())
    n_train = len(places) - n_test
    if min(n_test, n_train) < _FEWEST_ROWS or not table.shape[1]:
        return []
    shown = table.iloc[places].reset_index(drop=True)
    matrix = Matrix.of(shown)
    gain = np.zeros(matrix.values.shape[1])
    answer = out_of_fold(matrix, is_test.astype(np.intp), 2, sides.seed, gain)[:, 1]
    auc, noise = area(answer, is_test), noise_of_area(n_test, n_train)
    if auc < 0.5 + max(_LEAST, _SIGMAS * noise):
        return []
    return [_warned(sides, _best(shown, matrix, gain), auc, noise)]


def _says_date(sides: Sides, column: pd.Series) -> bool:
    """Tell whether a column is a part of the calendar by its name, or only goes up with time."""
    if is_calendar(column.name):
        return True
    return rises(column.iloc[sides.sample], np.asarray(sides.times)[sides.sample])


def _drawn(sides: Sides) -> Array:
    """Places of rows of both sides, at random if there are many."""
    random = sides.random
    most = affordable(len(sides.is_test), sides.features.shape[1], MOST_ROWS)
    both = [np.flatnonzero(sides.is_test), np.flatnonzero(~sides.is_test)]
    return np.sort(np.concatenate([random.permutation(one)[:most] for one in both]))


def area(answer: Array, is_positive: Array) -> float:
    """Area under the ROC curve, of two sides that are not empty.

    Examples
    --------
    >>> area(np.array([0.1, 0.9, 0.8]), np.array([False, True, False]))
    1.0
    """
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(is_positive, answer))


def noise_of_area(n: int, m: int) -> float:
    """Standard deviation of the area where answers say nothing of `n` and `m` rows.

    Examples
    --------
    >>> round(noise_of_area(100, 100), 3)
    0.041
    """
    return math.sqrt((n + m + 1) / (12 * n * m))


def _best(shown: pd.DataFrame, matrix: Matrix, gain: Array) -> list[str]:
    """Names of the columns that tell most: the best, and those with half of its gain."""
    of_column = np.bincount(matrix.sources, gain, minlength=shown.shape[1])
    order = np.argsort(-of_column, kind="stable")[:_NAMED]
    least = _GAIN * of_column.max()
    return [str(shown.columns[place]) for place in order if of_column[place] >= least > 0]


def _warned(sides: Sides, names: list[str], auc: float, noise: float) -> DataWarning:
    by = f", most of all by {quoted(names)}" if names else ""
    mend = f"; if one is not so in new rows, {leave_out(sides, names)}" if names else ""
    return DataWarning(
        WarningKind.SHIFT,
        tuple(names),
        f"held-out rows can be told from training rows (ROC AUC {auc:.2f}, 0.50 ± {noise:.2f} if"
        f" they were alike){by}: the score tells less of new rows; see how the sides were"
        f" made{mend}",
    )
