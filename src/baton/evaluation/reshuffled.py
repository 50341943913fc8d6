"""What a booster answers where columns of its rows are shuffled, by bit vectors of its trees.

The loops belong in ``baton.kernels``, what is made of the answers in ``importance``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.evaluation.shapley.quickened import is_plain, trees_of
from baton.models.boosters import MeanMargin
from baton.settings import settings
from baton.terms import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from baton.kernels.bitvectors import BitVectors
    from baton.models import FittedModel

    Array = np.ndarray[Any, np.dtype[Any]]

_FEWEST = 30_000_000
"""Rows times trees times predictions: the engine needs half a second, the tables a part of it."""

_CHECKED_ROWS = 256


@dataclass(frozen=True)
class Reshuffled:
    """A model's trees, and its rows as they are."""

    model: FittedModel
    matrix: Array
    members: tuple[BitVectors, ...]
    margins: Array
    """Raw outputs, shape (n_rows, n_outputs)."""
    n_threads: int

    @property
    def output(self) -> Array:
        """The model's answers to the rows as they are."""
        return _answer(self.model, self.margins)

    def outputs(self, groups: Sequence[Array], orders: Sequence[Array]) -> Iterator[list[Array]]:
        """For each group of columns, the model's answers with these in each of the orders."""
        asked = self.matrix, groups, orders, self.n_threads
        for moved in zip(*(one.shuffled(*asked) for one in self.members), strict=True):
            yield [_answer(self.model, self.margins + one) for one in np.mean(moved, axis=0)]


def reshuffled(model: FittedModel, matrix: Any, n_predictions: int) -> Reshuffled | None:
    """Trees of a model for so many predictions; None where its engine is to be asked.

    It is where that would be as quick, and for what bit vectors do not know: more than 64 leaves
    a tree, conditions on categories, sparse rows, answers that are no plain sums of leaves.

    Parameters
    ----------
    model : FittedModel
    matrix : array of shape (n_rows, n_encoded)
    n_predictions : int
    """
    if not settings().fast or not is_plain(matrix):
        return None
    members = _members(model.estimator, len(matrix) * n_predictions)
    if not members:
        return None
    n_threads = _n_threads(model.estimator)
    few = matrix[:_CHECKED_ROWS]
    sums = np.mean([one.margins(matrix, n_threads) for one in members], axis=0)
    apart = _margins(model.estimator, few) - sums[: len(few)]
    margins = sums + apart[0]
    is_sum = np.allclose(apart, apart[0], atol=1e-4)
    if is_sum and _is_close(_answer(model, margins[: len(few)]), model.output(few)):
        return Reshuffled(model, matrix, members, margins, n_threads)
    return None


def _is_close(found: Array, wanted: Array) -> bool:
    return found.shape == wanted.shape and np.allclose(found, wanted, rtol=1e-4, atol=1e-5)


def _members(estimator: Any, n_answers: int) -> tuple[BitVectors, ...]:
    """Bit vectors of each booster; none where one has none, or where the work is little."""
    from baton.kernels.bitvectors import bitvectors_of

    each = estimator.members if isinstance(estimator, MeanMargin) else (estimator,)
    if not all(_is_booster(one) for one in each):
        return ()
    trees = [trees_of(one) for one in each]
    known = [one for one in trees if one is not None]
    if len(known) < len(each) or n_answers * sum(len(one.trees) for one in known) < _FEWEST:
        return ()
    found = [bitvectors_of(one) for one in known]
    return tuple(one for one in found if one is not None) if None not in found else ()


def _is_booster(estimator: Any) -> bool:
    return hasattr(estimator, "get_booster") or hasattr(estimator, "booster_")


def _n_threads(estimator: Any) -> int:
    """Threads that the model may use."""
    wanted = getattr(estimator, "n_jobs", None) or 0
    return int(wanted) if wanted > 0 else os.cpu_count() or 1


def _margins(estimator: Any, X: Array) -> Array:
    """Raw outputs by the engine: shape (n_rows, n_outputs)."""
    is_xgboost = hasattr(estimator, "get_booster")
    found = estimator.predict(X, output_margin=True) if is_xgboost else estimator.margin(X)
    return np.asarray(found, dtype=np.float64).reshape(len(X), -1)


def _answer(model: FittedModel, margins: Array) -> Array:
    """Probabilities or numbers of raw outputs, as `FittedModel.output` gives them."""
    from scipy.special import expit, softmax

    if model.kind is Kind.REGRESSION:
        return margins[:, 0]
    if margins.shape[1] == 1:
        proba = np.column_stack([expit(-margins[:, 0]), expit(margins[:, 0])])
    else:
        proba = softmax(margins, axis=1)
    return np.asarray(model.deciding.calibrated(proba))
