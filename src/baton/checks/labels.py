"""Labels that look wrong, by confident learning.

Northcutt, Jiang and Chuang, *Confident Learning: Estimating Uncertainty in Dataset Labels*,
Journal of Artificial Intelligence Research 70 (2021): a row's label is doubted where another
class's out-of-fold probability reaches the mean that rows of that class have. Where classes only
overlap, the rows that a model is sure of are right; wrong labels are among those too, and that is
what is warned of here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from baton.checks.probe import MOST_CLASSES, Matrix, affordable, out_of_fold
from baton.warning import DataWarning, WarningKind
from baton.words.text import counted, listed, percent

if TYPE_CHECKING:
    from baton.checks.sides import Sides

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_ROWS = 10_000
"""Rows that are judged, at most."""

_FEWEST, _LEAST_SHARE, _HARD = 5, 0.02, 0.25
_SUREST = {0.1: 0.32, 0.25: 0.28}
"""Of the surest parts of the rows: how often they are wrong, beside how often all rows are, where
labels are. Where classes overlap it is 0.3 and 0.26 at most, in simulations; where one label of
ten is wrong it is more on most of seven public tables, not on all."""
_TOLD_APART = 0.3
_FEWEST_ROWS = 100


def wrong_labels(sides: Sides) -> list[DataWarning]:
    """Warn of training rows whose label the other rows contradict."""
    n_classes = len(sides.classes)
    if not 2 <= n_classes <= MOST_CLASSES or len(sides.y) < _FEWEST_ROWS:
        return []
    n_rows = affordable(len(sides.y), sides.train.shape[1], MOST_ROWS)
    places = sides.random.permutation(len(sides.y))[:n_rows]
    y = sides.y[places]
    matrix = Matrix.of(sides.train.iloc[places].reset_index(drop=True))
    answer = out_of_fold(matrix, y, n_classes, sides.seed)
    doubted = doubtful(y, answer)
    if not len(doubted):
        return []
    rows = sides.rows[sides.sample[places[doubted]]]
    return [_warned(sides, rows, len(doubted) / len(y))]


def doubtful(y: Array, answer: Array) -> Array:
    """Places of the labels that are doubted, the most doubtful first; none where it is overlap.

    Parameters
    ----------
    y : array of shape (n,)
        Codes of the labels.
    answer : array of shape (n, n_classes)
        Out-of-fold probabilities.
    """
    sure = answer.max(axis=1)
    found = np.flatnonzero(_contradicted(y, answer) & (sure >= np.median(sure)))
    if len(found) < _FEWEST or _is_overlap(answer.argmax(axis=1) != y, sure):
        return np.empty(0, dtype=np.intp)
    return np.asarray(found[np.argsort(answer[found, y[found]], kind="stable")])


def _is_overlap(wrong: Array, sure: Array) -> bool:
    """Tell whether a model is wrong mostly where it is not sure."""
    at_all, ordered = float(wrong.mean()), wrong[np.argsort(-sure, kind="stable")]
    shares = {part: float(ordered[: int(part * len(wrong))].mean()) for part in _SUREST}
    is_rare = any(shares[part] < even * at_all for part, even in _SUREST.items())
    return is_rare or at_all > _HARD or shares[max(shares)] < _LEAST_SHARE


def _contradicted(y: Array, answer: Array) -> Array:
    """Rows of classes that can be told apart where another one is as likely as in its own rows."""
    n_classes = answer.shape[1]
    own = np.array([_mean(answer[y == code, code]) for code in range(n_classes)])
    others = np.array([_mean(answer[y != code, code]) for code in range(n_classes)])
    likely = np.where(answer >= own, answer, -1.0)
    says_other = (likely.max(axis=1) > 0) & (likely.argmax(axis=1) != y)
    return np.asarray(says_other & (own - others >= _TOLD_APART)[y])


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else 1.0


def _warned(sides: Sides, rows: Array, share: float) -> DataWarning:
    return DataWarning(
        WarningKind.LABELS,
        (sides.name,),
        f"{percent(share)} of the values of '{sides.name}' look wrong"
        f" ({counted(len(rows), 'row')}, the first {listed(rows.tolist(), 5, last=', ')}): other"
        " rows say another class for sure; look at them, and mend or leave out those that are",
    )
